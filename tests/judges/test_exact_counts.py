"""The exact judge on numbers that lose a point, look like years or count other things."""

from __future__ import annotations

import pytest
from test_exact import C, W, graded

from routebench.records import Grade

AVERAGE = "What was his batting average?"
PRICE = "What is the soul price of the Ring?"
SEASON = "Which season was it?"
MEDALS = "How many silver medals did she win?"
POSITION = "What position did he get?"
HOW_MANY = "How many were there?"
WHEN = "When did it happen?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (AVERAGE, ".500", ".500", C),
        (AVERAGE, ".500", "0.500", C),
        (AVERAGE, ".500", ".5", C),
        (AVERAGE, ".500", "500", W),
        (AVERAGE, ".500", "It was .500.", C),
        (AVERAGE, ".406", "He hit .406", C),
        (AVERAGE, ".406", "406", W),
        (AVERAGE, "0.406", ".406", C),
        (AVERAGE, ".406", ".407", W),
        ("What was it?", "-.5", "-0.5", C),
        ("What was it?", "...5", "5", C),
        ("What is the caliber?", ".45", ".45", C),
        ("What is the caliber?", ".45", "0.45", C),
        ("What is the caliber?", ".45", "45", W),
        ("What is pi to two places?", "3.14", ".314", W),
        ("What percentage?", ".5%", "0.5%", C),
        ("What percentage?", ".5%", "5%", W),
        ("What is it?", "$.50", "$0.50", C),
    ],
)
def test_a_decimal_point_is_never_dropped(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (PRICE, "1500", "The soul price is 1,500.", C),
        (PRICE, "1500", "1500", C),
        (PRICE, "1500", "1500 souls", C),
        (PRICE, "1500", "1,501", W),
        (PRICE, "1500", "fifteen hundred", C),
        (PRICE, "1500", "It is 2,500.", W),
        ("In what year?", "1500", "1,500", W),
        ("When was it?", "1912", "1,912", W),
        (
            "How many people lived there in the year 1900?",
            "1500",
            "In 1900, 1,500 people lived there.",
            C,
        ),
        ("How many people lived there in the year 1900?", "1500", "1,600", W),
        (SEASON, "1998", "before 1998", W),
        (SEASON, "1998", "1998–1999", W),
        (SEASON, "1998", "1998", C),
        (SEASON, "1998", "In 1998.", C),
        ("What is the price?", "1,500", "1500", C),
        ("What is the price of it?", "2000", "more than 2,000", W),
        ("How far is it?", "1500", "1,500", C),
        ("How far is it?", "1500", "1,500 km", C),
        ("What score did he get?", "1200", "1,200 points", C),
        ("What was the date of the opening?", "1200", "1,200", W),
        ("When did it have 1500 people?", "1850", "1,850", W),
        ("What elevation is it at?", "1850", "1,850 m", C),
        ("What elevation is it at?", "1850", "1.850", W),
        ("What elevation?", "1850", "In 1990 it was 1850 m", C),
        ("What elevation?", "1850", "between 1,850 and 1,900", W),
    ],
)
def test_a_number_is_a_year_where_the_question_asks_for_one(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (MEDALS, "2 silver medals", "2 wickets", W),
        (MEDALS, "2 silver medals", "2", C),
        (MEDALS, "2 silver medals", "2 medals", C),
        (MEDALS, "2 silver medals", "Two silver medals.", C),
        (MEDALS, "2 silver medals", "2 silvers", C),
        (MEDALS, "2 silver medals", "two gold medals", W),
        (POSITION, "Second position", "Second round", W),
        (POSITION, "Second position", "second", C),
        (POSITION, "Second position", "2nd place", C),
        (POSITION, "Second position", "He came second in the final round.", C),
        ("How many wickets did he take?", "5 wickets", "5 runs", W),
        ("How many wickets did he take?", "5 wickets", "5", C),
        ("How many wickets did he take?", "5 wickets", "He took 5 for 20", C),
        ("How many wickets did he take in a match?", "5 wickets", "He took five in one match", C),
        ("How many goals did he score?", "3 goals", "3 in 2 matches", C),
        ("How many episodes?", "12 episodes", "12", C),
        ("How many episodes?", "12 episodes", "12 seasons", W),
        ("How many medals?", "2 medals", "2 silver medals", C),
        ("How many?", "2 rounds", "2 goals", W),
        ("How many?", "2 rounds", "2 rounds", C),
        ("What place?", "third place", "third", C),
        ("What place?", "third place", "third season", W),
        ("What place?", "third place", "3rd", C),
        ("What place did he take in the season?", "third place", "third in the season", C),
        ("What place did she take?", "3rd place", "3rd overall", C),
        ("How many children?", "3 children", "3 kids", C),
        ("How many people?", "42 injuries", "42 people were hurt", C),
    ],
)
def test_what_is_counted(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (HOW_MANY, "12", "A dozen.", C),
        (HOW_MANY, "12", "12 (twelve)", C),
        (HOW_MANY, "12", "12, I think", C),
        (HOW_MANY, "12", "Not 12.", W),
        (HOW_MANY, "12", "12 or 13", W),
        (HOW_MANY, "12", "13, not 12", W),
        (HOW_MANY, "12", "12, not 13", C),
        (HOW_MANY, "12", "about a dozen", C),
        (HOW_MANY, "12", "12-13", W),
        (HOW_MANY, "12", "over 12", W),
        (HOW_MANY, "12", "There were 12 of them in 3 groups.", C),
        (HOW_MANY, "12", "exactly 12", C),
        (HOW_MANY, "12", "**12**", C),
        (HOW_MANY, "12", "$12$", C),
        (HOW_MANY, "12", "\\(12\\)", C),
        (HOW_MANY, "12", "= 12", C),
        (HOW_MANY, "1.5 million", "1,500,000", C),
        (HOW_MANY, "1.5 million", "1.5 billion", W),
        (HOW_MANY, "0.05", "5%", W),
        (HOW_MANY, "12", "12th", C),
        (HOW_MANY, "12", "I don't know, 12?", C),
        (HOW_MANY, "1000", "1k", C),
        (HOW_MANY, "2000", "2,000", C),
        (HOW_MANY, "2000", "2000.", C),
        (HOW_MANY, "2,500", "2.500", W),
        (WHEN, "12 May 1990", "May 12th, 1990", C),
        (WHEN, "12 May 1990", "12 May 1991", W),
        (WHEN, "12 May 1990", "12 June 1990", W),
        (WHEN, "12 May 1990", "On Saturday, 12 May, 1990", C),
        (WHEN, "12 May 1990", "I'm not sure, but May 12, 1990", C),
        (WHEN, "12 May 1990", "1990-05-12", C),
        (WHEN, "12 May 1990", "12.05.1990", C),
        (WHEN, "12 May 1990", "May 1990", W),
        (WHEN, "12 May 1990", "It was not on 12 May 1990", W),
        (WHEN, "12 May 1990", "12 May 1990 or 13 May 1990", W),
        (WHEN, "1990", "It began in 1990 and ended in 1995.", C),
        (WHEN, "1990", "circa 1990", C),
        (WHEN, "1990", "1990s", W),
        (WHEN, "1990", "In 1990, I believe.", C),
        (WHEN, "1990", "after 1990", W),
        (WHEN, "1990", "No later than 1990", W),
        ("What is the opus number?", "27", "Op. 27, No. 2", C),
    ],
)
def test_numbers_and_dates_in_sentences(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        (
            "Which year was Symphony No. 9 finished?",
            "1824",
            "Symphony No. 9 was finished in 1824.",
            C,
        ),
        (
            "Which year was Symphony No. 9 finished?",
            "1824",
            "It was finished in 1824, No. 8 in 1812.",
            C,
        ),
        ("How many people were in the audience in 1910?", "1500", "There were 1,500 in 1910.", C),
        ("How many people were in the audience in 1910?", "1500", "1910", W),
        ("What is the top speed?", "2000 km/h", "2,000 km/h", C),
        ("What is the model number?", "1100", "1,100", C),
        ("What is the model number?", "1100", "1101", W),
        ("What rank did he reach?", "first", "1st place", C),
        ("What rank?", "5th", "fifth round", C),
        ("How many goals?", "2 goals", "2 goals in 3 games", C),
        ("How many goals?", "2 goals", "3 games, 2 goals", C),
        ("How many games?", "3 games", "3 matches", C),
        ("Which round?", "Second round", "Second round", C),
        ("Which round?", "Second round", "2nd place", W),
        ("Which floor?", "Third floor", "third storey", C),
    ],
)
def test_numbers_beside_others(question: str, reference: str, answer: str, grade: Grade) -> None:
    assert graded(question, reference, answer) == grade
