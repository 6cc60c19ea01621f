"""A judge's grades, and how far another judge agrees, for a person or a program."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routebench.hookspecs import JudgeUsage
from routebench.judge.agreement import Agreement, IntervalEstimate, ModelAgreement
from routebench.judge.compared import Compared, Example
from routebench.judge.store import Counts
from routebench.judge.table import Judged
from routebench.redact import one_line
from routebench.report.terminal.console import short

_TEXT, _NAME = 240, 30


def show(judged: Judged, out: Console) -> None:
    """Print counts, then agreement, confusion, models and examples."""
    _counts(judged, out)
    if judged.compared is None:
        out.print(f"nothing to compare: {escape(judged.nothing)}")
        return
    compared = judged.compared
    out.print()
    _overall(compared, out)
    out.print()
    out.print(_confusion(compared))
    out.print()
    out.print(_models(compared))
    _about_models(compared, out)
    for example in compared.examples:
        out.print()
        _example(example, compared, out)


def to_json(judged: Judged) -> str:
    """Return the result as JSON; control characters of texts are escaped."""
    content = {
        "place": judged.place,
        "counts": counted(judged.counts),
        "compared": None if judged.compared is None else asdict(judged.compared),
        "nothing_to_compare": judged.nothing or None,
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def counted(counts: Counts) -> dict[str, Any]:
    """Return the counts of graded answers, grades and notes, and the judge's usage."""
    usage = counts.usage
    return {
        "judge": counts.judge,
        "graded": counts.graded,
        "ungraded": counts.ungraded,
        "grades": dict(counts.grades),
        "notes": dict(counts.reasons),
        "usage": None if usage is None else asdict(usage),
        "texts": None if counts.texts is None else asdict(counts.texts),
    }


def _counts(judged: Judged, out: Console) -> None:
    counts = judged.counts
    place, name = escape(one_line(judged.place)), escape(counts.judge)
    total = counts.graded + counts.ungraded
    if not total:
        out.print(f"[bold]{place}[/bold]: {name} has graded all answers before")
    else:
        by_grade = [f"{n:,} {grade}" for grade, n in sorted(counts.grades.items())]
        parts = [f"{total:,} answers in {counts.seconds:.1f} s", *by_grade]
        parts += [f"[yellow]{counts.ungraded:,} ungraded[/yellow]"] if counts.ungraded else []
        out.print(f"[bold]{place}[/bold]: {name} graded {', '.join(parts)}")
    for note, n in counts.reasons:
        out.print(f"[dim]{n:,} ungraded: {escape(one_line(note, _TEXT))}[/dim]", soft_wrap=True)
    if counts.texts is not None and (found := counts.texts.note()):
        out.print(f"[dim]{found}[/dim]", soft_wrap=True)
    if counts.usage is not None:
        out.print(used(counts.usage), soft_wrap=True)


def used(usage: JudgeUsage) -> str:
    """Return calls, tokens and USD of a judge that asks a model, on one line of markup."""
    text = (
        f"grader: {usage.calls:,} replies, {usage.input_tokens:,.0f} tokens in,"
        f" {usage.output_tokens:,.0f} out"
    )
    priced = usage.calls - usage.unpriced
    if priced:
        text += f", ${usage.usd:#.4g}"
    if usage.unpriced:
        text += f", cost of {usage.unpriced:,} not known ({escape(one_line(usage.price))})"
    elif usage.price and priced:
        text += f" (prices: {escape(one_line(usage.price))})"
    for count, what in (
        (usage.unread, "were no grade"),
        (usage.failed, "calls failed"),
        (usage.doubtful, "attempts without a reply may have been charged"),
    ):
        text += f"; {count:,} {what}" if count else ""
    return text


def _overall(compared: Compared, out: Console) -> None:
    overall = compared.overall
    kappa = (
        _interval(overall.kappa)
        if overall.kappa.value is not None
        else "not defined: one grade only"
    )
    out.print(
        f"{escape(compared.second)} against {escape(compared.first)}, {overall.n:,} answers:\n"
        f"agreement {_interval(overall.agreement, 100)}%, Cohen's κ {kappa}"
    )
    if compared.left_out:
        out.print(f"[dim]left out: {compared.left_out:,} that only one of them has graded[/dim]")


def _interval(interval: IntervalEstimate, scale: float = 1) -> str:
    if interval.value is None:
        return "–"
    digits = 1 if scale == 100 else 3
    value = f"{scale * interval.value:.{digits}f}"
    if interval.low is None or interval.high is None:
        return value
    return escape(
        f"{value} [{scale * interval.low:.{digits}f}, {scale * interval.high:.{digits}f}]"
    )


def _confusion(compared: Compared) -> Table:
    overall: Agreement = compared.overall
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(f"{escape(short(compared.first, _NAME))} ↓")
    for label in (*overall.labels, "all"):
        table.add_column(label, justify="right")
    for label, row in zip(overall.labels, overall.table, strict=True):
        table.add_row(label, *(f"{n:,}" for n in row), f"{sum(row):,}")
    table.add_section()
    sums = [sum(column) for column in zip(*overall.table, strict=True)]
    table.add_row("all", *(f"{n:,}" for n in sums), f"{overall.n:,}", style="dim")
    table.caption = f"columns: {escape(short(compared.second, _NAME))}"
    table.caption_justify = "left"
    return table


def _models(compared: Compared) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in ("n", "agree", "κ", "correct, then", "now", "favoured by, pp"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in compared.models:
        table.add_row(
            escape(short(one_line(one.model), _NAME)),
            f"{one.n:,}",
            f"{100 * one.agreement:.1f}%",
            "–" if one.kappa is None else f"{one.kappa:.3f}",
            f"{100 * one.first:.1f}%",
            f"{100 * one.second:.1f}%",
            _favour(one),
        )
    return table


def _favour(one: ModelAgreement) -> str:
    value, low, high = one.favour.value, one.favour.low, one.favour.high
    if value is None or low is None or high is None:
        return "–"
    text = escape(f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
    return f"[yellow]{text}*[/yellow]" if one.favoured else f"{text} "


def _about_models(compared: Compared, out: Console) -> None:
    out.print(
        "[dim]favoured by: how much more a model gains from the change of judge than all models do"
        " on average; intervals hold for all models at once, *: without zero[/dim]"
    )
    if any(one.favoured for one in compared.models):
        out.print("[yellow]the change of judge moves models against one another[/yellow]")


def _example(example: Example, compared: Compared, out: Console) -> None:
    note = f" ({one_line(example.note)})" if example.note else ""
    out.print(
        f"[bold]{example.first} → {example.second}[/bold]{escape(note)}"
        f" [dim]{escape(one_line(example.model, _NAME))}[/dim]",
        soft_wrap=True,
    )
    for name in ("question", "reference", "answer"):
        text = one_line(getattr(example, name) or "–", _TEXT)
        out.print(f"  {name}: {escape(text)}", soft_wrap=True)
