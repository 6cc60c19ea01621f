"""Metrics of a router's predicted quality: curves, operating points, calibration, stability.

All values are means over seeds; all intervals come from the same resamples of the queries, with
seeds drawn as well from three on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from routebench.metrics import calibration, curves
from routebench.metrics.bootstrap import (
    CROSSED_SEEDS,
    Bytes,
    Sample,
    each_once,
    means_of,
    remembered,
    resampled_counts,
    seed_weights,
)
from routebench.metrics.curves import PairCurve
from routebench.metrics.estimates import UNPRICED, estimate, null
from routebench.metrics.facets import rows_by_value
from routebench.metrics.headroom import ChosenCells
from routebench.metrics.points.judge import SAVINGS
from routebench.metrics.points.results import REFERENCE, covered_rows
from routebench.metrics.setting import RouterChoices, Setting
from routebench.plugin.selection import COVERED
from routebench.records import Floats, Ints, Mask
from routebench.schema import CurvePoint, Estimate

RESAMPLES = 1000
LEVELS = {"cpt_50": 0.5, "cpt_80": 0.8}
PAIR = ("apgr", *LEVELS)
SWEPT = ("aiq", "qnc")
CALIBRATION = ("brier", "ece", "aurc")

NO_QUALITY = "the router expects nothing of the models"
NO_PAIR = "no weak and strong model are known"
NOT_CONSIDERED = "the router does not consider the weak or the strong model"
NO_CONFIDENCE = "the router returns no confidence"
NOT_PERTURBED = "no perturbed queries were asked"
HOLES = "models it considers have no answer on most test queries"
UNREACHED = "the level is never reached, or strong is no better than weak"
NO_SPREAD = "all models cost the same"
NO_MIX = "the router's cost is not between those of the weak and the strong model"
NEVER_AS_GOOD = "no operating point is as accurate as the best single model"


@dataclass(frozen=True)
class Predictions:
    """One router's part of the board."""

    metrics: dict[str, Estimate]
    curve: list[CurvePoint] = field(default_factory=list)
    by_task: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    pair: tuple[str, str] | None = None
    """Weak and strong model, where they are the same in all folds."""


def predictions(
    setting: Setting, routed: Iterable[RouterChoices], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Predictions]:
    """Return predictions by router; `setting` and `routed` hold the scored queries only."""
    counts = resampled_counts(setting.clusters, resamples, seed)
    tasks = _tasks(setting, resamples, seed)
    return {one.name: _ResampledQueries(setting, counts, seed, tasks).of(one) for one in routed}


