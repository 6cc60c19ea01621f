"""Measure what `same-accuracy` points cost in accuracy and save, on tables and in planted worlds.

    python benchmarks/operating_points.py ../shared/data --keep FOLDER   three tables, 20 splits
    python benchmarks/operating_points.py --planted                      worlds of known truth

With `--inner-folds 5` points are chosen on decisions of inner fits, and the routers refitted, as in
a run with that option.

Both beside the plain rule: the cheapest trade-off that reaches the best single model's accuracy on
validation. On the tables knn, linear and mf are fitted on 60% of the queries and their trade-offs
chosen on 20%, for 20 splits by hash; what was predicted is kept in a folder for the next time. On
the other 20%, a table's mean must fall short by at most .2 pp and save at least half of what the
plain rule does; else exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board.assemble import references
from routebench.config import RunConfig
from routebench.data.splits import TEST, TRAIN, inner_parts, make_split
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.jobs import cross_fit
from routebench.jobs.cross_fit import LearningTables
from routebench.jobs.harness import Harness
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import create
from routebench.loading import load_data
from routebench.metrics import curves
from routebench.metrics.points.choose import choose_point
from routebench.metrics.points.point import SAME_ACCURACY, WITHIN_1PP, Point
from routebench.metrics.points.sweep import GRID
from routebench.plugin import discovery
from routebench.prices import listed
from routebench.prices.apply import price
from routebench.records import Decisions, Floats, Mask, SuiteData, Table

TABLES = {
    "llmrouter": "default_llm.json",
    "simpleqa": "prices.json",
    "mmlu_pro": "prices.json",
}
"""Each with its price list."""
ROUTERS = ("knn", "linear", "mf")
SHORT, SAVED = 0.002, 0.5
TRUTH = 100_000
"""Queries that a planted world's true values are taken on."""
Rule = Callable[[Floats, Floats, Floats, Floats], int | None]


def plain(score: Floats, cost: Floats, reference: Floats, paid: Floats) -> int | None:
    """Return the cheapest trade-off as accurate as the reference; None where that is cheaper."""
    at = curves.iso_point(score.mean(axis=1), cost.mean(axis=1), float(reference.mean()))
    if at is not None and cost[at].mean() > paid.mean() * (1 + curves.NEAR):
        return None
    return at


def shipped(point: Point) -> Rule:
    """Return the rule of a point, as runs apply it."""
    return lambda score, cost, reference, paid: choose_point(score, cost, reference, paid, point)


RULES = {
    "plain": plain,
    "same-accuracy": shipped(SAME_ACCURACY),
    "within-1pp": shipped(WITHIN_1PP),
    "drop=1pp": shipped(Point("drop", 0.01)),
}


class EncodedOnce:
    """An encoder that keeps its vectors, for routers on the same texts."""

    def __init__(self, encoder: FittedOnUse) -> None:
        self._encoder = encoder
        self._known: dict[tuple[str, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str]) -> Any:
        key = tuple(texts)
        if key not in self._known:
            self._known[key] = self._encoder.encode(texts)
        return self._known[key]


def load(folder: Path, name: str) -> SuiteData:
    """Return a table with its costs, answers of unknown length assumed 256 tokens long."""
    place = folder / name
    config = RunConfig(
        suite=f"table:{place / 'outcomes.parquet'}", prices=str(place / TABLES[name])
    )
    data = load_data(config)
    prices, _ = listed.for_run(config.prices, data)
    return price(data, prices, config.assume_output_tokens)[0]


