"""The numeric judge: the final number of an answer, and whether it is the right one."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from growth import grows_with_the_square
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.records import Grade, Grades, State
from routebench_judges.numeric.judge import Numeric

C, W, N, U = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED, Grade.NONE
HOW_MANY = "How many apples are left?"


def judge(question: str, reference: str | None, answer: str, **options: Any) -> Grades:
    plugin = Numeric(Numeric.Options(**options))
    return plugin.judge(questions=[question], references=[reference], answers=[answer])


def graded(question: str, reference: str, answer: str, **options: Any) -> Grade:
    found = judge(question, reference, answer, **options)
    assert found.grade is not None
    return Grade(found.grade[0])


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("42", "42", C),
        ("42", "42.", C),
        ("42", "42.0", C),
        ("42", "42.00", C),
        ("42", "42,0", C),
        ("42", "**42**", C),
        ("42", "`42`", C),
        ("42", "4 2", W),
        ("42", "4.2", W),
        ("42", "420", W),
        ("42", "142", W),
        ("42", "-42", W),
        ("42", "42 apples", C),
        ("42", "forty-two", C),
        ("42", "Forty two apples are left.", C),
        ("42", "He has 42 apples left.", C),
        ("42", "60 - 18 = 42", C),
        ("42", "#### 42", C),
        ("42", "He had 60, he ate 18.\n#### 42", C),
        ("42", "18 of 60 are gone.\n#### 41", W),
        ("42", r"\boxed{42}", C),
        ("42", r"$\boxed{42}$ apples of 60", C),
        ("42", r"\boxed{42 \text{ apples}}", C),
        ("42", r"\boxed{x = 42}", C),
        ("42", r"\[ 60 - 18 = \boxed{42} \]", C),
        ("42", r"\boxed{18}, then 42", W),
        ("42", "<answer>42</answer> of 60", C),
        ("42", "The answer is 42.", C),
        ("42", "The answer is **42**.", C),
        ("42", "The answer is 42, because 60 - 18 is that.", C),
        ("42", "The answer is 42 (forty-two).", C),
        ("42", "The answer is: 42 apples, 3 days after the 60 were bought.", C),
        ("42", "Answer: 42", C),
        ("42", "**Answer:** 42", C),
        ("42", "Answer:\n\n42", C),
        ("42", "answer = 42", C),
        ("42", "The final answer is 42. It took 3 steps.", C),
        ("42", "Final answer: 42\n\nChecked 2 times.", C),
        ("42", "So the answer is 60 - 18 = 42.", C),
        ("42", "The answer is 60 - 18 = 41.", W),
        ("42", "The answer is x = 42.", C),
        ("42", "The answer is approximately 42.", C),
        ("42", "The answer is that he has 42 apples.", C),
        ("42", "The answer is not 18. The answer is 42.", C),
        ("42", "If he ate 17, the answer is 43. He ate 18, so the answer is 42.", C),
        ("42", "The answer is 43. Wait, he ate 18. The answer is 42.", C),
        ("42", "The answer is 43. The answer is 42.", W),
        ("42", "The answer is 42 or 43.", W),
        ("42", "The answer is 42 and 43.", W),
        ("42", r"\boxed{42} or \boxed{43}", W),
        ("42", "The answer is between 40 and 44.", W),
        ("42", "The answer is 42-44.", W),
        ("42", "The answer is more than 42.", W),
        ("42", "The answer is 42+.", W),
        ("42", "It is 41, or is it 42? Who knows.", C),
        ("42", "The answer is 60 - 18.", U),
        ("42", "The answer is that of 60 he has 42.", U),
        ("42", "The answer is that of 60 he has 41.", W),
        ("42", "The answer is 42 since 60 = 42 + 18.", C),
        ("42", "The answer is 42, as 60 - 18 = 42.", C),
        ("42", "**42**\n\nOf 60 he ate 18.", C),
        ("42", "42 apples.\n\nExplanation: 60 - 18", C),
        ("42", "Of 60 he ate 18.\n\n42", C),
        ("42", "1. He had 60.\n2. He ate 18.\n3. Now he has 42.", C),
        ("42", "42 apples (60 - 18)", C),
        ("42", "(42)", C),
        ("42", '{"answer": 42}', C),
        ("42", "<think>The answer is 43?</think>\nThe answer is 42.", C),
        ("42", "<think>43</think>42", C),
        ("42", "42 out of 60", C),
        ("7/10", "42 out of 60", C),
        ("60", "42 out of 60", W),
        ("42", "The answer is 20% of 210.", U),
        ("1234.5", "1,234.50", C),
        ("1,234.50", "1234.5 dollars", C),
        ("1234.5", "The answer is 1,234.50 dollars.", C),
        ("1234.5", "1 234,50", C),
        ("1234.5", "1.234,50", C),
        ("1234.5", r"\$1{,}234.50", C),
        ("1234", "1,234", C),
        ("1234", "1.234", W),
        ("1234567", "1,234,567", C),
        ("18", "$18", C),
        ("$18", "18", C),
        ("$18", "18 dollars", C),
        ("$18", "She makes $18 every day.", C),
        ("$18", "18 euros", W),
        ("0.5", "1/2", C),
        ("1/2", "0.5", C),
        ("1/2", "2/4", C),
        ("1/2", r"\frac{1}{2}", C),
        ("1/2", r"\boxed{\dfrac{1}{2}}", C),
        ("1/2", r"\boxed{\frac12}", C),
        ("-1/2", r"-\frac{1}{2}", C),
        ("1/2", r"-\frac{1}{2}", W),
        ("1/2", "½", C),
        ("1/2", "one half", C),
        ("1/2", "The answer is half.", C),
        ("2/3", "two thirds", C),
        ("2", "two thirds", W),
        ("1/3", "The answer is a third.", C),
        ("3", "The answer is a third.", W),
        ("1/3", "0.333", W),
        ("3.5", "3 1/2", C),
        ("3.5", "3½", C),
        ("3.5", r"3\frac{1}{2}", C),
        ("3.5", "three and a half", C),
        ("3", "three and a half", W),
        ("2", "1/2", W),
        ("1", "1/2", W),
        ("50%", "50%", C),
        ("50%", "50 percent", C),
        ("50%", "0.5", C),
        ("50%", "1/2", C),
        ("50%", "50", C),
        ("50", "50%", C),
        ("0.5", "50%", C),
        ("0.5", "0.5%", W),
        ("0.5", "50", W),
        ("5", "5 %", C),
        (r"50\%", r"\boxed{50\%}", C),
        ("3500000", "$3.5 million", C),
        ("$3.5 million", "3,500,000", C),
        ("3.5", "$3.5 million", W),
        ("3500000", "3.5M", W),
        ("3500000", "$3.5M", C),
        ("24", "2 dozen", C),
        ("300000000", r"3 \times 10^8", C),
        ("300000000", "3e8", C),
        ("300000000", "3 × 10⁸", C),
        ("105", "10⁵", W),
        ("100000", "10⁵", C),
        ("-7", "-7", C),
        ("-7", "−7", C),
        ("-7", "minus 7", C),
        ("7", "-7", W),
        ("-7", "7", W),
        ("0", "0", C),
        ("0", "zero", C),
        ("7", "x=7", C),
        ("7", "x = -7", W),
        ("42", "", N),
        ("42", "   ", N),
        ("42", "I don't know.", N),
        ("42", "I don't know how the 42 are counted.", N),
        ("42", "I cannot answer that.", N),
        ("42", "Some are left.", N),
        ("42", "The answer is unclear.", N),
        ("42", "The answer is that I am not sure.", N),
        ("42", "x + y", N),
        ("42", "5/10/2020", N),
    ],
)  # fmt: skip
def test_numbers(reference: str, answer: str, grade: Grade) -> None:
    assert graded(HOW_MANY, reference, answer) == grade


@pytest.mark.parametrize(
    ("question", "reference", "answer", "grade"),
    [
        ("What percent is it?", "0.5", "0.5%", C),
        ("What percent is it?", "50", "50%", C),
        ("What percent is it?", "50", "0.5", W),
        ("What is the interest rate?", "5", "5%", C),
        ("How many dollars does it cost?", "0.5", "50 cents", C),
        ("How many dollars does it cost?", "50", "50 cents", W),
        ("How many cents does it cost?", "50", "50 cents", C),
        ("How much is it?", "$0.50", "50 cents", C),
        ("How much is it?", "$0.50", "50¢", C),
        ("How much is it?", "$50", "50 cents", W),
        ("How long is it in meters?", "500", "500 m", C),
        ("How long is it in meters?", "500", "500 km", W),
        ("How long is it in meters?", "500", "500", C),
        ("How many days is it?", "14", "2 weeks", W),
        ("How many days is it?", "14", "14 days", C),
        ("How much does it cost in millions?", "3.5", "$3.5 million", C),
        ("How much does it cost in millions?", "3.5", "3.5", C),
        ("What is the least number of boxes?", "5", "He needs at least 5 boxes.", C),
        ("What is the least number of boxes?", "5", "He needs at least 6 boxes.", W),
        ("How many boxes has he?", "5", "He has at least 5 boxes.", W),
    ],
)
def test_what_the_question_asks_for(
    question: str, reference: str, answer: str, grade: Grade
) -> None:
    assert graded(question, reference, answer) == grade


@pytest.mark.parametrize(
    ("reference", "grade"),
    [
        ("Of 60 he ate 18, so 60 - 18 = <<60-18=42>>42.\n#### 42", C),
        (r"It is $60 - 18 = \boxed{42}$.", C),
        ("The answer is 42.", C),
        ("42 apples", C),
        ("forty-two", C),
        (json.dumps(["41", "42"]), C),
        (json.dumps(["41", "40"]), W),
        ("41", W),
        ("Of 60 he ate 18.\n#### 41", W),
    ],
)
def test_references(reference: str, grade: Grade) -> None:
    assert graded(HOW_MANY, reference, "It is 42") == grade


@pytest.mark.parametrize("reference", [None, "", " ", "many", "40-44", "more than 42", "42 or 43"])
def test_a_reference_that_is_no_number_is_ungraded(reference: str | None) -> None:
    found = judge(HOW_MANY, reference, "42")
    assert found.grade is not None
    assert (found.state[0], found.grade[0]) == (State.UNGRADED, U)
    assert np.isnan(found.score[0])


def test_the_last_number_counts_only_without_a_marker() -> None:
    told = "It was 42 and then 60"
    assert graded(HOW_MANY, "60", told) == C
    assert graded(HOW_MANY, "60", f"The answer is 42. {told}.") == W
    assert graded(HOW_MANY, "42", f"The answer is 42. {told}.") == C
    assert graded(HOW_MANY, "42", "In the end **42 apples** remain of 60.") == C
    assert graded(HOW_MANY, "42", "42 apples are left, one for each.") == C
    assert graded(HOW_MANY, "42", "**Step 1**: 60 - 18 = 42") == C


def test_tolerance_is_relative() -> None:
    assert graded(HOW_MANY, "1/3", "0.333", tolerance=0.01) == C
    assert graded(HOW_MANY, "1/3", "0.32", tolerance=0.01) == W
    assert graded(HOW_MANY, "1000", "1010", tolerance=0.01) == C
    assert graded(HOW_MANY, "1000", "1010.01", tolerance=0.01) == W
    assert graded(HOW_MANY, "0", "0.0001", tolerance=0.01) == W


def test_refusals_in_other_languages() -> None:
    assert graded(HOW_MANY, "42", "En tiedä, niitä on 42") == C
    assert graded(HOW_MANY, "42", "En tiedä, niitä on 42", refusals=["en tiedä"]) == N
    assert graded(HOW_MANY, "42", "En tiedä. Answer: 42", refusals=["en tiedä"]) == C


def test_long_answers_end_soon() -> None:
    for text in ("7 " * 500_000, "7" * 10**6, "1/" * 500_000, "answer is " * 100_000, "(" * 10**6,
                 "\\boxed{" * 150_000, "=" * 10**6, "answer is 1 " * 80_000, "**1**" * 200_000,
                 "\\frac{1}{2}" * 90_000, "half " * 200_000, " " * 10**6):  # fmt: skip
        assert not grows_with_the_square(partial(graded, HOW_MANY, "42"), text), text[:10]
    assert graded(HOW_MANY, "42", "Thinking of 60. " * 60_000 + "\nThe answer is 42.") == C


_FORMS = ["{}", "The answer is {}.", "#### {}", "\\boxed{{{}}}", "So there are {} apples.",
          "**{}**", "It is {}", "The final answer is: {}", "Answer: **{}**"]  # fmt: skip


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.sampled_from(_FORMS))
@settings(max_examples=200, deadline=None)
def test_whole_numbers_in_every_form(right: int, given: int, form: str) -> None:
    for written in (str(given), f"{given:,}"):
        assert graded(HOW_MANY, str(right), form.format(written)) == (C if given == right else W)
        assert graded(HOW_MANY, f"{given:,}", form.format(written)) == C


_RATIO = st.fractions(-(10**12), 10**12, max_denominator=1000)


@given(_RATIO, _RATIO)
@settings(max_examples=200, deadline=None)
def test_fractions_are_compared_exactly(right: Fraction, given: Fraction) -> None:
    reference = f"{right.numerator}/{right.denominator}"
    answer = f"The answer is {given.numerator}/{given.denominator}."
    assert graded("What is the ratio?", reference, answer) == (C if given == right else W)


_PIECES = ["42", "41", "the answer is", "####", "or", "and", "-", "/", ".", "\n", "%", "of", "=",
           "million", "half", "not", "wait", "more than", "$", "\\boxed{", "}", "**"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_one_answer_is_not_two_numbers(text: str) -> None:
    right = [n for n in ("41", "42") if graded(HOW_MANY, n, text) == C]
    assert len(right) <= 1
    assert all(n in text for n in right)
