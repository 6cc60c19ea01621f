"""`routebench headroom`: whether routing can pay, by a pilot, before a collection is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench import collect_options
from routebench.printed import echo, echo_json

_EXIT = {"go": 0, "no-go": 1, "undecided": 4}


@click.command()
@click.option(
    "--suite", required=True, metavar="NAME[:FILE]", help="Take the queries of this suite."
)
@collect_options.data
@collect_options.source
@click.option(
    "--models",
    multiple=True,
    metavar="PROVIDER:MODEL,…",
    help="Ask these models; without any, read the answers that the suite has.",
)
@click.option(
    "--pilot",
    type=click.IntRange(2),
    metavar="N",
    help="Take N queries, by the hash of their text (default 100, without --models all).",
)
@collect_options.budget
@collect_options.judge
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Ask for a gain of this score.",
)
@click.option("--prices", metavar="FILE|list", help="Price tokens by this list.")
@collect_options.store
@collect_options.set_
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    suite: str,
    models: tuple[str, ...],
    pilot: int | None,
    budget: float | None,
    margin: float,
    set_: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Say what routing could gain at most, and what a run that shows it would cost.

    \b
    routebench headroom --suite simpleqa --models gemini:gemini-2.5-flash,gemini:gemini-2.5-pro \\
      --judge exact --pilot 100 --budget 2
    routebench headroom --suite table:outcomes.csv --prices list

    With --models the pilot is bought as `routebench collect` buys: what the store has is not asked
    again, and a later collection goes on from there.

    \b
    Exit code 0: go; 1: no-go; 2: usage, or too few answers; 4: undecided; 130: interrupted.
    """
    import json

    from routebench.config import as_suite
    from routebench.errors import OptionError
    from routebench.pilot.estimate import headroom_of
    from routebench.pilot.lines import pilot_lines
    from routebench.plugin import options

    values, suite = options.parse(set_), as_suite(suite)
    named = [name.strip() for text in models for name in text.split(",") if name.strip()]
    if len(named) == 1:
        raise OptionError(
            f"--models {named[0]}: one model leaves nothing to route", "name two or more"
        )
    if named:
        data = _bought(ctx, suite, named, pilot or 100, budget, values, quiet or as_json, given)
    else:
        if budget is not None or given["store"] is not None:
            raise OptionError("--budget and --store are for answers that are bought", "--models …")
        data = _recorded(suite, given["data"], values, given)
    found = headroom_of(data, margin, None if named else pilot)
    if as_json:
        echo_json(json.dumps(found.to_json(), indent=2, sort_keys=True))
    else:
        for line in pilot_lines(found):
            echo(line)
    ctx.exit(_EXIT[found.verdict])


def _bought(
    ctx: click.Context,
    suite: str,
    named: list[str],
    pilot: int,
    budget: float | None,
    values: dict[str, dict[str, Any]],
    quiet: bool,
    given: dict[str, Any],
) -> Any:
    """Buy the pilot's answers, grade them, and return them alone."""
    from routebench.collect import planning
    from routebench.collect.collect import CollectionListener
    from routebench.collect.rate_limits import Limits
    from routebench.commands import collect
    from routebench.pilot.cells import of_plan
    from routebench.report.terminal import collecting, console

    about = {name: given[name] for name in ("data", "source", "store")}
    about["prices"] = given["prices"] and Path(given["prices"])
    judge = given["judge"]
    plan = planning.make(suite, named, values=values, judge=judge, limit=pilot, **about)
    if judge:
        collect._check_judge(judge, values)
    planning.check_ready(plan.targets)
    errors = console.make(error=True)
    listener = CollectionListener() if quiet else collecting.CollectionProgress(errors)
    done, found, total = collect._collect(plan, Limits(), budget, listener)
    if not quiet:
        collecting.show_result(plan, found, done, total, errors)
    if done.interrupted:
        ctx.exit(130)
    if judge:
        collect._judge(plan, judge, values, listener)
    given = given | {
        "source": None,
        "judge": None,
    }  # the store has them
    return of_plan(plan, _recorded(plan.suite, str(plan.store), values, given))


def _recorded(
    suite: str, file: str | None, values: dict[str, dict[str, Any]], given: dict[str, Any]
) -> Any:
    """Return the suite with its recorded outcomes, priced."""
    from routebench.config import make
    from routebench.loading import load_data
    from routebench.prices import listed
    from routebench.prices.apply import price

    wanted = {"suite": suite, "data": file, "source": given["source"], "judge": given["judge"]}
    config = make({name: value for name, value in wanted.items() if value} | {"set": values})
    data = load_data(config)
    prices, _ = listed.for_run(given["prices"], data)
    return price(data, prices)[0]
