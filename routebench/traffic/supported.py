"""Whether a log's propensities can be used for a policy, and for which of its choices."""

from __future__ import annotations

import numpy as np

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
    reached, why = supported(log, target, usable)
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


def supported(log: LoggedEvents, target: Ints, rows: Mask) -> tuple[Mask, str]:
    """Return [n] where the log says what the policy would reach, and why it does not elsewhere.

    Where the policy goes against the log's habit and the log followed it too rarely, what little
    was seen is left aside: an interval of a handful of events does not hold what it promises.
    """
    reached = reachable(log, target)
    differs = _habit(log) != target
    seen = support_of(log, target, rows)
    if not (differs & reached).any() or seen.effective_rare >= ENOUGH:
        return reached, ""
    return reached & ~differs, (
        f"where the policy differs from the log's habit ({differs.mean():.1%}), the log followed it"
        f" in {seen.rare:,} events of known reward, worth {seen.effective_rare:.0f}"
        f" ({ENOUGH} are needed)"
    )


def moved(log: LoggedEvents, target: Ints) -> str | None:
    """Return what to say of a log whose chances of choosing as the policy moved as it went on.

    Tenths of the log are compared, each task by itself: another mix of tasks moves nothing.
    """
    if len(log) < _EVENTS:
        return None
    chance = log.probability[np.arange(len(log)), target]
    chance = np.where(np.isnan(chance), log.propensity, chance)
    rows = np.flatnonzero(~np.isnan(chance))
    if len(rows) < _EVENTS:
        return None
    chance, task, when = chance[rows], log.task[rows], periods(log)[rows]
    of_task = sums(task, chance, int(task.max()) + 1) / np.maximum(np.bincount(task), 1)
    mean = float(chance.mean())
    beside = sums(when, chance - of_task[task], PERIODS) / np.bincount(when, minlength=PERIODS)
    low, high = mean + float(np.nanmin(beside)), mean + float(np.nanmax(beside))
    if high < _FACTOR * max(low, 0.0):
        return None
    return (
        f"the log's chance of choosing as the policy moved between {max(low, 0.0):.1%} and"
        f" {high:.1%}, as where a logger learns from rewards: intervals are of 99.5%"
    )


def _habit(log: LoggedEvents) -> Ints:
    """Return [n] the model the log would most probably have chosen, as far as it says."""
    filled = np.nan_to_num(log.probability, nan=-1.0)
    most = filled.argmax(axis=1)
    return np.where((filled < 0).all(axis=1), log.chosen, most)


def reachable(log: LoggedEvents, target: Ints) -> Mask:
    """Return [n] where the log might have chosen as the policy, or does not say."""
    chance = log.probability[np.arange(len(log)), target]
    return np.isnan(chance) | (chance > 0)


def support_of(log: LoggedEvents, target: Ints, rows: Mask) -> Support:
    """Return how some of the events support the policy."""
    chosen, aimed, propensity = log.chosen[rows], target[rows], log.propensity[rows]
    weight = estimators.weights(chosen, aimed, propensity)
    return estimators.support(chosen, aimed, propensity, reachable(log, target)[rows], weight)
