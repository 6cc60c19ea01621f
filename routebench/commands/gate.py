"""`routebench gate`: decide whether a candidate may replace the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench.arguments import RUN
from routebench.printed import echo

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("baseline", type=RUN)
@click.argument("candidate", type=RUN)
@click.option(
    "--rules", type=_FILE, metavar="FILE", help="Take margins and guards from a TOML file."
)
@click.option("--router", multiple=True, metavar="NAME,…", help="Gate these routers only.")
@click.option(
    "--metric",
    multiple=True,
    metavar="NAME,…",
    help="Gate these only: accuracy, cost, reward, accuracy@POINT, savings@POINT.",
)
@click.option(
    "--margin",
    multiple=True,
    metavar="METRIC=VALUE|auto",
    help="Accept this loss, such as accuracy=0.02; auto: what the data can detect.",
)
@click.option(
    "--inconclusive",
    type=click.Choice(["pass", "fail", "report"]),
    help="Exit with 0, 1, or 4 (the default) where the data cannot decide.",
)
@click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML.")
@click.option("--markdown", type=_FILE, metavar="FILE", help="Write a summary in Markdown.")
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Write gate.json.")
@click.option("--annotations", is_flag=True, help="Print annotations for GitHub Actions.")
@click.option(
    "--update-baseline", is_flag=True, help="Copy the candidate over the baseline afterwards."
)
@click.option("--quiet", is_flag=True, help="Print no table.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    baseline: Path,
    candidate: Path,
    rules: Path | None,
    junit: Path | None,
    markdown: Path | None,
    json_file: Path | None,
    annotations: bool,
    update_baseline: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Compare CANDIDATE with BASELINE, and say whether it may replace it.

    Each is a run folder or its leaderboard.json, `latest`, an id, or a folder that holds one run.

    \b
    Exit code 0: no router lost more than its margin; 1: one did, or a guard failed;
    2: usage; 3: the two cannot be compared; 4: the data cannot decide.
    """
    from routebench.comparison import baseline as baselines
    from routebench.comparison import gate, schema
    from routebench.report.gate import annotations as workflow
    from routebench.report.gate import junit as junit_xml
    from routebench.report.gate import markdown as gate_markdown
    from routebench.report.gate import terminal as gate_terminal
    from routebench.report.terminal import console

    result = gate.gate(baseline, candidate, _rules(rules, given))
    if not quiet:
        gate_terminal.show(result, console.make(wide=True))
    if annotations:
        for line in workflow.lines(result):
            echo(line)
    for path, content in (
        (junit, junit_xml.render(result)),
        (markdown, gate_markdown.render(result).encode()),
        (json_file, schema.to_json(result).encode()),
    ):
        if path is not None:
            _write(path, content)
    if update_baseline and result.verdict != "invalid":
        copied = baselines.update(baseline, candidate, result)
        echo(f"baseline updated: {', '.join(copied)}")
        ctx.exit(0)
    if update_baseline:
        echo("baseline not updated: the two runs cannot be compared", err=True)
    ctx.exit(result.exit_code)


def _write(path: Path, content: bytes) -> None:
    from routebench.errors import OptionError
    from routebench.files import replace_file

    try:
        replace_file(path, content)
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from error


def _rules(path: Path | None, given: dict[str, Any]) -> Any:
    """Return the rules of the file, overridden by options of the command line."""
    from routebench.comparison import rules
    from routebench.errors import OptionError, did_you_mean

    values = rules.read(path) if path else {}
    for option, key in (("router", "routers"), ("metric", "metrics")):
        names = [name.strip() for text in given[option] for name in text.split(",")]
        if names:
            values[key] = names
    for name in values["metrics"] if given["metric"] else ():
        if "@" not in name and name not in rules.METRICS:
            raise OptionError(f"--metric {name}: no such metric", did_you_mean(name, rules.METRICS))
        try:
            rules.named(name)
        except ValueError as error:
            raise OptionError(f"--metric {error}") from error
    if given["inconclusive"]:
        values["inconclusive"] = given["inconclusive"]
    if given["margin"]:
        values["margins"] = values.get("margins", {}) | rules.parse_margins(given["margin"])
    return rules.make(values, str(path) if path else "gate")
