"""`routebench ope`: what another policy would have cost and reached on logged traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench.printed import echo, echo_json

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", metavar="EVENTS", type=_FILE, required=False)
@click.option(
    "--run", type=_FILE, metavar="RUN", help="Take the router of this run, or checkpoint folder."
)
@click.option("--router", metavar="NAME", help="Name the router of the run.")
@click.option("--point", metavar="NAME", help="Let it decide at this operating point.")
@click.option("--model", metavar="NAME", help="Take this model for every request.")
@click.option(
    "--decisions", type=_FILE, metavar="FILE",
    help="Read decisions: event (or query_hash) and model.",
)  # fmt: skip
@click.option(
    "--rename", multiple=True, metavar="ROUTERS=LOGS",
    help="Name a model of the router as the log does.",
)  # fmt: skip
@click.option(
    "--prices", metavar="FILE|list", default="list", show_default=True,
    help="Price tokens by this list.",
)  # fmt: skip
@click.option(
    "--lengths", type=_FILE, metavar="RUN",
    help="Take the output lengths of models that the log lacks from this run.",
)  # fmt: skip
@click.option(
    "--margin", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Accept this loss of quality.",
)  # fmt: skip
@click.option(
    "--plan",
    type=_FILE,
    metavar="FILE",
    help="Write the cells that would decide, for `collect --plan`; with --answers, read them.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="USD",
    help="Keep the plan within what this buys.",
)
@click.option(
    "--waves",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Split the plan into N waves, to stop once it is decided.",
)
@click.option(
    "--for",
    "for_",
    type=click.Choice(["verdict", "training"]),
    default="verdict",
    show_default=True,
    help="Choose what decides, or what a router would learn most from.",
)
@click.option(
    "--outcomes",
    type=_FILE,
    metavar="FILE",
    help="Read what a router has learned from so far, a table or a store.",
)
@click.option(
    "--answers", type=_FILE, metavar="STORE", help="Judge the plan by the answers in this store."
)
@click.option("--judge", metavar="NAME", help="Take the grades of this judge.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path | None,
    run: Path | None,
    router: str | None,
    point: str | None,
    model: str | None,
    decisions: Path | None,
    rename: tuple[str, ...],
    prices: str,
    lengths: Path | None,
    margin: float,
    plan: Path | None,
    budget: float | None,
    waves: int,
    for_: str,
    outcomes: Path | None,
    answers: Path | None,
    judge: str | None,
    as_json: bool,
) -> None:
    """Say what a policy would have cost, and reached, on the requests in EVENTS.

    \b
    routebench ope events.parquet --model gpt-4o-mini
    routebench ope events.parquet --run RUN --router mf --point within-1pp
    routebench ope events.parquet --model gpt-4o-mini --plan plan.parquet --waves 8
    routebench ope --plan plan.parquet --answers answers.sqlite
    routebench ope events.parquet --plan picks.parquet --for training \\
      --outcomes outcomes.csv --budget 5

    EVENTS is a table that `routebench logs import` wrote. Every number has its tier: T0
    re-pricing, T1 logged propensities, T2 bounds, T3 answers bought for a plan.

    \b
    Exit code 0: quality falls by less than the margin; 1: by the margin or more;
    2: usage; 4: the log cannot decide.
    """
    import json

    from routebench.errors import OptionError
    from routebench.traffic import evaluate, target
    from routebench.traffic.event_log import read_log
    from routebench.traffic.lines import result_lines
    from routebench.traffic.priced import output_lengths, prices_of

    if answers is not None:
        if plan is None or file is not None or run or model or decisions or budget or waves > 1:
            raise OptionError("--answers: a plan alone says what they are for", "--plan FILE")
        ctx.exit(_judge(plan, answers, judge, as_json))
    if file is None:
        raise OptionError("no EVENTS", "a table that `routebench logs import` wrote")
    if for_ == "training":
        others = [run, model, decisions, *((True,) if waves > 1 else ())]
        if plan is None or outcomes is None or budget is None or any(others):
            raise OptionError(
                "--for training: takes no policy and no waves, but what is known, and a budget",
                "--plan FILE --for training --outcomes FILE --budget USD",
            )
        _plan_training(file, outcomes, prices, budget, plan, as_json)
        return
    if outcomes is not None:
        raise OptionError("--outcomes belongs to --for training")
    if plan is None and (budget is not None or waves > 1):
        raise OptionError("--budget and --waves belong to --plan")
    if judge is not None:
        raise OptionError("--judge belongs to --answers")
    given = [name for name, value in (("--run", run), ("--model", model),
             ("--decisions", decisions)) if value is not None]  # fmt: skip
    if len(given) != 1:
        raise OptionError(
            f"{' and '.join(given) or 'no policy'}: one policy is evaluated at a time",
            "--run RUN --router NAME, --model NAME, or --decisions FILE",
        )
    if run is None and (router or point or rename):
        raise OptionError("--router, --point and --rename belong to --run")
    log = read_log(file)
    if model is not None:
        log, policy = target.constant(log, model)
    elif decisions is not None:
        log, policy = target.of_file(log, decisions)
    else:
        assert run is not None
        from routebench.board.trained import open_router

        opened = open_router(run, router, point=point, answers=False)
        log, policy = target.of_router(log, file, opened, target.parse_names(rename))
    listed, note = prices_of(prices, log.models)
    of_run = lengths or run
    if plan is not None:
        _plan(log, file, policy, listed, output_lengths(of_run) if of_run else {},
              (margin, budget, waves), plan, as_json)  # fmt: skip
        return
    result = evaluate.evaluate(
        log, policy, listed, output_lengths(of_run) if of_run else {}, margin, note
    )
    if as_json:
        echo_json(json.dumps(result.to_json(), indent=2, sort_keys=True))
    else:
        for line in result_lines(result):
            echo(line)
    ctx.exit(evaluate.exit_code(result))


def _plan(
    log: Any, file: Path, policy: Any, prices: Any, lengths: Any,
    how: tuple[float, float | None, int], out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Write a plan of what to buy."""
    import json

    from routebench.collect.planned_cells import write_plan
    from routebench.traffic.plans import design, disagreements, lines

    margin, budget, waves = how
    units = disagreements.disagreements(log, file, policy, prices, lengths)
    made = design.design(units, margin, budget, waves)
    facts = design.about(units, made, policy.label, margin)
    write_plan(out, design.to_table(units, made), facts)
    if as_json:
        usd = design.dollars(units, made)
        content = facts | {"planned": len(made.order), "usd": usd if usd == usd else None}
        echo_json(json.dumps(content, indent=2, sort_keys=True))
        return
    for line in lines.plan_lines(units, made, policy.label, margin, out):
        echo(line)


