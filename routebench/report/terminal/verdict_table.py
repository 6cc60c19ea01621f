"""The main table of a board with verdicts: what is saved within a margin, then the own choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from routebench.metrics.points.words import bound, margin_words, signed
from routebench.printed import plain as in_encoding
from routebench.report.format import BASELINE, MISSING, in_order
from routebench.report.terminal.console import LABEL, compact, percent, short
from routebench.report.volume import Volume, monthly
from routebench.schema import Estimate, Leaderboard, RouterVerdict, Row

_TONES = {"proven": "green", "worse": "red"}
_FEWEST = 10  # columns for a model's share and name, below which they say nothing
_FEET = {
    "oracle": "oracle",
    "best_single_hindsight": "best in hindsight",
    "best_single": "best single",
    "random": "random, exact",
}
Models = Callable[[dict[str, float], int], str]


def show(
    board: Leaderboard,
    out: Console,
    baseline: str,
    models: Models,
    more: Sequence[str],
    extra: Callable[[Row], list[str]],
) -> None:
    """Print the table; `more` and `extra` are the columns that come last."""
    reference = "best single" if baseline == BASELINE else short(baseline, 14)
    names = ["router", "saves", "Δ (worst)", "verdict"]
    names += ["accuracy", f"Δ {reference}", "$ / 1k", "saves"]
    judged, others = in_order(board)
    lines = [_cells(row, baseline) for row in (*judged, *others)]
    feet = _references(board)
    widths = [
        max(_length(text, out) for text in (escape(name), *(line[at] for line in [*lines, *feet])))
        for at, name in enumerate(names)
    ]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for at, name in enumerate(names):
        side: Literal["left", "right"] = "left" if name in ("router", "verdict") else "right"
        widths[at] += name == "verdict"  # a gap between the two groups
        table.add_column(name, justify=side, no_wrap=True, min_width=widths[at])
    used = sum(widths) + len(names) + sum(1 + cell_len(name) for name in more)
    room = out.width - used
    if room >= _FEWEST:
        table.add_column("models used" if room > 10 else "models", no_wrap=True)
    for name in more:
        table.add_column(name, justify="right", no_wrap=True)
    for row, cells in zip((*judged, *others), lines, strict=True):
        if others and row is others[0] and judged:
            table.add_section()
        usage = [models(row.usage, room)] if room >= _FEWEST else []
        table.add_row(*cells, *usage, *(extra(row) if row.state == "ok" else [""] * len(more)))
    table.add_section()
    for cells in feet:
        table.add_row(*cells, style="dim")
    out.print(_groups(judged, widths), style="dim", no_wrap=True)
    out.print(table)


def _length(text: str, out: Console) -> int:
    """Return the columns of a text with styles, in the signs that the output has."""
    return cell_len(in_encoding(Text.from_markup(text).plain, out.encoding))


def _groups(judged: Sequence[Row], widths: Sequence[int]) -> str:
    """Return the line above the heading that says what the two groups of columns are of."""
    points = {row.verdict.point for row in judged if row.verdict is not None}
    first = min(points, key=lambda name: (name == "most-accurate", name))
    left = widths[0] + 1
    middle = left + sum(widths[1:4]) + 3
    rule = f"── at {first} ".ljust(middle - left - 1, "─")
    rest = "── most accurate: its own choice ".ljust(sum(widths[4:]) + 3, "─")
    return f"{'':{left}}{rule} {rest}"


def _cells(row: Row, baseline: str) -> list[str]:
    label = escape(short(row.router, LABEL))
    if row.state != "ok":
        return [label, f"[red]{row.state}[/red]", *[""] * 6]
    verdict = ["", "", ""] if row.verdict is None else _verdict(row.verdict)
    return [
        label,
        *verdict,
        percent(row.metrics["accuracy"]),
        compact(row.against[baseline]["accuracy"]),
        dollars(row.metrics["total_cost_per_1k"]),
        _share(row.metrics["savings_vs_best_single"]),
    ]


def _verdict(verdict: RouterVerdict) -> list[str]:
    saved = compact(verdict.savings, 100, 0, sign=False, unit="%")
    if verdict.kind == "same":
        return ["0%", "=", "same model"]
    tone = _TONES.get(verdict.kind)
    words = f"[{tone}]{verdict.kind}[/{tone}]" if tone else verdict.kind
    return [saved, f"{signed(verdict.difference)} ({bound(verdict.low, verdict.margin)})", words]


def dollars(estimate: Estimate | None) -> str:
    """Return USD to three digits."""
    return MISSING if estimate is None or estimate.value is None else f"{estimate.value:#.3g}"


def _share(estimate: Estimate) -> str:
    return MISSING if estimate.value is None else f"{100 * estimate.value:.0f}%"


def _references(board: Leaderboard) -> list[list[str]]:
    rows = {row.router for row in board.rows if row.state == "ok"}
    # What a row shows needs no line: it is the same.
    shown = {"best_single"} if BASELINE in rows else set()
    metrics = [(text, board.references.get(key)) for key, text in _FEET.items() if key not in shown]
    return [
        [text, "", "", "", percent(m["accuracy"]), "", dollars(m["cost_per_1k"]), ""]
        for text, m in metrics
        if m
    ]


def notes(board: Leaderboard) -> list[tuple[str, str]]:
    """Return words of the table with their meaning, for somebody who sees it for the first time."""
    verdicts = [row.verdict for row in board.rows if row.verdict is not None]
    within = margin_words(verdicts[0].margin)
    point = min((one.point for one in verdicts), key=lambda name: (name == "most-accurate", name))
    single = sorted({fold.best_single for fold in board.diagnostics.folds})
    named = f" ({', '.join(single)})" if len(single) == 1 else ""
    against = f"against the best single model{named}"
    if point == "most-accurate":  # of all that are judged
        asked = f"its own choice, as it has no settings; judged {against}"
    else:
        inner = {
            row.learning.inner_folds > 0 for row in board.rows if row.learning and not row.reference
        }
        known = "inner folds" if inner == {True} else "validation"
        known = "inner folds or validation" if len(inner) == 2 else known
        asked = (
            f"the cheapest setting that by {known}, luck allowed for, loses at most {within} "
            f"{against}; fixed before the test"
        )
    texts = [
        (point, asked),
        ("saves", "all-in cost against the best single model's"),
        ("Δ (worst)", "accuracy against it, in pp, and the bound on which the verdict rests"),
        (
            "proven",
            f"loses less than {within}: the chance of any false one in this run is at most 5% "
            "(Holm); worse: loses more",
        ),
        ("below", "references that are no learned routers; the last lines are in hindsight"),
        ("±, [ ], *", "95% intervals; p < .05, paired, Holm-adjusted"),
    ]
    if any(one.point == "most-accurate" != point for one in verdicts):
        own = [
            row.router
            for row in board.rows
            if row.verdict is not None and row.verdict.point == "most-accurate"
        ]
        texts.insert(1, ("", f"{', '.join(own)}: no settings, so judged by the own choice"))
    return texts


def show_notes(pairs: Sequence[tuple[str, str]], out: Console) -> None:
    """Print words and their meaning in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for word, meaning in pairs:
        table.add_row(escape(word), escape(meaning))
    out.print(table, style="dim")


