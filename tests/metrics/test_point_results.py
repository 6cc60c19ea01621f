"""Points are scored by the code that scores rows, on the same resamples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import big, router, run

from routebench.metrics.evaluate import evaluate
from routebench.metrics.headroom import over_mix
from routebench.metrics.points.point import Point
from routebench.records import Ints

CHEAP = np.zeros(400, dtype=np.int64)
NAMES = ("same-accuracy", "within-1pp")


def at(choice: Ints, cost: float | None = None, fixed: bool = False, name: str = "mine") -> Any:
    """A router whose own choice is the dear model, with one choice at both of its points."""
    likes = np.full((1, 400, 3), 0.5)
    made = replace(router(np.full(400, 2), cost, name), quality=likes)
    point = (choice[None], np.full((1, 400), fixed))
    return replace(
        made,
        points=dict.fromkeys(NAMES, point),
        lambdas={one: [None if fixed else 3.0] for one in NAMES},
    )


def mixed(share: float = 0.5, seed: int = 1) -> Ints:
    return np.where(np.random.default_rng(seed).random(400) < share, 2, 0).astype(np.int64)


def test_a_point_has_the_metrics_of_a_row_that_chooses_so() -> None:
    choice = mixed()
    given = big()
    found = run(given, at(choice, 1e-4), router(choice, 1e-4, "alike"))
    point, row = found.routers["mine"].points["within-1pp"], found.routers["alike"]
    assert set(point.metrics) > {"accuracy", "cost_per_1k", "arena_score", "usage_entropy"}
    for name, value in point.metrics.items():
        assert value == row.metrics[name], name
    assert point.usage == row.usage
    apart, other = (one.against["best-single"]["accuracy"] for one in (point, row))
    assert (apart.value, apart.low, apart.p_raw) == (other.value, other.low, other.p_raw)
    assert (point.n, point.fixed, point.lambdas) == (400, 0.0, [3.0])


def test_the_own_choice_is_the_most_accurate_point() -> None:
    found = run(big(), at(mixed())).routers["mine"]
    own = found.points["most-accurate"]
    assert own.lambdas == []
    for name, value in own.metrics.items():
        assert value == found.metrics[name], name
    assert found.metrics["savings_at_iso_accuracy"].value == pytest.approx(
        found.points["same-accuracy"].metrics["savings_vs_best_single"].value
    )


def test_where_a_fixed_model_stands_in_nothing_is_routed() -> None:
    found = run(big(), at(np.full(400, 2), 1.0, fixed=True)).routers["mine"]
    point = found.points["within-1pp"]
    assert point.fixed == 1.0
    assert point.metrics["router_cost_per_1k"].value == 0
    assert point.metrics["savings_vs_best_single"].value == 0
    assert found.verdict is not None
    assert found.verdict.kind == "same"
    assert "best single model itself" in found.verdict.sentence


def test_queries_with_holes_are_left_out_of_a_point_only() -> None:
    world = big()
    state = world.outcomes.state.copy()
    state[:80, 1] = 1  # a model that it considers and no row chooses
    score = np.where(state == 0, world.outcomes.score, np.nan)
    holed = replace(world, outcomes=replace(world.outcomes, score=score, state=state))
    choice = mixed()
    found = run(holed, at(choice))
    point = found.routers["mine"].points["within-1pp"]
    assert (found.scored, point.n) == (400, 320)
    reached = world.outcomes.score[np.arange(400), choice][80:].mean()
    assert point.metrics["accuracy"].value == pytest.approx(reached)
    apart = point.against["best-single"]["accuracy"]
    assert apart.value == pytest.approx(reached - world.outcomes.score[80:, 2].mean())
    assert apart.low is not None
    assert apart.low < (apart.value or 0)


def test_verdicts_are_of_learned_routers_at_the_judged_point() -> None:
    worse = at(CHEAP, name="worse")
    reference = replace(at(CHEAP, name="reference"), reference=True)
    plain = router(np.full(400, 2), name="plain")
    found = run(big(), worse, reference, plain).routers
    assert found["reference"].verdict is None
    assert "most-accurate" not in found["reference"].points
    first, second = found["worse"].verdict, found["plain"].verdict
    assert first is not None
    assert second is not None
    assert (first.point, first.kind, first.margin) == ("within-1pp", "worse", 0.01)
    assert first.high < -0.01
    assert second.point == "most-accurate", "it has no other"
    assert second.kind == "same"


def test_another_margin_has_another_point() -> None:
    judged = Point.parse("within-30pp")
    one = at(CHEAP)
    one = replace(
        one,
        points=one.points | {judged.name: one.points["within-1pp"]},
        lambdas=one.lambdas | {judged.name: [3.0]},
    )
    verdict = evaluate(big(), [one], resamples=200, judged=judged).routers["mine"].verdict
    assert verdict is not None
    assert (verdict.point, verdict.margin, verdict.kind) == ("within-30pp", 0.3, "proven")
    assert verdict.sentence.endswith("within 30 pp, proven")
    assert verdict.low > -0.3


def test_an_unpriced_run_has_no_verdicts() -> None:
    world = big()
    bare = replace(
        world,
        outcomes=replace(world.outcomes, cost=None),
        mean_cost=None,
        cheapest=None,
        most_expensive=None,
    )
    found = run(bare, router(mixed())).routers["mine"]
    assert (found.verdict, found.points) == (None, {})


def test_references_claim_nothing_over_mixing() -> None:
    choice = mixed()
    found = run(big(), router(choice), replace(router(choice, name="other"), reference=True))
    mine, other = found.routers["mine"], found.routers["other"]
    assert mine.metrics["mix_lift"].value is not None
    assert (other.metrics["mix_lift"].value, other.pair) == (None, None)
    assert mine.pair == ("model-0", "model-2")


def test_what_matching_is_worth_stands_with_rows_and_points() -> None:
    world, choice = big(), mixed()
    found = run(world, at(choice), replace(router(choice, name="other"), reference=True))
    expected = over_mix(world.outcomes, choice[None], world.clusters)
    assert found.routers["mine"].points["within-1pp"].metrics["over_mix"] == expected
    assert found.routers["mine"].metrics["over_mix"].value == 0, "its own choice is one model"
    reference = found.routers["other"].metrics["over_mix"]
    assert (reference.value, reference.reason) == (None, "a reference, which claims nothing")
