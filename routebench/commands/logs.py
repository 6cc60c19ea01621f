"""`routebench logs`: import logs of requests, and say what they can be used for."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.printed import echo, echo_json

_FILE = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Make one table of events of logs of requests, and say what it can answer."""


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=_FILE)
@click.option(
    "--out",
    type=_FILE,
    default=Path("events.parquet"),
    show_default=True,
    help="Write the table here.",
)
@click.option(
    "--format",
    "form",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Read with this reader: see `routebench plugins readers`.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=FIELD",
    help="Take a column from this field of any records, such as reward=feedback.score.",
)
@click.option(
    "--rewards", multiple=True, type=_FILE, metavar="FILE",
    help="Add rewards that came later: event, reward, and maybe source and time.",
)  # fmt: skip
@click.option(
    "--reward-max", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
    help="Read rewards that go up to N.",
)  # fmt: skip
@click.option("--texts/--no-texts", default=True, help="Keep the texts of queries.")
def import_(
    files: tuple[Path, ...],
    out: Path,
    form: str,
    mapping: tuple[str, ...],
    rewards: tuple[Path, ...],
    reward_max: float,
    texts: bool,
) -> None:
    """Write the requests in FILEs, logs of one system, as one table of events.

    Known are the log of `routebench serve`, LiteLLM's spend logs, replay records of vLLM's
    semantic router, OpenTelemetry's GenAI spans, exports of Langfuse and Phoenix, and pairs of
    OpenAI's requests and responses. What a log does not say is null.
    """
    from routebench.traffic.logs.importing import import_logs
    from routebench.traffic.logs.mapped import parse_mapping

    fields = parse_mapping(mapping)
    made = import_logs(files, out, form, fields, rewards, texts, reward_max)
    models = ", ".join(f"{name} {n:,}" for name, n in list(made.models.items())[:8])
    echo(f"{out}: {made.events:,} events, read as {made.reader}; {models}")
    given, found = made.rewards
    if given:
        echo(f"rewards: {found:,} of {given:,} found their event")


@command.command()
@click.argument("file", metavar="EVENTS", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def doctor(file: Path, as_json: bool) -> None:
    """Say what is in EVENTS, what is wrong with it, and which questions it can answer."""
    import json

    from routebench.traffic.doctor import diagnose
    from routebench.traffic.lines import diagnosis_lines

    found = diagnose(file)
    if as_json:
        echo_json(json.dumps(found.to_json(), indent=2))
        return
    for line in diagnosis_lines(found):
        echo(line)
