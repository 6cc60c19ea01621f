"""Whether off-policy estimates hold the truth, traps are named, and a million events fit.

python benchmarks/off_policy.py worlds TABLE.parquet [--worlds 1000] [--events 6000] [--json FILE]
python benchmarks/off_policy.py traps TABLE.parquet [--worlds 20]
python benchmarks/off_policy.py scale [--events 1000000] [--folder DIR]

`worlds`: a table of recorded outcomes (query_id, query, model, score, and task or topic) is the
truth. Sessions are drawn from it, one task each; a logger chooses a model for every request and
the outcomes of the others are hidden. Loggers: ε-greedy around the best model of each task with ε
.05 and .2, Thompson sampling of the models, and one that never explores. Policies: one model, a
router by task, and random decisions. Counted: how often the interval of the estimate (T1), or the
bounds, hold the truth, and how often T1 is refused.

`traps`: logs with each trap, and sound ones: how often `logs doctor` names it, or raises a false
alarm. And rewards missing for a reason, which no log shows: what the estimate and the bounds hold.

`scale`: import, doctor and ope on one machine, as processes: seconds and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench.traffic import events
from routebench.traffic.doctor import diagnose
from routebench.traffic.evaluate import evaluate
from routebench.traffic.event_log import NUMBERS, LoggedEvents
from routebench.traffic.target import TargetPolicy

START = 1_772_323_200.0  # 2026-03-01
MONTH = 31 * 86_400.0
RESAMPLES = 1_000
OF_THOMPSON = ("near-zero-propensities", "logger-changed")
"""What is so in a log of Thompson sampling: no false alarm."""


@dataclass
class Truth:
    """All outcomes of a table."""

    models: tuple[str, ...]
    score: np.ndarray
    cost: np.ndarray
    task: np.ndarray
    tokens: np.ndarray

    @classmethod
    def of(cls, path: Path) -> Truth:
        """Read a table; a cost is its tokens (characters / 4) times 1, 2, 4 … by the model."""
        table = pq.read_table(path)
        names = table.column_names
        group = "task" if "task" in names else "topic"
        wanted = ["query_id", "query", "model", "score", group]
        rows = table.select([*wanted, *(["response"] if "response" in names else [])]).to_pylist()
        models = tuple(sorted({row["model"] for row in rows}))
        place = {model: i for i, model in enumerate(models)}
        ids = {q: i for i, q in enumerate(dict.fromkeys(row["query_id"] for row in rows))}
        score = np.full((len(ids), len(models)), np.nan)
        out, given = np.full(score.shape, 256.0), np.zeros(len(ids))
        tasks: list[str] = [""] * len(ids)
        for row in rows:
            q, m = ids[row["query_id"]], place[row["model"]]
            score[q, m] = float(row["score"])
            if row.get("response"):
                out[q, m] = max(len(row["response"]) // 4, 1)
            given[q], tasks[q] = max(len(row["query"]) // 4, 1), str(row[group])
        whole = ~np.isnan(score).any(axis=1)
        task = np.unique(np.array(tasks)[whole], return_inverse=True)[1]
        cost = (given[:, None] + 4 * out) * 2.0 ** np.arange(len(models)) / 1e6
        return cls(models, np.clip(score[whole], 0, 1), cost[whole], task, out[whole])

    def policies(self) -> dict[str, np.ndarray]:
        """Return the choice of each policy for every query; learned on the first half alone."""
        rng = np.random.default_rng(7)
        half = rng.random(len(self.score)) < 0.5
        mean = self.score[half].mean(axis=0)
        second = int(np.argsort(mean)[-2])
        frugal = self.by_task(half, self.score - 0.05 * self.cost / self.cost.mean())
        return {
            "one model": np.full(len(self.score), second),
            "by task": frugal,
            "random": rng.integers(0, len(self.models), len(self.score)),
        }

    def by_task(self, half: np.ndarray, worth: np.ndarray) -> np.ndarray:
        """Return the best model of each query's task."""
        best = [worth[half & (self.task == t)].mean(axis=0).argmax() for t in range(self.tasks)]
        return np.array(best)[self.task]

    @property
    def tasks(self) -> int:
        """Return how many tasks there are."""
        return int(self.task.max()) + 1

    def drawn(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return [n] queries and their sessions, each of one task and of 1 to 5 requests."""
        size = rng.integers(1, 6, n)
        session = np.repeat(np.arange(n), size)[:n]
        share = np.bincount(self.task) / len(self.task)
        task = rng.choice(self.tasks, n, p=share)[session]
        order = np.argsort(self.task, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(self.task))])
        width = np.diff(first)[task]
        return order[first[task] + (rng.random(n) * width).astype(int)], session


Drawn = tuple[np.ndarray, np.ndarray]
Logger = Callable[[Truth, np.ndarray, np.random.Generator], Drawn]
"""The probabilities [n, m] with which each model is chosen for each query, and the chosen ones."""


def drawn_from(chances: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Return the probabilities, and a model drawn by them for each query."""
    bar = rng.random(len(chances))[:, None]
    return chances, (chances.cumsum(axis=1) < bar).sum(axis=1).clip(max=chances.shape[1] - 1)


def greedy(epsilon: float) -> Logger:
    """Return the logger that asks the best model of the task, or with ε any."""

    def chances(truth: Truth, query: np.ndarray, rng: np.random.Generator) -> Drawn:
        half = np.random.default_rng(3).random(len(truth.score)) < 0.5
        best = truth.by_task(half, truth.score)[query]
        made = np.full((len(query), len(truth.models)), epsilon / len(truth.models))
        made[np.arange(len(query)), best] += 1.0 - epsilon
        return drawn_from(made, rng)

    return chances


def thompson(truth: Truth, query: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Return the chances of Thompson sampling, whose posterior is updated every 200 requests."""
    size = len(truth.models)
    won, lost = np.ones(size), np.ones(size)
    made, chosen = np.empty((len(query), size)), np.empty(len(query), np.int64)
    for start in range(0, len(query), 200):
        rows = slice(start, start + 200)
        best = rng.beta(won, lost, (1000, size)).argmax(axis=1)
        made[rows] = np.bincount(best, minlength=size) / 1000
        chosen[rows] = drawn_from(made[rows], rng)[1]
        score = truth.score[query[rows], chosen[rows]]
        won += np.bincount(chosen[rows], score, size)
        lost += np.bincount(chosen[rows], 1 - score, size)
    return made, chosen


LOGGERS: dict[str, Logger] = {
    "greedy .05": greedy(0.05),
    "greedy .2": greedy(0.2),
    "thompson": thompson,
    "deterministic": greedy(0.0),
}


def logged(truth: Truth, drawn: Drawn, query: np.ndarray, session: np.ndarray) -> LoggedEvents:
    """Return the log of requests whose models were drawn with these chances."""
    n = len(query)
    chances, chosen = drawn
    blank = np.full(n, np.nan)
    numbers = dict.fromkeys(NUMBERS, blank) | {
        "reward": truth.score[query, chosen],
        "cost_usd": truth.cost[query, chosen],
        "output_tokens": truth.tokens[query, chosen],
        "propensity": chances[np.arange(n), chosen],
    }
    return LoggedEvents(
        models=truth.models, chosen=chosen, probability=chances,
        session=np.unique(session, return_inverse=True)[1], task=truth.task[query],
        tasks=(*map(str, range(truth.tasks)), ""), time=START + MONTH * np.arange(n) / n,
        query_hash=pa.nulls(n, pa.string()), event=pa.nulls(n, pa.string()),
        failed=np.zeros(n, bool), numbers=numbers, order=np.arange(n),
    )  # fmt: skip


@dataclass
class Counted:
    """Worlds of one logger and policy."""

    tiers: Counter[str] = field(default_factory=Counter)
    held: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    width: list[float] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: int = 0


def worlds(truth: Truth, count: int, n: int, only: str | None) -> list[dict[str, Any]]:
    """Return coverage by logger and policy."""
    found = []
    for name, logger in LOGGERS.items():
        if only and name != only:
            continue
        by = {policy: Counted() for policy in truth.policies()}
        for seed in range(count):
            rng = np.random.default_rng([seed, len(name)])
            query, session = truth.drawn(n, rng)
            drawn = logger(truth, query, rng)
            chances, log = drawn[0], logged(truth, drawn, query, session)
            for policy, choice in truth.policies().items():
                _one(truth, log, policy, choice, query, chances, by[policy])
        found += [_summary(name, policy, counted) for policy, counted in by.items()]
        for row in found[-len(by) :]:
            print(json.dumps(row), flush=True)
    return found


def _one(
    truth: Truth, log: LoggedEvents, policy: str, choice: np.ndarray, query: np.ndarray,
    chances: np.ndarray, into: Counted,
) -> None:  # fmt: skip
    target = TargetPolicy(policy, choice[query], 0)
    made = evaluate(log, target, resamples=RESAMPLES)
    rows = np.arange(len(truth.score))
    value = float(truth.score[rows, choice].mean())
    paid = float(truth.cost[rows, choice].mean())
    # The log's own value is that of its mean choice: known here, for the difference's truth.
    base = float((chances * truth.score[query]).sum(axis=1).mean())
    sample = float(truth.score[query, choice[query]].mean())
    quality = made.numbers["quality"]
    kind = "bounds" if quality.value is None else "T1"
    into.tiers[made.tier if kind == "T1" or made.tier == "T2" else "T1 bounds"] += 1
    into.held[f"{kind} quality"].append(_holds(quality, value))
    if kind == "T1":
        assert quality.low is not None
        assert quality.high is not None
        into.width.append(quality.high - quality.low)
        into.held["T1 snips"].append(_holds(made.numbers["quality_snips"], value))
        if "cost" in made.numbers and made.numbers["cost"].tier == "T1":
            into.held["T1 cost"].append(_holds(made.numbers["cost"], paid))
    fall = sample - base
    into.verdicts[made.verdict] += 1
    into.wrong += made.verdict == "pass" and fall < -0.02
    into.wrong += made.verdict == "regression" and fall > 0.0


def _holds(number: Any, truth: float) -> bool:
    return bool(number.low <= truth <= number.high)


def _summary(logger: str, policy: str, counted: Counted) -> dict[str, Any]:
    row: dict[str, Any] = {"logger": logger, "policy": policy, "tiers": dict(counted.tiers)}
    for name, held in sorted(counted.held.items()):
        row[name] = round(float(np.mean(held)), 4)
    if counted.width:
        row["width"] = round(float(np.mean(counted.width)), 4)
    return row | {"verdicts": dict(counted.verdicts), "wrong": counted.wrong}


def written(truth: Truth, log: LoggedEvents, path: Path) -> Path:
    """Write a log as a table of events."""
    n = len(log)
    columns: dict[str, Any] = {name: pa.nulls(n, each.type) for name, each in
                               zip(events.COLUMNS, events.SCHEMA, strict=True)}  # fmt: skip
    columns |= {name: pa.array(values, from_pandas=True) for name, values in log.numbers.items()}
    columns |= {
        "event": pa.array([f"e{i}" for i in range(n)]),
        "time": pa.array((log.time * 1e6).astype(np.int64)).cast(pa.timestamp("us", "UTC")),
        "session": pa.array([f"s{i}" for i in log.session]),
        "chosen": pa.array([truth.models[i] for i in log.chosen]),
        "task": pa.array([str(i) for i in log.task]),
        "candidates": pa.array([list(truth.models)] * n),
        "probabilities": pa.array(log.probability.tolist()),
    }
    pq.write_table(pa.table([columns[name] for name in events.COLUMNS], schema=events.SCHEMA), path)
    return path


def traps(truth: Truth, count: int, n: int) -> list[dict[str, Any]]:
    """Return how often each trap is named, and how often one is named that is not there."""
    named: dict[str, int] = defaultdict(int)
    false: Counter[str] = Counter()
    missing = Counted()
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
    rows.append({"rewards missing for a reason": _summary("greedy .2", "one model", missing)})
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
    truth: Truth, query: np.ndarray, session: np.ndarray, rng: np.random.Generator, into: Counted
) -> None:
    drawn = greedy(0.2)(truth, query, rng)
    chances, log = drawn[0], logged(truth, drawn, query, session)
    reward = log.numbers["reward"]
    lost = rng.random(len(query)) < np.where(reward > 0.5, 0.1, 0.5)  # the content are silent less
    log = replace(log, numbers=log.numbers | {"reward": np.where(lost, np.nan, reward)})
    choice = truth.policies()["one model"]
    made = evaluate(log, TargetPolicy("one model", choice[query], 0), resamples=RESAMPLES)
    value = float(truth.score[np.arange(len(truth.score)), choice].mean())
    fall = value - float((chances * truth.score[query]).sum(axis=1).mean())
    into.tiers[made.tier] += 1
    into.held["estimate"].append(_holds(made.numbers["quality"], value))
    into.held["bounds"].append(_holds(made.numbers["quality_difference_any_missing"], fall))


def scale(n: int, folder: Path) -> list[dict[str, Any]]:
    """Return seconds and peak memory of each command on so many events."""
    log, rewards, out = folder / "serve.jsonl", folder / "rewards.csv", folder / "events.parquet"
    _served(n, log, rewards)
    command = [sys.executable, "-m", "routebench"]
    steps = {
        "import": ["logs", "import", log, "--rewards", rewards, "--out", out],
        "doctor": ["logs", "doctor", out],
        "ope": ["ope", out, "--model", "gpt-4o-mini"],
    }
    rows = []
    for name, words in steps.items():
        begun = time.perf_counter()
        child = subprocess.Popen([*command, *map(str, words)], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        rows.append(
            {
                "step": name,
                "exit": os.waitstatus_to_exitcode(status),
                "seconds": round(time.perf_counter() - begun, 1),
                "cpu": round(used.ru_utime + used.ru_stime, 1),
                "peak_mib": round(used.ru_maxrss / 1024),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    sizes = {path.name: round(path.stat().st_size / 2**20) for path in (log, rewards, out)}
    print(json.dumps({"events": n, "mib": sizes}))
    return rows


def _served(n: int, log: Path, rewards: Path) -> None:
    from datetime import UTC, datetime

    rng = np.random.default_rng(0)
    models, worth = ["gpt-4o", "gpt-4o-mini", "claude-3-5-haiku-20241022"], [0.8, 0.7, 0.65]
    chances = [0.8, 0.1, 0.1]
    with log.open("w") as lines, rewards.open("w") as given:
        given.write("event,reward\n")
        for i in range(n):
            if i % 10_000 == 0:
                chosen = rng.choice(3, 10_000, p=chances)
                tokens = rng.lognormal(6, 0.8, (10_000, 2)).astype(int) + 1
                right = rng.random(10_000)
            a, (before, after) = int(chosen[i % 10_000]), map(int, tokens[i % 10_000])
            at = datetime.fromtimestamp(START + MONTH * i / n, UTC).isoformat("T", "milliseconds")
            text = f"Request {i}: " + "what is said of it here, and why? " * 8
            event = {
                "version": 1, "event": f"{i:032x}", "time": at, "policy_version": "0123456789ab",
                "requested": "routebench", "point": None, "session": f"s{i // 4}", "stream": False,
                "candidates": models, "probabilities": chances, "chosen": models[a],
                "propensity": chances[a], "greedy": models[0], "explored": a > 0,
                "quality": dict(zip(models, worth, strict=True)), "confidence": None,
                "policy": None, "reason": "", "answered_by": models[a], "fallbacks": [],
                "calls": [{"model": models[a], "usd": 0.001, "seconds": 0.8, "error": None}],
                "tokens": {"prompt_tokens": before, "completion_tokens": after},
                "cost_usd": (before + 4 * after) * (3, 0.2, 1)[a] / 1e6, "latency_s": 0.9,
                "first_s": None, "route_s": 0.002, "status": 200, "error": None,
                "messages": [{"role": "user", "content": text}], "answer": "An answer. " * 20,
            }  # fmt: skip
            lines.write(json.dumps(event, separators=(",", ":")) + "\n")
            given.write(f"{i:032x},{int(right[i % 10_000] < worth[a])}\n")


def main() -> None:
    """Run one of the three parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["worlds", "traps", "scale"])
    parser.add_argument("table", nargs="?", type=Path)
    parser.add_argument("--worlds", type=int)
    parser.add_argument("--events", type=int)
    parser.add_argument("--logger", choices=list(LOGGERS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.part == "scale":
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            rows = scale(given.events or 1_000_000, Path(folder))
    elif given.table is None:
        parser.error("a table of outcomes is needed")
    elif given.part == "worlds":
        truth = Truth.of(given.table)
        rows = worlds(truth, given.worlds or 1_000, given.events or 6_000, given.logger)
    else:
        rows = traps(Truth.of(given.table), given.worlds or 20, given.events or 20_000)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
