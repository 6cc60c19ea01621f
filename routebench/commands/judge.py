"""`routebench judge`: grade stored answers with another judge, and measure agreement."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from routebench.printed import echo, echo_json

RECORDED = "recorded"
MISSING = 0.01
"""Share of answers without a grade above which the exit code is 3."""


@click.command()
@click.argument("source", metavar="STORE_OR_TABLE", type=click.Path(path_type=Path))
@click.option(
    "--judge", "name", required=True, metavar="NAME", help="Grade with this judge, such as exact."
)
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of a judge.",
)
@click.option(
    "--against",
    default=RECORDED,
    metavar="NAME|recorded",
    help="Compare with another judge's grades, or (the default) with the recorded ones.",
)
@click.option("--suite", metavar="NAME", help="Grade only this suite of a store with several.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the regraded table."
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Grade N answers only, drawn by chance."
)
@click.option(
    "--show", type=click.IntRange(0), default=5, metavar="N", help="Print N disagreements."
)
@click.option("--regrade", is_flag=True, help="Grade again what this judge has graded before, too.")
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    name: str,
    set_: tuple[str, ...],
    against: str,
    suite: str | None,
    out: Path | None,
    limit: int | None,
    show: int,
    regrade: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Grade stored answers with another judge, and print how far it agrees with their grades.

    \b
    routebench judge outcomes.parquet --judge exact
    routebench judge outcomes.parquet --judge numeric --set numeric.tolerance=0.01 --out new.parquet
    routebench judge answers.sqlite --judge simpleqa-grader \\
        --set simpleqa-grader.model=gemini:gemini-2.5-flash

    Judges see one answer at a time and no model. Grades of a store are kept in it, and what has
    been graded is not graded again. Exit code 3 where more than 1% of the answers have no grade.
    """
    from routebench.errors import DataError, OptionError
    from routebench.judge.table import judge_store, judge_table
    from routebench.report.terminal import console, judgement

    judge, other = _judges(name, against, set_)
    if not source.is_file():
        raise DataError(f"{source}: there is no such file")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, like Ctrl-C
    watch = _Progress(console.make(error=True), silent=quiet or as_json)
    chosen: dict[str, Any] = {"limit": limit, "out": out, "show": show, "regrade": regrade}
    try:
        with watch:
            if _is_store(source):
                from routebench.store.store import AnswerStore

                with AnswerStore(source, create=False) as store:
                    done = judge_store(
                        store, judge, other, suite=suite, watch=watch.answers, **chosen
                    )
            elif suite is not None:
                raise OptionError(f"--suite {suite}: {source.name} is no store")
            else:
                done = judge_table(source, judge, other, watch=watch.answers, **chosen)
    except KeyboardInterrupt:
        echo("interrupted; grades of a store and those that were paid for are kept", err=True)
        ctx.exit(130)
    if as_json:
        echo_json(judgement.to_json(done), nl=False)
    else:
        judgement.show(done, console.make())
        if out is not None:
            echo(f"written to {out}")
    total = done.counts.graded + done.counts.ungraded
    ctx.exit(3 if done.counts.ungraded > MISSING * total else 0)


def _judges(name: str, against: str, set_: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the judge and the one to compare with, None for the recorded grades."""
    from routebench.errors import OptionError, did_you_mean
    from routebench.judge.store import Judge
    from routebench.plugin import discovery, options
    from routebench.plugin.extensions import Extensions

    given = options.parse(set_)
    names = [name] if against in (RECORDED, name) else [name, against]
    known = [*names, *(info.name for info in discovery.installed("extension"))]
    for plugin in given:
        if plugin not in known:
            raise OptionError(f"--set {plugin}: is not asked here", did_you_mean(plugin, known))
    if against == name:
        raise OptionError(f"--against {against}: is the judge itself")
    extensions = Extensions(given, lambda text: echo(f"note: {text}", err=True))
    made = [Judge(each, given.get(each, {}), extensions) for each in names]
    return made[0], made[1] if len(made) > 1 else None


def _is_store(path: Path) -> bool:
    from routebench.store.schema import is_store

    return is_store(path)


class _Progress:
    """The number of graded answers as it grows, on a terminal; nothing elsewhere."""

    def __init__(self, console: Any, silent: bool) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f} answers graded"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=silent or not console.is_terminal,
        )
        self._task = self._bars.add_task("", total=None)

    def __enter__(self) -> _Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def answers(self, done: int) -> None:
        self._bars.update(self._task, completed=done)
