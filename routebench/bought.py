"""The records of a router that sees answers: what it has bought, and what it does next."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from routebench.arrays import Codes, Floats, Ints, Mask, Rows, Strings

_NUMBERS = ("input_tokens", "output_tokens", "cost", "latency", "confidence", "verification")


@dataclass(frozen=True, slots=True)
class Bought:
    """The answers bought so far for n queries of m models: matrices [n, m], never a score.

    Of a model that was not asked every field is empty: None, NaN or false.
    """

    asked: Mask
    """Whether the model was asked."""
    answered: Mask
    """Whether an answer came; one that did not is paid where its cost is recorded."""
    response: Strings
    """The text of the answer; None where none came."""
    final: Strings
    """The final answer in that text, as the run's judge reads it without the reference: a letter,
    a number, folded words. None where there is none, or no judge that reads it."""
    input_tokens: Floats
    output_tokens: Floats
    cost: Floats
    """USD; NaN where unknown."""
    latency: Floats
    """Seconds; NaN where unknown."""
    confidence: Floats
    """The model's own confidence in its answer; NaN where it gave none."""
    finish_reason: Strings | None = None
    """Why the answer ended, such as `stop` or `length`; None where that is not recorded. A router
    always gets the matrix."""
    verification: Floats | None = None
    """How far a model that checked the answer passed it, the share of passes in [0, 1]; NaN where
    none did, None where none is recorded. A router always gets the matrix."""

    def __len__(self) -> int:
        return len(self.asked)

    @classmethod
    def nothing(cls, n: int, m: int) -> Bought:
        """Return the record of n queries for which no model was asked."""

        def empty(value: Any, dtype: Any) -> Any:
            return np.full((n, m), value, dtype=dtype)

        flags = {name: empty(False, np.bool_) for name in ("asked", "answered")}
        texts = {name: empty(None, object) for name in ("response", "final", "finish_reason")}
        return cls(**flags, **texts, **{name: empty(np.nan, np.float64) for name in _NUMBERS})

    def take(self, rows: Rows) -> Bought:
        """Return the given queries, as copies."""
        return replace(self, **{name: one[rows].copy() for name, one in self._columns().items()})

    def only(self, cells: Mask) -> Bought:
        """Return what is known when no more than these cells [n, m] were bought.

        With it a router tries a policy on its training answers.
        """
        kept = cells & self.asked
        empty = Bought.nothing(*kept.shape)
        return replace(
            self,
            **{
                name: np.where(kept, one, getattr(empty, name))
                for name, one in self._columns().items()
            },
        )

    def put(self, rows: Ints, cells: Mask, more: Bought) -> None:
        """Enter what was bought in some cells [rows, m] of the given queries."""
        at, model = np.nonzero(cells)
        for name, one in more._columns().items():
            getattr(self, name)[rows[at], model] = one[at, model]

    def _columns(self) -> dict[str, Any]:
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: one for name, one in known.items() if one is not None}


@dataclass(frozen=True, slots=True)
class Steps:
    """A router's next step on each of n queries: ask models, or stop with an answer it bought."""

    ask: Mask
    """[n, m] the models to ask now, all at once; none where it stops."""
    answer: Ints
    """[n] index of the model whose answer is given; -1 where it asks."""
    confidence: Floats | None = None
    """[n] probability that this answer is right, in [0, 1]; read where it stops."""
    reason: Strings | None = None
    """[n] why, in a word or two: the board counts them; read where it stops."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """The end of all n queries: whose answer was given, and who was asked for it."""

    answer: Ints
    """[n] index of the model whose answer was given."""
    asked: Codes
    """[n, m] the round in which each model was asked, from 1; 0 where it was not."""
    bought: Bought
    confidence: Floats | None = None
    reason: Strings | None = None
