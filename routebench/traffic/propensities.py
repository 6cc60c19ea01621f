"""Whether logged propensities fit the choices that were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from routebench.records import Floats, Ints, Mask
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.sums import sums

NEAR_ZERO = 0.002
"""A weight of 500: one event that speaks for 500."""
DEVIATION = 5.0
"""Standard errors beyond which counts do not fit; of a thousand tests none is by chance."""
GAP = 0.005
"""Share of the events by which they must be off, too."""
PERIODS = 10
_BINS = (0.0, 1e-3, 1e-2, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0 + 1e-9)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Counts that the logged propensities do not explain."""

    where: str
    observed: float
    """Share of the events."""
    expected: float
    deviations: float


def periods(log: LoggedEvents) -> Ints:
    """Return [n] the tenth of the events, in the order of time, that each is in."""
    return (np.arange(len(log)) * PERIODS) // max(len(log), 1)


def misfits(log: LoggedEvents) -> list[Misfit]:
    """Return where choices are other than the logged probabilities say, the worst first.

    By model, by model and tenth of the time, by task, and by the size of the probability: the
    number of choices less the sum of probabilities, over √Σp(1 − p). Where only the propensity of
    what was chosen is known, the mean of its inverse must be the number of candidates.
    """
    known = ~np.isnan(log.probability).any(axis=1)
    if not known.any():
        return []
    chance, chosen = log.probability[known], log.chosen[known]
    taken = np.zeros_like(chance)
    taken[np.arange(len(chosen)), chosen] = 1.0
    found = _by_group(taken, chance, np.zeros(len(chosen), np.int64), log.models, lambda _: "")
    when = periods(log)[known]
    found += _by_group(taken, chance, when, log.models, lambda g: f", tenth {g + 1} of the time")
    task = log.task[known]
    if len(log.tasks) > 2:
        found += _by_group(taken, chance, task, log.models, lambda g: f", task {log.tasks[g]!r}")
    found += _by_size(taken, chance)
    totals = np.abs(chance.sum(axis=1) - 1.0) > 1e-3
    if totals.any():
        share = float(totals.mean())
        found.append(Misfit("probabilities that do not add up to 1", share, 0.0, float("inf")))
    return sorted(found, key=lambda one: -abs(one.deviations))


def _by_group(
    taken: Floats, chance: Floats, group: Ints, models: tuple[str, ...], named: Callable[[int], str]
) -> list[Misfit]:
    found = []
    size = int(group.max()) + 1
    n = np.maximum(np.bincount(group, minlength=size), 1)
    for at, model in enumerate(models):
        p = chance[:, at]
        seen = sums(group, taken[:, at], size)
        expected = sums(group, p, size)
        spread = sums(group, p * (1.0 - p), size)
        for g in _off(seen, expected, spread, n):
            words = f"{model}{named(int(g))}"
            found.append(_misfit(words, seen[g], expected[g], spread[g], n[g]))
    return found


def _by_size(taken: Floats, chance: Floats) -> list[Misfit]:
    p, hit = chance.ravel(), taken.ravel()
    group = np.digitize(p, _BINS) - 1
    size = len(_BINS)
    n = np.maximum(np.bincount(group, minlength=size), 1)
    seen, expected = sums(group, hit, size), sums(group, p, size)
    spread = sums(group, p * (1.0 - p), size)
    return [
        _misfit(
            f"models with a probability of {_BINS[g]:g} to {min(_BINS[g + 1], 1):g}",
            seen[g], expected[g], spread[g], n[g],
        )
        for g in _off(seen, expected, spread, n)
    ]  # fmt: skip


def _off(seen: Floats, expected: Floats, spread: Floats, n: Ints) -> Ints:
    gap = np.abs(seen - expected)
    # Counts of next to nothing have long tails: three more than a normal one's are asked for.
    sure = gap > DEVIATION * np.sqrt(np.maximum(spread, 1.0)) + 3.0
    # Rare choices are off by little of all events: by a half of their own number will do.
    return np.flatnonzero(sure & ((gap > GAP * n) | (gap > 0.5 * expected)))


def _misfit(where: str, seen: float, expected: float, spread: float, n: int) -> Misfit:
    deviations = (seen - expected) / float(np.sqrt(max(spread, 1.0)))
    return Misfit(where, float(seen / n), float(expected / n), float(deviations))


def harmonic(log: LoggedEvents) -> Misfit | None:
    """Test the inverse of propensities alone: its mean is the number of models that could be."""
    alone = np.isnan(log.probability).any(axis=1) & ~np.isnan(log.propensity)
    if alone.sum() < 100:
        return None
    inverse = 1.0 / np.maximum(log.propensity[alone], 1e-12)
    most = len(log.models)
    error = float(inverse.std(ddof=1) / np.sqrt(len(inverse)))
    over = (float(inverse.mean()) - most) / max(error, 1e-12)
    under = (1.0 - float(inverse.mean())) / max(error, 1e-12)
    if max(over, under) <= DEVIATION:
        return None
    mean = float(inverse.mean())
    return Misfit("the mean of 1 / propensity", mean, float(most), max(over, under))


def near_zero(log: LoggedEvents) -> Mask:
    """Return [n] where what was chosen had next to no chance."""
    return log.propensity < NEAR_ZERO
