"""The time that is left: by what was measured, said, or not known."""

from __future__ import annotations

from typing import Any

import pytest

from routebench.jobs.expected import TimeLeft
from routebench.jobs.setup import Job


def job(label: str, effort: float | None = None, seed: int = 0) -> Job:
    plugin: Any = None
    return Job(label, plugin, {}, seed, 0, "", effort=effort)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_routers_say_until_one_is_measured() -> None:
    slow, fast, again = job("slow", 90.0), job("fast", 10.0), job("fast", 10.0, 1)
    clock = Clock()
    left = TimeLeft([slow, fast, again], 2, clock=clock)
    assert left.left() == 90  # the longest ends last
    assert TimeLeft([slow, fast, again], 1).left() == 110
    left.began(slow)
    left.began(fast)
    assert left.running == [slow, fast]
    clock.now = 5.0
    left.ended(fast)  # half of what it said: so will the others take half
    assert left.seconds(again) == 5
    assert left.seconds(slow) == 45
    assert left.left() == pytest.approx(40)
    assert left.running == [slow]
    clock.now = 1000.0
    assert left.left() == 5  # what takes longer than expected is about to end
    left.ended(slow)
    left.ended(again)
    assert left.left() == 0


def test_what_nothing_tells() -> None:
    unknown, known = job("mine"), job("knn", 2.0)
    clock = Clock()
    left = TimeLeft([unknown, known], 1, clock=clock)
    assert left.seconds(unknown) is None
    assert left.left() is None
    left.began(known)
    clock.now = 3.0
    left.ended(known)
    assert left.left() == 3  # as long as the others


def test_earlier_runs_count_more_than_words() -> None:
    left = TimeLeft([job("knn", 2.0), job("mf", 8.0)], 1, {"knn": 4.0})
    assert left.left() == 4 + 16
