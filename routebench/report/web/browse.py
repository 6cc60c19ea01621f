"""The decisions on every test query, as compactly as a page can carry them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.board.read_run import Stored
from routebench.data.splits import TEST
from routebench.printed import visible_values
from routebench.records import Floats, Ints, Strings

ROOM = 4_700_000
"""Bytes that a page has for the decisions of its runs, so that all of it stays below 10 MB."""
LETTERS = (4000, 1000, 400, 200, 100)
"""What texts are cut to where there is no room for more."""
_UNSURE = 255
_STEPS = 100
"""Steps of expected quality, from a router's least to its largest."""
_BITS = np.uint32(0xFFFFFF00)
"""Of a cost: 15 binary digits are kept, 4 decimal ones are shown."""


def browse(stored: Stored, room: int = ROOM) -> dict[str, Any]:
    """Return the page's data, of about `room` bytes at most.

    Texts go by code. Arrays are little-endian, bytes of equal weight together, as base64 of zlib.
    n rows; of several seeds the first is carried. Scores are rewards where the board has users.
    Shapes: `score` and `cost` [n, m] float32, `choice` [n] uint8 or uint16 by router,
    `confidence` [n] uint8 by router in steps of 1/254, 255 for none; `quality` [n, m] uint8 by
    router, 255 for a model that is not considered; `asked` [n, m] the round, 0 for never.

    Where there is no room, texts are cut first, then what routers expected is left out, then
    evenly spaced queries stand for all.
    """
    rows = np.arange(len(stored.rows))
    made = _decisions(stored, rows)
    if (size := _size(made)) > room:
        kept = max(1, int(len(rows) * room / size))
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, kept, dtype=int))]
        made = _decisions(stored, rows)
    expected = _expected(stored, rows)
    left = room - _size(made)
    texts = _texts(stored, rows, left - _size(expected))
    if _size(expected) > left or (texts is None and stored.texts is not None):
        expected = {"quality": [None] * len(stored.routers)}
        made["left_out"] = "what routers expected of the models has no room in this page"
        texts = _texts(stored, rows, left)
    if texts is None and stored.texts is not None:
        made["left_out"] = "texts and what routers expected have no room in this page"
    return made | expected | {"texts": texts}


def _decisions(stored: Stored, kept: Ints) -> dict[str, Any]:
    outcomes = stored.outcomes.take(kept)
    cost = outcomes.relative_cost if outcomes.cost is None else outcomes.cost
    data, rows = stored.setup.data, stored.rows[kept]
    wide = np.uint8 if len(stored.models) < 256 else np.uint16
    asked = [stored.asked(name) for name in stored.routers]
    return {
        "total": len(stored.rows),
        "n": len(kept),
        "measure": stored.board.suite.measure,
        "models": list(stored.models),
        "routers": stored.routers,
        "ids": packed_texts(_ids(data.ids, data.keys, rows)),
        "columns": _columns(stored, kept),
        "score": packed(np.where(outcomes.ok, outcomes.score, np.nan), np.float32),
        "cost": None if cost is None else packed(_rounded(cost), np.float32),
        "cost_name": "cost, $" if outcomes.cost is not None else "relative cost",
        "wide": wide().itemsize,
        "choice": [packed(stored.choices(name)[0][kept], wide) for name in stored.routers],
        "confidence": [_confidence(stored, name, kept) for name in stored.routers],
        "asked": [None if one is None else packed(one[0][kept], np.uint8) for one in asked],
    }


def _expected(stored: Stored, kept: Ints) -> dict[str, list[dict[str, Any] | None]]:
    return {"quality": [_quality(stored, name, kept) for name in stored.routers]}


def _texts(stored: Stored, kept: Ints, room: int) -> str | None:
    """Return the queries' texts, cut to what there is room for; None where that is nothing."""
    if stored.texts is None:
        return None
    whole = [str(text) for text in stored.texts[kept]]
    for letters in LETTERS:
        texts = [text if len(text) <= letters else f"{text[: letters - 1]}…" for text in whole]
        if len(packed := packed_texts(texts)) <= room:
            return packed
    return None


def _size(part: dict[str, Any]) -> int:
    return len(json.dumps(part))


def packed(values: npt.NDArray[Any], kind: Any) -> str:
    """Return an array packed: bytes of equal weight together, deflated, as base64."""
    made = np.ascontiguousarray(values).astype(np.dtype(kind).newbyteorder("<")).ravel()
    planes = made.view(np.uint8).reshape(len(made), made.itemsize).T
    return _deflated(np.ascontiguousarray(planes).tobytes())


def packed_texts(texts: Sequence[str]) -> str:
    """Return texts packed, control characters shown."""
    shown = json.dumps(visible_values(texts), ensure_ascii=False, separators=(",", ":"))
    return _deflated(shown.encode("utf-8", "replace"))


def _deflated(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _rounded(cost: Floats) -> npt.NDArray[np.float32]:
    bits = cost.astype(np.float32).view(np.uint32)
    rounded: npt.NDArray[np.float32] = ((bits + np.uint32(0x80)) & _BITS).view(np.float32)
    return np.where(np.isnan(cost), np.float32(np.nan), rounded)


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


def expected(stored: Stored, router: str) -> Floats | None:
    """Return [n, m] the quality that a router's first seed expects of the models; None for none."""
    seed = stored.seeds(router)[0]
    parts = [
        stored.expected.get(((router, seed, fold), TEST))
        for fold in range(stored.board.suite.folds)
    ]
    if any(part is None for part in parts):
        return None
    values = np.concatenate([part for part in parts if part is not None])
    return values if len(values) == len(stored.rows) else None


def _quality(stored: Stored, router: str, kept: Ints) -> dict[str, Any] | None:
    values = expected(stored, router)
    if values is None or np.isnan(values).all():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    step = (high - low) / _STEPS or 1.0
    codes = np.round((values[kept] - low) / step)
    whole = np.where(np.isnan(codes), _UNSURE, codes)
    return {"low": low, "step": step, "codes": packed(whole, np.uint8)}


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
