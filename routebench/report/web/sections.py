"""The page's content for one run, as plain values for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from routebench.board.read_run import Stored
from routebench.records import Ints, Strings
from routebench.report import online, summary
from routebench.report.format import MISSING, Cell, change, money, plain, share
from routebench.report.points import in_reading_order, lambda_words
from routebench.report.summary import DisplayTable, finished
from routebench.report.terminal import router_facts
from routebench.report.verdict_card import VerdictCard, usd, verdict_card
from routebench.report.volume import PERIODS, Volume
from routebench.report.web import training
from routebench.report.web.colours import HEAT
from routebench.report.web.flow import flows
from routebench.report.web.plots import by_router, cost_quality, series
from routebench.report.web.plots.figure import Figure
from routebench.report.web.reliability import reliability
from routebench.report.web.tradeoffs import tradeoffs
from routebench.report.web.training import RouterCurves
from routebench.schema import BEST_SINGLE, Estimate, Facet, Leaderboard

TASKS, FACETS = 30, 60
"""The largest numbers of tasks with bars, and of facets with a line each."""


def of_run(number: int, stored: Stored, volume: Volume) -> dict[str, Any]:
    """Return one run's title, tables, heat maps and plots (by the id of their element)."""
    board = stored.board
    card = verdict_card(board)
    confident = reliability(stored)
    curves = training.read(stored.folder, board)
    figures = {
        "plane": cost_quality.plane(board),
        "usage": usage(stored),
        "headroom": by_router.headroom(board),
        "latency": by_router.latency(board),
        "stated": series.stated(confident) if confident else None,
        "risk": series.risk(confident) if confident else None,
    }
    figures |= {
        f"regret-{name}": series.regret(board, name)
        for name in ("best-single", "oracle-of-class", "oracle")
    }
    figures["spending"] = series.spending(board)
    panels = [panel for router in curves for panel in router.panels]
    figures |= {f"training-{i}": series.training(panel) for i, panel in enumerate(panels)}
    facts, drawn = router_facts.by_router(board), {curve.router for curve in curves}
    return {
        "id": f"run{number}",
        "title": summary.title(board),
        "folder": stored.folder.resolve().name,
        "valid": board.valid,
        "facts": summary.facts(board),
        "card": card,
        "dollars": _dollars(card, volume),
        "volume": {"number": f"{volume.number:.10g}", "period": volume.period, "periods": PERIODS},
        "tradeoffs": tradeoffs(stored, card),
        "best_single": _best_single(board),
        "texts": stored.texts is not None,
        "notices": [text for text in summary.notices(board) if text != board.headline],
        "measure": board.suite.measure,
        "users": board.suite.users,
        "board": summary.leaderboard(board),
        "seeds": max((len(row.seeds) for row in board.rows), default=0),
        "few_seeds": summary.few_seeds(board),
        "heat": _heat_maps(board),
        "headroom": _headroom(board),
        "points": _points(board),
        "policies": _policies(board),
        "flows": flows(stored),
        "steps": _steps(board),
        "online": online.table(board),
        "stream": online.facts(board),
        "calibration": _calibration(board),
        "timing": _timing(board),
        "curves": _curves(curves, facts),
        "about": {name: facts[name] for name in facts if name not in drawn},
        "training": _training(board),
        "provenance": _provenance(board),
        "heights": {name: figure["height"] for name, figure in figures.items() if figure},
        "variants": figures["usage"].pop("parts") if figures["usage"] else [],
        "plots": {f"run{number}-{name}": figure for name, figure in figures.items() if figure},
    }


def _dollars(card: VerdictCard, volume: Volume) -> dict[str, str] | None:
    """Return dollars a month of the card's router and of the best single model."""
    if card.usd_per_1k is None or card.best_single_usd_per_1k is None:
        return None
    paid, base = (volume.month(cost) for cost in (card.usd_per_1k, card.best_single_usd_per_1k))
    return {"paid": usd(paid, base), "base": usd(base, base), "saved": usd(base - paid, base)}


def _best_single(board: Leaderboard) -> str | None:
    """Return the name of the best single model; None where folds differ."""
    named = {fold.best_single for fold in board.diagnostics.folds}
    return named.pop() if len(named) == 1 else None


def _curves(
    curves: Sequence[RouterCurves], facts: Mapping[str, Sequence[tuple[str, str]]]
) -> list[dict[str, Any]]:
    """Return facts, notes, and the plots' places with their headings of each router with curves."""
    number = count()
    return [
        {
            "router": router.router,
            "facts": facts.get(router.router, []),
            "notes": router.notes,
            "job": router.job,
            "others": router.others,
            "panels": [
                (f"training-{next(number)}", f"{panel.stage}: {panel.about}", panel.axis)
                for panel in router.panels
            ],
        }
        for router in curves
    ]


