"""`routebench data`: import public data, export stored answers, summarise a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench.printed import echo, echo_json


@click.group()
def command() -> None:
    """Import public outcomes, pull them, look into files, export stores."""


@command.command("import")
@click.argument("form", metavar="FORMAT")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("outcomes.parquet"),
    show_default=True,
    help="Write the table here, as .parquet, .csv or .jsonl.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="PATTERN",
    help="Keep only tasks that match this pattern.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="PATTERN",
    help="Keep only models that match this pattern.",
)
@click.option("--answers/--no-answers", default=True, help="Keep the text of the answers.")
@click.option(
    "--score-max", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
    help="Read scores that go up to N.",
)  # fmt: skip
@click.option(
    "--skip-bad", is_flag=True, help="Name rows that something is wrong with, and leave them out."
)
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of the importer.",
)
def import_(
    form: str,
    paths: tuple[Path, ...],
    out: Path,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    answers: bool,
    score_max: float,
    skip_bad: bool,
    set_: tuple[str, ...],
) -> None:
    """Make an outcomes table of files in a public FORMAT, for `--suite table:FILE`.

    FORMAT is auto, or the name of an importer: see `routebench plugins importers`.
    """
    from routebench.importers import Selection, import_files
    from routebench.plugin import options

    selection = Selection(tasks, models, answers, score_max, skip_bad)
    made = import_files(form, paths, out, selection, options.parse(set_))
    if made.states:
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(made.states.items()))
        echo(
            f"{out}: {made.rows:,} rows, {made.queries:,} queries, {len(made.models)} models:"
            f" {states}"
        )
    else:
        echo(f"{out}: {made.queries:,} questions")
    _notes(made.notes)


@command.command()
@click.argument("name")
@click.option("--update", is_flag=True, help="Take the present revision of what is not pinned.")
@click.option("--answers", is_flag=True, help="Keep the text of answers in the outcomes table.")
def pull(name: str, update: bool, answers: bool) -> None:
    """Fetch public data by NAME; a wrong one prints those that there are.

    It lies under $ROUTEBENCH_DATA/pulled, else ~/.local/share/routebench/pulled. What is there and
    right is not fetched again; what was cut short goes on where it was.
    """
    from routebench.files import data_folder
    from routebench.importers import pull as pulling

    source = pulling.find_source(name)
    echo(f"{source.title}\nlicence: {source.licence}\ncite: {source.citation}")
    folder = data_folder() / "pulled" / source.name
    done = pulling.pull(source, folder, update=update, answers=answers, say=echo)
    held = "pinned by RouteBench" if source.pinned else f"held by {folder / pulling.LOCK}"
    revision = f"revision {done.revision}, " if done.revision else ""
    came = ", ".join(done.fetched) or "nothing new"
    echo(f"{folder}: {revision}{held}; fetched: {came}")
    _notes(done.notes)
    for line in done.commands:
        echo(line)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def info(file: Path, as_json: bool) -> None:
    """Say what is in FILE, an outcomes table or a store of collected answers."""
    from routebench.data import summary
    from routebench.errors import DataError
    from routebench.store import schema

    if not file.is_file():
        raise DataError(f"{file}: there is no such file")
    found: Any
    if schema.is_store(file):
        from routebench.store.store import AnswerStore

        with AnswerStore(file, create=False, write=False) as store:
            found = store.info()
    else:
        found = summary.facts_of(file)
    if as_json:
        echo_json(summary.to_json(found))
    elif isinstance(found, summary.TableSummary):
        _show_facts(found)
    else:
        _show_store(found)


@command.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Write the answers here, as .parquet, .csv or .jsonl.",
)
@click.option("--suite", metavar="NAME", help="Write only the answers to this suite's questions.")
@click.option(
    "--judge", metavar="ID", help="Write this judge's grades; by default the first judge's."
)
def export(store: Path, out: Path, suite: str | None, judge: str | None) -> None:
    """Write the answers in STORE to a .parquet, .csv or .jsonl file."""
    from routebench.store.store import AnswerStore

    with AnswerStore(store, create=False, write=False) as opened:
        rows = opened.export(out, suite, judge)
    echo(f"{out}: {rows:,} rows")


def _notes(notes: tuple[str, ...]) -> None:
    from routebench.redact import one_line

    for note in notes:
        echo(f"note: {one_line(note)}")


def _show_facts(found: Any) -> None:
    echo(f"rows          {found.rows:,} ({found.queries:,} queries × {len(found.models)} models)")
    _line("states", found.states)
    _line("grades", found.grades)
    _line("tasks", found.tasks)
    _line("split", found.splits)
    for name, count in found.recorded.items():
        echo(f"{name:<13} recorded in {count:,} of {found.rows:,} rows")
    absent = [
        name for name in ("input_tokens", "output_tokens", "cost_usd") if name not in found.recorded
    ]
    if absent:
        echo(f"not recorded  {', '.join(absent)}")
    echo(f"never asked   {found.missing:,} pairs of query and model")
    echo(f"duplicates    {found.duplicates:,} rows")
    _notes(found.notes)
    _table(
        ("model", "rows", "mean score", "USD", "not ok"),
        [
            (
                name,
                f"{m.rows:,}",
                "" if m.score is None else f"{m.score:.4f}",
                "" if m.usd is None else f"{m.usd:,.4f}",
                ", ".join(f"{n:,} {state}" for state, n in m.states.items() if state != "ok"),
            )
            for name, m in found.models.items()
        ],
    )


def _show_store(found: Any) -> None:
    echo(f"store         {found.path} ({found.size / 1e6:,.1f} MB)")
    _line("questions", found.suites)
    _line("calls", found.states)
    _line("failed", found.errors)
    unpriced = f", and {found.unpriced:,} answers without a price" if found.unpriced else ""
    echo(f"paid          {found.usd:,.6f} USD{unpriced}")
    _line("prices", found.prices)
    if found.interrupted or found.twice:
        echo(
            f"paid in vain  up to {found.interrupted:,} calls that were cut off,"
            f" {found.twice:,} that came twice"
        )
    for judge, states in found.judges.items():
        _line("judge", states, f"{judge}: ")
    _table(
        ("model", "calls", "USD", "parameters"),
        [
            (
                f"{each.provider}:{each.model}",
                ", ".join(f"{n:,} {state}" for state, n in each.calls.items()),
                f"{each.usd:,.6f}",
                each.parameters,
            )
            for each in found.models
        ],
    )


def _line(name: str, counts: dict[str, int], before: str = "") -> None:
    from routebench.redact import one_line

    if counts:
        shown = [f"{key} {count:,}" for key, count in list(counts.items())[:12]]
        more = f", … ({len(counts)} in all)" if len(counts) > 12 else ""
        echo(f"{name:<13} {one_line(before + ', '.join(shown))}{more}")


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from routebench.redact import one_line
    from routebench.report.terminal import console

    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(escape(one_line(cell)) for cell in row))
    console.make().print(table)
