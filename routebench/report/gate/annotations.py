"""Workflow commands of GitHub Actions, which annotate a change."""

from __future__ import annotations

from collections.abc import Iterator

from routebench.comparison.schema import GateResult
from routebench.comparison.verdict import Verdict
from routebench.printed import visible
from routebench.report.gate import words

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _MESSAGE | {":": "%3A", ",": "%2C"}


def lines(result: GateResult) -> Iterator[str]:
    """Yield one line per finding; errors mark those that fail the command."""
    for line in words.why_invalid(result):
        yield command("error", "RouteBench gate: invalid", line)
    undecided = "error" if result.exit_code else "warning"
    for one in result.comparisons:
        title = f"RouteBench gate: {one.router} {one.metric}"
        if one.verdict in (Verdict.REGRESSION, Verdict.MISSING):
            yield command("error", f"{title}: {one.verdict.value}", words.sentence(one))
        elif one.verdict is Verdict.INCONCLUSIVE:
            yield command(undecided, f"{title}: inconclusive", words.sentence(one))
    for finding in result.findings:
        level = "error" if finding.level == "fail" else "warning"
        title = f"RouteBench gate: {finding.router} {finding.guard}"
        yield command(level, title, finding.message)


def command(level: str, title: str, message: str) -> str:
    """Return `::error title=…::message`, escaped as the runner reads it."""
    return f"::{level} title={_escaped(title, _PROPERTY)}::{_escaped(message, _MESSAGE)}"


def _escaped(value: str, table: dict[str, str]) -> str:
    return visible("".join(table.get(character, character) for character in value))
