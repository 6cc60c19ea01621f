"""The decisions on every test query, as compactly as a page can carry them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.board.read_run import Stored
from routebench.records import Floats, Ints, Strings

ROOM = 8_500_000
"""Bytes that a page has for one run's decisions; above, evenly spaced queries stand for all."""
_UNSURE = 255


def browse(stored: Stored, room: int = ROOM) -> dict[str, Any]:
    """Return the page's data, of about `room` bytes at most.

    Texts go by code, numbers as base64 of little-endian arrays.
    n rows; of several seeds the first is carried. Scores are rewards where the board has users.
    Shapes: `score` and `cost` [n, m] float32, `choice` [n] uint8 or uint16 by router,
    `confidence` [n] uint8 by router in steps of 1/254, 255 for none.
    """
    total = len(stored.rows)
    numbers = 8 * len(stored.models) + 2 * len(stored.routers)
    limit = int(room / (40 + 4 / 3 * numbers))  # 40: a name and its task
    kept = np.unique(np.linspace(0, total - 1, min(total, limit)).astype(np.int64))
    outcomes = stored.outcomes.take(kept)
    cost = outcomes.relative_cost if outcomes.cost is None else outcomes.cost
    data, rows = stored.setup.data, stored.rows[kept]
    wide = np.uint8 if len(stored.models) < 256 else np.uint16
    return {
        "total": total,
        "n": len(kept),
        "measure": stored.board.suite.measure,
        "models": list(stored.models),
        "routers": stored.routers,
        "ids": _ids(data.ids, data.keys, rows),
        "columns": _columns(stored, kept),
        "score": packed(np.where(outcomes.ok, outcomes.score, np.nan), np.float32),
        "cost": None if cost is None else packed(cost, np.float32),
        "cost_name": "cost, $" if outcomes.cost is not None else "relative cost",
        "wide": wide().itemsize,
        "choice": [packed(stored.choices(name)[0][kept], wide) for name in stored.routers],
        "confidence": [_confidence(stored, name, kept) for name in stored.routers],
    }


def packed(values: npt.NDArray[Any], kind: Any) -> str:
    """Return an array as base64."""
    made = np.ascontiguousarray(values).astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(made.tobytes()).decode()


def confidence(stored: Stored, router: str) -> Floats | None:
    """Return [n] the confidence that a router's first seed states; None where it states none."""
    seed = stored.seeds(router)[0]
    made = [part for key, part in sorted(stored.decisions.items()) if key[:2] == (router, seed)]
    if any(part.decisions.confidence is None for part in made):
        return None
    values = np.concatenate([part.decisions.confidence for part in made])
    # A router without users decides alike for all of them: one row per query.
    return values if len(values) == len(stored.rows) else None


def _confidence(stored: Stored, router: str, kept: Ints) -> str | None:
    sure = confidence(stored, router)
    if sure is None:
        return None
    steps = np.round(np.clip(sure[kept], 0, 1) * (_UNSURE - 1))
    return packed(np.where(np.isnan(steps), _UNSURE, steps), np.uint8)


def _ids(ids: Strings | None, keys: Strings, rows: Ints) -> list[str]:
    """Return the suite's own names of queries where it has them, else the start of their keys."""
    given = None if ids is None else ids[rows]
    return [
        str(keys[row])[:12] if given is None or given[i] is None else str(given[i])
        for i, row in enumerate(rows)
    ]


def _columns(stored: Stored, kept: Ints) -> dict[str, dict[str, Any]]:
    queries, rows = stored.setup.data.queries, stored.rows[kept]
    columns: dict[str, Strings | None] = {
        "task": None if queries.task is None else queries.task[rows],
        "topic": None if queries.topic is None else queries.topic[rows],
        "user": None if stored.users is None else stored.users[kept],
    }
    return {name: _coded(values) for name, values in columns.items() if values is not None}


def _coded(values: Sequence[Any] | Strings) -> dict[str, Any]:
    names, codes = np.unique(
        np.array(["" if v is None else str(v) for v in values], dtype=object), return_inverse=True
    )
    return {"names": [str(name) for name in names], "codes": packed(codes, np.uint16)}
