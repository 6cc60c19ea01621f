from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from worlds import COSTS, NAN, SCORES, big, router, run, setting, values

from routebench.errors import DataError
from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.evaluate import RouterChoices
from routebench.metrics.predictions import NO_CONFIDENCE, NO_QUALITY, NOT_PERTURBED
from routebench.metrics.setting import scorable
from routebench.metrics.statistics import mde
from routebench.records import State
from routebench.schema import Row


def test_a_perfect_router_by_hand() -> None:
    found = run(setting(), router([0, 1, 1, 0], cost=0.0005)).routers["mine"]
    known = {name: value for name, value in values(found.metrics).items() if value is not None}
    assert known == pytest.approx(
        {
            "accuracy": 1.0,
            # log2(200 / 3) / log2(200 / .0044) = .3916, and 1.1 C / (.1 + C)
            "arena_score": 0.87624,
            # two thirds of the calls to the strong one: .5 + .25 · 2/3 for the same money
            "mix_lift": 1 / 3,
            "over_mix": 1 - (0.5 + 0.75) / 2,
            "cost_per_1k": 2.5,
            "router_cost_per_1k": 0.5,
            "total_cost_per_1k": 3.0,
            "savings_vs_most_expensive": 0.25,
            "savings_vs_best_single": 0.25,
            "gap_recovered": 1.0,
            "usage_entropy": 1.0,
            "top_model_share": 0.5,
        },
        rel=1e-4,
    )
    assert found.metrics["accuracy"].low == pytest.approx(0.025**0.25)
    assert found.usage == {"model-0": 0.5, "model-1": 0.5}
    # Resamples without the last query have no gap to recover: (3/4)^4 of them.
    assert found.metrics["gap_recovered"].undefined == pytest.approx(0.316, abs=0.08)
    assert found.warnings == []


def test_references_by_hand() -> None:
    found = run(setting(), router([0, 0, 0, 0]))
    accuracy = {name: one["accuracy"].value for name, one in found.references.items()}
    assert accuracy == {
        "oracle": 1.0,
        "random": 0.625,
        "best_single": 0.75,
        "best_single_hindsight": 0.75,
        "most_expensive": 0.75,
        "cheapest": 0.5,
    }
    cost = {name: one["cost_per_1k"].value for name, one in found.references.items()}
    assert cost == pytest.approx(
        {
            "oracle": 2.5,
            "random": 2.5,
            "best_single": 4,
            "best_single_hindsight": 4,
            "most_expensive": 4,
            "cheapest": 1,
        }
    )
    assert (found.headroom, found.disagreement, found.routable) == (0.25, 0.75, 0.25)
    assert found.cheapest_dominates is False


def test_difference_from_best_single_by_hand() -> None:
    found = run(setting(), router([0, 1, 1, 0], cost=0.0005)).routers["mine"].against
    accuracy = found["best-single"]["accuracy"]
    assert (accuracy.value, accuracy.discordance, accuracy.test) == (0.25, 0.25, "mcnemar")
    assert accuracy.p == 1
    assert accuracy.mde == pytest.approx(mde(0.25, 4))
    assert found["best-single"]["cost_per_1k"].value == pytest.approx(-1.5)
    assert found["best-single"]["total_cost_per_1k"].value == pytest.approx(-1.0)
    assert found["random"]["accuracy"].value == pytest.approx(0.375)
    assert found["random"]["accuracy"].test == "bootstrap"
    assert set(found) == {"best-single", "most-expensive", "random"}


def test_a_router_that_is_the_reference_differs_by_exactly_nothing() -> None:
    given = big()
    found = run(given, router(given.best_single), router([1] * 400, name="other"))
    for difference in found.routers["mine"].against["best-single"].values():
        assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
        assert difference.mde is None
    assert found.routers["mine"].metrics["gap_recovered"].value == 0
    assert found.routers["mine"].metrics["gap_recovered"].high == 0
    other = found.routers["other"].against["best-single"]["accuracy"]
    assert found.routers["mine"].mde is None
    assert found.routers["other"].mde == other.mde


def test_all_rows_are_scored_on_the_queries_that_every_choice_has() -> None:
    score = [[1, 1, 1], [NAN, 1, 1], [1, NAN, 0], [1, 1, NAN], [0, 1, 1]]
    given = setting(score, [[1, 2, 3]] * 5, best=2)
    # Router one needs model 0 on the first two queries, its second seed model 1 on the third.
    one = router([[0, 0, 2, 1, 1], [0, 2, 1, 2, 1]], name="one")
    two = router([0, 2, 2, 1, 0], name="two")
    found = run(given, one, two)
    assert (found.scored, found.left_out) == (2, 3)
    assert scorable(given, [one, two]).tolist() == [True, False, False, False, True]
    assert found.routers["two"].metrics["accuracy"].value == 0.5
    assert found.states == {"ok": 12, "failed": 3, "ungraded": 0, "unpriced": 0, "absent": 0}
    assert found.missing == pytest.approx(0.2)


