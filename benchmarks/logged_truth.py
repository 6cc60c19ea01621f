"""A table of recorded outcomes as the truth, loggers that choose among its models, and their logs.

What `off_policy.py` and `log_traps.py` draw worlds from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routebench.traffic import events
from routebench.traffic.event_log import NUMBERS, LoggedEvents

START = 1_772_323_200.0  # 2026-03-01
MONTH = 31 * 86_400.0
RESAMPLES = 1_000


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


def holds(number: Any, truth: float) -> bool:
    """Return whether a number's interval holds the truth."""
    return bool(number.low <= truth <= number.high)
