"""Routers that see answers: a sound one passes the checks, and every fault is named."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import pytest
from failures import failures
from steppers import AskInTurn

from routebench import Bought, Queries, Steps, hookimpl
from routebench.testing import check_router, router_checks


class Broken(AskInTurn):
    """Asks in turn, but for one fault."""

    @hookimpl
    def step(self, queries: Queries, bought: Bought) -> Steps:
        return self.spoil(AskInTurn.step(self, queries, bought), bought)

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        raise NotImplementedError


class AsksOutsideThePool(Broken):
    fault = "check_fit_and_route", "expected bool (80, 4)"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        return Steps(np.pad(steps.ask, ((0, 0), (0, 1))), steps.answer)


class NamesAModelThatIsNotThere(Broken):
    fault = "check_fit_and_route", "answer has -1 to 4, expected -1 to 3"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        return Steps(steps.ask, np.where(steps.answer >= 0, 4, steps.answer))


class AsksTwice(Broken):
    fault = "check_fit_and_route", "asks 'model-a' twice for one query"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        again = bought.asked.sum(axis=1) == 1
        ask = np.where(again[:, None], bought.asked, steps.ask)
        return Steps(ask, np.where(again, -1, steps.answer))


class StopsUnbought(Broken):
    fault = "check_fit_and_route", "an answer of 'model-d' that it never bought"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        return Steps(steps.ask, np.where(steps.answer >= 0, 3, -1))


class NeverStops(Broken):
    fault = "check_fit_and_route", "neither asks nor stops"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        return Steps(steps.ask, np.full(len(steps.answer), -1))


class NeverStopsWhereItCosts(AskInTurn):
    fault = "check_trade_offs", "neither asks nor stops"

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        steps = AskInTurn.step(self, queries, bought)
        return Steps(steps.ask, np.full(len(queries), -1)) if trade_off else steps


class ForgetsFailures(Broken):
    fault = "check_failed_calls", "whose answer did not come"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        stop = bought.asked.any(axis=1)
        first = np.argmax(bought.asked, axis=1)
        return Steps(steps.ask & ~stop[:, None], np.where(stop, first, -1))


class CountsTheOthers(Broken):
    fault = "check_batch_equals_single", "decided otherwise alone"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        stop = bought.answered[:, 0] & (len(steps.answer) > 1)
        return Steps(steps.ask & ~stop[:, None], np.where(stop, 0, steps.answer))


class LooksAtTheOthers(Broken):
    """Stops after one answer where most open queries got another: singles never see any."""

    fault = "check_round_order", "another order, and among other queries"

    def spoil(self, steps: Steps, bought: Bought) -> Steps:
        late = len(steps.answer) > 20 and bought.asked.sum(axis=1).max(initial=0) == 1
        stop = np.arange(len(steps.answer)) % 7 == 6
        stop &= late & bought.answered[:, 0] & (np.arange(len(steps.answer)) >= 64)
        return Steps(steps.ask & ~stop[:, None], np.where(stop, 0, steps.answer))


class DoesBoth(AskInTurn):
    fault = "check_hooks", "has both route and step"

    @hookimpl
    def route(self, queries: Queries) -> Any:
        raise NotImplementedError


FAULTS = [
    AsksOutsideThePool,
    NamesAModelThatIsNotThere,
    AsksTwice,
    StopsUnbought,
    NeverStops,
    NeverStopsWhereItCosts,
    ForgetsFailures,
    CountsTheOthers,
    LooksAtTheOthers,
    DoesBoth,
]


def test_a_sound_one_passes() -> None:
    check_router(AskInTurn)


@pytest.mark.parametrize("router", FAULTS)
def test_a_fault_is_named(router: Any) -> None:
    name, words = router.fault
    assert words in failures(router_checks(router)).get(name, "")


def test_routers_that_see_no_answers_skip_what_is_about_steps() -> None:
    from routebench_routers.references import BestSingle

    for check in router_checks(BestSingle):
        if check.name in ("check_trade_offs", "check_failed_calls", "check_round_order"):
            with pytest.raises(unittest.SkipTest, match="sees no answers"):
                check()