def usage(stored: Stored) -> Figure | None:
    """Return the shares of models by router, over all queries and by task; None for no router."""
    if not stored.routers:
        return None
    queries, rows = stored.setup.data.queries, stored.rows
    labels = queries.task if queries.task is not None else queries.topic
    choices = {name: stored.choices(name) for name in stored.routers}
    parts = {"all queries": _shares(choices, np.arange(len(rows)), len(stored.models))}
    if labels is not None:
        of_row: Strings = labels[rows]
        names, counts = np.unique(of_row[of_row != None], return_counts=True)  # noqa: E711
        for name in sorted(names[np.argsort(-counts, kind="stable")][:TASKS]):
            task_rows = np.flatnonzero(of_row == name)
            parts[str(name)] = _shares(choices, task_rows, len(stored.models))
    return by_router.usage(stored.routers, stored.models, parts)


def _shares(choices: Mapping[str, Ints], rows: Ints, m: int) -> list[list[float]]:
    return [
        list(np.bincount(chosen[:, rows].ravel(), minlength=m) / max(chosen[:, rows].size, 1))
        for chosen in choices.values()
    ]


def _heat_maps(board: Leaderboard) -> list[dict[str, Any]]:
    """Return quality by facet (down) and router (across), in steps of the whole map's range."""
    maps = []
    for name in ("task", "topic", "user"):
        facets: dict[str, dict[str, Facet]] = {}
        for row in finished(board):
            for label, facet in getattr(row, f"by_{name}").items():
                facets.setdefault(label, {})[row.router] = facet
        if facets:
            maps.append(_heat_map(name, facets, board))
    return maps


