"""Fingerprints that decide whether boards may be compared: hashes of a suite's content.

Loading sorts queries and models, so that neither the order of a file, nor its format, nor its
path has any influence. Take them from the data as loaded, before it is priced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from routebench.data.texts import encode
from routebench.records import SuiteData


def suite_fingerprint(data: SuiteData) -> str:
    """Return 16 hex digits over name, queries with columns, references, users, who asked what."""
    references: Iterable[str | None] = () if data.references is None else data.references
    queries = [_texts(data.keys), _texts(references)]
    columns = (data.queries.task, data.queries.user)
    queries += [b"" if column is None else _texts(column) for column in columns]
    queries += [_matrix(data.queries.preference), _matrix(data.queries.embedding)]
    if (users := data.users) is not None:
        queries += [_texts(users.name), _matrix(users.preference), _matrix(users.asked)]
    return _digest(_texts([data.name]), *queries)


def pool_fingerprint(data: SuiteData) -> str:
    """Return 16 hex digits over the models' names."""
    return _digest(_texts(data.pool.models))


def outcomes_fingerprint(data: SuiteData) -> str:
    """Return 16 hex digits over scores, states, grades, recorded tokens and costs, and answers.

    Optional matrices, such as the scores of repeated answers, count only where they are there.
    """
    o = data.outcomes
    matrices = (o.score, o.state, o.grade, o.input_tokens, o.output_tokens, o.cost)
    return _digest(
        _texts(data.keys),
        _texts(data.pool.models),
        *(_matrix(values) for values in matrices),
        *_arrow_texts(data.answers),
        *(() if o.samples is None else (_matrix(o.samples),)),
        *(() if o.relative_cost is None else (_matrix(o.relative_cost),)),
        *(() if o.cached_tokens is None else (b"cached", _matrix(o.cached_tokens))),
        *(() if o.thinking_tokens is None else (b"thinking", _matrix(o.thinking_tokens))),
        *(() if o.confidence is None else (b"confidence", _matrix(o.confidence))),
        *(() if o.verification is None else (b"verification", _matrix(o.verification))),
        *(() if data.finish_reasons is None else (b"finish", *_arrow_texts(data.finish_reasons))),
    )


def _digest(*parts: bytes) -> str:
    """Hash each part behind its length, so that no two lists of parts read the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:16]


def _texts(values: Iterable[str | None]) -> bytes:
    return b"".join(
        b"-" if value is None else b"+%d:%s" % (len(raw := encode(value)), raw) for value in values
    )


def _matrix(values: Any) -> bytes:
    """Return little-endian bytes; every NaN as the same NaN, and no negative zero."""
    if values is None:
        return b""
    if values.dtype.kind == "f":
        clean = np.where(np.isnan(values), np.nan, values) + 0.0
        return np.ascontiguousarray(clean, dtype="<f8").tobytes()
    return np.ascontiguousarray(values).tobytes()


def _arrow_texts(values: Any) -> tuple[bytes, ...]:
    """Return a null mask, the texts' lengths, and their bytes; nothing without answers."""
    if values is None:
        return ()
    import pyarrow.compute as pc

    # Null slots may hold anything at all; as empty texts they hold nothing.
    filled = pc.fill_null(values, "")
    null = np.packbits(values.is_null().to_numpy(zero_copy_only=False)).tobytes()
    length = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8")
    raw = filled.buffers()[2]
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int64)
    begin, end = offsets[filled.offset], offsets[filled.offset + len(filled)]
    return null, length.tobytes(), b"" if raw is None else raw.to_pybytes()[begin:end]
