"""The queries of one job: validation, test and perturbed ones, shuffled together.

Test queries alone make the board's scores. The answers on validation are what operating points
are chosen on; the perturbed queries tell whether small changes of a text change the decision.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from routebench.data.perturbations import KINDS, perturb
from routebench.records import Decisions, Ints, Queries


class Parts(NamedTuple):
    """Decisions by what they are for, each in canonical order."""

    validation: Decisions
    test: Decisions
    perturbed: Decisions
    """By kind of perturbation, then by query."""


@dataclass(frozen=True)
class QueryBatch:
    """The queries of one job, in an order that tells nothing of the part they belong to."""

    queries: Queries
    order: Ints
    """[n] query i is number order[i] of validation, test and perturbed one after the other."""
    ends: tuple[int, int]
    """Where validation ends, and where test does."""

    @classmethod
    def of(
        cls, everything: Queries, validation: Ints, test: Ints, sample: Ints, seed: list[int]
    ) -> QueryBatch:
        """Join and shuffle queries; `sample` rows are also asked in every perturbation."""
        rows = np.concatenate([validation, test, *([sample] * len(KINDS))])
        queries = everything.take(rows)
        start = len(validation) + len(test)
        kinds = np.repeat(np.array(KINDS, dtype=object), len(sample))
        for place, kind in enumerate(kinds, start):
            queries.text[place] = perturb(queries.text[place], kind)
        order = np.random.default_rng(seed).permutation(len(rows))
        return cls(queries.take(order), order, (len(validation), start))

    def parts(self, decisions: Decisions) -> Parts:
        """Undo the shuffle."""
        back = np.argsort(self.order)
        return Parts(*(take(decisions, rows) for rows in np.split(back, self.ends)))


def take(decisions: Decisions, rows: Ints) -> Decisions:
    """Return the decisions on the given queries."""
    changes: dict[str, Any] = {
        f.name: value[rows]
        for f in fields(decisions)
        if isinstance(value := getattr(decisions, f.name), np.ndarray)
    }
    if (usage := decisions.usage) is not None:
        changes["usage"] = type(usage)(*(getattr(usage, f.name)[rows] for f in fields(usage)))
    return replace(decisions, **changes)
