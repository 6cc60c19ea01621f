"""The rows of an outcome table under construction, and the parsing that formats share.

Scores end in [0, 1], costs are USD per call, and a failed call has neither: a source's wrong
answer at $0 counts as no answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from routebench.data.checks import DEAREST
from routebench.data.failures import is_failure
from routebench.data.scores import WORDS
from routebench.errors import DataError, PluginError, did_you_mean
from routebench.files import sha256
from routebench.hookspecs import ImportPart, Selection
from routebench.redact import one_line

_TEXTS = ("query_id", "query", "reference", "task", "topic", "split")
_ANSWER = ("model", "sample", "response", "state", "grade")
_NUMBERS = ("score", "input_tokens", "output_tokens", "cost_usd", "latency")
COLUMNS = (*_TEXTS, *_ANSWER, *_NUMBERS)
_SCHEMA = pa.schema(
    [(name, pa.float64() if name in _NUMBERS else pa.large_string()) for name in COLUMNS]
)
_STATES = ("ok", "failed", "ungraded")
_NAMED = 20  # rows left out that are named one by one


@dataclass
class Shared:
    """State that the parts of one import share."""

    selection: Selection
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answers by query and model so far."""
    queries: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """The hash of its text, and the reference, by the id of a query."""
    tasks: dict[str, str | None] = field(default_factory=dict)
    """The first task that a text stands in, by its hash."""
    left_out: int = 0
    """Rows that something was wrong with, left out as the user asked."""


