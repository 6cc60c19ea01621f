"""The queries of an online run: their order of arrival, and what drifts half way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.splits import REMOVED, TEST, Split, fingerprint, u
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.online.settings import StreamSettings
from routebench.records import Floats, Ints, Mask, Outcomes, SuiteData


@dataclass(frozen=True)
class Stream:
    """The n queries of the test part, as they arrive."""

    settings: StreamSettings
    by: str
    """`time` or `seed`: what orders them."""
    orders: tuple[Ints, ...]
    """By seed: [n] places in the test part, in the order of arrival."""
    later: Mask | None = None
    """[n] which of them arrive after a drift; None without one."""

    def __len__(self) -> int:
        return len(self.orders[0])

    def order(self, seed: int) -> Ints:
        """Return [n] the places of the queries in the test part, in a seed's order of arrival."""
        return self.orders[seed]

    @property
    def change(self) -> int | None:
        """Return the number of queries that arrive before the drift; None without one."""
        return None if self.later is None else int(np.count_nonzero(~self.later))


@dataclass(frozen=True)
class Arrivals:
    """The rows of a suite that arrive, in the order that no seed has changed yet."""

    rows: Ints
    later: Mask
    """[n] which of them are of the second half."""
    by: str


def arrivals(data: SuiteData, split: Split, settings: StreamSettings, seed: int) -> Arrivals:
    """Return the test rows in order of time, or by a hash of their texts.

    Raises:
        OptionError: an order by time is asked for, and no time is recorded.
    """
    rows = np.flatnonzero(split.codes[0] == TEST)
    if settings.order == "time" and data.time is None:
        raise OptionError("--online order=time: this suite has no column asked_at", "order=seed")
    if data.time is not None and settings.order != "seed":
        by, place = "time", data.time[rows]
        if np.isnan(place).any():
            lost = data.ids[rows[np.isnan(place)][0]]
            raise DataError(f"query {lost!r} has no time", "give all one, or --online order=seed")
    else:
        by = "seed"
        place = np.array([u(f"arrival: {key}", seed) for key in data.keys[rows]])
    ordered = rows[np.argsort(place, kind="stable")]
    return Arrivals(ordered, np.arange(len(rows)) >= len(rows) // 2, by)


def swapped(data: SuiteData, at: Arrivals, models: str) -> SuiteData:
    """Return the suite with the cells of two models, `A:B`, exchanged in the second half.

    Raises:
        OptionError: these are no two models of the pool.
    """
    first, second = _pair(models, data.pool.models)
    order = np.arange(len(data.pool))
    order[[first, second]] = second, first
    rows, m = at.rows[at.later], len(data.pool)
    given = {name: values[rows][:, order] for name, values in _matrices(data.outcomes).items()}
    return _with_cells(data, data, rows, given, rows[:, None] * m + order)


def _pair(models: str, pool: Sequence[str]) -> tuple[int, int]:
    """Return the places of the two models; names may hold colons themselves."""
    parts = models.split(":")
    for cut in range(1, len(parts)):
        pair = ":".join(parts[:cut]), ":".join(parts[cut:])
        if set(pair) <= set(pool) and pair[0] != pair[1]:
            return pool.index(pair[0]), pool.index(pair[1])
    raise OptionError(
        f"--online swap={models}: expected two models of the pool, A:B",
        did_you_mean(parts[0], pool),
    )


def continued(data: SuiteData, later: SuiteData, at: Arrivals) -> SuiteData:
    """Return the suite with the cells of a later table of the same queries in the second half.

    Raises:
        DataError: the later table lacks a query or model, or records other things.
    """
    if later.pool.models != data.pool.models:
        raise DataError(
            f"--online later: it has the models {', '.join(later.pool.models)}",
            f"expected {', '.join(data.pool.models)}",
        )
    rows = at.rows[at.later]
    place = {key: row for row, key in enumerate(later.keys)}
    if lost := [data.ids[row] for row in rows if data.keys[row] not in place]:
        raise DataError(
            f"--online later: {len(lost)} of the {len(rows)} queries of the second half are not"
            f" there, such as {lost[0]!r}",
            "both tables need the same query_id and query",
        )
    found = np.array([place[data.keys[row]] for row in rows], dtype=np.int64)
    given = {name: values[found] for name, values in _matrices(later.outcomes).items()}
    if unlike := set(given) ^ set(_matrices(data.outcomes)):
        raise DataError(f"--online later: one table alone has {', '.join(sorted(unlike))}")
    m = len(data.pool)
    return _with_cells(data, later, rows, given, found[:, None] * m + np.arange(m))


def _matrices(outcomes: Outcomes) -> dict[str, Any]:
    return {
        f.name: value for f in fields(outcomes) if (value := getattr(outcomes, f.name)) is not None
    }


def _with_cells(
    data: SuiteData, source: SuiteData, rows: Ints, given: dict[str, Any], cells: Ints
) -> SuiteData:
    """Return the suite with other outcomes of some rows; their texts are `cells` of the source."""
    changed = {name: values.copy() for name, values in _matrices(data.outcomes).items()}
    for name, values in given.items():
        if changed[name].shape[2:] != values.shape[2:]:
            raise DataError("--online later: its cells have another number of repeated answers")
        changed[name][rows] = values
    n, m = data.outcomes.score.shape
    place = np.arange(n * m).reshape(n, m)
    place[rows] = n * m + cells

    def texts(name: str) -> Any:
        parts = [getattr(one, name) for one in (data, source)]
        if any(part is None for part in parts):
            return None
        return pa.concat_arrays(parts).take(pa.array(place.reshape(-1)))

    return replace(
        data,
        outcomes=replace(data.outcomes, **changed),
        answers=texts("answers"),
        finals=None,
        finish_reasons=texts("finish_reasons"),
    )


def complete(data: SuiteData, split: Split) -> tuple[Split, int]:
    """Return the split without the test queries that some model has no usable answer to.

    They are known before anything is chosen: no router decides what it is scored on. Their number
    is returned too.
    """
    codes = split.codes.copy()
    gone: Mask = (codes[0] == TEST) & ~data.outcomes.ok.all(axis=1)
    codes[0, gone] = REMOVED
    if not (codes[0] == TEST).any():
        raise DataError(
            f"{data.name}: no test query has a usable answer of every model",
            "the online protocol needs all cells of a query, to know the regret",
        )
    return replace(split, codes=codes, fingerprint=fingerprint(data, codes, None)), int(gone.sum())


def make_stream(split: Split, at: Arrivals, settings: StreamSettings, seeds: int) -> Stream:
    """Return the stream of a run: by time alike for all seeds, else shuffled by each.

    With a drift each half is shuffled within itself: what drifts is the same for all seeds.
    """
    kept = split.codes[0][at.rows] == TEST
    rows, second = at.rows[kept], at.later[kept]
    place = np.searchsorted(np.sort(rows), rows)
    drifts = settings.swap is not None or settings.later is not None
    orders = []
    for seed in range(seeds):
        rank: Floats = np.arange(len(rows), dtype=np.float64)
        if at.by == "seed":
            rank = np.random.default_rng([seed, 0x0E]).random(len(rows))
            rank = rank + second if drifts else rank
        orders.append(place[np.argsort(rank, kind="stable")])
    later = None
    if drifts:
        later = np.zeros(len(rows), dtype=np.bool_)
        later[place] = second
    return Stream(settings, at.by, tuple(orders), later)