def test_absent_cells_are_not_missing_and_unpriced_ones_are_never_scored() -> None:
    state = [[0, 0], [0, State.ABSENT], [State.UNPRICED, 0], [0, 0]]
    score = [[1, 0], [1, NAN], [NAN, 1], [0, 1]]
    given = setting(
        score, [[1, 2], [1, NAN], [NAN, 2], [1, 2]], state=state, best=0, most_expensive=None
    )
    found = run(given, router([0, 0, 1, 1]))
    assert (found.missing, found.states["absent"], found.scored) == (1 / 7, 1, 3)
    assert found.references["random"]["accuracy"].value == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert "most_expensive" not in found.references
    savings = found.routers["mine"].metrics["savings_vs_most_expensive"]
    assert (savings.value, savings.reason) == (None, "no most expensive model is known")
    assert "most-expensive" not in found.routers["mine"].against


def test_hindsight_counts_a_models_own_queries_only() -> None:
    score = [[1, 0], [1, 0], [NAN, 1], [1, 0]]
    given = setting(score, [[2, 1]] * 4, best=1, cheapest=None)
    found = run(given, router([1, 1, 1, 1]), resamples=2000).references["best_single_hindsight"]
    assert found["accuracy"].value == 1
    assert found["cost_per_1k"].value == pytest.approx(2000)


def test_nothing_left_to_score() -> None:
    given = setting([[NAN, 1], [1, NAN]])
    with pytest.raises(DataError, match="none of 2 test queries can be scored") as caught:
        run(given, router([0, 1]))
    assert "2 failed" in caught.value.hint


def test_an_ok_cell_without_a_number_is_an_error() -> None:
    for name in ("score", "cost"):
        broken: dict[str, Any] = {"score": SCORES, "cost": COSTS} | {
            name: [[NAN, 1]] + [[1, 1]] * 3
        }
        given = setting(**broken, state=np.zeros((4, 2)))
        with pytest.raises(DataError, match=f"state ok has no {name}"):
            run(given, router([1, 1, 1, 1]))


def test_unpriced_costs_are_null_with_the_reason() -> None:
    found = run(setting(cost=None), router([0, 1, 1, 0]))
    mine = found.routers["mine"]
    nulls = {name: one.reason for name, one in mine.metrics.items() if one.value is None}
    assert nulls == dict.fromkeys(
        (
            "cost_per_1k",
            "router_cost_per_1k",
            "total_cost_per_1k",
            "savings_vs_most_expensive",
            "savings_vs_best_single",
            "arena_score",
            "mix_lift",
        ),
        "unpriced",
    ) | dict.fromkeys(("apgr", "cpt_50", "cpt_80"), NO_QUALITY) | dict.fromkeys(
        ("aiq", "qnc", "savings_at_iso_accuracy", "savings_at_iso_accuracy_1pp"), NO_QUALITY
    ) | dict.fromkeys(("brier", "ece", "aurc"), NO_CONFIDENCE) | {"stability": NOT_PERTURBED}
    assert found.references["oracle"]["cost_per_1k"].reason == "unpriced"
    assert mine.against["best-single"]["cost_per_1k"].reason == "unpriced"
    assert found.cheapest_dominates is None


def test_a_router_that_calls_nothing_costs_nothing_itself() -> None:
    metrics = run(setting(), router([0, 1, 1, 0])).routers["mine"].metrics
    assert metrics["router_cost_per_1k"].value == 0
    assert metrics["total_cost_per_1k"] == metrics["cost_per_1k"]


def test_a_router_of_unknown_cost_is_not_free() -> None:
    mine = run(setting(), router([0, 1, 1, 0], cost=NAN)).routers["mine"]
    for name in ("router_cost_per_1k", "total_cost_per_1k"):
        assert mine.metrics[name].value is None
        assert mine.metrics[name].reason == "the router's own cost is not known"
    assert mine.metrics["cost_per_1k"].value == pytest.approx(2.5)
    total = mine.against["best-single"]["total_cost_per_1k"]
    assert (total.value, total.p, total.reason) == (
        None,
        None,
        "the router's own cost is not known",
    )


def test_undefined_ratios_are_null_with_the_reason() -> None:
    given = setting([[1, 1], [0, 0]], [[0, 0], [0, 0]])
    metrics = run(given, router([0, 1])).routers["mine"].metrics
    assert metrics["gap_recovered"].value is None
    assert metrics["gap_recovered"].reason == "the oracle is no better than the best single model"
    assert metrics["gap_recovered"].undefined == 1
    assert metrics["savings_vs_most_expensive"].value is None
    assert metrics["savings_vs_most_expensive"].reason == "the most expensive model costs nothing"


