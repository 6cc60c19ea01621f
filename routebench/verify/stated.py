"""Check what no table can tell against what else the run folder states of it.

The run file, the header of the cells, the jobs' own records beside their checkpoints, and the
versions in the environment: one value changed in one of them is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from routebench import config
from routebench.board import provenance, run_folder, write_run, write_tables
from routebench.board.build import (
    AUDIT_ONLY,
    STARTS_PROCESSES,
    USES_NETWORK,
    WRAPPED,
    merge_facts,
)
from routebench.board.read_run import Stored
from routebench.board.run_folder import CHECKPOINTS, RUN_FILE
from routebench.config import RunConfig
from routebench.errors import DataError
from routebench.jobs import footprint
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.names import is_label
from routebench.plugin.described import several
from routebench.plugin.discovery import PluginInfo
from routebench.schema import Leaderboard, Row, is_measured

Compared = tuple[str, Any, Any, str]
"""Path, what the board says, what is found, and where."""
MISSING = "is not there"
IN_RUN, IN_CELLS, IN_JOBS = "in run.toml", "in the header of cells.parquet", "in its jobs' records"
NO_JOBS = "options, fingerprints, facts and timing of routers: there are no checkpoints here"
_Header = dict[str, Any]


def stated_values(run: Stored) -> Iterator[Compared]:
    """Yield every such value of a board."""
    board = run.board
    options = config.make(config.read(run.folder / RUN_FILE))
    digest = board.environment.get(run_folder.DIGEST)
    yield "environment.board_sha256", digest, run_folder.board_digest(board), "of the board"
    yield from _files(run.folder, board)
    yield from _options(options, board)
    yield from _cells(run.folder, board)
    yield "priced", board.priced, _priced(run), "in its files"
    for row in board.rows:
        yield from _row(row, options, board)
    if has_jobs(run.folder):
        yield from _jobs(run)


def has_jobs(folder: Path) -> bool:
    """Return whether a run folder has its jobs' records."""
    return (folder / CHECKPOINTS).is_dir()


def _files(folder: Path, board: Leaderboard) -> Iterator[Compared]:
    """Yield the files that the board does not speak of, though it should."""
    for name in write_tables.NAMES:
        if name not in board.files and (folder / name).exists():
            yield f"files[{name}]", MISSING, "is there", "in the folder"
    if "run_toml" not in board.environment:
        yield "environment.run_toml", MISSING, "is there", "in the folder"


def _options(options: RunConfig, board: Leaderboard) -> Iterator[Compared]:
    yield "objective", board.objective, dict(options.objective), IN_RUN
    # A path is told by its name alone where the file is there.
    known = {options.encoder_label, f"{options.encoder_name}:{Path(options.encoder_argument).name}"}
    encoder = board.encoder if board.encoder in known else options.encoder_label
    yield "encoder", board.encoder, encoder, IN_RUN
    yield "suite.protocol", board.suite.protocol, options.protocol, IN_RUN
    about = board.environment
    data = [config.located(options.suite_data)] if options.suite_data else []
    if options.suite_data is None or not about.get("repriced"):
        ours, theirs = _names(about.get("data")), _names(data)
        yield "environment.data", ours, theirs, IN_RUN
    yield "environment.device", about.get("device"), options.device, IN_RUN
    if not any(map(several, options.router)):
        named = sorted(_label(text) for text in options.router)
        yield "rows", sorted(row.router for row in board.rows), named, IN_RUN
    for row in board.rows:
        if row.state == "ok":
            yield f"rows[{row.router}].seeds", row.seeds, list(range(options.seeds)), IN_RUN


def _names(paths: Any) -> list[str]:
    return [Path(str(path)).name for path in paths] if isinstance(paths, list) else []


def _label(text: str) -> str:
    _, colon, rest = text.rpartition(".py:")
    return rest if colon else text


def _cells(folder: Path, board: Leaderboard) -> Iterator[Compared]:
    """Yield what the header of the cells says of suite, texts and duplicates."""
    metadata = pq.read_schema(folder / "cells.parquet").metadata or {}
    if (text := metadata.get(write_tables.STATED.encode())) is None:
        yield "cells.parquet", "says of what suite it is", MISSING, IN_CELLS
        return
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"cells.parquet: its header is damaged: {error}") from error
    ours = write_tables.stated(board)
    for name in ours if isinstance(held, dict) else ():
        if "repriced" in board.environment and name in write_tables.OF_PRICES:
            continue
        yield name, ours[name], held.get(name, MISSING), IN_CELLS


