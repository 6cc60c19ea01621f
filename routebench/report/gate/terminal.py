"""A gate's result as text for a terminal or the log of a CI job."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routebench.comparison.schema import Change, GateResult
from routebench.comparison.verdict import Verdict
from routebench.report.gate import words
from routebench.report.terminal.console import LABEL, make_table, short

_COLOURS = {
    "pass": "green",
    "regression": "red",
    "missing": "red",
    "invalid": "red",
    "inconclusive": "yellow",
}
_SHOWN_FLIPS = 3
_NUMBERS = 88  # columns that all but the router's name may take


def show(result: GateResult, out: Console) -> None:
    """Print headline, table, guards, flips and changes."""
    colour = _COLOURS[result.verdict]
    out.print(f"[bold {colour}]{escape(words.headline(result))}[/]", soft_wrap=True)
    out.print(f"baseline {escape(result.baseline)}", soft_wrap=True)
    out.print(f"candidate {escape(result.candidate)}", soft_wrap=True)
    if result.verdict == "invalid":
        for line in words.why_invalid(result):
            out.print(f"[red]{escape(line)}[/]", soft_wrap=True)
        return
    if result.comparisons:
        out.print()
        out.print(_table(result, out.width))
        out.print(f"[dim]{escape(words.family(result))}; {words.LEGEND}[/]")
    if (counts := words.verdicts(result)) is not None:
        out.print(counts)
    _reasons(result, out)
    _guards(result, out)
    _flips(result, out)
    _changes(result.changes, out)
    for note in result.notes:
        out.print(f"[dim]note: {escape(note)}[/]", soft_wrap=True)


def _table(result: GateResult, width: int) -> Table:
    room = max(8, min(LABEL, width - _NUMBERS))
    table = make_table(*words.COLUMNS, left=("metric", "verdict"))
    for one in result.comparisons:
        router, *numbers, verdict = words.cells(one)
        colour = _COLOURS[one.verdict.value]
        texts = [escape(short(router, room)), *map(escape, numbers)]
        table.add_row(*texts, f"[{colour}]{verdict}[/]")
    return table


def _reasons(result: GateResult, out: Console) -> None:
    for one in result.comparisons:
        if one.verdict is Verdict.MISSING:
            out.print(f"[red]{escape(one.router)}: {escape(words.sentence(one))}[/]")
        elif one.verdict is Verdict.INCONCLUSIVE:
            why = one.reason if one.difference is None else words.needed(one)
            out.print(f"{escape(one.router)} {one.metric}: {why}", soft_wrap=True)


def _guards(result: GateResult, out: Console) -> None:
    for one in result.findings:
        colour = "red" if one.level == "fail" else "yellow"
        text = f"{one.level.upper()} {one.guard}: {one.router}: {one.message}"
        out.print(f"[{colour}]{escape(text)}[/]", soft_wrap=True)


def _flips(result: GateResult, out: Console) -> None:
    for one in result.flips:
        out.print(
            f"{escape(one.router)}: {one.changed:.1%} of decisions changed; "
            f"{one.worse:,} queries worse, {one.better:,} better",
            soft_wrap=True,
        )
        for each in one.largest[:_SHOWN_FLIPS]:
            out.print(f"  {escape(' · '.join(words.flip(each)))}", soft_wrap=True)


def _changes(changes: list[Change], out: Console) -> None:
    for one in changes:
        out.print(f"changed: {escape(f'{one.what}: {one.old} → {one.new}')}", soft_wrap=True)
