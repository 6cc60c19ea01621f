from __future__ import annotations

import importlib.util
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom

from routebench.metrics.effects import chance_below, flips, lower_bound
from routebench.metrics.points.bounds import ExactBounds, ResampledBounds, bounds
from routebench.metrics.points.verdict import PointScores, point_verdicts

ROOT = Path(__file__).parents[3]


def scores(losses: int, gains: int, n: int = 2000, **more: Any) -> PointScores:
    """A router that loses so many of the queries and gains so many others."""
    reference = np.repeat([1.0, 0.0], n // 2)
    score = reference.copy()
    score[:losses] = 0
    score[n // 2 : n // 2 + gains] = 1
    return PointScores(score[None], reference, np.arange(n), **more)


def test_one_router_by_hand() -> None:
    # Ten losses and no gain in 2,000: Clopper and Pearson's bound of 10 of 2,000 is .85%.
    found = point_verdicts({"a": scores(10, 0)}, 0.01)["a"]
    assert found.kind == "proven"
    assert found.difference == -0.005
    assert found.low == pytest.approx(-float(beta.ppf(0.95, 11, 1990)))
    assert found.p == pytest.approx(float(binom.cdf(10, 2000, 0.01)))
    # The unseen query is a gain here: above the bound of ten losses alone.
    assert -float(beta.ppf(0.05, 10, 1991)) < found.high < -0.002
    assert (found.level, found.queries) == (0.05, None)


def test_what_is_proven_worse_and_neither() -> None:
    found = point_verdicts({"a": scores(90, 20), "b": scores(50, 40), "c": scores(20, 30)}, 0.01)
    assert {name: one.kind for name, one in found.items()} == {
        "a": "worse", "b": "not proven", "c": "proven",
    }  # fmt: skip
    assert found["c"].low > -0.01
    assert found["a"].high < -0.01
    assert found["b"].low < -0.01 < found["b"].high


def test_the_bounds_agree_with_holm() -> None:
    """Of four, the first is tested at .05 / 4, then at .05 / 3 and so on, until one fails."""
    routers = {"a": scores(10, 20), "b": scores(45, 42), "c": scores(42, 42), "d": scores(60, 30)}
    alone = {name: point_verdicts({name: one}, 0.01)[name] for name, one in routers.items()}
    assert [alone[name].kind for name in "abcd"] == ["proven", "proven", "proven", "not proven"]
    found = point_verdicts(routers, 0.01)
    assert [found[name].kind for name in "abcd"] == ["proven", *["not proven"] * 3]
    assert found["a"].level == 0.05 / 4
    for name in "bcd":
        assert found[name].level == 0.05 / 3
        assert found[name].p >= 0.05
    for name, one in found.items():
        assert (one.low > -0.01) == (one.p < 0.05), name
        assert one.low == pytest.approx(
            lower_bound(*(int(x) for x in _flips(routers[name])), 2000, one.level)
        )


def _flips(one: PointScores) -> tuple[int, int]:
    gained = one.score[0] - one.reference
    return int((gained < 0).sum()), int((gained > 0).sum())


def test_equal_routers_stand_at_one_level() -> None:
    found = point_verdicts({name: scores(10, 20) for name in "ab"} | {"c": scores(45, 42)}, 0.01)
    assert [found[name].level for name in "abc"] == [0.05 / 3, 0.05 / 3, 0.05]
    assert found["a"] == found["b"]


def test_the_reference_itself_is_neither_tested_nor_counted() -> None:
    with_it = point_verdicts({"a": scores(10, 20), "b": scores(0, 0, same=True)}, 0.01)
    assert with_it["a"] == point_verdicts({"a": scores(10, 20)}, 0.01)["a"]
    assert with_it["b"].kind == "same"
    assert with_it["b"].low == with_it["b"].high == 0
    assert point_verdicts({}, 0.01) == {}


def test_a_sample_without_a_difference_is_not_infinitely_sure() -> None:
    assert point_verdicts({"a": scores(0, 0, 200)}, 0.01)["a"].kind == "not proven"
    assert point_verdicts({"a": scores(0, 0, 300)}, 0.01)["a"].kind == "proven"
    assert 0.99**200 > 0.05 > 0.99**300, "the chance not to see one of 1% losses"


def test_queries_that_would_decide() -> None:
    found = point_verdicts({"a": scores(50, 40)}, 0.01)["a"]
    variance = 91 / 2000 - 0.005**2
    wanted = variance * ((1.6448536 + 0.8416212) / 0.005) ** 2
    assert found.queries == pytest.approx(wanted, rel=1e-3)
    # With as many, each flip as likely: proven in four of five.
    rng, n = np.random.default_rng(0), found.queries
    assert n is not None
    drawn = rng.multinomial(n, [0.025, 0.02, 0.955], size=400)
    proven = [chance_below(int(lost), int(won), n, -0.01) < 0.05 for lost, won, _ in drawn]
    assert 0.74 < np.mean(proven) < 0.86
    assert point_verdicts({"a": scores(60, 40)}, 0.01)["a"].queries is None, "at the margin"


def test_p_is_that_of_the_bound() -> None:
    for losses, gains, n in ((0, 0, 50), (5, 0, 100), (3, 7, 500), (60, 55, 1300), (2, 1, 3)):
        for tail in (0.05, 0.0033):
            low = lower_bound(losses, gains, n, tail)
            assert chance_below(losses, gains, n, low + 1e-6) >= tail * 0.999
            assert chance_below(losses, gains, n, low - 1e-6) <= tail * 1.001
    assert flips(5, 3, 100).low == lower_bound(5, 3, 100)


def test_fractional_scores_seeds_and_equal_texts_are_resampled() -> None:
    one = scores(40, 40)
    seeds = np.stack([one.score[0], one.reference, one.score[0]])
    gained = [(one.score - one.reference), seeds - one.reference, (one.score - one.reference) / 2]
    exact, crossed, half = bounds(gained, one.clusters)
    assert isinstance(exact, ExactBounds)
    assert isinstance(crossed, ResampledBounds)
    assert isinstance(half, ResampledBounds)
    assert half.low(0.05) == pytest.approx(exact.low(0.05) / 2, rel=0.1)
    for made, at in itertools.product((crossed, half), (-0.01, -0.004, 0.0, 0.003)):
        for tail in (0.05, 0.0033):
            assert (made.low(tail) > at) == (made.p_at_most(at) < tail)
            assert (made.high(tail) < at) == (made.p_at_least(at) < tail)
    # Every text twice: half as many independent queries.
    (paired,) = bounds([one.score - one.reference], np.repeat(np.arange(1000), 2))
    (alone,) = bounds([(one.score - one.reference)[:, ::2]], np.arange(1000))
    assert paired.low(0.05) == pytest.approx(alone.low(0.05), rel=0.1)


def test_resampled_bounds_agree_with_the_exact_ones() -> None:
    for losses, gains in ((5, 0), (20, 20), (60, 30)):
        gained = scores(losses, gains).score - scores(losses, gains).reference
        exact = ExactBounds(losses, gains, 2000)
        drawn = bounds([gained * 1.0], np.append(np.arange(1998), [0, 1]))[0]
        assert isinstance(drawn, ResampledBounds)
        for tail in (0.05, 0.01):
            assert drawn.low(tail) == pytest.approx(exact.low(tail), abs=6e-4)
            assert drawn.high(tail) == pytest.approx(exact.high(tail), abs=6e-4)


def _promise() -> Any:
    spec = importlib.util.spec_from_file_location("promise", ROOT / "benchmarks/promise.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("world", ["given", "chosen"])
def test_few_worlds_hold_a_false_proof(world: str) -> None:
    promise = _promise()
    assert promise.most_false(1000) == 67
    assert promise.false_worlds(getattr(promise, world), 1300, 20) <= promise.most_false(20)


def test_few_worlds_of_seeds_and_repeated_texts_hold_a_false_proof() -> None:
    promise = _promise()
    assert promise.false_worlds(promise.by_seed, 600, 10) <= promise.most_false(10)


def test_a_bound_that_is_only_the_estimate_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExactBounds, "low", lambda one, tail: one.value)
    promise = _promise()
    assert promise.false_worlds(promise.given, 1300, 10) > promise.most_false(10)


def test_power_grows_with_queries() -> None:
    promise = _promise()
    assert promise.power(5500, 0.05, 1, 40) > 0.8 > promise.power(1300, 0.05, 1, 40) > 0.2
    assert not math.isnan(promise.power(1300, 0.2, 1, 5))
