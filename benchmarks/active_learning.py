"""Measure what picked queries teach a router beside random ones that cost the same.

python benchmarks/active_learning.py TABLE.parquet [--prices FILE] [--seeds 10] [--same-price]

A third of the queries is the test part, 100 others are known, all other cells are hidden. Ten
purchases follow, each a tenth of what a quarter of the hidden queries cost: by picks, or at
random. A router of the 30 nearest neighbours and a linear one learn from what was bought; their
accuracy on the test part stands at equal dollars, with 95% t-intervals of the paired difference
over the seeds. Whether picks help is said of one number, the mean over the ten purchases. With
--same-price every query costs 1, so that nothing is gained by cheap ones.

`planted` and `noise` instead of a table: a world in which most queries teach nothing (one model is
always right there) and the others lie in groups with a best model each; and one in which no text
says anything.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from routebench.active.ensemble import features
from routebench.active.picks import expected_usd, pick

KNOWN = 100
STEPS = 10
SHARE = 0.25
"""Of the hidden queries' cost, that is spent."""


@dataclass(frozen=True)
class World:
    """All outcomes of a table, with vectors of the texts."""

    vectors: np.ndarray
    score: np.ndarray
    usd: np.ndarray
    length: np.ndarray


def main() -> None:
    """Print the curves of every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("--prices")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--same-price", action="store_true")
    asked = parser.parse_args()
    made_up = {"planted": planted, "noise": noise}
    world = (
        made_up[asked.table]() if asked.table in made_up else of_table(asked.table, asked.prices)
    )
    if asked.same_price:
        world = replace(world, usd=np.ones(len(world.usd)))
    found = curves(world, asked.seeds)
    for router, rows in found.items():
        print(f"{router}: USD, random, picked, difference in pp, t-interval, queries bought")
        for row in rows[:-1]:
            print("  {usd:.3f} {random:.2f} {picked:.2f} {value:+.2f} [{low:+.2f}, {high:+.2f}]"
                  " {bought_random:.0f} {bought_picked:.0f}".format(**row))  # fmt: skip
        print(f"  {sentence(rows)}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def of_table(path: str, prices: str | None) -> World:
    """Return the queries of a table that all models have answered."""
    from routebench.config import make
    from routebench.loading import load_data
    from routebench.plugin import discovery
    from routebench.prices import listed
    from routebench.prices.apply import price

    data = load_data(make({"suite": f"table:{path}"}))
    data, _ = price(data, listed.for_run(prices, data)[0])
    whole = np.flatnonzero(data.outcomes.ok.all(axis=1))
    texts = [str(text) for text in data.queries.text[whole]]
    plugin = discovery.load(discovery.find("encoder", "tfidf-svd"))
    encoder = plugin(plugin.Options(dimension=64))
    encoder.fit(texts)
    assert data.outcomes.cost is not None
    usd = data.outcomes.cost[whole].sum(axis=1)
    length = np.array([float(len(text)) for text in texts])
    return World(encoder.encode(texts), data.outcomes.score[whole], usd, length)


def planted(n: int = 3_000, seed: int = 0) -> World:
    """Return a world of which four fifths teach nothing: all models are right there."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 0.8, 0, rng.integers(1, 31, n))
    centres = rng.standard_normal((31, 64))
    vectors = centres[group] + 0.5 * rng.standard_normal((n, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    best = rng.integers(0, 6, 31)
    right = np.where(np.arange(6) == best[group][:, None], 0.9, 0.3)
    score = np.where(group[:, None] == 0, 1.0, rng.random((n, 6)) < right)
    return World(vectors, score.astype(float), np.ones(n), np.ones(n))


def noise(n: int = 3_000, seed: int = 0) -> World:
    """Return a world in which vectors say nothing of scores."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    score = (rng.random((n, 6)) < np.linspace(0.4, 0.6, 6)).astype(float)
    return World(vectors, score, np.ones(n), np.ones(n))


def curves(world: World, seeds: int) -> dict[str, list[dict[str, float]]]:
    """Return accuracy against dollars of both ways, by router."""
    made = [[bought(world, seed, way) for way in ("random", "picked")] for seed in range(seeds)]
    found = np.array(made)  # seed, way, step, (usd, queries, a router each)
    names = ("knn", "linear")
    # Each purchase, then the mean over all but the first, which is none.
    shown = [*np.moveaxis(found, 2, 0), found[:, :, 1:].mean(axis=2)]
    return {name: [point(one, 2 + place) for one in shown] for place, name in enumerate(names)}


def point(found: np.ndarray, column: int) -> dict[str, float]:
    """Return one point of a curve; `found` is [seed, way, column]."""
    from scipy import special

    difference = 100 * (found[:, 1, column] - found[:, 0, column])
    seeds = len(difference)
    error = difference.std(ddof=1) / np.sqrt(seeds)
    half = float(special.stdtrit(seeds - 1, 0.975)) * error
    value = float(difference.mean())
    return {
        "usd": float(found[:, :, 0].mean()),
        "random": 100 * float(found[:, 0, column].mean()),
        "picked": 100 * float(found[:, 1, column].mean()),
        "value": value,
        "low": value - half,
        "high": value + half,
        "bought_random": float(found[:, 0, 1].mean()),
        "bought_picked": float(found[:, 1, 1].mean()),
    }


def bought(world: World, seed: int, way: str) -> list[list[float]]:
    """Return dollars, queries and accuracies of one seed after every purchase."""
    order = np.random.default_rng(seed).permutation(len(world.score))
    test, rest = np.split(order, [len(order) // 3])
    known, pool = np.split(rest, [KNOWN])
    x, rng = features(world.vectors), np.random.default_rng([seed, 1])
    step, spent, allowed = SHARE * world.usd[pool].sum() / STEPS, 0.0, 0.0
    rows = [[0.0, 0.0, *accuracies(world, x, known, test)]]
    for _ in range(STEPS):
        allowed += step
        usd = expected_usd(world.length[known], world.usd[known], world.length[pool])
        if way == "picked":
            at = pick(x[known], world.score[known], x[pool], usd, allowed - spent, rng)
        else:
            at = rng.permutation(len(pool))
        # What was reckoned with is not what it costs: bought is what the money lasts for.
        at = at[np.cumsum(world.usd[pool[at]]) <= allowed - spent]
        spent += world.usd[pool[at]].sum()
        known, pool = np.concatenate([known, pool[at]]), np.delete(pool, at)
        rows.append([spent, float(len(known) - KNOWN), *accuracies(world, x, known, test)])
    return rows


def accuracies(world: World, x: np.ndarray, known: np.ndarray, test: np.ndarray) -> list[float]:
    """Return the accuracy on the test part of both routers."""
    near = world.vectors[test] @ world.vectors[known].T
    at = np.argpartition(-near, min(30, len(known) - 1), axis=1)[:, :30]
    size = 30 * np.eye(x.shape[1])
    weights = np.linalg.solve(x[known].T @ x[known] + size, x[known].T @ world.score[known])
    quality = [world.score[known][at].mean(axis=1), x[test] @ weights]
    rows = np.arange(len(test))
    return [float(world.score[test][rows, one.argmax(axis=1)].mean()) for one in quality]


def sentence(rows: list[dict[str, float]]) -> str:
    """Say whether picks helped, on the mean over the purchases."""
    mean = rows[-1]
    how = "helped" if mean["low"] > 0 else "did harm" if mean["high"] < 0 else "no proof of help"
    return f"{how}: {mean['value']:+.2f} pp [{mean['low']:+.2f}, {mean['high']:+.2f}]"


if __name__ == "__main__":
    main()
