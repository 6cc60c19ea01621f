"""Guarded kNN: a cheaper model only where similar queries show that it is no worse."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.plugin.selection import best, best_single, covered
from routebench.records import Decisions, Floats, Ints, Mask, Pool, Queries, Table, Vectors
from routebench.routers.quality_router import QualityRouter
from routebench_routers.neighbours import prior_scores

_STRICTNESS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
_TIE = 1e-9
_BLOCK = 512
_NOVELTY_SAMPLE = 2_000
REASONS = ("novelty", "no cheaper model", "insufficient pairs", "uncertainty", "guarded")


class GuardedKNN(QualityRouter):
    """The best single model, or the cheapest model that similar queries show to be no worse.

    Source: the guarded kNN of the experiential repository (exp/common/routing). The neighbours
    are the nearest `neighbours` training queries, of them those at least `similarity` times as
    similar as the nearest. A model that is cheaper than the best single one is eligible where on
    the neighbours that both have answered, `min_pairs` or more, its mean lead d exceeds z standard
    errors less the tolerance: d − z · max(sd / √n, 1 / √n) ≥ −tolerance. The floor of the standard
    error is Popoviciu's bound, so that neighbours that all agree are no certainty. The cheapest
    eligible model is chosen. A query less similar to its nearest training query than 95% of these
    are among themselves is novel, and goes to the best single model; every decision has its reason.

    Deviations: z is the least at which validation loses nothing, where the source names a fixed
    one; its strictest clause, no neighbour on both sides of the tolerance, is left out, as it
    hardly ever switches. The objective's weights are not used: z is what trades quality for cost.
    """

    family = "learned from texts"

    class Options(BaseModel):
        neighbours: int = Field(100, ge=1, description="nearest training queries at most")
        similarity: float = Field(
            0.5, ge=0, le=1, description="least similarity, as a share of the nearest one's"
        )
        min_pairs: int = Field(8, ge=2, description="neighbours that both models have answered")
        z: float | None = Field(
            None, ge=0, description="standard errors that count against it; by validation if unset"
        )
        tolerance: float = Field(0.0, ge=0, le=1, description="mean score that may be lost")

    libraries = ("encoder",)
    deterministic = True
    cheap_fit = True
    effort = 2
    options: Options
    encoder: FittedEncoder
    vectors: Vectors
    scores: Floats
    cost: Floats
    """[m] mean training cost; infinite for a model that is not cheaper than the baseline."""
    baseline: int
    novelty: float
    z: float

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        return None if priced else "needs prices: it looks for cheaper models"

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self._remember(train, context)
        self.z = self._tuned(validation) if self.options.z is None else self.options.z
        cheaper, name = np.isfinite(self.cost), train.pool.models[self.baseline]
        context.progress(1.0, f"{cheaper.sum()} models are cheaper than {name}; z {self.z:g}")

    def relearn(self, table: Table, context: Context) -> None:
        self._remember(table, context)

    def _remember(self, table: Table, context: Context) -> None:
        """Keep all that is compared with: all state but the strictness."""
        cost, outcomes = table.outcomes.mean_cost(), table.outcomes
        assert cost is not None, "needs() turns unpriced runs away"
        self.encoder, self.scores = context.encoder, outcomes.score
        self.vectors = self.encoder.encode(list(table.queries.text))
        self.baseline = best_single(outcomes, cost)
        with np.errstate(invalid="ignore"):
            cheaper = covered(outcomes.ok) & (cost < cost[self.baseline])
        self.cost = np.where(cheaper, cost, np.inf)
        self.novelty = _novelty(np.asarray(self.vectors, dtype=np.float64))

    def predict(self, queries: Queries) -> Floats:
        """Return [n, m] the baseline's mean score on the neighbours, plus each model's lead."""
        return self._compared(queries)[0]

    def decide(self, queries: Queries) -> Decisions:
        quality, lead, error, pairs, novel = self._compared(queries)
        choice = self._chosen(lead, error, pairs, novel, self.z)
        reason = np.where(choice != self.baseline, 4, 3)
        enough = (pairs >= self.options.min_pairs) & np.isfinite(self.cost)
        reason[~enough.any(axis=1)] = 2
        if not np.isfinite(self.cost).any():
            reason[:] = 1
        reason[novel] = 0
        words = np.array(REASONS, dtype=object)[reason]
        return Decisions(choice, quality=quality, reason=words)

    def facts(self) -> dict[str, str | float]:
        """Return the strictness kept, and the similarity below which a query is novel."""
        return {"z": self.z, "novelty": self.novelty}

    def _tuned(self, validation: Table) -> float:
        """Return the least z at which validation loses nothing against the baseline; else the most.

        Of a tie, one is as good as the other: the switches are to cheaper models.
        """
        _, lead, error, pairs, novel = self._compared(validation.queries)
        score, rows = validation.outcomes.score, np.arange(len(validation))
        for z in _STRICTNESS:
            choice = self._chosen(lead, error, pairs, novel, z)
            gained = score[rows, choice] - score[:, self.baseline]
            if np.isfinite(gained).any() and np.nanmean(gained) >= 0:
                return z
        return _STRICTNESS[-1]

    def _chosen(self, lead: Floats, error: Floats, pairs: Floats, novel: Mask, z: float) -> Ints:
        """Return [n] the cheapest model that is eligible, or the baseline."""
        limit = -self.options.tolerance - _TIE
        eligible = (pairs >= self.options.min_pairs) & (lead - z * error >= limit)
        eligible &= np.isfinite(self.cost) & ~novel[:, None]
        cheapest = best(np.where(eligible, -self.cost, np.nan), None)
        choice: Ints = np.where(eligible.any(axis=1), cheapest, self.baseline)
        return choice

    def _compared(self, queries: Queries) -> tuple[Floats, Floats, Floats, Floats, Mask]:
        """Return quality, lead, its standard error and pairs [n, m], and novelty [n]."""
        bank = np.asarray(self.vectors, dtype=np.float64)
        asked = np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)
        base = self.scores[:, [self.baseline]]
        difference = self.scores - base
        known = np.isfinite(difference).astype(np.float64)
        own = np.hstack([np.isfinite(base).astype(np.float64), np.nan_to_num(base)])
        difference = np.nan_to_num(difference)
        columns = np.hstack([known, difference, difference**2, own])
        sums, nearest = np.empty((len(asked), columns.shape[1])), np.empty(len(asked))
        k = min(self.options.neighbours, len(bank))
        for start in range(0, len(asked), _BLOCK):
            similar = asked[start : start + _BLOCK] @ bank.T
            top = similar.max(axis=1)
            kth = np.partition(similar, len(bank) - k, axis=1)[:, len(bank) - k]
            least = np.maximum(kth, self.options.similarity * top)
            near = (similar >= least[:, None] - _TIE).astype(np.float64)
            sums[start : start + _BLOCK] = near @ columns
            nearest[start : start + _BLOCK] = top
        m = self.scores.shape[1]
        pairs, total, squares = sums[:, :m], sums[:, m : 2 * m], sums[:, 2 * m : 3 * m]
        lead = total / np.maximum(pairs, 1)
        spread = squares / np.maximum(pairs, 1) - lead**2
        variance = np.maximum(spread, 0) * pairs / np.maximum(pairs - 1, 1)
        error = np.sqrt(np.maximum(variance, 1.0) / np.maximum(pairs, 1))
        prior = prior_scores(self.scores)[self.baseline]
        level = (sums[:, -1] + prior) / (sums[:, -2] + 1)
        return level[:, None] + lead, lead, error, pairs, nearest < self.novelty - _TIE


def _novelty(vectors: Floats) -> float:
    """Return the 5th percentile of the training queries' similarity to the nearest other one."""
    if len(vectors) < 2:
        return -1.0
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _NOVELTY_SAMPLE)).astype(np.int64)
    nearest = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        similar = vectors[some] @ vectors.T
        similar[np.arange(len(some)), some] = -np.inf
        nearest[start : start + _BLOCK] = similar.max(axis=1)
    return float(np.quantile(nearest, 0.05))
