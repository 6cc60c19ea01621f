"""The page of a grid: ranks over suites, verdicts, and router by suite. It runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from routebench.grid.schema import (
    GridEntry,
    GridResult,
    GridRouter,
    GridSuite,
    RankTest,
    VerdictKind,
)
from routebench.report.format import MISSING, SOURCES, Cell, change, plain, share, shortened
from routebench.report.summary import DisplayTable
from routebench.report.web.templates import Templates

WIDTH = 480.0
"""Units of the drawing; on a small telephone they are about three quarters of a pixel each."""
_NAMES, _TOP, _LINE, _BAR = 168.0, 62.0, 21.0, 9.0
_LETTERS = 21  # of a router's name
_KINDS: tuple[VerdictKind, ...] = ("proven", "not proven", "same", "worse")
_TONES = {"win": "better", "loss": "worse", "proven": "better", "worse": "worse"}


@dataclass(frozen=True)
class RankMark:
    """One router of the diagram: its name, and where its average rank stands."""

    name: str
    short: str
    rank: str
    x: float
    y: float


@dataclass(frozen=True)
class RankDiagram:
    """A critical-difference diagram: a line per router, and bars beside those not different."""

    width: float
    height: float
    marks: Sequence[RankMark]
    ticks: Sequence[tuple[float, int]]
    ruler: tuple[float, float]
    """Ends of the critical difference; it may be longer than the axis, which it then fills."""
    longer: bool
    label: str
    bars: Sequence[tuple[float, float, float]]
    """x, from y, to y"""
    start: float
    end: float
    words: str


def grid_page(result: GridResult) -> str:
    """Return the page's HTML."""
    columns = [suite.name for suite in result.suites]
    values = {
        "title": f"Routers over {len(columns)} suite{'s' if len(columns) != 1 else ''}",
        "result": result,
        "facts": _facts(result),
        "notices": _notices(result),
        "diagram": None if result.ranks is None else rank_diagram(result.ranks, result.routers),
        "ranks": _ranks(result),
        "columns": [(suite.name, _about(suite)) for suite in result.suites],
        "gaps": _matrix(result, _gap),
        "savings": _matrix(result, _savings),
        "priced": any(e.verdict for router in result.routers for e in router.entries.values()),
        "suites": [_suite_line(suite) for suite in result.suites],
    }
    return Templates("the page").render("grid.html", values)


def rank_diagram(test: RankTest, routers: Sequence[GridRouter]) -> RankDiagram:
    """Return the diagram: best above, its axis from rank 1 to the number of routers."""
    average = {one.router: one.average_rank or 0.0 for one in routers}
    groups = [group for group in test.groups if len(group) > 1]
    columns = _columns([(test.routers.index(g[0]), test.routers.index(g[-1])) for g in groups])
    room = _BAR * (max(columns, default=-1) + 1)
    start, end, k = _NAMES + 8, WIDTH - 46 - room, len(test.routers)

    def x(rank: float) -> float:
        return round(start + (end - start) * (rank - 1) / (k - 1), 1)

    def y(at: int) -> float:
        return _TOP + _LINE * at + 12

    marks = [
        RankMark(name, shortened(name, _LETTERS), f"{average[name]:.1f}", x(average[name]), y(at))
        for at, name in enumerate(test.routers)
    ]
    bars = [
        (
            round(WIDTH - room + _BAR * column + 4, 1),
            y(test.routers.index(group[0])) - 6,
            y(test.routers.index(group[-1])) + 6,
        )
        for group, column in zip(groups, columns, strict=True)
    ]
    step = max(1, ceil((k - 1) / 6))
    ticks = [(x(rank), rank) for rank in range(1, k + 1, step)]
    least = test.critical_difference
    return RankDiagram(
        WIDTH,
        _TOP + _LINE * k + 8,
        marks,
        ticks,
        (start, min(end, x(1 + least))),
        least > k - 1,
        f"CD {least:.2f}",
        bars,
        start,
        end,
        ", ".join(f"{mark.name} {mark.rank}" for mark in marks),
    )


def _columns(ends: Sequence[tuple[int, int]]) -> list[int]:
    """Return a column for every bar, so that bars that overlap stand in different ones."""
    last: list[int] = []
    found = []
    for start, stop in ends:
        free = next((at for at, end in enumerate(last) if end < start), len(last))
        last[free : free + 1] = [stop]
        found.append(free)
    return found


