"""Regret and cost of the choices on a stream, as they accumulate, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Ints, Mask

BEST_SINGLE, BY_PART, CLASS, ORACLE = (
    "best-single", "best-single-by-part", "oracle-of-class", "oracle"
)  # fmt: skip
"""What a router's reward is compared with, all known in hindsight only."""
LATE = 0.2
"""The share of the stream, at its end, that says how a router ends."""
POINTS = 40
_RESAMPLES, _CHUNK = 2_000, 100
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045,
)  # fmt: skip
"""The 97.5% quantile of Student's t by degrees of freedom, from 1."""


@dataclass(frozen=True)
class RegretInterval:
    """A number with its 95% interval; NaN where it has none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class RegretPoint:
    """What has accumulated after some queries, means over seeds."""

    queries: int
    regret: dict[str, RegretInterval]
    """Per query so far, by what it is compared with; intervals over seeds."""
    score: RegretInterval
    """Mean score so far."""
    cost: RegretInterval | None
    """USD so far; None in an unpriced run."""


@dataclass(frozen=True)
class StreamRegret:
    """A router's regret on a stream."""

    regret: dict[str, RegretInterval]
    """Per query, over the whole stream; intervals over queries and seeds."""
    late: dict[str, RegretInterval]
    """The same over the last fifth of the arrivals."""
    curve: list[RegretPoint]


def rewards(score: Floats, cost: Floats | None, trade_off: float) -> Floats:
    """Return [n, m] score − λ · USD."""
    if not trade_off:
        return score
    assert cost is not None
    return score - trade_off * cost


def comparators(reward: Floats, later: Mask | None) -> dict[str, Ints]:
    """Return [n] the choices of what every router is compared with; of equals the first model."""
    n = len(reward)
    made = {
        BEST_SINGLE: np.full(n, reward.mean(axis=0).argmax()),
        ORACLE: reward.argmax(axis=1),
    }
    if later is not None:
        parts = [reward[part].mean(axis=0).argmax() for part in (~later, later)]
        made[BY_PART] = np.where(later, parts[1], parts[0])
    return made


def played(
    choice: Ints,
    orders: list[Ints],
    reward: Floats,
    score: Floats,
    cost: Floats | None,
    against: Mapping[str, Ints],
) -> StreamRegret:
    """Return the regret of choices [S, n], made by seed in these orders of arrival.

    `reward`, `score` and `cost` are [n, m]; `against` are choices [n] by name.
    """
    rows = np.arange(len(reward))
    own = reward[rows, choice]
    lost = {name: reward[rows, other] - own for name, other in against.items()}
    late = np.zeros(choice.shape, dtype=np.bool_)
    n = len(rows)
    for mask, order in zip(late, orders, strict=True):
        mask[order[n - max(1, round(LATE * n)) :]] = True
    everywhere = np.ones(choice.shape, dtype=np.bool_)
    in_order = np.stack(orders)
    ends = np.unique(np.linspace(n / POINTS, n, POINTS).round().astype(np.int64).clip(1, n))

    def so_far(values: Floats, mean: bool = True) -> Floats:
        """Return [S, points] sums, or means, up to each point."""
        sums = np.take_along_axis(values, in_order, axis=1).cumsum(axis=1)[:, ends - 1]
        return sums / ends if mean else sums

    regrets = {name: so_far(values) for name, values in lost.items()}
    scores = so_far(score[rows, choice])
    spent = None if cost is None else so_far(cost[rows, choice], mean=False)
    curve = [
        RegretPoint(
            int(end),
            {name: over_seeds(values[:, at]) for name, values in regrets.items()},
            over_seeds(scores[:, at]),
            None if spent is None else over_seeds(spent[:, at]),
        )
        for at, end in enumerate(ends)
    ]
    parts = [(values, mask) for mask in (everywhere, late) for values in lost.values()]
    made = resampled(parts)
    names = list(lost)
    return StreamRegret(
        dict(zip(names, made, strict=False)),
        dict(zip(names, made[len(names) :], strict=True)),
        curve,
    )


def over_seeds(values: Floats) -> RegretInterval:
    """Return the mean of values [S] with Student's interval; none for one seed."""
    mean, seeds = float(values.mean()), len(values)
    if seeds < 2:
        return RegretInterval(mean)
    quantile = _T[seeds - 2] if seeds - 2 < len(_T) else 1.96
    half = quantile * float(values.std(ddof=1)) / seeds**0.5
    return RegretInterval(mean, mean - half, mean + half)


def resampled(parts: Sequence[tuple[Floats, Mask]]) -> list[RegretInterval]:
    """Return the means of values [S, n] where a mask says, with a bootstrap over queries and seeds.

    All parts share the resamples. Queries have weights of Poisson's law with a mean of 1, seeds are
    drawn with replacement.
    """
    seeds, n = parts[0][0].shape
    inside = np.stack([np.where(where, values, 0.0) for values, where in parts])
    counts = np.stack([where for _, where in parts]).astype(np.float64)
    columns = np.concatenate([inside, counts]).reshape(-1, n).T
    rng, means = np.random.default_rng(0), []
    for _ in range(_RESAMPLES // _CHUNK):
        by_query = rng.poisson(1.0, size=(_CHUNK, n)).astype(np.float64)
        by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=_CHUNK)
        sums = (by_query @ columns).reshape(_CHUNK, 2, len(parts), seeds)
        total, number = np.einsum("bkps,bs->kbp", sums, by_seed.astype(np.float64))
        means.append(total / np.maximum(number, 1.0))
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), axis=0)
    value = inside.sum(axis=(1, 2)) / counts.sum(axis=(1, 2))
    return [RegretInterval(*map(float, one)) for one in zip(value, low, high, strict=True)]
