"""Read back the table of an online run: the stream, and what no other table has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.board.online_table import ABOUT, FILE
from routebench.board.read_tables import read_table, text, whole
from routebench.data.splits import TEST
from routebench.errors import DataError
from routebench.jobs.setup import Setup
from routebench.online.settings import StreamSettings
from routebench.online.stream import Stream
from routebench.plugin.renamed import current_name
from routebench.records import Floats, Ints


@dataclass(frozen=True)
class StoredPlay:
    """What a run folder knows of a router's play with one seed, besides its decisions."""

    learns: bool
    hindsight: Ints | None
    """[n] the choices of the oracle of its class; None where this seed has none."""
    probability: Floats | None
    """[n, m] with which each model was chosen; None for one that draws nothing."""


def read_online(folder: Path, setup: Setup) -> tuple[Stream, dict[tuple[str, int], StoredPlay]]:
    """Return the stream of a run folder, and by router and seed what no other table has.

    Raises:
        DataError: the table is damaged, or of other queries than the run tests.
    """
    table = read_table(folder / FILE, ("router", "query", "choice", "in_hindsight"))
    try:
        about = json.loads((table.schema.metadata or {})[ABOUT.encode()])
        settings = StreamSettings.model_validate(about["settings"])
        by = str(about["order"])
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{FILE}: its header is damaged: {error}") from error
    data, tested = setup.data, setup.rows(0, TEST)
    row = text(table, "query", FILE).into(data.keys, FILE)
    router, seed = text(table, "router", FILE), whole(table, "seed", FILE)
    position, learns = whole(table, "position", FILE), _flags(table, "learns")
    hindsight = text(table, "in_hindsight", FILE)
    drifted = _flags(table, "after_drift")
    orders: dict[int, Ints] = {}
    known: dict[tuple[str, int], StoredPlay] = {}
    later = None
    for number, label in enumerate(router.values):
        for one in np.unique(seed[router.codes == number]):
            at = np.flatnonzero((router.codes == number) & (seed == one))
            at = at[np.argsort(position[at], kind="stable")]
            order = np.searchsorted(tested, row[at])
            if not np.array_equal(np.sort(row[at]), tested):
                raise DataError(f"{FILE}: {label} (seed {one}) decides other queries than arrive")
            if not np.array_equal(orders.setdefault(int(one), order), order):
                raise DataError(f"{FILE}: {label} (seed {one}) has another order of arrival")
            back = np.argsort(order)
            if drifted[at].any():
                later = drifted[at][back]
            codes = hindsight.take(at)
            model = None
            if (codes.codes >= 0).all():
                model = codes.into(data.pool.models, FILE)[back]
            known[current_name(str(label)), int(one)] = StoredPlay(
                bool(learns[at].all()), model, _chances(table, at[back], len(data.pool))
            )
    if sorted(orders) != list(range(len(orders))):
        raise DataError(f"{FILE}: some seed is missing")
    return Stream(settings, by, tuple(orders[s] for s in range(len(orders))), later), known


def _flags(table: pa.Table, name: str) -> Any:
    if name not in table.column_names:
        raise DataError(f"{FILE}: no column {name}")
    return table[name].to_numpy(zero_copy_only=False).astype(np.bool_)


def _chances(table: pa.Table, at: Ints, models: int) -> Floats | None:
    """Return [n, m] the probabilities in some rows; None where they have none."""
    column = table["probabilities"].take(pa.array(at))
    if column.null_count == len(column):
        return None
    values = column.combine_chunks().flatten().to_numpy()
    if len(values) != len(at) * models:
        raise DataError(f"{FILE}: a query has probabilities of other models than the pool's")
    return np.array(values, dtype=np.float64).reshape(len(at), models)
