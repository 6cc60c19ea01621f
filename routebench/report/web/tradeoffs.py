"""The trade-offs of every router that the page's slider goes through.

A router's curve is what its settings come to on the test queries; its operating points are those
that were fixed before. Both stand on one slider, from the cheapest to the most accurate, as the
chart above it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routebench.board.read_run import Stored
from routebench.data.splits import VALIDATION
from routebench.metrics.points.sweep import grid
from routebench.metrics.points.words import bound, signed
from routebench.report.format import in_order
from routebench.report.points import in_reading_order, lambda_words, range_words
from routebench.report.verdict_card import VerdictCard
from routebench.schema import BEST_SINGLE, Leaderboard, PointResult, Row

Stop = dict[str, Any]
"""Accuracy `a`, USD per 1,000 queries `c`, savings `s`, difference from the best single model
`d`, and λ in words `l`; of an operating point its name `p` and what was found out of it, `t`."""


def tradeoffs(stored: Stored, card: VerdictCard) -> dict[str, Any] | None:
    """Return the slider's routers, the verdict's first, and which of them is shown; or None."""
    board = stored.board
    if board.suite.users or board.priced == "unpriced":
        return None
    routers = [
        {"name": row.router, "single": single, "stops": stops[::-1]}
        for part in in_order(board)
        for row in part
        if (single := _best_single(row, board)) and len(stops := _stops(row, stored, single)) > 1
    ]
    if not routers:
        return None
    names = [one["name"] for one in routers]
    return {
        "routers": routers,
        "shown": names.index(card.router) if card.router in names else 0,
        "start": card.point,
    }


def _best_single(row: Row, board: Leaderboard) -> dict[str, float] | None:
    """Return accuracy and cost of the best single model on the queries of a router's curve."""
    reference = board.references.get("best_single", {})
    known = [reference.get(name) for name in ("accuracy", "cost_per_1k")]
    point = next((p for name, p in row.points.items() if name != "most-accurate"), None)
    if point is not None and point.n != board.diagnostics.scored:
        return _at_point(point)
    if any(one is None or one.value is None for one in known):
        return None
    accuracy, cost = (one.value for one in known if one is not None)
    return {"a": accuracy, "c": cost} if accuracy is not None and cost else None


def _at_point(point: PointResult) -> dict[str, float] | None:
    """Return the same, from what was measured against it at a point on fewer queries."""
    names = ("accuracy", "total_cost_per_1k", "savings_vs_best_single")
    known = [point.metrics.get(name) for name in names]
    apart = point.against.get(BEST_SINGLE, {}).get("accuracy")
    accuracy, cost, saved = (None if one is None else one.value for one in known)
    if accuracy is None or cost is None or saved is None or saved >= 1:
        return None
    if apart is None or apart.value is None:
        return None
    return {"a": accuracy - apart.value, "c": cost / (1 - saved)}


def _stops(row: Row, stored: Stored, single: dict[str, float]) -> list[Stop]:
    """Return a router's settings from the most accurate to the cheapest, points among them."""
    if not row.curve:
        return []
    lambdas = lambda_steps(row, stored)
    stops: list[Stop] = []
    for step, at in enumerate(row.curve):
        stop = _stop(at.accuracy, at.total_cost_per_1k, single)
        stop["l"] = lambdas[step] if step < len(lambdas) else None
        if not stops or (stop["a"], stop["c"]) != (stops[-1]["a"], stops[-1]["c"]):
            stops.append(stop)
    for name, point in in_reading_order(row.points):
        if (marked := _named(name, point, row, single)) is not None:
            stops.insert(_place(stops, marked), marked)
    return stops


def _stop(accuracy: float, cost: float, single: dict[str, float]) -> Stop:
    return {
        "a": round(accuracy, 6),
        "c": float(f"{cost:.6g}"),
        "s": round(1 - cost / single["c"], 6),
        "d": round(accuracy - single["a"], 6),
    }


def _named(name: str, point: PointResult, row: Row, single: dict[str, float]) -> Stop | None:
    names = ("accuracy", "total_cost_per_1k", "savings_vs_best_single")
    known = [point.metrics.get(metric) for metric in names]
    accuracy, cost, saved = (None if one is None else one.value for one in known)
    if accuracy is None or cost is None:
        return None
    stop = _stop(accuracy, cost, single)
    if saved is not None:
        stop["s"] = round(saved, 6)
    apart = point.against.get(BEST_SINGLE, {}).get("accuracy")
    if apart is not None and apart.value is not None:
        stop["d"] = round(apart.value, 6)
    return stop | {"l": lambda_words(point), "p": name, "t": _finding(name, row)}


def _finding(name: str, row: Row) -> str:
    """Return the verdict on a point in a few words, or that none was made on it."""
    verdict = row.verdict
    if verdict is None:
        return "no verdict was made on it"
    if verdict.point != name:
        return f"the verdict is on {verdict.point}"
    if verdict.kind == "same":
        return "the best single model stands in: nothing saved, nothing lost"
    low, high = bound(verdict.low, verdict.margin), bound(verdict.high, verdict.margin)
    ends = f"at best {high}" if verdict.kind == "worse" else f"at worst {low}"
    return f"{verdict.kind}: {signed(verdict.difference)} pp ({ends})"


def _place(stops: Sequence[Stop], point: Stop) -> int:
    """Return where a point stands among settings: after the last that costs as much or more."""
    dearer = [i for i, stop in enumerate(stops) if stop["c"] >= point["c"]]
    return dearer[-1] + 1 if dearer else 0


def lambda_steps(row: Row, stored: Stored) -> list[str]:
    """Return λ in words at each step of a router's curve; empty where it is not known.

    Seeds and folds have a grid each: a step is a place on all of them.
    """
    grids = []
    for seed in row.seeds:
        for fold in range(stored.board.suite.folds):
            known = _grid(row.router, seed, fold, stored)
            if known is None:
                return []
            grids.append(known)
    if not grids or max(map(len, grids)) != len(row.curve):
        return []
    return [
        range_words([each[min(step, len(each) - 1)] for each in grids])
        for step in range(len(row.curve))
    ]


def _grid(router: str, seed: int, fold: int, stored: Stored) -> Sequence[float] | None:
    """Return the λ that one job was run at; None where the run folder does not tell."""
    if (asked := stored.trade_offs.get((router, seed, fold))) is not None:
        return asked.lambdas
    expected = stored.expected.get(((router, seed, fold), VALIDATION))
    folds = stored.board.diagnostics.folds
    if expected is None or fold >= len(folds) or (by_model := folds[fold].mean_cost) is None:
        return None
    known = [by_model.get(model) for model in stored.models]
    cost = np.array([np.nan if usd is None else usd for usd in known], dtype=np.float64)
    return list(map(float, grid(expected, cost)))
