"""The points of a run: those that every run has, those that it is asked for, and the judged one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from routebench.metrics.points.point import DEFAULT, WITHIN_1PP, Point


@dataclass(frozen=True)
class AskedPoints:
    """The points that are chosen on validation, and the one by which routers are judged."""

    points: tuple[Point, ...] = DEFAULT
    judged: Point = WITHIN_1PP

    @classmethod
    def of(cls, named: Iterable[str], margin: str) -> AskedPoints:
        """Return the points named by `--point`, with `--margin`; an `OptionError` for no such."""
        judged = Point.within(margin)
        asked = [Point.parse(text) for text in named]
        return cls(tuple(dict.fromkeys([*DEFAULT, judged, *asked])), judged)