class OutcomeRows:
    """The rows of one part, column by column."""

    def __init__(self, shared: Shared, seen: Counter[tuple[str, str]] | None = None) -> None:
        self._shared = shared
        self._seen = shared.seen if seen is None else seen
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.notes: Counter[str] = Counter()

    def add(
        self,
        place: str,
        *,
        query_id: str,
        query: str,
        model: str,
        score: Any = None,
        grade: str | None = None,
        failed: bool = False,
        response: str | None = None,
        reference: str | None = None,
        cost: Any = None,
        input_tokens: Any = None,
        output_tokens: Any = None,
        latency: Any = None,
        **more: str | None,
    ) -> None:
        """Add one answer. `more` is task, topic and split.

        The same query of the same model again is a repeated answer. A cost of 0 is one that
        nobody wrote down.
        """
        if not query.strip():
            raise DataError(f"{place}: the query is empty")
        if not isinstance(model, str) or not model.strip():
            raise DataError(f"{place}: the model is {'null' if model is None else repr(model)}")
        selection, cells = self._shared.selection, dict.fromkeys(COLUMNS)
        if not (selection.model(model) and selection.task(more.get("task") or "")):
            return
        if not failed and not grade and self._is_failure(response, score, output_tokens, place):
            failed = True
            self.notes["answers that are the text of an error, taken as failed calls"] += 1
        value = None if failed else score_of(score, place, selection.score_max)
        if not failed:
            cells |= {
                "response": response if selection.answers else None,
                "grade": grade,
                "score": value,
                "cost_usd": self._cost(cost, place),
                "input_tokens": self._tokens(input_tokens, place) or None,
                "output_tokens": self._tokens(output_tokens, place),
                "latency": number(latency, f"{place}: the latency") or None,
            }
        reference = self._reference(place, query_id, query, reference)
        # From here on nothing is wrong with the row.
        again = self._seen[query_id, model]
        self._seen[query_id, model] += 1
        task = more.get("task")
        if again == 0 and self._shared.tasks.setdefault(hash_text(query), task) != task:
            self.notes["answers to a text that stands in another task too (see --task)"] += 1
        cells |= more
        cells |= {"query_id": query_id, "query": query, "reference": reference, "model": model}
        cells["sample"] = str(again)
        cells["state"] = "failed" if failed else "ok" if grade or value is not None else "ungraded"
        for name, column in self._columns.items():
            column.append(cells[name])

    @contextmanager
    def row(self, place: str | None = None) -> Iterator[None]:
        """Leave out a row that is wrong, where the user asks for that, and name it in a note.

        With a `place`, what goes wrong on a value of an unexpected type is the row's error too.
        """
        try:
            yield
        except DataError as error:
            self.leave_out(error)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if place is None:
                raise
            why = one_line(str(error), 80)
            text = f"{place}: a value is of another type than the format has: {why}"
            self.leave_out(DataError(text))

    def leave_out(self, error: DataError) -> None:
        """Note an error of one row, where the user asks to leave such rows out; else raise it."""
        if not self._shared.selection.skip_bad:
            raise error
        self._shared.left_out += 1
        if self._shared.left_out <= _NAMED:
            self.notes[f"left out: {error.message}"] += 1
        else:
            self.notes["further rows left out"] += 1

    @staticmethod
    def _is_failure(response: Any, score: Any, output_tokens: Any, place: str) -> bool:
        if not isinstance(response, str) or not response:
            return False
        tokens = number(output_tokens, f"{place}: the number of tokens")
        return is_failure(response, tokens) and not _positive(score)

    def __len__(self) -> int:
        return len(self._columns["model"])

    def part(self, key: str) -> ImportPart:
        """Return all rows, in the order they came, as the part that `key` names."""
        columns = [_array(self._columns[f.name], f.type) for f in _SCHEMA]
        return ImportPart(key, pa.table(columns, schema=_SCHEMA), self.notes)

    def _reference(self, place: str, query_id: str, query: str, given: str | None) -> str | None:
        """Return a query's first reference: a source that has two for one text means either."""
        digest = hash_text(query)
        known = self._shared.queries.get(query_id)
        if known is not None and known[0] != digest:
            raise DataError(
                f"{place}: query {query_id!r} stands with another text above",
                "import files that name different queries alike one by one",
            )
        given = given or None
        if known is None or known[1] is None:
            self._shared.queries[query_id] = digest, given
            return given
        if given not in (None, known[1]):
            self.notes["rows whose reference is not the one that their query has above"] += 1
        return known[1]

    def _cost(self, value: Any, place: str) -> float | None:
        cost = number(value, f"{place}: the cost")
        if cost is not None and cost < 0:
            raise DataError(f"{place}: the cost {cost:g} is negative")
        if cost == 0:
            self.notes["costs of 0 beside an answer, taken as not recorded"] += 1
            return None
        if cost is not None and cost > DEAREST:
            raise DataError(
                f"{place}: a call that costs {cost:g} USD",
                "are these prices per million tokens, or sums, rather than costs per call?",
            )
        return cost

    def _tokens(self, value: Any, place: str) -> float | None:
        tokens = number(value, f"{place}: the number of tokens")
        if tokens is not None and tokens < 0:
            self.notes["negative numbers of tokens, taken as not recorded"] += 1
            return None
        return tokens


def _positive(score: Any) -> bool:
    """Return whether a score is more than 0, or written so that only its reader can tell."""
    if isinstance(score, list) and len(score) == 1:
        score = score[0]
    if isinstance(score, str):
        text = score.strip().removesuffix("%").lower()
        score = WORDS.get(text, text or None)
    try:
        return score is not None and float(score) > 0
    except (TypeError, ValueError):
        return True


def _array(values: list[Any], kind: Any) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a character, as JSON can write it
        whole = [v and v.encode(errors="replace").decode() for v in values]
        return pa.array(whole, kind)


