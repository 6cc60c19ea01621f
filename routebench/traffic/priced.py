"""Prices and output lengths of a log's models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from routebench.errors import DataError
from routebench.prices import listed
from routebench.prices.lists import ModelPrice


def prices_of(prices: str, models: tuple[str, ...]) -> tuple[Mapping[str, ModelPrice], str]:
    """Return the prices of the models that a file or the dated lists have, and where from."""
    if prices != listed.LIST:
        found = listed.load_file(Path(prices))
        return found.models, f"prices of {prices}"
    known = listed.known(models)
    ids = sorted({snapshot.id for snapshot, _ in known.values()})
    return (
        {model: one.price for model, (_, one) in known.items()},
        f"prices of the lists {', '.join(ids)}" if ids else "",
    )


def output_lengths(run: Path) -> dict[str, float]:
    """Return the mean output tokens of each model in a run's cells; none where it has no cells."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    cells = run / "cells.parquet"
    if not cells.exists():
        return {}
    try:
        table = pq.read_table(cells, columns=["model", "output_tokens"])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{cells}: cannot be read: {error}") from error
    table = table.filter(pc.greater(table["output_tokens"], 0))
    means = table.group_by("model").aggregate([("output_tokens", "mean")])
    return dict(
        zip(means["model"].to_pylist(), means["output_tokens_mean"].to_pylist(), strict=True)
    )
