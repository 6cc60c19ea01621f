"""Short prompts to a small model, long prompts to a large one, by one threshold on length."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import hookimpl
from routebench.plugin.selection import best, covered
from routebench.records import Decisions, Ints, Pool, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.references import mean_scores, pooled


class PromptLength(DeclaredState):
    """A threshold on the prompt's characters between two models, set on train and validation.

    The large model is the best single one, the small one the cheapest (without prices, the
    weakest). Several published routers do not beat it: APGR .586 on RouteLLM's MMLU outcomes.
    """

    family = "learned from texts"

    class Options(BaseModel):
        small: str | None = Field(None, description="model for short prompts")
        large: str | None = Field(None, description="model for long prompts")
        threshold: int | None = Field(
            None, ge=0, description="characters from which the large model answers; found if unset"
        )

    deterministic = True
    cheap_fit = True
    effort = 0.1
    options: Options
    small: int
    large: int
    threshold: int
    models: int

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return None: any run can use it. Raise an `OptionError` for an unknown model."""
        for name in ("small", "large"):
            if model := getattr(self.options, name):
                pool.index(model, name)
        return None

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        self.models = len(train.pool)
        self.small, self.large = self._pair(train, validation)
        given = self.options.threshold
        found = _threshold(train, validation, self.small, self.large) if given is None else given
        self.threshold = found

    @hookimpl
    def refit(self) -> None:
        """Change nothing: `fit` has learned from all of train and validation."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        small, large, threshold = self.small, self.large, self.threshold
        lengths = _lengths(queries)
        # Half a character less, so that at the threshold itself the large model scores higher.
        cut = threshold - 0.5
        share = lengths / (lengths + cut) if threshold else np.ones(len(lengths))
        quality = np.full((len(lengths), self.models), np.nan)
        quality[:, small], quality[:, large] = 1.0 - share, share
        return Decisions(np.where(lengths >= threshold, large, small), quality=quality)

    def _pair(self, train: Table, validation: Table) -> tuple[int, int]:
        scores, ok, cost = pooled(train, validation)
        means = np.where(covered(ok), mean_scores(scores, ok), np.nan)
        worth = means if cost is None else np.where(covered(ok), cost, np.nan)
        pool = train.pool
        large = (
            pool.index(self.options.large)
            if self.options.large
            else int(best(means[None, :], cost)[0])
        )
        small = (
            pool.index(self.options.small)
            if self.options.small
            else int(best(-worth[None, :], cost)[0])
        )
        return small, large


def _threshold(train: Table, validation: Table, small: int, large: int) -> int:
    """Return the length with the best mean score; of equals the longest, which costs least."""
    lengths = np.concatenate([_lengths(train.queries), _lengths(validation.queries)])
    scores, ok, _ = pooled(train, validation)
    gain = np.where(ok[:, large] & ok[:, small], scores[:, large] - scores[:, small], 0.0)
    values, group = np.unique(lengths, return_inverse=True)
    # Gain of sending all prompts of values[i] and longer to the large model; the last entry: none.
    from_here = np.bincount(group, gain, len(values))[::-1].cumsum()[::-1]
    gains = np.append(from_here, 0.0)
    cuts = np.append(values, values[-1] + 1)
    return int(cuts[np.flatnonzero(gains >= gains.max() - 1e-9)[-1]])


def _lengths(queries: Queries) -> Ints:
    return np.array([len(text) for text in queries.text], dtype=np.int64)
