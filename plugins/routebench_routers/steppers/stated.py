"""Ask models in a row until what is recorded of an answer speaks for it: its own, or a check's."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np

from routebench.bought import Bought, Steps
from routebench.errors import DataError
from routebench.hookspecs import Context, hookimpl
from routebench.records import Floats, Ints, Mask, Pool, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.chains import ChainOptions, Chains, search
from routebench_routers.steppers.lists import useful
from routebench_routers.steppers.recorded import Recorded


class StatedCascade(DeclaredState):
    """A cascade of up to three models, by the probability that an answer is right.

    The probability is a logistic regression on a number that is recorded with each answer, fitted
    by model on training answers. Chains and their thresholds are chosen as `frugal` chooses them.
    A model without such numbers can only be the last.
    """

    column: ClassVar[str]
    """The column of the numbers, by its name in `Bought` and among the suite's options."""
    plural: ClassVar[str]

    Options = ChainOptions
    libraries = ("sklearn.linear_model",)
    deterministic = True
    effort = 1
    options: ChainOptions
    models: Ints
    order: Ints
    calibration: Floats
    """[m, 2] intercept and slope; NaN of a model without such numbers."""
    chains: Chains

    def stated(self, bought: Bought) -> Floats:
        """Return [n, m] the numbers on the scale of the regression; NaN where there are none."""
        raise NotImplementedError

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        return None if self.column in shown else f"needs recorded {self.plural}: {self._hint}"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        recorded, checked = Recorded.of(train), Recorded.of(validation)
        self.order = recorded.order()
        self.models, recorded = recorded.complete(
            useful(recorded.mean_score(), recorded.mean_cost(), self.options.models)
        )
        checked = checked.take(checked.whole(self.models))
        raw = self.stated(recorded.answers)
        if np.isnan(raw).all():
            raise DataError(f"no {self.plural} are recorded", self._hint)
        self.calibration = np.full((raw.shape[1], 2), np.nan)
        for model in self.models:
            if not np.isnan(raw[:, model]).all():
                self.calibration[model] = _calibrated(raw[:, model], recorded.score[:, model])
        together = recorded.followed_by(checked)
        scored = self._scored(together.answers)
        # An answer of which nothing is known is never given before the last.
        some = ~np.isnan(self.calibration[:, 0])
        scored[:, some] = np.nan_to_num(scored[:, some], nan=-1.0)
        self.chains = search(scored, together, self.models, context.trade_offs)

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        return self.chains.steps(trade_off, self._scored(bought), bought, self.order)

    def _scored(self, bought: Bought) -> Floats:
        raw = self.stated(bought)
        calibrated: Floats = 1 / (
            1 + np.exp(-(self.calibration[:, 0] + self.calibration[:, 1] * raw))
        )
        return calibrated

    @property
    def _hint(self) -> str:
        return f"--set table.{self.column}=COLUMN names them"


class SelfConfidence(StatedCascade):
    """Cascades by calibrated confidence (Zellinger et al., arXiv 2501.09345), up to three models.

    A model's recorded confidence p becomes the probability that its answer is right by a logistic
    regression on log(1 / (1 − p)), fitted on training answers. Chains and their thresholds are
    chosen as `frugal` chooses them. A model without confidences can only be the last.

    Deviations: the source tunes thresholds with a Markov-copula model of the calibrated
    confidences; here they are the deciles, compared on training and validation answers. Confidences
    below 0 are taken for log-probabilities.
    """

    family = "see answers"
    column = "confidence"
    plural = "confidences"

    def stated(self, bought: Bought) -> Floats:
        """Return log(1 / (1 − p)) of confidences; of log-probabilities, that of their exponent."""
        given = bought.confidence
        probability = np.where(given < 0, np.exp(np.minimum(given, 0.0)), given)
        transformed: Floats = -np.log1p(-np.clip(probability, 0.0, 1 - 1e-6))
        return transformed


class Verifier(StatedCascade):
    """AutoMix (arXiv 2310.12963): a cheap answer stands where a model that checks it passes it.

    The recorded verification of an answer, the share of k checks that it passed, becomes the
    probability that it is right by a logistic regression on training answers. Up to three models
    are asked in a row, each answer given where that is above a threshold; chains and thresholds are
    chosen as `frugal` chooses them. A model whose answers are not verified can only be the last.

    Deviations: the source asks for the checks itself, with a few-shot prompt; here they are those
    of the table. It has a threshold on the share of passes, which this is, or a POMDP over
    it, which is left out; and two models, or three.
    """

    family = "see answers"
    column = "verification"
    plural = "verifications"

    def stated(self, bought: Bought) -> Floats:
        """Return the share of checks that each answer passed."""
        if bought.verification is None:
            return np.full(bought.asked.shape, np.nan)
        return bought.verification


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
