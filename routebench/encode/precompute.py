"""Stateless encoders: every text of a run is encoded once, beforehand, and cached on disk."""

from __future__ import annotations

import contextlib
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from routebench.encode import vectors
from routebench.encode.encoded import Encoded, EncoderInfo
from routebench.errors import DataError, PluginError, RoutebenchError
from routebench.files import replace_file, sha256
from routebench.isolation.messages import Access, EncodeReply, EncodeRequest, Failed, Refused
from routebench.isolation.subprocesses import Workers
from routebench.plugin import discovery
from routebench.plugin.discovery import PluginInfo
from routebench.records import Vectors

CHUNK = 256
"""Texts a worker is given at a time: of similar length, and always the same ones, so that the
number of workers changes no vector."""
KEEP_SECONDS = 30
"""What is encoded is cached that often, so that an interruption loses little."""


def encode(
    info: EncoderInfo,
    texts: Sequence[str],
    ids: Sequence[str],
    workers: Workers,
    count: int,
    device: str,
    watch: Callable[[str], None],
) -> Encoded:
    """Encode the texts in at most `count` processes; those in the cache are not done again.

    `ids` are the query ids of the first texts; there are no others where the encoder is `by_id`.
    """
    place = Path(tempfile.mkdtemp(prefix="encode-", dir=workers.scratch))
    request = EncodeRequest(info.plugin.name, info.options, device)
    if info.by_id:
        watch(f"reading the embeddings of {len(ids):,} queries")
        _run(workers, place / "ids", request, {"ids": list(ids)}, info)
        matrix = _read(place / "ids" / "0.npy", info, len(ids))
        vectors.write(place / "store", texts, matrix)
        return Encoded(info, place / "store")
    distinct = list(dict.fromkeys(texts))
    cache = vectors.VectorCache(vectors.cache_root(), _cache_key(info, device))
    matrix, known = cache.find(distinct, info.dimension)
    missing = [text for text, there in zip(distinct, known, strict=True) if not there]
    watch(f"encoding {len(distinct):,} texts, {len(distinct) - len(missing):,} from the cache")
    timing: dict[str, Any] = {"texts": len(distinct), "cached": len(distinct) - len(missing)}
    if missing:
        made, seconds = _in_chunks(info, missing, workers, count, request, place, cache, watch)
        matrix[~known] = made
        timing["seconds"] = seconds
    timing |= _latency(cache.folder / "latency.json", info, distinct, workers, request, place)
    vectors.write(place / "store", distinct, matrix)
    return Encoded(info, place / "store", timing)


def _cache_key(info: EncoderInfo, device: str) -> str:
    """Return a key of the encoder, and of all else that the last bits of its vectors depend on."""
    kind = device.partition(":")[0]
    versions = [f"{name} {version}" for name, version in _versions(info.plugin)]
    code = discovery.code_hash(info.plugin)
    text = "\n".join([info.fingerprint, code, kind, platform.machine(), *versions])
    return f"{info.fingerprint}-{kind}-{sha256(text.encode())[:8]}"


def _versions(plugin: PluginInfo) -> Iterator[tuple[str, str]]:
    """Yield the distributions the plugin's extra asks for, as they are installed."""
    for name in discovery.required(plugin):
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def _in_chunks(
    info: EncoderInfo,
    texts: list[str],
    workers: Workers,
    count: int,
    request: EncodeRequest,
    place: Path,
    cache: vectors.VectorCache,
    watch: Callable[[str], None],
) -> tuple[Vectors, float]:
    """Encode texts; return [n, d] and the seconds it took. What is done is cached as it goes."""
    by_length = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
    chunks = [by_length[s : s + CHUNK] for s in range(0, len(texts), CHUNK)]
    matrix = np.empty((len(texts), info.dimension), dtype=np.float32)
    done: set[int] = set()

    def share(number: int) -> float:
        assigned = range(number, len(chunks), count)
        folder = place / f"share-{number}"

        def keep(part: int) -> None:
            """Read, check and cache everything up to this part of the share."""
            new = [chunk for chunk in assigned[: part + 1] if chunk not in done]
            for chunk in new:
                path = folder / f"{assigned.index(chunk)}.npy"
                matrix[chunks[chunk]] = _read(path, info, len(chunks[chunk]))
            if rows := [row for chunk in new for row in chunks[chunk]]:
                cache.add([texts[row] for row in rows], matrix[rows])
            done.update(new)

        since = time.monotonic()

        def on_progress(_: float, part: str) -> None:
            nonlocal since
            if time.monotonic() - since >= KEEP_SECONDS:
                since = time.monotonic()
                with contextlib.suppress(RoutebenchError):  # said when the share is whole
                    keep(int(part))
                ready = sum(len(chunks[chunk]) for chunk in done)
                watch(f"encoded {ready:,} of {len(texts):,} texts")

        content = {"chunks": [[texts[i] for i in chunks[chunk]] for chunk in assigned]}
        seconds = _run(workers, folder, request, content, info, on_progress)
        keep(len(assigned) - 1)
        return sum(seconds)

    with ThreadPoolExecutor(count) as pool:
        try:
            return matrix, max(pool.map(share, range(min(count, len(chunks)))))
        except BaseException:
            workers.stop()  # the pool waits for its threads, and they for their processes
            raise


def _latency(
    path: Path,
    info: EncoderInfo,
    texts: list[str],
    workers: Workers,
    request: EncodeRequest,
    place: Path,
) -> dict[str, Any]:
    """Measure milliseconds for one text at a time, once; they are kept beside the cache."""
    key = request.device
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):  # not there yet, or damaged
        known = dict(json.loads(path.read_text()))
    if key not in known:
        content = {"chunks": [[text] for text in texts[:: max(1, len(texts) // 16)][:16]]}
        folder = place / "latency"
        seconds = _run(workers, folder, request, content, info)
        known[key] = {
            f"latency_ms_p{q}": 1000 * float(np.quantile(seconds, q / 100)) for q in (50, 95, 99)
        }
        with contextlib.suppress(OSError):  # a cache that is full or read-only: measured again
            replace_file(path, json.dumps(known).encode())
    measured: dict[str, Any] = known[key]
    return measured


def _run(
    workers: Workers,
    folder: Path,
    request: EncodeRequest,
    content: dict[str, Any],
    info: EncoderInfo,
    on_progress: Callable[[float, str], None] = lambda done, part: None,
) -> list[float]:
    """Run one process, which leaves a file per part of the content; return the seconds of each."""
    folder.mkdir(parents=True)
    (folder / "texts.json").write_text(json.dumps(content))
    access = Access(downloads=True)
    reply = workers.run(request, folder, access, progress=on_progress).reply
    match reply:
        case EncodeReply():
            return reply.seconds
        case Refused():
            raise DataError(reply.message, reply.hint)
        case Failed():
            raise PluginError(f"encoder {info.plugin.name}: {reply.reason}")
    raise PluginError(f"encoder {info.plugin.name}: answered with {type(reply).__name__}")


def _read(path: Path, info: EncoderInfo, n: int) -> Vectors:
    """Read and check [n, d] vectors that a process left."""
    matrix: Vectors = np.load(path, allow_pickle=False)
    expected = (n, info.dimension)
    if matrix.shape != expected or matrix.dtype != np.float32 or not np.isfinite(matrix).all():
        raise PluginError(
            f"encoder {info.plugin.name} gave {matrix.dtype} {matrix.shape}, or values that are "
            f"not finite; expected float32 {expected}"
        )
    return matrix
