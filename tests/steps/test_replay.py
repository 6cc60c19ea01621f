"""A router is stepped: what it sees, what it may do, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest

from routebench import Bought, PluginError, Queries, Steps
from routebench.steps.replay import RecordedAnswers, step_through

MODELS = ("a", "b", "c")


def recorded(n: int = 4) -> Bought:
    """Return answers `a0`, `b0` … of three models, all asked and answered."""
    everything = Bought.nothing(n, 3)
    for row in range(n):
        for model, name in enumerate(MODELS):
            everything.asked[row, model] = everything.answered[row, model] = True
            everything.response[row, model] = everything.final[row, model] = f"{name}{row}"
            everything.cost[row, model] = 1.0 + model
    return everything


def asking(n: int) -> Queries:
    return Queries(np.array([f"query {i}" for i in range(n)], dtype=object))


def ask_then_stop(order):
    """Return a step that asks the models in this order, one a round, and stops with the last."""

    def step(queries, bought):
        count = bought.asked.sum(axis=1)
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        answer = np.full(len(queries), -1)
        for row, done in enumerate(count):
            if done < len(order):
                ask[row, order[done]] = True
            else:
                answer[row] = order[-1]
        return Steps(ask, answer)

    return step


def test_it_is_shown_what_it_bought_and_nothing_else():
    seen = []

    def step(queries, bought):
        seen.append(bought)
        return ask_then_stop([1, 0])(queries, bought)

    ended = step_through(step, asking(4), MODELS, RecordedAnswers(recorded(), MODELS))
    first, second, third = seen
    assert not first.asked.any()
    assert all(text is None for text in first.response.ravel())
    assert second.response[2].tolist() == [None, "b2", None]
    assert np.isnan(second.cost[:, [0, 2]]).all()
    assert (second.cost[:, 1] == 2.0).all()
    assert third.final[3].tolist() == ["a3", "b3", None]
    assert ended.answer.tolist() == [0] * 4
    assert ended.asked.tolist() == [[2, 1, 0]] * 4


def test_what_it_changes_in_its_copy_changes_nothing():
    def step(queries, bought):
        made = ask_then_stop([0])(queries, bought)
        bought.asked[:] = True
        bought.answered[:] = True
        return Steps(made.ask, np.where(made.answer < 0, made.answer, 2))

    with pytest.raises(PluginError, match="answer of 'c' that it never bought"):
        step_through(step, asking(4), MODELS, RecordedAnswers(recorded(), MODELS))


def test_a_call_that_failed_is_no_answer_and_the_router_goes_on():
    everything = recorded()
    everything.answered[1, 0] = False
    everything.response[1, 0] = everything.final[1, 0] = None

    def step(queries, bought):
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        ask[:, 0] = ~bought.asked[:, 0]
        ask[:, 2] = bought.asked[:, 0] & ~bought.answered[:, 0] & ~bought.asked[:, 2]
        stop = ~ask.any(axis=1)
        return Steps(ask, np.where(stop, np.where(bought.answered[:, 0], 0, 2), -1))

    ended = step_through(step, asking(4), MODELS, RecordedAnswers(everything, MODELS))
    assert ended.answer.tolist() == [0, 2, 0, 0]
    assert ended.asked[1].tolist() == [1, 0, 2]


def test_a_query_that_nobody_answers_ends_with_the_first_asked():
    everything = recorded(2)
    everything.answered[1] = False
    ended = step_through(
        lambda queries, bought: (
            Steps(np.tile([False, True, False], (len(queries), 1)), np.full(len(queries), -1))
            if not bought.asked.any()
            else _rest(bought)
        ),
        asking(2),
        MODELS,
        RecordedAnswers(everything, MODELS),
    )
    assert ended.answer.tolist() == [1, 1]
    assert (ended.asked[1] > 0).all()
    assert not ended.bought.answered[1].any()


def _rest(bought):
    stop = bought.answered[:, 1]
    return Steps(~bought.asked & ~stop[:, None], np.where(stop, 1, -1))


ALL, NONE = [True] * 3, [False] * 3


@pytest.mark.parametrize(
    ("ask", "answer", "message"),
    [
        ([True, False, False], 0, "asks and stops"),
        (NONE, -1, "neither asks nor stops"),
        (NONE, 2, "answer of 'c' that it never bought"),
        (NONE, 1, "stops with 'b', whose answer did not come"),
        (NONE, 3, "expected -1 to 2"),
        ([True, False, True], -1, "asks 'a' twice"),
        ([1, 0, 0], -1, "ask is int64"),
        ([True, False], -1, r"\(4, 2\), expected bool \(4, 3\)"),
    ],
)
def test_a_step_against_the_contract_is_named(ask, answer, message):
    everything = recorded()
    everything.answered[:, 1] = False

    def step(queries, bought):
        n = len(queries)
        if not bought.asked.any():
            return Steps(np.tile([True, True, False], (n, 1)), np.full(n, -1))
        return Steps(np.tile(ask, (n, 1)), np.full(n, answer))

    with pytest.raises(PluginError, match=message):
        step_through(step, asking(4), MODELS, RecordedAnswers(everything, MODELS))


def test_a_model_without_a_recorded_call_cannot_be_asked():
    everything = recorded()
    everything.asked[2, 2] = everything.answered[2, 2] = False
    with pytest.raises(PluginError, match="asks 'c' for a query it was never asked"):
        step_through(ask_then_stop([2]), asking(4), MODELS, RecordedAnswers(everything, MODELS))


def test_what_is_kept_of_training_answers_is_as_if_no_more_were_bought():
    cells = np.array([[True, False, False]] * 4)
    kept = recorded().only(cells)
    assert kept.response[0].tolist() == ["a0", None, None]
    assert kept.asked.sum() == 4
    assert np.isnan(kept.cost[:, 1:]).all()
