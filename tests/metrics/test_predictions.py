from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import big, router, run, setting

from routebench.metrics.evaluate import Evaluation, Scores
from routebench.metrics.predictions import HOLES, NO_PAIR, NOT_CONSIDERED, UNREACHED
from routebench.records import Floats

POINTS = ("same-accuracy", "within-1pp")


def expecting(quality: Any, choice: Any = None, **more: Any) -> Any:
    """A router with expected quality [n, m] or [S, n, m]."""
    values = np.array(quality, dtype=np.float64)
    values = values[None] if values.ndim == 2 else values
    made = np.nan_to_num(values, nan=-1).argmax(axis=2) if choice is None else choice
    return replace(router(made), quality=values, **more)


def scores(found: Evaluation) -> Scores:
    return found.routers["mine"]


def test_apgr_by_hand() -> None:
    # Strong is right where weak is not on rows 1 and 2; the router knows about row 1 only.
    quality = [[0.5, 0.2], [0.1, 0.9], [0.5, 0.1], [0.6, 0.3]]
    found = scores(run(setting(), expecting(quality))).metrics
    # gains in order of need: row 1 (+1), row 0 (0) and row 3 (−1) tie, then row 2 (+1)
    share, reached = [0, 0.25, 0.75, 1], [0.5, 0.75, 0.5, 0.75]
    area = np.trapezoid(reached, share)
    assert found["apgr"].value == pytest.approx((area - 0.5) / 0.25)
    assert found["cpt_50"].value == pytest.approx(0.125)
    assert found["cpt_80"].value == pytest.approx(0.2)


def test_a_coin_and_the_perfect_router_are_references() -> None:
    found = run(big(n=500), router(np.zeros(500, int))).references
    assert found["random"]["apgr"].value == 0.5
    assert found["random"]["cpt_50"].value == pytest.approx(0.5)
    assert found["random"]["cpt_80"].value == pytest.approx(0.8)
    assert found["random"]["apgr"].low == found["random"]["apgr"].high == 0.5
    assert found["oracle"]["apgr"].value > 1  # type: ignore[operator]


def test_a_constant_expectation_is_a_coin() -> None:
    found = scores(run(big(), expecting(np.zeros((400, 3))))).metrics
    assert found["apgr"].value == pytest.approx(0.5, abs=1e-12)


def test_where_strong_is_no_better_apgr_is_null() -> None:
    score = [[1, 0], [1, 1], [0, 0], [1, 0]]
    found = scores(run(setting(score), expecting(np.eye(2)[[0, 1, 0, 1]]))).metrics
    assert found["apgr"].value is None
    assert found["apgr"].reason == UNREACHED
    assert found["apgr"].undefined is not None
    assert found["apgr"].undefined > 0.5


def test_a_router_of_two_models_is_read_against_its_own() -> None:
    n = 400
    quality = np.full((n, 3), np.nan)
    quality[:, 0] = np.linspace(0, 1, n)
    quality[:, 1] = 1 - quality[:, 0]
    own = (np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64))
    found = scores(run(big(n), expecting(quality, pair=own))).metrics
    assert found["apgr"].value is not None
    other = scores(run(big(n), expecting(quality))).metrics
    assert other["apgr"].reason == NOT_CONSIDERED, "the run's most expensive is the third model"


def test_no_pair_without_prices_or_names() -> None:
    found = scores(run(setting(cost=None), expecting(np.eye(2)[[0, 1, 0, 1]]))).metrics
    assert found["apgr"].reason == NO_PAIR


def test_seeds_are_averaged_and_equal_ones_count_once() -> None:
    rng = np.random.default_rng(0)
    world, quality = big(), rng.random((3, 400, 3))
    single = [scores(run(world, expecting(q))).metrics["apgr"].value for q in quality]
    three = scores(run(world, expecting(quality))).metrics["apgr"]
    assert three.value == pytest.approx(np.mean(single))  # type: ignore[arg-type]
    assert three.low < three.value < three.high  # type: ignore[operator]
    same = np.stack([quality[0]] * 3)
    once = scores(run(world, expecting(quality[0]))).metrics
    assert scores(run(world, expecting(same))).metrics == once


