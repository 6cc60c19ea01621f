"""Asking: every request ends once, in the right way, after as many attempts as make sense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from clockwork import Server, now, run

from routebench.collect.calls import HOPELESS, Outcome, ask_all, ask_batch
from routebench.collect.rate_limits import Limits, Throttle
from routebench.errors import CallError, OptionError
from routebench.records import Answers, Reply, Request
from routebench.redact import one_line


def requests(n: int) -> list[Request]:
    return [Request("m", str(number)) for number in range(n)]


def ask(
    server: Any, asked: Any, limits: Limits | None = None, throttle: Throttle | None = None
) -> tuple[list[Outcome], list[Outcome]]:
    """Replies and failures; raises for what `ask_all` raises, with both as `.args[-1]`."""
    replies: list[Outcome] = []
    failures: list[Outcome] = []

    async def main() -> None:
        await ask_all(
            server,
            asked,
            limits=limits or Limits(),
            on_reply=replies.append,
            on_failure=failures.append,
            throttle=throttle,
        )

    try:
        run(main())
    except CallError as error:
        error.ended = replies, failures  # type: ignore[attr-defined]
        raise
    return replies, failures


@pytest.mark.parametrize("kind", ["rate-limited", "server", "timeout", "malformed"])
def test_what_may_pass_is_asked_again(kind: str) -> None:
    server = Server(script=lambda prompt, n: CallError(kind, "no") if n < 2 else "yes")
    (outcome,), failures = ask(server, requests(1))
    assert failures == []
    assert repr(outcome.result) == repr(Reply("yes", 10.0, 20.0))  # NaN equals no NaN
    assert outcome.attempts == 3
    assert outcome.doubtful == (2 if kind in ("timeout", "malformed") else 0)


def test_attempts_end_and_the_last_error_is_told() -> None:
    server = Server(script=lambda prompt, n: CallError("server", f"attempt {n}"))
    replies, (outcome,) = ask(server, requests(1), Limits(attempts=4))
    assert replies == []
    assert isinstance(outcome.result, CallError)
    assert outcome.result.message == "attempt 3"
    assert len(server.log) == outcome.attempts == 4


def test_what_does_not_pass_is_asked_once() -> None:
    server = Server(script=lambda p, n: CallError("rejected", "too long") if p == "1" else None)
    replies, (outcome,) = ask(server, requests(3))
    assert len(replies) == 2
    assert (outcome.request.prompt, outcome.attempts) == ("1", 1)


def test_backoff_is_full_jitter_under_a_bound_that_doubles() -> None:
    limits = Limits(attempts=7, patience=1.0, longest=8.0)
    gaps: list[list[float]] = [[] for _ in range(6)]
    for seed in range(40):
        server = Server(script=lambda prompt, n: CallError("server", "no"))

        async def main(server: Server = server) -> None:
            await ask_all(
                server,
                requests(1),
                limits=limits,
                on_reply=lambda outcome: None,
                on_failure=lambda outcome: None,
            )

        run(main(), seed)
        times = [at for at, _, _ in server.log]
        for place, (before, after) in enumerate(pairwise(times)):
            gaps[place].append(after - before)
    for place, found in enumerate(gaps):
        bound = min(2.0**place, 8.0)
        assert max(found) <= bound + 1e-6
        assert min(found) < 0.2 * bound
        assert max(found) > 0.8 * bound


def test_a_call_is_not_asked_again_before_the_server_wants_it() -> None:
    later = CallError("rate-limited", "later", retry_after=9.0)
    server = Server(script=lambda prompt, n: later if n == 0 and prompt == "3" else None)
    replies, _ = ask(server, requests(40))
    assert len(replies) == 40
    first, second = (at for at, prompt, _ in server.log if prompt == "3")
    assert second - first >= 9.0


def test_a_server_that_asks_to_wait_for_hours_is_left() -> None:
    quota = CallError("rate-limited", "quota for today", retry_after=40_000.0)
    server = Server(script=lambda prompt, n: quota if int(prompt) > 20 else None)
    with pytest.raises(CallError, match="asks to wait 40,000 s") as raised:
        ask(server, requests(1000))
    assert raised.value.hint
    assert len({prompt for _, prompt, _ in server.log}) < 50


def test_a_call_that_hangs_is_given_up() -> None:
    server = Server(faults={"timeout": 1.0})
    _, (outcome,) = ask(server, requests(1), Limits(timeout=2.0, attempts=2))
    assert isinstance(outcome.result, CallError)
    assert outcome.result.kind == "timeout"
    assert outcome.latency == pytest.approx(2.0)
    assert outcome.doubtful == 2


def test_a_wrong_key_stops_the_model_at_once() -> None:
    denied = CallError("denied", "HTTP 401", "set the key")
    server = Server(script=lambda prompt, n: denied)
    with pytest.raises(CallError, match="401") as raised:
        ask(server, requests(1000))
    assert raised.value.hint == "set the key"
    assert len(server.log) <= 4


def test_a_model_that_answers_nothing_is_left() -> None:
    server = Server(script=lambda prompt, n: CallError("server", "down"))
    with pytest.raises(CallError, match="down"):
        ask(server, requests(10_000), Limits(attempts=2))
    assert len({prompt for _, prompt, _ in server.log}) < 64 + 2 * HOPELESS


def test_rejected_prompts_are_no_reason_to_leave_a_model() -> None:
    server = Server(script=lambda prompt, n: CallError("rejected", "blocked"))
    replies, failures = ask(server, requests(3 * HOPELESS))
    assert (len(replies), len(failures)) == (0, 3 * HOPELESS)


def test_a_library_s_exception_fails_its_call_without_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-planted-4711")

    class Broken(Server):
        async def ask(self, request: Request) -> Reply:
            if request.prompt == "2":
                raise RuntimeError("Bearer sk-planted-4711\n\x1b[2Jrefused")
            return await super().ask(request)

    replies, (outcome,) = ask(Broken(), requests(4))
    assert len(replies) == 3
    assert isinstance(outcome.result, CallError)
    assert outcome.result.message == "RuntimeError: Bearer [hidden] ␛[2Jrefused"
    assert outcome.result.__cause__ is None


def test_a_missing_key_stops_the_model() -> None:
    class Keyless(Server):
        async def ask(self, request: Request) -> Reply:
            raise OptionError("SOME_KEY is not set", "export it")

    with pytest.raises(CallError, match="SOME_KEY is not set") as raised:
        ask(Keyless(), requests(4))
    assert raised.value.kind == "denied"


def test_requests_are_drawn_only_when_a_call_may_start() -> None:
    server, drawn = Server(latency=1.0), 0

    async def source() -> AsyncIterator[Request]:
        nonlocal drawn
        for request in requests(500):
            under_way = drawn - sum(kind == "answered" for _, _, kind in server.log) + server._open
            assert under_way <= 9
            drawn += 1
            yield request

    replies, _ = ask(server, source(), Limits(concurrency=8))
    assert len(replies) == drawn == 500


def test_stopping_lets_calls_end_and_starts_no_attempt() -> None:
    """Half of the first attempts fail; what waits for its second one is told to nobody."""
    server = Server(
        latency=1.0, script=lambda p, n: CallError("server", "no") if int(p) % 2 else None
    )
    throttle = Throttle(Limits())
    ended: list[Outcome] = []

    async def main() -> float:
        async def stop() -> None:
            await asyncio.sleep(3.2)
            throttle.stop()

        asked = ask_all(
            server,
            requests(1000),
            limits=Limits(attempts=50, patience=20.0),
            on_reply=ended.append,
            on_failure=ended.append,
            throttle=throttle,
        )
        await asyncio.gather(asked, stop())
        return now()

    assert run(main()) < 3.2 + 1.6
    answered = [prompt for _, prompt, kind in server.log if kind == "answered"]
    assert sorted(outcome.request.prompt for outcome in ended) == sorted(answered)
    assert all(at <= 3.2 for at, _, _ in server.log)


def test_what_the_teller_raises_ends_it_after_the_calls_under_way() -> None:
    told = []

    async def full(outcome: Outcome) -> None:
        told.append(outcome)
        raise OSError("disk full")

    async def main() -> None:
        await ask_all(Server(), requests(100), limits=Limits(), on_reply=full, on_failure=full)

    with pytest.raises(OSError, match="disk full"):
        run(main())
    assert 1 <= len(told) <= 8


class Batches:
    """A provider that answers in batches, all but the prompt `7`."""

    def answer(self, asked: Sequence[Request]) -> Answers:
        text = tuple(None if one.prompt == "7" else f"re: {one.prompt}" for one in asked)
        counts = np.full(len(asked), 3.0)
        return Answers(text, counts, counts, note=tuple("odd" for _ in asked))


def test_a_batch_is_answered_in_its_order() -> None:
    found = [outcome.result for outcome in ask_batch(Batches(), requests(12))]
    assert repr(found[8]) == repr(Reply("re: 8", 3.0, 3.0))
    failed = found[7]
    assert isinstance(failed, CallError)
    assert (failed.kind, failed.message) == ("rejected", "odd")


def test_a_batch_that_breaks_is_one_clear_error() -> None:
    class Breaks(Batches):
        def answer(self, asked: Sequence[Request]) -> Answers:
            raise KeyError("weights")

    class Short(Batches):
        def answer(self, asked: Sequence[Request]) -> Answers:
            return super().answer(asked[1:])

    with pytest.raises(CallError, match="KeyError: 'weights'"):
        ask_batch(Breaks(), requests(3))
    with pytest.raises(CallError, match="2 answers to 3 requests"):
        ask_batch(Short(), requests(3))


def test_text_from_outside_cannot_steer_a_terminal() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07 a\x00b\r\nc \u202edcba \ud800 \x7f\x9b31m"
    shown = one_line(nasty)
    assert all(character.isprintable() for character in shown)
    assert shown.startswith("␛[2J␛]0;owned␇ a␀b c <202e>")
    assert one_line("x" * 10**6) == "x" * 299 + "…"
    assert one_line("plain ünïcode 東京") == "plain ünïcode 東京"
