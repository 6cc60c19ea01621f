"""The run's side of an online run: it keeps the cells, notes choices, and reveals those alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.errors import PluginError
from routebench.isolation.messages import OutcomesGiven, OutcomesNeeded
from routebench.records import Floats, Ints

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Revealed:
    """What was chosen for every query, in the order of arrival."""

    choice: Ints
    probability: Floats | None
    """[n, m] with which each was chosen; None for a router that draws nothing."""


class Revealer:
    """The outcomes of one stream, of which one process is told the cells that it chooses.

    Choices are noted here, never taken from the process afterwards: one cell of a query is
    revealed, and what was chosen cannot be changed once more is known.
    """

    def __init__(self, score: Floats, cost: Floats | None, batch: int, delay: int) -> None:
        self._score, self._cost = score, cost
        self._batch, self._delay = batch, delay
        self._choice: Ints = np.full(len(score), -1, dtype=np.int64)
        self._probability: Floats | None = None
        self._next = self._told = 0

    def __call__(self, needed: OutcomesNeeded) -> OutcomesGiven:
        """Note the choices for the next queries, and return the outcomes that are due."""
        n, m = self._score.shape
        choice = np.array(needed.choice, dtype=np.int64)
        expected = min(self._batch, n - self._next)
        if needed.start != self._next or len(choice) != expected or not expected:
            return OutcomesGiven(problem="a query is chosen for once, in the order of arrival")
        if choice.min() < 0 or choice.max() >= m:
            return OutcomesGiven(problem="a model is chosen that is not there")
        end = self._next + expected
        if needed.probability is not None:
            problem = self._note(needed.probability, choice, end)
            if problem:
                return OutcomesGiven(problem=problem)
        elif self._probability is not None:
            return OutcomesGiven(problem="probabilities are given for some queries alone")
        self._choice[self._next : end] = choice
        self._next = end
        due = np.arange(self._told, max(self._told, end - self._delay))
        self._told += len(due)
        chosen = self._choice[due]
        cost = np.full(len(due), np.nan) if self._cost is None else self._cost[due, chosen]
        return OutcomesGiven(
            due.tolist(), chosen.tolist(), self._score[due, chosen].tolist(), cost.tolist()
        )

    def _note(self, given: list[list[float]], choice: Ints, end: int) -> str:
        """Keep the probabilities of some choices; return what is wrong with them, if anything."""
        n, m = self._score.shape
        try:
            chance = np.array(given, dtype=np.float64)
        except ValueError:
            chance = np.zeros(0)
        if chance.shape != (len(choice), m):
            return f"probabilities have shape {chance.shape}, expected ({len(choice)}, {m})"
        if problem := wrong_chances(chance, choice):
            return problem
        if self._probability is None:
            if self._next:
                return "probabilities are given for some queries alone"
            self._probability = np.zeros((n, m))
        self._probability[self._next : end] = chance
        return ""

    def finished(self) -> Revealed:
        """Return all choices; a `PluginError` where the process ended before the stream did."""
        if self._next < len(self._choice):
            raise PluginError(f"online: {self._next} of {len(self._choice)} queries were decided")
        return Revealed(self._choice, self._probability)


def wrong_chances(chance: Floats, choice: Ints) -> str:
    """Return what is wrong with probabilities [n, m] of choices [n]; nothing where they stand."""
    if not np.isfinite(chance).all() or (chance < 0).any():
        return "probability is negative, NaN or infinite"
    if (np.abs(chance.sum(axis=1) - 1) > _TOLERANCE).any():
        return "probability does not add up to 1 over the models"
    if (chance[np.arange(len(choice)), choice] <= 0).any():
        return "a model was chosen whose probability is 0"
    return ""
