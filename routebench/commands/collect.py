"""`routebench collect`: ask models a suite's questions, and keep what they answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from routebench import collect_options
from routebench.printed import echo, echo_json

_FILE = click.Path(path_type=Path, dir_okay=False)
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|sec|m|min|h))?")
_ABOUT = ("data", "source", "samples", "limit", "prices", "store", "timeout")
_SECONDS = {None: 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@click.command()
@click.option("--suite", metavar="NAME[:FILE]", help="Ask the questions of this suite.")
@click.option(
    "--plan",
    type=_FILE,
    metavar="FILE",
    help="Ask for these cells alone, which `ope --plan` chose.",
)
@click.option(
    "--wave", type=click.IntRange(1), metavar="N", help="Ask for the first N waves of the plan."
)
@collect_options.data
@collect_options.source
@click.option(
    "--models",
    required=True,
    multiple=True,
    metavar="PROVIDER:MODEL,…",
    help="Ask these models, such as gemini:gemini-2.5-flash.",
)
@collect_options.judge
@click.option(
    "--samples",
    type=click.IntRange(1, 1000),
    default=1,
    help="Collect N answers per question and model (default 1).",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Ask N of the questions only, by the hash of their text; a larger N adds to them.",
)
@collect_options.budget
@click.option(
    "--concurrency",
    default="auto",
    metavar="auto|N",
    help="Make N calls at a time per model; auto (the default): as many as the server takes.",
)
@click.option(
    "--rate",
    metavar="N/s",
    help="Start no more calls per provider than this, such as 10/s or 600/min.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    metavar="SECONDS",
    help="Wait this long for one call (default 120).",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 100),
    default=6,
    metavar="N",
    help="Make a call up to N times where a failure may pass (default 6).",
)
@click.option(
    "--prices",
    type=_FILE,
    metavar="FILE",
    help="Price tokens by this file, JSON or TOML, in USD per million; by default by dated lists.",
)
@collect_options.store
@click.option(
    "--shard",
    metavar="i/n|auto",
    help="Ask one of n parts of the questions, in a store of its own for `merge`.",
)
@collect_options.set_
@click.option("--dry-run", is_flag=True, help="Print calls, tokens and costs; ask nothing.")
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    suite: str | None,
    plan: Path | None,
    wave: int | None,
    models: tuple[str, ...],
    judge: str | None,
    budget: float | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    set_: tuple[str, ...],
    **given: Any,
) -> None:
    """Ask models the questions of a suite; every answer is stored the moment it comes.

    \b
    routebench collect --suite simpleqa --models gemini:gemini-2.5-flash,gemini:gemini-2.5-pro \\
      --judge exact --budget 5
    routebench collect --suite simpleqa --models simulated:sim-flash,simulated:sim-pro --limit 200

    What the store has is not asked again: run it again after an interruption, a budget that ran
    out, or failed calls, and it goes on. Keys are read from the environment only.

    \b
    Exit code 0: done, or ended by the budget; 1: a model could not be asked, and is left out;
    2: usage, or a store that cannot be written; 3: more than 1% of what was to be graded has no
    grade; 130: interrupted.
    """
    import json

    from routebench.collect import planning
    from routebench.collect.collect import CollectionListener
    from routebench.collect.planned_cells import DIFFERENCE, read_plan
    from routebench.collect.rate_limits import Limits
    from routebench.commands.judge import MISSING
    from routebench.config import as_suite
    from routebench.errors import OptionError
    from routebench.plugin import options
    from routebench.report.terminal import collecting, console, judgement
    from routebench.shard import Shard

    if wave is not None and plan is None:
        raise OptionError("--wave: belongs to --plan")
    limits = Limits(
        concurrency=_concurrency(given["concurrency"]),
        rate=_rate(given["rate"]),
        timeout=given["timeout"],
        attempts=given["attempts"],
    )
    values = options.parse(set_)
    if judge:
        _check_judge(judge, values)
    about = {name: given[name] for name in _ABOUT}
    about["shard"] = Shard.parse(given["shard"]) if given["shard"] else None
    named = [name.strip() for text in models for name in text.split(",") if name.strip()]
    cells = read_plan(plan) if plan is not None else None
    if cells is not None:
        cells = cells.until(wave or cells.waves)
    made = planning.make(
        as_suite(suite) if suite else None, named, values=values, judge=judge, cells=cells, **about
    )
    if dry_run:
        _dry_run(made, budget, as_json)
        return
    planning.check_ready(made.targets)
    errors = console.make(error=True)
    listener = CollectionListener() if quiet or as_json else collecting.CollectionProgress(errors)
    if budget is not None:
        for text in collecting.guessed(made):
            listener.note(text)
    out = console.make(wide=True)
    done, found, total = _collect(made, limits, budget, listener)
    if not as_json:
        collecting.show_result(made, found, done, total, out)
    if done.interrupted:
        if as_json:
            echo_json(json.dumps(collecting.as_json(made, found, done, total), indent=2))
        ctx.exit(130)
    graded = None
    if judge:
        try:
            graded = _judge(made, judge, values, listener)
        except KeyboardInterrupt:
            errors.print("interrupted: grades so far are kept; the same command goes on")
            ctx.exit(130)
    if as_json:
        content = collecting.as_json(made, found, done, total, graded)
        if graded:
            content["judge"] |= judgement.counted(graded)
        echo_json(json.dumps(content, indent=2))
    else:
        if graded:
            collecting.show_grades(graded, out)
            if graded.usage is not None:
                out.print(judgement.used(graded.usage), soft_wrap=True)
        if any(row.states["answered"] for row in found.values()):
            unknown = sum(row.unpriced for row in found.values())
            following = collecting.next_command(made, unknown)
            if cells is not None and cells.about.get("kind") == DIFFERENCE:
                store = shlex.quote(str(made.store))
                following = f"routebench ope --plan {shlex.quote(str(plan))} --answers {store}"
            echo(f"next: {following}")
    short = graded is not None and graded.ungraded > MISSING * (graded.graded + graded.ungraded)
    ctx.exit(1 if done.stopped else 3 if short else 0)


def _collect(plan: Any, limits: Any, budget: float | None, listener: Any) -> tuple[Any, Any, float]:
    """Collect; return the summary, the calls by model and state, and the store's total USD."""
    from routebench.collect.collect import collect
    from routebench.store.call_counts import count_calls
    from routebench.store.store import AnswerStore

    with listener:
        for target in plan.targets:
            listener.asking(target, len(count_calls(plan.store, plan.calls(target)).open))
        done = collect(plan, limits, budget, listener)
    found = {target.name: count_calls(plan.store, plan.calls(target)) for target in plan.targets}
    with AnswerStore(plan.store, write=False) as store:
        return done, found, store.spent()


