"""The process of one stage of a job: `python -m routebench.worker`, told what to do on stdin.

Nothing of the run is in its arguments, environment or working folder. It speaks JSON lines on
stdout: progress, then one result. Whatever the router prints goes to the log instead.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, TextIO

from routebench import isolation


def main() -> None:
    order = json.loads(sys.stdin.readline())
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # The router gets an empty standard input; the real one tells when the parent dies.
    parent = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.argv = ["routebench-job"]
    folder = Path(order["folder"])
    level, violations = isolation.enter(
        folder,
        [Path(path) for path in order.pop("protected")],
        order.pop("banned"),
        order.pop("processes"),
        order.pop("downloads", False),
        Path(order["kept"]) if order.get("kept") else None,
    )
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    noted: list[str] = []
    warnings.showwarning = lambda message, category, *_: noted.append(
        f"{category.__name__}: {message}"
    )
    try:
        answer = _STAGES[order["stage"]](order, folder, channel)
        if violations:
            answer = {"failed": f"isolation: {violations[0]}"}
    except BaseException as error:  # a router may raise anything, SystemExit too
        reason = f"isolation: {violations[0]}" if violations else _reason(error)
        answer = {"failed": reason, "log": traceback.format_exc()}
    answer |= {"isolation": level, "warnings": list(dict.fromkeys(noted))[:5]}
    print(json.dumps({"result": answer}), file=channel, flush=True)
    # Threads or exit handlers of a router must not hold up the run.
    os._exit(0)


def _fit(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    from routebench import jobs, transfer
    from routebench.records import Context, Objective

    train = transfer.read_table(folder / "train.arrow")
    validation = transfer.read_table(folder / "validation.arrow")

    def progress(done: float, note: str = "") -> None:
        print(json.dumps({"progress": [float(done), str(note)]}), file=channel)

    encoder = _encoder(order, folder, list(train.queries.text))
    work = folder / "work"
    for name in ("train.arrow", "validation.arrow"):
        (folder / name).unlink()
    objective = Objective(**order["objective"])
    kept = Path(order["kept"])
    context = Context(order["seed"], encoder, work, order["device"], objective, progress, kept)
    harness = _harness(order)
    jobs.fit_and_save(harness, train, validation, context, folder / "checkpoint")
    timing: dict[str, Any] = {"fit_seconds": harness.metering.fit_seconds}
    size = _size(folder / "checkpoint")
    return {"timing": timing | size | _memory(), "facts": jobs.facts(harness.router)}


def _encoder(order: dict[str, Any], folder: Path, texts: list[str]) -> Any:
    from routebench.encoders import FittedOnUse, Served

    name, values, encoded = order["encoder"], order["encoder_options"], order["encoded"]
    if encoded is None:
        return FittedOnUse(name, values, texts)
    Served.store = folder / "vectors"
    return Served(name, values, device=order["device"], **encoded)


def _route(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    import numpy as np

    from routebench import jobs, transfer
    from routebench.encoders import Served
    from routebench.harness import CHUNK

    if (folder / "vectors").exists():
        Served.store = folder / "vectors"
    queries = transfer.read_queries(folder / "queries.arrow")
    harness = _harness(order)
    models = tuple(order["models"])
    decisions = jobs.load_and_route(harness, folder / "checkpoint", queries, models)
    transfer.write_decisions(folder / "decisions.arrow", decisions)
    chunks = -(-len(queries) // CHUNK)
    seconds = harness.metering.route_seconds
    single = 1000 * np.array(seconds[chunks:])
    timing = {
        "route_seconds": sum(seconds[:chunks]),
        "queries_per_second": len(queries) / max(sum(seconds[:chunks]), 1e-9),
    } | {f"latency_ms_p{q}": float(np.quantile(single, q / 100)) for q in (50, 95, 99)}
    if decisions.usage is not None and (tokens := decisions.usage.input_tokens.sum()):
        tokens += decisions.usage.output_tokens.sum()
        timing["router_tokens_per_second"] = float(tokens) / max(sum(seconds[:chunks]), 1e-9)
    facts = jobs.facts(harness.router)
    return {"timing": timing | _memory(), "encoded": Served.used, "facts": facts}


def _describe(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    """What the run must know of a plugin; its code is not imported where the outcomes are."""
    from routebench import discovery, options, transfer
    from routebench.discovery import PluginInfo
    from routebench.errors import OptionError, PluginError, RoutebenchError

    label = order["label"]
    try:
        cls = discovery.load(PluginInfo(**order["plugin"]))
        given = order["options"]
        if order["argument"]:
            first = options.first(cls, label)
            if first in given:
                raise OptionError(
                    f"{label}.{first} is given twice: {order['argument']} and {given[first]}",
                    f"leave out --set {label}.{first}, or what follows the colon",
                )
            given = given | {first: order["argument"]}
        checked = options.validate(cls, label, options.preset(cls, order["profile"]) | given)
    except PluginError as error:
        return {"broken": [error.message, error.hint]}
    except OptionError as error:
        return {"wrong": [error.message, error.hint]}
    facts: dict[str, Any] = {}
    if getattr(cls, "stateless", False):
        try:
            encoder = cls(checked)
            facts = {"fingerprint": encoder.fingerprint, "dimension": int(encoder.dimension)}
        except RoutebenchError as error:
            return {"wrong": [error.message, error.hint]}
        facts |= {"stateless": True, "by_id": bool(getattr(cls, "by_id", False))}
    lacks, router = None, cls(checked)
    if order["pool"] is not None and hasattr(router, "needs"):
        pool = transfer.pool_from_json(order["pool"])
        try:
            lacks = router.needs(pool, frozenset(order["shown"]), order["priced"])
        except OptionError as error:
            return {"wrong": [f"{label}.{error.message}", error.hint]}
    return {
        "options": checked.model_dump(mode="json"),
        "lacks": None if lacks is None else str(lacks),
        # Of the object, not its class: a router may start processes with some options only.
        "starts_processes": bool(getattr(router, "starts_processes", False)),
        "personal": bool(getattr(cls, "personal", False)),
    } | facts


def _encode(order: dict[str, Any], folder: Path, channel: TextIO) -> dict[str, Any]:
    """Vectors of texts, a file per chunk, or of query ids; only here are models fetched."""
    import numpy as np

    from routebench import encoders
    from routebench.errors import RoutebenchError

    content = json.loads((folder / "texts.json").read_text())
    encoder = encoders.create(order["encoder"], order["encoder_options"])
    encoder.device = order["device"]
    seconds: list[float] = []
    try:
        if "ids" in content:
            np.save(folder / "0.npy", encoder.lookup(content["ids"]), allow_pickle=False)
            return {"seconds": seconds}
        encoder.encode(content["chunks"][0][:1])  # loading the model is no part of the time
        for part, chunk in enumerate(content["chunks"]):
            start = time.perf_counter()
            made = encoder.encode(chunk)
            seconds.append(time.perf_counter() - start)
            np.save(folder / f"{part}.npy", made, allow_pickle=False)
            done = (part + 1) / len(content["chunks"])
            print(json.dumps({"progress": [done, str(part)]}), file=channel)
    except RoutebenchError as error:
        return {"wrong": [error.message, error.hint]}
    return {"seconds": seconds}


_STAGES = {"fit": _fit, "route": _route, "describe": _describe, "encode": _encode}


def _harness(order: dict[str, Any]) -> Any:
    from routebench import jobs
    from routebench.discovery import PluginInfo
    from routebench.harness import Harness

    plugin = PluginInfo(**order["plugin"])
    return Harness(jobs.create(plugin, order["options"], order["label"]))


def _size(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint weighs: bytes, and the numbers in its arrays."""
    from safetensors import safe_open

    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    numbers = 0
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, "np") as arrays:
                numbers += sum(math.prod(arrays.get_slice(k).get_shape()) for k in arrays.keys())  # noqa: SIM118
    return {"parameters": numbers, "checkpoint_bytes": sum(path.stat().st_size for path in files)}


def _memory() -> dict[str, Any]:
    peaks = {}
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak is inherited from the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks["peak_rss_bytes"] = int(line.split()[1]) * 1024
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peaks["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    return peaks


def _reason(error: BaseException) -> str:
    """Type, message, and the last line of the traceback outside the harness."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent)
    outside = [f for f in frames if not f.filename.startswith(own) and "pluggy" not in f.filename]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {str(error) or 'no message'}{place}".replace("\n", " ")


def _end_with_parent(pipe: int) -> None:
    """The parent holds the other end of the pipe; when it dies, however it dies, so do we."""
    while os.read(pipe, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
