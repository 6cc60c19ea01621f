"""Routers that see answers: what they learn of them, and what they make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from steppers_worlds import (
    PRICES,
    agreement_tells,
    best_single,
    fitted,
    nothing_tells,
    outcome,
    part,
    table_of,
    thirds,
)

from routebench.bought import Bought
from routebench.errors import DataError
from routebench.records import Table
from routebench_routers.steppers.agreement import AgreementCascade
from routebench_routers.steppers.answers import agreements, to_steps
from routebench_routers.steppers.cascade_routing import CascadeRouting
from routebench_routers.steppers.frugal import Frugal
from routebench_routers.steppers.lists import evaluate, rightness, shrink, useful
from routebench_routers.steppers.prior import Prior
from routebench_routers.steppers.recorded import Recorded
from routebench_routers.steppers.reference_lines import AskAll, Majority
from routebench_routers.steppers.stated import SelfConfidence, Verifier

POLICIES = [AgreementCascade, CascadeRouting, Frugal, Majority, AskAll]


def built(policy: Any, **options: Any) -> Any:
    router = policy.__new__(policy)
    router.options = policy.Options(**options)
    return router


@pytest.mark.parametrize("policy", [AgreementCascade, CascadeRouting])
def test_agreement_that_tells_is_recovered(policy: Any) -> None:
    """Two that agree are right: "a and b, else d" has .36 + .64 · .8 = .872 where d has .8."""
    train, validation, test = thirds(agreement_tells(6000, np.random.default_rng(0)))
    score, _, _ = outcome(fitted(built(policy), train, validation), test)
    single = test.outcomes.score[:, best_single(train)]
    both = (test.outcomes.score[:, :2] == 1).all(axis=1)
    planted = np.where(both, 1.0, test.outcomes.score[:, 3])
    assert (score - single).mean() >= 0.9 * (planted - single).mean()


@pytest.mark.parametrize("policy", [AgreementCascade, CascadeRouting])
def test_at_a_price_the_dear_model_is_asked_less_often(policy: Any) -> None:
    """d costs .02: at λ = 8 its call is worth it where a and b disagree, at λ = 40 never."""
    train, validation, test = thirds(agreement_tells(3000, np.random.default_rng(1)))
    router = fitted(built(policy), train, validation, (0.0, 8.0, 40.0))
    ended = [outcome(router, test, price)[2] for price in (0.0, 8.0, 40.0)]
    share = [(each.asked[:, 3] > 0).mean() for each in ended]
    assert share[0] >= share[1] > share[2] == 0
    assert share[1] < 0.75


@pytest.mark.parametrize("policy", [AgreementCascade, CascadeRouting, Frugal, AskAll])
def test_noise_is_not_beaten_significantly(policy: Any) -> None:
    """At most 2.5% and three standard errors of 60 worlds: 8.5%."""
    rng = np.random.default_rng(2)
    won = 0
    for _ in range(60):
        train, validation, test = thirds(nothing_tells(300, rng))
        score, _, _ = outcome(fitted(built(policy), train, validation), test)
        gain = score - test.outcomes.score[:, best_single(train)]
        won += gain.mean() > 1.96 * gain.std() / np.sqrt(len(gain))
    assert won / 60 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 60)


@pytest.mark.parametrize("policy", POLICIES)
def test_single_queries_decide_as_the_batch(policy: Any) -> None:
    train, validation, test = thirds(agreement_tells(600, np.random.default_rng(3)))
    router = fitted(built(policy), train, validation, (0.0, 5.0))
    whole = outcome(router, test, 5.0)[2]
    for row in range(20):
        alone = outcome(router, part(test, np.array([row])), 5.0)[2]
        assert alone.answer[0] == whole.answer[row]
        np.testing.assert_array_equal(alone.asked[0], whole.asked[row])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_call_that_fails_is_no_answer_and_the_query_goes_on(policy: Any) -> None:
    train, validation, test = thirds(agreement_tells(600, np.random.default_rng(4)))
    router = fitted(built(policy), train, validation)
    assert test.answers is not None
    lost = test.answers
    lost.answered[:50] = False
    lost.answered[:50, 2] = True
    lost.final[:50, [0, 1, 3]] = lost.response[:50, [0, 1, 3]] = None
    ended = outcome(router, test)[2]
    assert (ended.answer[:50] == 2).all()


def test_what_agrees_answers_with_the_model_that_is_right_more_often() -> None:
    """a and b always say the same; b's answers are read right, a's in two of three cases."""
    rng = np.random.default_rng(5)
    n = 600
    score = np.column_stack([np.arange(n) % 3 > 0, np.ones(n), np.zeros(n), np.zeros(n)])
    final = np.full((n, 4), "x", dtype=object)
    final[:, 2], final[:, 3] = "y", "z"
    recorded = Recorded.of(table_of(final, score, np.ones(4), rng))
    right = rightness(recorded, agreements(recorded.answers, np.arange(4)))
    overall = np.array([400 / 600, 1.0])
    expected = (score.sum(axis=0)[:2] + 10 * overall) / (n + 10)
    np.testing.assert_allclose([right[0, 1], right[1, 0]], expected)


def test_lists_by_hand() -> None:
    """Four queries: a and b agree on the first two; c agrees with a on the third."""
    rng = np.random.default_rng(6)
    final = np.array(
        [["A", "A", "B", "C"], ["A", "A", "A", "A"], ["A", "B", "A", "C"], ["A", "B", "C", "D"]],
        dtype=object,
    )
    score = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
    recorded = Recorded.of(table_of(final, score, np.array([1.0, 2.0, 3.0, 10.0]), rng))
    models = np.arange(4)
    agree = agreements(recorded.answers, models)
    lists = evaluate(recorded, agree, rightness(recorded, agree), models)
    cost = {tuple(row[row >= 0]): c for row, c in zip(lists.models, lists.cost, strict=True)}
    # a and b for all four, then d for the last two; with c in between, d for the last one.
    assert cost[0, 1, 3] == pytest.approx((4 * 3 + 2 * 10) / 4 * 1e-3)
    assert cost[0, 1, 2, 3] == pytest.approx((4 * 3 + 2 * 3 + 10) / 4 * 1e-3)
    assert cost[(3,)] == pytest.approx(10e-3)


def test_a_gain_within_twice_its_error_counts_nothing() -> None:
    gain, error = np.array([0.02, 0.04, -0.03, 0.0]), np.array([0.01, 0.01, 0.01, 0.0])
    np.testing.assert_allclose(shrink(gain, error), [0, 0.04 * 0.75, -0.03, 0])


def test_useful_models_are_pareto_fronts_in_turn() -> None:
    score = np.array([0.9, 0.8, 0.5, 0.7, -np.inf])
    cost = np.array([3.0, 1.0, 2.0, 2.0, 0.1])
    assert useful(score, cost, 2).tolist() == [0, 1]
    assert useful(score, cost, 3).tolist() == [0, 1, 3]
    assert useful(score, cost, 9).tolist() == [0, 1, 2, 3]


def test_a_prior_leaves_each_row_out_of_its_own_estimate() -> None:
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((40, 3))
    score = (vectors @ [0.3, -0.2, 0.1])[:, None] + rng.standard_normal((40, 1)) * 0.1
    ok = np.ones(score.shape, dtype=np.bool_)
    prior, left_out = Prior.learn(vectors, score, ok)
    assert abs(left_out - score).mean() > abs(prior(vectors) - score).mean()
    assert np.corrcoef(left_out[:, 0], score[:, 0])[0, 1] > 0.9


def test_texts_agree_by_the_cosine_of_their_vectors() -> None:
    class Encoder:
        dimension, fingerprint = 2, "two"

        def encode(self, texts: Any) -> Any:
            return np.array([{"north": [1, 0], "up": [0.8, 0.6], "east": [0, 1]}[t] for t in texts])

        def save(self, folder: Any) -> None: ...

    bought = Bought.nothing(2, 3)
    bought.response[:] = np.array([["north", "up", "east"], ["north", "east", None]], dtype=object)
    bought.answered[:] = [[True, True, True], [True, True, False]]
    agree = agreements(bought, np.arange(3), 0.7, Encoder())
    assert agree[0].tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert not agree[1].any()


def test_where_no_answer_came_the_next_best_model_is_asked() -> None:
    bought = Bought.nothing(1, 3)
    bought.asked[0, 0] = True
    steps = to_steps(np.zeros((1, 3), np.bool_), np.array([0]), bought, np.array([2, 0, 1]))
    assert steps.answer.tolist() == [-1]
    assert steps.ask.tolist() == [[False, False, True]]


def test_confidences_that_tell_are_used_and_none_are_an_error() -> None:
    """a is right where it is sure, and costs a twentieth of d."""
    rng = np.random.default_rng(8)
    sure = rng.random(1500) < 0.5
    score = np.column_stack([sure, sure, sure, rng.random(1500) < 0.8])
    confidence = np.full(score.shape, np.nan)
    confidence[:, 0] = np.where(sure, 0.95, 0.3)
    final = np.full(score.shape, None, dtype=object)
    price = np.array([1.0, 1.5, 2.0, 20.0])
    table = table_of(final, score, price, rng, confidence=confidence)
    train, validation, test = thirds(table)
    router = fitted(built(SelfConfidence), train, validation)
    reached, cost, ended = outcome(router, test)
    assert reached.mean() == pytest.approx(0.9, abs=0.03)
    assert cost.mean() < 0.6 * 0.020
    assert (ended.asked[:, 0] > 0).all()
    with pytest.raises(DataError, match="no confidences are recorded"):
        fitted(built(SelfConfidence), *thirds(nothing_tells(300, rng))[:2])
    lacking = built(SelfConfidence).needs(table.pool, {"answers"}, True)
    assert lacking == "needs recorded confidences: --set table.confidence=COLUMN names them"
    assert built(SelfConfidence).needs(table.pool, {"answers", "confidence"}, True) is None


def verified(n: int, rng: Any, passes: tuple[float, float]) -> Table:
    """Return a world in which answers of a and b are checked eight times; `passes` is how often.

    One that is right passes a check with the first probability, one that is wrong with the second.
    """
    right = rng.random((n, 4)) < (0.6, 0.6, 0.4, 0.8)
    verification = rng.binomial(8, np.where(right, *passes)) / 8
    verification[:, 2:] = np.nan
    final = np.full(right.shape, None, dtype=object)
    return table_of(final, right, PRICES, rng, verification=verification)


def test_verification_that_tells_is_recovered() -> None:
    """An answer of a that passes stands, else d: .6 + .4 · .8 = .92 where d has .8."""
    rng = np.random.default_rng(11)
    train, validation, test = thirds(verified(3000, rng, (0.9, 0.2)))
    router = fitted(built(Verifier), train, validation, (0.0, 8.0, 400.0))
    score, cost, _ = outcome(router, test)
    single = test.outcomes.score[:, best_single(train)]
    planted = np.where(test.outcomes.score[:, 0] == 1, 1.0, test.outcomes.score[:, 3])
    assert (score - single).mean() >= 0.9 * (planted - single).mean()
    assert cost.mean() < 0.6 * 0.020
    cheap = outcome(router, test, 400.0)[2]
    assert (cheap.asked[:, 3] == 0).all(), "at that price the dear model is never asked"
    for row in range(10):
        alone = outcome(router, part(test, np.array([row])), 8.0)[2]
        whole = outcome(router, test, 8.0)[2]
        np.testing.assert_array_equal(alone.asked[0], whole.asked[row])


def test_verification_that_tells_nothing_is_not_beaten_significantly() -> None:
    """At most 2.5% and three standard errors of 60 worlds: 8.5%."""
    rng, won = np.random.default_rng(12), 0
    for _ in range(60):
        train, validation, test = thirds(verified(300, rng, (0.5, 0.5)))
        score, _, _ = outcome(fitted(built(Verifier), train, validation), test)
        gain = score - test.outcomes.score[:, best_single(train)]
        won += gain.mean() > 1.96 * gain.std() / np.sqrt(len(gain))
    assert won / 60 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 60)


def test_an_answer_that_did_not_come_is_not_verified_and_the_query_goes_on() -> None:
    rng = np.random.default_rng(13)
    train, validation, test = thirds(verified(600, rng, (0.9, 0.2)))
    router = fitted(built(Verifier), train, validation)
    lost = test.answers
    assert lost is not None
    assert lost.verification is not None
    lost.answered[:50, [0, 1, 3]] = False
    lost.verification[:50] = np.nan
    assert (outcome(router, test)[2].answer[:50] == 2).all()


def test_without_verifications_there_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="no verifications are recorded"):
        fitted(built(Verifier), *thirds(nothing_tells(300, np.random.default_rng(9)))[:2])
    pool = nothing_tells(9, np.random.default_rng(9)).pool
    lacking = built(Verifier).needs(pool, {"answers", "confidence"}, True)
    assert lacking == "needs recorded verifications: --set table.verification=COLUMN names them"
    assert built(Verifier).needs(pool, {"answers", "verification"}, True) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_without_answers_there_is_one_clear_error(policy: Any) -> None:
    train, validation, _ = thirds(nothing_tells(300, np.random.default_rng(9)))
    bare = [type(t)(t.queries, t.outcomes, t.pool) for t in (train, validation)]
    with pytest.raises(DataError, match="none are recorded"):
        fitted(built(policy), *bare)


def test_a_majority_of_three_outvotes_the_best() -> None:
    rng = np.random.default_rng(10)
    final = np.array([["A", "B", "B"]] * 60, dtype=object)
    score = np.column_stack([np.ones(60), np.zeros(60), np.zeros(60)])
    table = table_of(final, score, np.ones(3), rng)
    ended = outcome(fitted(built(Majority), table, table), table)[2]
    assert (ended.answer != 0).all()
    assert (ended.asked == 1).all()
