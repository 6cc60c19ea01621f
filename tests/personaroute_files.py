"""CSV files of PersonaRoute as the tests need them."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from routebench_suites.personaroute.files import UserPanel

Row = dict[str, Any]
USERS = {"10": 1.0, "9": 0.25, "u2": 0.5}
MODELS = ("org/b", "a", "c (7b)")
QUERIES = (("sums", "What is 1 + 1?"), ("sums", 'Say "x",\nthen y'), ("facts", "Who?"))


@functools.cache
def cell(*vector: float) -> str:
    return str(np.array([vector])) + "  "


def rows(
    users: dict[str, float] = USERS,
    queries: tuple[tuple[str, str], ...] = QUERIES,
    models: tuple[str, ...] = MODELS,
) -> list[Row]:
    """Every user asks every query of every model."""
    made = []
    for (user, weight), (q, (task, text)), (m, model) in itertools.product(
        users.items(), enumerate(queries), enumerate(models)
    ):
        effect, cost = (q + m) % 3 / 2, m / (len(models) - 1)
        made.append(
            {
                "user_id": user,
                "performance_preference": weight,
                "task_id": task,
                "query": text,
                "query_embedding": cell(q, 0.5, -1e-3),
                "effect": effect,
                "cost": cost,
                "ground_truth": f"answer {q}",
                "metric": "f1",
                "llm": model,
                "task_description": f"about {task}",
                "task_description_embedding": cell(len(task), 2.0),
                "response": "",
                "reward": weight * effect - (1 - weight) * cost,
                "best_llm": 0,
            }
        )
    return made


def write(path: Path, held: list[Row], without: tuple[str, ...] = ()) -> Path:
    columns = [column for column in held[0] if column not in without]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(held)
    raw = text.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def same(left: UserPanel, right: UserPanel) -> None:
    for name in left.__dataclass_fields__:
        np.testing.assert_equal(getattr(left, name), getattr(right, name), err_msg=name)
