"""The exact judge on numbers, units and dates, and on questions with several values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routebench.records import Grade
from routebench_judges.exact.judge import Exact

C, W, N = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED


def graded(question: str, reference: str, answer: str, **options: Any) -> Grade:
    plugin = Exact(Exact.Options(**options))
    found = plugin.judge(questions=[question], references=[reference], answers=[answer])
    assert found.grade is not None
    return Grade(found.grade[0])


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("1,234", "1234", C),
        ("1234", "1,234", C),
        ("1234", "1 234", C),
        ("1234", "1\u202f234", C),
        ("1234", "1'234", C),
        ("1234", "1.234", W),
        ("1.234", "1234", W),
        ("1234567", "1.234.567", C),
        ("1234.5", "1.234,5", C),
        ("1.234", "1.234", C),
        ("100000", "1,00,000", C),
        ("18.50", "185", W),
        ("185", "18.50", W),
        ("18.50", "1850", W),
        ("18.50", "18.5", C),
        ("18.50", "It costs $18.50.", C),
        ("3.5", "35", W),
        ("3.5", "3.50", C),
        ("3.5", "3,5", C),
        ("3.5", "3½", C),
        ("3.14", "3.14159", C),
        ("3.14", "3.15", W),
        ("3.14", "3.1", W),
        ("3.14", "3", W),
        ("120.5", "120", W),
        ("120", "120.4", C),
        ("120", "about 120", C),
        ("120", "~120", C),
        ("120", "more than 120", W),
        ("120", "120 or more", W),
        ("120", "at least 120", W),
        ("15", "between 10 and 20", W),
        ("10", "between 10 and 20", W),
        ("10", "10-20", W),
        ("10", "10 to 20", W),
        ("20", "10–20", W),
        ("21", "twenty-one", C),
        ("twenty-one", "21", C),
        ("21", "twenty one", C),
        ("99", "Ninety-nine.", C),
        ("105", "one hundred and five", C),
        ("342,000", "three hundred forty-two thousand", C),
        ("3 million", "3,000,000", C),
        ("3,000,000", "three million", C),
        ("3 million", "3.2 million", C),
        ("3 million", "4 million", W),
        ("3 million", "3", W),
        ("24", "two dozen", C),
        ("100", "a hundred", C),
        ("7th", "seventh", C),
        ("seventh", "7", C),
        ("7", "7th", C),
        ("21st", "twenty-first", C),
        ("5", "15", W),
        ("5", "5th of 12", W),
        ("-5", "minus five", C),
        ("-5", "−5 °C", C),
        ("-5", "5", W),
        ("5", "-5", W),
        ("19", "covid-19", W),
        ("0", "zero", C),
        ("0", "none", C),
        ("2", "1/2", W),
        ("6.02e23", "6.02 × 10²³", C),
        ("6.02e23", "6.022 x 10^23", C),
        ("6.02e23", "6.02", W),
        ("100000", "10^5", C),
        ("100000", "10⁵", C),
        ("105", "10⁵", W),
        ("50%", "50 percent", C),
        ("50%", "50 per cent", C),
        ("50%", "50", C),
        ("50%", "50 kg", W),
        ("12 km", "12 kilometres", C),
        ("12 km", "12km", C),
        ("12 km", "12", C),
        ("12 km", "12 miles", W),
        ("12 km", "12 miles (19 km)", W),
        ("12 km", "7.5 miles (12 km)", C),
        ("12 km²", "12 square kilometers", C),
        ("12 km²", "12 km", W),
        ("20 °C", "20 degrees Celsius", C),
        ("20 °C", "20℃", C),
        ("20 °C", "20 °F", W),
        ("20 °C", "20 degrees", C),
        ("5 m", "5 metres", C),
        ("$5", "5 dollars", C),
        ("$5 million", "$5m", C),
        ("$5", "€5", W),
        ("#3", "number 3", C),
        ("5", "5/6", W),
        ("1", "1:30", W),
        ("7", "7e999999999", W),
        ("7", "7" * 5000, W),
        ("1" * 50, "1" * 50, C),
        ("5", "١٢٣", W),
        ("42 injuries", "There were 42.", C),
        ("42 injuries", "There were 24 injuries.", W),
        ("5", "5 or 6", W),
        ("5", "It was either 5 or 6.", W),
        ("5", "5, 6", W),
        ("5", "5, no, 6", W),
        ("6", "5. No, wait, 6.", W),
        ("5", "not 6 but 5", C),
        ("5", "not 5 but 6", W),
        ("5", "It is not 5.", W),
        ("5", "five (5)", C),
        ("5", "5 injuries, of which 2 on the road", C),
        ("2010", "2010 people", C),
        ("6 feet", "6 feet 4 inches", W),
        ("6 ft 4 in", "6 feet and 4 inches", C),
        ("44 minutes & 8 seconds", "44 min 8 s", C),
        ("3", "The 3rd of 5", W),
        ("12,345", "12,345.", C),
        ("5", "Answer: 5", C),
        ("5", "\\boxed{5}", C),
        ("5", "5/10", W),
        ("5", "v5.2", W),
        ("8", "8.5", W),
        ("1", "0.5", W),
        ("3.14", "3.145", C),
        ("5", "10% of 50, so 5", W),
    ],
)
def test_numbers(reference: str, answer: str, grade: Grade) -> None:
    assert graded("How many were there?", reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("What is the dry weight, in pounds, of it?", "205", "205 kg", W),
        ("What is the dry weight, in pounds, of it?", "205", "205 lb", C),
        ("How many of the seven children became painters?", "6", "Of the seven children, 6.", C),
        ("How many of the seven children became painters?", "6", "Seven.", W),
        ("How many of the seven children became painters?", "7", "All seven.", C),
        ("How many of the seven children became painters?", "7", "Of the seven, five.", W),
        ("How many medals did Hungary win in 1964?", "4", "In 1964 it won 4 medals.", C),
        ("How many medals did it win?", "4", "In 1964 it won 4 medals.", C),
        ("How many albums did it sell?", "5 million", "One of the albums sold 5 million.", C),
        ("How many daughters had he?", "2", "He had 3 sons and 2 daughters.", C),
        ("How many daughters had he?", "3", "He had 3 sons and 2 daughters.", W),
        ("When did he die?", "1954", "He was born in 1912 and died in 1954.", C),
        ("When did he die?", "1912", "He was born in 1912 and died in 1954.", W),
        ("When was he born?", "1912", "He was born in 1912 and died in 1954.", C),
        ("When did the war end?", "1945", "It started in 1939 and ended in 1945.", C),
        ("In which year?", "1912", "He was born in 1912 in London.", C),
        ("Who is taller, Bob or Alice?", "Bob", "Alice is taller than Bob.", W),
        ("Who is taller, Bob or Alice?", "Bob", "Bob is taller than Alice.", C),
        ("Who is taller, Bob or Alice?", "Alice", "Bob is not as tall as Alice.", W),
        ("Who is taller, Bob or Alice?", "Alice", "Not Bob, but Alice.", C),
        ("Is it so?", "No", "There is no information.", N),
        ("Is it so?", "No", "No, it is not.", C),
        ("Is it so?", "Yes", "Yes.", C),
        (
            "What was the first name of Charles Noble's son?",
            "Charles",
            "Of Charles Noble I know.",
            W,
        ),
        ("What was the first name of Charles Noble's son?", "Charles", "His name was Charles.", C),
        ("Which IIT was it?", "IIT (BHU)", "IIT Bombay", W),
        ("Who won between Jo Li and Al Tsi?", "Jo Li", "Between Jo Li and Al Tsi, Tsi won.", W),
        ("Which letter is it?", "C", "It is one of A, B, C and D.", W),
        ("Which letter is it?", "C", "It is C.", C),
        ("Which language is it?", "C", "C#", W),
        ("Which language is it?", "C++", "C++", C),
        ("Is it so?", "Yes", "No, not yes.", W),
    ],
)
def test_the_question_tells_which_value_is_the_answer(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    "answer",
    [
        "4 July 1776",
        "July 4, 1776",
        "July 4th, 1776",
        "1776-07-04",
        "1776/07/04",
        "4/7/1776",
        "7/4/1776",
        "04.07.1776",
        "the 4th of July, 1776",
        "the fourth of July 1776",
        "Jul 4 1776",
        "Jul. 4, 1776",
        "4-Jul-1776",
        "1776, July 4",
        "It was signed on Thursday, 4 July 1776, in Philadelphia.",
        "In 1776, on July 4, 1776.",
    ],
)
def test_one_date_in_many_formats(answer: str) -> None:
    for reference in ("July 4, 1776", "4 July 1776", "1776-07-04", "July 1776", "1776"):
        assert graded("When was it signed?", reference, answer) == C
    for reference in ("July 5, 1776", "4 June 1776", "4 July 1777", "July 1777", "1777"):
        assert graded("When was it signed?", reference, answer) == W


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("4 July 1776", "1776", W),
        ("4 July 1776", "July 1776", W),
        ("4 July 1776", "13/7/1776", W),
        ("July 1776", "1776", W),
        ("July 4", "4 July", C),
        ("15th of November, 2010", "November 15, 2010", C),
        ("2 October 1978", "2 October 1978 or 3 October 1978", W),
        ("1994", "the 1990s", W),
        ("1990s", "the 1990s", C),
        ("1990s", "1994", W),
        ("44 BC", "44 BCE", C),
        ("44 BC", "44 B.C.", C),
        ("44 BC", "44 AD", W),
        ("1066", "AD 1066", C),
        ("1066", "1066 CE", C),
        ("1066", "1066 BC", W),
        ("AD 79", "79 CE", C),
        ("1912", "1912 or 1913", W),
        ("1912", "1912, no, 1913", W),
        ("1913", "1912, no, 1913", W),
        ("1912", "1912. No, it was 1913.", W),
        ("1912", "1912–1915", W),
        ("1912", "between 1912 and 1915", W),
        ("1912", "before 1912", W),
        ("1912", "in 1912, not 1913", C),
        ("1912", "19.12", W),
        ("1912", "1,912", W),
        ("1912", "in the year nineteen twelve", C),
        ("1912", "1912 and 1912", C),
        (json.dumps(["1912", "1913"]), "1912 or 1913", C),
        ("May 1912", "It may be 1912", W),
        ("32 May 1912", "31 May 1912", W),
    ],
)
def test_dates(reference: str, answer: str, grade: Grade) -> None:
    assert graded("When did it happen?", reference, answer) == grade


def test_day_and_month_can_be_told_apart() -> None:
    def at(answer: str, order: str) -> Grade:
        return graded("When?", "4 July 1776", answer, day_or_month_first=order)

    assert [at("4/7/1776", order) for order in ("either", "day", "month")] == [C, C, W]
    assert [at("7/4/1776", order) for order in ("either", "day", "month")] == [C, W, C]