def test_three_state_grades() -> None:
    grade = [[0, 2], [0, 2], [0, 2], *[[1, 2]] * 5, [2, 2], [2, 2]]
    score = [[float(g == 0) for g in row] for row in grade]
    given = setting(score, [[1, 2]] * 10, grade)
    found = run(given, router([0] * 10))
    metrics = values(found.routers["mine"].metrics)
    assert metrics["accuracy"] == pytest.approx(0.3)
    assert metrics["attempted"] == pytest.approx(0.8)
    assert metrics["accuracy_given_attempted"] == pytest.approx(0.375)
    assert metrics["f_score"] == pytest.approx(0.6 / 1.8)
    best = found.references["best_single"]["accuracy_given_attempted"]
    assert (best.value, best.reason) == (None, "nothing was attempted")
    assert found.references["random"]["attempted"].value == pytest.approx(0.4)


def test_scores_without_a_grade_have_no_three_state_metrics() -> None:
    found = run(setting(grade=[[0, 0], [1, 0], [-1, 0], [0, 1]]), router([0, 0, 0, 0]))
    assert "f_score" not in found.routers["mine"].metrics
    assert "f_score" in found.references["best_single"]


def test_recurring_queries_are_drawn_together() -> None:
    plain = big()
    doubled = dataclasses.replace(
        plain,
        outcomes=plain.outcomes.take(np.repeat(np.arange(400), 2)),
        best_single=np.repeat(plain.best_single, 2),
        most_expensive=None,
        cheapest=None,
        clusters=np.repeat(np.arange(400), 2),
    )
    one = run(plain, router([1] * 400)).routers["mine"]
    two = run(doubled, router([1] * 800)).routers["mine"]
    assert two.metrics["accuracy"] == one.metrics["accuracy"]
    first, second = (r.against["best-single"]["accuracy"] for r in (one, two))
    assert (first.test, second.test) == ("mcnemar", "bootstrap")
    assert second.mde == pytest.approx(first.mde)
    ignored = run(dataclasses.replace(doubled, clusters=np.arange(800)), router([1] * 800))
    accuracy = ignored.routers["mine"].metrics["accuracy"]
    assert accuracy.high - accuracy.low < 0.8 * (  # type: ignore[operator]
        one.metrics["accuracy"].high - one.metrics["accuracy"].low  # type: ignore[operator]
    )


def test_seeds() -> None:
    given = big()
    choice = np.random.default_rng(1).integers(0, 3, (3, 400))
    found = run(
        given, router(choice), router(choice[:2], name="two"), router(choice[0], name="one")
    )
    three, two, one = (found.routers[name] for name in ("mine", "two", "one"))
    score = given.outcomes.score[np.arange(400), choice]
    assert three.metrics["accuracy"].value == pytest.approx(score.mean())
    assert three.seed_spread["accuracy"] == pytest.approx(score.mean(axis=1).std(ddof=1))
    assert set(two.seed_spread) == {"accuracy", "cost_per_1k"}
    assert one.seed_spread == {}
    scopes = [r.interval_scope for r in (three, two, one)]
    assert scopes == ["queries and seeds", "this checkpoint only", "this checkpoint only"]
    tests = [r.against["best-single"]["accuracy"].test for r in (three, two, one)]
    assert tests == ["bootstrap", "bootstrap", "mcnemar"]


def test_seeds_that_agree_are_one_outcome() -> None:
    once = run(big(), router([1] * 400)).routers["mine"]
    thrice = run(big(), router([[1] * 400] * 3)).routers["mine"]
    assert thrice.metrics == once.metrics
    assert thrice.against == once.against
    assert thrice.seed_spread == {"accuracy": 0, "cost_per_1k": 0}


def test_ranks_warnings_and_holm() -> None:
    rng = np.random.default_rng(8)
    score = np.stack([rng.random(500) < p for p in (0.1, 0.5, 0.9)], axis=1) * 1.0
    given = setting(score, np.ones((500, 3)), best=1)
    choices = {"bad": np.zeros(500, int), "mid": rng.integers(0, 3, 500), "good": np.full(500, 2)}
    found = run(given, *(router(choice, name=name) for name, choice in choices.items())).routers
    assert {name: one.rank for name, one in found.items()} == {"bad": 3, "mid": 2, "good": 1}
    assert found["bad"].warnings == [
        "collapse: 100.0% of queries go to model-0",
        "accuracy below best-single, significantly",
    ]
    assert found["mid"].warnings == []
    assert found["good"].warnings == ["collapse: 100.0% of queries go to model-2"]
    tests = [one.against["best-single"]["accuracy"] for one in found.values()]
    raw = sorted(t.p_raw for t in tests if t.p_raw is not None)
    adjusted = sorted(t.p for t in tests if t.p is not None)
    assert adjusted[0] == pytest.approx(3 * raw[0])
    assert adjusted[-1] == pytest.approx(max(raw[-1], adjusted[-2]))


