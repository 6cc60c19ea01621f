"""Twenty queries worked out by hand: what is paid, and how long it takes.

Three models. `small` costs .1 cents and takes 1 s, `middle` .2 cents and 2 s, `large` 1 cent and
4 s, but for the cells below. The policy asks small and middle at once; where both answered alike
it stops, else it asks large, and where large fails it gives middle's answer, or else small's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from routebench import Bought, Outcomes, Queries, State, Steps
from routebench.steps.billing import billed, waited
from routebench.steps.replay import RecordedAnswers, step_through

MODELS = ("large", "middle", "small")
LARGE, MIDDLE, SMALL = 0, 1, 2
N = 20
AGREE = range(12)
"""Queries 0 to 11: small and middle say A. From 12 on small says B."""
FREE_FAILURE, PAID_FAILURE = 12, 13
"""Large fails: nothing is recorded as paid for it, or .5 cents after 3 s."""
FIRST_FAILS = 14
"""Middle fails, paid in full after its 2 s: small alone is no agreement."""
NO_PRICE = 15
"""Large answers, and its price is not known."""
SLOW = 16
"""Small takes 9 s: the round waits for it."""
NO_TIME = 17
"""Large's latency is not known."""


def world() -> tuple[Bought, Outcomes]:
    cost = np.tile([1.0, 0.2, 0.1], (N, 1))
    latency = np.tile([4.0, 2.0, 1.0], (N, 1))
    state = np.full((N, 3), State.OK, dtype=np.int8)
    state[[FREE_FAILURE, PAID_FAILURE], LARGE] = State.FAILED
    state[FIRST_FAILS, MIDDLE] = State.FAILED
    state[NO_PRICE, LARGE] = State.UNPRICED
    cost[FREE_FAILURE, LARGE] = np.nan
    cost[PAID_FAILURE, LARGE], latency[PAID_FAILURE, LARGE] = 0.5, 3.0
    cost[NO_PRICE, LARGE] = np.nan
    latency[SLOW, SMALL], latency[NO_TIME, LARGE] = 9.0, np.nan
    final = np.full((N, 3), "A", dtype=object)
    final[12:, SMALL] = "B"
    answered = state != State.FAILED
    final[~answered] = None
    outcomes = Outcomes(np.zeros((N, 3)), state, cost, latency=latency)
    everything = Bought(
        asked=np.ones((N, 3), dtype=np.bool_),
        answered=answered,
        response=final.copy(),
        final=final,
        input_tokens=np.full((N, 3), np.nan),
        output_tokens=np.full((N, 3), np.nan),
        cost=cost,
        latency=latency,
        confidence=np.full((N, 3), np.nan),
    )
    return everything, outcomes


def policy(queries: Queries, bought: Bought) -> Steps:
    ask = np.zeros((len(queries), 3), dtype=np.bool_)
    answer = np.full(len(queries), -1)
    for row in range(len(queries)):
        final, came = bought.final[row], bought.answered[row]
        if not bought.asked[row].any():
            ask[row, [MIDDLE, SMALL]] = True
        elif came[MIDDLE] and final[MIDDLE] == final[SMALL]:
            answer[row] = MIDDLE
        elif not bought.asked[row, LARGE]:
            ask[row, LARGE] = True
        else:
            answer[row] = next(model for model in (LARGE, MIDDLE, SMALL) if came[model])
    return Steps(ask, answer)


@pytest.fixture(scope="module")
def ended() -> Any:
    everything, _ = world()
    queries = Queries(np.array([f"query {i}" for i in range(N)], dtype=object))
    return step_through(policy, queries, MODELS, RecordedAnswers(everything, MODELS))


def test_whose_answers_are_given(ended: Any) -> None:
    expected = [MIDDLE] * 12 + [LARGE] * 8
    expected[FREE_FAILURE] = expected[PAID_FAILURE] = MIDDLE
    assert ended.answer.tolist() == expected
    assert ended.asked[0].tolist() == [0, 1, 1]
    assert ended.asked[19].tolist() == [2, 1, 1]


def test_every_answer_asked_for_is_paid(ended: Any) -> None:
    _, outcomes = world()
    paid = billed(ended.asked, outcomes)
    expected = [0.3] * 12 + [1.3] * 8
    expected[FREE_FAILURE] = 0.3  # what large did not answer cost nothing
    expected[PAID_FAILURE] = 0.8  # .3 and the .5 of a failed call
    expected[FIRST_FAILS] = 1.3  # a failed call that was charged in full
    expected[NO_PRICE] = np.nan  # unknown is not free
    assert paid == pytest.approx(expected, nan_ok=True)
    known = paid[~np.isnan(paid)]
    assert known.sum() == pytest.approx(12 * 0.3 + 0.3 + 0.8 + 5 * 1.3)


def test_rounds_add_up_and_within_one_the_slowest_counts(ended: Any) -> None:
    _, outcomes = world()
    expected = [2.0] * 12 + [6.0] * 8
    expected[PAID_FAILURE] = 5.0  # 2 and the 3 that its failure took
    expected[SLOW] = 13.0  # 9 and 4
    expected[NO_TIME] = np.nan
    assert waited(ended.asked, outcomes) == pytest.approx(expected, nan_ok=True)


def test_several_trade_offs_at_once(ended: Any) -> None:
    _, outcomes = world()
    nobody = np.zeros_like(ended.asked)
    nobody[:, SMALL] = 1
    both = billed(np.stack([ended.asked, nobody]), outcomes)
    assert both.shape == (2, N)
    assert both[1] == pytest.approx([0.1] * N)
    assert waited(np.stack([ended.asked, nobody]), outcomes)[1, SLOW] == 9.0
