"""Measure points chosen by inner folds where the truth is known and routers are learned.

    python benchmarks/inner_folds.py                 40 worlds of each kind
    python benchmarks/inner_folds.py --worlds 200

The models that decide are not the one that is deployed: it has learned from more, and what it
expects may be spread otherwise. In each world a router is really fitted, on features that tell by
how much the dear one of two models is better. Beside points chosen on validation stand those chosen
on decisions of inner fits, for the refitted router; there the true shortfall of a `same-accuracy`
point must be .2 pp at most, as for all others, else exit code 1. Where the deployed router's
expectations are stretched or shrunk by force, figures are shown and nothing is asked of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from operating_points import GRID, SHORT, Case, gain

from routebench.metrics import curves
from routebench.metrics.points.choose import choose_point
from routebench.metrics.points.point import SAME_ACCURACY
from routebench.records import Floats, Mask

KINDS = ("dear always better", "small gain", "large gain", "a third need it", "both alike")
TRUTH = 10_000
"""Queries that a world's true values are taken on."""


@dataclass(frozen=True)
class LearnedWorld:
    """Queries of two models at 1 and 10 USD, whose difference follows from `WIDTH` features."""

    kind: str
    direction: Floats

    @classmethod
    def of(cls, kind: str, rng: np.random.Generator) -> LearnedWorld:
        direction = rng.standard_normal(WIDTH)
        return cls(kind, direction / np.linalg.norm(direction))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return features [n, WIDTH] and the dear model's true gain [n]."""
        features = rng.standard_normal((n, WIDTH))
        return features, gain(self.kind, features @ self.direction)

    def score(self, better: Floats, rng: np.random.Generator) -> Floats:
        """Return [n, 2] scores; 60% of the queries are right or wrong for both alike."""
        luck = rng.random((2, len(better)))
        luck[1] = np.where(rng.random(len(better)) < 0.6, luck[0], luck[1])
        scored: Floats = (luck < np.stack([0.5 - better / 2, 0.5 + better / 2])).T.astype(float)
        return scored


Fitted = Callable[[Floats], Floats]
"""Returns the expected gain of the dear model [n] for features [n, WIDTH]."""


def ridge(features: Floats, gained: Floats, penalty: float) -> Fitted:
    """Return a ridge regression with an intercept."""
    mean, centre = gained.mean(), features.mean(axis=0)
    x = features - centre
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(WIDTH), x.T @ (gained - mean))
    return lambda asked: mean + (asked - centre) @ weights


def nearest(features: Floats, gained: Floats, k: float) -> Fitted:
    """Return the mean of the k nearest, by the first three features: a router that sees little."""
    from scipy.spatial import cKDTree

    tree = cKDTree(features[:, :3])

    def expected(asked: Floats) -> Floats:
        found = tree.query(asked[:, :3], k=min(int(k), len(features)))[1]
        mean: Floats = gained[found].reshape(len(asked), -1).mean(axis=1)
        return mean

    return expected


LEARNERS: dict[str, tuple[Callable[[Floats, Floats, float], Fitted], tuple[float, ...]]] = {
    "ridge": (ridge, (1.0, 10.0, 100.0, 1000.0, 1e6)),
    "nearest": (nearest, (5, 20, 80)),
}
WIDTH = 20
STRETCHED = (("ridge", 0.7), ("ridge", 1.4))
"""Deployed routers whose expectations differ from those of the inner fits by force."""


def fit_chosen(
    learner: str, features: Floats, score: Floats, held_out: Mask, refit: bool
) -> Fitted:
    """Return a router that chose its setting on the held-out rows, and was refitted if asked."""
    fit, settings = LEARNERS[learner]
    gained = score[:, 1] - score[:, 0]
    made = [fit(features[~held_out], gained[~held_out], setting) for setting in settings]
    rows = np.flatnonzero(held_out)
    reached = [score[rows, (one(features[rows]) > 0).astype(np.int64)].mean() for one in made]
    best = max(range(len(made)), key=lambda at: (reached[at], at))
    return fit(features, gained, settings[best]) if refit else made[best]


def learned_world(
    kind: str, learner: str, n: int, inner_folds: int, stretch: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return true difference, saving and fallback of one `same-accuracy` point.

    With inner folds it is chosen on 4n queries by fits that left them out; without, on n of 4n by
    a fit on the others. `stretch` multiplies what the deployed router expects beyond its mean.
    """
    world, cost = LearnedWorld.of(kind, rng), np.array([1.0, 10.0])
    features, better = world.draw(4 * n, rng)
    score, part = world.score(better, rng), np.arange(4 * n)
    if inner_folds:
        part, expected = part % inner_folds, np.empty(4 * n)
        for fold in range(inner_folds):
            rest = part != fold
            held_out = (part == (fold + 1) % inner_folds)[rest]
            one = fit_chosen(learner, features[rest], score[rest], held_out, refit=True)
            expected[~rest] = one(features[~rest])
        rows, deployed = slice(None), fit_chosen(learner, features, score, part == 0, refit=True)
    else:
        rows, held_out = slice(0, n), part < n
        deployed = fit_chosen(learner, features, score, held_out, refit=False)
        expected = deployed(features)
    quality = np.column_stack([np.zeros(4 * n), expected])[rows]
    lambdas = curves.threshold_grid(quality, cost, GRID)
    choice = curves.sweep(quality, cost, lambdas)
    scored, size = score[rows], len(quality)
    known = Case(
        scored[np.arange(size), choice], cost[choice], scored[:, 1], np.full(size, cost[1])
    )
    at = known.choose(lambda s, c, r, p: choose_point(s, c, r, p, SAME_ACCURACY, None, n))
    if at is None:
        return 0.0, 0.0, 1.0
    asked, truth = world.draw(TRUTH, rng)
    seen = deployed(asked)
    seen = seen.mean() + stretch * (seen - seen.mean())
    cheap = seen <= lambdas[at] * (cost[1] - cost[0])
    return -float((truth * cheap).mean()), 0.9 * float(cheap.mean()), float(not cheap.any())


def learned_worlds(count: int, inner_folds: int) -> bool:
    """Print what inner folds lead to with learned routers; return whether it is bounded."""
    kept = True
    print("| world | router | known | points by | true Δ, pp | saves | falls back |\n"
          "|:--|:--|--:|:--|--:|--:|--:|")  # fmt: skip
    cases = [*((learner, 1.0) for learner in LEARNERS), *STRETCHED]
    for kind in KINDS:
        for learner, stretch in cases:
            for n in (300, 1200):
                for folds in (0, inner_folds) if stretch == 1 else (inner_folds,):
                    made = [
                        learned_world(
                            kind, learner, n, folds, stretch, np.random.default_rng([n, world])
                        )
                        for world in range(count)
                    ]
                    gained, saves, back = np.mean(made, axis=0)
                    error = np.std([one[0] for one in made], ddof=1) / np.sqrt(count)
                    name = learner if stretch == 1 else f"{learner}, stretched {stretch:g}"
                    print(f"| {kind} | {name} | {4 * n:,} | "
                          f"{f'{folds} inner fits' if folds else 'validation'} | "
                          f"{100 * gained:+.2f} ± {100 * error:.2f} | {saves:.0%} | {back:.0%} |",
                          flush=True)  # fmt: skip
                    kept &= gained >= -SHORT or not folds or stretch != 1
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--inner-folds", type=int, default=5, metavar="K")
    given = parser.parse_args()
    sys.exit(not learned_worlds(given.worlds, given.inner_folds))


if __name__ == "__main__":
    main()
