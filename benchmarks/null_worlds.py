"""Routers on pure noise: outcomes shuffled across queries, so that no text tells anything.

In every world all routers are fitted, routed and compared with best-single as in a real run, but
in this process. Prints how often each is called better (one-sided, before adjustment), pooled
over routers, against the promised bound of 2.5% plus three binomial standard errors. With
`--planted` the outcomes follow a rule in the text instead, and the share of the gap between
best-single and oracle that each router recovers is printed; the bound is 80%, and 95% of what the
rule itself recovers for knn, linear, mf and ensemble. (Being lucky on a topic that is not its own,
a model adds to the oracle what no rule knows.)
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.board.build import score
from routebench.data.long_table import from_long
from routebench.data.splits import make_split
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin import discovery

ROUTERS = (
    *("knn", "linear", "mf", "prompt-length", "task-prior"),
    *("ensemble", "task-posterior", "by-task"),
)
PAIRED = ("hybrid-deterministic", "hybrid-probabilistic", "hybrid-transformed")
"""Routers of two models: in worlds that have no more, as they cannot close the gap of others."""
STRICT = ("knn", "linear", "mf", "ensemble")
LEARNED = (*STRICT, "task-posterior", "by-task", *PAIRED)
TOPICS = ("equation algebra", "poem rhyme verse", "python function loop", "river capital border")
FILLER = ("please", "tell", "about", "the", "way", "this", "works", "why", "some", "think", "over")


def world(seed: int, n: int, planted: bool, models: str = "abcd") -> pa.Table:
    """n queries × models. Planted: each is right on its own topics. Noise: rows are shuffled."""
    m = len(models)
    rng = np.random.default_rng(seed)
    topic = rng.integers(4, size=n)
    texts = []
    for kind in topic:
        words = [*rng.choice(FILLER, 8), *rng.choice(TOPICS[kind].split(), 2)]
        words.append(f"n{rng.integers(10**9)}")
        texts.append(" ".join(rng.permutation(words)))
    # Equally good models are the hardest noise: choosing among them at random costs nothing.
    base = 0.2 if planted else 0.4
    right = rng.random((n, m)) < np.where(topic[:, None] % m == np.arange(m), 0.95, base)
    if not planted:
        right = right[rng.permutation(n)]
    return pa.table(
        {
            "query_id": np.repeat([f"q{i}" for i in range(n)], m),
            "query": np.repeat(np.array(texts, dtype=object), m),
            "task": np.repeat(np.array(TOPICS, dtype=object)[topic], m),
            "model": np.tile(list(models), n),
            "score": right.reshape(-1).astype(float),
        }
    )


def rows(
    table: pa.Table, seed: int, resamples: int, routers: tuple[str, ...], **options: Any
) -> dict[str, object]:
    """The board's scores of some routers in one world."""
    data = from_long(
        table, name="world", source="simulated", place="world", visible=frozenset({"task"})
    )
    setup = Setup(data, make_split(data, "hash", seed=seed), "tfidf-svd", {})
    jobs = [Job(n, discovery.find("router", n), options, seed, 0, "") for n in routers]
    results = {job: run_here(job, setup, lambda done, note: None) for job in jobs}
    return dict(score(setup, [], results, resamples).evaluation.routers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--planted", action="store_true")
    given = parser.parse_args()
    better: dict[str, int] = defaultdict(int)
    recovered: dict[str, list[float]] = defaultdict(list)
    for seed in range(given.worlds):
        everyone = world(seed, given.queries, given.planted)
        two = world(seed, given.queries, given.planted, "ab")
        found = rows(everyone, seed, given.resamples, ROUTERS)
        # Their default threshold saves cost, where these worlds have none.
        pair = {"small": "a", "large": "b", "threshold": 0.5}
        found |= rows(two, seed, given.resamples, PAIRED, **pair)
        for name, scores in found.items():
            difference = scores.against["best-single"]["accuracy"]  # type: ignore[attr-defined]
            better[name] += difference.value > 0 and difference.p_raw / 2 < 0.025
            gap = scores.metrics["gap_recovered"].value  # type: ignore[attr-defined]
            recovered[name].append(np.nan if gap is None else gap)
    total = given.worlds * len(ROUTERS + PAIRED)
    pooled = sum(better.values()) / total
    for name in ROUTERS + PAIRED:
        print(
            f"{name:<20} better than best-single in {better[name] / given.worlds:6.1%} of worlds, "
            f"recovers {np.nanmean(recovered[name]):6.1%} of the gap"
        )
    if given.planted:
        means = {name: float(np.nanmean(recovered[name])) for name in LEARNED}
        # task-prior knows the rule: the topic.
        rule = float(np.nanmean(recovered["task-prior"]))
        strict = min(means[name] for name in STRICT) / rule
        print(f"{strict:.1%} of what the rule recovers, at least (bound 95%)")
        sys.exit(int(min(means.values()) < 0.8 or strict < 0.95))
    bound = 0.025 + 3 * np.sqrt(0.025 * 0.975 / total)
    print(f"pooled {pooled:.2%} of {total} (bound {bound:.2%})")
    sys.exit(int(pooled > bound))


if __name__ == "__main__":
    main()
