"""Reference lines of routers that see answers: a vote, and the best of all bought answers."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pydantic import BaseModel, Field

from routebench.bought import Bought, Steps
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Floats, Ints, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.answers import agreements, said, to_steps
from routebench_routers.steppers.prior import KnownPriors, Prior
from routebench_routers.steppers.recorded import Recorded


class Majority(DeclaredState):
    """Asks the k most accurate models at once and gives the answer that most of them give.

    Of equally many votes the most accurate model's answer wins. It has no
    trade-off: the line shows what a vote costs and brings.
    """

    family = "references"

    class Options(BaseModel):
        models: int = Field(3, ge=1, description="models asked")

    deterministic = True
    reference = True
    effort = 0.2
    options: Options
    order: Ints

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        self.forget()
        self.order = Recorded.of(train, validation).order()

    @hookimpl
    def step(self, queries: Queries, bought: Bought) -> Steps:
        members = self.order[: self.options.models]
        first = ~bought.asked[:, members].any(axis=1)
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        ask[np.ix_(first, members)] = True
        votes = agreements(bought, members).sum(axis=2) + said(bought, members)
        answer = np.where(first, -1, members[votes.argmax(axis=1)])
        share = votes.max(axis=1) / len(members)
        return to_steps(ask, answer, bought, self.order, share)


class AskAll(DeclaredState):
    """Asks all models and gives the answer that a learned scorer takes for the best.

    The scorer is a ridge regression per model on what is expected of it on such a query, which
    others agree with it, how many do, and whether it has a final answer. It has no
    trade-off: the line shows what answers tell when no call is saved.
    """

    family = "references"

    class Options(BaseModel):
        pass

    libraries = ("encoder",)
    deterministic = True
    reference = True
    effort = 5
    options: Options
    encoder: FittedEncoder
    prior: Prior
    models: Ints
    order: Ints
    weights: Floats
    """[k, p + 1] of each model's features, and its intercept."""

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        self.encoder = context.encoder
        recorded = Recorded.of(train)
        self.order = recorded.order()
        covered = np.flatnonzero(np.isfinite(recorded.mean_score()))
        self.models, recorded = recorded.complete(covered)
        vectors = np.asarray(self.encoder.encode(recorded.texts), dtype=np.float64)
        score = recorded.score[:, self.models]
        self.prior, expected = Prior.learn(vectors, score, recorded.ok[:, self.models])
        features = self._features(expected, recorded.answers)
        weights = []
        for at in range(len(self.models)):
            own = score[:, [at]]
            scorer, _ = Prior.learn(features[:, at], own, np.ones(own.shape, np.bool_))
            slope = scorer.weights[:, 0]
            weights.append([*slope, scorer.mean[0] - scorer.centre @ slope])
        self.weights = np.array(weights)

    @hookimpl
    def step(self, queries: Queries, bought: Bought) -> Steps:
        first = ~bought.asked[:, self.models].any(axis=1)
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        ask[np.ix_(first, self.models)] = True
        expected = self._expected([str(text) for text in queries.text])
        features = self._features(expected, bought)
        own = np.einsum("nkp,kp->nk", features, self.weights[:, :-1]) + self.weights[:, -1]
        own[~bought.answered[:, self.models]] = -np.inf
        answer = np.where(first, -1, self.models[own.argmax(axis=1)])
        chance = np.clip(np.nan_to_num(own.max(axis=1), neginf=0.0), 0.0, 1.0)
        return to_steps(ask, answer, bought, self.order, chance)

    def _features(self, expected: Floats, bought: Bought) -> Floats:
        """Return [n, k, p]: expected score, agreement with each model, their number, its own."""
        agree = agreements(bought, self.models).astype(np.float64)
        spoken = said(bought, self.models).astype(np.float64)
        return np.concatenate(
            [expected[:, :, None], agree, agree.sum(axis=2)[:, :, None], spoken[:, :, None]], axis=2
        )

    @cached_property
    def _expected(self) -> KnownPriors:
        return KnownPriors(self.encoder, self.prior)
