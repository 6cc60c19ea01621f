"""The run folder: where it is, what is in it, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from routebench.board.schema import Leaderboard
from routebench.config import RunConfig, dump, located
from routebench.errors import DataError, OptionError

if TYPE_CHECKING:
    from routebench.jobs import Job, Result, Setup
    from routebench.pricing import PriceInfo

BOARD, RUN_FILE, CHECKPOINTS, LOCK = "leaderboard.json", "run.toml", "routers", ".lock"
_RESULTS = Path("results")


@contextlib.contextmanager
def run_folder(config: RunConfig, run_hash: str) -> Iterator[Path]:
    """The folder of this run, made and locked against a second run of the same.

    An `OptionError` where it cannot be written, or holds anything but a run.
    """
    folder = Path(config.out) if config.out else _RESULTS / config.suite_name / run_hash
    try:
        content = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if content and not content & {LOCK, BOARD}:
            raise OptionError(f"--out {folder}: not empty, and not a run folder", "name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        hint = "name another with --out DIR"
        raise OptionError(f"cannot write to {folder}: {error.strerror or error}", hint) from error
    with lock:
        _hold(lock, folder)
        if config.fresh:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        yield folder


def protected(config: RunConfig, outcomes: Iterable[Path]) -> tuple[Path, ...]:
    """What routers must not read: outcomes, and runs of now or earlier wherever they may lie."""
    results = [_RESULTS.resolve(), *([Path(config.out).resolve()] if config.out else [])]
    routers = [Path(name.rpartition(":")[0]) for name in config.router if ".py:" in name]
    near = {path.resolve().parent for path in (*results, *routers, *outcomes)} | {Path.cwd()}
    runs = {board.parent for folder in near for board in folder.glob(f"*/{BOARD}")}
    return (*outcomes, *results, *sorted(runs))


def write(
    folder: Path,
    config: RunConfig,
    setup: Setup,
    prices: PriceInfo,
    board: Leaderboard,
    results: Mapping[Job, Result],
    started: float,
) -> Leaderboard:
    """Write all files of the run, the board last; returns the board as it was written."""
    from routebench.board import artefacts

    made = artefacts.tables(setup, prices, results)
    for name, content in made.items():
        replace_file(folder / name, content)
    for name in set(artefacts.NAMES) - set(made):
        (folder / name).unlink(missing_ok=True)
    run_file = dump(config).encode()
    replace_file(folder / RUN_FILE, run_file)
    board = board.model_copy(
        update={
            "files": {name: _sha256(content) for name, content in sorted(made.items())},
            "environment": environment(config, setup, results) | {"run_toml": _sha256(run_file)},
            "timing": timing(setup, results) | {"seconds": round(time.time() - started, 3)},
        }
    )
    replace_file(folder / BOARD, to_json(board).encode())
    return board


def to_json(board: Leaderboard) -> str:
    """The board as it stands in its file."""
    values = board.model_dump(mode="json", exclude_none=False)
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read(path: Path) -> Leaderboard:
    """The board of a run folder, or of a `leaderboard.json`; a `DataError` where there is none."""
    place = path / BOARD if path.is_dir() else path
    try:
        return Leaderboard.model_validate_json(place.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "name a run folder, or its leaderboard.json"
        raise DataError(f"{place}: {error.strerror or error}", hint) from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise DataError(f"{place}: not a leaderboard: {' '.join(first[1:3]).strip()}") from error


def replace_file(path: Path, content: bytes) -> None:
    """Write beside the place, then rename: a reader sees the old or the new, never a part."""
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def environment(config: RunConfig, setup: Setup, results: Mapping[Job, Result]) -> dict[str, Any]:
    """Where and with what the run was made; nothing here decides comparability."""
    names = {"routebench", "numpy", "pyarrow", "scikit-learn", "scipy", "pluggy", "pydantic"}
    names |= {job.plugin.distribution for job in results if job.plugin.distribution}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "device": setup.device,
        "packages": {name: metadata.version(name) for name in sorted(names)},
        "isolation": sorted({result.isolation for result in results.values()}),
        "data": [located(config.suite_data)] if config.suite_data else [],
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def timing(setup: Setup, results: Mapping[Job, Result]) -> dict[str, Any]:
    """Seconds, latencies and memory per router: means over its jobs, the peak for memory.

    Where texts were encoded beforehand, the latency of a router that used their vectors has that
    of encoding one text added, quantile by quantile, which is rather too much than too little.
    """
    encoder = setup.encoded.timing if setup.encoded else {}
    routers: dict[str, list[dict[str, Any]]] = {}
    for job, result in results.items():
        if result.state == "ok":
            routers.setdefault(job.label, []).append(result.timing)
    summary = {}
    for label, parts in routers.items():
        own = {
            name: (max if name.startswith("peak") else _mean)([part[name] for part in parts])
            for name in sorted(set.intersection(*map(set, parts)))
        }
        if own.pop("encodes", 0):
            own |= {name: own[name] + encoder[name] for name in encoder if name in own}
        summary[label] = own
    return {"routers": summary} | ({"encoder": encoder} if encoder else {})


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hold(lock: Any, folder: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the kernel, also after kill -9
    except OSError as error:
        raise OptionError(
            f"another run is writing to {folder}", "wait for it, or use --out"
        ) from error
