"""From a long-form table, one row per answer, to a suite's aligned matrices.

Everything per cell is done by Arrow and NumPy; Python loops over distinct queries only. The
result is canonical: the order of a file's rows or models changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench import limits
from routebench.data.cells import CellRows, first_rows
from routebench.data.columns import Coded, Lines, TableColumns, objects
from routebench.data.moments import asked_at
from routebench.data.scores import likely_top
from routebench.data.texts import encode, hash_normalised, normalise
from routebench.errors import DataError, did_you_mean
from routebench.files import sha256
from routebench.records import (
    STATED,
    Codes,
    Floats,
    Grade,
    Ints,
    Outcomes,
    Pool,
    Queries,
    State,
    Strings,
    SuiteData,
)

REQUIRED = ("query_id", "query", "model", "score")
PER_QUERY = ("query", "task", "topic", "user", "split", "reference")
TEXTS = (
    *("query_id", "model", "sample", *PER_QUERY, "asked_at"),
    *("response", "finish_reason", "grade", "state"),
)
PARTS = {"cached_tokens": "input_tokens", "thinking_tokens": "output_tokens"}
"""Columns of tokens that are part of another one's."""
NUMBERS = (
    "score", "input_tokens", "output_tokens", *PARTS, "cost_usd", "latency", "preference", *STATED,
)  # fmt: skip
COLUMNS = (*TEXTS, *NUMBERS)
"""Every column that is understood; others are noted and left out."""

_STATES = {s.name: int(s) for s in (State.OK, State.FAILED, State.UNGRADED)}
_GRADES = {g.name: int(g) for g in Grade if g != Grade.NONE}


def from_long(
    table: pa.Table,
    *,
    name: str,
    source: str,
    place: str,
    pool: Pool | None = None,
    visible: frozenset[str] = frozenset(),
    files: tuple[Path, ...] = (),
    notes: tuple[str, ...] = (),
    score_range: tuple[float, float] = (0.0, 1.0),
    score_max: float = 1.0,
    lines: Lines | None = None,
) -> SuiteData:
    """Validate a long-form table and align it to [query, model].

    A null score is `UNGRADED` beside a response and `FAILED` without one, a missing row is
    `ABSENT`; a `state` column overrides both. A missing score follows from the grade, if any.
    `cost` is what `cost_usd` recorded; `routebench.prices.apply.price` completes it.

    Rows of one (query, model) with different `sample` labels are repeated answers. The scored
    ones make up the cell: its score, tokens and latency are means of what they record, its cost
    the mean if all of them record one (those that do not may be dearer). Without a scored one
    the cell is `UNGRADED` if any answer is, else `FAILED`. Grades are kept where no two answers
    of a cell differ in theirs, and the answer is the first by label.

    Scores go up to `score_max` in the table; `lines` returns where its rows are in a file, as an
    editor shows it.

    Raises:
        DataError: naming `place`, the rows (from 1, a header not counted) and the column.
    """
    check_columns(table.column_names, place)
    rows = TableColumns(table, place, lines)
    query, model = rows.key("query_id"), rows.key("model")
    rows.key("query")
    models = _models(rows, model, pool)
    limits.check(place, "pairs of query and model", len(query.values) * len(models), limits.PAIRS)
    attributes = {c: _per_query(rows, query, c) for c in PER_QUERY if c in rows}
    preference, time = _preference(rows, query), asked_at(rows, query)
    normal = [normalise(text) for text in attributes["query"]]
    hashes = objects([hash_normalised(text) for text in normal])
    order = np.array(
        sorted(range(len(normal)), key=lambda q: (hashes[q], query.values[q])), dtype=np.int64
    )
    keys = objects(
        [
            sha256(encode(f"{i}\x1f{text}"))[:16]
            for i, text in zip(query.values, normal, strict=True)
        ]
    )
    cells = CellRows.of(rows, query, model, order, models)
    answers = _Answers.of(rows, score_range, score_max)
    cells, beside = cells.settled(answers.state), cells.beside(answers.state)
    outcomes = _outcomes(rows, cells, answers)
    column = {c: values[order] for c, values in attributes.items()}
    return SuiteData(
        name=name,
        source=source,
        queries=Queries(
            text=column["query"],
            task=column.get("task"),
            topic=column.get("topic"),
            user=column.get("user"),
            preference=None if preference is None else preference[order],
        ),
        ids=query.values[order],
        keys=keys[order],
        text_hash=hashes[order],
        outcomes=outcomes,
        time=None if time is None else time[order],
        pool=_pool(pool, models),
        visible=visible,
        split=column.get("split"),
        references=column.get("reference"),
        answers=_of_cells(rows, cells, "response"),
        finish_reasons=_of_cells(rows, cells, "finish_reason"),
        files=files,
        notes=(
            *notes,
            *unused_note(table.column_names),
            *_alike(models),
            *_repeat_notes(answers, outcomes, beside),
        ),
        ungraded_repeats=int(
            (answers.state == State.UNGRADED).sum() - (outcomes.state == State.UNGRADED).sum()
        ),
    )


