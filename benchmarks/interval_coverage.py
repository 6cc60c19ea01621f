"""Count how often the 95% intervals hold the truth, in simulated worlds whose truth is known.

python benchmarks/interval_coverage.py    1,000 worlds of 1,000 queries; must be 93 to 97%

The crossed case (5 seeds) and the clustered one (200 queries asked by 5 users) are printed as
well. Resampling seeds and queries at once counts the noise between them twice (Owen 2007): the
crossed interval errs on the wide side, so no bound is set for it.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache

import numpy as np

from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.points.point import DEFAULT
from routebench.metrics.predictions import predictions
from routebench.metrics.setting import RouterChoices, Setting
from routebench.metrics.statistics import Interval, interval, proportion_interval
from routebench.records import Outcomes, Pool
from routebench.schema import Estimate

MEASURED = ("apgr", "cpt_50", "mix_lift", "brier", "ece", "savings_at_iso_accuracy", "aiq")
REQUIRED = ("accuracy", "cost", "difference", "apgr", "mix_lift", "savings_at_iso_accuracy")


def independent(rng: np.random.Generator, n: int, resamples: int, seed: int) -> dict[str, bool]:
    """Two routers right on .62 and .58 of queries, correlated; log-normal cost."""
    ease = rng.random(n)
    first = 0.8 * ease + 0.2 * rng.random(n) < 0.62
    second = 0.8 * ease + 0.2 * rng.random(n) < 0.58
    cost = rng.lognormal(sigma=1.0, size=n) * 1e-3
    # P(.8 U + .2 V < t) is t / .8 - .125 on the linear part of the sum's distribution.
    truth = (0.62 / 0.8 - 0.125, np.exp(0.5) * 1e-3, (0.62 - 0.58) / 0.8)
    means = bootstrap_means([first, cost, second], resamples=resamples, seed=seed)
    found = (
        proportion_interval(means[:, 0], n),
        interval(means[:, 1]),
        interval(means[:, 0] - means[:, 2]),
    )
    return {
        name: holds(one, true) for name, one, true in zip(REQUIRED[:3], found, truth, strict=True)
    }


def crossed(rng: np.random.Generator, n: int, resamples: int, seed: int) -> dict[str, bool]:
    """Five seeds whose skill differs by one point, on queries of differing ease."""
    chance = 0.6 + rng.uniform(-0.3, 0.3, n) + rng.normal(0, 0.01, (5, 1))
    right = rng.random((5, n)) < chance
    means = bootstrap_means([right], resamples=resamples, seed=seed)
    return {"accuracy, 5 seeds": holds(interval(means[:, 0]), 0.6)}


def clustered(rng: np.random.Generator, n: int, resamples: int, seed: int) -> dict[str, bool]:
    """Every query asked by five users: rows of a query go together."""
    clusters = np.repeat(np.arange(n // 5), 5)
    right = rng.random(len(clusters)) < rng.uniform(0.2, 1.0, n // 5)[clusters]
    means = bootstrap_means([right], clusters, resamples=resamples, seed=seed)
    return {"accuracy, clustered": holds(interval(means[:, 0]), 0.6)}


def curves(rng: np.random.Generator, n: int, resamples: int, seed: int) -> dict[str, bool]:
    """A pair of models, a router that half knows which one is needed, its frozen threshold.

    Weak is right on .3 + .5z of the queries of ease z, strong on .7 + .2z; the router sees z with
    noise, expects as much, and never says that it is more than .7 sure.
    """
    truth, world = _truths(), _pair(rng, n)
    found = predictions(*world, resamples=min(resamples, 1000), seed=seed)["mine"].metrics
    return {name: _within(found[name], true) for name, true in truth.items()}


@cache
def _truths() -> dict[str, float]:
    """Return the metrics on two million queries."""
    found = predictions(*_pair(np.random.default_rng(1), 2_000_000), resamples=1)["mine"].metrics
    return {name: float(found[name].value or 0.0) for name in MEASURED}


def _pair(rng: np.random.Generator, n: int) -> tuple[Setting, list[RouterChoices]]:
    ease = rng.random(n)
    right = rng.random((n, 2)) < np.column_stack([0.3 + 0.5 * ease, 0.7 + 0.2 * ease])
    cost = np.array([1e-3, 4e-3]) * rng.lognormal(sigma=0.5, size=(n, 2))
    weak, strong = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64)
    seen = np.clip(ease + rng.normal(0, 0.3, n), -0.4, 1.4)
    quality = np.column_stack([0.3 + 0.5 * seen, 0.7 + 0.2 * seen])[None]
    choice = (seen < 0.5).astype(np.int64)[None]
    frozen = (seen < 0.8).astype(np.int64)[None], np.zeros((1, n), dtype=np.bool_)
    outcomes = Outcomes(right.astype(np.float64), np.zeros((n, 2), dtype=np.int8), cost)
    setting = Setting(
        outcomes, Pool(("weak", "strong")), strong, np.arange(n), strong, weak, cost.mean(axis=0)
    )
    swept = np.stack([np.ones((1, n), dtype=np.int64), choice, 0 * choice], axis=1)
    routed = RouterChoices(
        "mine",
        choice,
        quality=quality,
        confidence=np.clip(quality.max(axis=2), 0, 0.7),
        swept=swept,
        points=dict.fromkeys([point.name for point in DEFAULT], frozen),
        lambdas={name: [1.0] for name in [point.name for point in DEFAULT]},
    )
    return setting, [routed]


def _within(found: Estimate, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def coverage(worlds: int, n: int, resamples: int) -> dict[str, float]:
    """Share of worlds in which each interval holds the truth."""
    rng = np.random.default_rng(20240101)
    held: dict[str, int] = {}
    for world in range(worlds):
        for case in (independent, crossed, clustered, curves):
            for name, inside in case(rng, n, resamples, world).items():
                held[name] = held.get(name, 0) + inside
    return {name: count / worlds for name, count in held.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    options = parser.parse_args()
    found = coverage(options.worlds, options.queries, options.resamples)
    for name, share in found.items():
        print(f"{name:24}{share:8.1%}" + ("   must be 93 to 97%" if name in REQUIRED else ""))
    return 0 if all(0.93 <= found[name] <= 0.97 for name in REQUIRED) else 1


if __name__ == "__main__":
    sys.exit(main())
