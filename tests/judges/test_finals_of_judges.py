"""Final answers without a reference: equal ones are graded alike, and refusals have none."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.records import Grade
from routebench_judges.exact.judge import Exact
from routebench_judges.multiple_choice.judge import MultipleChoice
from routebench_judges.numeric.judge import Numeric

CHOICE = "Which city is the capital of France?\nA) London\nB) Paris\nC) Rome"
SUM = "How much are 12 apples at 25 cents?"
WHO = "Who painted the Night Watch?"


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("Let me think. The answer is (B).", "B"),
        ("**B) Paris**", "B"),
        ("Paris", "B"),
        ("<think>maybe A</think>The answer is B", "B"),
        ("<think>The answer is B", None),
        ("It is A or B.", None),
        ("I don't know.", None),
        ("", None),
    ],
)
def test_a_letter(answer: str, final: str | None) -> None:
    assert MultipleChoice(MultipleChoice.Options()).finals([CHOICE], [answer]) == [final]


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("The total is 12 × 0.25 = 3 dollars. #### 3", "3"),
        ("The answer is 3.00", "3"),
        ("The final answer is 50%", "1/2"),
        ("The final answer is 0.5", "1/2"),
        ("\\boxed{3} or \\boxed{4}", None),
        ("I do not know.", None),
    ],
)
def test_a_number(answer: str, final: str | None) -> None:
    assert Numeric(Numeric.Options()).finals([SUM], [answer]) == [final]


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("Rembrandt van Rijn", "rembrandt van rijn"),
        ("It was Rembrandt van Rijn.", "rembrandt van rijn"),
        ("The Night Watch was painted by Rembrandt van Rijn", "rembrandt van rijn"),
        ("On July 4, 1776.", "1776-07-04"),
        ("4 July 1776", "1776-07-04"),
        ("I don't know who painted it.", None),
        ("word " * 40, None),
    ],
)
def test_words(answer: str, final: str | None) -> None:
    assert Exact(Exact.Options()).finals([WHO], [answer]) == [final]


@pytest.mark.parametrize("index", range(3))
def test_equal_finals_are_graded_alike(index: int) -> None:
    judge, question, reference, answers = (
        (
            MultipleChoice(MultipleChoice.Options()),
            CHOICE,
            "B",
            ["B", "(B) Paris", "The answer is A", "A.", "I think C is right", "no idea"],
        ),
        (
            Numeric(Numeric.Options()),
            SUM,
            "3",
            ["3", "#### 3.0", "The answer is 4", "4", "\\boxed{5}", "no idea"],
        ),
        (
            Exact(Exact.Options()),
            WHO,
            "Rembrandt",
            ["Rembrandt", "It was Rembrandt.", "Vermeer", "It is Vermeer", "no idea"],
        ),
    )[index]
    n = len(answers)
    finals = judge.finals([question] * n, answers)  # type: ignore[attr-defined]
    grades = judge.judge([question] * n, [reference] * n, answers).grade  # type: ignore[attr-defined]
    assert grades is not None
    for final in set(finals) - {None}:
        alike = grades[[one == final for one in finals]]
        assert len(np.unique(alike)) == 1, final
        assert alike[0] in (Grade.CORRECT, Grade.INCORRECT)
    declined = grades[[one is None for one in finals]]
    assert (declined == Grade.NOT_ATTEMPTED).all()