def check_columns(present: Sequence[str], place: str) -> None:
    """Raise one `DataError` that names every required column that is not there."""
    needed = [c for c in REQUIRED if c not in present]
    if "score" in needed and ("response" in present or "grade" in present):
        needed.remove("score")
    if needed:
        spare = set(present) - set(COLUMNS) or set(present)
        hints = "; ".join(f"{c}: {did_you_mean(c, spare)}" for c in needed)
        hints += "; a column of another name: --map COLUMN=NAME"
        if needed == ["query_id"]:
            hints += ", or --map query_id=query where equal texts are one query"
        raise DataError(
            f"{place}: missing column{'s' * (len(needed) > 1)} {', '.join(needed)}", hints
        )
    twice = sorted({c for c in present if list(present).count(c) > 1 and c in COLUMNS})
    if twice:
        raise DataError(f"{place}: column {', '.join(twice)} is there more than once")


def unused_note(present: Iterable[str]) -> tuple[str, ...]:
    """Return a note on the columns that are not understood, or nothing."""
    unused = sorted(set(present) - set(COLUMNS))
    return (f"columns not used: {', '.join(unused)}",) if unused else ()


def _models(rows: TableColumns, model: Coded, pool: Pool | None) -> tuple[str, ...]:
    """Return the pool's models in name order."""
    if pool is None:
        if len(model.values) < 2:
            raise DataError(
                f"{rows.place}: at least two models are needed, and only {model.values[0]!r} is"
                " there"
            )
        return tuple(sorted(model.values))
    unknown = np.array([value not in pool.models for value in model.values])[model.codes]
    if unknown.any():
        value = model.values[model.codes[np.flatnonzero(unknown)[0]]]
        rows.fail(unknown, "model", f"no {value!r} in the pool", did_you_mean(value, pool.models))
    return tuple(sorted(pool.models))


def _alike(models: tuple[str, ...]) -> tuple[str, ...]:
    """Return notes on names that are none, or differ in case, blanks or Unicode form only."""
    by: dict[str, list[str]] = {}
    for model in models:
        by.setdefault("".join(normalise(model).split()), []).append(model)
    nobody = tuple(
        f"a model is called {name!r}: is its name missing?"
        for name in models
        if name.strip().lower() in ("none", "nan", "null", "n/a")
    )
    return nobody + tuple(
        f"may be one model under several names: {' and '.join(map(repr, names))}; their cells are"
        " counted apart"
        for names in by.values()
        if len(names) > 1
    )


def _pool(pool: Pool | None, models: tuple[str, ...]) -> Pool:
    """Return the given pool in name order, or one that is only names."""
    if pool is None:
        return Pool(models)
    at = [pool.models.index(model) for model in models]
    given = pool.description
    return replace(
        pool,
        models=models,
        input_price=None if pool.input_price is None else pool.input_price[at],
        output_price=None if pool.output_price is None else pool.output_price[at],
        size=None if pool.size is None else pool.size[at],
        description=None if given is None else tuple(given[i] for i in at),
    )


def _per_query(rows: TableColumns, query: Coded, column: str) -> Strings:
    """Return [n] the value that all rows of a query share; None where no row has one."""
    coded = rows.coded(column)
    present = np.flatnonzero(coded.codes >= 0)
    at = first_rows(query.codes, present, len(query.values))
    differs = present[coded.codes[present] != coded.codes[at[query.codes[present]]]]
    if len(differs):
        one, other = int(at[query.codes[differs[0]]]), int(differs[0])
        rows.fail(
            np.array([one, other]),
            column,
            f"query {query.values[query.codes[other]]!r} has two values,"
            f" {_short(coded.values[coded.codes[one]])} and"
            f" {_short(coded.values[coded.codes[other]])}",
        )
    values = objects([*coded.values, None])
    shared: Strings = values[np.where(at >= 0, coded.codes[at], -1)]
    return shared


def _preference(rows: TableColumns, query: Coded) -> Floats | None:
    if "preference" not in rows:
        return None
    values, null = rows.number("preference")
    outside = ~null & ((values < 0) | (values > 1))
    if outside.any():
        rows.fail(outside, "preference", "is not in [0, 1]")
    present = np.flatnonzero(~null)
    at = first_rows(query.codes, present, len(query.values))
    differs = present[values[present] != values[at[query.codes[present]]]]
    if len(differs):
        one = int(at[query.codes[differs[0]]])
        rows.fail(np.array([one, int(differs[0])]), "preference", "one query has two values")
    shared: Floats = np.where(at >= 0, values[at], np.nan)
    return shared


@dataclass(frozen=True, slots=True)
class _Answers:
    """The score, state and grade of the answer in each row."""

    score: Floats  # NaN wherever the state is not OK
    state: Codes
    grade: Codes | None

    @classmethod
    def of(cls, rows: TableColumns, score_range: tuple[float, float], score_max: float) -> _Answers:
        grade = rows.choice("grade", _GRADES) if "grade" in rows else None
        score = _scores(rows, grade, score_range, score_max)
        state = _states(rows, score)
        ok = state == State.OK
        grades = None if grade is None else np.where(ok, grade, Grade.NONE).astype(np.int8)
        return cls(np.where(ok, score, np.nan), state, grades)


