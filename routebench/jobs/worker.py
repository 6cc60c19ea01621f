"""The process of one stage of a job: `python -m routebench.jobs.worker`, its request on stdin.

Nothing of the run is in its arguments, environment or working folder. Its messages are those of
`routebench.isolation.messages`. Whatever the router prints goes to the log instead.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from routebench.isolation import firewall, lines, messages
from routebench.isolation.messages import (
    AnswersGiven,
    AnswersNeeded,
    DescribeRequest,
    EncodeReply,
    EncodeRequest,
    Failed,
    FitGiven,
    FitNeeded,
    FitReply,
    FitRequest,
    FitTextsReply,
    FitTextsRequest,
    HindsightReply,
    HindsightRequest,
    OnlineReply,
    OnlineRequest,
    OutcomesGiven,
    OutcomesNeeded,
    ProgressUpdate,
    Refused,
    Reply,
    Report,
    Request,
    RouteReply,
    RouteRequest,
    Start,
    StepReply,
    StepRequest,
    Used,
)

if TYPE_CHECKING:
    from routebench.encode.shared import Ask

Send = Callable[[ProgressUpdate], None]
Buy = Callable[[list[int]], AnswersGiven]
Choose = Callable[[OutcomesNeeded], OutcomesGiven]
AHEAD = (
    "numpy", "pyarrow", "pandas", "pyseccomp", "safetensors.numpy", "routebench.encode.encoders",
    "routebench.jobs.arrow_io", "routebench.jobs.stages", "routebench.plugin.extensions",
)  # fmt: skip
"""What nearly every job imports, pandas through pyarrow where there is one: before the fork."""


def main() -> None:
    start = lines.read(sys.stdin.readline())
    assert isinstance(start, Start)
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # The router gets an empty standard input; the real one tells when the parent dies.
    parent = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.argv = ["routebench-job"]
    for stream in (sys.stdout, sys.stderr):  # what is printed is in the log, however this ends
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    folder, order = Path(start.folder), start.request

    def report_use(cpu_seconds: float, peak_rss_bytes: int) -> None:
        print(lines.write(Used(cpu_seconds, peak_rss_bytes)), file=channel, flush=True)

    level, violations = firewall.enter(start, messages.paths(order), report_use)
    del start  # what is protected is in no object that a router could find
    given: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_end_with_parent, args=(parent, given), daemon=True).start()
    noted: list[str] = []
    warnings.showwarning = lambda message, category, *_: noted.append(
        f"{category.__name__}: {message}"
    )

    def send(message: ProgressUpdate | FitNeeded | AnswersNeeded | OutcomesNeeded | Report) -> None:
        print(lines.write(message), file=channel, flush=True)

    turn = threading.Lock()

    def ask(kind: str, settings: dict[str, Any]) -> Path | None:
        with turn:  # answers come in the order of the questions
            send(FitNeeded(kind, settings))
            reply = lines.read(given.get())
        assert isinstance(reply, FitGiven)
        return None if reply.place is None else Path(reply.place)

    def buy(cells: list[int]) -> AnswersGiven:
        with turn:
            send(AnswersNeeded(cells))
            reply = lines.read(given.get())
        assert isinstance(reply, AnswersGiven)
        return reply

    def choose(message: OutcomesNeeded) -> OutcomesGiven:
        with turn:
            send(message)
            reply = lines.read(given.get())
        assert isinstance(reply, OutcomesGiven)
        return reply

    try:
        answer = carry_out(order, folder, send, ask, buy, choose)
        if violations:
            answer = Failed(f"isolation: {violations[0]}")
    except BaseException as error:  # a router may raise anything, SystemExit too
        why = f"isolation: {violations[0]}" if violations else reason(error)
        answer = Failed(why, traceback.format_exc())
    send(Report(answer, level, list(dict.fromkeys(noted))[:5]))
    with contextlib.suppress(Exception):  # a router may have put anything there
        sys.stdout.flush()
    # Threads or exit handlers of a router must not delay the run.
    os._exit(0)


def carry_out(
    order: Request,
    folder: Path,
    send: Send,
    ask: Ask | None = None,
    buy: Buy | None = None,
    choose: Choose | None = None,
) -> Reply:
    """Execute the request in this process, in the job's folder.

    `ask` is for the run's fits, `buy` for answers that it keeps, `choose` for the outcomes of what
    is chosen.
    """
    match order:
        case FitRequest():
            return _fit(order, folder, send, ask)
        case FitTextsRequest():
            return _fit_texts(order, folder, ask)
        case RouteRequest():
            return _route(order, folder)
        case StepRequest():
            assert buy is not None, "a router that steps buys its answers"
            return _step(order, folder, buy)
        case OnlineRequest():
            assert choose is not None, "a router that learns online is told outcomes"
            return _online(order, folder, choose)
        case HindsightRequest():
            return _hindsight(order, folder)
        case DescribeRequest():
            from routebench.jobs.describe import describe

            return describe(order)
        case EncodeRequest():
            return _encode(order, folder, send)


def _fit(order: FitRequest, folder: Path, send: Send, ask: Ask | None) -> FitReply:
    from routebench.encode import shared
    from routebench.hookspecs import Context
    from routebench.jobs import arrow_io, footprint, stages
    from routebench.plugin import optional
    from routebench.records import Objective

    train = arrow_io.read_table(folder / "train.arrow")
    validation = arrow_io.read_table(folder / "validation.arrow")

    def progress(done: float, note: str = "") -> None:
        send(ProgressUpdate(float(done), str(note)))

    both = cross_fitted = None
    if order.refit:
        both = arrow_io.read_table(folder / "both.arrow")
        if (folder / "cross-fitted.arrow").exists():
            cross_fitted = arrow_io.read_decisions(folder / "cross-fitted.arrow")
    texts = list((train if both is None else both).queries.text)
    encoder = _encoder(order, folder, texts)
    if ask is not None:
        shared.provide(texts, ask)
    work = folder / "work"
    for name in ("train.arrow", "validation.arrow", "both.arrow", "cross-fitted.arrow"):
        (folder / name).unlink(missing_ok=True)
    objective = Objective(**order.objective)
    kept = None if order.kept is None else Path(order.kept)
    context = Context(
        order.seed,
        encoder,
        work,
        order.device,
        objective,
        progress,
        kept,
        tuple(order.trade_offs),
        frozenset(order.training_only),
    )
    harness = _harness(order)
    stages.fit_and_save(
        harness, train, validation, context, folder / "checkpoint", both, cross_fitted
    )
    timing: dict[str, Any] = {"fit_seconds": harness.metering.fit_seconds}
    size = footprint.size(folder / "checkpoint")
    return FitReply(timing | size | footprint.memory(), optional.facts(harness.router))


def _fit_texts(order: FitTextsRequest, folder: Path, ask: Ask | None) -> FitTextsReply:
    from routebench.encode import encoders, shared
    from routebench.routers.words import WordFit

    texts = json.loads((folder / "texts.json").read_text())
    place = folder / "fit"
    if order.kind == shared.WORDS:
        WordFit.make(texts, **order.settings).save(place)
        return FitTextsReply()
    if ask is not None:
        shared.provide(texts, ask)
    encoders.FittedOnUse(order.settings["name"], order.settings["options"], texts).share(place)
    return FitTextsReply()


def _encoder(order: FitRequest, folder: Path, texts: list[str]) -> Any:
    from routebench.encode.encoders import FittedOnUse, Served

    if order.encoded is None:
        return FittedOnUse(order.encoder, order.encoder_options, texts)
    Served.store = folder / "vectors"
    return Served(order.encoder, order.encoder_options, device=order.device, **order.encoded)


def _route(order: RouteRequest, folder: Path) -> RouteReply:
    import numpy as np

    from routebench.encode.encoders import Served
    from routebench.jobs import arrow_io, footprint, stages
    from routebench.jobs.harness import CHUNK
    from routebench.plugin import optional

    if (folder / "vectors").exists():
        Served.store = folder / "vectors"
    queries = arrow_io.read_queries(folder / "queries.arrow")
    harness = _harness(order)
    models = tuple(order.models)
    checkpoint = folder / "checkpoint"
    decisions = stages.load_and_route(harness, checkpoint, queries, models, order.singly)
    arrow_io.write_decisions(folder / "decisions.arrow", decisions)
    if order.singly:
        return RouteReply({}, {}, Served.used)
    chunks = -(-len(queries) // CHUNK)
    seconds = harness.metering.route_seconds
    single = 1000 * np.array(seconds[chunks:])
    timing = {
        "route_seconds": sum(seconds[:chunks]),
        "queries_per_second": len(queries) / max(sum(seconds[:chunks]), 1e-9),
    }
    if len(single):  # none, where nobody asks anything
        timing |= {f"latency_ms_p{q}": float(np.quantile(single, q / 100)) for q in (50, 95, 99)}
    if decisions.usage is not None and (tokens := decisions.usage.input_tokens.sum()):
        tokens += decisions.usage.output_tokens.sum()
        timing["router_tokens_per_second"] = float(tokens) / max(sum(seconds[:chunks]), 1e-9)
    return RouteReply(timing | footprint.memory(), optional.facts(harness.router), Served.used)


def _step(order: StepRequest, folder: Path, buy: Buy) -> StepReply:
    import numpy as np

    from routebench.encode.encoders import Served
    from routebench.jobs import arrow_io, footprint, stages
    from routebench.plugin import optional

    if (folder / "vectors").exists():
        Served.store = folder / "vectors"
    queries = arrow_io.read_queries(folder / "queries.arrow")
    harness = _harness(order)
    decisions = stages.load_and_step(
        harness, folder / "checkpoint", queries, tuple(order.models), order.trade_off,
        stages.Purchaser(buy), order.singly,
    )  # fmt: skip
    arrow_io.write_decisions(folder / "decisions.arrow", decisions)
    batch, singles = harness.metering.step_seconds, harness.metering.single_seconds
    timing = {
        "route_seconds": sum(batch),
        "queries_per_second": len(queries) / max(sum(batch), 1e-9),
    }
    if singles:
        single = 1000 * np.array(singles)
        timing |= {f"latency_ms_p{q}": float(np.quantile(single, q / 100)) for q in (50, 95, 99)}
    return StepReply(timing | footprint.memory(), optional.facts(harness.router), Served.used)


def _online(order: OnlineRequest, folder: Path, choose: Choose) -> OnlineReply:
    from routebench.encode.encoders import Served
    from routebench.jobs import arrow_io, footprint, online, stages
    from routebench.plugin import optional

    if (folder / "vectors").exists():
        Served.store = folder / "vectors"
    queries = arrow_io.read_queries(folder / "queries.arrow")
    harness = _harness(order)
    stages.load_checkpoint(harness, folder / "checkpoint", tuple(order.models))
    online.play(harness, queries, len(order.models), order.batch, choose)
    timing = online.timing(harness, len(queries)) | footprint.memory()
    return OnlineReply(timing, optional.facts(harness.router), Served.used)


def _hindsight(order: HindsightRequest, folder: Path) -> HindsightReply:
    from routebench.encode.encoders import Served
    from routebench.jobs import arrow_io, online, stages

    if (folder / "vectors").exists():
        Served.store = folder / "vectors"
    table = arrow_io.read_table(folder / "table.arrow")
    harness = _harness(order)
    stages.load_checkpoint(harness, folder / "checkpoint", tuple(order.models))
    arrow_io.write_decisions(folder / "decisions.arrow", online.in_hindsight(harness, table))
    return HindsightReply()


def _encode(order: EncodeRequest, folder: Path, send: Send) -> EncodeReply | Refused:
    """Encode texts, a file per chunk, or look up query ids; models are fetched only here."""
    import numpy as np

    from routebench.encode import encoders
    from routebench.errors import RoutebenchError

    content = json.loads((folder / "texts.json").read_text())
    encoder = encoders.create(order.encoder, order.encoder_options)
    encoder.device = order.device
    seconds: list[float] = []
    try:
        if "ids" in content:
            np.save(folder / "0.npy", encoder.lookup(content["ids"]), allow_pickle=False)
            return EncodeReply(seconds)
        encoder.encode(content["chunks"][0][:1])  # loading the model is no part of the time
        for part, chunk in enumerate(content["chunks"]):
            start = time.perf_counter()
            made = encoder.encode(chunk)
            seconds.append(time.perf_counter() - start)
            np.save(folder / f"{part}.npy", made, allow_pickle=False)
            done = (part + 1) / len(content["chunks"])
            send(ProgressUpdate(done, str(part)))
    except RoutebenchError as error:
        return Refused(error.message, error.hint)
    return EncodeReply(seconds)


def _harness(
    order: FitRequest | RouteRequest | StepRequest | OnlineRequest | HindsightRequest,
) -> Any:
    from routebench.jobs import stages
    from routebench.jobs.harness import Harness
    from routebench.plugin import extensions

    router = stages.create(order.plugin, order.options, order.label)
    return Harness(router, extensions.load_all(order.extensions))


def reason(error: BaseException) -> str:
    """Return type, message, and the last line of the traceback outside the harness."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be imported here
        first = " ".join(str(error).split(". ")[0].split())
        return f"OutOfMemoryError: {first}: fewer --jobs, or a smaller batch_size or max_length"
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parents[1])
    outside = [f for f in frames if not f.filename.startswith(own) and "pluggy" not in f.filename]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {str(error) or 'no message'}{place}".replace("\n", " ")


def _end_with_parent(pipe: int, given: SimpleQueue[str]) -> None:
    """Take what the parent sends, and exit when it has ended, however it did."""
    with os.fdopen(pipe) as stream:
        for line in stream:
            given.put(line)
    os._exit(1)


if __name__ == "__main__":
    main()
