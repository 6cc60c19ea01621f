from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.headroom import (
    ChosenCells,
    best_model,
    disagreement,
    hindsight_choice,
    oracle_choice,
    random_mean,
    routable,
)
from routebench.records import Outcomes, State

NAN = float("nan")


def outcomes(score: list[list[float]], cost: list[list[float]] | None = None) -> Outcomes:
    """Cells with a NaN score have failed."""
    values = np.array(score)
    state = np.where(np.isnan(values), State.FAILED, State.OK).astype(np.int8)
    return Outcomes(values, state, None if cost is None else np.array(cost))


def test_oracle_takes_the_cheapest_of_the_best_then_the_first_name() -> None:
    found = oracle_choice(
        outcomes(
            [[1, 1, 0], [0, 0, 0], [0.2, 0.9, 0.9], [1, NAN, 0.5]],
            [[3, 2, 1], [2, 2, 2], [1, 5, 4], [9, NAN, 1]],
        )
    )
    assert found.tolist() == [1, 0, 2, 0]


def test_oracle_without_prices_takes_the_first_of_the_best() -> None:
    assert oracle_choice(outcomes([[0, 1, 1], [NAN, NAN, 0]])).tolist() == [1, 2]


def test_a_failed_model_never_wins_even_where_all_others_score_zero() -> None:
    assert oracle_choice(outcomes([[NAN, 0, 0]], [[NAN, 2, 1]])).tolist() == [2]


def test_random_is_the_mean_over_models_that_answered() -> None:
    table = outcomes([[1, 0, NAN], [0.5, 0.1, 0.3]])
    np.testing.assert_allclose(random_mean(table.score, table.ok), [0.5, 0.3])


def test_single_accuracies_leave_out_what_is_not_there() -> None:
    found = outcomes([[1, 0, NAN], [1, 0.5, NAN], [0, NAN, NAN]]).mean_score()
    np.testing.assert_allclose(found, [2 / 3, 0.25, NAN])


def test_disagreement_and_routable() -> None:
    table = outcomes([[1, 1, 1], [0, 1, NAN], [1, 0, 0], [0, 0, 1], [NAN, 0, 0]])
    assert disagreement(table) == pytest.approx(3 / 5)
    # Best single is model 1: model 0 beats it on the third query, model 2 on the fourth.
    assert routable(table, np.full(5, 1)) == pytest.approx(2 / 5)


def test_one_model_that_answered_leaves_nothing_to_disagree_about() -> None:
    assert disagreement(outcomes([[NAN, 1], [0, NAN]])) == 0


@pytest.mark.parametrize(
    ("score", "cost", "expected"),
    [
        ([0.5, 0.7, 0.7], [1, 3, 2], 2),
        ([0.5, 0.7, 0.7], [1, 2, 2], 1),
        ([0.5, 0.7, 0.7], None, 1),
        ([0.5, 0.7, 0.7], [1, NAN, 5], 2),
        ([0.9, 0.7, NAN], [9, 1, 0], 0),
        ([0.5, NAN, 0.5], [NAN, 0, NAN], 0),
    ],
)
def test_ties_go_to_the_cheaper_then_to_the_name(
    score: list[float], cost: list[float] | None, expected: int
) -> None:
    assert best_model(np.array(score), None if cost is None else np.array(cost)) == expected


def test_hindsight_passes_over_a_model_with_few_answers() -> None:
    lucky = outcomes([[1, 1], [0, NAN], [1, NAN], [1, NAN]])
    assert hindsight_choice(lucky, None) == 0
    half = outcomes([[1, 1], [0, 1], [1, NAN], [1, NAN]])
    assert hindsight_choice(half, None) == 1


def test_chosen_cells_follow_the_choice_of_every_seed() -> None:
    table = outcomes([[0.1, 0.2], [0.3, 0.4]], [[1, 2], [3, 4]])
    cells = ChosenCells.of(table, np.array([[0, 1], [1, 0], [1, 1]]))
    np.testing.assert_allclose(cells.score, [[0.1, 0.4], [0.2, 0.3], [0.2, 0.4]])
    assert cells.cost is not None
    np.testing.assert_allclose(cells.cost, [[1, 4], [2, 3], [2, 4]])
    assert cells.grade is None