def _judge(plan: Path, store: Path, judge: str | None, as_json: bool) -> int:
    """Print what a plan's answers say; return the verdict's exit code."""
    import json

    from routebench.collect.planned_cells import DIFFERENCE, read_plan
    from routebench.comparison.schema import EXIT_CODES
    from routebench.traffic.plans import answers, lines

    cells = read_plan(plan, DIFFERENCE)
    result = answers.judge_plan(cells, answers.read_answers(store, judge), store.name)
    if as_json:
        echo_json(json.dumps(result.to_json(), indent=2, sort_keys=True))
    else:
        for line in lines.verdict_lines(result):
            echo(line)
    return EXIT_CODES[result.verdict]


def _plan_training(
    log: Path, outcomes: Path, prices: str, budget: float, out: Path, as_json: bool
) -> None:
    """Write a plan of what a router would learn most from."""
    import json

    from routebench.active import plan
    from routebench.collect.planned_cells import write_plan
    from routebench.config import make
    from routebench.loading import load_data
    from routebench.prices import listed
    from routebench.prices.apply import price

    data = load_data(make({"suite": f"table:{outcomes}"}))
    given = click.get_current_context().get_parameter_source("prices")
    asked = prices if given is not click.core.ParameterSource.DEFAULT else None
    data, _ = price(data, listed.for_run(asked, data)[0])
    made = plan.picked_queries(data, log, budget)
    facts = plan.about(made, data)
    write_plan(out, made.to_table(), facts)
    if as_json:
        echo_json(json.dumps(facts, indent=2, sort_keys=True))
        return
    n, m = len(made.query_id), len(made.models)
    echo(
        f"{n:,} of {made.considered:,} queries picked, beside {made.known:,} with known outcomes:"
        f" {n * m:,} cells, about ${facts['usd']:.4g}: {out}"
    )
    echo(
        f"next: routebench collect --plan {out} --models PROVIDER:MODEL,… --judge NAME --store"
        " answers.sqlite, then routebench train … --add answers.sqlite"
    )
