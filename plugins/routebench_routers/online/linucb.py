"""LinUCB: a linear reward per model, and the benefit of the doubt."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Ints, Queries, Table
from routebench_routers.online.features import Components
from routebench_routers.online.learner import OnlineLearner, explored
from routebench_routers.online.linear_bandit import LinearBandit


class LinUCB(OnlineLearner):
    """The model of the highest θᵀx + α √(xᵀA⁻¹x): disjoint linear models, A = λI + Σ xxᵀ.

    The features x are the first principal components of the encoder's vectors on the training
    texts, scaled to a mean squared length of 1, and a constant. On a cold start θ begins at a
    reward of 1, so that every model is tried. With ε any model is taken now and then, which gives
    the logged choices propensities.

    Source: Li et al. 2010 (arXiv 1003.0146). Deviations: the optimistic start; features from the
    run's encoder.
    """

    family = "learns online"

    class Options(BaseModel):
        alpha: float = Field(0.3, ge=0, description="weight of the uncertainty")
        ridge: float = Field(1.0, gt=0, description="λ: strength of the prior")
        components: int = Field(32, ge=1, le=512, description="principal components of the vectors")
        discount: float = Field(
            1.0, gt=0, le=1, description="weight of older outcomes at each newer one"
        )
        epsilon: float = Field(0.0, ge=0, le=1, description="probability of any model at all")

    in_all = False
    libraries = ("encoder",)
    effort = 6
    options: Options
    encoder: FittedEncoder
    components: Components
    bandit: LinearBandit

    def prepare(self, train: Table, validation: Table, context: Context) -> None:
        self.encoder = context.encoder
        vectors = np.asarray(context.encoder.encode(list(train.queries.text)), dtype=np.float64)
        self.components = Components.learn(vectors, self.options.components)
        start = np.zeros((self.models, self.components.directions.shape[1] + 1))
        start[:, -1] = self.start
        self.bandit = LinearBandit.new(start, self.options.ridge, self.options.discount)

    def features(self, queries: Queries) -> Floats:
        """Return [n, d] the features of queries."""
        return self.components(self.encoded(self.encoder, queries.text))

    def expected(self, queries: Queries) -> Floats:
        made: Floats = self.features(queries) @ self.bandit.theta().T
        return made

    def chances(self, queries: Queries, expected: Floats) -> Floats:
        hopeful = expected + self.options.alpha * self.bandit.width(self.features(queries))
        return explored(hopeful.argmax(axis=1), self.models, self.options.epsilon)

    def learn(self, queries: Queries, choice: Ints, reward: Floats, cost: Floats) -> None:
        self.bandit.learn(self.features(queries), choice, reward)

    @property
    def draws(self) -> bool:
        return self.options.epsilon > 0
