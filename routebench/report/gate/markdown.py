"""A gate's result as Markdown, for the summary of a CI job or a comment on a change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from routebench.comparison.schema import GateResult
from routebench.comparison.verdict import Verdict
from routebench.printed import one_visible_line
from routebench.report.gate import words

_SIGNS = {
    "pass": "✅",
    "regression": "❌",
    "missing": "❌",
    "invalid": "⛔",
    "inconclusive": "❔",
}
# Whatever could end a cell, or start a tag, a link or an emphasis.
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")


def render(result: GateResult) -> str:
    """Return the whole page."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: GateResult) -> Iterator[str]:
    yield f"## {_SIGNS[result.verdict]} RouteBench gate: {text(words.headline(result))}"
    yield ""
    yield f"baseline {text(result.baseline)} · candidate {text(result.candidate)}"
    if result.verdict == "invalid":
        yield ""
        yield from (f"- {text(line)}" for line in words.why_invalid(result))
        return
    if result.comparisons:
        yield ""
        rows = [
            (*texts[:-1], f"{_SIGNS[one.verdict.value]} {texts[-1]}")
            for one in result.comparisons
            for texts in [words.cells(one)]
        ]
        yield from _table(words.COLUMNS, rows, left=(0, 1, 8))
        yield ""
        yield text(f"{words.family(result)}; {words.LEGEND}.")
    if (counts := words.verdicts(result)) is not None:
        yield ""
        yield text(f"{counts}.")
    yield from _list("Undecided or missing", _undecided(result))
    guards = (f"{f.level.upper()} {f.guard}: {f.router}: {f.message}" for f in result.findings)
    yield from _list("Guards", guards)
    for one in result.flips:
        yield ""
        yield (
            f"<details><summary>{_html(one.router)}: {one.changed:.1%} of decisions changed, "
            f"{one.worse:,} queries worse, {one.better:,} better</summary>"
        )
        yield ""
        yield from _table(words.FLIP_COLUMNS, map(words.flip, one.largest), left=(0, 1))
        yield ""
        yield "</details>"
    yield from _list("Changed", (f"{c.what}: {c.old} → {c.new}" for c in result.changes))
    yield from _list("Notes", result.notes)


def _undecided(result: GateResult) -> Iterator[str]:
    for one in result.comparisons:
        if one.verdict in (Verdict.INCONCLUSIVE, Verdict.MISSING):
            yield f"{one.router}: {words.sentence(one)}"


def _table(
    names: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int]
) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield "|" + "|".join(":--" if i in left else "--:" for i in range(len(names))) + "|"
    for row in rows:
        yield f"| {' | '.join(map(text, row))} |"


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = list(lines)
    if items:
        yield ""
        yield f"**{title}**"
        yield ""
        yield from (f"- {text(item)}" for item in items)


def text(value: str) -> str:
    """Return one line that shows as it is written, whatever is in it."""
    return _SPECIAL.sub(r"\\\1", one_visible_line(value))


def _html(value: str) -> str:
    safe = one_visible_line(value)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
