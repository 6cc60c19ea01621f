"""The result of a grid, made of the boards of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import routebench
from routebench.grid.ranks import ALPHA, rank_test, ranked
from routebench.grid.schema import (
    GridEntry,
    GridResult,
    GridRouter,
    GridSuite,
    Outcome,
    RankTest,
)
from routebench.records import Floats
from routebench.schema import BEST_SINGLE, Difference, Leaderboard, Row


def grid_result(name: str, boards: Mapping[str, Leaderboard]) -> GridResult:
    """Return the result over the boards, by suite."""
    suites = [_suite(suite, board) for suite, board in boards.items()]
    test, reason = _ranks(boards)
    entries = {suite: _entries(board) for suite, board in boards.items()}
    labels = sorted({label for of_suite in entries.values() for label in of_suite})
    average = _average(boards, test)
    routers = [_router(label, boards, entries, average.get(label)) for label in labels]
    routers.sort(key=lambda one: (one.average_rank is None, one.average_rank, one.router))
    return GridResult(
        name=name,
        routebench=routebench.__version__,
        suites=suites,
        routers=routers,
        ranks=test,
        no_ranks=reason,
    )


def _suite(name: str, board: Leaderboard) -> GridSuite:
    about, measure = board.suite, board.suite.measure
    named = [Path(str(path)).name for path in board.environment.get("data", [])]
    return GridSuite(
        name=name,
        title=" ".join([about.name, *named]),
        folder=name,
        source=about.source,
        measure=measure,
        priced=board.priced,
        valid=board.valid,
        invalid_reason=board.invalid_reason,
        headline=board.headline,
        scored=board.diagnostics.scored,
        models=len(about.models),
        folds=about.folds,
        seeds=max((len(row.seeds) for row in board.rows), default=0),
        best_single=board.references["best_single"][measure],
        oracle=board.references["oracle"][measure],
        mde=board.diagnostics.mde,
        finished=board.environment.get("finished"),
    )


def _entries(board: Leaderboard) -> dict[str, GridEntry]:
    """Return the entries of a board by router."""
    scores = _scores(board)
    ranks: dict[str, float] = {}
    if scores and board.valid:
        row: Floats = ranked(_line(list(scores.values())))
        ranks = dict(zip(scores, row[0].tolist(), strict=True))
    return {row.router: _entry(row, board, ranks.get(row.router)) for row in board.rows}


def _line(values: list[float]) -> Floats:
    import numpy as np

    return np.array([values], dtype=np.float64)


def _entry(row: Row, board: Leaderboard, rank: float | None) -> GridEntry:
    if row.state != "ok":
        return GridEntry(state=row.state, message=row.message)
    measure, verdict = board.suite.measure, row.verdict
    difference = row.against.get(BEST_SINGLE, {}).get(measure)
    return GridEntry(
        state="ok",
        rank=rank,
        quality=row.metrics.get(measure),
        against_best_single=difference,
        outcome=_outcome(difference) if board.valid else None,
        gap_recovered=row.metrics.get("gap_recovered"),
        point=verdict.point if verdict else None,
        verdict=verdict.kind if verdict else None,
        savings=verdict.savings if verdict else None,
        sentence=verdict.sentence if verdict else None,
    )


def _outcome(difference: Difference | None) -> Outcome | None:
    if difference is None or difference.value is None:
        return None
    if difference.p is None or difference.p >= ALPHA:
        return "tie"
    return "win" if difference.value > 0 else "loss"


def _router(
    label: str,
    boards: Mapping[str, Leaderboard],
    entries: Mapping[str, Mapping[str, GridEntry]],
    average: float | None,
) -> GridRouter:
    own = {suite: found[label] for suite, found in entries.items() if label in found}
    count = Counter(entry.outcome for entry in own.values())
    rows = [row for board in boards.values() for row in board.rows if row.router == label]
    verdicts = Counter(e.verdict for s, e in own.items() if e.verdict and boards[s].valid)
    return GridRouter(
        router=label,
        reference=any(row.reference for row in rows),
        average_rank=average,
        wins=count["win"],
        ties=count["tie"],
        losses=count["loss"],
        verdicts={kind: number for kind, number in sorted(verdicts.items()) if kind is not None},
        entries=own,
    )


def _scores(board: Leaderboard) -> dict[str, float]:
    """Return the mean score of every row that ended well."""
    found = {}
    for row in board.rows:
        quality = row.metrics.get(board.suite.measure)
        if row.state == "ok" and quality is not None and quality.value is not None:
            found[row.router] = quality.value
    return found


def _compared(boards: Mapping[str, Leaderboard]) -> dict[str, dict[str, float]]:
    """Return the scores, by suite, of the routers that ended well on every valid board."""
    scores = {suite: _scores(board) for suite, board in boards.items() if board.valid}
    everywhere = set.intersection(*map(set, scores.values())) if scores else set()
    return {
        suite: {label: found[label] for label in sorted(everywhere)}
        for suite, found in scores.items()
    }


def _ranks(boards: Mapping[str, Leaderboard]) -> tuple[RankTest | None, str | None]:
    """Return the test of ranks, or why there is none."""
    compared = _compared(boards)
    labels = list(next(iter(compared.values()), {}))
    if len(compared) < 2:
        return None, "ranks over suites need two valid boards at least"
    if len(labels) < 3:
        return None, "Friedman's test needs three routers that ended well on every suite"
    scores = {label: [found[label] for found in compared.values()] for label in labels}
    return rank_test(list(compared), scores), None


def _average(boards: Mapping[str, Leaderboard], test: RankTest | None) -> dict[str, float]:
    """Return the average ranks among the routers that are compared."""
    if test is None:
        return {}
    compared = _compared(boards)
    table = _line([compared[s][r] for s in test.suites for r in test.routers])
    ranks = ranked(table.reshape(len(test.suites), -1)).mean(axis=0)
    return dict(zip(test.routers, ranks.tolist(), strict=True))
