"""The run's side: a choice is noted before anything is told, and the rest stays untold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from routebench.errors import PluginError
from routebench.isolation.messages import OutcomesNeeded
from routebench.online.reveal import Revealer

SCORE = np.arange(12.0).reshape(6, 2) / 100
COST = SCORE * 10


def needed(start: int, *choice: int, probability: Any = None) -> OutcomesNeeded:
    return OutcomesNeeded(start, list(choice), probability)


def test_the_chosen_cells_alone_are_told() -> None:
    revealer = Revealer(SCORE, COST, batch=2, delay=0)
    told = revealer(needed(0, 1, 0))
    assert (told.rows, told.choice, told.problem) == ([0, 1], [1, 0], "")
    assert told.score == [SCORE[0, 1], SCORE[1, 0]]
    assert told.cost == [COST[0, 1], COST[1, 0]]


@pytest.mark.parametrize(
    "again",
    [
        needed(0, 0, 0),
        needed(4, 0, 0),
        needed(2, 0),
        needed(2, 0, 0, 0),
        needed(1, 0, 0),
        needed(2),
    ],
)
def test_a_query_is_chosen_for_once_and_in_order(again: OutcomesNeeded) -> None:
    revealer = Revealer(SCORE, None, batch=2, delay=0)
    revealer(needed(0, 1, 1))
    told = revealer(again)
    assert "in the order of arrival" in told.problem
    assert (told.rows, told.score) == ([], [])
    with pytest.raises(PluginError, match="2 of 6"):
        revealer.finished()


def test_a_delay_holds_outcomes_back() -> None:
    revealer = Revealer(SCORE, COST, batch=2, delay=3)
    assert [revealer(needed(at, 0, 0)).rows for at in (0, 2, 4)] == [[], [0], [1, 2]]
    assert revealer.finished().choice.tolist() == [0] * 6


@pytest.mark.parametrize(
    ("probability", "problem"),
    [
        ([[0.5, 0.6]], "add up"),
        ([[1.0, 0.0]], "is 0"),
        ([[-0.5, 1.5]], "negative"),
        ([[float("nan"), 1.0]], "NaN"),
        ([[1.0]], "shape"),
        ([[0.5], [0.5]], "shape"),
    ],
)
def test_wrong_probabilities_are_refused(probability: list[list[float]], problem: str) -> None:
    revealer = Revealer(SCORE, COST, batch=1, delay=0)
    told = revealer(needed(0, 1, probability=probability))
    assert problem in told.problem
    assert told.score == []


def test_probabilities_are_kept_with_the_choices() -> None:
    revealer = Revealer(SCORE[:2], COST[:2], batch=1, delay=0)
    revealer(needed(0, 1, probability=[[0.25, 0.75]]))
    assert "some queries alone" in revealer(needed(1, 1)).problem
    revealer(needed(1, 0, probability=[[0.5, 0.5]]))
    made = revealer.finished()
    assert made.choice.tolist() == [1, 0]
    assert made.probability is not None
    assert made.probability.tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_a_model_that_is_not_there() -> None:
    assert "not there" in Revealer(SCORE, None, 1, 0)(needed(0, 2)).problem
