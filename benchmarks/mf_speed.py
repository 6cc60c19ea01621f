"""Time `mf` against the same mathematics one sample at a time.

python benchmarks/mf_speed.py    one thread, 3,000 queries × 10 models, vectors of 768, 5 epochs

Bounds: 27,000 winner pairs within 2.0 s at batch 64 and 0.9 s at batch 1,024, at least 20 times
as fast as the loop; 5 µs to route a query of a batch; a hybrid's fit within 1.0 s. Encoding is
not counted; seconds are of CPU time. The loop is timed on a part of the pairs, and scaled.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from routebench.hookspecs import Context
from routebench.records import Floats, Outcomes, Pool, Queries, State, Table
from routebench_routers.hybrid.router import HybridDeterministic, HybridProbabilistic
from routebench_routers.mf import MF
from routebench_routers.pairing import Pairs, strict_pairs, winner_pairs

QUERIES, MODELS, WIDTH, EPOCHS, RUNS = 3000, 10, 768, 5, 5
WINNER_PAIRS = QUERIES * (MODELS - 1)
LOOPED = 1500


class Ready:
    """An encoder whose vectors are there already."""

    dimension = WIDTH
    fingerprint = "ready"

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        self.vectors = vectors

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.vectors[[int(text) for text in texts]]

    def save(self, folder: Path) -> None:
        raise AssertionError("not saved here")


def table(vectors: npt.NDArray[np.float32], rows: range, binary: bool) -> Table:
    """Scores from a hidden linear rule: all different (27,000 winner pairs), or 0 and 1."""
    rng = np.random.default_rng(1)
    hidden = vectors[rows] @ rng.normal(size=(WIDTH, MODELS)) + rng.normal(size=MODELS)
    score = 1 / (1 + np.exp(-hidden.astype(np.float64)))
    if binary:
        score = (rng.random(score.shape) < score).astype(np.float64)
    cost = np.broadcast_to(np.linspace(1e-4, 1e-3, MODELS), score.shape).copy()
    texts = np.array([str(row) for row in rows], dtype=object)
    names = tuple(f"model-{model}" for model in range(MODELS))
    state = np.full(score.shape, State.OK, dtype=np.int8)
    return Table(Queries(texts), Outcomes(score, state, cost), Pool(names))


def fastest(work: Callable[[], Any], runs: int = RUNS) -> float:
    """CPU seconds of the fastest run: with one thread, what an idle machine would take."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def loop(pairs: Pairs, vectors: Floats, batch: int) -> float:
    """CPU seconds for one epoch over some pairs, with a Python loop over the samples of a batch."""
    torch.manual_seed(0)
    project = torch.nn.Linear(WIDTH, 128, bias=False)
    models = torch.nn.Embedding(MODELS, 128)
    output = torch.nn.Linear(128, 1, bias=False)
    parts = [*project.parameters(), *models.parameters(), *output.parameters()]
    adam = torch.optim.Adam(parts, lr=1e-3)
    inputs = torch.as_tensor(vectors, dtype=torch.float32)

    def score(query: int, model: int) -> Any:
        embedding = torch.nn.functional.normalize(models.weight[model], dim=0)
        return output(embedding * project(inputs[query]))

    start = time.process_time()
    for first in range(0, LOOPED, batch):
        chosen = range(first, min(first + batch, LOOPED))
        losses = [
            torch.nn.functional.softplus(
                score(int(pairs.query[i]), int(pairs.loser[i]))
                - score(int(pairs.query[i]), int(pairs.winner[i]))
            )
            for i in chosen
        ]
        adam.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        adam.step()
    return time.process_time() - start


def report(name: str, seconds: float, bound: float | None, note: str = "") -> bool:
    kept = bound is None or seconds <= bound
    said = "" if bound is None else f"(bound {bound:.2f} s)"
    print(f"{name:<44}{seconds:8.2f} s  {said:<15}{note}{'' if kept else '  TOO SLOW'}")
    return kept


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(QUERIES + 500, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    context = Context(0, Ready(vectors), Path())

    def fit(router: Any, binary: bool) -> Any:
        router.fit(
            table(vectors, range(QUERIES), binary),
            table(vectors, range(QUERIES, len(vectors)), binary),
            context,
        )
        return router

    scores = table(vectors, range(QUERIES), False).outcomes.score
    winners, strict = winner_pairs(scores, rng), strict_pairs(scores)
    assert len(winners) == WINNER_PAIRS
    kept = []
    with threadpool_limits(1):
        for batch, bound in ((64, 2.0), (1024, 0.9)):
            looped = loop(winners, vectors, batch) * WINNER_PAIRS * EPOCHS / LOOPED
            settings = MF.presets["paper"] | {"batch_size": batch}
            seconds = fastest(lambda s=settings: fit(MF(MF.Options(**s)), False))
            times = looped / seconds
            kept += [
                report(f"mf, {WINNER_PAIRS:,} winner pairs, batch {batch}", seconds, bound),
                times >= 20,
            ]
            scaled = f"from {LOOPED:,} pairs of one epoch, scaled; {times:.0f} × (bound 20 ×)"
            report("  the same, a Python loop over the samples", looped, None, scaled)
            settings |= {"pairs": "strict"}
            seconds = fastest(lambda s=settings: fit(MF(MF.Options(**s)), False))
            per_pair = f"{1e6 * seconds / EPOCHS / len(strict):.2f} µs per pair and epoch"
            report(f"mf, {len(strict):,} strict pairs, batch {batch}", seconds, None, per_pair)
        router = fit(MF(MF.Options(epochs=1)), False)
        texts = Queries(np.array([str(row) for row in range(QUERIES)], dtype=object))
        ready = vectors[:QUERIES]
        # Without the look-up of vectors that stands in for an encoder here.
        router._encode = lambda queries: np.asarray(ready, dtype=np.float64)
        micros = 1e6 * fastest(lambda: router.route(texts), 20) / QUERIES
        kept.append(micros <= 5)
        print(f"{'mf, routing in a batch':<44}{micros:8.2f} µs per query  (bound 5 µs)")
        for cls in (HybridDeterministic, HybridProbabilistic):
            seconds = fastest(lambda c=cls: fit(c(c.Options()), True))
            kept.append(report(f"{cls.__name__}, {QUERIES:,} × {WIDTH}", seconds, 1.0))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
