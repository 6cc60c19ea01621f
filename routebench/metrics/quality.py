"""Quality of the answers. Arguments are means, plain or one per bootstrap resample ([B])."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from routebench.metrics.statistics import ratio
from routebench.records import Floats


def attempted(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """Share of queries answered at all: c + i, from the shares of three-state grades."""
    return np.add(correct, incorrect, dtype=np.float64)


def accuracy_given_attempted(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """c / (c + i); NaN where nothing was attempted."""
    return ratio(correct, attempted(correct, incorrect))


def f_score(correct: ArrayLike, incorrect: ArrayLike) -> Floats:
    """2c / (1 + c + i): harmonic mean of c and c / (c + i), as SimpleQA defines it."""
    return ratio(2 * np.asarray(correct, np.float64), 1 + attempted(correct, incorrect))


def gap_recovered(accuracy: ArrayLike, best_single: ArrayLike, oracle: ArrayLike) -> Floats:
    """Share of the gap from best single model to oracle that is closed; NaN without a gap.

    Negative for a router worse than the best single model; 1 for the oracle.
    """
    gained = np.subtract(accuracy, best_single, dtype=np.float64)
    return ratio(gained, np.subtract(oracle, best_single, dtype=np.float64))


def gain_at(accuracy_by_task: ArrayLike, reference_by_task: ArrayLike) -> Floats:
    """Mean over tasks (last axis) of the per-task ratio accuracy / reference, minus one.

    NaN where a task's reference is 0: leaving that task out would change what is averaged.
    """
    gain: Floats = ratio(accuracy_by_task, reference_by_task).mean(axis=-1) - 1
    return gain
