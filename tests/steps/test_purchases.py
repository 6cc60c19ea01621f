"""The run's side: it notes who was asked, and hands over nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_replay import MODELS, recorded

from routebench import PluginError
from routebench.bought import Bought
from routebench.isolation.messages import AnswersNeeded
from routebench.jobs import arrow_io
from routebench.jobs.purchases import Purchases
from routebench.records import Decisions


@pytest.fixture
def purchases(tmp_path: Path) -> Purchases:
    return Purchases(recorded(), MODELS, tmp_path / "bought")


def test_it_hands_over_what_was_asked_for_and_notes_the_round(purchases: Purchases) -> None:
    first = purchases(AnswersNeeded([1, 3, 4]))  # b of query 0, a and b of query 1
    assert first.place is not None
    answers = arrow_io.read_record(Path(first.place), Bought)
    assert answers.response.tolist() == [[None, "b0", None], ["a1", "b1", None]]
    second = purchases(AnswersNeeded([0, 11]))
    assert second.place is not None
    assert not Path(first.place).exists(), "what was read is deleted"
    assert purchases.asked.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("cells", [[12], [-1], [], [0, 99]])
def test_cells_that_are_not_there(purchases: Purchases, cells: list[int]) -> None:
    given = purchases(AnswersNeeded(cells))
    assert given.place is None
    assert "not there" in given.problem
    assert not purchases.asked.any()


def test_nothing_is_sold_twice(purchases: Purchases) -> None:
    purchases(AnswersNeeded([5]))
    given = purchases(AnswersNeeded([5, 6]))
    assert (given.place, given.problem) == (None, "step asks 'c' twice for one query")


def test_an_answer_that_was_not_bought_is_refused_whatever_the_process_says(
    purchases: Purchases,
) -> None:
    purchases(AnswersNeeded([0, 3, 6, 9]))
    claimed = np.ones((4, 3), dtype=np.int8)
    with pytest.raises(PluginError, match="never bought"):
        purchases.complete(Decisions(np.array([0, 0, 0, 2]), asked=claimed))
    made = purchases.complete(Decisions(np.zeros(4, dtype=np.int64), asked=claimed))
    assert made.asked is not None
    assert made.asked.tolist() == [[1, 0, 0]] * 4, "who was asked is the run's own note"
