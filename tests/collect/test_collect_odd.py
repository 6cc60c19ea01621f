"""Collecting where something is odd: usage that no server can have counted, stores that nobody
collected, other questions in the same store."""

from __future__ import annotations

import math
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import filled
from test_collect import Heard, Live, found, go, plan_of

from routebench.collect.calls import ask_batch
from routebench.collect.plausible import checked, plausible
from routebench.config import make
from routebench.errors import CallError, DataError
from routebench.hookspecs import StoredQuestion
from routebench.loading import load_data
from routebench.prices.lists import MOST, load_prices
from routebench.records import Answers, Grade, Reply, Request
from routebench.store.store import AnswerStore

UNKNOWN = (None, None, 0, 0)


@pytest.mark.parametrize(
    ("said", "meant", "why"),
    [
        ((5, 3, 2, 1), (5, 3, 2, 1), ""),
        ((5, None, 2, 0), (5, None, 2, 0), ""),
        ((None, None, 0, 0), UNKNOWN, ""),
        ((5, 3, -1, None), (5, 3, 0, 0), ""),
        ((-5, 3, 0, 0), UNKNOWN, "contradictory"),
        ((5, 1e30, 0, 0), UNKNOWN, "contradictory"),
        ((5, math.inf, 0, math.inf), UNKNOWN, "contradictory"),
        ((5, 3, 50, 1), UNKNOWN, "contradictory"),  # more cached than there was
        ((5, 3, 0, 50), UNKNOWN, "contradictory"),  # more reasoning than output
        ((0, 0, 0, 0), UNKNOWN, "zero"),
        ((5, 0, 0, 0), UNKNOWN, "zero"),
        ((0, 3, 0, 0), UNKNOWN, "zero"),
    ],
)
def test_counts_that_cannot_be_are_unknown(said: Any, meant: Any, why: str) -> None:
    given, came, cached, thinking = (math.nan if n is None else float(n) for n in said)
    read = plausible(Reply("x", given, came, cached, thinking, "length", "m-1"))
    assert (read.text, read.finish, read.version) == ("x", "length", "m-1")
    counts = (read.input_tokens, read.output_tokens, read.cached_tokens, read.thinking_tokens)
    assert [None if math.isnan(n) else n for n in counts] == list(meant)
    assert read.miscounted == why


@pytest.mark.parametrize(
    ("reply", "prompt", "why"),
    [
        (Reply("Paris " * 1000, 5, 3), "q", "contradictory"),  # 2,000 characters a token
        (Reply("", 5, 3, reasoning="Paris " * 1000), "q", "contradictory"),
        (Reply("x", 5, 3), "q" * 1000, "contradictory"),
        (Reply("x" * 300, 5, 3), "q" * 600, ""),
        (Reply("", 5, 0), "q", ""),
        (Reply("", 5, 0, finish="refused"), "q", ""),
        (Reply("I can't.", 5, 0, finish="refused"), "q", ""),
        (Reply("I can't.", 0, 0, finish="refused"), "q", "zero"),
        (Reply("", 5, 0, reasoning="Hm."), "q", "zero"),
        (Reply("x", 5, 3, miscounted="contradictory"), "q", "contradictory"),
    ],
)
def test_counts_are_held_against_the_texts(reply: Reply, prompt: str, why: str) -> None:
    read = plausible(reply, prompt)
    assert read.miscounted == why
    assert math.isnan(read.input_tokens) == bool(why)


def test_an_empty_answer_needs_counts() -> None:
    """A server that fails says the same as a model that says nothing."""
    for nothing in (Reply(""), Reply(" \n"), Reply("", 0, 0)):
        with pytest.raises(CallError, match="the answer is empty") as caught:
            checked(nothing, "q")
        assert caught.value.passing
    for kept in (
        Reply("", 5, 0),
        Reply("", finish="length"),
        Reply("", 0, 0, finish="refused"),
        Reply("", reasoning="Hm."),
    ):
        assert checked(kept, "q").text == ""
    empty = Answers(("", "x"), np.full(2, np.nan), np.full(2, np.nan))

    class Batches:
        def answer(self, requests: Any) -> Answers:
            return empty

    failed, answered = ask_batch(Batches(), [Request("m", "a"), Request("m", "b")])
    assert isinstance(failed.result, CallError)
    assert failed.doubtful == 1
    assert isinstance(answered.result, Reply)
    assert answered.result.miscounted == ""


