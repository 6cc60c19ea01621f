"""Which of the differing queries to buy, and how many.

A fixed sample is stratified by pair of models and predicted gain: n_h ∝ N_h σ_h / √c_h (Neyman's
allocation with costs c_h), as many that the difference over all traffic has the standard error
that shows a true 0 within the margin at the wanted power. A sequential plan draws all differing
queries in random order and cuts them into waves; strata serve it as predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from routebench.collect.planned_cells import DIFFERENCE, SCHEMA
from routebench.errors import OptionError
from routebench.metrics.statistics import TAIL
from routebench.records import Floats, Ints, Mask
from routebench.traffic.plans.disagreements import Disagreements

POWER = 0.9
LEAST = 5
"""Queries of a stratum in a fixed sample, at least."""
_PAIRS, _SPLIT, _SMALL = 8, 60, 20
FREQUENT = 4.0
"""A query that comes so many times as often as the mean one is frequent."""


@dataclass(frozen=True)
class Design:
    """What to buy, in order."""

    order: Ints
    """[n] units in the order in which they are bought."""
    wave: Ints
    """[n] from 1."""
    stratum: Ints
    """[units] number of each unit's stratum."""
    labels: tuple[str, ...]
    """Of the strata."""
    certain: Ints
    """Units that are bought whatever chance says; the first in order."""
    sequential: bool
    needed: int
    """Queries of a fixed sample that shows a true 0 within the margin."""

    @property
    def sampled(self) -> Ints:
        """Return [h] how many of each stratum are drawn."""
        return np.bincount(self.stratum[self.order], minlength=len(self.labels))


def strata(units: Disagreements) -> tuple[Ints, tuple[str, ...]]:
    """Return [n] the stratum of each unit, and labels: pair of models × third of predicted gain."""
    pair = units.baseline * len(units.models) + units.candidate
    pair[frequent(units)] = -1
    kinds, number, size = np.unique(pair, return_inverse=True, return_counts=True)
    largest = np.argsort(-size, kind="stable")[:_PAIRS]
    usual = [k for k in largest if size[k] >= _SMALL and kinds[k] >= 0]
    if kinds[0] < 0:
        usual.append(np.int64(0))
    made: Ints = np.zeros(len(units), np.int64)
    labels: list[str] = []
    for kind in [*usual, -1]:
        rows = np.flatnonzero(number == kind if kind >= 0 else ~np.isin(number, usual))
        name = "other pairs"
        if kind >= 0 and kinds[kind] < 0:
            name = "frequent queries"
        elif kind >= 0:
            first, second = divmod(int(kinds[kind]), len(units.models))
            name = f"{units.models[first]} → {units.models[second]}"
        third = np.zeros(len(rows), np.int64)
        if len(rows) >= _SPLIT:
            ends = np.unique(np.quantile(units.gain[rows], [1 / 3, 2 / 3]))
            third = np.searchsorted(ends, units.gain[rows])
        for part in np.unique(third):
            own = rows[third == part]
            made[own] = len(labels)
            labels.append(f"{name}, gain about {units.gain[own].mean():+.2f}")
    return made, tuple(labels)


def design(
    units: Disagreements,
    margin: float,
    budget: float | None = None,
    waves: int = 1,
    seed: int = 0,
) -> Design:
    """Choose what to buy; within a budget in USD where one is given.

    Raises:
        OptionError: for a budget where a cell's price is not known, or that buys too little.
    """
    stratum, labels = strata(units)
    sizes, spread, usd = _by_stratum(units, stratum, len(labels))
    fixed = needed(sizes, spread, usd, units.events, margin)
    rng = np.random.default_rng(seed)
    certain = np.flatnonzero(frequent(units)) if waves > 1 else np.empty(0, np.int64)
    if waves > 1:
        rest = np.setdiff1d(np.arange(len(units)), certain)
        order = np.concatenate([certain, rng.permutation(rest)])
    else:
        order = _stratified(stratum, fixed, rng)
    order = order[: _affordable(units, order, budget)]
    wave = np.arange(len(order)) * waves // len(order) + 1
    wave[: len(certain)] = 1
    return Design(order, wave, stratum, labels, certain, waves > 1, int(fixed.sum()))


def frequent(units: Disagreements) -> Mask:
    """Return [n] which queries come so often that they are a stratum of their own."""
    return np.asarray(units.count > FREQUENT * units.count.mean())


def needed(
    sizes: Ints, spread: Floats, usd: Floats, events: int, margin: float, power: float = POWER
) -> Ints:
    """Return [h] the smallest stratified sample that shows a true 0 within the margin.

    `spread` [h] is the standard deviation of a stratum's differences, `usd` [h] a query's price.
    """
    from scipy.special import ndtri

    wanted = margin / (ndtri(1 - TAIL) + ndtri(power))
    low, high = 1, int(sizes.sum())
    while low < high:
        middle = (low + high) // 2
        n = allocated(middle, sizes, spread, usd)
        if standard_error(n, sizes, spread, events) <= wanted:
            high = middle
        else:
            low = middle + 1
    return allocated(low, sizes, spread, usd)


