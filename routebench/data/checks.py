"""Find what a table of recorded answers cannot rightly say: failed calls as answers, odd costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.data import failures, scores
from routebench.data.columns import Lines, TableColumns
from routebench.records import Floats, Mask

DEAREST = 25.0
"""USD; no recorded call of a public data set comes near."""


STEEPEST = 1000.0
"""USD per million tokens; no model's list price comes near."""


def check_answers(
    table: pa.Table, place: str, lines: Lines | None = None, dearest: float = DEAREST
) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table without what is no answer and no cost, and notes on what was left out.

    The text of an HTTP error is a failed call, unless a state says otherwise or the row scored.
    A cost of 0 beside an answer is one that nobody wrote down, unless all of a model's are 0.

    Raises:
        DataError: naming the rows of calls that cost more than `dearest`.
    """
    if not table.num_rows or not {"model", "query_id"} <= set(table.column_names):
        return table, ()
    table, failed, notes = _failures(table)
    table, more = _costs(TableColumns(table, place, lines), failed, dearest)
    return table, notes + more


def _failures(table: pa.Table) -> tuple[pa.Table, Mask, tuple[str, ...]]:
    nothing = np.zeros(table.num_rows, dtype=np.bool_)
    if "response" not in table.column_names or not _is_text(table["response"]):
        return table, nothing, ()
    texts = table["response"]
    counted = _positive(table, "output_tokens")
    failed = _matches(texts, counted=False) & (~counted | _matches(texts, counted=True))
    failed &= ~_positive(table, "score")
    if "state" in table.column_names:
        failed &= ~_mask(pc.is_valid(table["state"]))
    if not failed.any():
        return table, nothing, ()
    at = pa.array(failed)
    state = pc.if_else(at, "failed", _column(table, "state"))
    changed = {"state": state} | {
        name: pc.if_else(at, None, table[name])
        for name in ("score", "grade", "response")
        if name in table.column_names
    }
    for name, values in changed.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    note = f"answers that are the text of an error, taken as failed calls: {int(failed.sum()):,}"
    return table, failed, (note,)


def _costs(rows: TableColumns, failed: Mask, dearest: float) -> tuple[pa.Table, tuple[str, ...]]:
    table = rows.table
    if "cost_usd" not in rows:
        return table, ()
    cost, null = rows.number("cost_usd")
    if (dear := ~null & (cost > dearest)).any():
        value = cost[np.flatnonzero(dear)[0]]
        rows.fail(
            dear,
            "cost_usd",
            f"a call that costs {value:g} USD",
            "are these prices per million tokens, or sums, rather than costs per call?"
            f" If they are right: --set table.max_cost={10 ** np.ceil(np.log10(cost.max())):.0f}",
        )
    notes = _per_token(rows, cost)
    zero = ~null & (cost == 0) & _answered(table) & ~failed
    if not zero.any():
        return table, tuple(notes)
    model = rows.coded("model")
    paid = set(model.codes[~null & (cost > 0)].tolist())
    lost = zero & np.isin(model.codes, list(paid))
    if lost.any():
        at = table.column_names.index("cost_usd")
        kept = pc.if_else(pa.array(lost), None, table["cost_usd"])
        table = table.set_column(at, "cost_usd", kept)
        notes.append(f"costs of 0 beside an answer, taken as not recorded: {int(lost.sum()):,}")
    free = sorted({str(model.values[code]) for code in model.codes[zero & ~lost]})
    if free:
        names = ", ".join(free[:5]) + (", …" if len(free) > 5 else "")
        notes.append(
            f"every answer of {names} costs $0, and is taken as free: if nobody wrote the costs"
            " down, leave them empty, or give --prices"
        )
    return table, tuple(notes)


def _per_token(rows: TableColumns, cost: Floats) -> list[str]:
    """Return a note on costs that come to more per token than anybody charges."""
    names = [name for name in ("input_tokens", "output_tokens") if name in rows]
    tokens = np.zeros(len(cost)) + sum(np.nan_to_num(rows.number(name)[0]) for name in names)
    known = (tokens > 0) & (cost > 0)
    if len(names) < 2 or not known.any():
        return []
    typical = float(np.median(1e6 * cost[known] / tokens[known]))
    if typical <= STEEPEST:
        return []
    return [
        f"cost_usd comes to ${typical:,.0f} per million tokens, typically: is it in cents, or of"
        " more than one call?"
    ]


def _answered(table: pa.Table) -> Mask:
    """Return where there is an answer: a score, a grade or a text, of a call that did not fail."""
    known = np.zeros(table.num_rows, dtype=np.bool_)
    for name in ("score", "grade", "response"):
        if name in table.column_names:
            known |= _mask(pc.is_valid(table[name]))
    if "state" in table.column_names and _is_text(table["state"]):
        state = pc.utf8_lower(pc.utf8_trim_whitespace(table["state"]))
        known &= ~_mask(pc.equal(state, "failed"))
    return known


def _positive(table: pa.Table, name: str) -> Mask:
    """Return where a column is more than 0; nowhere that it is no number."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.bool_)
    column = table[name]
    if _is_text(column):
        text, _, _ = scores.plain(_whole(column))
        return _mask(pc.match_substring_regex(text, r"^[\d.,]*[1-9]"))
    try:
        return _mask(pc.greater(pc.cast(column, pa.float64()), 0))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.zeros(table.num_rows, dtype=np.bool_)


def _matches(texts: Any, *, counted: bool) -> Mask:
    return _mask(pc.match_substring_regex(texts, failures.pattern(counted=counted)))


def _column(table: pa.Table, name: str) -> Any:
    if name in table.column_names:
        return pc.cast(table[name], pa.large_string())
    return pa.nulls(table.num_rows, pa.large_string())


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _whole(column: Any) -> Any:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def _mask(condition: Any) -> Mask:
    filled = _whole(pc.fill_null(condition, False))
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)
