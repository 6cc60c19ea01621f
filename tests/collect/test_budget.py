"""Money: set aside before a call, settled after it, and never more than allowed."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator

import pytest
from clockwork import Server, run

from routebench.collect.budget import (
    LONGEST,
    OVERHEAD,
    SpendingBudget,
    is_limited,
    most_tokens,
    most_usd,
)
from routebench.collect.calls import Outcome, ask_all
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError, OptionError
from routebench.prices.apply import ModelPrice
from routebench.records import Request


def price(**more: float) -> ModelPrice:
    return ModelPrice.model_validate(
        {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0} | more
    )


def trial(seed: int, *, honest: bool) -> None:
    """Random costs, failures and concurrency; `honest`: no call costs more than was set aside."""
    rng = random.Random(seed)
    n, wide = rng.randint(1, 120), rng.randint(1, 30)
    most = [rng.choice([0.001, 0.01, 0.05, rng.uniform(0.001, 0.2)]) for _ in range(n)]
    cost = [each * rng.uniform(0, 1 if honest else 3) for each in most]
    usd = rng.uniform(0.01, 1.2 * sum(cost) + 0.05)
    fails = {str(number) for number in range(n) if rng.random() < 0.1}
    budget, made, paid = SpendingBudget(usd), set[int](), 0.0
    under_way: set[int] = set()
    over = 0.0  # what calls under way may have cost beyond what was set aside

    def script(prompt: str, attempt: int) -> CallError | None:
        under_way.add(int(prompt))
        assert int(prompt) in made
        return CallError("rejected", "no") if prompt in fails else None

    async def requests() -> AsyncIterator[Request]:
        for number in range(n):
            if not await budget.reserve(most[number]):
                return
            assert budget.spent + budget.reserved <= usd + 1e-9
            made.add(number)
            yield Request("m", str(number))

    def ended(outcome: Outcome) -> None:
        nonlocal paid, over
        number = int(outcome.request.prompt)
        under_way.remove(number)
        if isinstance(outcome.result, CallError):
            budget.release(most[number])
            return
        paid += cost[number]
        over += max(0.0, cost[number] - most[number])
        budget.settle(most[number], paid)

    async def main() -> None:
        limits = Limits(concurrency=wide)
        asked = requests()
        server = Server(script=script, seed=seed)
        await ask_all(server, asked, limits=limits, on_reply=ended, on_failure=ended)

    run(main(), seed)
    assert not under_way
    assert budget.reserved == 0.0
    assert budget.spent == pytest.approx(paid)
    assert paid <= usd + (1e-9 if honest else over + 1e-9)
    if budget.short:
        assert len(made) < n
        assert most[len(made)] > usd - paid - 1e-9, "what fits is asked"
    else:
        assert len(made) == n


@pytest.mark.parametrize("block", range(10))
def test_two_hundred_random_budgets_hold(block: int) -> None:
    for seed in range(20 * block, 20 * (block + 1)):
        trial(seed, honest=True)


def test_calls_that_cost_more_than_was_set_aside_go_over_by_no_more() -> None:
    for seed in range(1000, 1050):
        trial(seed, honest=False)


def test_a_call_waits_for_one_that_may_turn_out_cheaper() -> None:
    async def main() -> None:
        budget = SpendingBudget(1.0)
        assert await budget.reserve(0.8)
        waiting = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(1)
        assert not waiting.done()
        budget.settle(0.8, 0.2)
        assert await waiting
        other = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(1)
        budget.settle(0.5, 0.7)
        assert not await other  # nothing under way can change it
        assert budget.short

    run(main())


def test_closing_tells_those_who_wait() -> None:
    async def main() -> None:
        budget = SpendingBudget(1.0)
        assert await budget.reserve(1.0)
        waiting = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(1)
        budget.close()
        assert not await waiting
        assert not await budget.reserve(0.0001)
        assert not budget.short

    run(main())


def test_what_others_spend_counts_and_late_totals_take_nothing_back() -> None:
    async def main() -> None:
        budget = SpendingBudget(1.0, spent=0.3)
        assert budget.left == pytest.approx(0.7)
        budget.read(0.9)
        budget.read(0.5)
        assert budget.left == pytest.approx(0.1)
        assert not await budget.reserve(0.2)

    run(main())


def test_a_cost_that_nobody_knows_stays_set_aside() -> None:
    async def main() -> None:
        budget = SpendingBudget(1.0)
        assert await budget.reserve(0.4)
        budget.settle(0.4, 0.0, priced=False)
        budget.doubt(0.5)
        assert (budget.spent, budget.doubtful) == (0.0, 0.9)
        assert not await budget.reserve(0.2)

    run(main())


def test_no_budget_is_no_limit_and_nothing_is_no_budget() -> None:
    assert math.isinf(SpendingBudget(None).left)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(OptionError, match="--budget"):
            SpendingBudget(wrong)


def test_the_most_that_a_call_costs() -> None:
    text = "東京" * 10  # six bytes each: never more tokens than bytes
    assert most_usd(price(), text, {"max_output_tokens": 100}) == pytest.approx(
        ((60 + OVERHEAD) * 1.0 + 100 * 10.0) / 1e6
    )
    assert most_usd(price(), "", {"max_tokens": 10, "system": "x" * 36}) == pytest.approx(
        (100 * 1.0 + 10 * 10.0) / 1e6
    )
    assert most_tokens({}) == LONGEST
    assert (is_limited({}), is_limited({"max_tokens": 5})) == (False, True)
    dear = price(thinking_usd_per_mtok=50.0, usd_per_request=0.5)
    assert most_usd(dear, "", {"max_tokens": 10}) == pytest.approx(0.5 + (64 + 500) / 1e6)
    assert most_usd(price(), "\ud800", {}) > 0
