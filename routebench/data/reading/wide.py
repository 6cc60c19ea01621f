"""Wide tables: one row per query, and one column of scores per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from routebench.data.long_table import PER_QUERY
from routebench.data.scores import as_text, readable
from routebench.errors import DataError, did_you_mean

_KEPT = ("query_id", *PER_QUERY, "asked_at", "preference")


def is_wide(sources: Mapping[str, str], models: Sequence[str]) -> bool:
    """Return whether a table has queries but neither models nor scores, or names its models."""
    return bool(models) or (
        "query" in sources and not {"model", "score", "response"} & set(sources)
    )


def model_columns(
    table: pa.Table, unused: Sequence[str], models: Sequence[str], place: str, top: float
) -> list[str]:
    """Return the columns that are models: those named, else those with nothing but scores.

    Raises:
        DataError: a column that is named is not there, or one of numbers may be a model or not.
    """
    for name in models:
        if name not in unused:
            raise DataError(
                f"{place}: there is no column of a model {name!r}", did_you_mean(name, unused)
            )
    if models:
        return list(models)
    numeric = [name for name in unused if _is_numeric(table[name])]
    outside = [name for name in numeric if not readable(table[name], top)]
    if len(numeric) < 2:
        return []
    if outside:
        names = ", ".join(f'"{name}"' for name in numeric if name not in outside) or '"…", "…"'
        raise DataError(
            f"{place}: there is no column model, and column {outside[0]} holds numbers that are"
            f" no scores in [0, {top:g}]",
            f"where each model has a column: --set 'table.models=[{names}]', or --score-max 100",
        )
    return numeric


def to_long(table: pa.Table, sources: Mapping[str, str], models: Sequence[str]) -> pa.Table:
    """Return one row per query and model that has a score; without ids, rows are numbered."""
    rows = table.num_rows
    kept = {name: table[at] for name, at in sources.items() if name in _KEPT}
    kept.setdefault("query_id", pa.array([str(row) for row in range(1, rows + 1)]))
    parts = []
    for model in models:
        part = pa.table(
            {name: as_text(column) for name, column in kept.items()}
            | {
                "model": pa.array([model] * rows, pa.large_string()),
                "score": as_text(table[model]),
            }
        )
        parts.append(part.filter(pc.is_valid(part["score"])))
    return pa.concat_tables(parts)


def note(models: Sequence[str]) -> str:
    """Return a note on the columns that were read as models."""
    shown = ", ".join(models[:12]) + (", …" if len(models) > 12 else "")
    return f"one column of scores per model: {shown}"


def _is_numeric(column: Any) -> bool:
    return readable(column, None) and as_text(column).null_count < len(column)
