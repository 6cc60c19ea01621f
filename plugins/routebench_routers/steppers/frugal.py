"""Ask models in a row until a learned score of (query, answer) is high enough."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from routebench.bought import Bought, Steps
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Floats, Ints, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.answers import said
from routebench_routers.steppers.chains import ChainOptions, Chains, search
from routebench_routers.steppers.lists import useful
from routebench_routers.steppers.prior import KnownPriors, Prior
from routebench_routers.steppers.recorded import Recorded


class Frugal(DeclaredState):
    """FrugalGPT's LLM cascade (arXiv 2305.05176): chains of up to three models with thresholds.

    An answer is scored by what its model is expected to score on such a query, how long it is, and
    whether it has a final answer. All chains of the models considered, with thresholds at the
    deciles of each model's scores, are compared on training answers, each scored without itself,
    and on validation; for each λ the best by accuracy − λ · cost is kept, where a gain over the
    best single model counts by the share that stands above twice its error.

    Deviations: the source's scorer is a fine-tuned DistilBERT that reads query and answer; this is
    a ridge regression on what is named above. The source searches under a budget, which λ replaces.
    """

    family = "see answers"

    Options = ChainOptions
    libraries = ("encoder",)
    deterministic = True
    effort = 5
    options: ChainOptions
    encoder: FittedEncoder
    prior: Prior
    models: Ints
    order: Ints
    scale: Floats
    """[p, 2] mean and deviation of the features of (query, answer)."""
    weights: Floats
    """[k, p + 1] of each model's features, and its intercept."""
    chains: Chains

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        self.encoder = context.encoder
        recorded, checked = Recorded.of(train), Recorded.of(validation)
        self.order = recorded.order()
        self.models, recorded = recorded.complete(
            useful(recorded.mean_score(), recorded.mean_cost(), self.options.models)
        )
        checked = checked.take(checked.whole(self.models))
        vectors = np.asarray(self.encoder.encode(recorded.texts), dtype=np.float64)
        score = recorded.score[:, self.models]
        self.prior, expected = Prior.learn(vectors, score, recorded.ok[:, self.models])
        scored = np.full(recorded.ok.shape, np.nan)
        scored[:, self.models] = self._learn(self._raw(expected, recorded.answers), score)
        both = np.concatenate([scored, self._scored(checked.texts, checked.answers)])
        together = recorded.followed_by(checked)
        self.chains = search(both, together, self.models, context.trade_offs)

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        scored = self._scored([str(text) for text in queries.text], bought)
        return self.chains.steps(trade_off, scored, bought, self.order)

    def _learn(self, raw: Floats, score: Floats) -> Floats:
        """Learn the scorers from features [n, k, p]; return [n, k] each answer's left-out score."""
        flat = raw.reshape(-1, raw.shape[2])
        self.scale = np.column_stack([flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-9)])
        features = (raw - self.scale[:, 0]) / self.scale[:, 1]
        weights, left_out = [], []
        for at in range(len(self.models)):
            own = score[:, [at]]
            scorer, without = Prior.learn(features[:, at], own, np.ones(own.shape, np.bool_))
            slope = scorer.weights[:, 0]
            weights.append([*slope, scorer.mean[0] - scorer.centre @ slope])
            left_out.append(without[:, 0])
        self.weights = np.array(weights)
        return np.column_stack(left_out)

    def _raw(self, expected: Floats, bought: Bought) -> Floats:
        """Return [n, k, p] what the scorer reads of each answer."""
        texts = bought.response[:, self.models]
        length = np.array([len(str(text or "")) for text in texts.flat], dtype=np.float64)
        length = np.log1p(length).reshape(texts.shape)
        spoken = said(bought, self.models).astype(np.float64)
        easy = np.broadcast_to(expected.mean(axis=1, keepdims=True), expected.shape)
        return np.stack([expected, easy, length, length**2, spoken], axis=2)

    def _scored(self, texts: list[str], bought: Bought) -> Floats:
        """Return [n, m] the scores of the answers; NaN where there is none."""
        raw = self._raw(self._expected(texts), bought)
        features = (raw - self.scale[:, 0]) / self.scale[:, 1]
        own = np.einsum("nkp,kp->nk", features, self.weights[:, :-1]) + self.weights[:, -1]
        scored = np.full(bought.asked.shape, np.nan)
        scored[:, self.models] = np.where(bought.answered[:, self.models], own, np.nan)
        return scored

    @cached_property
    def _expected(self) -> KnownPriors:
        return KnownPriors(self.encoder, self.prior)
