"""A table of events as arrays: models, sessions and propensities by number."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.errors import DataError
from routebench.records import Floats, Ints, Mask
from routebench.traffic import events

NUMBERS = (
    "propensity", "reward", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
    "cost_usd",
)  # fmt: skip
_READ = ("event", "time", "session", "query_hash", "task", "routed", "chosen", "candidates",
         "probabilities", "error", *NUMBERS)  # fmt: skip
_UNIFORM = 1e-6
_TASKS = 50  # further ones are taken together


@dataclass(frozen=True)
class LoggedEvents:
    """Events in the order of their times, of which a router or a rule chose the model."""

    models: tuple[str, ...]
    """Models that were chosen or were candidates."""
    chosen: Ints
    """[n] place in `models`."""
    probability: Floats
    """[n, m] with which each model was chosen; NaN where that was not logged."""
    session: Ints
    """[n] number of the session; an event without one is its own."""
    task: Ints
    """[n] number of the task; those without one are a task of their own."""
    tasks: tuple[str, ...]
    time: Floats
    """[n] seconds; NaN where unknown."""
    query_hash: Any
    """[n] Arrow texts, null where unknown."""
    event: Any
    failed: Mask
    numbers: dict[str, Floats] = field(default_factory=dict)
    """[n] by column; NaN is unknown."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Events that are not here, by reason."""
    order: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """[n] row of the file."""

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def propensity(self) -> Floats:
        """Return [n] the probability of what was chosen."""
        taken = self.probability[np.arange(len(self)), self.chosen]
        return np.where(np.isnan(taken), self.numbers["propensity"], taken)

    @property
    def days(self) -> float | None:
        """Return the days from the first event to the last; None where times are not known."""
        known = self.time[~np.isnan(self.time)]
        span = float(np.ptp(known)) if len(known) > 1 else 0.0
        return span / 86_400 if span > 0 else None


def read_log(path: Path) -> LoggedEvents:
    """Read the events of which a router chose the model; a `DataError` where there are none."""
    table = events.read(path, _READ)
    total = len(table)
    named = pc.equal(table["routed"], False).fill_null(False).to_numpy()
    lost = pc.is_null(table["chosen"]).to_numpy()
    first = _first_of_each(table["event"])
    keep = ~(named | lost | ~first)
    left_out = {
        "a client named the model": int(named.sum()),
        "the model is not known": int((lost & ~named).sum()),
        "the event is there twice": int((~first & ~named & ~lost).sum()),
    }
    if not keep.any():
        raise DataError(f"{path}: no event of {total:,} says which model a router chose")
    time = _numbers(pc.cast(table["time"], pa.int64())) / 1e6
    order = np.flatnonzero(keep)
    order = order[np.argsort(time[order], kind="stable")]
    table = table.take(pa.array(order))
    models, chosen, probability = _choices(table)
    tasks, task = _tasks(table["task"])
    return LoggedEvents(
        models=models,
        chosen=chosen,
        probability=probability,
        session=_sessions(table["session"]),
        task=task,
        tasks=tasks,
        time=time[order],
        query_hash=table["query_hash"].combine_chunks(),
        event=table["event"].combine_chunks(),
        failed=pc.is_valid(table["error"]).to_numpy(),
        numbers={name: _numbers(table[name]) for name in NUMBERS},
        left_out={why: n for why, n in left_out.items() if n},
        order=order,
    )


def _numbers(column: Any) -> Floats:
    filled = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan)
    return np.array(filled.to_numpy(), dtype=np.float64)


def _codes(column: Any) -> tuple[tuple[str, ...], Ints]:
    """Return the distinct texts in order, and each row's number; −1 where null."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names) + 1, np.int64)
    place[order] = np.arange(len(names))
    place[-1] = -1
    return tuple(names[i] for i in order), place[codes]


def _tasks(column: Any) -> tuple[tuple[str, ...], Ints]:
    """Return the most common tasks, and "" for events of others and of none."""
    names, codes = _codes(column)
    count = np.bincount(codes[codes >= 0], minlength=len(names))
    common = sorted(np.argsort(-count, kind="stable")[:_TASKS].tolist())
    place = np.full(len(names) + 1, len(common))
    place[common] = np.arange(len(common))
    return (*(names[i] for i in common), ""), place[codes]


def _sessions(column: Any) -> Ints:
    names, codes = _codes(column)
    alone = codes < 0
    codes[alone] = len(names) + np.arange(int(alone.sum()))
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _first_of_each(column: Any) -> Mask:
    """Return where an id comes for the first time; events without an id are all their own."""
    codes = _codes(column)[1]
    seen = np.zeros(len(codes), bool)
    seen[np.unique(codes, return_index=True)[1]] = True
    return seen | (codes < 0)


def _choices(table: Any) -> tuple[tuple[str, ...], Ints, Floats]:
    """Return models, the chosen ones, and the probability of each, where the log says it."""
    listed, given = table["candidates"].combine_chunks(), table["probabilities"].combine_chunks()
    among = pc.list_flatten(listed)
    both = pa.chunked_array([table["chosen"].combine_chunks(), among.cast(pa.string())])
    models, codes = _codes(both)
    n = len(table)
    chosen, candidate = codes[:n], codes[n:]
    probability = np.full((n, len(models)), np.nan)
    sizes = pc.list_value_length(listed).fill_null(0).to_numpy(zero_copy_only=False)
    stated = pc.list_value_length(given).fill_null(-1).to_numpy(zero_copy_only=False)
    full = (sizes == stated) & (sizes > 0)
    rows = np.repeat(np.arange(n), sizes)
    probability[full] = 0.0
    part = full[rows]
    chance = np.full(len(rows), np.nan)
    chance[part] = _numbers(pc.list_flatten(given.filter(pa.array(full))))
    probability[rows[part], candidate[part]] = chance[part]
    _from_propensity(
        probability, chosen, _numbers(table["propensity"]), full, sizes, rows, candidate
    )
    return models, chosen, probability


def _from_propensity(
    probability: Floats,
    chosen: Ints,
    propensity: Floats,
    full: Mask,
    sizes: Ints,
    rows: Ints,
    candidate: Ints,
) -> None:
    """Fill in what a propensity alone implies: certainty, or a draw of all candidates alike."""
    sure = ~full & (propensity >= 1.0 - _UNIFORM)
    probability[sure] = 0.0
    probability[sure, chosen[sure]] = 1.0
    alike = ~full & ~sure & (sizes > 1)
    alike[alike] = np.abs(propensity[alike] - 1.0 / sizes[alike]) < _UNIFORM
    probability[alike] = 0.0
    part = alike[rows]
    probability[rows[part], candidate[part]] = (1.0 / np.maximum(sizes, 1))[rows[part]]
    two = ~full & ~sure & ~alike & (sizes == 2)
    probability[two] = 0.0
    part = two[rows]
    own = candidate[part] == chosen[rows[part]]
    share = propensity[rows[part]]
    probability[rows[part], candidate[part]] = np.where(own, share, 1.0 - share)