def _heat_map(
    name: str, facets: Mapping[str, Mapping[str, Facet]], board: Leaderboard
) -> dict[str, Any]:
    routers = [row.router for row in finished(board)]
    order = sorted(facets, key=lambda label: (-_size(facets[label]), label))
    values = [_of(f, board).value for by_router in facets.values() for f in by_router.values()]
    known = [v for v in values if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    scale, digits = (100, 1) if board.suite.measure == "accuracy" else (1, 3)
    lines = [
        {
            "label": label,
            "n": _size(facets[label]),
            "cells": [_heat(facets[label].get(r), board, low, high, scale, digits)
                      for r in routers],
        }
        for label in order[:FACETS]
    ]  # fmt: skip
    return {"name": name, "routers": routers, "lines": lines, "more": max(0, len(order) - FACETS)}


def _heat(
    facet: Facet | None, board: Leaderboard, low: float, high: float, scale: float, digits: int
) -> tuple[Cell, int]:
    estimate = None if facet is None else _of(facet, board)
    if estimate is None or estimate.value is None:
        return Cell(MISSING), -1
    cell = plain(estimate, scale, digits)
    step = int((len(HEAT) - 1) * (estimate.value - low) / ((high - low) or 1) + 0.5)
    return Cell(f"{scale * estimate.value:.{digits}f}", estimate.value, cell.note), step


def _of(facet: Facet, board: Leaderboard) -> Estimate:
    estimate = facet.accuracy if board.suite.measure == "accuracy" else facet.reward
    return estimate or Estimate(value=None, reason=None, undefined=None)


def _size(by_router: Mapping[str, Facet]) -> int:
    return max(facet.n for facet in by_router.values())


def _headroom(board: Leaderboard) -> list[tuple[str, str]]:
    diagnostics, (scale, digits) = board.diagnostics, summary.pp(board)
    unit = " pp" if scale == 100 else ""
    pairs = []
    if diagnostics.headroom is not None:
        words = f"{scale * diagnostics.headroom:.{digits}f}{unit}"
        pairs.append(("Headroom: oracle minus best single", words))
    pairs.append(("Queries on which models disagree", f"{diagnostics.disagreement:.0%}"))
    pairs.append(("Queries that some model answers better", f"{diagnostics.routable:.0%}"))
    best = [(row.metrics["gap_recovered"].value, row.router) for row in finished(board)
            if "gap_recovered" in row.metrics]  # fmt: skip
    if known := [(value, name) for value, name in best if value is not None]:
        value, name = max(known)
        pairs.append(("Most of it recovered", f"{value:.0%} by {name}"))
    return pairs


def _points(board: Leaderboard) -> DisplayTable | None:
    """Return the settings that were chosen on validation and fixed before the test."""
    rows = [
        [
            Cell(row.router, row.router),
            Cell(name, name),
            Cell(lambda_words(point), None),
            share(point.metrics.get("savings_vs_best_single")),
            plain(point.metrics.get("accuracy"), 100, 1),
            change(point.against.get(BEST_SINGLE, {}).get("accuracy")),
            money(point.metrics.get("total_cost_per_1k")),
        ]
        for row in finished(board)
        for name, point in in_reading_order(row.points)
    ]
    heads = ("Router", "Point", "λ", "Saves", "Accuracy, %", "Δ best single, pp", "$ per 1k")
    return DisplayTable(heads, rows) if rows else None


def _policies(board: Leaderboard) -> DisplayTable | None:
    """Return the shares of each policy by router, with quality and cost of the answers then."""
    scale, digits = (100, 1) if board.suite.measure == "accuracy" else (1, 3)
    rows = [
        [
            Cell(row.router, row.router),
            Cell(name, name),
            share(use.share),
            plain(use.accuracy or use.reward, scale, digits),
            money(use.cost_per_1k),
        ]
        for row in finished(board)
        if row.policies
        for name, use in sorted(row.policies.use.items(), key=lambda item: -item[1].n)
    ]
    measure = "Accuracy, %" if scale == 100 else "Reward"
    return DisplayTable(("Router", "Policy", "Share", measure, "$ / 1k"), rows) if rows else None


def _steps(board: Leaderboard) -> DisplayTable | None:
    """Return the commonest ways to an answer of routers that see answers: asked, and stopped."""
    rows = [
        [
            Cell(row.router, row.router),
            Cell(asked := ", then ".join(" + ".join(models) for models in path.asked), asked),
            Cell(path.answer, path.answer),
            Cell(f"{path.share:.1%}", path.share),
            Cell(f"{100 * path.accuracy:.1f}", path.accuracy),
        ]
        for row in finished(board)
        if row.steps
        for path in row.steps.paths
    ]
    heads = ("Router", "Asked", "Answer of", "Queries", "Accuracy, %")
    return DisplayTable(heads, rows) if rows else None


def _calibration(board: Leaderboard) -> DisplayTable | None:
    names = ("ece", "brier", "aurc")
    rows = [
        [Cell(row.router, row.router), *(plain(row.metrics.get(name)) for name in names)]
        for row in finished(board)
        if any((e := row.metrics.get(name)) and e.value is not None for name in names)
    ]
    return DisplayTable(("Router", "ECE", "Brier", "AURC"), rows) if rows else None


_TIMES = {
    "latency_ms_p50": ("p50, ms", 1.0, "{:.3g}"),
    "latency_ms_p95": ("p95, ms", 1.0, "{:.3g}"),
    "latency_ms_p99": ("p99, ms", 1.0, "{:.3g}"),
    "fit_seconds": ("fit, s", 1.0, "{:.2f}"),
    "route_seconds": ("route, s", 1.0, "{:.3f}"),
    "peak_rss_bytes": ("peak, MiB", 2.0**-20, "{:,.0f}"),
    "parameters": ("parameters", 1.0, "{:,.0f}"),
    "router_tokens_per_second": ("tokens/s", 1.0, "{:,.0f}"),
}


def _timing(board: Leaderboard) -> DisplayTable | None:
    timings = board.timing.get("routers", {})
    known = [key for key in _TIMES if any(key in timing for timing in timings.values())]
    rows = [
        [Cell(row.router, row.router), *(_time(timings[row.router], key) for key in known)]
        for row in finished(board)
        if row.router in timings
    ]
    return DisplayTable(("Router", *(_TIMES[key][0] for key in known)), rows) if known else None


def _time(timing: Mapping[str, Any], key: str) -> Cell:
    _, scale, form = _TIMES[key]
    value = timing.get(key)
    return Cell(MISSING) if value is None else Cell(form.format(scale * value), float(value))


def _training(board: Leaderboard) -> DisplayTable:
    rows = [
        [
            Cell(row.router, row.router),
            Cell(" ".join(filter(None, (row.distribution, row.version))) or MISSING),
            Cell(", ".join(map(str, row.seeds)) or MISSING),
            Cell(_flat(row.options) or "defaults"),
            Cell("; ".join(filter(None, (row.message, *row.warnings))) or MISSING),
        ]
        for row in board.rows
    ]
    return DisplayTable(("Router", "From", "Seeds", "Options", "Notes"), rows)


def _provenance(board: Leaderboard) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    objective = ", ".join(f"{name} {weight:g}" for name, weight in board.objective.items())
    made = {
        "split": board.suite.split, "folds": board.suite.folds, "protocol": board.suite.protocol,
        "shown to routers": ", ".join(["text", *board.suite.shown]),
        "shown in training only": ", ".join(board.suite.training_only), "encoder": board.encoder,
        "objective": objective, "costs": board.priced, "resamples": board.resamples,
        "queries": _flat(board.suite.queries), "models": ", ".join(board.suite.models),
    }  # fmt: skip
    machine = {
        name: _flat(value) if isinstance(value, dict) else _listed(value)
        for name, value in board.environment.items()
    }
    prints = {row.router: row.fingerprint for row in board.rows if row.fingerprint}
    return [
        ("Fingerprints", _pairs(board.fingerprints.model_dump())),
        ("Options", _pairs(made)),
        ("Environment", _pairs(machine)),
        ("Routers' fingerprints", _pairs(prints)),
        ("Files, sha256", _pairs(board.files)),
    ]


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, MISSING if value is None else str(value)) for name, value in values.items()]


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _flat(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
