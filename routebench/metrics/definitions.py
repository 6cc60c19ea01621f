"""The metrics by their formulas: quality, cost, and how queries spread over the models.

Arguments are means, plain or one per bootstrap resample ([B]); costs are USD per query.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from routebench.metrics.statistics import difference, ratio
from routebench.records import Floats, Ints


def attempted(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """Return the share of queries answered at all: c + i, from the shares of three-state grades."""
    return np.add(correct, incorrect, dtype=np.float64)


def accuracy_given_attempted(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """Return c / (c + i); NaN where nothing was attempted."""
    return ratio(correct, attempted(correct, incorrect))


def f_score(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """Return 2c / (1 + c + i): harmonic mean of c and c / (c + i), as SimpleQA defines it."""
    return ratio(2 * np.asarray(correct, np.float64), 1 + attempted(correct, incorrect))


def gap_recovered(accuracy: ArrayLike, best_single: ArrayLike, oracle: ArrayLike) -> Floats:
    """Return the closed share of the gap from best single model to oracle; NaN without a gap.

    Negative for a router worse than the best single model; 1 for the oracle.
    """
    return ratio(difference(accuracy, best_single), difference(oracle, best_single))


def gain_at(accuracy_by_task: ArrayLike, reference_by_task: ArrayLike) -> Floats:
    """Return the mean over tasks (last axis) of the per-task ratio accuracy / reference, minus one.

    NaN where a task's reference is 0: leaving that task out would change what is averaged.
    """
    gain: Floats = ratio(accuracy_by_task, reference_by_task).mean(axis=-1) - 1
    return gain


def cost_per_1k(mean_cost: ArrayLike) -> Floats:
    """Return USD per 1,000 queries."""
    return 1000 * np.asarray(mean_cost, np.float64)


def total_cost(mean_cost: ArrayLike, mean_router_cost: ArrayLike) -> Floats:
    """Return the answers' cost and the router's own, in the unit they come in."""
    return np.add(mean_cost, mean_router_cost, dtype=np.float64)


def savings(cost: ArrayLike, reference_cost: ArrayLike) -> Floats:
    """Return 1 - cost / reference cost: .3 is 30% cheaper; NaN where the reference is free."""
    return 1 - ratio(cost, reference_cost)


def usage(choice: Ints, models: int) -> Floats:
    """Return [m] share of decisions that went to each model, over all queries (and seeds)."""
    shares: Floats = np.bincount(choice.ravel(), minlength=models) / choice.size
    return shares


def usage_entropy(shares: ArrayLike) -> Floats:
    """Return the entropy in bits of shares [..., m]: 0 for one model, log2 m for all alike."""
    p = np.asarray(shares, np.float64)
    bits = np.log2(p, out=np.zeros_like(p), where=p > 0)
    entropy: Floats = np.abs((p * bits).sum(axis=-1))  # abs: a constant router's -0.0 is 0
    return entropy


def top_model_share(shares: ArrayLike) -> Floats:
    """Return the largest of the shares [..., m]."""
    top: Floats = np.asarray(shares, np.float64).max(axis=-1)
    return top
