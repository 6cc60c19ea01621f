"""Route a file of queries: decisions as JSON lines, in the order of the queries."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.deploy.query_file import QueryFile, QueryRow
from routebench.errors import OptionError
from routebench.files import replacing

DECISION = "decision"
"""The field that is added to a query; one that it has already is replaced."""
Decide = Callable[[Sequence[QueryRow]], Sequence[dict[str, Any]]]
"""Returns the decisions on some queries, as plain values."""


@dataclass
class RoutedFile:
    """What a file of queries came to."""

    queries: int = 0
    by_model: Counter[str] = field(default_factory=Counter)
    expected_usd: float = 0.0
    unpriced: int = 0
    unanswered: int = 0

    def count(self, decision: dict[str, Any]) -> None:
        """Take note of a decision."""
        self.queries += 1
        model = decision["model"]
        self.by_model[model if model is not None else "no answer"] += 1
        self.unanswered += model is None
        usd = decision.get("usd", decision.get("expected_usd"))
        if usd is None:
            self.unpriced += 1
        else:
            self.expected_usd += usd


def route_file(
    source: QueryFile,
    output: Path | None,
    decide: Decide,
    print_line: Callable[[str], None],
    batch: int,
    distinct: bool = False,
) -> RoutedFile:
    """Write every query with its decision to `output`, whole or not at all; return the counts.

    Without `output` lines are given to `print_line` as they are made. No more than a batch of
    queries is held at a time; with `distinct` no text is in it twice.
    """
    routed = RoutedFile()
    with _writer(output, print_line) as write:
        for rows in batches(source, batch, distinct):
            for row, decision in zip(rows, decide(rows), strict=True):
                write(_line(row.record | {DECISION: decision}))
                routed.count(decision)
        if not routed.queries:
            raise OptionError(
                f"--input {source.name}: no query in it"
                + (f" ({source.skipped} lines are broken)" if source.skipped else "")
            )
    return routed


def batches(
    rows: Iterable[QueryRow], size: int, distinct: bool = False
) -> Iterator[list[QueryRow]]:
    """Yield the rows in lists of at most `size`; with `distinct` of different texts."""
    batch: list[QueryRow] = []
    texts: set[str] = set()
    for row in rows:
        if len(batch) == size or (distinct and row.text in texts):
            yield batch
            batch, texts = [], set()
        batch.append(row)
        texts.add(row.text)
    if batch:
        yield batch


@contextlib.contextmanager
def _writer(
    output: Path | None, print_line: Callable[[str], None]
) -> Iterator[Callable[[str], Any]]:
    if output is None:
        yield print_line
        return
    if output.exists() and not output.is_file():
        raise OptionError(f"--output {output}: is no file", "without --output lines are printed")
    if not output.parent.is_dir():
        raise OptionError(f"--output {output}: there is no folder {output.parent}")
    with replacing(output) as part:
        try:
            stream = part.open("wb")
        except OSError as error:
            raise OptionError(f"--output {output}: {error.strerror or error}") from error
        with stream:
            yield lambda line: stream.write(line.encode() + b"\n")


def _line(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half characters
        return json.dumps(record, allow_nan=False)
    return text
