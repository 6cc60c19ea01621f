"""A ridge regression per model from words to score."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from routebench.encode import encoders
from routebench.hookspecs import Context, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import Chooser
from routebench.records import Decisions, Floats, Queries, Table
from routebench_encoders.tfidf import WordWeights
from routebench_routers.confidence import Confidence

# The last leaves the means of the models: right where the text says nothing.
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e6)
# Fewer queries say nothing of a model: one lucky answer would make it the best of all.
_ENOUGH = 20


class Linear:
    """Ridge on sparse TF-IDF of words and word pairs (or on the run's encoder).

    The penalty is tuned on validation. Models with missing cells are fitted on their own rows.
    """

    class Options(BaseModel):
        features: Literal["tfidf", "encoder"] = Field(
            "tfidf", description="sparse word weights, or the vectors of the run's encoder"
        )
        penalty: float | None = Field(
            None, gt=0, description="ridge penalty; tuned on validation if unset"
        )
        max_features: int = Field(50_000, ge=10, description="words and word pairs kept (tfidf)")

    def __init__(self, options: Options) -> None:
        self.options = options
        self._words: WordWeights | None = None
        self._encoder: Any = None
        self._coefficients: Any = None
        self._intercepts: Any = None
        self._chooser: Any = None
        self._confidence = Confidence()

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self._chooser = Chooser.learn(train, context.objective)
        texts = list(train.queries.text)
        if self.options.features == "encoder":
            self._encoder = context.encoder
            features = self._features(texts)
        else:
            self._words = WordWeights(self.options.max_features)
            features = self._words.fit_transform(texts)
        checked = self._features(list(validation.queries.text))
        penalties = (self.options.penalty,) if self.options.penalty else _PENALTIES
        reached, kept = -np.inf, ""
        for step, penalty in enumerate(penalties):
            weights = _ridge(features, train, penalty)
            value = self._chooser.value(_predict(checked, *weights), validation)
            # Of equals the stronger penalty, which is tried later.
            if value >= reached:
                reached, (self._coefficients, self._intercepts) = value, weights
                kept = f"penalty {penalty:g} is kept"
            context.progress((step + 1) / len(penalties), kept)
        expected = _predict(checked, self._coefficients, self._intercepts)
        choice = self._chooser.choose(expected)
        self._confidence = Confidence.learn(expected, choice, validation)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        features = self._features(list(queries.text))
        quality = _predict(features, self._coefficients, self._intercepts)
        chosen = self._chooser.choose(quality)
        return Decisions(chosen, quality=quality, confidence=self._confidence(quality, chosen))

    def save(self, folder: Path) -> None:
        arrays = {"coefficients": self._coefficients, "intercepts": self._intercepts}
        meta: dict[str, Any] = {"chooser": self._chooser.to_json()}
        meta["confidence"] = self._confidence.to_json()
        if self._words is None:
            self._encoder.save(folder / "encoder")
        else:
            meta["words"] = self._words.words
            arrays["idf"] = self._words.idf
        checkpoint.save(folder, meta, arrays)

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._coefficients, self._intercepts = arrays["coefficients"], arrays["intercepts"]
        self._chooser = Chooser.from_json(meta["chooser"])
        self._confidence = Confidence(**meta["confidence"])
        if "words" in meta:
            self._words = WordWeights(self.options.max_features)
            self._words.restore(meta["words"], arrays["idf"])
        else:
            self._encoder = encoders.load(folder / "encoder")

    def _features(self, texts: list[str]) -> Any:
        if self._words is not None:
            return self._words.transform(texts)
        return np.asarray(self._encoder.encode(texts), dtype=np.float64)


def _predict(features: Any, coefficients: Floats, intercepts: Floats) -> Floats:
    quality: Floats = np.asarray(features @ coefficients.T) + intercepts
    return quality


def _ridge(features: Any, train: Table, penalty: float) -> tuple[Floats, Floats]:
    """Coefficients [m, d], intercepts [m]; a model hardly seen gets zeros and the worst score."""
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
