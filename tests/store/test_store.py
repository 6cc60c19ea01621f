"""The store's calls: what becomes of them, what they cost, and that nothing changes their texts."""

from __future__ import annotations

import math
import sqlite3
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import calls, filled, questions, reply

from routebench.files import data_folder, default_store
from routebench.records import Reply
from routebench.store.store import Added, AnswerStore, Call, call_key


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with AnswerStore(tmp_path / "s.sqlite") as opened:
        yield opened


def states(store: AnswerStore) -> tuple[int, ...]:
    """Pending, in flight, answered, failed."""
    return tuple(store.counts().values())


def test_a_key_is_of_all_that_an_answer_depends_on() -> None:
    base = ("gemini", "m", {"temperature": 0, "seed": 1}, "Who?", 0)
    key = call_key(*base)
    assert len(key) == 32
    assert int(key, 16)
    assert call_key("gemini", "m", {"seed": 1, "temperature": 0}, "Who?", 0) == key
    others = [
        ("openai", *base[1:]),
        (base[0], "n", *base[2:]),
        (*base[:2], {"temperature": 1, "seed": 1}, *base[3:]),
        (*base[:3], "Who? ", 0),
        (*base[:4], 1),
        ("geminim", "", *base[2:]),  # the same letters in a row
    ]
    assert len({key, *(call_key(*other) for other in others)}) == 7
    assert call_key("p", "m", {}, "lone \ud800", 0) != call_key("p", "m", {}, "lone ?", 0)


def test_what_is_known_is_not_added_again(store: AnswerStore) -> None:
    asked = questions(3)
    assert store.add("simpleqa", asked, calls(asked)) == Added(new=6, known=0)
    assert store.add("simpleqa", asked, calls(asked)) == Added(new=0, known=6)
    more = questions(4)
    assert store.add("simpleqa", more, calls(more, samples=2)) == Added(new=10, known=6)
    assert states(store) == (16, 0, 0, 0)


def test_claims_come_in_order_and_once(store: AnswerStore) -> None:
    added = calls(questions(5))
    store.add("simpleqa", questions(5), added)
    first, rest = store.claim(4), store.claim(100)
    assert [*first, *rest] == added
    assert store.claim(1) == []
    assert states(store) == (0, 10, 0, 0)


def test_an_answer_is_settled_once(store: AnswerStore) -> None:
    store.add("simpleqa", questions(1), calls(questions(1)))
    call, _ = store.claim(2)
    assert store.settle(call.key, reply(call), cost=0.25)
    assert states(store) == (0, 1, 1, 0)
    assert not store.settle(call.key, Reply("another"), cost=0.5)  # paid nevertheless
    assert store.table()["response"].to_pylist() == [reply(call).text]
    assert store.spent() == 0.75
    assert store.info().twice == 1
    assert not store.fail(call.key, "timeout", "late")
    assert states(store) == (0, 1, 1, 0)


def test_a_call_nobody_added(store: AnswerStore) -> None:
    with pytest.raises(KeyError):
        store.settle("0" * 32, Reply("x"), cost=1)
    assert store.spent() == 0
    assert not store.fail("0" * 32, "server", "")


def test_failures_are_asked_again_when_told(store: AnswerStore) -> None:
    store.add("simpleqa", questions(2), calls(questions(2)))
    one, two, three, _ = store.claim(4)
    assert store.fail(one.key, "timeout", "no answer in 60 s", attempts=5)
    assert store.fail(two.key, "rejected", "not for this model", final=True)
    assert store.settle(three.key, reply(three), cost=0)
    assert states(store) == (0, 1, 1, 2)
    assert store.info().errors == {"rejected": 1, "timeout": 1}
    assert store.claim(9) == []
    assert store.retry() == 1
    assert store.claim(9) == [one]
    assert store.retry() == 0
    assert store.retry(final=True) == 1
    assert store.claim(9) == [two]
    assert store.settle(two.key, reply(two), cost=1)
    assert store.info().errors == {}


