"""The process of one stage of a job: `python -m routebench.worker`, told what to do on stdin.

Nothing of the run is in its arguments, environment or working folder. It speaks JSON lines on
stdout: progress, then one result. Whatever the router prints goes to the log instead.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, TextIO

from routebench import isolation


def main() -> None:
    order = json.loads(sys.stdin.readline())
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.argv = ["routebench-job"]
    folder = Path(order["folder"])
    level, violations = isolation.enter(
        folder,
        [Path(path) for path in order.pop("protected")],
        order.pop("banned"),
        order.pop("processes"),
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    noted: list[str] = []
    warnings.showwarning = lambda message, category, *_: noted.append(
        f"{category.__name__}: {message}"
    )
    try:
        answer: dict[str, Any] = {"timing": _STAGES[order["stage"]](order, folder, channel)}
        if violations:
            answer = {"failed": f"isolation: {violations[0]}"}
    except BaseException as error:  # a router may raise anything, SystemExit too
        reason = f"isolation: {violations[0]}" if violations else _describe(error)
        answer = {"failed": reason, "log": traceback.format_exc()}
    answer |= {"isolation": level, "warnings": list(dict.fromkeys(noted))[:5]}
    print(json.dumps({"result": answer}), file=channel, flush=True)
    # Threads or exit handlers of a router must not hold up the run.
    os._exit(0)


def _fit(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    from routebench import encoders, jobs, transfer
    from routebench.records import Context, Objective

    train = transfer.read_table(folder / "train.arrow")
    validation = transfer.read_table(folder / "validation.arrow")

    def progress(done: float, note: str = "") -> None:
        print(json.dumps({"progress": [float(done), str(note)]}), file=channel)

    encoder = encoders.FittedOnUse(
        order["encoder"], order["encoder_options"], list(train.queries.text)
    )
    work = folder / "work"
    for name in ("train.arrow", "validation.arrow"):
        (folder / name).unlink()
    objective = Objective(**order["objective"])
    context = Context(order["seed"], encoder, work, order["device"], objective, progress)
    harness = _harness(order)
    jobs.fit_and_save(harness, train, validation, context, folder / "checkpoint")
    return {"fit_seconds": harness.metering.fit_seconds} | _memory()


def _route(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    import numpy as np

    from routebench import jobs, transfer
    from routebench.harness import CHUNK

    queries = transfer.read_queries(folder / "queries.arrow")
    harness = _harness(order)
    models = tuple(order["models"])
    decisions = jobs.load_and_route(harness, folder / "checkpoint", queries, models)
    transfer.write_decisions(folder / "decisions.arrow", decisions)
    chunks = -(-len(queries) // CHUNK)
    seconds = harness.metering.route_seconds
    single = 1000 * np.array(seconds[chunks:])
    return {
        "route_seconds": sum(seconds[:chunks]),
        "queries_per_second": len(queries) / max(sum(seconds[:chunks]), 1e-9),
        "latency_ms_p50": float(np.quantile(single, 0.5)),
        "latency_ms_p95": float(np.quantile(single, 0.95)),
    } | _memory()


_STAGES = {"fit": _fit, "route": _route}


def _harness(order: dict[str, Any]) -> Any:
    from routebench import jobs
    from routebench.discovery import PluginInfo
    from routebench.harness import Harness

    plugin = PluginInfo(**order["plugin"])
    return Harness(jobs.create(plugin, order["options"], order["label"]))


def _memory() -> dict[str, Any]:
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak is inherited from the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return {"peak_rss_bytes": int(line.split()[1]) * 1024}
    return {}


def _describe(error: BaseException) -> str:
    """Type, message, and the last line of the traceback outside the harness."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent)
    outside = [f for f in frames if not f.filename.startswith(own) and "pluggy" not in f.filename]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {str(error) or 'no message'}{place}".replace("\n", " ")


def _end_with_parent() -> None:
    """The parent holds our stdin open; when it dies, however it dies, so do we."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
