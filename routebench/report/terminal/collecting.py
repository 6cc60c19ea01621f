"""A collection on a terminal: its estimated cost, its progress, its result."""

from __future__ import annotations

import math
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from routebench.collect.budget import LONGEST, is_limited, most_prompt_tokens, most_tokens
from routebench.collect.collect import CollectionListener, CollectionSummary
from routebench.collect.planning import CollectionPlan, TargetModel
from routebench.errors import CallError
from routebench.judge.store import Counts
from routebench.prices.apply import CHARS_PER_TOKEN
from routebench.prices.listed import of_longer_prompts
from routebench.redact import one_line
from routebench.store.call_counts import CallCounts

ASSUMED = 256
"""Answer tokens that are reckoned with where the model has not answered anything yet."""
_REASON = 160  # characters of a failure's words beside the counts
_SHOWN = 5  # failures that are printed one by one


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The estimated cost of the calls to a model that are still to be made."""

    target: TargetModel
    calls: int
    known: int
    """Calls that are answered already."""
    input_tokens: float
    output_tokens: float
    usd: float
    most_usd: float


def estimate(plan: CollectionPlan, target: TargetModel, counts: CallCounts) -> CostEstimate:
    """Estimate tokens: prompts from characters, answers by earlier ones, or `ASSUMED`."""
    todo = [call for call in plan.calls(target) if call.key in counts.open]
    tokens = [math.ceil(len(call.prompt) / CHARS_PER_TOKEN) for call in todo]
    each = counts.output_tokens or min(ASSUMED, most_tokens(target.parameters))
    usd = sum(target.price.usd(float(n), each) for n in tokens)
    most = sum(target.most_usd(call.prompt) for call in todo)
    known = counts.total - len(todo)
    return CostEstimate(target, len(todo), known, sum(tokens), each * len(todo), usd, most)


def show_estimate(
    plan: CollectionPlan, rows: Sequence[CostEstimate], budget: float | None, out: Console
) -> None:
    """Print the table of a dry run."""
    some = len(plan.questions) < plan.available
    number = f"{len(plan.questions):,}" + (f" of {plan.available:,}" if some else "")
    out.print(f"[bold]{escape(plan.suite)}[/bold]: {number} questions", end="")
    out.print(f", {plan.samples} answers each" if plan.samples > 1 else "")
    names = ("model", "calls", "answered", "prompt tokens", "answer tokens", "about $", "at most $")
    table = _table(*names, "prices")
    for row in rows:
        numbers = (row.calls, row.known, round(row.input_tokens), round(row.output_tokens))
        table.add_row(
            _safe(row.target.name),
            *(f"{number:,}" for number in numbers),
            usd(row.usd),
            usd(row.most_usd),
            _safe(row.target.price_id),
        )
    out.print(table)
    about, most = sum(row.usd for row in rows), sum(row.most_usd for row in rows)
    out.print(f"about ${usd(about)}, at most ${usd(most)} without repeated calls", end="")
    out.print("" if budget is None else f"; budget of the whole store: ${usd(budget)}")
    for note in _of_longer_prompts(plan):
        out.print(f"[yellow]{escape(note)}[/yellow]", soft_wrap=True)
    out.print("tokens are guessed from characters; nothing was asked or written", style="dim")


def guessed(plan: CollectionPlan) -> list[str]:
    """Return notes on models whose calls have no known limit of cost."""
    models = [t for t in plan.targets if t.live and not is_limited(t.parameters)]
    return [
        f"{target.name}: no longest answer is set, so the budget reckons with {LONGEST:,} tokens a"
        f" call (routebench plugins {target.provider})"
        for target in models
    ] + _of_longer_prompts(plan)


def _of_longer_prompts(plan: CollectionPlan) -> list[str]:
    """Return notes on prompts for which a file's prices may not hold, nor the budget."""
    longest = max(
        (most_prompt_tokens(question.prompt, {}) for question in plan.questions), default=0
    )
    notes = [
        of_longer_prompts(target.price_id, target.model, target.price, longest)[1]
        for target in plan.targets
        if "@" in target.price_id
    ]
    return [f"{note}, so the budget may not hold" for note in notes if note]


