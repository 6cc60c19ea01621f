"""A pilot's numbers: closed forms, honest ends, the verdict's rule."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from routebench.errors import DataError
from routebench.pilot.bounds import least_mean, proportion
from routebench.pilot.estimate import Ends, PilotHeadroom, decide, headroom_of, queries_for
from routebench.pilot.lines import pilot_lines
from routebench.records import Floats, Outcomes, Pool, Queries, State, SuiteData


def data(score: Floats, cost: Floats | None = None) -> SuiteData:
    n, m = score.shape
    names = np.array([f"{i:03}" for i in range(n)], dtype=object)
    state = np.where(np.isnan(score), State.FAILED, State.OK).astype(np.int8)
    pool = Pool(tuple(f"m{i}" for i in range(m)))
    outcomes = Outcomes(score, state, cost)
    return SuiteData("world", "recorded", Queries(names), names, names, names, outcomes, pool)


def blocks(*rows: tuple[int, list[float]]) -> Floats:
    return np.array([scores for times, scores in rows for _ in range(times)], np.float64)


# Both right 20, only the first 50, only the second 10, none 20.
SCORE = blocks((20, [1, 1]), (50, [1, 0]), (10, [0, 1]), (20, [0, 0]))
COST = np.tile([4.0, 1.0], (100, 1))


def test_the_numbers_of_two_models_in_closed_form() -> None:
    found = headroom_of(data(SCORE, COST), 0.01)
    assert (found.best_single, found.contenders) == ("m0", ("m0",))
    assert (found.oracle, found.best_score, found.plug_in) == pytest.approx((0.8, 0.7, 0.1))
    assert found.disagreement == pytest.approx(0.6)
    # Ten of a hundred: Clopper and Pearson's ends, as tables have them.
    assert_allclose([found.gap.low, found.gap.high], [0.04900469, 0.17622260], atol=1e-6)
    assert found.gap.value == pytest.approx(0.1, abs=0.001)
    # The dear model where it alone is right, 50 times 4; else the cheap one, 50 times 1.
    assert found.saving is not None
    assert found.saving.value == pytest.approx(1 - 250 / 400)
    assert found.saving.low < found.saving.value < found.saving.high
    assert found.usd_per_query == pytest.approx(5)
    # They differ on 60%: (1.95996 + 0.84162)² · 0.6 / 0.01².
    assert found.test_queries.value == queries_for(0.01, 0.6) == 47094
    assert found.usd == pytest.approx(5 * 47094)


def test_models_that_cannot_be_told_apart_are_all_named_and_the_plug_in_is_corrected() -> None:
    rng = np.random.default_rng(4)
    equal = (rng.random((60, 6)) < 0.5).astype(float)
    found = headroom_of(data(equal), 0.01)
    assert len(found.contenders) == 6
    truth = 1 - 0.5**6 - 0.5
    assert found.plug_in < found.gap.value < truth < found.gap.high
    assert found.saving is None
    assert found.usd is None
    assert any("may as well be" in line for line in pilot_lines(found))


def test_a_saving_that_hangs_on_which_model_is_best_says_so() -> None:
    score = blocks((10, [1, 0]), (9, [0, 1]), (81, [1, 1]))
    found = headroom_of(data(score, COST), 0.01)
    assert found.contenders == ("m0", "m1")
    assert found.saving is not None
    assert found.saving.value > 0.6
    assert found.saving.low < -0.2  # where the cheap one is the best, the oracle costs more


def test_the_interval_of_graded_scores_is_narrower_than_that_of_as_many_right_and_wrong() -> None:
    graded = np.tile([0.25, 0.35], 50)
    low, high = proportion(graded)
    assert 0.28 < low < 0.3 < high < 0.32
    assert_allclose(proportion(np.zeros(100)), [0.0, 1 - 0.025 ** (1 / 100)])
    assert_allclose(proportion(np.ones(3)), [0.025 ** (1 / 3), 1.0])


@pytest.mark.slow
@pytest.mark.parametrize("rates", [[0.6, 0.6], [0.5] * 8])
def test_the_gap_is_held_in_at_least_95_of_100_worlds(rates: list[float]) -> None:
    truth = 1 - np.prod(1 - np.array(rates)) - max(rates)
    rng, held, worlds = np.random.default_rng(11), 0, 200
    for _ in range(worlds):
        score = (rng.random((60, len(rates))) < rates).astype(float)
        above = score.max(axis=1)[:, None] - score
        found = least_mean(above, int(above.mean(axis=0).argmin()))
        held += found.low <= truth <= found.high
    assert held >= 0.92 * worlds  # 95% less two standard errors


def test_few_queries_are_taken_by_hash_and_incomplete_ones_are_counted() -> None:
    score = SCORE.copy()
    score[::5, 1] = np.nan
    found = headroom_of(data(score), 0.01, pilot=50)
    assert (found.queries, found.incomplete) == (40, 10)
    score[21:, 1] = np.nan
    with pytest.raises(DataError, match="16 of 100 queries have a graded answer of every model"):
        headroom_of(data(score), 0.01)
    with pytest.raises(DataError, match="one model leaves nothing to route"):
        headroom_of(data(SCORE[:, :1]), 0.01)


def ends(low: float, high: float) -> Ends:
    return Ends((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("gap", "saving", "verdict"),
    [
        (ends(0.12, 0.2), None, "go"),
        (ends(0.05, 0.2), None, "undecided"),
        (ends(0.0, 0.02), None, "no-go"),
        (ends(0.0, 0.02), ends(0.6, 0.8), "go"),
        (ends(0.0, 0.02), ends(0.0, 0.1), "no-go"),
        (ends(0.0, 0.02), ends(0.1, 0.4), "undecided"),
    ],
)  # fmt: skip
def test_go_and_no_go(gap: Ends, saving: Ends | None, verdict: str) -> None:
    assert decide(gap, saving, 0.01)[0] == verdict


def test_json_has_what_the_lines_say() -> None:
    found: PilotHeadroom = headroom_of(data(SCORE, COST), 0.01)
    made = found.to_json()
    assert made["verdict"] == found.verdict
    assert made["gap"] == {"value": found.gap.value, "low": found.gap.low, "high": found.gap.high}
    text = "\n".join(pilot_lines(found))
    assert "headroom 10.0 [4.9, 17.6] pp" in text
    assert "47,094" in text
    assert "$235,470.00 with --folds" in text
