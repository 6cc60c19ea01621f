"""Static pages of all boards below a folder: no scripts, no network, everything escaped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from routebench.board import run_folder
from routebench.comparison.comparable import HARD, mismatches
from routebench.errors import DataError
from routebench.files import sha256
from routebench.metrics.points.words import bound, signed
from routebench.report import summary
from routebench.report.format import BASELINE, MISSING, SOURCES, Cell, change, money, plain, share
from routebench.report.verdict_card import KINDS, VerdictCard, verdict_card
from routebench.report.web.templates import Templates
from routebench.schema import Estimate, Leaderboard, RouterVerdict, Row

MARKER = ".routebench-site"
"""The file that lists a site's own files: a newer site may replace these."""
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class BoardFile:
    """One board, and the folder it lies in, seen from the one that was searched."""

    place: str
    board: Leaderboard
    content: bytes

    @cached_property
    def time(self) -> datetime:
        """Return the time at which the run ended; `_UNKNOWN` where the board does not say."""
        try:
            finished = datetime.fromisoformat(str(self.board.environment.get("finished")))
            return (finished if finished.tzinfo else finished.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return _UNKNOWN

    @property
    def finished(self) -> str:
        return "date unknown" if self.time == _UNKNOWN else f"{self.time:%Y-%m-%d %H:%M}"

    @property
    def version(self) -> str:
        """Return RouteBench's version."""
        packages = self.board.environment.get("packages")
        return str(packages.get("routebench", MISSING)) if isinstance(packages, dict) else MISSING

    @property
    def file(self) -> str:
        """Return the name of the board's copy in the site."""
        return f"boards/{_name(self.board.suite.name, os.fsencode(self.place))}.json"

    def row(self, router: str) -> Row | None:
        return next((row for row in self.board.rows if row.router == router), None)


@dataclass(frozen=True)
class SuiteHistory:
    """Runs of one suite, oldest first; `series` holds those that may be compared."""

    title: str
    runs: Sequence[BoardFile]

    @property
    def newest(self) -> BoardFile:
        return self.runs[-1]

    @property
    def measure(self) -> str:
        return self.newest.board.suite.measure

    @property
    def unit(self) -> str:
        return "Accuracy, %" if self.measure == "accuracy" else "Reward"

    @property
    def source(self) -> str:
        return SOURCES[self.newest.board.suite.source]

    @property
    def page(self) -> str:
        return f"suite-{_name(self.title, f'{self.source} {self.measure}'.encode())}.html"

    @property
    def routers(self) -> list[str]:
        """Return the routers of all runs, those of the newest board first and in its order."""
        rows = [row for run in reversed(self.runs) for row in run.board.rows]
        return list(dict.fromkeys(row.router for row in rows if row.state != "skipped"))

    @cached_property
    def series(self) -> list[list[BoardFile]]:
        """Return the series of comparable runs, that of the newest board first."""
        series: dict[tuple[str, ...], list[BoardFile]] = {}
        for run in self.runs:
            prints = run.board.fingerprints
            series.setdefault(tuple(getattr(prints, name) for name in HARD), []).append(run)
        return sorted(series.values(), key=lambda runs: _order(runs[-1]), reverse=True)

    def last(self, router: str) -> tuple[BoardFile, Row] | None:
        """Return the newest run with this router."""
        for run in reversed(self.runs):
            if (row := run.row(router)) and row.state != "skipped":
                return run, row
        return None


def find(results: Path) -> list[BoardFile]:
    """Return all boards below a folder, without hidden folders, checkpoints and sites.

    Raises:
        DataError: where there is none, or one of them cannot be read.
    """
    boards = []
    for name, inner, held in os.walk(results, onerror=_unreadable):
        folder = Path(name)
        inner[:] = [each for each in inner if each[0] != "." and each != run_folder.CHECKPOINTS]
        inner[:] = sorted(each for each in inner if not (folder / each / MARKER).exists())
        if run_folder.BOARD in held:
            place = folder / run_folder.BOARD
            board = run_folder.read(place)
            if not isinstance(board.environment.get("data", []), list):
                raise DataError(f"{place}: not a leaderboard: environment.data is no list")
            boards.append(
                BoardFile(folder.relative_to(results).as_posix(), board, place.read_bytes())
            )
    if not boards:
        hint = "routebench run keeps its boards under results/"
        raise DataError(f"{results}: no {run_folder.BOARD} below it", hint)
    return boards


def pages(boards: Iterable[BoardFile]) -> dict[str, bytes]:
    """Return the content of every file of the site, by its name."""
    suites = _suites(boards)
    routers = sorted({label for suite in suites for label in suite.routers})
    links = {label: f"router-{_name(label)}.html" for label in routers}
    templates = Templates("the site")

    def render(template: str, values: Mapping[str, Any]) -> bytes:
        return templates.render(template, values).encode("utf-8", "replace")

    files = {"index.html": render("site_index.html", _index(suites, links))}
    for suite in suites:
        files[suite.page] = render("site_suite.html", _suite(suite, links))
        files |= {run.file: run.content for run in suite.runs}
    for label, page in links.items():
        files[page] = render("site_router.html", _router(label, suites))
    return files | {MARKER: "".join(f"{name}\n" for name in sorted(files)).encode()}


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror or error}") from error