def _outcomes(rows: TableColumns, cells: CellRows, answers: _Answers) -> Outcomes:
    state: Codes = cells.spread(answers.state, State.ABSENT)
    return Outcomes(
        score=cells.mean(answers.score),
        state=state,
        cost=_amount(rows, cells, "cost_usd", whole=True),
        grade=None if answers.grade is None else cells.shared(answers.grade, Grade.NONE),
        input_tokens=_amount(rows, cells, "input_tokens"),
        output_tokens=_amount(rows, cells, "output_tokens"),
        latency=_amount(rows, cells, "latency"),
        samples=cells.samples(answers.score),
        **{column: _stated(rows, cells, column) for column in STATED},
        **{column: _part(rows, cells, column) for column in PARTS},
    )


def _repeat_notes(answers: _Answers, outcomes: Outcomes, beside: int) -> tuple[str, ...]:
    """Return notes on the repeated answers that were left out."""
    notes = []
    if answers.grade is not None and outcomes.grade is None:
        notes.append("repeated answers with different grades: three-state metrics are left out")
    if beside:
        notes.append(f"repeated answers without a score, left out beside scored ones: {beside}")
    return tuple(notes)


def _scores(
    rows: TableColumns, grade: Ints | None, allowed: tuple[float, float], top: float
) -> Floats:
    """Return [rows] scores, from the grade where only that is given; NaN where there is neither."""
    score = np.full(rows.table.num_rows, np.nan)
    if "score" in rows:
        score, null, plain = rows.shares("score", top)
        outside = ~null & ((score < allowed[0]) | (score > allowed[1]))
        if outside.any():
            first = np.flatnonzero(outside)[0]
            scale = top if plain[first] else 1.0
            likely = likely_top(score[~null & plain] * top)
            hint = ""
            if plain[first] and likely is not None and likely > top:
                hint = f"--score-max {likely} if the scores go up to {likely}"
            low, high = (limit * scale for limit in allowed)
            value = score[first] * scale
            rows.fail(outside, "score", f"{value:g} is not in [{low:g}, {high:g}]", hint)
    if grade is not None:
        implied = np.where(grade == Grade.CORRECT, 1.0, 0.0)
        score = np.where(np.isnan(score) & (grade >= 0), implied, score)
    return score


def _states(rows: TableColumns, score: Floats) -> Codes:
    """Return [rows] the state of every asked cell."""
    state = np.where(np.isnan(score), State.FAILED, State.OK)
    if "response" in rows:
        answered = rows.table["response"].is_valid().to_numpy()
        state[np.isnan(score) & answered] = State.UNGRADED
    if "state" in rows:
        given = rows.choice("state", _STATES)
        if (bad := (given == State.OK) & np.isnan(score)).any():
            rows.fail(bad, "state", "is ok, but there is no score")
        state = np.where(given >= 0, given, state)
    return state.astype(np.int8)


def _amount(
    rows: TableColumns, cells: CellRows, column: str, *, whole: bool = False
) -> Floats | None:
    """Return [n, m] mean of a column of amounts that cannot be negative; NaN where not recorded."""
    if column not in rows:
        return None
    values, null = rows.number(column)
    if (bad := ~null & (values < 0)).any():
        rows.fail(bad, column, f"{values[np.flatnonzero(bad)[0]]:g} is negative")
    return cells.mean(values, whole=whole)


def _stated(rows: TableColumns, cells: CellRows, column: str) -> Floats | None:
    """Return [n, m] what is stated of the answer that represents the cell."""
    if column not in rows:
        return None
    values, _ = rows.number(column)
    if (bad := np.isinf(values)).any():
        rows.fail(bad, column, "is infinite")
    if column == "verification" and (bad := (values < 0) | (values > 1)).any():
        rows.fail(bad, column, f"{values[np.flatnonzero(bad)[0]]:g} is not in [0, 1]")
    stated: Floats = cells.spread(values, np.nan)
    return stated


def _part(rows: TableColumns, cells: CellRows, column: str) -> Floats | None:
    """Return [n, m] of tokens that are part of others."""
    if column in rows and (whole := PARTS[column]) in rows:
        part, total = (rows.number(name)[0] for name in (column, whole))
        if (bad := part > total).any():
            first = np.flatnonzero(bad)[0]
            rows.fail(bad, column, f"{part[first]:g} are more than all {total[first]:g} {whole}")
    return _amount(rows, cells, column)


def _of_cells(rows: TableColumns, cells: CellRows, column: str) -> Any:
    """Return a text column as an Arrow array [n · m], null where a cell has none."""
    if column not in rows:
        return None
    return rows.text(column).take(pa.array(cells.row, mask=cells.row < 0))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
