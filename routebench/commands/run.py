"""`routebench run`: train and score routers on a suite."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from routebench.printed import echo_json

_LISTS = {"router", "show", "against", "point"}


@click.command()
@click.option(
    "--suite",
    metavar="NAME[:FILE]",
    help="Run on this suite, such as simpleqa, or on a file: outcomes.csv.",
)
@click.option("--data", metavar="FILE", help="Let the suite read this file, as after the colon.")
@click.option("--source", metavar="NAME", help="Take the suite's embedded or its recorded data.")
@click.option(
    "--map",
    metavar="COLUMN=NAME,…",
    help="Read columns of other names: query=prompt,score=rating; of JSON also paths, a.0.b.",
)
@click.option("--score-max", type=float, metavar="N", help="Read scores that go up to N.")
@click.option(
    "--router",
    multiple=True,
    metavar="NAME,…",
    help="Run these routers: names, name@label, file.py:Class, or all (the default).",
)
@click.option(
    "--prices",
    metavar="FILE|list",
    help="Price tokens by a JSON or TOML file of USD per million, or vendors' dated lists: list.",
)
@click.option(
    "--show",
    multiple=True,
    metavar="COLUMN,…",
    help="Show routers these columns of the queries, such as task.",
)
@click.option(
    "--task",
    type=click.Choice(["hidden", "train", "all"]),
    help="Show a query's task to no router, in training (the default), or in training and routing.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "given", "hash"]),
    help="Split as the table says, or by text hash; by default as it says where it does.",
)
@click.option("--split-seed", type=int, help="Draw another hash split with another seed.")
@click.option(
    "--folds",
    type=int,
    metavar="K",
    help="Cross-fit with K folds, so that every query is tested once.",
)
@click.option(
    "--inner-folds",
    type=int,
    metavar="K",
    help="Choose points by K inner fits, then refit on train and validation: cheap routers only.",
)
@click.option(
    "--protocol",
    type=click.Choice(["query", "user", "llm"]),
    help="Keep from training the test queries, also their users, or also some models.",
)
@click.option(
    "--shots", type=int, metavar="K", help="Let such users be known by K training queries."
)
@click.option("--seeds", type=int, metavar="N", help="Train every router with N seeds (default 1).")
@click.option(
    "--encoder",
    metavar="NAME[:MODEL]",
    help="Encode texts for routers that use vectors, such as hf:allenai/longformer-base-4096.",
)
@click.option(
    "--profile",
    type=click.Choice(["embedded", "paper"]),
    help="Take defaults that need no download, or those of the papers.",
)
@click.option(
    "--perturb",
    type=int,
    metavar="N",
    help="Ask N test queries in perturbed forms too (default 100).",
)
@click.option(
    "--against",
    multiple=True,
    metavar="ROUTER,…",
    help="Compare all routers with these too; the first one is shown.",
)
@click.option(
    "--point",
    multiple=True,
    metavar="NAME,…",
    help="Add operating points: savings=40%, drop=0.5pp, cost=0.2 (USD per 1,000 queries).",
)
@click.option(
    "--margin", metavar="1pp", help="Judge each router by whether it loses less accuracy than this."
)
@click.option("--volume", metavar="N/day", help="Print dollars a month too: 100000/day.")
@click.option(
    "--objective",
    metavar="performance=P,cost=C",
    help="Let routers optimise this sum of performance and cost.",
)
@click.option("--judge", metavar="NAME", help="Grade answers that have no score.")
@click.option(
    "--answers-as",
    metavar="JUDGE",
    help="Read final answers as this judge does, for routers that see answers; grades stay.",
)
@click.option("--device", metavar="cpu|cuda[:N]", help="Train routers on this device.")
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of a router, suite, judge or encoder.",
)
@click.option(
    "--max-missing",
    type=float,
    metavar="SHARE",
    help="Call the run invalid above this share of missing test cells (default 0.01).",
)
@click.option(
    "--assume-output-tokens",
    type=int,
    metavar="N",
    help="Assume answers of N tokens where no length is recorded (default 256).",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="Take options from a TOML run file; those given here win over it.",
)
@click.option(
    "--keep-texts",
    is_flag=True,
    default=None,
    help="Keep the queries' texts in the run folder, for the report; by default it has none.",
)
@click.option(
    "--out", metavar="DIR", help="Write the run folder here; by default results/SUITE/HASH."
)
@click.option(
    "--jobs", type=int, metavar="N", help="Run N jobs at a time; by default one per core on a CPU."
)
@click.option(
    "--job-timeout",
    type=float,
    metavar="SECONDS",
    help="End a job that takes longer than this, fit and route together.",
)
@click.option(
    "--isolation",
    type=click.Choice(["fork", "spawn"]),
    help="Fork jobs from a warm process (default on Linux's CPUs), or start each fresh.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the jobs, how long they take and what is skipped; train nothing.",
)
@click.option(
    "--fresh",
    is_flag=True,
    default=None,
    help="Start over instead of resuming, and replace another run's board.",
)
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--wide", is_flag=True, help="Show timings too.")
@click.option("--curves", is_flag=True, help="Show trade-offs of quality and cost too.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard's JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dry_run: bool,
    quiet: bool,
    wide: bool,
    curves: bool,
    as_json: bool,
    file: Path | None,
    **given: Any,
) -> None:
    """Train routers on a suite, route its test queries, write a leaderboard.

    \b
    routebench run --suite simpleqa --router all
    routebench run --suite table:outcomes.parquet --prices prices.json --folds 5
    routebench run --suite table:outcomes.csv --router knn,./mine.py:MyRouter

    Run again after an interruption, the same command goes on where it stopped. `routebench list`
    shows all runs, and `routebench show latest` the newest.
    """
    from routebench import config
    from routebench.board.run_folder import to_json
    from routebench.pipeline import RunListener, run
    from routebench.report.format import BASELINE
    from routebench.report.terminal import console, leaderboard
    from routebench.report.terminal.progress import RunProgress
    from routebench.report.volume import Volume

    values = config.read(file) if file else {}
    values |= _given(ctx, given, values)
    chosen = config.make(values)
    volume = Volume.parse(chosen.volume) if chosen.volume else None
    errors = console.make(error=True)
    for note in [] if quiet else config.older_names(values):
        errors.print(f"note: {note}", markup=False)
    progress = RunListener() if quiet or as_json else RunProgress(errors, chosen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    try:
        with progress as listener:
            if dry_run:
                _dry_run(chosen, listener, as_json)
                return
            done = run(chosen, listener)
    except KeyboardInterrupt:
        ctx.exit(130)
    if as_json:
        echo_json(to_json(done.board), nl=False)
    else:
        out = console.make(wide=wide)
        baseline = chosen.against[0] if chosen.against else BASELINE
        leaderboard.show(
            done.board,
            out,
            wide=wide,
            curves=curves,
            folder=done.folder,
            baseline=baseline,
            volume=volume,
        )
        if not quiet:
            for line in next_steps(done.board, done.folder):
                errors.print(line, markup=False, soft_wrap=True)
    ctx.exit(_exit_code(done.board))


def next_steps(board: Any, folder: Path) -> list[str]:
    """Return what to do after a run on simulated answers, which most try first."""
    from importlib.util import find_spec

    if board.suite.source != "simulated":
        return []
    install = "" if find_spec("jinja2") else "pip install 'routebench[report]' && "
    steps = {
        f"{install}routebench report {shlex.quote(str(folder))} --open": "see it as a page",
        "routebench run --suite outcomes.csv --folds 5": "run on your own answers: docs/data.md",
        f"routebench run --suite {board.suite.name} --router my_router.py:MyRouter,best-single": (
            "try a router of yours: docs/write-a-router.md"
        ),
    }
    room = max(map(len, steps))
    lines = [f"  {command:<{room}}  {words}" for command, words in steps.items()]
    return ["", "next:", *lines]


def _dry_run(config: Any, listener: Any, as_json: bool) -> None:
    from routebench.dry_run import dry_run
    from routebench.report.terminal import console, planned

    plan = dry_run(config, listener)
    if as_json:
        echo_json(planned.to_json(plan))
    else:
        planned.show(plan, console.make())


def _exit_code(board: Any) -> int:
    """Return 0 for a finished run, 1 if a router failed, 3 if too many cells are missing."""
    if not board.valid:
        return 3
    return 1 if any(row.state == "failed" for row in board.rows) else 0


def _given(ctx: click.Context, given: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Return the options given on the command line, in the run file's terms."""
    from routebench.errors import OptionError
    from routebench.plugin import options

    values: dict[str, Any] = {}
    for name, value in given.items():
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if name in _LISTS:
            values[name] = [part for text in value for part in text.split(",") if part]
        elif name == "set_":
            base = {plugin: dict(own) for plugin, own in file.get("set", {}).items()}
            for plugin, own in options.parse(value).items():
                base[plugin] = base.get(plugin, {}) | own
            values["set"] = base
        elif name == "objective":
            pairs = [part.partition("=") for part in value.split(",")]
            if not all(equals for _, equals, _ in pairs):
                raise OptionError(f"--objective {value!r}: expected performance=P,cost=C")
            values["objective"] = {key.strip(): weight for key, _, weight in pairs}
        else:
            values[name] = value
    return values