def test_fractional_scores_are_compared_by_bootstrap() -> None:
    score = np.random.default_rng(3).random((50, 2))
    found = run(setting(score, np.ones((50, 2))), router([0] * 50)).routers["mine"]
    assert found.against["best-single"]["accuracy"].test == "bootstrap"
    low = found.metrics["accuracy"].low
    assert low is not None
    assert low < score[:, 0].mean()


def test_resamples_that_tie_are_counted_as_ties() -> None:
    # In tenths: 1 and 2 against 3. Drawn once each, the sides are equal; .1 + .2 and .3 are not.
    one, other = [0.1, 0.2, 0.0], [0.0, 0.0, 0.3]
    found = run(setting(list(zip(other, one, strict=True)), best=0, cost=None), router([1, 1, 1]))
    against = found.routers["mine"].against["best-single"]["accuracy"]
    drawn = bootstrap_means(list(np.eye(3)), resamples=400)
    tenths = np.rint(3 * drawn).astype(int) @ [1, 2, -3]
    assert (tenths == 0).sum() > 60
    tail = min((tenths <= 0).sum(), (tenths >= 0).sum())
    assert against.p_raw == min(1, 2 * (tail + 1) / 401)
    assert (against.value, found.routers["mine"].metrics["gap_recovered"].value) == (0, 0)


def test_seeds_whose_mean_ties_show_no_difference() -> None:
    # .1, .2 and .3 by seed against .2 for all of them: as they are added up, not quite the same.
    found = run(setting([[0.1, 0.2, 0.3]] * 4, cost=None), router([[0] * 4, [1] * 4, [2] * 4]))
    against = found.routers["mine"].against["best-single"]["accuracy"]
    assert (against.value, against.discordance, against.mde) == (0, 0, None)


def test_best_single_may_differ_by_fold() -> None:
    given = setting(best_single=np.array([0, 0, 1, 1]))
    found = run(given, router([0, 0, 1, 1]))
    assert found.references["best_single"]["accuracy"].value == 0.5
    assert found.routers["mine"].against["best-single"]["accuracy"].p == 1
    assert found.routers["mine"].mde is None


def test_a_cheapest_model_that_nobody_beats_dominates() -> None:
    assert (
        run(setting([[1, 0], [1, 1], [0, 0], [1, 1]]), router([0] * 4)).cheapest_dominates is True
    )
    assert run(setting([[1, 1], [0, 0]], [[1, 2]] * 2), router([0, 0])).cheapest_dominates is True


def test_the_same_numbers_every_time_finite_and_fit_for_the_board() -> None:
    topic = np.array(["x", "y"] * 200, dtype=object)
    choice = np.random.default_rng(5).integers(0, 3, (3, 400))
    routed = [router(choice, 1e-4), router(choice[1], name="random")]
    first, again = (run(big(facets={"topic": topic}), *routed) for _ in range(2))
    for name, scores in first.routers.items():
        row = Row(router=name, state="ok", plugin="test", **scores.as_row())
        other = Row(router=name, state="ok", plugin="test", **again.routers[name].as_row())
        assert row.model_dump_json() == other.model_dump_json()
        assert not re.search(r"\b(nan|inf)\b", str(row.model_dump()))
        assert row.by_topic["x"].n == 200
    assert first.references == again.references


def test_a_run_whose_routers_all_failed_still_has_references() -> None:
    found = run(setting())
    assert found.routers == {}
    assert found.references["oracle"]["accuracy"].value == 1


def test_what_a_run_can_tell_does_not_move_with_the_company() -> None:
    given = big()
    alone = run(given, router([1] * 400))
    wild = router(np.random.default_rng(1).integers(0, 3, 400), name="wild")
    both = run(given, router([1] * 400), wild)
    assert alone.mde == both.mde == pytest.approx(mde(0.1, 400))
    assert alone.mde_of is not None
    assert "10% of the queries" in alone.mde_of
    assert alone.routers["mine"].mde == both.routers["mine"].mde != both.routers["wild"].mde


def test_choices_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="3 queries out of 4"):
        run(setting(), router([0, 1, 1]))
    with pytest.raises(ValueError, match="two routers of one name"):
        run(setting(), router([0, 1, 1, 0]), router([0, 1, 1, 1]))
    with pytest.raises(ValueError, match="choice must be"):
        RouterChoices("flat", np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="shape of choice"):
        RouterChoices("uneven", np.zeros((1, 4), np.int64), np.zeros(4))
