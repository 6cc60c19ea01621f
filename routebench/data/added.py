"""Add outcomes that were bought later to a suite, for training alone."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.fingerprints import outcomes_fingerprint
from routebench.errors import DataError, did_you_mean
from routebench.files import sha256
from routebench.records import Grade, Ints, Outcomes, Queries, State, Strings, SuiteData

_TEXTS = ("answers", "finals", "finish_reasons")
_FILLS: dict[str, Any] = {"state": int(State.ABSENT), "grade": int(Grade.NONE)}


def with_added(data: SuiteData, more: SuiteData, name: str) -> SuiteData:
    """Return the suite with another's queries and outcomes, which no part but training has.

    What the suite records nothing of (costs, grades, tasks …) is left out of the addition too.

    Raises:
        DataError: naming the addition, for users or for models that the suite does not have.
    """
    if data.users is not None or more.users is not None:
        raise DataError(f"--add {name}: users' rewards cannot be added to")
    at = [_place(model, data.pool.models) for model in more.pool.models]
    kept = [m for m, place in enumerate(at) if place is not None]
    if not kept:
        raise DataError(
            f"--add {name}: none of its models is in {data.name}",
            did_you_mean(more.pool.models[0], data.pool.models),
        )
    columns = np.array([at[m] for m in kept], dtype=np.int64)
    if len(set(columns.tolist())) < len(columns):
        raise DataError(f"--add {name}: two of its models are one of {data.name}")
    added = _widened(more, np.array(kept, dtype=np.int64), columns, data)
    rows = np.flatnonzero((added.outcomes.state != State.ABSENT).any(axis=1))
    if not len(rows):
        raise DataError(f"--add {name}: no answer of a model of {data.name} in it")
    joined = _sorted(_joined(data, _rows(added, rows)))
    left = [model for model, place in zip(more.pool.models, at, strict=True) if place is None]
    return replace(joined, notes=(*joined.notes, *_notes(more, rows, kept, left, name)))


def _place(model: str, models: tuple[str, ...]) -> int | None:
    """Return the model's column: by its name, or by the last part of a name with its vendor."""
    for known in (model, model.rpartition(":")[2]):
        if known in models:
            return models.index(known)
    return None


def _notes(
    more: SuiteData, rows: Ints, kept: list[int], left: list[str], name: str
) -> tuple[str, ...]:
    outcomes = more.outcomes.take(rows)
    cost = None if outcomes.cost is None else float(np.nansum(outcomes.cost[:, kept]))
    answers = int((outcomes.state[:, kept] == State.OK).sum())
    paid = "" if cost is None else f", ${cost:.6g}"
    note = (
        f"trained on {len(rows):,} queries more ({answers:,} answers{paid}) of {name}, outcomes"
        f" {outcomes_fingerprint(more)}: none of them is in the validation or test part"
    )
    unused = (f"models of {name} that are not used: {', '.join(left)}",) if left else ()
    return (note, *unused)


def _widened(more: SuiteData, kept: Ints, columns: Ints, data: SuiteData) -> SuiteData:
    """Return the addition in the suite's columns of models, with ids and keys of its own."""
    n, m = len(more), len(data.pool)
    values = {}
    for one in fields(Outcomes):
        found, wanted = getattr(more.outcomes, one.name), getattr(data.outcomes, one.name)
        if wanted is None:
            continue
        wide = np.full((n, m, *wanted.shape[2:]), _FILLS.get(one.name, np.nan), wanted.dtype)
        if found is not None and one.name != "samples":
            wide[:, columns] = found[:, kept]
        values[one.name] = wide
    if "samples" in values:  # of the mean, which is all that the addition is read for
        values["samples"][:, :, 0] = values["score"]
    cells = (columns[None, :] + m * np.arange(n)[:, None]).ravel()
    own = (kept[None, :] + len(more.pool) * np.arange(n)[:, None]).ravel()
    texts = {}
    for column in _TEXTS:
        if getattr(data, column) is not None:
            spread: Strings = np.full(n * m, None, dtype=object)
            if (found := getattr(more, column)) is not None:
                spread[cells] = found.take(pa.array(own)).to_pylist()
            texts[column] = pa.array(spread, pa.large_string())
    ids: Strings = np.array([f"added/{name}" for name in more.ids], dtype=object)
    keys = [sha256(f"{i}\x1f{h}".encode("utf-8", "replace"))[:16] for i, h in
            zip(ids, more.text_hash, strict=True)]  # fmt: skip
    return replace(
        more, ids=ids, keys=np.array(keys, dtype=object), outcomes=Outcomes(**values), **texts
    )


def _rows(data: SuiteData, rows: Ints) -> SuiteData:
    """Return some of the queries."""
    m = data.outcomes.state.shape[1]
    cells = pa.array((rows[:, None] * m + np.arange(m)).ravel())
    taken = {
        **dict.fromkeys(("ids", "keys", "text_hash", "split", "references", "added"), rows),
        **dict.fromkeys(_TEXTS, cells),
    }
    return replace(
        data,
        queries=data.queries.take(rows),
        outcomes=data.outcomes.take(rows),
        **{
            name: found.take(at) if name in _TEXTS else found[at]
            for name, at in taken.items()
            if (found := getattr(data, name)) is not None
        },
    )


def _joined(data: SuiteData, added: SuiteData) -> SuiteData:
    n, more = len(data), len(added)

    def one(first: Any, second: Any) -> Any:
        if first is None:
            return None
        if second is None:
            second = np.full(more, None if first.dtype == object else np.nan, first.dtype)
        return np.concatenate([first, second])

    split = None if data.split is None else np.full(more, "train", dtype=object)
    texts = {
        name: pa.concat_arrays([_whole(getattr(data, name)), getattr(added, name)])
        for name in _TEXTS
        if getattr(data, name) is not None
    }
    queries = {f.name: one(getattr(data.queries, f.name), getattr(added.queries, f.name))
               for f in fields(Queries)}  # fmt: skip
    outcomes = {f.name: one(getattr(data.outcomes, f.name), getattr(added.outcomes, f.name))
                for f in fields(Outcomes)}  # fmt: skip
    return replace(
        data,
        queries=Queries(**queries),
        outcomes=Outcomes(**outcomes),
        ids=one(data.ids, added.ids),
        keys=one(data.keys, added.keys),
        text_hash=one(data.text_hash, added.text_hash),
        split=one(data.split, split),
        references=one(data.references, added.references),
        added=np.concatenate([np.zeros(n, dtype=np.bool_), np.ones(more, dtype=np.bool_)]),
        files=(*data.files, *added.files),
        **texts,
    )


def _whole(array: Any) -> Any:
    """Return an Arrow column as one array of large strings."""
    found = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return found.cast(pa.large_string())


def _sorted(data: SuiteData) -> SuiteData:
    """Return the queries in the order of their texts' hashes, as loading leaves them."""
    return _rows(data, np.lexsort((data.ids.astype(str), data.text_hash.astype(str))))
