"""Whether a log's propensities can be used for a policy, and for which of its choices."""

from __future__ import annotations

import numpy as np

from routebench.metrics.statistics import ratio
from routebench.records import Floats, Ints, Mask
from routebench.traffic import estimators
from routebench.traffic.estimators import Support
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.propensities import PERIODS, harmonic, misfits, periods
from routebench.traffic.sums import sums

ENOUGH = 30
"""Effective number of events in which the log, against its habit, did what the policy would."""
LOGGED = 0.99
"""Share of the events whose propensity must be known."""
MOVED = 0.0025
"""Probability beyond each end of an interval where the log's chances moved: 99.5% in all.

A logger that learns keeps trying a model that was lucky, so that logs with enough support
are not any logs. Where it keeps a tenth of them, their intervals still hold the truth in 95%.
"""
_FACTOR, _EVENTS = 2.0, 300
_SURE = 5.0  # standard errors
_LEAST = 1e-4
"""A chance below that is taken as that, where chances are compared."""
_WINDOWS = 64
"""Parts of the log, within which its chances are taken to stay."""


def refusal(log: LoggedEvents, target: Ints, reward: Floats) -> str | None:
    """Return why propensities cannot be used; None where they can."""
    propensity = log.propensity
    share = float((~np.isnan(propensity)).mean())
    if share < LOGGED:
        return f"T1 is refused: {share:.1%} of the events have a propensity"
    if (propensity[~np.isnan(propensity)] >= 1.0 - 1e-9).all():
        return "T1 is refused: the log never explores, each choice was certain"
    if found := misfits(log):
        worst = found[0]
        return (
            f"T1 is refused: the propensities do not fit the choices: {worst.where}:"
            f" {worst.observed:.2%} of the events, expected {worst.expected:.2%}"
        )
    if (odd := harmonic(log)) is not None:
        return f"T1 is refused: {odd.where} is {odd.observed:.3g}, at most {odd.expected:g} can be"
    usable = ~np.isnan(propensity) & ~np.isnan(reward)
    reached, why, _ = supported(log, target, usable)
    if reached[usable].mean() < 0.5:
        seen = support_of(log, target, usable)
        why = why or f"the log never chose as the policy in {seen.unsupported:.1%}"
        return f"T1 is refused: {why}"
    return _short(log, target)


def _short(log: LoggedEvents, target: Ints) -> str | None:
    """Return why weights do not reach 1 on average, where only propensities of the chosen count.

    They do wherever the log might have chosen as the policy.
    """
    if not np.isnan(log.probability[np.arange(len(log)), target]).any():
        return None
    weight = estimators.weights(log.chosen, target, log.propensity)
    mean, error = float(weight.mean()), float(weight.std() / np.sqrt(len(weight)))
    if mean > 0.98 - 5.0 * error:
        return None
    return (
        f"T1 is refused: the log could have chosen as the policy in {mean:.0%} of the events only"
    )


def supported(log: LoggedEvents, target: Ints, rows: Mask) -> tuple[Mask, str, Floats | None]:
    """Return [n] where the log says what the policy would reach, why it does not elsewhere, shares.

    Where the policy goes against the log's habit and the log followed it too rarely, what little
    was seen is left aside: an interval of a handful of events does not hold what it promises. The
    shares are those of `steadied`, where the log's chances moved and are all known.
    """
    differs = _habit(log) != target
    share = None if moved(log, target) is None else steadied(log, target, rows)
    if share is not None:
        seen = support_of(log, target, rows, share)
        if seen.effective_rare >= ENOUGH:
            return ~np.isnan(share), "", np.nan_to_num(share, nan=1.0)
    reached = reachable(log, target)
    seen = support_of(log, target, rows)
    if not (differs & reached).any() or seen.effective_rare >= ENOUGH:
        return reached, "", None
    return (
        reached & ~differs,
        f"where the policy differs from the log's habit ({differs.mean():.1%}), the log followed it"
        f" in {seen.rare:,} events of known reward, worth {seen.effective_rare:.0f}"
        f" ({ENOUGH} are needed)",
        None,
    )