def frozen(world: Any, quality: Floats, fixed: bool = False) -> Any:
    """A router with a curve of three trade-offs, all operating points at the middle one."""
    n = len(quality)
    best = quality.argmax(axis=1)
    swept = np.stack([best, np.where(np.arange(n) % 2, best, 0), np.zeros(n, dtype=np.int64)])
    point = (swept[None, 1], np.full((1, n), fixed))
    return expecting(
        quality,
        swept=swept[None],
        points=dict.fromkeys(POINTS, point),
        lambdas={name: [None if fixed else 1.0] for name in POINTS},
    )


def test_operating_points_and_curve_by_hand() -> None:
    world = setting()
    found = scores(run(world, frozen(world, np.array([[0, 1], [0, 1], [0, 1], [1, 0.0]]))))
    # Middle: models 0, 1, 0, 0 on scores 1/1, 0/1, 0/1, 1/0 at .001 and .004.
    point = found.points["same-accuracy"]
    assert point.metrics["accuracy"].value == 0.75
    assert point.metrics["total_cost_per_1k"].value == pytest.approx(1.75)
    assert point.metrics["savings_vs_best_single"].value == pytest.approx(1 - 1.75 / 4)
    assert point.against["best-single"]["accuracy"].value == pytest.approx(0.0)
    assert found.metrics["savings_at_iso_accuracy"] == point.metrics["savings_vs_best_single"]
    assert [(p.accuracy, p.total_cost_per_1k) for p in found.curve] == [
        (1.0, pytest.approx(3.25)), (0.75, pytest.approx(1.75)), (0.5, pytest.approx(1.0)),
    ]  # fmt: skip
    # .75 for 1.75 of the best single model's 4; and the hull over [1, 4]: (1, .5) to (1.75, .75)
    # to (3.25, 1), then flat.
    assert found.metrics["qnc"].value == pytest.approx(1.75 / 4)
    area = (0.5 + 0.75) / 2 * 0.75 + (0.75 + 1) / 2 * 1.5 + 1 * 0.75
    assert found.metrics["aiq"].value == pytest.approx(area / 3)


def test_routing_costs_are_part_of_every_point_that_is_routed() -> None:
    world = setting()
    quality = np.array([[0, 1], [0, 1], [0, 1], [1, 0.0]])
    billed = replace(frozen(world, quality), router_cost=np.full((1, 4), 0.001))
    point = scores(run(world, billed)).points["same-accuracy"]
    assert point.metrics["total_cost_per_1k"].value == pytest.approx(2.75)
    unrouted = replace(frozen(world, quality, fixed=True), router_cost=np.full((1, 4), 0.001))
    point = scores(run(world, unrouted)).points["same-accuracy"]
    assert point.metrics["total_cost_per_1k"].value == pytest.approx(1.75), (
        "one fixed model asks nobody"
    )


def test_curves_need_answers_of_all_the_models_they_compare() -> None:
    world = big()
    state = world.outcomes.state.copy()
    state[:300, 1] = 1
    score = np.where(state == 0, world.outcomes.score, np.nan)
    holed = replace(world, outcomes=replace(world.outcomes, score=score, state=state))
    quality = np.random.default_rng(0).random((400, 3)) * [1, 0, 1]
    found = scores(run(holed, frozen(holed, quality))).metrics
    assert found["aiq"].reason == HOLES
    assert found["apgr"].value is not None, "weak and strong have theirs"


def test_calibration_and_stability() -> None:
    n = 400
    world = big(n)
    always = np.ones(n, dtype=np.int64)
    right = world.outcomes.score[:, 1]
    sure = replace(router(always), confidence=right[None])
    found = scores(run(world, sure)).metrics
    assert found["brier"].value == 0
    assert found["ece"].value == pytest.approx(0, abs=1e-12)
    flat = replace(router(always), confidence=np.full((1, n), 0.5))
    found = scores(run(world, flat)).metrics
    assert found["brier"].value == pytest.approx(0.25)
    assert found["ece"].value == pytest.approx(abs(right.mean() - 0.5))
    assert found["aurc"].value == pytest.approx(1 - right.mean())
    stable = np.full((1, n), np.nan)
    stable[0, :4] = [1, 0.5, 0.75, 1]
    found = scores(run(world, replace(router(always), stable=stable))).metrics
    assert found["stability"].value == pytest.approx(0.8125)
    assert found["stability"].low >= 0.5  # type: ignore[operator]