def undecided(board: Leaderboard) -> str | None:
    """Return how many queries would decide what is not proven; None where all is."""
    judged, _ = in_order(board)
    found = [(row.router, row.verdict) for row in judged if row.verdict is not None]
    needed = [(name, one.queries_needed) for name, one in found if one.kind == "not proven"]
    if not needed:
        return None
    at_margin = "any number (its loss is about the margin)"
    words = [f"{name} {at_margin if n is None else format(n, ',')}" for name, n in needed]
    return f"test queries that would decide what is not proven: {', '.join(words)}"


def show_monthly(board: Leaderboard, out: Console, volume: Volume) -> None:
    """Print dollars a month by router, at the point of its verdict and by its own choice."""
    base, each = monthly(board, volume)
    digits = 0 if (base or 0.0) >= 100 else 2
    out.print(f"[bold]Dollars a month[/bold], at {volume.written}")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for at, name in enumerate(("router", "within the margin", "saved", "its own choice", "saved")):
        table.add_column(name, justify="right" if at else "left", no_wrap=True)
    for one in each:
        pairs = [text for usd in (one.at_point, one.own) for text in _usd(usd, base, digits)]
        table.add_row(escape(short(one.router, LABEL)), *pairs)
    table.add_section()
    table.add_row("best single", *2 * _usd(base, None, digits), style="dim")
    out.print(table)
    out.print()


def _usd(value: float | None, base: float | None, digits: int) -> tuple[str, str]:
    """Return dollars, and how many fewer than the base."""
    if value is None:
        return MISSING, ""
    paid, saved = (f"{x:,.{digits}f}".replace("-", "−") for x in (value, (base or 0.0) - value))
    return paid, "" if base is None else saved
