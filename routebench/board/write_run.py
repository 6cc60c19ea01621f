"""Write a finished run into its folder: tables, run file, and the board last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routebench.board import checkpoint_points, write_tables
from routebench.board.run_folder import BOARD, RUN_FILE, to_json, with_digest
from routebench.config import RunConfig, dump, located
from routebench.files import replace_file, sha256
from routebench.jobs import footprint
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.prices.apply import PriceInfo
from routebench.schema import Leaderboard


def write(
    folder: Path,
    config: RunConfig,
    setup: Setup,
    prices: PriceInfo,
    board: Leaderboard,
    results: Mapping[Job, Result],
    started: float,
    extensions: Mapping[str, Any] | None = None,
) -> Leaderboard:
    """Write all files of the run, the board last, and return the board as it was written.

    `extensions` is what the board says of those that were installed.
    """
    made = write_tables.tables(setup, prices, results, write_tables.stated(board))
    if config.keep_texts:
        made[write_tables.TEXTS] = write_tables.texts(setup)
    for name, content in made.items():
        replace_file(folder / name, content)
    for name in set(write_tables.NAMES) - set(made):
        (folder / name).unlink(missing_ok=True)
    run_file = dump(config).encode()
    replace_file(folder / RUN_FILE, run_file)
    board = board.model_copy(
        update={
            "files": {name: sha256(content) for name, content in sorted(made.items())},
            "environment": environment(config, setup, results, extensions)
            | {"run_toml": sha256(run_file)},
            "timing": timing(setup, results) | {"seconds": round(time.time() - started, 3)},
        }
    )
    checkpoint_points.write(folder, board)
    board = with_digest(board)
    replace_file(folder / BOARD, to_json(board).encode())
    return board


def environment(
    config: RunConfig,
    setup: Setup,
    results: Mapping[Job, Result],
    extensions: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the machines and versions of the jobs; nothing here decides comparability."""
    here = footprint.machine(job.plugin.distribution for job in results)
    done = [result for result in results.values() if result.state == "ok"]
    ran = footprint.merge_machines([result.machine for result in done if result.machine] or [here])
    return {
        **ran,
        "packages": here["packages"] | ran["packages"],
        "device": setup.device,
        "isolation": sorted({result.isolation for result in done}),
        "data": [located(config.suite_data)] if config.suite_data else [],
        **({"extensions": dict(extensions)} if extensions else {}),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def timing(setup: Setup, results: Mapping[Job, Result]) -> dict[str, Any]:
    """Return seconds, latencies and memory per router: means over its jobs, the peak for memory.

    Where texts were encoded beforehand, the latency of encoding one text is added to that of a
    router that used their vectors, quantile by quantile. Such a sum of quantiles overstates
    rather than understates the quantile of the sum.
    """
    encoder = setup.encoded.timing if setup.encoded else {}
    routers: dict[str, list[dict[str, Any]]] = {}
    for job, result in results.items():
        if result.state == "ok":
            routers.setdefault(job.label, []).append(result.timing)
    summary = {}
    for label, parts in routers.items():
        timings = {
            name: (max if name.startswith("peak") else _mean)([part[name] for part in parts])
            for name in sorted(set.intersection(*map(set, parts)))
        }
        if timings.pop("encodes", 0):
            timings |= {name: timings[name] + encoder[name] for name in encoder if name in timings}
        summary[label] = timings
    return {"routers": summary} | ({"encoder": encoder} if encoder else {})


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
