"""Small suites with users, as PersonaRoute-Bench writes them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from conftest import long_table

from routebench.data.long_table import from_long
from routebench.records import SuiteData, Users

HEAD = ["user_id", "performance_preference", "task_id", "query", "llm", "effect", "cost", "reward"]


def panel(
    effect: Any, cost: Any, preference: Any, texts: list[str], task: Any = None, **users: Any
) -> SuiteData:
    """Effects and costs [n, m] of models a, b, … as a suite asked by users u0, u1, …"""
    columns = {} if task is None else {"task": task}
    data = from_long(
        long_table(effect, texts, **columns), name="panel", source="simulated", place="panel"
    )
    order = np.array([int(name[1:]) for name in data.ids])
    names = np.array([f"u{i}" for i in range(len(preference))], dtype=object)
    shown = {"user", "preference", *columns}
    return replace(
        data,
        visible=frozenset(shown),
        outcomes=replace(data.outcomes, relative_cost=np.asarray(cost, dtype=float)[order]),
        users=Users(names, np.asarray(preference, dtype=float), **users),
    )


def opposites(n: int = 200, seed: int = 0) -> SuiteData:
    """One user wants quality, one wants it cheap; which model is good is said by the text."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n)
    words = ["verse rhyme poem", "proof lemma theorem"]
    texts = [f"{words[k]} number {rng.integers(10**9)}" for k in kind]
    # a is good at verse, b at proofs, both dear; c is poor at both and costs nothing.
    effect = np.column_stack([kind == 0, kind == 1, np.zeros(n)]) * 0.8 + 0.1
    cost = np.column_stack([np.full(n, 0.9), np.full(n, 0.8), np.zeros(n)])
    return panel(effect, cost, [0.95, 0.05], texts, [words[k] for k in kind])


def write_csv(path: Path, data: SuiteData, rows: Any = None) -> Path:
    """The suite as one file of PersonaRoute-Bench's form, users × queries × models."""
    assert data.users is not None
    assert data.outcomes.relative_cost is not None
    task = data.queries.task
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for name, weight in zip(data.users.name, data.users.preference, strict=True):
            for i in range(len(data)) if rows is None else rows:
                for j, model in enumerate(data.pool.models):
                    e, c = data.outcomes.score[i, j], data.outcomes.relative_cost[i, j]
                    kind = "one" if task is None else task[i]
                    reward = weight * e - (1 - weight) * c
                    writer.writerow([name, weight, kind, data.queries.text[i], model, e, c, reward])
    return path
