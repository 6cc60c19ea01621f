"""The file of cells to buy: which models to ask which queries, and no others.

A Parquet file with one row per cell, in the order in which the cells are bought. Whoever plans
writes it, `routebench collect --plan FILE` buys it. What else the planner must know again when the
answers have come is JSON in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import reason, replacing

SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("query", pa.large_string(), nullable=False),
        ("reference", pa.large_string()),
        ("task", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        ("role", pa.string()),
        ("stratum", pa.int32()),
        ("probability", pa.float64()),
        ("weight", pa.float64()),
        pa.field("wave", pa.int32(), nullable=False),
        ("usd", pa.float64()),
    ]
)
"""`role` is what the planner needs the answer for; `stratum` and `probability` are those with which
the query was drawn, `weight` the requests that it stands for; waves count from 1; `usd` is about
what the cell costs. What is not known is null."""
DIFFERENCE = "difference"
"""The kind of a plan that compares two policies."""
_REQUIRED = [field.name for field in SCHEMA if not field.nullable]
_META = b"routebench.plan"


@dataclass(frozen=True)
class PlannedCells:
    """Cells to buy, and what their planner keeps for later."""

    table: pa.Table
    about: Mapping[str, Any]
    """JSON; `kind` says what the plan is for."""
    name: str = "plan"
    """Of the file."""

    @property
    def waves(self) -> int:
        """Return the number of waves."""
        return int(pc.max(self.table["wave"]).as_py() or 0)

    @property
    def models(self) -> tuple[str, ...]:
        """Return the models to be asked."""
        return tuple(sorted(pc.unique(self.table["model"]).to_pylist()))

    def until(self, wave: int) -> PlannedCells:
        """Return the cells of the first waves."""
        if wave > self.waves:
            raise OptionError(f"--wave {wave}: {self.name} has {self.waves}")
        table = self.table.filter(pc.less_equal(self.table["wave"], wave))
        return PlannedCells(table, self.about, self.name)

    def by_model(self) -> dict[str, list[str]]:
        """Return the ids of the queries that each model is asked."""
        made: dict[str, list[str]] = {}
        columns = (self.table[name].to_pylist() for name in ("model", "query_id"))
        for model, query in zip(*columns, strict=True):
            made.setdefault(model, []).append(query)
        return made


def write_plan(path: Path, table: pa.Table, about: Mapping[str, Any]) -> None:
    """Write cells, whole or not at all; `about` is JSON with `kind`."""
    text = json.dumps({"schema_version": 1, **about}, allow_nan=False)
    kept = table.select(SCHEMA.names).cast(SCHEMA).replace_schema_metadata({_META: text})
    try:
        with replacing(path) as part:
            pq.write_table(kept, part, compression="zstd")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {reason(error)}") from error


def read_plan(path: Path, kind: str | None = None) -> PlannedCells:
    """Read cells that `write_plan` wrote; a `DataError` where they are none, or of another kind."""
    hint = "routebench ope EVENTS --plan FILE makes one"
    try:
        table = pq.read_table(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from error
    except pa.ArrowException as error:
        raise DataError(f"{path}: no plan: {error}", hint) from error
    found = (table.schema.metadata or {}).get(_META)
    try:
        about = json.loads(found) if found else None
        if not isinstance(about, dict) or about.get("schema_version") != 1:
            raise DataError(f"{path}: no plan", hint)
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path}: no plan: {error}", hint) from error
    for name in _REQUIRED:
        if table[name].null_count:
            raise DataError(f"{path}: column {name} has no value in some rows")
    if not len(table):
        raise DataError(f"{path}: no cell in it")
    if kind is not None and about.get("kind") != kind:
        raise DataError(f"{path}: a plan for {about.get('kind')}, not for {kind}")
    return PlannedCells(table, about, path.name)


def model_of(name: str, targets: Mapping[str, tuple[str, str]]) -> str | None:
    """Return the target that a plan's model is, as vendors, logs and `--models` write it.

    >>> model_of("openai/gpt-4o", {"openai:gpt-4o": ("openai", "gpt-4o")})
    'openai:gpt-4o'
    """
    for target, (provider, model) in targets.items():
        if name in (target, f"{provider}/{model}"):
            return target
    same = [target for target, (_, model) in targets.items() if model == name]
    return same[0] if len(same) == 1 else None


def matched(cells: PlannedCells, targets: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the plan's model by target; an `OptionError` unless each is one of the other."""
    found = {name: model_of(name, targets) for name in cells.models}
    if lost := [name for name, target in found.items() if target is None]:
        raise OptionError(
            f"--models: {cells.name} asks {lost[0]}, which is none of them",
            did_you_mean(lost[0], list(targets)),
        )
    made = {target: name for name, target in found.items() if target is not None}
    if len(made) < len(found):
        raise OptionError(f"--models: two models of {cells.name} are one of them")
    if unused := [target for target in targets if target not in made]:
        raise OptionError(f"--models {unused[0]}: {cells.name} asks it nothing")
    return made