def _order(run: BoardFile) -> tuple[datetime, str]:
    return run.time, run.place


def _suites(boards: Iterable[BoardFile]) -> list[SuiteHistory]:
    """Return the runs by suite; simulated and recorded ones never share a page."""
    runs_of: dict[tuple[str, str, str], list[BoardFile]] = {}
    for run in sorted(boards, key=_order):
        about = run.board.suite
        key = (summary.title(run.board), about.source, about.measure)
        runs_of.setdefault(key, []).append(run)
    return [SuiteHistory(key[0], runs) for key, runs in sorted(runs_of.items())]


def _name(text: str, more: bytes = b"") -> str:
    """Return a file name of plain letters, whatever the text; another text has another name."""
    slug = re.sub("[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    digest = sha256(more + b"\0" + text.encode("utf-8", "surrogatepass"))[:12]
    return f"{slug}-{digest}" if slug else digest


def _index(suites: Sequence[SuiteHistory], links: Mapping[str, str]) -> dict[str, Any]:
    ranks = {
        label: [(suite, _rank(*last)) for suite in suites if (last := suite.last(label))]
        for label in links
    }
    lines = [(suite, verdict_card(suite.newest.board)) for suite in suites]
    lines.sort(key=lambda line: _standing(*line))
    return {
        "title": "Leaderboards",
        "suites": [
            {"suite": suite, "card": card, "verdict": _verdict(suite, card)}
            | dict(zip(("best", "more", "score"), _best(suite.newest.board), strict=True))
            for suite, card in lines
        ],
        "ranks": ranks,
        "links": links,
    }


def _standing(suite: SuiteHistory, card: VerdictCard) -> tuple[int, float, str]:
    """Return what the index is ordered by: what is proven first, then what saves most."""
    saved = _row_verdict(suite, card)
    savings = 0.0 if saved is None else saved.savings.value or 0.0
    return KINDS.index(card.kind), -savings, suite.title


def _row_verdict(suite: SuiteHistory, card: VerdictCard) -> RouterVerdict | None:
    row = None if card.router is None else suite.newest.row(card.router)
    return None if row is None else row.verdict


def _verdict(suite: SuiteHistory, card: VerdictCard) -> dict[str, Any] | None:
    """Return the cells of whom to deploy; None where nobody is."""
    verdict = _row_verdict(suite, card)
    if verdict is None:
        return None
    lost = f"{signed(verdict.difference)} ({bound(verdict.low, verdict.margin)})"
    return {"saves": share(verdict.savings), "lost": lost, "note": verdict.sentence}


def _best(board: Leaderboard) -> tuple[list[str], int, Cell]:
    """Return some routers of rank 1, how many more there are, and the first one's score."""
    top = [row for row in summary.finished(board) if row.rank == 1]
    if not board.valid or not top:
        return [], 0, Cell(MISSING)
    return [row.router for row in top[:3]], len(top[3:]), _quality(top[0], board)


def _suite(suite: SuiteHistory, links: Mapping[str, str]) -> dict[str, Any]:
    board = suite.newest.board
    return {
        "title": suite.title,
        "suite": suite,
        "valid": board.valid,
        "facts": summary.facts(board),
        "notices": summary.notices(board),
        "board": summary.leaderboard(board),
        "users": bool(board.suite.users),
        "few_seeds": summary.few_seeds(board),
        "series": [_series(suite, runs, suite.routers) for runs in suite.series],
        "links": links,
    }


def _series(
    suite: SuiteHistory, runs: Sequence[BoardFile], labels: Iterable[str]
) -> dict[str, Any]:
    prints = runs[-1].board.fingerprints
    lines = [_line(label, runs) for label in labels]
    return {
        "runs": [_run(runs, i) for i in range(len(runs))],
        "differs": mismatches(runs[-1].board, suite.newest.board),
        "prints": [(name, getattr(prints, name)) for name in HARD],
        "lines": [
            line for line in lines if any(row and row.state != "skipped" for row in line["rows"])
        ],
    }


def _run(runs: Sequence[BoardFile], at: int) -> dict[str, Any]:
    """Return the heading of a run in a history."""
    run, before = runs[at], runs[max(at - 1, 0)]
    prices = [each.board.fingerprints.prices for each in (before, run)]
    return {
        "finished": run.finished,
        "version": run.version,
        "file": run.file,
        "place": run.place,
        "valid": run.board.valid,
        "repriced": prices[0] != prices[1],
    }


def _line(label: str, runs: Sequence[BoardFile]) -> dict[str, Any]:
    """Return one router over the runs of a series."""
    rows = [run.row(label) for run in runs]
    pairs = list(zip(rows, runs, strict=True))
    estimates = [summary.quality(row, run.board) if row else None for row, run in pairs]
    return {
        "router": label,
        "cells": [
            (_quality(row, run.board), _cost(row)) if row else (Cell(MISSING), Cell(MISSING))
            for row, run in pairs
        ],
        "rows": rows,
        "trend": _trend(estimates),
    }


def _quality(row: Row, board: Leaderboard) -> Cell:
    if row.state != "ok":
        return Cell(row.state, None, row.message or "", "worse")
    return plain(summary.quality(row, board), *summary.pp(board))


def _cost(row: Row) -> Cell:
    """Return USD per 1k queries, or the relative cost where that alone is known."""
    paid = money(row.metrics.get("total_cost_per_1k"))
    if paid.sort is not None:
        return Cell(f"${paid.text}", paid.sort, paid.note)
    relative = plain(row.metrics.get("relative_cost"))
    text = relative.text if relative.sort is None else f"{relative.text} relative"
    return Cell(text, relative.sort, relative.note)


def _rank(run: BoardFile, row: Row) -> str:
    ranks = [each.rank for each in run.board.rows if each.rank is not None]
    if row.rank is None:
        return MISSING if row.state == "ok" else row.state
    return f"{row.rank}{'=' if ranks.count(row.rank) > 1 else ''} of {len(ranks)}"


def _trend(estimates: Sequence[Estimate | None]) -> list[dict[str, float]]:
    """Return places in a drawing of 120 × 28 of values and intervals; none of a single value."""
    known = []
    for i, one in enumerate(estimates):
        if one is not None and one.value is not None:
            ends = [one.value if end is None else end for end in (one.low, one.high)]
            if all(map(isfinite, (one.value, *ends))):
                known.append((i, (one.value, *ends)))
    if len(known) < 2:
        return []
    low, high = min(min(v) for _, v in known), max(max(v) for _, v in known)

    def y(value: float) -> float:
        return round(25 - 22 * (value - low) / ((high - low) or 1), 1)

    step = 112 / (len(estimates) - 1)
    return [
        {"x": round(4 + step * i, 1), "y": y(v[0]), "low": y(v[1]), "high": y(v[2])}
        for i, v in known
    ]


def _router(label: str, suites: Sequence[SuiteHistory]) -> dict[str, Any]:
    parts = [_part(suite, label, *last) for suite in suites if (last := suite.last(label))]
    return {"title": label, "places": parts}


def _part(suite: SuiteHistory, label: str, run: BoardFile, row: Row) -> dict[str, Any]:
    """Return one router on one suite."""
    scale, digits = summary.pp(run.board)
    against = row.against.get(BASELINE, {}).get(suite.measure)
    usage = sorted(row.usage.items(), key=lambda item: (-item[1], item[0]))
    return {
        "suite": suite,
        "run": run,
        "row": row,
        "current": run is suite.newest,
        "rank": _rank(run, row),
        "quality": _quality(row, run.board),
        "against": change(against, scale, digits),
        "cost": _cost(row),
        "options": [(name, MISSING if v is None else str(v)) for name, v in row.options.items()],
        "usage": [(name, part, row.usage_interval.get(name)) for name, part in usage],
        "series": [s for runs in suite.series if (s := _series(suite, runs, [label]))["lines"]],
    }
