"""Measure how often off-policy estimates hold the truth.

python benchmarks/off_policy.py TABLE.parquet [--worlds 1000] [--events 6000] [--logger NAME]
  [--first SEED] [--resamples 1000] [--cost] [--json FILE]

A table of recorded outcomes (query_id, query, model, score, and task or topic) is the truth.
Sessions are drawn from it, one task each; a logger chooses a model for every request and the
outcomes of the others are hidden. Loggers: ε-greedy around the best model of each task with ε .05
and .2, Thompson sampling of the models, and one that never explores. Policies: one model, a router
by task, and random decisions. Counted: how often the interval of the estimate (T1), or the
bounds, hold the truth, and how often T1 is refused. `--cost`: of the cost alone, for each of
some models, for the cheapest and the dearest by turns of tasks, and for random decisions, with
sessions dealt into 600 blocks, so that a world takes a tenth of a second: how often a cost is
given, and holds the truth.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from logged_truth import LOGGERS, RESAMPLES, Truth, holds, logged

from routebench.traffic.evaluate import Known, estimate_cost, evaluate
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.supported import MOVED, moved, supported
from routebench.traffic.target import TargetPolicy


@dataclass
class Counted:
    """Worlds of one logger and policy."""

    tiers: Counter[str] = field(default_factory=Counter)
    held: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    width: list[float] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: int = 0


def worlds(
    truth: Truth, seeds: range, n: int, only: str | None, resamples: int
) -> list[dict[str, Any]]:
    """Return coverage by logger and policy."""
    found, policies = [], truth.policies()
    for name, logger in LOGGERS.items():
        if only and name != only:
            continue
        by = {policy: Counted() for policy in policies}
        for seed in seeds:
            rng = np.random.default_rng([seed, len(name)])
            query, session = truth.drawn(n, rng)
            drawn = logger(truth, query, rng)
            chances, log = drawn[0], logged(truth, drawn, query, session)
            for policy, choice in policies.items():
                _one(truth, log, policy, choice, query, chances, by[policy], resamples)
        found += [_summary(name, policy, counted) for policy, counted in by.items()]
        for row in found[-len(by) :]:
            print(json.dumps(row), flush=True)
    return found


def _one(
    truth: Truth, log: LoggedEvents, policy: str, choice: np.ndarray, query: np.ndarray,
    chances: np.ndarray, into: Counted, resamples: int,
) -> None:  # fmt: skip
    target = TargetPolicy(policy, choice[query], 0)
    made = evaluate(log, target, resamples=resamples)
    rows = np.arange(len(truth.score))
    value = float(truth.score[rows, choice].mean())
    paid = float(truth.cost[rows, choice].mean())
    # The log's own value is that of its mean choice: known here, for the difference's truth.
    base = float((chances * truth.score[query]).sum(axis=1).mean())
    sample = float(truth.score[query, choice[query]].mean())
    quality = made.numbers["quality"]
    kind = "bounds" if quality.value is None else "T1"
    into.tiers[made.tier if kind == "T1" or made.tier == "T2" else "T1 bounds"] += 1
    into.held[f"{kind} quality"].append(holds(quality, value))
    if kind == "T1":
        assert quality.low is not None
        assert quality.high is not None
        into.width.append(quality.high - quality.low)
        into.held["T1 snips"].append(holds(made.numbers["quality_snips"], value))
        if "cost" in made.numbers and made.numbers["cost"].tier == "T1":
            into.held["T1 cost"].append(holds(made.numbers["cost"], paid))
    fall = sample - base
    into.verdicts[made.verdict] += 1
    into.wrong += made.verdict == "pass" and fall < -0.02
    into.wrong += made.verdict == "regression" and fall > 0.0


BLOCKS = 600


def costs(
    truth: Truth, seeds: range, n: int, only: str | None, resamples: int
) -> list[dict[str, Any]]:
    """Return how often a cost is given, and how often its interval holds the truth."""
    last, whole = len(truth.models) - 1, np.zeros(len(truth.score), np.int64)
    policies = {f"model {m}": whole + m for m in sorted({0, last // 3, 2 * last // 3, last})}
    policies["cheapest or dearest"] = np.where(truth.task % 2 == 0, 0, last)
    policies["random"] = truth.policies()["random"]
    found = []
    for name, logger in LOGGERS.items():
        if only and name != only:
            continue
        held: dict[str, list[bool]] = {policy: [] for policy in policies}
        for seed in seeds:
            rng = np.random.default_rng([seed, len(name)])
            query, session = truth.drawn(n, rng)
            block = (rng.permutation(int(session.max()) + 1) % BLOCKS)[session]
            log = logged(truth, logger(truth, query, rng), query, block)
            for policy, choice in policies.items():
                cost, every = log.numbers["cost_usd"], np.ones(n, bool)
                known = Known(resamples, share=supported(log, choice[query], every)[2])
                if known.share is None and moved(log, choice[query]) is not None:
                    known.beyond = MOVED
                estimate_cost(log, choice[query], cost, every, known)
                if "cost" in known.numbers:
                    paid = float(truth.cost[np.arange(len(choice)), choice].mean())
                    held[policy].append(holds(known.numbers["cost"], paid))
        for policy, each in held.items():
            share = round(float(np.mean(each)), 4) if each else None
            found.append({"logger": name, "policy": policy, "given": len(each), "held": share})
            print(json.dumps(found[-1]), flush=True)
    return found


def _summary(logger: str, policy: str, counted: Counted) -> dict[str, Any]:
    row: dict[str, Any] = {"logger": logger, "policy": policy, "tiers": dict(counted.tiers)}
    for name, held in sorted(counted.held.items()):
        row[name] = [round(float(np.mean(held)), 4), len(held)]
    if counted.width:
        row["width"] = round(float(np.mean(counted.width)), 4)
    return row | {"verdicts": dict(counted.verdicts), "wrong": counted.wrong}


def main() -> None:
    """Print a line for each logger and policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--worlds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--logger", choices=list(LOGGERS))
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.worlds)
    part = costs if given.cost else worlds
    rows = part(Truth.of(given.table), seeds, given.events, given.logger, given.resamples)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