def _judge(plan: Any, judge: str, set_values: dict[str, dict[str, Any]], listener: Any) -> Any:
    from routebench.judge.store import Judge, grade_store
    from routebench.plugin.extensions import Extensions
    from routebench.store.store import AnswerStore

    listener.note(f"grading with {judge}")
    with AnswerStore(plan.store, create=False) as store:
        made = Judge(judge, set_values.get(judge, {}), Extensions(set_values, listener.note))
        return grade_store(store, made, suite=plan.suite)


def _dry_run(plan: Any, budget: float | None, as_json: bool) -> None:
    import json

    from routebench.report.terminal import collecting, console
    from routebench.store.call_counts import count_calls

    rows = [
        collecting.estimate(plan, target, count_calls(plan.store, plan.calls(target)))
        for target in plan.targets
    ]
    if as_json:
        names = ("calls", "known", "input_tokens", "output_tokens", "usd", "most_usd")
        models = [
            {"model": row.target.name, "price": row.target.price_id}
            | {name: getattr(row, name) for name in names}
            for row in rows
        ]
        echo_json(json.dumps({"suite": plan.suite, "models": models}, indent=2))
    else:
        collecting.show_estimate(plan, rows, budget, console.make(wide=True))


def _check_judge(judge: str, values: dict[str, dict[str, Any]]) -> None:
    """Raise an error for a wrong judge, or one whose model cannot be asked, before paying."""
    from routebench.judge.store import Judge

    _ = Judge(judge, values.get(judge, {})).id  # of a judge that asks a model, its provider too


def _concurrency(text: str) -> int | None:
    from routebench.errors import OptionError

    if text == "auto":
        return None
    if text.isdecimal() and 0 < int(text) <= 10_000:
        return int(text)
    raise OptionError(f"--concurrency {text}: expected auto, or a number from 1 to 10,000")


def _rate(text: str | None) -> float | None:
    from routebench.errors import OptionError

    if text is None:
        return None
    found = _RATE.fullmatch(text.strip())
    rate = float(found[1]) / _SECONDS[found[2]] if found else 0.0
    if not rate:
        raise OptionError(f"--rate {text}: expected calls per time, such as 10/s or 600/min")
    return rate