def predict(data: SuiteData, seed: int, files: dict[str, Path], inner_folds: int) -> None:
    """Fit the routers on one split; write what they expect, and what happened."""
    split = make_split(data, "hash", seed=seed)
    inner = inner_parts(data, split, inner_folds, seed) if inner_folds else None
    setup = Setup(data, split, "tfidf-svd", {}, inner=inner)
    encoders: dict[tuple[str, ...], Any] = {}

    def decided(router: str, tables: LearningTables, *asked: Table) -> list[Decisions]:
        key = tuple(tables.texts)
        if key not in encoders:
            encoders[key] = EncodedOnce(FittedOnUse("tfidf-svd", {}, list(key)))
        harness = Harness(create(discovery.find("router", router), {}, router))
        with tempfile.TemporaryDirectory() as work:
            context = Context(seed, encoders[key], Path(work))
            harness.fit(tables.train, tables.validation, context)
            if tables.both is not None:
                harness.refit(tables.both, context)
            models = len(tables.train.pool)
            return [harness.route(table.queries, models) for table in asked]

    deciding, test = setup.deciding_rows(0, inner_folds), setup.table(0, TEST)
    known = setup.known_table(0, deciding)
    for router, file in files.items():
        if inner_folds:
            job = Job(
                router, discovery.find("router", router), {}, 0, 0, "", inner_folds=inner_folds
            )
            parts = []
            for part in range(inner_folds):
                rows = cross_fit.decided_rows(setup, job, part)
                tables = cross_fit.inner_tables(setup, job, part)
                parts += decided(router, tables, setup.known_table(0, rows))
            old = cross_fit.joined(setup, job, parts)
            (new,) = decided(router, cross_fit.refitted_tables(setup, 0), test)
        else:
            old, new = decided(router, LearningTables(*setup.tables(0)), known, test)
        values: dict[str, Any] = {
            "cost": setup.table(0, TRAIN).outcomes.mean_cost(),
            "single": references(setup, 0)["best_single"],
        }
        for name, quality, part_of in (
            ("v", old.quality, known.outcomes),
            ("t", new.quality, test.outcomes),
        ):
            values |= {f"{name}q": quality, f"{name}s": part_of.score, f"{name}c": part_of.cost}
            values |= {f"{name}state": part_of.state}
        np.savez(file, **values)


@dataclass(frozen=True)
class Case:
    """A router's trade-offs on one part of a split, and the best single model."""

    score: Floats
    cost: Floats
    reference: Floats
    paid: Floats

    @classmethod
    def read(cls, file: Path) -> tuple[Case, Case]:
        """Return the trade-offs on validation and on test."""
        with np.load(file, allow_pickle=False) as kept:
            stored = dict(kept)
        quality, cost = stored["vq"].astype(float), stored["cost"]
        pair = np.count_nonzero(~np.isnan(quality).all(axis=0) & np.isfinite(cost)) == 2
        grid = curves.threshold_grid if pair else curves.lambda_grid
        lambdas, single = grid(quality, cost, GRID), int(stored["single"])
        made = []
        for part in "vt":
            choice = curves.sweep(stored[f"{part}q"].astype(float), cost, lambdas)
            rows = np.arange(choice.shape[1])
            ok: Mask = (stored[f"{part}state"] == 0).all(axis=1)
            score, paid = stored[f"{part}s"], stored[f"{part}c"]
            made.append(
                cls(
                    score[rows, choice][:, ok],
                    paid[rows, choice][:, ok],
                    score[ok, single],
                    paid[ok, single],
                )
            )
        return made[0], made[1]

    def choose(self, rule: Rule) -> int | None:
        return rule(self.score, self.cost, self.reference, self.paid)

    def result(self, at: int | None) -> tuple[float, float, float]:
        """Return the difference in accuracy, what is saved, and whether it is all one model's."""
        if at is None or np.array_equal(self.cost[at], self.paid):
            return 0.0, 0.0, 1.0
        gained = float((self.score[at] - self.reference).mean())
        return gained, 1 - float(self.cost[at].mean() / self.paid.mean()), 0.0


def tables(
    folder: Path,
    keep: Path,
    splits: int,
    names: Sequence[str],
    routers: Sequence[str] = ROUTERS,
    inner_folds: int = 0,
) -> bool:
    """Print what the rules lead to on each table; return whether the bounds are kept."""
    kept = True
    print("| table | rule | splits × routers | Δ best single, pp | saves | of plain "
          "| falls back |\n|:--|:--|--:|--:|--:|--:|--:|")  # fmt: skip
    for name in names:
        data, files = None, []
        for seed in range(splits):
            kind = f"-inner-{inner_folds}" if inner_folds else ""
            each = {router: keep / f"{name}-{seed}-{router}{kind}.npz" for router in routers}
            if missing := {r: file for r, file in each.items() if not file.exists()}:
                data = load(folder, name) if data is None else data
                predict(data, seed, missing, inner_folds)
            files += each.values()
        cases = [Case.read(file) for file in files]
        reached = {
            label: np.array([test.result(known.choose(rule)) for known, test in cases])
            for label, rule in RULES.items()
        }
        saved = reached["plain"][:, 1].mean()
        for label, values in reached.items():
            gained, saves, back = values.mean(axis=0)
            # Routers of one split share its queries.
            by_split = values[:, 0].reshape(splits, -1).mean(axis=1)
            error = by_split.std(ddof=1) / np.sqrt(splits) if splits > 1 else np.nan
            print(f"| {name} | {label} | {len(values)} | {100 * gained:+.2f} ± {100 * error:.2f} | "
                  f"{saves:.1%} | {saves / saved:.0%} | {back:.0%} |", flush=True)  # fmt: skip
            if label == "same-accuracy":
                kept &= gained >= -SHORT and saves >= SAVED * saved
    print("\n±: a standard error over splits")
    return kept