def test_by_task() -> None:
    n = 400
    task = np.array(["easy", "hard"] * (n // 2), dtype=object)
    world = big(n, facets={"task": task})
    gain = world.outcomes.score[:, 2] - world.outcomes.score[:, 0]
    quality = np.zeros((n, 3))
    quality[:, 2] = np.where(task == "hard", gain, 0)
    found = scores(run(world, expecting(quality)))
    assert found.by_task["easy"].pair["apgr"].value == pytest.approx(0.5)
    assert found.by_task["hard"].pair["apgr"].value > 1  # type: ignore[operator]


@pytest.mark.parametrize("model", [0, 2])
def test_jobs_that_consider_different_models_have_no_common_pair(model: int) -> None:
    # As if the first of two folds had nothing to learn of one end of the pair.
    quality = np.random.default_rng(0).random((400, 3))
    quality[:200, model] = np.nan
    assert scores(run(big(), expecting(quality))).metrics["apgr"].reason == NOT_CONSIDERED
    seeds = np.random.default_rng(0).random((2, 400, 3))
    seeds[0, :, model] = np.nan
    assert scores(run(big(), expecting(seeds))).metrics["apgr"].reason == NOT_CONSIDERED


def test_a_model_that_was_seldom_asked_is_no_end_of_the_range_of_costs() -> None:
    world = big()
    state = world.outcomes.state.copy()
    state[:300, 1] = 4
    score = np.where(state == 0, world.outcomes.score, np.nan)
    rare = replace(
        world,
        outcomes=replace(world.outcomes, score=score, state=state),
        mean_cost=np.array([1.0, 9.0, 3.0]) * 1e-3,
    )
    quality = np.random.default_rng(0).random((400, 3))
    quality[:, 1] = np.nan
    found = scores(run(rare, frozen(rare, quality)))
    assert found.metrics["aiq"].value is not None
    assert found.metrics["savings_at_iso_accuracy"].value is not None


def test_what_never_failed_may_still_fail() -> None:
    n = 400
    world = big(n)
    stable = np.full((1, n), np.nan)
    stable[0, :50] = 1.0
    always = replace(router(np.zeros(n, dtype=np.int64)), stable=stable)
    found = scores(run(world, always)).metrics["stability"]
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 50)), "50 in a row show no more"
    right = np.tile([0.0, 0.0, 1.0], (n, 1))
    sure = replace(world, outcomes=replace(world.outcomes, score=np.ones((n, 3))))
    point = scores(run(sure, frozen(sure, right))).points["same-accuracy"]
    assert point.metrics["accuracy"].value == 1.0
    assert point.metrics["accuracy"].low == pytest.approx(0.025 ** (1 / n))


def test_the_interval_of_the_calibration_error_holds_the_true_one() -> None:
    # Perfectly calibrated: whatever is found is chance, and the interval must reach 0.
    n, held = 400, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        stated = rng.beta(3, 1.5, n)
        world = setting(np.tile((rng.random(n) < stated)[:, None] * 1.0, (1, 2)), [[1, 2]] * n)
        sure = replace(router(np.zeros(n, dtype=np.int64)), confidence=stated[None])
        found = scores(run(world, sure, resamples=200)).metrics["ece"]
        assert found.low <= found.value <= found.high  # type: ignore[operator]
        held += found.low == 0
    assert held >= 18


def test_tasks_that_nobody_reads_are_not_measured() -> None:
    task = np.array([f"task {i}" for i in range(400)], dtype=object)
    found = scores(
        run(big(facets={"task": task}), expecting(np.random.default_rng(3).random((400, 3))))
    )
    assert found.by_task == {}
    assert found.metrics["apgr"].value is not None
