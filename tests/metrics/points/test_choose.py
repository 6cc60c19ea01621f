from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from routebench.metrics.points.choose import (
    SHORTFALL,
    choose_point,
    required_gain,
    standard_error,
)
from routebench.metrics.points.point import SAME_ACCURACY, WITHIN_1PP, Point

N = 2000


def trade_offs(gains: Any, flips: int = 100) -> Any:
    """Trade-offs that lose `flips` queries of 2,000 and win so many more; each a tenth cheaper."""
    reference = np.repeat([1.0, 0.0], N // 2)
    score = np.tile(reference, (len(gains), 1))
    score[:, :flips] = 0
    for row, gain in zip(score, gains, strict=True):
        row[N // 2 : N // 2 + flips + gain] = 1
    cost = np.repeat(1 - np.arange(len(gains))[:, None] / 10, N, axis=1)
    return score, cost, reference, np.ones(N)


def test_a_gain_must_be_larger_than_luck_would_make_it() -> None:
    # 200 flips in 2,000: σ = .0071; φ(z) − zΦ(−z) = .001/.0071 at z = .71, so f = .5 pp.
    score, cost, reference, paid = trade_offs([30, 11, 9, 0])
    error = standard_error(score - reference)
    assert error[3] == pytest.approx(np.sqrt(201) / N)
    assert required_gain(error)[3] == pytest.approx(0.00502, abs=2e-5)
    assert choose_point(score, cost, reference, paid, SAME_ACCURACY) == 1
    # Expected to lose up to 1 pp: 11 queries of gain suffice, and so do 20 fewer.
    score, cost, reference, paid = trade_offs([30, 11, -9, -11])
    assert choose_point(score, cost, reference, paid, Point("drop", 0.01)) == 2


def test_a_margin_leaves_what_the_test_itself_does_not_need() -> None:
    given = trade_offs([30, 11, -5, -20])
    # 1.645 standard errors of 2,000 test queries are 1.17 pp: the margin is used up.
    assert choose_point(*given, WITHIN_1PP, test_queries=2000) == 1
    assert choose_point(*given, WITHIN_1PP) == 1
    # Of 50,000 they are .23 pp: a true loss of .77 pp may be proven to be below 1.
    assert choose_point(*given, WITHIN_1PP, test_queries=50_000) == 2


def test_nothing_dearer_than_the_reference_is_taken() -> None:
    score, cost, reference, paid = trade_offs([30, 30])
    assert choose_point(score, cost, reference, 0.95 * paid, SAME_ACCURACY) == 1
    assert choose_point(score, cost, reference, 0.5 * paid, SAME_ACCURACY) is None
    assert choose_point(score * 0, cost, reference, paid, SAME_ACCURACY) is None


def test_queries_of_one_text_are_no_more_evidence_than_one() -> None:
    score, cost, reference, paid = trade_offs([30, 11])
    alone = standard_error(score - reference)
    twice = [np.repeat(v, 2, axis=-1) for v in (score, cost, reference, paid)]
    pairs = np.repeat(np.arange(N), 2)
    # Sums of two: four times the squares, twice the number.
    assert standard_error(twice[0] - twice[2], pairs) == pytest.approx(alone, rel=3e-3)
    few = [v[..., :1900] for v in twice]
    assert (standard_error(few[0] - few[2], pairs[:1900]) > alone).all()
    assert choose_point(*twice, SAME_ACCURACY, pairs) == 1


@pytest.mark.parametrize("error", [0.004, 0.0125, 0.03])
def test_the_expected_shortfall_is_bounded_whatever_the_truth(error: float) -> None:
    noise = np.random.default_rng(0).normal(0, error, 200_000)
    required = required_gain(np.array([error]))[0]
    lost = []
    for truth in np.linspace(-4, 4, 17) * error:
        taken = truth + noise >= required
        lost.append(-(truth * taken).mean())
    # One trade-off; along a path, down to the last one that luck lifts to what is required:
    lost.append(np.maximum(noise - required, 0).mean())
    assert max(lost) <= 1.02 * SHORTFALL
    assert max(-np.where(truth + noise >= 0, truth, 0).mean()
               for truth in np.linspace(-4, 0, 9) * error) > 0.12 * error  # fmt: skip


def test_very_small_errors_need_no_guard() -> None:
    assert required_gain(np.array([SHORTFALL / 0.4, 1e-6])).tolist() == [0, 0]


def test_an_asked_cost_takes_the_best_that_it_buys() -> None:
    score, cost, reference, paid = trade_offs([30, 20, 15, -40])
    for asked, at in (
        ("savings=5%", 1), ("savings=20%", 2), ("savings=30%", 3), ("savings=90%", 3),
        ("cost=950", 1), ("cost=1", 3),
    ):  # fmt: skip
        assert choose_point(score, cost, reference, paid, Point.parse(asked)) == at, asked
    assert choose_point(score, cost, reference, paid, Point.parse("cost=2000")) == 0