def test_what_is_released_is_pending_again(store: AnswerStore) -> None:
    store.add("simpleqa", questions(3), calls(questions(3)))
    claimed = store.claim(6)
    assert store.release([claimed[0].key]) == 1
    assert store.release([claimed[0].key]) == 0
    assert store.release([claimed[1].key], sent=True) == 1
    assert store.info().interrupted == 1
    assert store.claim(9) == claimed[:2]  # behind the last one, nothing was left
    assert store.release() == 6
    assert store.info().interrupted == 1
    assert {call.key for call in store.claim(9)} == {call.key for call in claimed}


def test_calls_in_flight_of_a_closed_store_count_as_interrupted(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.sqlite", 3, answered=2)
    store.claim(3)
    store.close()
    with AnswerStore(tmp_path / "s.sqlite") as again:
        assert states(again) == (4, 0, 2, 0)
        assert again.info().interrupted == 3


def test_only_what_was_added_here_is_claimed_and_retried(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    filled(path, 10, answered=0).close()
    few = questions(2)
    with AnswerStore(path) as store:
        store.add("simpleqa", few, calls(few, ["large"]))
        assert store.claim(100) == calls(few, ["large"])
        store.fail(calls(few, ["large"])[0].key, "server", "")
    with AnswerStore(path) as store:
        store.add("simpleqa", few, calls(few, ["small"]))
        assert store.retry() == 0
        assert len(store.claim(100)) == 2
    with AnswerStore(path) as store:
        assert store.retry() == 1
        assert len(store.claim(100)) == 20  # who added nothing may have them all


def test_two_stores_of_one_file_share_the_calls(tmp_path: Path) -> None:
    with (
        filled(tmp_path / "s.sqlite", 5, answered=0) as one,
        AnswerStore(tmp_path / "s.sqlite") as two,
    ):
        mine, others = one.claim(4), two.claim(100)
        assert not {call.key for call in mine} & {call.key for call in others}
        assert len(others) == 6
        assert two.recover() == 0  # the other one lives
        assert not two.fail(mine[0].key, "server", "not mine")
        assert two.release() == 6
        assert one.release() == 4


def test_an_answer_that_comes_after_all_is_kept(tmp_path: Path) -> None:
    """Its owner was taken for dead, and another one has the call: whoever answers first counts."""
    with (
        filled(tmp_path / "s.sqlite", 1, answered=0) as one,
        AnswerStore(tmp_path / "s.sqlite") as two,
    ):
        (call, _) = one.claim(2)
        one._database.execute("UPDATE owners SET host = 'elsewhere', beat = 0")
        assert two.recover() == 2
        assert call in two.claim(2)
        assert one.settle(call.key, Reply("late"), cost=1)
        assert not two.settle(call.key, Reply("later"), cost=2)
        assert one.spent() == 3
        assert one.claim(1) == []
        two.release()
        assert len(one.claim(5)) == 1  # it is an owner anew
        assert two.recover() == 0


def test_a_lease_that_is_renewed_protects_calls_of_another_host(tmp_path: Path) -> None:
    with (
        filled(tmp_path / "s.sqlite", 1, answered=0) as one,
        AnswerStore(tmp_path / "s.sqlite") as two,
    ):
        one.claim(2)
        one._database.execute("UPDATE owners SET host = 'elsewhere', beat = 0")
        one.beat()
        assert two.recover() == 0
        one._database.execute("UPDATE owners SET beat = beat - 1000")
        assert two.recover() == 2
        assert two.recover() == 0
        assert two.info().interrupted == 2


def test_what_is_written_together_is_kept_or_lost_together(store: AnswerStore) -> None:
    store.add("simpleqa", questions(2), calls(questions(2)))
    claimed = store.claim(4)

    def batch(*costs: float) -> None:
        with store.transaction():
            for call, cost in zip(claimed, costs, strict=False):
                store.settle(call.key, reply(call), cost=cost)

    with pytest.raises(ValueError, match="cannot cost"):
        batch(1, -1)
    assert states(store) == (0, 4, 0, 0)
    batch(1, 1, 1, 1)
    assert states(store) == (0, 0, 4, 0)
    assert store.spent() == 4


def test_money_is_exact_at_any_number_of_calls(store: AnswerStore) -> None:
    """USD 0.0375 per million tokens is no whole number of nanodollars per token."""
    asked = questions(400)
    store.add("simpleqa", asked, calls(asked, ["m"]))
    exact = Fraction(0)
    with store.transaction():
        for tokens, call in enumerate(store.claim(400)):
            store.settle(call.key, reply(call), cost=tokens * 0.0375 / 1e6)
            exact += Fraction(tokens * 375, 10**10)
    assert store.spent() == float(exact)
    assert sum(model.usd for model in store.info().models) == float(exact)


def test_a_cost_that_nobody_knows_is_not_zero(store: AnswerStore) -> None:
    store.add("simpleqa", questions(2), calls(questions(2)))
    one, two, three, four = store.claim(4)
    store.settle(one.key, reply(one), cost=None)
    store.settle(two.key, reply(two), cost=math.nan)
    store.settle(three.key, reply(three), cost=0.5)
    assert store.info().unpriced == 2
    assert sorted(store.table()["cost_usd"].to_pylist(), key=str) == [0.5, None, None]
    for wrong in (-0.1, math.inf):
        with pytest.raises(ValueError, match="cannot cost"):
            store.settle(four.key, reply(four), cost=wrong)
    assert states(store) == (0, 1, 3, 0)


def test_usage_that_a_server_does_not_tell_is_unknown(store: AnswerStore) -> None:
    store.add("simpleqa", questions(1), calls(questions(1), ["m"]))
    (call,) = store.claim(1)
    store.settle(call.key, Reply("x"), cost=None)
    (row,) = store.table().to_pylist()
    assert row["input_tokens"] is None
    assert row["latency"] is None


STEPS = ("claim", "settle", "fail", "retry", "release", "sent", "twice", "die")


@given(st.lists(st.sampled_from(STEPS), max_size=30), st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_tally_is_what_counting_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], random: Any
) -> None:
    path = tmp_path_factory.mktemp("tally") / "s.sqlite"
    store = filled(path, 4, answered=0)
    with ExitStack() as ended:
        ended.callback(lambda: store.close())  # also of an example that hypothesis breaks off
        flying: list[Call] = []
        paid = 0
        for step in steps:
            if step == "claim":
                flying += store.claim(3)
            elif step == "die":
                store.close()
                store, flying = AnswerStore(path), []
            elif step == "retry":
                store.retry(final=random.random() < 0.5)
            elif flying:
                call = flying.pop(random.randrange(len(flying)))
                if step in ("settle", "twice"):
                    for _ in range(1 + (step == "twice")):
                        price = random.choice("ab")
                        store.settle(call.key, reply(call), cost=0.1, price_id=price)
                        paid += 1
                elif step == "fail":
                    store.fail(call.key, "server", "", final=random.random() < 0.5)
                else:
                    store.release([call.key], sent=step == "sent")
        with sqlite3.connect(path) as plain:
            counted = dict(plain.execute("SELECT state, count(*) FROM calls GROUP BY state"))
            interrupted = plain.execute("SELECT sum(interrupted) FROM calls").fetchone()[0]
            by_price = dict(
                plain.execute(
                    "SELECT price, count(*) FROM calls WHERE answer NOTNULL GROUP BY price"
                )
            )
        plain.close()
        info = store.info()
        assert {state: n for state, n in info.states.items() if n} == counted
        assert (info.interrupted, info.prices) == (interrupted, by_price)
        assert store.spent() == pytest.approx(paid / 10, abs=1e-12)
        assert sum(sum(model.calls.values()) for model in info.models) == 8
        assert store.check() == []


def test_what_is_in_it(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 3, answered=4) as store:
        store.claim(1)
        info = store.info()
    assert info.suites == {"simpleqa": 3}
    assert info.states == {"pending": 1, "in_flight": 1, "answered": 4, "failed": 0}
    assert [(m.provider, m.model, m.parameters) for m in info.models] == [
        ("gemini", "large", "{}"),
        ("gemini", "small", "{}"),
    ]
    assert info.models[1].calls == {"answered": 2, "in_flight": 1}
    assert info.usd == 0.004
    assert info.prices == {"list-2026": 4}
    assert info.size > 0


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path))
    assert default_store("simpleqa") == tmp_path / "simpleqa.sqlite"
    monkeypatch.delenv("ROUTEBENCH_DATA")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert data_folder() == Path("/home/somebody/.local/share/routebench")
