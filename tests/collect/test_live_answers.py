"""Answers bought from live models as a router asks for them: billed, in a budget, no secrets."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from routebench.collect.budget import SpendingBudget
from routebench.collect.live_answers import LiveAnswers
from routebench.collect.planning import TargetModel
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError
from routebench.prices.apply import ModelPrice
from routebench.records import Reply, Request

MODELS = ("a", "b", "c")
PRICE = ModelPrice.model_validate({"input_usd_per_mtok": 1000.0, "output_usd_per_mtok": 1000.0})
PAID = 0.006
"""USD of a reply: four tokens of the prompt, two of the answer."""
QUICK = Limits(timeout=5.0, attempts=2, patience=0.001)


class Live:
    """Answers with the model's name; `trouble` by model is raised or returned in its place."""

    def __init__(self, trouble: dict[str, CallError | Reply] | None = None) -> None:
        self.trouble = trouble or {}
        self.asked: list[str] = []
        self.loops: set[Any] = set()
        self.open = self.most = self.closed = 0

    async def ask(self, request: Request) -> Reply:
        self.asked.append(request.model)
        self.loops.add(asyncio.get_running_loop())
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.01)
        self.open -= 1
        found = self.trouble.get(
            request.model, Reply(f"({request.model})", 4.0, 2.0, finish="length")
        )
        if isinstance(found, CallError):
            raise found
        return found

    async def close(self) -> None:
        self.closed += 1


def inside(questions: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    assert len(questions) == len(answers)
    return [text.strip("()") or None for text in answers]


def source(plugin: Live, budget: SpendingBudget | None = None) -> LiveAnswers:
    known = {"max_output_tokens": 10}
    targets = {
        name: TargetModel("live", name.upper(), plugin, known, PRICE, "test") for name in MODELS
    }
    budget = budget or SpendingBudget(None)
    made = LiveAnswers(targets, MODELS, inside, budget, QUICK)
    made.begin(["a question"])
    return made


def wanted(*models: str) -> Any:
    return np.isin(MODELS, models)[None]


FIRST = np.array([0])


def test_a_round_is_asked_at_once_and_every_call_is_billed() -> None:
    plugin = Live({"B": Reply("(B)", 4.0, 2.0, confidence=-0.5)})
    with source(plugin) as answers:
        bought = answers.buy(FIRST, wanted("a", "b"))
        more = answers.buy(FIRST, wanted("c"))
    assert plugin.most == 2
    assert plugin.closed == 1
    assert len(plugin.loops) == 1, "connections belong to one loop"
    assert bought.asked.tolist() == bought.answered.tolist() == [[True, True, False]]
    assert bought.response.tolist() == [["(A)", "(B)", None]]
    assert bought.final.tolist() == [["A", "B", None]]
    assert bought.cost[0, :2].tolist() == pytest.approx([PAID, PAID])
    assert math.isnan(bought.cost[0, 2])
    assert bought.finish_reason is not None
    assert bought.finish_reason[0, 0] == "length"
    assert bought.confidence[0].tolist() == pytest.approx([math.nan, -0.5, math.nan], nan_ok=True)
    assert more.answered.tolist() == [[False, False, True]]
    assert answers.budget.spent == pytest.approx(3 * PAID)
    assert [call.model for call in answers.calls.values()] == ["a", "b", "c"]


def test_a_failed_call_is_no_answer_and_the_key_in_its_message_is_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXAMPLE_API_KEY", "sk-0123456789")
    plugin = Live({"A": CallError("denied", "wrong key: sk-0123456789")})
    with source(plugin) as answers:
        bought = answers.buy(FIRST, wanted("a", "b"))
    assert bought.answered.tolist() == [[False, True, False]]
    assert bought.response[0, 0] is bought.final[0, 0] is None
    assert bought.cost[0, 0] == 0
    call = answers.calls[0, 0]
    assert (call.answered, call.usd) == (False, 0)
    assert call.error == "wrong key: [hidden]"
    assert answers.budget.spent == pytest.approx(PAID)


def test_attempts_that_may_be_charged_count_against_the_budget() -> None:
    plugin = Live({"A": CallError("timeout", "late")})
    with source(plugin, SpendingBudget(10.0)) as answers:
        answers.buy(FIRST, wanted("a"))
        most = answers._targets[0].most_usd("a question")
        assert plugin.asked == ["A", "A"], "asked again once"
        assert answers.calls[0, 0].most_usd == pytest.approx(2 * most)
        assert answers.budget.left == pytest.approx(10.0 - 2 * most)
        assert answers.budget.spent == 0


def test_an_answer_of_unknown_cost_stays_out_of_the_budget() -> None:
    plugin = Live({"A": Reply("(x)")})
    with source(plugin, SpendingBudget(10.0)) as answers:
        bought = answers.buy(FIRST, wanted("a"))
        most = answers._targets[0].most_usd("a question")
    assert bought.answered[0, 0]
    assert math.isnan(bought.cost[0, 0])
    assert math.isnan(answers.calls[0, 0].usd)
    assert answers.calls[0, 0].most_usd == pytest.approx(most)
    assert answers.budget.left == pytest.approx(10.0 - most)


def test_a_call_that_may_cost_more_than_is_left_is_not_made() -> None:
    plugin = Live()
    most = source(plugin)._targets[0].most_usd("a question")
    with source(plugin, SpendingBudget(1.5 * most)) as answers:
        bought = answers.buy(FIRST, wanted("a", "b"))
        assert plugin.asked == ["A"], "two at once might go over"
        assert bought.asked.tolist() == [[True, True, False]]
        assert bought.answered.tolist() == [[True, False, False]]
        assert "left of the budget" in answers.calls[0, 1].error
        assert answers.budget.short
        answers.buy(FIRST, wanted("c"))
    assert plugin.asked == ["A", "C"], "the first cost less than was set aside"
    assert answers.budget.spent == pytest.approx(2 * PAID)
