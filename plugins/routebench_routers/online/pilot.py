"""PILOT: LinUCB around a prior learned from preferences, within a budget."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Ints, Queries, Table
from routebench_routers.online.features import Components
from routebench_routers.online.learner import OnlineLearner, explored
from routebench_routers.online.linear_bandit import LinearBandit
from routebench_routers.online.preferences import learn_models, learn_space, unit

_E = float(np.e)


class Pilot(OnlineLearner):
    """LinUCB in a space learned from preferences, from weights that preferences suggest.

    On a warm start a linear map of the encoder's vectors is learned by triplets (queries that the
    same model answers best lie together, cosine similarity), then a vector per model by logistic
    regression on pairs of models that score differently; their products are put on the scale of
    scores by least squares. LinUCB begins there with the weight `ridge`. On a cold start there are
    no preferences: the map is that of principal components, and every model begins at 1.

    With a budget in USD a model can be chosen only while reward / cost ≥ (U·e/L)^z · L/e (Zhou,
    Chakrabarty and Lukose 2008), z the share of the budget that is spent, L and U the least and
    the highest ratio expected so far; where none can, the cheapest is.

    Source: PILOT (arXiv 2508.21141). Deviations: preferences are those of the training part's own
    scores, no human ones; a constant feature; estimated costs from what was revealed.
    """

    family = "learns online"

    class Options(BaseModel):
        alpha: float = Field(0.3, ge=0, description="weight of the uncertainty")
        ridge: float = Field(10.0, gt=0, description="strength of the prior, in outcomes")
        dimension: int = Field(32, ge=1, le=512, description="dimensions of the space")
        steps: int = Field(200, ge=0, description="gradient steps for the space, and for models")
        margin: float = Field(0.2, ge=0, description="margin of the triplets, in cosine")
        budget: float | None = Field(None, gt=0, description="USD for the stream; none if unset")
        epsilon: float = Field(0.0, ge=0, le=1, description="probability of any model at all")

    in_all = False
    libraries = ("encoder",)
    effort = 8
    options: Options
    encoder: FittedEncoder
    mean: Floats
    """[d]"""
    space: Floats
    """[d, k]"""
    bandit: LinearBandit
    number: Floats
    """[m] outcomes with a known cost."""
    usd: Floats
    """[m] their sum."""
    spent: float = 0.0
    """USD, of the stream alone."""

    def prepare(self, train: Table, validation: Table, context: Context) -> None:
        self.encoder = context.encoder
        vectors = np.asarray(context.encoder.encode(list(train.queries.text)), dtype=np.float64)
        components = Components.learn(vectors, self.options.dimension)
        self.mean, self.space = components.mean, components.directions
        self.number, self.usd = np.zeros(self.models), np.zeros(self.models)
        theta = np.zeros((self.models, self.space.shape[1] + 1))
        theta[:, -1] = 1.0
        if self.level is not None:
            # In the order of texts: what is drawn does not depend on that of the rows.
            order = np.argsort(train.queries.text.astype(str), kind="stable")
            vectors, score = vectors[order], train.outcomes.score[order]
            rng = np.random.default_rng(self.seed)
            centred, steps = vectors - self.mean, self.options.steps
            self.space = learn_space(centred, score, self.space, rng, steps, self.options.margin)
            theta = learn_models(self._features(vectors), score, rng, steps)
        self.bandit = LinearBandit.new(theta, self.options.ridge)

    def _features(self, vectors: Floats) -> Floats:
        """Return [n, k + 1] unit vectors of the space, and a constant."""
        return np.column_stack([unit((vectors - self.mean) @ self.space), np.ones(len(vectors))])

    def features(self, queries: Queries) -> Floats:
        """Return [n, k + 1] the features of queries."""
        return self._features(self.encoded(self.encoder, queries.text))

    def expected(self, queries: Queries) -> Floats:
        made: Floats = self.features(queries) @ self.bandit.theta().T
        return made

    def chances(self, queries: Queries, expected: Floats) -> Floats:
        hopeful = expected + self.options.alpha * self.bandit.width(self.features(queries))
        choice = self._affordable(hopeful, expected).argmax(axis=1)
        return explored(choice, self.models, self.options.epsilon)

    def _affordable(self, hopeful: Floats, expected: Floats) -> Floats:
        """Return the hopeful rewards [n, m], −∞ for models that the budget rules out."""
        budget, known = self.options.budget, self.number > 0
        if budget is None or not known.any() or not (self.usd[known] > 0).any():
            return hopeful
        cost = np.full(self.models, np.nan)
        cost[known] = self.usd[known] / self.number[known]
        tried = known & (cost > 0)
        mean = np.clip(self.bandit.theta()[:, -1], 1e-3, None)
        ratios = mean[tried] / cost[tried]
        low, high = float(ratios.min()), float(ratios.max())
        share = min(self.spent / budget, 1.0)
        least = (high * _E / low) ** share * low / _E
        ratio = np.clip(expected, 1e-3, None) / np.where(tried, cost, np.nan)
        # A model that was never paid has no ratio yet, and may be tried while there is a budget.
        allowed = (ratio >= least) | (~tried & (share < 1))
        cheapest = int(np.where(tried, cost, np.inf).argmin())
        allowed[~allowed.any(axis=1), cheapest] = True
        return np.where(allowed, hopeful, -np.inf)

    def learn(self, queries: Queries, choice: Ints, reward: Floats, cost: Floats) -> None:
        self.bandit.learn(self.features(queries), choice, reward)
        paid = ~np.isnan(cost)
        np.add.at(self.number, choice[paid], 1.0)
        np.add.at(self.usd, choice[paid], cost[paid])

    def spent_on(self, cost: Floats) -> None:
        self.spent += float(np.nansum(cost))

    @property
    def draws(self) -> bool:
        return self.options.epsilon > 0