def allocated(total: int, sizes: Ints, spread: Floats, usd: Floats) -> Ints:
    """Return [h] how many of `total` each stratum gets: ∝ size · spread / √price, at most all.

    >>> allocated(30, np.array([100, 100]), np.array([0.2, 0.4]), np.ones(2)).tolist()
    [10, 20]
    """
    worth = sizes * spread / np.sqrt(usd)
    n = np.minimum(sizes, LEAST).astype(float)
    total = max(total, int(n.sum()))
    full = np.zeros(len(sizes), bool)
    for _ in range(len(sizes) + 1):
        left = total - sizes[full].sum()
        share = np.where(full, 0.0, worth)
        n = np.where(full, sizes, left * share / max(share.sum(), 1e-300))
        over = ~full & (n >= sizes)
        if not over.any():
            break
        full |= over
    return np.clip(np.ceil(n - 1e-9), np.minimum(sizes, LEAST), sizes).astype(np.int64)


def standard_error(n: Ints, sizes: Ints, spread: Floats, events: int) -> float:
    """Return that of the difference over all traffic; what is bought whole has none."""
    left = 1.0 - n / sizes
    return float(np.sqrt((sizes**2 * left * spread**2 / n).sum())) / events


def _by_stratum(units: Disagreements, stratum: Ints, count: int) -> tuple[Ints, Floats, Floats]:
    """Return [h] the strata's sizes, the spread of what a unit adds, and a unit's price."""
    sizes = np.bincount(stratum, minlength=count)
    square = np.bincount(stratum, (units.count * units.spread) ** 2, count)
    price = units.usd.sum(axis=1)
    usual = np.nanmean(price) if not np.isnan(price).all() else 1.0
    price = np.where(np.isnan(price), usual, price)
    mean = np.bincount(stratum, price, count) / sizes
    # One thousandth of the mean at least: free models are not asked without end.
    return sizes, np.sqrt(square / sizes), np.maximum(mean, usual / 1000 or 1.0)


def _stratified(stratum: Ints, n: Ints, rng: np.random.Generator) -> Ints:
    """Return units drawn from each stratum, mixed so that any first part is as the whole."""
    drawn, place = [], []
    for number, take in enumerate(n):
        rows = rng.permutation(np.flatnonzero(stratum == number))[:take]
        drawn.append(rows)
        place.append((np.arange(take) + rng.random(take)) / take)
    rows = np.concatenate(drawn)
    return rows[np.argsort(np.concatenate(place), kind="stable")]


def _affordable(units: Disagreements, order: Ints, budget: float | None) -> int:
    if budget is None:
        return len(order)
    usd = units.usd[order].sum(axis=1)
    if np.isnan(usd).any():
        unknown = order[np.isnan(usd)][0]
        pair = units.baseline[unknown], units.candidate[unknown]
        names = " or ".join(units.models[i] for i in pair)
        raise OptionError(
            f"--budget: what {names} costs is not known", "--prices FILE, --lengths RUN"
        )
    buys = int(np.searchsorted(np.cumsum(usd), budget, side="right"))
    if buys < 2:
        raise OptionError(f"--budget {budget:g}: a query costs about ${usd.mean():.4g}")
    return buys


def to_table(units: Disagreements, made: Design) -> pa.Table:
    """Return the cells: of each query the log's model first, then the policy's."""
    n, sampled = made.order, made.sampled
    sizes = np.bincount(made.stratum, minlength=len(made.labels))
    chance = (sampled / sizes)[made.stratum[n]]
    if made.sequential:
        chance = np.full(
            len(n), (len(n) - len(made.certain)) / max(len(units) - len(made.certain), 1)
        )
        chance[: len(made.certain)] = 1.0
    twice = np.repeat(n, 2)
    models = np.stack([units.baseline[n], units.candidate[n]], axis=1).ravel()
    usd = units.usd[n].ravel()

    def texts(values: Sequence[str | None]) -> list[str | None]:
        return [values[i] for i in twice.tolist()]

    columns = {
        "query_id": texts(units.query_id),
        "query": texts(units.query),
        "reference": [None] * len(twice),
        "task": texts(units.task),
        "model": [units.models[i] for i in models],
        "role": ["baseline", "candidate"] * len(n),
        "stratum": made.stratum[twice],
        "probability": np.repeat(chance, 2),
        "weight": units.count[twice].astype(float),
        "wave": np.repeat(made.wave, 2),
        "usd": pa.array(usd, from_pandas=True),
    }
    return pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in columns})


def about(units: Disagreements, made: Design, policy: str, margin: float) -> dict[str, object]:
    """Return what the answers are judged by, as JSON."""
    sizes, spread, _ = _by_stratum(units, made.stratum, len(made.labels))
    gain = np.bincount(made.stratum, units.count * units.gain, len(made.labels)) / sizes
    rest = np.ones(len(units), bool)
    rest[made.certain] = False
    return {
        "kind": DIFFERENCE,
        "policy": policy,
        "margin": margin,
        "sequential": made.sequential,
        "events": units.events,
        "differing_events": int(units.count.sum()),
        "differing_queries": len(units),
        "needed": made.needed,
        "certain": len(made.certain),
        "largest": int(units.count[rest].max(initial=1)),
        "strata": [
            {
                "label": label,
                "size": int(sizes[h]),
                "random": int((made.stratum[rest] == h).sum()),
                "gain": float(gain[h]),
                "spread": float(spread[h]),
            }
            for h, label in enumerate(made.labels)
        ],
    }


def dollars(units: Disagreements, made: Design) -> float:
    """Return about what the plan costs; NaN where a price is not known."""
    return math.fsum(units.usd[made.order].ravel())