def _priced(run: Stored) -> str:
    """Return where the costs come from."""
    if run.setup.data.outcomes.cost is None:
        return "unpriced"
    if run.prices is None:
        return "recorded"
    basis = run.board.diagnostics.cost_basis
    return "estimated" if basis.get("estimated", 0) + basis.get("assumed", 0) else "prices"


def _row(row: Row, options: RunConfig, board: Leaderboard) -> Iterator[Compared]:
    at, name = f"rows[{row.router}]", row.router.partition("@")[0]
    yield f"{at}.plugin", row.plugin, name, "in its label"
    packages = board.environment.get("packages")
    known = packages if isinstance(packages, dict) else {}
    if row.distribution is not None and row.state == "ok":
        version = known.get(row.distribution, MISSING)
        yield f"{at}.version", row.version, version, "in environment.packages"
    elif row.distribution is None:
        yield f"{at}.version", row.version, None, "for a router of a file"
    for option, value in (options.set.get(name, {}) | options.set.get(row.router, {})).items():
        if isinstance(value, bool | int | float) and row.state == "ok":
            yield f"{at}.options.{option}", row.options.get(option, MISSING), value, IN_RUN


def _jobs(run: Stored) -> Iterator[Compared]:
    """Yield what the records of the jobs say of their routers."""
    board, results, levels = run.board, dict[Job, Result](), set[str]()
    machines: list[dict[str, Any]] = []
    for row in board.rows:
        if row.state != "ok" or not is_label(row.router):
            continue
        headers = []
        for seed in [0] if row.deterministic else row.seeds:
            for fold in range(board.suite.folds):
                at = f"rows[{row.router}].seed-{seed}.fold-{fold}"
                header = _header(run.folder, row.router, seed, fold)
                if header is None:
                    yield at, "a finished job", MISSING, IN_JOBS
                    continue
                headers.append(header)
                levels.add(str(header.get("isolation")))
                machines += [header["machine"]] if header.get("machine") else []
                for name, ours, theirs in provenance.mismatches(header, row, seed, fold):
                    yield f"{at}.{name}", ours, theirs, IN_JOBS
                result = Result("ok", timing=header.get("timing", {}))
                plugin = PluginInfo("router", row.plugin, "", None, None)
                results[Job(row.router, plugin, {}, seed, fold, "")] = result
        yield from _told(row, headers)
    if "encoder" not in board.timing and board.rows:
        ours = board.timing.get("routers", {})
        theirs = write_run.timing(run.setup, results)["routers"]
        for label in dict.fromkeys([*ours, *theirs]):
            mine, made = ours.get(label, {}), theirs.get(label, {})
            for name in dict.fromkeys([*mine, *made]):
                path = f"timing.routers[{label}].{name}"
                yield path, mine.get(name, MISSING), made.get(name, MISSING), IN_JOBS
    failed = any(row.state == "failed" for row in board.rows)
    if levels and not failed:
        yield "environment.isolation", board.environment.get("isolation"), sorted(levels), IN_JOBS
    if machines and not failed:
        yield from _machines(board, machines)


def _machines(board: Leaderboard, machines: list[dict[str, Any]]) -> Iterator[Compared]:
    """Yield where the jobs ran, with which versions."""
    for name, theirs in footprint.merge_machines(machines).items():
        ours = board.environment.get(name, MISSING)
        if not isinstance(ours, dict):
            yield f"environment.{name}", ours, theirs, IN_JOBS
            continue
        for one in dict.fromkeys([*ours, *theirs]):
            path = f"environment.{name}.{one}"
            yield path, ours.get(one, MISSING), theirs.get(one, MISSING), IN_JOBS


def _told(row: Row, headers: list[_Header]) -> Iterator[Compared]:
    """Yield the facts and warnings of a router."""
    facts = merge_facts([header.get("facts", {}) for header in headers])
    yield f"rows[{row.router}].facts", row.facts, facts, IN_JOBS
    told = sorted({str(text) for header in headers for text in header.get("warnings", [])})
    noted = [text for text in row.warnings if not is_measured(text) and not _is_ours(text)]
    yield f"rows[{row.router}].warnings", noted, told, IN_JOBS
    audited = any(header.get("isolation") == "audit" for header in headers)
    path = f"rows[{row.router}].warnings, of the audit hook"
    yield path, AUDIT_ONLY in row.warnings, audited, IN_JOBS


def _is_ours(text: str) -> bool:
    return text in (STARTS_PROCESSES, USES_NETWORK, AUDIT_ONLY) or text.startswith(WRAPPED)


def _header(folder: Path, label: str, seed: int, fold: int) -> _Header | None:
    place = folder / CHECKPOINTS / label / f"seed-{seed}" / f"fold-{fold}" / provenance.JOB
    try:
        header = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None
