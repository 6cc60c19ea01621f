"""Finished runs for tests that read run folders: real ones, with their jobs in this process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted

from routebench import config, pipeline
from routebench.__main__ import main
from routebench.board.run_folder import to_json, with_digest
from routebench.encode import encoders
from routebench.executors import local
from routebench.isolation import lines, messages
from routebench.isolation.listening import GiveAnswers, RevealOutcomes
from routebench.isolation.messages import Access, Failed, Report, Request, Start
from routebench.isolation.subprocesses import Workers
from routebench.jobs import worker
from routebench.schema import Leaderboard

Board = dict[str, Any]


def finish(folder: Path, **options: Any) -> Path:
    """Run a benchmark into a folder; its jobs run in this process, which is faster than apart."""
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        chosen = config.make({"out": str(folder), "perturb": 8, **options})
        return pipeline.run(chosen, pipeline.RunListener()).folder


def command(*words: Any) -> None:
    """Run `routebench` with these words, and its jobs, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        patch.setattr(sys, "argv", ["routebench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0


def in_process(patch: pytest.MonkeyPatch) -> None:
    """Have every run of this process carry out its requests here, one job after the other."""
    patch.setattr(Workers, "run", _here)
    patch.setattr(pipeline, "warm_workers", lambda scratch, *_: closing(Workers(scratch)))
    for module in (pipeline, local):
        patch.setattr(module, "default_workers", lambda device: 1)


def apart(patch: pytest.MonkeyPatch, stage: type[Request], *labels: str) -> None:
    """Have these routers' requests of one kind carried out in processes, which have a deadline.

    The others, which are carried out in this process, have none: no load of the machine matters.
    """

    def run(workers: Workers, request: Request, *words: Any, **named: Any) -> Report:
        own = isinstance(request, stage) and request.label in labels
        return (_REAL if own else _here)(workers, request, *words, **named)

    patch.setattr(Workers, "run", run)


_REAL = Workers.run
_TURN = threading.Lock()
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""What Python keeps to itself unless it is asked."""


def _here(
    workers: Workers,
    request: Request,
    folder: Path,
    access: Access,
    deadline: float | None = None,
    progress: Callable[[float, str], None] = lambda done, note: None,
    libraries: Iterable[str] = (),
    answer: object = None,
    sell: GiveAnswers | None = None,
    reveal: RevealOutcomes | None = None,
) -> Report:
    """Do what `Workers.run` does, all messages written and read, but in no process of its own."""
    if workers.stopped:
        raise KeyboardInterrupt
    (folder / "work").mkdir(parents=True, exist_ok=True)
    sent = lines.read(lines.write(Start(request, str(folder), [], access)))
    assert isinstance(sent, Start)

    def send(message: messages.ProgressUpdate) -> None:
        read = lines.read(lines.write(message))
        assert isinstance(read, messages.ProgressUpdate)
        progress(read.done, read.note)

    def buy(cells: list[int]) -> messages.AnswersGiven:
        assert sell is not None
        needed = lines.read(lines.write(messages.AnswersNeeded(cells)))
        assert isinstance(needed, messages.AnswersNeeded)
        given = lines.read(lines.write(sell(needed)))
        assert isinstance(given, messages.AnswersGiven)
        return given

    def choose(message: messages.OutcomesNeeded) -> messages.OutcomesGiven:
        assert reveal is not None
        needed = lines.read(lines.write(message))
        assert isinstance(needed, messages.OutcomesNeeded)
        given = lines.read(lines.write(reveal(needed)))
        assert isinstance(given, messages.OutcomesGiven)
        return given

    with _TURN, warnings.catch_warnings(record=True) as caught:
        # What a fresh process starts with: its warnings are noted, and stop nothing.
        warnings.resetwarnings()
        for quiet in (
            DeprecationWarning,
            PendingDeprecationWarning,
            ImportWarning,
            ResourceWarning,
        ):
            warnings.simplefilter("ignore", quiet)
        encoders.Served.store, encoders.Served.used = None, False
        try:
            answer = worker.carry_out(sent.request, folder, send, buy=buy, choose=choose)
        except Exception as error:
            reason = f"{request.stage}: {worker.reason(error)}"
            answer = Failed(reason.replace(str(folder), "<job>"), traceback.format_exc())
    noted = [f"{w.category.__name__}: {w.message}" for w in caught]
    report = lines.read(lines.write(Report(answer, "none", list(dict.fromkeys(noted))[:5])))
    assert isinstance(report, Report)
    return report


def edit_board(folder: Path, change: Callable[[Board], None]) -> None:
    """Change the leaderboard as somebody with an editor would."""
    place = folder / "leaderboard.json"
    board = json.loads(place.read_text())
    change(board)
    with contextlib.suppress(ValueError):  # whoever tampers well states its digest anew
        board = json.loads(to_json(with_digest(Leaderboard.model_validate(board))))
    place.write_text(json.dumps(board, indent=2, sort_keys=True))


def edit_table(
    folder: Path,
    name: str,
    change: Callable[[list[dict[str, Any]]], None],
    rehash: bool = True,
) -> None:
    """Change rows of a Parquet file, and by default the board's hash of it too."""
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / name)
    if rehash:
        edit_hash(folder, name)


def edit_hash(folder: Path, name: str) -> None:
    """State a changed file's hash on the board: whoever tampers well does so."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit_board(folder, lambda board: board["files"].update({name: digest}))


SMALL = {"tfidf-svd": {"dimension": 8}}
"""Encoder options that make training a matter of milliseconds."""


def graded(n: int = 120, seed: int = 0) -> pa.Table:
    """Answers of four models for the exact judge to grade, with tokens; some calls failed."""
    table = planted(n, seed=seed)
    rng = np.random.default_rng(seed)
    right, rows = table["score"].to_numpy(), table.num_rows
    cities = np.array(["Paris", "Berlin", "Madrid", "Rome"], dtype=object)
    reference = np.repeat(cities[rng.integers(4, size=n)], 4)
    refuses = rng.random(rows) < 0.3
    response = np.where(right == 1, reference, np.where(refuses, "I don't know.", "Lisbon"))
    response[9::21] = None
    columns = {
        "reference": reference,
        "response": response,
        "input_tokens": rng.integers(5, 40, rows),
        "output_tokens": rng.integers(1, 90, rows),
    }
    table = table.drop_columns(["score"])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values.tolist()))
    return table


def price_list(folder: Path, factor: float = 1.0) -> str:
    """Prices of models a, b, c, d; each dearer than the one before."""
    place = folder / f"prices-{factor}.toml"
    each = (
        f"[{m}]\ninput_usd_per_mtok = {factor * (1 + i)}\noutput_usd_per_mtok = {3.5 * i}\n"
        for i, m in enumerate("abcd")
    )
    place.write_text("".join(each))
    return str(place)


def put(folder: Path, table: pa.Table) -> str:
    """A suite of that table."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "outcomes.parquet")
    return f"table:{folder / 'outcomes.parquet'}"
