"""A collection on a terminal: what comes from servers is shown, and does nothing."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from routebench.collect.collect import CollectionSummary
from routebench.collect.planning import CollectionPlan, TargetModel
from routebench.errors import CallError
from routebench.prices.apply import ModelPrice
from routebench.report.terminal import collecting
from routebench.shard import Shard
from routebench.store.call_counts import CallCounts

PRICE = ModelPrice.model_validate({"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0})
NASTY = "\x1b[2J[bold]x[/bold] [/nonsense] \u202e\x00 y\nz"


def page() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=150, highlight=False), file


@pytest.fixture
def target() -> TargetModel:
    return TargetModel("openai", "m[red]", None, {}, PRICE, "list")


def test_errors_are_escaped_and_only_the_first_are_told(target: TargetModel) -> None:
    out, file = page()
    with collecting.CollectionProgress(out) as watch:
        watch.asking(target, 20)
        for _ in range(9):
            watch.failed(target, CallError("rejected", NASTY))
        watch.retried(target, CallError("server", NASTY))
        watch.stopped(target, CallError("denied", NASTY, NASTY))
        watch.answered(target, 0.25)
        watch.ending(3)
    said = file.getvalue()
    assert all(character.isprintable() or character == "\n" for character in said)
    assert said.count("openai:m[red]: rejected: ␛[2J[bold]x[/bold] [/nonsense] <202e>␀ y z") == 5
    assert "further failures are counted only" in said
    assert "asked again: 1 server" in said


def test_the_result_says_what_is_left_and_why(target: TargetModel) -> None:
    out, file = page()
    plan = CollectionPlan("facts", (), (target,), 1, Path("a b.sqlite"))
    states = Counter(answered=90, failed=4, pending=5, in_flight=1)
    found = {target.name: CallCounts(states, Counter({"rejected": 4}), 1.5, 4)}
    found[target.name].miscounted = Counter(zero=1, contradictory=1)
    done = CollectionSummary(90, 4, 1.25, 99, 3, 0.5, 7, True)
    done.empty, done.guessed_usd = 6, 0.25
    done.reasons = {target.name: "too long a prompt"}
    collecting.show_result(plan, found, done, 2.75, out)
    said = " ".join(file.getvalue().split())
    for words in (
        "openai:m[red] 90 4 6 1.5 + ? 4 rejected: too long a prompt",
        "spent $1.25 now, $2.75 in all, without 4 answers of unknown cost",
        "the budget ended it: 6 calls are left",
        "1 calls are under way in another process",
        "the same command asks failed calls again",
        "3 attempts brought no whole answer and may have been charged, at most $0.5",
        "the server did not say what 2 answers used; the server counted no tokens for 1 answers;"
        " the server's counts for 1 answers contradict themselves: their cost is not known and not"
        " in the sum, about $0.25 now by the lengths of the texts",
        "6 answers have no text",
    ):
        assert words in said
    stopped = CallError("denied", "HTTP 401: bad key", "look at SOME_KEY")
    done.stopped, found[target.name].usd = {target.name: stopped}, 0.0
    out, file = page()
    collecting.show_result(plan, found, done, 2.75, out)
    said = " ".join(file.getvalue().split())
    assert "openai:m[red] 90 4 6 ? 4 rejected: HTTP 401: bad key" in said
    assert "note: openai:m[red]: look at SOME_KEY" in said
    facts: dict[str, Any] = collecting.as_json(plan, found, done, 2.75)
    assert facts["models"][0]["states"] == dict(states)
    assert facts["budget_reached"] is True
    assert collecting.next_command(plan).endswith("--suite facts --data 'a b.sqlite'")

    part = replace(plan, store=Path("a b.1-of-3.sqlite"), shard=Shard(1, 3))
    assert collecting.next_command(part) == (
        "routebench merge 'a b.'*-of-3.sqlite --out 'a b.sqlite'  # once all shards are there"
    )


def test_dollars() -> None:
    shown = [collecting.usd(amount) for amount in (0.0, 0.000123456, 1.23456, 99.999, 1234.5)]
    assert shown == ["0", "0.0001235", "1.235", "100", "1,234.50"]


def test_a_budget_says_where_it_guesses(target: TargetModel) -> None:
    class Live:
        async def ask(self, request: Any) -> Any: ...

    def noted(plugin: Any, parameters: dict[str, Any]) -> list[str]:
        one = TargetModel("openai", "m", plugin, parameters, PRICE, "list")
        return collecting.guessed(CollectionPlan("facts", (), (one,), 1, Path("s.sqlite")))

    (said,) = noted(Live(), {"temperature": 0})
    assert "openai:m: no longest answer is set" in said
    assert noted(Live(), {"max_tokens": 10}) == noted(None, {}) == []
