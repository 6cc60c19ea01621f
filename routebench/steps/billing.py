"""Bill a router that sees answers: money and time for every answer that it asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from routebench.arrays import Floats
from routebench.records import Outcomes, State

Asked = Any
"""[..., n, m] codes: the round in which each model was asked, from 1; 0 where it was not."""


def billed(asked: Asked, outcomes: Outcomes) -> Floats:
    """Return [..., n] USD of all answers that were asked for; NaN where one has no known cost.

    A call that failed costs what is recorded for it, and nothing where nothing is.
    """
    assert outcomes.cost is not None
    unpaid = (outcomes.state == State.FAILED) & np.isnan(outcomes.cost)
    return _summed(asked, np.where(unpaid, 0.0, outcomes.cost))


def waited(asked: Asked, outcomes: Outcomes) -> Floats:
    """Return [..., n] seconds: the slowest call of every round, one round after the other.

    NaN where a latency is not known.
    """
    assert outcomes.latency is not None
    total = np.zeros(asked.shape[:-1])
    for each in range(1, int(asked.max(initial=0)) + 1):
        here = asked == each
        slowest = np.where(here, outcomes.latency, -np.inf).max(axis=-1)
        unknown = (here & np.isnan(outcomes.latency)).any(axis=-1)
        total += np.where(unknown, np.nan, np.where(here.any(axis=-1), slowest, 0.0))
    return total


def _summed(asked: Asked, values: Floats) -> Floats:
    paid: Floats = np.where(asked > 0, values, 0.0).sum(axis=-1)
    return paid
