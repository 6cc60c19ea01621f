"""Count how often `logs doctor` names a trap, or raises a false alarm.

python benchmarks/log_traps.py TABLE.parquet [--worlds 20] [--events 20000] [--json FILE]

Logs drawn from a table of recorded outcomes (`off_policy.py`) with each trap, and sound ones; and
rewards missing for a reason, which no log shows: what the estimate and the bounds hold.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from logged_truth import (
    LOGGERS,
    RESAMPLES,
    Truth,
    drawn_from,
    greedy,
    holds,
    logged,
    written,
)

from routebench.traffic.doctor import diagnose
from routebench.traffic.evaluate import evaluate
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.target import TargetPolicy

OF_THOMPSON = ("near-zero-propensities", "logger-changed")
"""Holds what is so in a log of Thompson sampling: no false alarm."""


def traps(truth: Truth, count: int, n: int) -> list[dict[str, Any]]:
    """Return how often each trap is named, and how often one is named that is not there."""
    named: dict[str, int] = defaultdict(int)
    false: Counter[str] = Counter()
    missing: dict[str, list[bool]] = {"estimate": [], "bounds": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            rng = np.random.default_rng(seed)
            query, session = truth.drawn(n, rng)
            for name, logger in list(LOGGERS.items())[:3]:
                sound = logged(truth, logger(truth, query, rng), query, session)
                got = diagnose(written(truth, sound, Path(folder) / "sound.parquet")).findings
                false.update(
                    f"{name}: {one.code}" for one in got
                    if name != "thompson" or one.code not in OF_THOMPSON
                )  # fmt: skip
            for trap, (log, code) in trapped(truth, query, session, rng).items():
                got = diagnose(written(truth, log, Path(folder) / "trap.parquet")).findings
                named[trap] += code in {one.code for one in got}
            _missing(truth, query, session, rng, missing)
    rows = [{"trap": trap, "named": times, "of": count} for trap, times in named.items()]
    rows.append({"false alarms": dict(false), "of": 3 * count})
    held = {name: float(np.mean(each)) for name, each in missing.items()}
    rows.append({"rewards missing for a reason": held})
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def trapped(
    truth: Truth, query: np.ndarray, session: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple[LoggedEvents, str]]:
    """Return a log with each trap, and the finding that names it."""
    n, size = len(query), len(truth.models)
    drawn = greedy(0.2)(truth, query, rng)
    chances, sound = drawn[0], logged(truth, drawn, query, session)
    late = np.arange(n) >= n // 2

    def but(log: LoggedEvents, **numbers: np.ndarray) -> LoggedEvents:
        return replace(log, numbers=log.numbers | numbers)

    uniform = np.full((n, size), 1.0 / size)
    other = np.where(late[:, None], 0.5 * chances + 0.5 / size, chances)
    changed = logged(truth, drawn_from(other, rng), query, session)
    rare = np.full((n, size), 1e-3 / size)
    rare[:, 0] += 1 - 1e-3
    scarce = logged(truth, drawn_from(rare, rng), query, session)
    drifting = np.where(late, 2.0, 1.0) * sound.numbers["output_tokens"]
    delayed = np.where(
        rng.random(n) < (np.arange(n) / n - 0.85) * 6, np.nan, sound.numbers["reward"]
    )
    return {
        "propensities logged as 1/n": (
            replace(but(sound, propensity=np.full(n, 1.0 / size)), probability=uniform),
            "propensities-do-not-fit",
        ),
        "a logger that changed, propensities that did not": (
            replace(changed, probability=chances),
            "propensities-do-not-fit",
        ),
        "a logger that changed": (changed, "logger-changed"),
        "near-zero propensities": (scarce, "near-zero-propensities"),
        "delayed rewards": (but(sound, reward=delayed), "delayed-rewards"),
        "drift": (but(sound, output_tokens=drifting), "drift"),
    }  # fmt: skip


def _missing(
    truth: Truth, query: np.ndarray, session: np.ndarray, rng: np.random.Generator,
    into: dict[str, list[bool]],
) -> None:  # fmt: skip
    drawn = greedy(0.2)(truth, query, rng)
    chances, log = drawn[0], logged(truth, drawn, query, session)
    reward = log.numbers["reward"]
    lost = rng.random(len(query)) < np.where(reward > 0.5, 0.1, 0.5)  # the content are silent less
    log = replace(log, numbers=log.numbers | {"reward": np.where(lost, np.nan, reward)})
    choice = truth.policies()["one model"]
    made = evaluate(log, TargetPolicy("one model", choice[query], 0), resamples=RESAMPLES)
    value = float(truth.score[np.arange(len(truth.score)), choice].mean())
    fall = value - float((chances * truth.score[query]).sum(axis=1).mean())
    into["estimate"].append(holds(made.numbers["quality"], value))
    into["bounds"].append(holds(made.numbers["quality_difference_any_missing"], fall))


def main() -> None:
    """Print a line for each trap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = traps(Truth.of(given.table), given.worlds, given.events)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