def complete(part: ImportPart, importer: str, selection: Selection) -> ImportPart:
    """Return a part with all columns, in their order and types, and the selected rows only.

    Without a column `state`, an answer with a score or a grade is `ok`, any other `ungraded`.

    Raises:
        PluginError: for a missing or unknown column, one of another type, a null where a value
            must be, an unknown state, or a score outside [0, 1].
    """
    import pyarrow.compute as pc

    table = part.rows
    for name in ("query_id", "query", "model"):
        if name not in table.column_names:
            raise PluginError(f"importer {importer}: its rows have no column {name}")
    for name in table.column_names:
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS)
            raise PluginError(f"importer {importer}: its rows have an unknown column {name}", hint)
    columns: dict[str, Any] = {f.name: pa.nulls(len(table), f.type) for f in _SCHEMA}
    columns["sample"] = pa.repeat(pa.scalar("0", pa.large_string()), len(table))
    columns |= {name: table[name].cast(_SCHEMA.field(name).type) for name in table.column_names}
    for name in _NUMBERS:  # NaN is null, as in what `number` reads
        columns[name] = pc.if_else(pc.is_nan(columns[name]), None, columns[name])
    if "state" not in table.column_names:
        known = pc.or_(pc.is_valid(columns["score"]), pc.is_valid(columns["grade"]))
        columns["state"] = pc.if_else(known, "ok", "ungraded").cast(pa.large_string())
    if not selection.answers:
        columns["response"] = pa.nulls(len(table), pa.large_string())
    rows = pa.table(columns, schema=_SCHEMA)
    _check_values(rows, f"importer {importer}: {part.key}")
    return replace(part, rows=_selected(rows, selection))


def _check_values(table: pa.Table, place: str) -> None:
    import pyarrow.compute as pc

    state, score = pc.utf8_lower(table["state"]), table["score"]
    known = pc.is_in(state, pa.array(_STATES, pa.large_string()))
    wrong = {name: (pc.is_null(table[name]), "text") for name in ("query_id", "query", "model")}
    wrong["state"] = pc.invert(known), " or ".join(_STATES)
    wrong["score"] = pc.or_(pc.less(score, 0), pc.greater(score, 1)), "a number in [0, 1]"
    for name, (rows, expected) in wrong.items():
        if (first := pc.index(rows, True).as_py()) >= 0:
            value = table[name][first].as_py()
            raise PluginError(f"{place}: row {first + 1}: {name} is {value!r}, expected {expected}")


def _selected(table: pa.Table, selection: Selection) -> pa.Table:
    """Return the rows of the tasks and models that are asked for."""
    import pyarrow.compute as pc

    if not (selection.tasks or selection.models):
        return table
    for name, wanted in (("task", selection.task), ("model", selection.model)):
        values = pc.fill_null(table[name], "")
        kept = [value for value in pc.unique(values).to_pylist() if wanted(value)]
        table = table.filter(pc.is_in(values, pa.array(kept, values.type)))
    return table


def hash_text(text: str) -> str:
    """Return the key of a query's text: 16 hex digits."""
    return sha256(text.encode(errors="surrogatepass"))[:16]


def number(value: Any, what: str) -> float | None:
    """Return a number, also of text; None for null, NaN and empty text."""
    if value is None or value == "":
        return None
    try:
        parsed = float(value)
    except (OverflowError, TypeError, ValueError):
        raise DataError(f"{what} is {str(value)[:40]!r}, no number") from None
    if math.isinf(parsed):
        raise DataError(f"{what} is infinite")
    return None if math.isnan(parsed) else parsed


def score_of(value: Any, place: str, top: float = 1.0) -> float | None:
    """Return a score in [0, 1] of a number up to `top`, a bool, `yes`, or `85%`; None for null."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in WORDS:
            return WORDS[text.lower()]
        if text.endswith("%"):
            value, top = text[:-1], 100.0
    elif isinstance(value, bool):
        return float(value)
    score = number(value, f"{place}: the score")
    if score is None:
        return None
    if not 0 <= score <= top:
        likely = next(
            (limit for limit in (1, 10, 100) if 0 <= score <= limit and limit > top), None
        )
        hint = f"--score-max {likely} if the scores go up to {likely}" if likely else ""
        raise DataError(f"{place}: the score {score:g} is not in [0, {top:g}]", hint)
    return score / top
