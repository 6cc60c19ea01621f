"""How many calls at a time, and how soon: found out without hammering the server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from clockwork import Server, now, run

from routebench.collect.calls import Outcome, ask_all
from routebench.collect.overload import Cubic, Ticket, Usual
from routebench.collect.rate_limits import CEILING, FIRST, Limits, Pace, Throttle
from routebench.records import Request

FAULTS = {"rate-limited": 0.1, "server": 0.05, "timeout": 0.02, "malformed": 0.01}


def ask(server: Server, n: int, limits: Limits | None = None, seed: int = 0) -> list[Outcome]:
    """Ask n questions to the end; raises for what `ask_all` raises."""
    ended: list[Outcome] = []

    def requests() -> Iterator[Request]:
        for number in range(n):
            yield Request("m", str(number))

    asked = ask_all(
        server,
        requests(),
        limits=limits or Limits(timeout=3.0, attempts=10),
        on_reply=ended.append,
        on_failure=ended.append,
    )
    run(asked, seed)
    return ended


def test_it_starts_small_doubles_and_stays_under_the_ceiling() -> None:
    server = Server(latency=1.0)
    ask(server, 3000)
    first = [at for at, _, _ in server.log if at < 0.4]
    assert len(first) == FIRST
    assert server.most == CEILING


def test_a_number_of_calls_at_a_time_is_kept() -> None:
    server = Server()
    ask(server, 300, Limits(concurrency=7))
    assert server.most == 7


def test_a_rate_is_kept_and_shared() -> None:
    async def two() -> None:
        shared = Pace(20.0)
        lanes = [
            ask_all(
                server,
                [Request(model, str(n)) for n in range(100)],
                limits=Limits(),
                throttle=Throttle(Limits(), shared),
                on_reply=lambda outcome: None,
                on_failure=lambda outcome: None,
            )
            for model in "ab"
        ]
        await asyncio.gather(*lanes)

    server = Server()
    run(two())
    times = [at for at, _, _ in server.log]
    assert len(times) == 200
    assert all(after - before > 0.9 / 20 for before, after in pairwise(times))
    assert 9.5 < times[-1] < 10.5


def test_one_overload_is_one_cut() -> None:
    async def main() -> None:
        throttle = Throttle(Limits())
        throttle._started = 100.0
        tickets = [await throttle.start() for _ in range(50)]
        for ticket in tickets:
            throttle.end(ticket, "strained")
        assert throttle.cuts == 1
        assert 0.6 * 50 < throttle.window(now()) <= 0.7 * 51
        late = await throttle.start()
        throttle.end(late)
        assert throttle.cuts == 1

    run(main())


def test_all_calls_wait_as_long_as_the_server_asks() -> None:
    quiet = 30.0

    class Shut(Server):
        def _over(self) -> bool:
            return 1.0 <= now() < quiet

    server = Shut(latency=0.2, retry_after=7.0)
    assert len(ask(server, 400)) == 400
    refused = [at for at, _, kind in server.log if kind == "limited"]
    first = [at for at in refused if at < 1.3]
    later = [at for at in refused if at > first[-1]]
    assert later  # it asked again within the half minute
    assert all(at > first[0] + 7.0 for at in later)
    assert len(later) <= 8, "a server that refuses everything is asked once per wait, or nearly"


def test_an_answer_to_a_later_call_ends_the_wait() -> None:
    async def main() -> float:
        throttle = Throttle(Limits(concurrency=3))
        one, two = await throttle.start(), await throttle.start()
        await asyncio.sleep(0.01)
        after = await throttle.start()
        throttle.end(one, "refused", 60.0)
        throttle.end(two)  # was sent before: says nothing
        waiting = asyncio.create_task(throttle.start())
        await asyncio.sleep(5.0)
        assert not waiting.done()
        throttle.end(after)
        await waiting
        return now()

    assert run(main()) < 6.0


@pytest.mark.parametrize("latency", [pytest.param(0.02, marks=pytest.mark.slow), 0.3])
def test_a_burst_and_a_rate_are_found_within_ten_seconds(latency: float) -> None:
    server = Server(rate=100.0, burst=10.0, latency=latency)
    ask(server, 3000)
    for since in (10.0, 14.0, 18.0):
        seen = server.counts(since, since + 8.0)
        assert seen["answered"] / 8 >= 70, seen
        assert seen["limited"] <= 0.05 * seen["answered"], seen
    assert server.admitted(10.0) >= 75


def test_a_limit_that_is_lifted_is_found_within_ten_seconds() -> None:
    server = Server(limits=((0.0, 10.0, 10.0), (30.0, 100.0, 100.0)))
    ask(server, 2500)
    slow, fast = server.counts(12.0, 30.0), server.counts(40.0, 46.0)
    assert 7.5 <= slow["answered"] / 18 <= 10.5
    assert slow["limited"] <= 0.2 * slow["answered"]
    assert fast["answered"] / 6 >= 70


@pytest.mark.slow
@pytest.mark.parametrize("rate", [60.0, 100.0])
def test_failures_that_nobody_can_help_cost_little(rate: float) -> None:
    shares = []
    for seed in range(3):
        server = Server(rate=rate, burst=20.0, faults=FAULTS, seed=seed)
        ended = ask(server, 4000, seed=seed)
        assert len(ended) == 4000
        shares.append(server.admitted() / rate)
    assert sum(shares) / 3 >= 0.8, shares


@pytest.mark.slow
def test_failures_by_chance_do_not_narrow_a_server_without_limit() -> None:
    server = Server(latency=1.0, faults={"server": 0.02})
    ask(server, 5000)
    assert server.admitted() >= 0.7 * 5000 / (5000 / CEILING + math.log2(CEILING / FIRST))


def test_a_server_that_is_down_is_asked_less_and_less() -> None:
    server = Server(faults={"server": 1.0}, latency=0.1)
    throttle = Throttle(Limits(attempts=3))

    async def main() -> None:
        await ask_all(
            server,
            [Request("m", str(n)) for n in range(2000)],
            limits=Limits(attempts=3),
            throttle=throttle,
            on_reply=lambda outcome: None,
            on_failure=lambda outcome: None,
        )

    with pytest.raises(Exception, match="server"):
        run(main())
    assert throttle.cuts >= 3
    assert len(server.log) < 300


def test_growth_is_back_at_the_top_and_then_faster() -> None:
    limit = Cubic()
    assert math.isinf(limit.at(100.0))
    limit.cut(100.0, 0.7, 10.0)
    values = [limit.at(10.0 + second) for second in range(20)]
    assert values[0] == pytest.approx(70.0)
    assert all(before < after for before, after in pairwise(values))
    steps = [after - before for before, after in pairwise(values)]
    assert min(steps) == min(steps[2:6])
    assert values[-1] > 1000


def test_what_is_usual_is_never_more_than_a_third() -> None:
    usual = Usual(share=0.9)
    for _ in range(50):
        ticket = Ticket(0.0, 0, failed=True)
        usual.sent(ticket)
        usual.ended(ticket, calm=False)
    assert usual.overload()
