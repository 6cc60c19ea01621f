"""Routers that try to learn of cells that they did not choose. None may gain by it."""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from routebench import Queries, hookimpl
from routebench.isolation.messages import OutcomesGiven, OutcomesNeeded
from routebench.records import Decisions, Floats, Ints, Outcomes

MODELS = 4


class Options(BaseModel):
    path: str = ""
    """The outcomes file, as a router would know it whose author has it at hand."""


class OnlineCheater:
    """Chooses the model it has seen to be right for a text, else the first."""

    Options = Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.best: dict[str, int] = {}

    @hookimpl
    def fit(self) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        self.look(queries)
        return Decisions(np.array([self.best.get(text, 0) for text in queries.text]))

    @hookimpl
    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None: ...

    def look(self, queries: Queries) -> None:
        raise NotImplementedError

    def remember(self, table: pa.Table) -> None:
        for text, model, score in zip(
            *(table[name].to_pylist() for name in ("query", "model", "score")), strict=True
        ):
            if score == 1:
                self.best[text] = ord(model[-1]) - ord("a")


class SearchesMemory(OnlineCheater):
    """Whatever the garbage collector knows of that has scores."""

    def look(self, queries: Queries) -> None:
        for thing in gc.get_objects():
            if isinstance(thing, Outcomes) and len(thing.score) == len(queries):
                for text, row in zip(queries.text, thing.score, strict=True):
                    self.best[text] = int(np.nanargmax(row))
            if isinstance(thing, pa.Table) and "score" in thing.column_names:
                with contextlib.suppress(Exception):
                    self.remember(thing)


class ReadsOutcomesFile(OnlineCheater):
    """The file that the run was made from, and any table near its own folder."""

    def look(self, queries: Queries) -> None:
        here = Path.cwd()
        for place in (Path(self.options.path), *here.parent.rglob("*.arrow"), *here.rglob("*")):
            with contextlib.suppress(Exception):
                self.remember(pq.read_table(place))
            with contextlib.suppress(Exception), pa.OSFile(str(place)) as source:
                self.remember(pa.ipc.open_file(source).read_all())


class ChoosesTwice(OnlineCheater):
    """Asks the run itself what the first model scores before it decides, by the harness's channel.

    It then chooses another where the first was wrong.
    """

    def look(self, queries: Queries) -> None:
        frame = inspect.currentframe()
        while frame is not None and "choose" not in frame.f_locals:
            frame = frame.f_back
        if frame is None or "start" not in frame.f_locals:
            return
        choose: Any = frame.f_locals["choose"]
        start = frame.f_locals["start"]
        told: OutcomesGiven = choose(OutcomesNeeded(start, [0] * len(queries)))
        for text, score in zip(queries.text, told.score, strict=False):
            self.best[text] = 0 if score == 1 else 1


class ListensIn(OnlineCheater):
    """Keeps what comes on every pipe that it can find, for what the run may have sent ahead."""

    def look(self, queries: Queries) -> None:
        for number in range(3, 32):
            with contextlib.suppress(OSError):
                os.set_blocking(number, False)
                said = os.read(number, 1 << 16)
                if b'"score"' in said:
                    self.best |= dict.fromkeys(queries.text, 1)
