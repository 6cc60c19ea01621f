"""Exploration: now and then a model at random, with the probability with which each was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Drawn:
    """The model that is asked first, and the probabilities it was drawn with."""

    model: str
    probabilities: Mapping[str, float]
    """Of every candidate; together 1."""
    explored: bool
    """Whether chance chose, even where it chose the router's own."""

    @property
    def propensity(self) -> float:
        """Return the probability with which the model was chosen."""
        return self.probabilities[self.model]


def draw(choice: str, candidates: Sequence[str], epsilon: float, random: Random) -> Drawn:
    """Return the router's choice, or with probability ε one of the candidates, all alike.

    >>> draw("a", ["a", "b"], 0.1, Random(0)).probabilities
    {'a': 0.95, 'b': 0.05}
    """
    names = list(dict.fromkeys([choice, *candidates]))
    names.sort(key=lambda name: name != choice)
    share = epsilon / len(names)
    probabilities = {name: share + (1.0 - epsilon if name == choice else 0.0) for name in names}
    explored = epsilon > 0 and random.random() < epsilon
    model = random.choice(names) if explored else choice
    return Drawn(model, probabilities, explored)
