"""When queries were asked: the column `asked_at` of a table."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from routebench.data.columns import Coded, TableColumns
from routebench.records import Floats


def asked_at(rows: TableColumns, query: Coded) -> Floats | None:
    """Return [n] seconds at which each query was first asked; None without such a column.

    They are Unix seconds or ISO 8601, taken as UTC where no zone is given; a `DataError` names a
    row that has anything else.
    """
    if "asked_at" not in rows:
        return None
    coded = rows.coded("asked_at")
    seconds = np.array([*map(_seconds, coded.values), np.nan])
    values = seconds[coded.codes]
    if (bad := np.isnan(values) & (coded.codes >= 0)).any():
        rows.fail(bad, "asked_at", "is no time: Unix seconds, or 2026-01-31T12:00:00Z")
    first: Floats = np.full(len(query.values), np.inf)
    np.fmin.at(first, query.codes, values)
    return np.where(np.isinf(first), np.nan, first)


def _seconds(text: str) -> float:
    """Return a time in seconds; NaN for none."""
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return float("nan")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return value if np.isfinite(value) else float("nan")