class CollectionProgress(CollectionListener):
    """Calls, spending, errors and time left on one line; failures as they come, the first few."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._usd, self._failures = 0.0, 0
        self._again: Counter[str] = Counter()
        self._total = self._done = 0
        self._printed = time.monotonic()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("[dim]{task.fields[note]}", table_column=Column(no_wrap=True)),
            console=out,
            transient=True,
        )
        self._task = self._bars.add_task("asking", total=0, note="")

    def __enter__(self) -> CollectionProgress:
        if self.out.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._again:
            kinds = ", ".join(f"{number:,} {_safe(kind)}" for kind, number in self._again.items())
            self.out.print(f"[dim]· asked again: {kinds}[/dim]")

    def note(self, text: str) -> None:
        self.out.print(f"[yellow]{_safe(text)}[/yellow]", soft_wrap=True)

    def asking(self, target: TargetModel, calls: int) -> None:
        self._total += calls
        self._bars.update(self._task, total=self._total)
        self.out.print(f"[dim]· {_safe(target.name)}: {calls:,} calls[/dim]")

    def answered(self, target: TargetModel, usd: float | None) -> None:
        self._usd += usd or 0.0
        self._advance()

    def failed(self, target: TargetModel, error: CallError) -> None:
        self._failures += 1
        if self._failures <= _SHOWN:
            self.out.print(
                f"[red]{_safe(target.name)}: {_safe(error.kind)}:[/red] {_safe(error.message)}",
                soft_wrap=True,
            )
        if self._failures == _SHOWN:
            self.out.print("[dim]further failures are counted only[/dim]")
        self._advance()

    def retried(self, target: TargetModel, error: CallError) -> None:
        self._again[error.kind] += 1
        self._update()

    def stopped(self, target: TargetModel, error: CallError) -> None:
        text = f"[red]{_safe(target.name)} is not asked any more:[/red] {_safe(error.message)}"
        self.out.print(text, soft_wrap=True)
        if error.hint:
            self.out.print(f"hint: {_safe(error.hint)}", soft_wrap=True)

    def ending(self, calls: int) -> None:
        self.note(
            f"interrupted: waiting for {calls} calls under way, which are stored as they end;"
            " Ctrl-C again ends at once"
        )

    def _advance(self) -> None:
        self._done += 1
        self._bars.advance(self._task)
        self._update()
        if not self.out.is_terminal and time.monotonic() - self._printed > 10:
            self._printed = time.monotonic()
            self.out.print(f"  {self._done:,}/{self._total:,} {self._note}", soft_wrap=True)

    def _update(self) -> None:
        self._bars.update(self._task, note=self._note)

    @property
    def _note(self) -> str:
        failed = f" · {self._failures:,} failed" if self._failures else ""
        again = f" · {self._again.total():,} asked again" if self._again else ""
        return f"${usd(self._usd)}{failed}{again}"


def show_result(
    plan: CollectionPlan,
    counts: dict[str, CallCounts],
    done: CollectionSummary,
    total: float,
    out: Console,
) -> None:
    """Print the state of every model's calls, and the commands to go on."""
    table = _table("model", "answered", "failed", "left", "$", "why calls failed")
    for target in plan.targets:
        row = counts[target.name]
        answered, failed = row.states["answered"], row.states["failed"]
        why = _why(target.name, row, done)
        left = row.total - answered - failed
        numbers = [f"{number:,}" for number in (answered, failed, left)]
        table.add_row(_safe(target.name), *numbers, _known_usd(row), why)
    out.print(table)
    unknown = sum(row.unpriced for row in counts.values())
    but = f", without {unknown:,} answers of unknown cost" if unknown else ""
    out.print(f"spent ${usd(done.usd)} now, ${usd(total)} in all{but} · {_safe(str(plan.store))}")
    for text in _notes(plan, counts, done):
        out.print(f"[yellow]note: {_safe(text, 1000)}[/yellow]", soft_wrap=True)


def _known_usd(counts: CallCounts) -> str:
    """Return a model's dollars; `?` stands for answers of unknown cost."""
    if not counts.unpriced:
        return usd(counts.usd)
    return f"{usd(counts.usd)} + ?" if counts.usd else "?"


def _why(model: str, counts: CallCounts, done: CollectionSummary) -> str:
    """Return the kinds of a model's failures, with the words of the last one, or its end."""
    kinds = ", ".join(f"{n} {_safe(kind)}" for kind, n in counts.errors.most_common() if n)
    stopped = done.stopped.get(model)
    said = stopped.message if stopped else done.reasons.get(model, "")
    return ": ".join(filter(None, (kinds, said and _safe(said, _REASON))))


def _notes(
    plan: CollectionPlan, counts: dict[str, CallCounts], done: CollectionSummary
) -> list[str]:
    notes = []
    elsewhere = sum(row.states["in_flight"] for row in counts.values())
    left = sum(row.total - row.states["answered"] - row.states["failed"] for row in counts.values())
    if done.short:
        notes.append(
            f"the budget ended it: {left:,} calls are left, and the next one might have gone over;"
            " a larger --budget goes on where this stopped"
        )
    elif left - elsewhere > 0:
        notes.append(f"{left - elsewhere:,} calls are left; the same command goes on with them")
    if elsewhere:
        notes.append(f"{elsewhere:,} calls are under way in another process")
    if sum(row.states["failed"] for row in counts.values()):
        notes.append("the same command asks failed calls again")
    if done.doubtful:
        notes.append(
            f"{done.doubtful:,} attempts brought no whole answer and may have been charged, at most"
            f" ${usd(done.doubtful_usd)} that are not in the sum"
        )
    unpriced = sum(row.unpriced for row in counts.values())
    if unpriced:
        notes.append(_unpriced(unpriced, counts, done))
    if done.empty:
        notes.append(f"{done.empty:,} answers have no text, and are no refusals either")
    for name, error in done.stopped.items():
        if error.hint:
            notes.append(f"{name}: {error.hint}")
    return notes