def _facts(result: GridResult) -> list[tuple[str, str]]:
    seeds = sorted({suite.seeds for suite in result.suites})
    test = result.ranks
    return [
        ("Suites", str(len(result.suites))),
        ("Routers", str(len(result.routers))),
        ("Seeds", " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))),
        ("Ranked", "none" if test is None else f"{len(test.routers)} on {len(test.suites)} suites"),
        ("RouteBench", result.routebench),
    ]


def _notices(result: GridResult) -> list[str]:
    texts = [result.no_ranks] if result.no_ranks else []
    if result.ranks is not None and len(result.ranks.suites) < result.ranks.suites_needed:
        texts.append(result.ranks.sentence)
    texts += [
        f"{suite.name} is left out of ranks and counts: {suite.invalid_reason}"
        for suite in result.suites
        if not suite.valid
    ]
    if simulated := [suite.name for suite in result.suites if suite.source == "simulated"]:
        names = ", ".join(simulated)
        texts.append(f"answered by a simulated pool, no real model was asked: {names}")
    reasons: dict[str, list[str]] = {}
    for router in result.routers:
        for suite, entry in router.entries.items():
            if entry.state != "ok":
                text = f"{entry.state} on {suite}: {entry.message}"
                reasons.setdefault(text, []).append(router.router)
    return texts + [f"{', '.join(routers)} {text}" for text, routers in reasons.items()]


def _ranks(result: GridResult) -> DisplayTable:
    heads = ["Router", "Average rank", "Wins", "Ties", "Losses"]
    kinds = [k for k in _KINDS if any(k in one.verdicts for one in result.routers)]
    words = {"same": "same model", "worse": "worse than the margin"}
    heads += [words.get(kind, kind).capitalize() for kind in kinds]
    rows = []
    for one in result.routers:
        rank = one.average_rank
        counts = [one.wins, one.ties, one.losses, *(one.verdicts.get(k, 0) for k in kinds)]
        shown = Cell(MISSING) if rank is None else Cell(f"{rank:.2f}", rank)
        rows.append([Cell(one.router, one.router), shown, *(Cell(str(n), n) for n in counts)])
    return DisplayTable(heads, rows)


def _matrix(result: GridResult, cell: Any) -> list[tuple[str, list[Cell]]]:
    """Return a line of cells per router, a cell per suite."""
    return [
        (
            router.router,
            [_shown(router.entries.get(suite.name), suite, cell) for suite in result.suites],
        )
        for router in result.routers
    ]


def _shown(entry: GridEntry | None, suite: GridSuite, cell: Any) -> Cell:
    if entry is None:
        return Cell(MISSING, None, "not run on this suite")
    if entry.state != "ok":
        return Cell(entry.state, None, entry.message or "")
    found: Cell = cell(entry, suite)
    return found


def _gap(entry: GridEntry, suite: GridSuite) -> Cell:
    """Return the share of the gap to the oracle; toned if the difference is significant."""
    scale, digits = (100, 1) if suite.measure == "accuracy" else (1, 3)
    made, against = share(entry.gap_recovered), change(entry.against_best_single, scale, digits)
    quality = plain(entry.quality, scale, digits)
    note = f"{suite.measure} {quality.text}, against best single {against.text}"
    return Cell(made.text, made.sort, note, _TONES.get(entry.outcome or "", ""))


def _savings(entry: GridEntry, suite: GridSuite) -> Cell:
    """Return what the setting of the verdict saves, and the verdict."""
    if entry.verdict is None:
        return Cell(MISSING, None, "no verdict is made here")
    made = share(entry.savings)
    word = {"same": "same model"}.get(entry.verdict, entry.verdict)
    text = f"{made.text} {word}" if entry.verdict != "same" else word
    note = f"{entry.sentence} ({entry.point})"
    return Cell(text, made.sort, note, _TONES.get(entry.verdict, ""))


def _about(suite: GridSuite) -> str:
    folds = f", {suite.folds} folds" if suite.folds > 1 else ""
    return f"{suite.scored:,} queries, {suite.models} models{folds}"


def _suite_line(suite: GridSuite) -> dict[str, Any]:
    scale, digits = (100, 1) if suite.measure == "accuracy" else (1, 3)
    return {
        "suite": suite,
        "source": SOURCES[suite.source],
        "unit": "%" if suite.measure == "accuracy" else "reward",
        "best": plain(suite.best_single, scale, digits),
        "oracle": plain(suite.oracle, scale, digits),
        "mde": MISSING if suite.mde is None else f"{scale * suite.mde:.{digits}f}",
    }
