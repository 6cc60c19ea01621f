"""Tables and price lists that are given as objects: written to files, which a run can repeat."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routebench.errors import DataError, OptionError
from routebench.files import data_folder, reason, replace_file, sha256


def suite(table: Any) -> str:
    """Return the suite to run: named, in a file, or in a table that is written to a file.

    Raises:
        DataError: a column of a table holds values of several types.
        OptionError: the object is no table, or cannot be written.
    """
    if isinstance(table, str):
        return table
    if isinstance(table, Path):
        return f"table:{table}"
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_arrow(table), sink)
    return f"table:{stored('tables', 'table-{}.parquet', sink.getvalue())}"


def prices(given: str | Path | Mapping[str, Any] | None) -> str | None:
    """Return the price list's file, `list`, or a file that holds the given prices.

    Raises:
        OptionError: prices are not plain numbers by model.
    """
    if given is None or isinstance(given, str | Path):
        return None if given is None else str(given)
    try:
        content = json.dumps(dict(given), indent=2, sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"prices: expected numbers by model, got {type(given).__name__}",
            "prices={'model-a': {'input_usd_per_mtok': 0.15, 'output_usd_per_mtok': 0.6}}",
        ) from error
    return str(stored("prices", "prices-{}.json", content))


def stored(kind: str, name: str, content: bytes) -> Path:
    """Write content below RouteBench's data folder, once, under a name with its hash."""
    place = data_folder() / kind / name.format(sha256(content)[:12])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_bytes() != content:
            replace_file(place, content)
    except OSError as error:
        raise OptionError(
            f"cannot write to {place.parent}: {reason(error)}", "ROUTEBENCH_DATA names another"
        ) from error
    return place


def _arrow(table: Any) -> Any:
    """Return a table of pandas, or one with Arrow's stream interface, as one of Arrow."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    kind = type(table).__name__
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        return pa.table(_columns(table))
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    raise OptionError(
        f"cannot run on a {kind}: expected a path, a suite's name, a DataFrame or a pyarrow Table",
        "routebench.run('outcomes.csv'), routebench.run('simpleqa') or routebench.run(df)",
    )


def _columns(frame: Any) -> dict[str, Any]:
    """Return the columns of a pandas DataFrame; the index is none of them."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for place, name in enumerate(frame.columns):
        if not isinstance(name, str) or name in columns:
            why = "twice" if name in columns else f"of type {type(name).__name__}, no text"
            raise DataError(
                f"DataFrame: the column name {name!r} is {why}", "df.columns = ['query_id', …]"
            )
        try:
            columns[name] = pa.array(frame.iloc[:, place], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"DataFrame, column {name!r}: its values are of several types, or of one that no "
                "table holds",
                f"df[{name!r}] = df[{name!r}].astype(str), or leave the column out",
            ) from error
    return columns
