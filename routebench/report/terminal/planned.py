"""What a run would do, for a person and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from routebench.dry_run import DryRun, PlannedRouter
from routebench.jobs.expected import about
from routebench.report.format import MISSING
from routebench.report.terminal.console import LABEL, make_table, short

_NOTES = 5


def show(plan: DryRun, out: Console) -> None:
    """Print the size of a run, its routers with their jobs and times, and what is skipped."""
    parts = ", ".join(f"{count:,} {name}" for name, count in plan.queries.items())
    folds = f", {plan.folds} folds" if plan.folds > 1 else ""
    out.print(f"[bold]{escape(plan.suite)}[/bold]: {parts} queries{folds} · {plan.models} models")
    for note in plan.notes[:_NOTES]:
        out.print(f"[dim]note: {escape(note)}[/dim]")
    out.print()
    table = make_table(
        "router", "jobs", "finished", "seconds each", "known from", left=("known from",)
    )
    for each in plan.routers:
        if each.state == "ready":
            table.add_row(*_cells(each))
    out.print(table)
    out.print()
    _total(plan, out)
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in plan.routers:
        if each.state != "ready":
            reasons.setdefault((each.state, each.message), []).append(each.router)
    for (state, message), names in reasons.items():
        out.print(f"{escape(', '.join(names))} {state}: {escape(message)}", soft_wrap=True)
    out.print(f"would be written to {escape(str(plan.folder))}", soft_wrap=True)


def to_json(plan: DryRun) -> str:
    """Return the plan as a JSON object."""
    values = asdict(plan) | {"jobs": plan.jobs, "finished": plan.finished}
    return json.dumps(values, indent=2, default=str)


def _cells(each: PlannedRouter) -> list[str]:
    seconds = MISSING if each.seconds is None else f"{each.seconds:,.1f}"
    known = {"measured": "an earlier run", "stated": "the router"}.get(each.source or "", MISSING)
    name = escape(short(each.router, LABEL))
    return [name, str(each.jobs), str(each.finished or ""), seconds, known]


def _total(plan: DryRun, out: Console) -> None:
    todo = plan.jobs - plan.finished
    seeds = f", {plan.seeds} seeds" if plan.seeds > 1 else ""
    kept = f", {plan.finished} of them finished earlier" if plan.finished else ""
    jobs = f"{plan.jobs} job{'s' if plan.jobs != 1 else ''}"
    out.print(f"{jobs}{seeds}{kept}; {plan.at_a_time} at a time")
    if not todo:
        out.print("nothing to train: the board is made of finished jobs")
    elif plan.seconds is None:
        out.print("how long they take is not known: no router says, and no earlier run measured it")
    else:
        source = f", measured in {escape(str(plan.measured_in))}" if plan.measured_in else ""
        out.print(f"about {about(plan.seconds)} of training and routing{source}", soft_wrap=True)
