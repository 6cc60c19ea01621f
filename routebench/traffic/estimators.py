"""Off-policy estimates of a deterministic policy from logged propensities.

An event i of the log has features x, a model a chosen with probability p, and an outcome y; the
policy would have chosen d(x). Its weight is w = 1[a = d] / p. With a prediction q̂(x, m) of the
outcome that was fitted on other sessions:

    SNIPS                Σ w y / Σ w
    doubly robust        mean q̂(x, d) + Σ w (y − q̂(x, a)) / Σ w

Both are ratios of sums over events, so a bootstrap of sessions needs their sums by session alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.statistics import ratio
from routebench.records import Floats, Ints, Mask
from routebench.traffic.sums import sums

BLOCKS = 10_000
"""Sessions are drawn in so many blocks at most: block sums are as independent, and as good."""
RESAMPLES = 2_000
FOLDS = 5
PRIOR = 10.0
"""Events' worth of the mean over all tasks, towards which that of a task is drawn."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """A value with its 95% interval; of bounds, the lowest and the highest value and their ends."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Support:
    """How much of a policy the log can speak of."""

    matched: int
    """Events whose model is the policy's."""
    rare: int
    """Of those, where the log would rather have chosen another: they alone tell the two apart."""
    effective: float
    """Effective sample size (Σw)² / Σw² of the matched events."""
    effective_rare: float
    largest_weight: float
    largest_share: float
    """Share of all weight that one event has."""
    unsupported: float
    """Share of the policy's choices that the log would never have made."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums by block of sessions: [blocks] for each name."""

    by: dict[str, Floats]

    def resampled(self, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Floats]:
        """Return [1 + B] of each: the sums themselves first, then those of the resamples."""
        columns = list(self.by.values())
        drawn = bootstrap_means(columns, resamples=resamples, seed=seed).T
        blocks = len(columns[0])
        return {
            name: np.concatenate([[column.sum()], means * blocks])
            for name, column, means in zip(self.by, columns, drawn, strict=True)
        }


def blocks_of(session: Ints, most: int = BLOCKS, seed: int = 0) -> Ints:
    """Return [n] the block of each event: sessions stay whole, dealt out at random.

    >>> blocks_of(np.array([0, 0, 1, 2]), most=5).tolist()
    [0, 0, 1, 2]
    """
    count = int(session.max()) + 1
    if count <= most:
        return session
    dealt = np.random.default_rng(seed).permutation(count) % most
    return np.asarray(dealt[session])


def summed(block: Ints, **columns: Floats) -> Sums:
    """Return the sums of columns [n] by block."""
    size = int(block.max()) + 1
    return Sums({name: sums(block, column, size) for name, column in columns.items()})


BEYOND = 0.025
"""Probability beyond each end of an interval."""


def interval(sample: Floats, effective: float = np.inf, beyond: float = BEYOND) -> Estimated:
    """Return the value and percentile interval of a statistic [1 + B], the value first.

    Percentiles of few effective events are too close together: theirs are those that a t-quantile
    with so many degrees of freedom asks for (the expanded percentile interval of Hesterberg, 2015).
    """
    known = sample[1:][~np.isnan(sample[1:])]
    if not len(known) or np.isnan(sample[0]):
        return Estimated(float(sample[0]), np.nan, np.nan)
    tail = _tail(effective, beyond)
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return Estimated(float(sample[0]), float(low), float(high))


def _tail(effective: float, beyond: float = BEYOND) -> float:
    """Return the share of resamples beyond each end.

    >>> round(_tail(float("inf")), 4), round(_tail(30.0), 4)
    (0.025, 0.0188)
    """
    from scipy.stats import norm, t

    if not np.isfinite(effective):
        return beyond
    n = max(effective, 3.0)
    return float(norm.cdf(-t.ppf(1.0 - beyond, n - 1.0) * np.sqrt(n / (n - 1.0))))


def weights(chosen: Ints, target: Ints, propensity: Floats) -> Floats:
    """Return w = 1[a = d] / p [n].

    >>> weights(np.array([0, 1]), np.array([0, 0]), np.array([0.5, 0.5])).tolist()
    [2.0, 0.0]
    """
    return np.where(chosen == target, 1.0 / np.maximum(propensity, 1e-12), 0.0)