class Miscounts(Live):
    """Says of one question in two what cannot be."""

    async def ask(self, request: Request) -> Reply:
        reply = await super().ask(request)
        usage = {"q0": (1e300, 0.0), "q1": (4.0, 4.0), "q2": (-9.0, 0.0), "q4": (4.0, 40.0)}
        given, cached = usage.get(request.prompt, (4.0, 0.0))
        return replace(reply, input_tokens=given, cached_tokens=cached)


def test_one_servers_nonsense_does_not_cost_the_others_their_answers(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "s.sqlite", 6, a=Miscounts(), b=Live())
    done = go(plan)
    assert done.answered == 12
    assert found(plan, "a").unpriced == 3
    assert found(plan, "a").miscounted == {"contradictory": 3}
    # Prompts of two characters are one token, answers of nine are three.
    assert done.guessed_usd == pytest.approx(3 * 0.004)
    with AnswerStore(plan.store) as store:
        assert store.spent() == pytest.approx(9 * 0.006)
        for answer in store.ungraded("exact"):
            store.grade("exact", answer, 1.0, Grade.CORRECT)
    data = load_data(make({"suite": f"table:{plan.store}"}))  # cached ones are no more than all
    assert data.outcomes.cached_tokens is not None
    assert data.outcomes.cached_tokens.max() == 4


def test_the_dearest_call_there_can_be_is_stored(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(f"m = {{input_price = {MOST}, output_price = {MOST}}}")
    price = load_prices(tmp_path / "p.toml").models["m"]
    most = plausible(Reply("x", 1e8, 1e8))
    with filled(tmp_path / "s.sqlite", 1, answered=0) as store:
        (call,) = store.claim(1)
        store.settle(call.key, most, cost=price.usd(most.input_tokens, most.output_tokens))
        assert store.spent() == 2e6
    (tmp_path / "p.toml").write_text(f"m = {{input_price = {MOST * 2}, output_price = 1}}")
    with pytest.raises(DataError, match=r"p\.toml: model m, field input_price: must be at most"):
        load_prices(tmp_path / "p.toml")


def test_a_price_list_whose_name_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"p\xff.toml")
    try:
        path.write_text("m = {input_price = 1, output_price = 1}")
    except OSError:
        pytest.skip("this file system takes no such name")
    prices = load_prices(path)
    with filled(tmp_path / "s.sqlite", 1, answered=0) as store:
        (call,) = store.claim(1)
        assert store.settle(call.key, Reply("x"), cost=0.1, price_id=prices.place)
        assert store.info().prices == {"p?.toml": 1}


def test_a_price_list_without_end(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"p\.json: cannot be read"):
        load_prices(tmp_path / "p.json")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE grades SET score = 'abc'",
        "UPDATE calls SET cost = 'x'",
        "UPDATE calls SET input_tokens = '<b>'",
        "UPDATE calls SET answer = x'ff00fe'",
        "UPDATE calls SET answer = 12345",
        "UPDATE questions SET query_id = id + 0.5",
        "UPDATE askers SET parameters = '{not json' || id, model = 'small'",
        "DROP TABLE suite_askers",
    ],
)
def test_a_store_that_nobody_collected(change: str, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with filled(path, 3) as store:
        for answer in store.ungraded("exact"):
            store.grade("exact", answer, 1.0)
    database = sqlite3.connect(path)
    database.execute("PRAGMA ignore_check_constraints = 1")
    database.execute(change)
    database.commit()
    database.close()

    def read(store: AnswerStore) -> None:
        store.table()
        list(store.answers())

    def write(store: AnswerStore) -> None:
        store.export(tmp_path / "t.parquet")
        list(store.answers())

    for use in (read, write):
        with (
            AnswerStore(path, write=False) as store,
            pytest.raises(DataError, match=r"s\.sqlite: "),
        ):
            use(store)


def test_what_else_a_board_will_be_made_of_is_said(tmp_path: Path) -> None:
    first, second = Heard(), Heard()
    go(plan_of(tmp_path / "store.sqlite", 5, a=Live()), watch=first)
    assert first.notes == []
    plan = plan_of(tmp_path / "store.sqlite", 3, a=Live(), b=Live())
    changed = StoredQuestion("id0", "other", "other", "yes")
    go(replace(plan, questions=(changed, *plan.questions[1:])), watch=second)
    assert len(second.notes) == 2
    assert second.notes[0].startswith("1 questions had another text under the same id in store.sql")
    assert second.notes[1].startswith("store.sqlite holds 2 other questions of facts")