def gain(kind: str, need: Floats) -> Floats:
    """Return by how much the dear model is better on queries [n] of this need."""
    return {
        "dear always better": 0.02 + 0.25 / (1 + np.exp(-need)),
        "small gain": 0.08 + 0.10 * np.tanh(need),
        "large gain": 0.05 + 0.25 * np.tanh(need),
        "a third need it": np.where(need > 0.5, 0.35, 0.0),
        "both alike": np.zeros_like(need),
    }[kind]


def planted(kind: str, n: int, worlds: int) -> Iterator[tuple[str, Floats]]:
    """Yield by rule the means of true difference, true saving and fallback.

    Two models at 1 and 10 USD, the dear one better by `gain`; 60% of the queries are right or
    wrong for both alike. The router sees the gain with an error of sd .2.
    """
    cost = np.array([1.0, 10.0])
    rng = np.random.default_rng(99)
    truth = gain(kind, rng.standard_normal(TRUTH))
    seen = truth + 0.2 * rng.standard_normal(TRUTH)
    order = np.argsort(seen)
    lost = np.append(0, np.cumsum(truth[order])) / TRUTH
    values: dict[str, list[tuple[float, float, float]]] = {rule: [] for rule in RULES}
    for world in range(worlds):
        rng = np.random.default_rng([n, world])
        better = gain(kind, rng.standard_normal(n))
        luck = rng.random((2, n))
        luck[1] = np.where(rng.random(n) < 0.6, luck[0], luck[1])
        score = (luck < np.stack([0.5 - better / 2, 0.5 + better / 2])).T.astype(float)
        quality = np.column_stack([np.zeros(n), better + 0.2 * rng.standard_normal(n)])
        lambdas = curves.threshold_grid(quality, cost, GRID)
        choice = curves.sweep(quality, cost, lambdas)
        known = Case(score[np.arange(n), choice], cost[choice], score[:, 1], np.full(n, cost[1]))
        for label, rule in RULES.items():
            at = known.choose(rule)
            if at is None:
                values[label].append((0.0, 0.0, 1.0))
                continue
            cheap = int(np.searchsorted(seen[order], lambdas[at] * (cost[1] - cost[0])))
            values[label].append((-float(lost[cheap]), 0.9 * cheap / TRUTH, float(cheap == 0)))
    for label, each in values.items():
        yield label, np.mean(each, axis=0)


def worlds(count: int) -> bool:
    """Print what the rules lead to in planted worlds; return whether the shortfall is bounded."""
    kept = True
    print("| world | validation | rule | true Δ, pp | saves | falls back |\n"
          "|:--|--:|:--|--:|--:|--:|")  # fmt: skip
    for kind in ("dear always better", "small gain", "large gain", "a third need it", "both alike"):
        for n in (300, 1200, 5000):
            for label, (gained, saves, back) in planted(kind, n, count):
                print(f"| {kind} | {n:,} | {label} | {100 * gained:+.2f} | {saves:.0%} | "
                      f"{back:.0%} |", flush=True)  # fmt: skip
                kept &= label != "same-accuracy" or gained >= -SHORT
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of the recorded tables")
    parser.add_argument("--keep", type=Path, help="folder for what was predicted")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--table", action="append", choices=list(TABLES))
    parser.add_argument("--router", action="append", help="knn, linear and mf by default")
    parser.add_argument("--inner-folds", type=int, default=0, metavar="K")
    parser.add_argument("--planted", action="store_true", help="worlds of known truth instead")
    parser.add_argument("--worlds", type=int, default=200)
    given = parser.parse_args()
    if given.planted:
        sys.exit(not worlds(given.worlds))
    if given.data is None:
        parser.error("DATA is needed, or --planted")
    with tempfile.TemporaryDirectory() as fresh:
        keep = given.keep or Path(fresh)
        keep.mkdir(parents=True, exist_ok=True)
        kept = tables(
            given.data,
            keep,
            given.splits,
            given.table or list(TABLES),
            given.router or ROUTERS,
            given.inner_folds,
        )
    sys.exit(not kept)


if __name__ == "__main__":
    main()
