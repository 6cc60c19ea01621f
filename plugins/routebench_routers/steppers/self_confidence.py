"""Ask models in a row until one is confident enough in its own answer."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from pydantic import BaseModel, Field

from routebench.bought import Bought, Steps
from routebench.errors import DataError
from routebench.hookspecs import Context, hookimpl
from routebench.records import Floats, Ints, Mask, Pool, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.chains import Chains, search
from routebench_routers.steppers.lists import useful
from routebench_routers.steppers.recorded import Recorded

_HINT = "--set table.confidence=COLUMN names them"


class SelfConfidence(DeclaredState):
    """Cascades by calibrated confidence (Zellinger et al., arXiv 2501.09345), up to three models.

    A model's recorded confidence p becomes the probability that its answer is right by a logistic
    regression on log(1 / (1 − p)), fitted on training answers. Chains and their thresholds are
    chosen as `frugal` chooses them. A model without confidences can only be the last.

    Deviations: the source tunes thresholds with a Markov-copula model of the calibrated
    confidences; here they are the deciles, compared on training and validation answers. Confidences
    below 0 are taken for log-probabilities.
    """

    family = "see answers"

    class Options(BaseModel):
        models: int = Field(6, ge=1, le=10, description="models considered, by Pareto fronts")

    libraries = ("sklearn.linear_model",)
    deterministic = True
    effort = 1
    options: Options
    models: Ints
    order: Ints
    calibration: Floats
    """[m, 2] intercept and slope; NaN of a model without confidences."""
    chains: Chains

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        return None if "confidence" in shown else f"needs recorded confidences: {_HINT}"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        recorded, checked = Recorded.of(train), Recorded.of(validation)
        self.order = recorded.order()
        self.models, recorded = recorded.complete(
            useful(recorded.mean_score(), recorded.mean_cost(), self.options.models)
        )
        checked = checked.take(checked.whole(self.models))
        raw = _transformed(recorded.answers.confidence)
        if np.isnan(raw).all():
            raise DataError("no confidences are recorded", _HINT)
        self.calibration = np.full((raw.shape[1], 2), np.nan)
        for model in self.models:
            if not np.isnan(raw[:, model]).all():
                self.calibration[model] = _calibrated(raw[:, model], recorded.score[:, model])
        together = recorded.followed_by(checked)
        scored = self._scored(together.answers)
        # An answer without a confidence is never given before the last.
        some = ~np.isnan(self.calibration[:, 0])
        scored[:, some] = np.nan_to_num(scored[:, some], nan=-1.0)
        self.chains = search(scored, together, self.models, context.trade_offs)

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        return self.chains.steps(trade_off, self._scored(bought), bought, self.order)

    def _scored(self, bought: Bought) -> Floats:
        raw = _transformed(bought.confidence)
        calibrated: Floats = 1 / (
            1 + np.exp(-(self.calibration[:, 0] + self.calibration[:, 1] * raw))
        )
        return calibrated


def _transformed(confidence: Floats) -> Floats:
    """Return log(1 / (1 − p)) of confidences; of log-probabilities, that of their exponential."""
    probability = np.where(confidence < 0, np.exp(np.minimum(confidence, 0.0)), confidence)
    transformed: Floats = -np.log1p(-np.clip(probability, 0.0, 1 - 1e-6))
    return transformed


def _calibrated(raw: Floats, score: Floats) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of scores in [0, 1]."""
    from sklearn.linear_model import LogisticRegression

    known: Mask = ~np.isnan(raw)
    x, y = raw[known], np.clip(score[known], 0.0, 1.0)
    if min(y.sum(), (1 - y).sum()) < 1:
        return float(np.log((y.mean() + 1e-3) / (1 - y.mean() + 1e-3))), 0.0
    fitted = LogisticRegression(C=100.0).fit(
        np.concatenate([x, x])[:, None],
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([y, 1 - y]),
    )
    return float(fitted.intercept_[0]), float(fitted.coef_[0, 0])