def _unpriced(unpriced: int, counts: dict[str, CallCounts], done: CollectionSummary) -> str:
    """Return why costs are not known, and what they come to by the lengths of the texts."""
    wrong = sum((row.miscounted for row in counts.values()), Counter[str]())
    silent = max(0, unpriced - wrong.total())
    why = [
        f"the server did not say what {silent:,} answers used" if silent else "",
        f"the server counted no tokens for {wrong['zero']:,} answers" if wrong["zero"] else "",
        f"the server's counts for {wrong['contradictory']:,} answers contradict themselves"
        if wrong["contradictory"]
        else "",
    ]
    text = "; ".join(filter(None, why)) + ": their cost is not known"
    if done.guessed_usd:
        text += (
            f" and not in the sum, about ${usd(done.guessed_usd)} now by the lengths of the texts;"
            " a run with --prices FILE estimates it so, and marks it"
        )
    return text


def show_grades(graded: Counts, out: Console) -> None:
    """Print the counts of a judge's grades."""
    kinds = ", ".join(f"{number:,} {grade}" for grade, number in sorted(graded.grades.items()))
    out.print(f"{_safe(graded.judge)} graded {graded.graded:,} answers" + (kinds and f": {kinds}"))
    if graded.ungraded:
        reasons = "; ".join(f"{number:,} times {reason}" for reason, number in graded.reasons)
        text = f"note: {graded.ungraded:,} could not be graded and are tried again next time: "
        out.print(f"[yellow]{text}{_safe(reasons)}[/yellow]", soft_wrap=True)


def as_json(
    plan: CollectionPlan,
    counts: dict[str, CallCounts],
    done: CollectionSummary,
    total: float,
    graded: Counts | None = None,
) -> dict[str, Any]:
    """Return the result of a collection as values for JSON."""
    return {
        "suite": plan.suite,
        "store": str(plan.store),
        "questions": len(plan.questions),
        "samples": plan.samples,
        "models": [
            {
                "provider": target.provider,
                "model": target.model,
                "price": target.price_id,
                "calls": counts[target.name].total,
                "states": dict(+counts[target.name].states),
                "errors": dict(+counts[target.name].errors),
                "usd": counts[target.name].usd,
                "unpriced": counts[target.name].unpriced,
                "miscounted": dict(+counts[target.name].miscounted),
                "reason": done.reasons.get(target.name),
                "stopped": one_line(stopped.message) if stopped else None,
            }
            for target in plan.targets
            for stopped in [done.stopped.get(target.name)]
        ],
        "usd": done.usd,
        "usd_in_all": total,
        "doubtful_attempts": done.doubtful,
        "doubtful_usd": done.doubtful_usd,
        "guessed_usd": done.guessed_usd,
        "empty": done.empty,
        "recovered": done.recovered,
        "budget_reached": done.short,
        "interrupted": done.interrupted,
        "judge": graded
        and {
            "id": graded.judge,
            "graded": graded.graded,
            "ungraded": graded.ungraded,
            "grades": graded.grades,
        },
    }


def usd(amount: float) -> str:
    """Return dollars to four digits, as many as it takes below a cent."""
    return f"{amount:,.2f}" if amount >= 100 else f"{amount:.4g}"


def next_command(plan: CollectionPlan, uncosted: int = 0) -> str:
    """Return the command that benchmarks routers on the answers, and estimates unknown costs.

    Of a shard: the one that merges all shards, once they are there.
    """
    if plan.shard is not None:
        stem, _, suffix = plan.store.name.rpartition(f"{plan.shard.index}-of-{plan.shard.count}")
        whole = shlex.quote(str(plan.store.with_name(stem.removesuffix(".") + suffix)))
        every = f"{shlex.quote(str(plan.store.with_name(stem)))}*-of-{plan.shard.count}{suffix}"
        return f"routebench merge {every} --out {whole}  # once all shards are there"
    command = f"routebench run --suite {plan.suite} --data {shlex.quote(str(plan.store))}"
    priced = uncosted and plan.prices is not None
    return f"{command} --prices {shlex.quote(str(plan.prices))}" if priced else command


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        side: Any = "left" if name in ("model", "prices", "why calls failed") else "right"
        table.add_column(name, justify=side, overflow="fold", no_wrap=not place)
    return table


def _safe(text: str, room: int = 300) -> str:
    return escape(one_line(text, room))
