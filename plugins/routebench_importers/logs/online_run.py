"""The table of an online run: its decisions as events, with their probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from routebench.board.online_table import models_of
from routebench.errors import DataError
from routebench.hookspecs import FileHead
from routebench_importers.optionless import OptionlessImporter

_COLUMNS = (
    "router", "seed", "position", "query", "task", "choice", "propensity", "probabilities",
    "score", "cost_usd",
)  # fmt: skip


class OnlineRun(OptionlessImporter):
    """The online.parquet of a run with the protocol online."""

    suffixes = (".parquet",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether a table has the columns of such a run."""
        return head.kind == "parquet" and {*_COLUMNS, "in_hindsight"} <= set(head.names)

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per decision; a router's seeds are policies of their own."""
        for path in paths:
            try:
                file = pq.ParquetFile(path)
                models = models_of(file.schema_arrow)
                number = 0
                for batch in file.iter_batches(columns=list(_COLUMNS)):
                    for row in batch.to_pylist():
                        number += 1
                        yield f"{path.name}, row {number}", _event(row, models)
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"{path}: cannot be read: {error}") from error


def _event(row: dict[str, Any], models: list[str]) -> dict[str, Any]:
    policy = f"{row['router']}, seed {row['seed']}"
    return {
        "event": f"{policy}, {row['position']}",
        "query_hash": row["query"],
        "task": row["task"],
        "policy_version": policy,
        "routed": True,
        "chosen": row["choice"],
        "answered_by": row["choice"],
        "candidates": models,
        "probabilities": row["probabilities"]
        or [float(model == row["choice"]) for model in models],
        "propensity": row["propensity"],
        "reward": row["score"],
        "reward_source": "recorded score",
        "cost_usd": row["cost_usd"],
    }