def reference_curves(
    setting: Setting, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """Return APGR and CPT of a coin toss (exactly .5) and of the perfect router of the pair."""
    if setting.cheapest is None or setting.most_expensive is None:
        return {}
    outcomes, rows = setting.outcomes, np.arange(len(setting.best_single))
    weak, strong = (outcomes.score[rows, at] for at in (setting.cheapest, setting.most_expensive))
    counts = resampled_counts(setting.clusters, resamples, seed)
    resampled = _ResampledQueries(setting, counts, seed, {})
    needs = {"random": np.zeros(len(rows)), "oracle": strong - weak}
    perfect = {name: PairCurve.of(need, weak, strong) for name, need in needs.items()}
    return {name: resampled.pair_metrics([curve], counts) for name, curve in perfect.items()}


def _tasks(setting: Setting, resamples: int, seed: int) -> dict[str, tuple[Ints, Bytes]]:
    """Return the rows of each task, and resamples drawn within it; none of too many tasks."""
    tasks = {}
    by_task = rows_by_value(setting.facets.get("task")) or {}
    for stream, (name, mask) in enumerate(by_task.items(), 1):
        rows = np.flatnonzero(mask)
        tasks[name] = rows, resampled_counts(setting.clusters[rows], resamples, seed, stream)
    return tasks


@dataclass(frozen=True)
class _ResampledQueries:
    """The queries and their resamples, shared by all routers."""

    setting: Setting
    counts: Bytes
    """[B, n]."""
    seed: int
    tasks: dict[str, tuple[Ints, Bytes]]

    def of(self, one: RouterChoices) -> Predictions:
        found = self.measured(one)
        weak, strong = self.ends(one)
        if one.reference or weak is None or strong is None:
            return found
        if (weak != weak[0]).any() or (strong != strong[0]).any():
            return found
        models = self.setting.pool.models
        return replace(found, pair=(models[weak[0]], models[strong[0]]))

    def measured(self, one: RouterChoices) -> Predictions:
        metrics = self.stability(one) | self.calibrated(one) | {"mix_lift": self.mix_lift(one)}
        by_task = {}
        pair, reason = self.pair(one)
        if pair is None:
            metrics |= {name: null(reason) for name in PAIR}
        else:
            rows = self.usable(one, pair)
            metrics |= self.pair_on(one, pair, rows, self.drawn(rows))
            by_task = {
                task: self.pair_on(one, pair, at[rows[at]], drawn[:, rows[at]])
                for task, (at, drawn) in self.tasks.items()
            }
        if one.swept is None:
            reason = NO_QUALITY if one.quality is None else UNPRICED
            metrics |= {name: null(reason) for name in (*SWEPT, *SAVINGS)}
            return Predictions(metrics, by_task=by_task)
        rows = self.usable(one, None)
        if rows.mean() < COVERED:
            metrics |= {name: null(HOLES) for name in (*SWEPT, *SAVINGS)}
            return Predictions(metrics, by_task=by_task)
        swept, curve = self.swept(one, rows)
        return Predictions(metrics | swept, curve, by_task)

    def estimate(
        self, sample: Sample, seeds: int, n: int, counts: Bytes, reason: str = "", exact: int = 0
    ) -> Estimate:
        """Return a statistic's mean over seeds, on all queries and on every resample."""
        value, samples = self.sampled(sample, seeds, n, counts)
        return estimate(value, samples, reason, ratio=bool(reason), exact=exact)

    def sampled(self, sample: Sample, seeds: int, n: int, counts: Bytes) -> tuple[float, Floats]:
        """Return the point value, and the [B] resampled ones."""
        value = np.mean([sample(s, each_once(n))[0] for s in range(seeds)])
        drawn = np.stack([sample(s, counts) for s in range(seeds)], axis=1)
        if seeds >= CROSSED_SEEDS:
            samples = (drawn * seed_weights(seeds, len(counts), self.seed)).sum(axis=1)
        else:
            samples = drawn.mean(axis=1)
        return float(value), samples

    def drawn(self, rows: Mask) -> Bytes:
        """Return [B, k] how often the given queries are drawn."""
        return self.counts if rows.all() else self.counts[:, rows]

    def independent(self, rows: Mask) -> int:
        """Return the number of queries that were drawn independently of each other."""
        return len(np.unique(self.setting.clusters[rows]))

    def pair(self, one: RouterChoices) -> tuple[tuple[Ints, Ints] | None, str]:
        """Return weak and strong model [n] each, or why there are none."""
        if one.quality is None:
            return None, NO_QUALITY
        weak, strong = self.ends(one)
        if weak is None or strong is None:
            return None, NO_PAIR
        rows = np.arange(len(weak))
        # In every seed and fold: jobs may consider different models.
        if np.isnan(one.quality[:, rows, weak] + one.quality[:, rows, strong]).any():
            return None, NOT_CONSIDERED
        if self.usable(one, (weak, strong)).mean() < COVERED:
            return None, HOLES
        return (weak, strong), ""

    def ends(self, one: RouterChoices) -> tuple[Ints, Ints] | tuple[None, None]:
        """Return the router's own two models [n] each, else the cheapest and the most expensive."""
        weak, strong = one.pair or (self.setting.cheapest, self.setting.most_expensive)
        if weak is None or strong is None or (weak == strong).any():
            return None, None
        return weak, strong

    def usable(self, one: RouterChoices, pair: tuple[Ints, Ints] | None) -> Mask:
        """Mask [n] queries answered by the pair, or by all models considered and the references."""
        ok, rows = self.setting.outcomes.ok, np.arange(len(self.setting.best_single))
        if pair is not None:
            both: Mask = ok[rows, pair[0]] & ok[rows, pair[1]]
            return both
        return covered_rows(self.setting, one)

    def pair_on(
        self, one: RouterChoices, pair: tuple[Ints, Ints], rows: Mask | Ints, counts: Bytes
    ) -> dict[str, Estimate]:
        """Return APGR and CPT on some of the queries."""
        assert one.quality is not None
        at = np.arange(len(self.setting.best_single))[rows]
        weak, strong = pair[0][rows], pair[1][rows]
        score, expected = self.setting.outcomes.score, one.quality
        made = [
            PairCurve.of(
                expected[s, at, strong] - expected[s, at, weak],
                score[at, weak],
                score[at, strong],
            )
            for s in range(len(expected))
        ]
        return self.pair_metrics(made, counts)

    def pair_metrics(self, by_seed: list[PairCurve], counts: Bytes) -> dict[str, Estimate]:
        measures = remembered(lambda s, c: by_seed[s].measures(tuple(LEVELS.values()), c))
        seeds, n = len(by_seed), counts.shape[1]
        estimates = {}
        for column, name in enumerate(PAIR):

            def sample(seed: int, drawn: Bytes, column: int = column) -> Floats:
                return measures(seed, drawn)[:, column]

            estimates[name] = self.estimate(sample, seeds, n, counts, UNREACHED)
        return estimates

    def mix_lift(self, one: RouterChoices) -> Estimate:
        """Return the accuracy above that of mixing weak and strong at random for the same money."""
        outcomes, (weak, strong) = self.setting.outcomes, self.ends(one)
        if outcomes.cost is None:
            return null(UNPRICED)
        if one.reference:
            return null(REFERENCE)
        if weak is None or strong is None:
            return null(NO_PAIR)
        rows = self.usable(one, (weak, strong))
        if rows.mean() < COVERED:
            return null(HOLES)
        counts, at = self.drawn(rows), np.arange(len(rows))
        ends = [m[at, end] for end in (weak, strong) for m in (outcomes.score, outcomes.cost)]

        means = means_of(
            (
                np.stack([*self.paid(one, choice, seed), *ends])[:, rows]
                for seed, choice in enumerate(one.choice)
            ),
            counts,
        )

        def sample(seed: int, drawn: Bytes) -> Floats:
            return curves.mix_lift(*means(seed, drawn).T)

        return self.estimate(sample, len(one.choice), int(rows.sum()), counts, NO_MIX)

    def paid(self, one: RouterChoices, choice: Ints, seed: int) -> tuple[Floats, Floats]:
        """Return the score and all-in cost of choices [..., n]."""
        cells = ChosenCells.of(self.setting.outcomes, choice)
        assert cells.cost is not None
        routing = one.router_cost
        return cells.score, cells.cost if routing is None else cells.cost + routing[seed]

    def paid_fixed(self, model: Ints | int) -> tuple[Floats, Floats]:
        """Return the score and cost [n] of fixed models, which have no cost of routing."""
        at, outcomes = np.arange(len(self.setting.best_single)), self.setting.outcomes
        assert outcomes.cost is not None
        return outcomes.score[at, model], outcomes.cost[at, model]

    def swept(self, one: RouterChoices, rows: Mask) -> tuple[dict[str, Estimate], list[CurvePoint]]:
        """Return AIQ and QNC, and the points they are made of."""
        assert one.swept is not None
        seeds, steps = one.swept.shape[:2]
        n, counts = int(rows.sum()), self.drawn(rows)
        means = means_of((self.trade_offs(one, s)[:, rows] for s in range(seeds)), counts)
        single = 2 * steps + 3

        def aiq(seed: int, drawn: Bytes) -> Floats:
            m = means(seed, drawn)
            low, c_min, c_max = m[:, 2 * steps], m[:, 2 * steps + 1], m[:, 2 * steps + 2]
            cost = np.column_stack([m[:, steps : 2 * steps], c_min])
            return curves.aiq(cost, np.column_stack([m[:, :steps], low]), c_min, c_max)

        def qnc(seed: int, drawn: Bytes) -> Floats:
            m = means(seed, drawn)
            best = m[:, single], m[:, single + 1]
            return curves.qnc(m[:, steps : 2 * steps], m[:, :steps], *best)

        estimates = {
            "aiq": self.estimate(aiq, seeds, n, counts, NO_SPREAD),
            "qnc": self.estimate(qnc, seeds, n, counts, NEVER_AS_GOOD),
        }
        point = np.mean([means(s, each_once(n))[0] for s in range(seeds)], axis=0)
        curve = [
            CurvePoint(accuracy=float(point[i]), total_cost_per_1k=1000 * float(point[steps + i]))
            for i in range(steps)
        ]
        return estimates, curve

    def trade_offs(self, one: RouterChoices, seed: int) -> Floats:
        """Return columns [k, n] of scores and of costs.

        All scores of the sweep, then its costs; the cheapest model's score and cost, the dearest
        one's cost, and the best single model's score and cost.
        """
        assert one.swept is not None
        cheap, dear = (self.paid_fixed(model) for model in self.setting.cost_bounds)
        single = self.paid_fixed(self.setting.best_single)
        ends = np.stack([*cheap, dear[1], *single])
        return np.concatenate([*self.paid(one, one.swept[seed], seed), ends])

    def calibrated(self, one: RouterChoices) -> dict[str, Estimate]:
        """Return Brier score, calibration error, area under the risk–coverage curve."""
        if one.confidence is None:
            return {name: null(NO_CONFIDENCE) for name in CALIBRATION}
        scores = [ChosenCells.of(self.setting.outcomes, choice).score for choice in one.choice]
        stated = one.confidence
        ranked = [calibration.RiskCoverage.of(*each) for each in zip(stated, scores, strict=True)]
        samples: dict[str, Sample] = {
            "brier": lambda s, c: calibration.brier(stated[s], scores[s], c),
            "aurc": lambda s, c: ranked[s].area(c),
        }
        n = len(scores[0])
        estimates = {
            name: self.estimate(sample, len(scores), n, self.counts)
            for name, sample in samples.items()
        }
        value, drawn = self.sampled(
            lambda s, c: calibration.ece(stated[s], scores[s], c), len(scores), n, self.counts
        )
        error = estimate(value, calibration.reflected(value, drawn))
        # The observed value is biased upwards, but the interval must contain it.
        estimates["ece"] = error.model_copy(update={"high": max(error.high or 0.0, value)})
        return estimates

    def stability(self, one: RouterChoices) -> dict[str, Estimate]:
        """Return the share of decisions that perturbing the query does not change."""
        if one.stable is None or np.isnan(one.stable).all():
            return {"stability": null(NOT_PERTURBED)}
        perturbed: Mask = ~np.logical_and.reduce(np.isnan(one.stable), axis=0)
        stable, counts = one.stable[:, perturbed], self.drawn(perturbed)

        means = means_of(stable[:, None], counts)

        def sample(seed: int, drawn: Bytes) -> Floats:
            return means(seed, drawn)[:, 0]

        exact = self.independent(perturbed)
        return {
            "stability": self.estimate(sample, len(stable), int(perturbed.sum()), counts, "", exact)
        }