def support(
    chosen: Ints, target: Ints, propensity: Floats, reached: Mask, weight: Floats
) -> Support:
    """Return how the log supports the policy; `reached` [n] is where it might have chosen so."""
    matched = chosen == target
    rare = matched & (propensity < 0.5)
    total = float(weight.sum())
    return Support(
        matched=int(matched.sum()),
        rare=int(rare.sum()),
        effective=effective(weight),
        effective_rare=effective(weight[rare]),
        largest_weight=float(weight.max(initial=0.0)),
        largest_share=float(weight.max(initial=0.0) / total) if total else 0.0,
        unsupported=float((~reached).mean()),
    )


def effective(weight: Floats) -> float:
    """Return the effective sample size (Σw)² / Σw².

    >>> effective(np.array([1.0, 1.0, 0.0])), effective(np.zeros(3))
    (2.0, 0.0)
    """
    square = float((weight**2).sum())
    return float(weight.sum()) ** 2 / square if square else 0.0


def predicted(
    outcome: Floats, chosen: Ints, stratum: Ints, session: Ints, models: int, target: Ints
) -> tuple[Floats, Floats]:
    """Return [n] predictions of the outcome for the chosen model and the policy's.

    The mean of the model in the stratum over the other folds of sessions, drawn towards the mean of
    the model, and that towards the mean of all. A target of −1 has the mean of all.
    """
    fold = np.random.default_rng(1).permutation(int(session.max()) + 1)[session] % FOLDS
    strata = int(stratum.max()) + 1
    known = ~np.isnan(outcome)
    cell = (fold * strata + stratum) * models + chosen
    size = FOLDS * strata * models
    shape = (FOLDS, strata, models)
    total = np.bincount(cell[known], outcome[known], size).reshape(shape)
    n = np.bincount(cell[known], minlength=size).reshape(shape).astype(float)
    total, n = total.sum(axis=0) - total, n.sum(axis=0) - n  # of the other folds
    everywhere = ratio(total.sum(axis=(1, 2)), n.sum(axis=(1, 2)))[:, None]
    # A model's own mean is drawn by one event alone: prices of models differ a thousandfold.
    of_model = (total.sum(axis=1) + everywhere) / (n.sum(axis=1) + 1.0)
    table = (total + PRIOR * of_model[:, None]) / (n + PRIOR)
    aimed = table[fold, stratum, np.maximum(target, 0)]
    aimed = np.where(target < 0, everywhere[fold, 0], aimed)
    return table[fold, stratum, chosen], aimed


@dataclass(frozen=True)
class PolicyEstimate:
    """An outcome per event: of the log as it was, and of the policy."""

    logged: Estimated
    policy: Estimated
    """Doubly robust."""
    difference: Estimated
    """Policy less log, on the same resamples."""
    snips: Estimated
    clipped: tuple[tuple[float, Estimated], ...]
    """The doubly robust estimate with weights clipped at these values."""


CLIPS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def estimate(
    outcome: Floats,
    weight: Floats,
    own: Floats,
    aimed: Floats,
    session: Ints,
    clips: Sequence[float] = CLIPS,
    resamples: int = RESAMPLES,
    skewed: bool = False,
    beyond: float = BEYOND,
    share: Floats | None = None,
) -> PolicyEstimate:
    """Estimate the mean outcome of the policy [n events with a known outcome].

    `share` [n] is what each event counts for in what is said of the policy; one without it.
    `own` and `aimed` are predictions for the chosen model and the policy's. Intervals of `skewed`
    outcomes, such as costs, are the studentised ones and the percentiles together. `beyond` is the
    probability beyond each end of what is said of the policy.
    """
    block = blocks_of(np.unique(session, return_inverse=True)[1])
    share = np.ones(len(outcome)) if share is None else share
    rare = weight > 2.0
    worth = effective((share * weight)[rare] if rare.any() else share * weight)
    used = [c for c in clips if c < weight.max(initial=0.0)]
    columns = {"n": np.ones(len(outcome)), "y": outcome, "share": share, "aimed": share * aimed}
    for at, clip in enumerate([np.inf, *used]):
        cut = share * np.minimum(weight, clip)
        columns |= {f"w{at}": cut, f"wr{at}": cut * (outcome - own)}
    columns["wy"] = share * weight * outcome
    by = summed(block, **columns).by
    if skewed:
        by |= _products(by)
    drawn = Sums(by).resampled(resamples=resamples)
    logged = ratio(drawn["y"], drawn["n"])
    robust = [
        drawn["aimed"] / drawn["share"] + ratio(drawn[f"wr{at}"], drawn[f"w{at}"])
        for at in range(len(used) + 1)
    ]
    policy = interval(robust[0], worth, beyond)
    change = interval(robust[0] - logged, worth, beyond)
    if skewed:
        policy = _wider(policy, studentised(robust[0], _error(drawn), beyond))
        change = _wider(change, studentised(robust[0] - logged, _error(drawn, change=True), beyond))
    return PolicyEstimate(
        logged=interval(logged),
        policy=policy,
        difference=change,
        snips=interval(ratio(drawn["wy"], drawn["w0"]), worth, beyond),
        clipped=tuple(
            (c, interval(r, worth, beyond)) for c, r in zip(used, robust[1:], strict=True)
        ),
    )


