"""Agreement of two judges: Cohen's kappa, confusion of grades, and models they favour.

Intervals are 95% percentile bootstraps over questions: answers to one question are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.metrics.bootstrap import bootstrap_means
from routebench.records import Codes, Floats, Grade, Ints, Strings

STATES = tuple(grade.name for grade in (Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED))
RIGHT = ("CORRECT", "NOT CORRECT")
"""Labels where one of the two has scores only."""


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A value with its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two judges on the same n answers."""

    n: int
    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    """[labels, labels] answers by the first judge's grade (row) and the second one's (column)."""
    agreement: IntervalEstimate
    """Share of answers with the same grade."""
    kappa: IntervalEstimate
    """Cohen's kappa; not defined where both give one grade only."""
    undefined: float
    """Share of resamples in which kappa is not defined."""


@dataclass(frozen=True, slots=True)
class ModelAgreement:
    """Two judges on the answers of one model."""

    model: str
    n: int
    agreement: float
    kappa: float | None
    first: float
    """Share of answers that the first judge calls correct."""
    second: float
    favour: IntervalEstimate
    """How much more of this model's answers than of all models', on average, the second judge
    calls correct beyond the first one: what moves a model among the others. Its interval holds
    for all models at once (Bonferroni)."""

    @property
    def favoured(self) -> bool:
        """Return whether the interval excludes zero."""
        low, high = self.favour.low, self.favour.high
        return low is not None and high is not None and (low > 0 or high < 0)


def agreement(
    first: Codes | Ints,
    second: Codes | Ints,
    labels: tuple[str, ...],
    questions: Ints,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Agreement:
    """Compare grades, codes into `labels`; `questions` says which answers are drawn together.

    Raises:
        ValueError: for no answers, or of different numbers.
    """
    from sklearn.metrics import confusion_matrix

    if not len(first) or not len(first) == len(second) == len(questions):
        raise ValueError(f"{len(first)} and {len(second)} grades of {len(questions)} answers")
    k = len(labels)
    table = confusion_matrix(first, second, labels=range(k))
    cells = [((first == i) & (second == j)).astype(np.uint8) for i in range(k) for j in range(k)]
    drawn = bootstrap_means(cells, questions, resamples=resamples, seed=seed)
    drawn = drawn.reshape(-1, k, k)
    same = np.trace(drawn, axis1=1, axis2=2) / drawn.sum(axis=(1, 2))
    kappas = _kappas(drawn)
    return Agreement(
        n=len(first),
        labels=labels,
        table=tuple(tuple(int(n) for n in row) for row in table),
        agreement=_interval(float(np.mean(first == second)), same),
        kappa=_interval(kappa(first, second), kappas),
        undefined=float(np.isnan(kappas).mean()),
    )


def kappa(first: Codes | Ints, second: Codes | Ints) -> float | None:
    """Return Cohen's kappa; None where chance alone would make them agree on everything."""
    from sklearn.metrics import cohen_kappa_score

    if len(first) and len(np.unique(np.concatenate([first, second]))) > 1:
        return float(cohen_kappa_score(first, second))
    return None


def by_model(
    models: Strings | Sequence[str],
    first: Codes | Ints,
    second: Codes | Ints,
    questions: Ints,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[ModelAgreement]:
    """Compare the judges model by model, in name order. Grade 0 is correct; all others are not."""
    named = np.asarray(models, dtype=object)
    names = sorted(set(named.tolist()))
    of = np.array([names.index(name) for name in named.tolist()])
    extra = (second == 0).astype(np.int8) - (first == 0)
    columns = [column for m in range(len(names)) for column in ((of == m) * extra, of == m)]
    drawn = bootstrap_means(
        [column.astype(np.float64) for column in columns], questions, resamples=resamples, seed=seed
    )
    favours = _favours(drawn[:, ::2], drawn[:, 1::2])
    point = _favours(*(np.array([[c.mean() for c in columns[s::2]]]) for s in (0, 1)))[0]
    agreements = []
    for m, name in enumerate(names):
        one, other = first[of == m], second[of == m]
        agreements.append(
            ModelAgreement(
                name,
                int((of == m).sum()),
                float(np.mean(one == other)),
                kappa(one, other),
                float(np.mean(one == 0)),
                float(np.mean(other == 0)),
                _interval(float(point[m]), favours[:, m], alpha=0.05 / len(names)),
            )
        )
    return agreements


def _favours(extra: Floats, size: Floats) -> Floats:
    """Return [B, M] a model's mean difference, less the mean of all models'."""
    with np.errstate(invalid="ignore", divide="ignore"):
        each = extra / size  # a model without any answer in a resample has none
    known = np.where(np.isnan(each), 0.0, each)
    counted = np.maximum((~np.isnan(each)).sum(axis=1, keepdims=True), 1)
    favour: Floats = each - known.sum(axis=1, keepdims=True) / counted
    return favour


def _kappas(tables: Floats) -> Floats:
    """Return [B] kappa of each of B confusion tables, in counts or shares; NaN where undefined."""
    total = tables.sum(axis=(1, 2))
    same = np.trace(tables, axis1=1, axis2=2) / total
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / total**2
    with np.errstate(invalid="ignore", divide="ignore"):
        # Sums of shares may miss 1 by a rounding error.
        kappas: Floats = np.where(chance < 1 - 1e-12, (same - chance) / (1 - chance), np.nan)
    return kappas


def _interval(value: float | None, samples: Floats, alpha: float = 0.05) -> IntervalEstimate:
    known = samples[~np.isnan(samples)]
    if value is None or math.isnan(value) or not len(known):
        return IntervalEstimate(value=None if value is None or math.isnan(value) else value)
    low, high = np.quantile(known, [alpha / 2, 1 - alpha / 2])
    return IntervalEstimate(value, float(low), float(high))
