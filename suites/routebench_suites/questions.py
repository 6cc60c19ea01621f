"""Factual questions with their right answers: the embedded ones, and SimpleQA's published CSV."""

from __future__ import annotations

import ast
import csv
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from routebench.errors import DataError
from routebench.files import sha256

EMBEDDED = Path(__file__).resolve().parent / "simpleqa_facts" / "questions.csv"
"""The questions that come with the project."""

_OWN = ("query_id", "query", "reference", "aliases")
_PUBLISHED = ("metadata", "problem", "answer")
_OUTCOMES = {"model", "score", "response"}
_HINT = (
    "a questions file is CSV with the columns query_id, query, reference and aliases, or with"
    " SimpleQA's metadata, problem and answer"
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with one right answer."""

    query_id: str
    query: str
    reference: str
    aliases: tuple[str, ...]
    """Other strings that are the same answer."""
    topic: str | None
    answer_type: str | None
    obscurity: int | None
    """1 (known to most people) to 5 (to specialists); None if nobody judged it."""
    kind: str | None
    """The table and column of the fact, `countries.capital`; None if unknown."""


def read_questions(path: Path) -> list[Question]:
    """Read the questions of a file, in its order.

    A question that stands in SimpleQA's file twice is one question: two answers to it are aliases
    of each other.

    Raises:
        DataError: naming file, row (from 1, the header not counted) and column.
    """
    head, lines = _cells(path)
    read = _reader(head)
    if read is None:
        raise DataError(f"{path.name}: the columns are {_shown(head)}: no questions file", _HINT)
    questions: dict[str, Question] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # an odd escape inside a metadata cell
        warnings.simplefilter("ignore", DeprecationWarning)
        for row, cells in enumerate(lines, 1):
            place = f"{path.name}: row {row}"
            if len(cells) != len(head):
                raise DataError(
                    f"{place} has {len(cells)} fields, not the header's {len(head)}",
                    "a field with commas or line breaks needs quotes",
                )
            question = read(place, dict(zip(head, cells, strict=True)))
            known = questions.get(question.query_id)
            if known is not None and read is _own:
                raise DataError(
                    f"{place}, column query_id: {question.query_id!r} is an id of a row above"
                )
            questions[question.query_id] = _merged(known, question) if known else question
    if not questions:
        raise DataError(f"{path.name}: there are no questions, only a header", _HINT)
    return list(questions.values())


def is_questions(path: Path) -> bool:
    """Return whether a file's header is that of a questions file; false for an outcomes table."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _reader(next(csv.reader(file), [])) is not None
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file", _HINT)
    if not path.is_file():
        raise DataError(f"{path}: is a folder, not a questions file", _HINT)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path.name}: line {line} of the file: the text is not UTF-8", "save it as UTF-8"
        ) from None
    if not text.strip():
        raise DataError(f"{path.name}: the file is empty", _HINT)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head, *lines = (cells for cells in reader if cells)
    except csv.Error as error:
        raise DataError(
            f"{path.name}: line {reader.line_num} of the file: not CSV: {error}", _HINT
        ) from error
    return head, lines


_Read = Callable[[str, dict[str, str]], Question]


def _reader(head: list[str]) -> _Read | None:
    if len(set(head)) < len(head) or not _OUTCOMES.isdisjoint(head):
        return None
    if set(_OWN) <= set(head):
        return _own
    return _published if set(_PUBLISHED) <= set(head) else None


def _shown(head: list[str]) -> str:
    names = ", ".join(name if len(name) <= 30 else f"{name[:30]}…" for name in head[:12])
    return names + (", …" if len(head) > 12 else "")


def _own(place: str, cells: dict[str, str]) -> Question:
    return Question(
        _filled(place, cells, "query_id"),
        _filled(place, cells, "query"),
        _filled(place, cells, "reference"),
        _aliases(f"{place}, column aliases", cells["aliases"]),
        cells.get("topic") or None,
        cells.get("answer_type") or None,
        _obscurity(f"{place}, column obscurity", cells.get("obscurity", "")),
        cells.get("kind") or None,
    )


def _published(place: str, cells: dict[str, str]) -> Question:
    query = _filled(place, cells, "problem")
    facets = _metadata(f"{place}, column metadata", cells["metadata"])
    digest = sha256(query.encode())[:16]
    return Question(
        f"simpleqa-{digest}",
        query,
        _filled(place, cells, "answer"),
        (),
        facets.get("topic"),
        facets.get("answer_type"),
        None,
        None,
    )


def _filled(place: str, cells: dict[str, str], column: str) -> str:
    if not (text := cells[column].strip()):
        raise DataError(f"{place}, column {column}: the cell is empty", "every row needs one")
    return text


def _aliases(place: str, cell: str) -> tuple[str, ...]:
    try:
        listed = json.loads(cell or "[]")
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise DataError(
            f"{place}: {_cut(cell)} is no JSON list of texts", 'such as ["Hitchcock"], or []'
        )
    return tuple(one for one in listed if one.strip())


def _obscurity(place: str, cell: str) -> int | None:
    if not cell:
        return None
    if cell not in {"1", "2", "3", "4", "5"}:
        raise DataError(f"{place}: {_cut(cell)} is not one of 1 to 5", "leave unknown ones empty")
    return int(cell)


def _metadata(place: str, cell: str) -> dict[str, Any]:
    try:
        read = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        read = None
    if not isinstance(read, dict):
        raise DataError(
            f"{place}: {_cut(cell)} is no Python dict",
            "such as {'topic': 'Art', 'answer_type': 'Person'}",
        )
    for name in ("topic", "answer_type"):
        if not isinstance(read.get(name, ""), str):
            raise DataError(f"{place}: {name} is {_cut(str(read[name]))}, not a text")
    return {name: read.get(name) or None for name in ("topic", "answer_type")}


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _merged(known: Question, other: Question) -> Question:
    accepted = dict.fromkeys((*known.aliases, other.reference))
    accepted.pop(known.reference, None)
    return replace(known, aliases=tuple(accepted))