_TERMS = ("aimed", "share", "wr0", "w0", "y", "n")
"""Sums that a doubly robust estimate, and its difference from the log's mean, are made of."""


def _products(by: dict[str, Floats]) -> dict[str, Floats]:
    """Return products of the blocks' sums, from which each resample's standard error follows."""
    return {f"{p}*{q}": by[p] * by[q] for p, q in combinations_with_replacement(_TERMS, 2)}


def _error(drawn: dict[str, Floats], change: bool = False) -> Floats:
    """Return [1 + B] the standard error of the estimate, or its change, by its linear terms."""
    share, w, n = drawn["share"], drawn["w0"], drawn["n"]
    factor = {
        "aimed": 1.0 / share,
        "share": -drawn["aimed"] / share**2,
        "wr0": ratio(np.ones(len(w)), w),
        "w0": -ratio(drawn["wr0"], w**2),
    }
    if change:
        factor |= {"y": -1.0 / n, "n": drawn["y"] / n**2}
    variance = np.zeros(len(n))
    for p, q in combinations_with_replacement(factor, 2):
        variance += (1.0 if p == q else 2.0) * factor[p] * factor[q] * drawn[f"{p}*{q}"]
    return np.sqrt(np.maximum(variance, 0.0))


def studentised(sample: Floats, error: Floats, beyond: float = BEYOND) -> Estimated:
    """Return the bootstrap-t interval of a statistic [1 + B] with its standard errors [1 + B].

    It leans to the side on which a long tail has hardly been seen, which percentiles do not.
    """
    t = ratio(sample[1:] - sample[0], error[1:])
    t = t[~np.isnan(t)]
    if not len(t) or np.isnan(sample[0]):
        return Estimated(float(sample[0]), np.nan, np.nan)
    low, high = np.quantile(t, [beyond, 1.0 - beyond])
    value, step = float(sample[0]), float(error[0])
    return Estimated(value, value - float(high) * step, value - float(low) * step)


def _wider(first: Estimated, second: Estimated) -> Estimated:
    low, high = np.fmin(first.low, second.low), np.fmax(first.high, second.high)
    return Estimated(first.value, float(low), float(high))


def cost_support(cost: Floats, weight: Floats, own: Floats, share: Floats | None = None) -> float:
    """Return how many events the policy's cost hangs on, of those against the log's habit.

    By predicted costs: (Σ w q̂)² / Σ (w q̂)², over 1 + cv² of the costs of all events relative to
    their predictions. Of the costs of these events themselves, they would look well supported
    whenever the dear requests happen to be missing.
    """
    rare = weight > 2.0
    if not rare.any():
        return np.inf
    relative = ratio(cost, own)
    relative = relative[~np.isnan(relative)]
    spread = float(ratio((relative**2).mean(), relative.mean() ** 2)) if len(relative) else 1.0
    counted = weight if share is None else share * weight
    return effective((counted * own)[rare]) / max(spread, 1.0)


@dataclass(frozen=True, slots=True)
class OutcomeBounds:
    """What an outcome in [0, 1] may be, with the outer ends of both bounds' intervals."""

    lowest: float
    highest: float
    low: float
    high: float


def bounds(
    lower: Floats, upper: Floats, session: Ints, resamples: int = RESAMPLES
) -> OutcomeBounds:
    """Return the bounds of a mean whose terms [n] lie between `lower` and `upper`.

    The interval holds the true mean with 95% wherever it lies between the bounds (conservative,
    of Horowitz and Manski, 2000): 2.5% below the lower one, 2.5% above the upper one.
    """
    block = blocks_of(np.unique(session, return_inverse=True)[1])
    drawn = summed(block, n=np.ones(len(lower)), lower=lower, upper=upper).resampled(
        resamples=resamples
    )
    least, most = (interval(ratio(drawn[name], drawn["n"])) for name in ("lower", "upper"))
    return OutcomeBounds(least.value, most.value, least.low, most.high)