def steadied(log: LoggedEvents, target: Ints, rows: Mask) -> Floats | None:
    """Return [n] by how much more than an event each counts, so that all times are worth the same.

    Where a logger comes to choose a model more seldom, its later events have large weights, and a
    mean over all events hangs on a few. With times shared out by the root of the log's chance an
    estimate is as nearly normal as that of a log whose chances stay (Hadad et al., PNAS 118, 2021).
    It needs what stays the same through the log: each task and model of the policy by itself.

    NaN for tasks and models of which the log never had a chance; None where one is not known.
    """
    chance = log.probability[np.arange(len(log)), target]
    if np.isnan(chance[rows]).any():
        return None
    share = np.ones(len(log))
    group = _groups(log, target)
    order = np.flatnonzero(rows)
    order = order[np.argsort(group[order], kind="stable")]  # by group, and there by time
    of = group[order]
    size = np.bincount(of, minlength=int(group.max()) + 1)
    place = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    window = of * _WINDOWS + place * _WINDOWS // size[of]
    # A window in which a chance is 0 counts for nothing: nobody can say what was missed in it.
    inverse = ratio(1.0, chance[order])
    mean = ratio(sums(window, inverse, int(window.max()) + 1), np.bincount(window))
    root = np.nan_to_num(1.0 / np.sqrt(mean))[window]
    whole = sums(of, root, len(size))
    share[order] = root * ratio(size.astype(float), whole)[of]
    return share


def moved(log: LoggedEvents, target: Ints) -> str | None:
    """Return what to say of a log whose chances of choosing as the policy moved as it went on.

    Tenths of the log are compared by their mean 1 / chance, which is what an estimate's variance
    goes by; each task and model of the policy by itself: another mix of them moves nothing.
    """
    chance = log.probability[np.arange(len(log)), target]
    chance = np.where(np.isnan(chance) & (log.chosen == target), log.propensity, chance)
    rows = np.flatnonzero(~np.isnan(chance))
    if len(rows) < _EVENTS:
        return None
    inverse, when = 1.0 / np.maximum(chance[rows], _LEAST), periods(log)[rows]
    group = _groups(log, target)[rows]
    count = np.bincount(when, minlength=PERIODS)
    apart = inverse - ratio(sums(group, inverse, int(group.max()) + 1), np.bincount(group))[group]
    beside = ratio(sums(when, apart, PERIODS), count)
    noise = ratio(sums(when, (apart - beside[when]) ** 2, PERIODS), count**2)
    low, high = int(np.nanargmin(beside)), int(np.nanargmax(beside))
    least, most = (max(float(inverse.mean() + beside[at]), 1.0) for at in (low, high))
    sure = beside[high] - beside[low] > _SURE * np.sqrt(noise[high] + noise[low])
    if most < _FACTOR * least or not sure:
        return None
    return (
        f"the log's chance of choosing as the policy moved between {1 / most:.1%} and"
        f" {1 / least:.1%}, as where a logger learns from rewards"
    )


def _groups(log: LoggedEvents, target: Ints) -> Ints:
    """Return [n] the task and the policy's model, as a number."""
    return np.asarray(np.unique(log.task * len(log.models) + target, return_inverse=True)[1])


def _habit(log: LoggedEvents) -> Ints:
    """Return [n] the model the log would most probably have chosen, as far as it says."""
    filled = np.nan_to_num(log.probability, nan=-1.0)
    most = filled.argmax(axis=1)
    return np.where((filled < 0).all(axis=1), log.chosen, most)


def reachable(log: LoggedEvents, target: Ints) -> Mask:
    """Return [n] where the log might have chosen as the policy, or does not say."""
    chance = log.probability[np.arange(len(log)), target]
    return np.isnan(chance) | (chance > 0)


def support_of(log: LoggedEvents, target: Ints, rows: Mask, share: Floats | None = None) -> Support:
    """Return how some of the events, each with its share, support the policy."""
    chosen, aimed, propensity = log.chosen[rows], target[rows], log.propensity[rows]
    weight = estimators.weights(chosen, aimed, propensity)
    if share is not None:
        weight = weight * np.nan_to_num(share[rows])
    return estimators.support(chosen, aimed, propensity, reachable(log, target)[rows], weight)
