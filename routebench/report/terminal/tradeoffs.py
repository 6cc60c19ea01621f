"""Operating points, curves, calibration and stability, as tables at 100 columns."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape

from routebench.report.format import MISSING
from routebench.report.points import in_reading_order, lambda_words, pair_words
from routebench.report.terminal.console import (
    LABEL,
    difference,
    interval,
    make_table,
    percent,
    short,
)
from routebench.schema import BEST_SINGLE, Estimate, Leaderboard, PointResult, Row

TASKS = 4
"""The largest number of tasks that are printed with a table each."""


def show(board: Leaderboard, out: Console) -> None:
    """Print the routers' operating points, and their pair of models overall and by task."""
    rows = [row for row in board.rows if row.state == "ok"]
    swept = [row for row in rows if row.points]
    if swept:
        _points(swept, out)
    elif rows:
        reasons = sorted({str(_get(row.metrics, "aiq").reason) for row in rows})
        out.print(escape(f"no trade-offs of quality and cost: {'; '.join(reasons)}"))
    if rows:
        _pair(board, rows, out)
        _tasks(rows, out)


def _points(rows: list[Row], out: Console) -> None:
    out.print("[bold]Operating points: chosen on validation, fixed before the test[/bold]")
    table = make_table(
        "router",
        "point",
        "λ",
        "saves, %",
        "accuracy",
        "Δ best single, pp",
        "$ / 1k",
        left=("point",),
    )
    for row in rows:
        for i, (name, point) in enumerate(in_reading_order(row.points)):
            apart = point.against.get(BEST_SINGLE, {}).get("accuracy")
            table.add_row(
                "" if i else _label(row),
                escape(name),
                lambda_words(point),
                interval(point.metrics.get("savings_vs_best_single"), 100, "{:.0f}"),
                percent(_of(point, "accuracy")),
                MISSING if apart is None else difference(apart),
                _number(_of(point, "total_cost_per_1k"), "{:#.3g}"),
            )
    out.print(table)
    out.print(
        "[dim]λ: what a router gives up in score to save a USD: it chooses by expected quality − "
        "λ · cost (of several seeds and folds, the least and the largest; own: its own choice; "
        "n fixed: jobs in which the best single model stands in); routebench route RUN ROUTER "
        "--point NAME decides so[/dim]\n"
    )
    money = make_table("router", "AIQ", "QNC", "over the mix, pp")
    for row in rows:
        money.add_row(
            _label(row),
            interval(_get(row.metrics, "aiq"), 1, "{:.3f}"),
            interval(_get(row.metrics, "qnc"), 1, "{:.2f}"),
            interval(_get(row.metrics, "over_mix"), 100, "{:+.1f}"),
        )
    out.print(money)
    out.print(
        "[dim]AIQ: mean accuracy over the pool's range of cost; QNC: share of the best single "
        "model's cost that reaches its accuracy, read off the test queries; over the mix: accuracy "
        "above the same shares of queries dealt to the models at random[/dim]\n"
    )


def _of(point: PointResult, name: str) -> Estimate:
    return _get(point.metrics, name)


def _pair(board: Leaderboard, rows: list[Row], out: Console) -> None:
    """Print one pair of models by router, with the router's calibration and stability."""
    out.print("[bold]From the weak to the strong model, and what routers know of themselves[/bold]")
    for words in pair_words(rows):
        out.print(f"[dim]{escape(words)}[/dim]")
    table = make_table("router", *_PAIR.values(), "over mixing, pp", "ECE", "Brier", "stable")
    for row in rows:
        table.add_row(
            _label(row),
            *_pair_cells(row.metrics),
            interval(_get(row.metrics, "mix_lift"), 100, "{:+.1f}"),
            *(_number(_get(row.metrics, name), "{:.3f}") for name in ("ece", "brier")),
            _number(_get(row.metrics, "stability"), "{:.0%}"),
        )
    table.add_section()
    for name, text in (("oracle", "perfect router"), ("random", "coin")):
        if "apgr" in (metrics := board.references.get(name, {})):
            table.add_row(text, *_pair_cells(metrics), *[""] * 4, style="dim")
    out.print(table)
    out.print(
        "[dim]APGR: mean share of the gap from weak to strong closed over all shares of strong "
        "calls; CPT: share of strong calls that closes 50 or 80% of it; over mixing: accuracy "
        "above a coin between the two for the same money (references claim none); ECE and Brier: "
        "of the stated confidence; stable: decisions that case, spaces, typos or another phrasing "
        "do not change[/dim]\n"
    )


def _tasks(rows: list[Row], out: Console) -> None:
    """Print the pair by task, where there are few tasks."""
    tasks = sorted({task for row in rows for task, facet in row.by_task.items() if facet.pair})
    if not 1 < len(tasks) <= TASKS:
        return
    for task in tasks:
        out.print(f"[bold]{escape(task)}[/bold]")
        table = make_table("router", *_PAIR.values())
        for row in rows:
            if (facet := row.by_task.get(task)) and facet.pair:
                table.add_row(_label(row), *_pair_cells(facet.pair))
        out.print(table)
        out.print()


_PAIR = {"apgr": "APGR", "cpt_50": "CPT50", "cpt_80": "CPT80"}


def _pair_cells(metrics: Mapping[str, Estimate]) -> list[str]:
    return [
        interval(_get(metrics, "apgr"), 1, "{:.3f}"),
        *(_number(_get(metrics, name), "{:.1%}") for name in ("cpt_50", "cpt_80")),
    ]


def _get(metrics: Mapping[str, Estimate], name: str) -> Estimate:
    """Return a metric, or the reason why a board made by an older version has none."""
    missing = Estimate(value=None, reason="not in this board", undefined=None)
    return metrics.get(name, missing)


def _label(row: Row) -> str:
    return escape(short(row.router, LABEL))


def _number(estimate: Estimate, form: str) -> str:
    return "–" if estimate.value is None else form.format(estimate.value)
