"""A ridge regression per model from words to score."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench.routers.sampling import sample, sample_rows
from routebench.routers.words import WordWeights

# The last shrinks predictions to the models' means: right where texts carry no signal.
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e6)
# Queries needed to fit a model: with fewer, one lucky answer would make it the best of all.
_ENOUGH = 20


class Linear(QualityRouter):
    """A ridge regression per model, on TF-IDF of words and word pairs or on the run's encoder.

    The penalty is tuned on validation, with a sample of a large training part. Models with missing
    cells are fitted on their own rows.
    """

    family = "learned from texts"

    class Options(BaseModel):
        features: Literal["tfidf", "encoder"] = Field(
            "tfidf", description="sparse word weights, or the vectors of the run's encoder"
        )
        penalty: float | None = Field(
            None, gt=0, description="ridge penalty; tuned on validation if unset"
        )
        max_features: int = Field(50_000, ge=10, description="words and word pairs kept (tfidf)")
        tuning_queries: int = Field(
            30_000, ge=1, description="training queries to tune on; of more, a sample by hash"
        )

    libraries = ("sklearn.feature_extraction.text", "sklearn.linear_model")
    deterministic = True
    cheap_fit = True
    effort = 2
    options: Options
    coefficients: Floats
    intercepts: Floats
    words: WordWeights | None = None
    encoder: FittedEncoder | None = None

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        if self.options.features == "encoder":
            self.encoder = context.encoder
            features = self._features(train.queries)
        else:
            self.words, features = WordWeights.learn(
                list(train.queries.text), self.options.max_features
            )
        checked = self._features(validation.queries)
        part, some = sample(train, self.options.tuning_queries), features
        if len(part) < len(train):
            some = features[sample_rows(train, self.options.tuning_queries)]
        reached, kept = -np.inf, self.options.penalty
        for step, penalty in enumerate(() if kept else PENALTIES):
            weights = fit_ridge(some, part, penalty)
            value = self.chooser.value(_predict(checked, *weights), validation)
            # Of equals, keep the stronger penalty, which is tried later.
            if value >= reached:
                reached, kept = value, penalty
                self.coefficients, self.intercepts = weights
            context.progress((step + 1) / len(PENALTIES), f"penalty {kept:g} is kept")
        assert kept is not None
        self._penalty = kept
        if self.options.penalty or len(part) < len(train):
            self.coefficients, self.intercepts = fit_ridge(features, train, kept)

    def relearn(self, table: Table, context: Context) -> None:
        if self.options.features == "encoder":
            self.encoder = context.encoder
            features = self._features(table.queries)
        else:
            self.words, features = WordWeights.learn(
                list(table.queries.text), self.options.max_features
            )
        self.coefficients, self.intercepts = fit_ridge(features, table, self._penalty)

    def predict(self, queries: Queries) -> Floats:
        quality: Floats = np.asarray(self._features(queries) @ self._columns) + self.intercepts
        return quality

    @cached_property
    def _columns(self) -> Floats:
        """Return the coefficients as [d, m], which a sparse product would copy every time."""
        return self.coefficients.T if self.words is None else self.coefficients.T.copy()

    def _features(self, queries: Queries) -> Any:
        texts = list(queries.text)
        if self.words is not None:
            return self.words.transform(texts)
        assert self.encoder is not None
        return np.asarray(self.encoder.encode(texts), dtype=np.float64)


def _predict(features: Any, coefficients: Floats, intercepts: Floats) -> Floats:
    quality: Floats = np.asarray(features @ coefficients.T) + intercepts
    return quality


def fit_ridge(features: Any, train: Table, penalty: float) -> tuple[Floats, Floats]:
    """Return coefficients [m, d] and intercepts [m].

    A model with fewer than `_ENOUGH` queries gets zeros and the lowest score as its intercept.
    """
    from sklearn.linear_model import Ridge

    scores, ok = train.outcomes.score, train.outcomes.ok
    solver = "sparse_cg" if hasattr(features, "tocsr") else "auto"
    if ok.all():
        fitted = Ridge(alpha=penalty, solver=solver).fit(features, scores)
        return fitted.coef_, fitted.intercept_
    coefficients = np.zeros((scores.shape[1], features.shape[1]))
    intercepts = np.full(scores.shape[1], np.nanmin(scores))
    for model in range(scores.shape[1]):
        rows = ok[:, model]
        if rows.sum() >= _ENOUGH:
            fitted = Ridge(alpha=penalty, solver=solver).fit(features[rows], scores[rows, model])
            coefficients[model], intercepts[model] = fitted.coef_, fitted.intercept_
    return coefficients, intercepts
