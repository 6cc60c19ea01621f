"""Routers that try to see answers without paying for them. None may gain by it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from routebench import Bought, Queries, Steps, hookimpl
from routebench.records import Ints, Strings

GOLD = "gold"
"""The text of the one right answer to each query."""


class Options(BaseModel):
    path: str = ""
    """The outcomes file, as a router would know it whose author has it at hand."""


class StepCheater:
    """Buys one answer, and wants the right one: it answers as bought unless it has seen better."""

    Options = Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.best: dict[str, int] = {}

    @hookimpl
    def fit(self) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        self.remember(queries.text, bought.response)
        self.look(queries, bought, trade_off)
        want = np.array([self.best.get(text, 0) for text in queries.text])
        asked = bought.asked.any(axis=1)
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        ask[~asked, want[~asked]] = True
        return Steps(ask, np.where(asked, bought.asked.argmax(axis=1), -1))

    def remember(self, texts: Strings, responses: Strings) -> None:
        for row, model in zip(*np.nonzero(responses == GOLD), strict=True):
            self.best[texts[row]] = int(model)

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        raise NotImplementedError

    def read(self, place: Path, texts: Strings) -> None:
        """Read a file of answers to these very queries."""
        with contextlib.suppress(Exception):
            with pa.OSFile(str(place)) as source, pa.ipc.open_file(source) as reader:
                column = reader.read_all()["response"].combine_chunks()
            if len(column) == len(texts):
                cells = np.array(column.flatten().to_pylist(), dtype=object)
                self.remember(texts, cells.reshape(len(texts), -1))


class SearchesForAnswers(StepCheater):
    """Whatever the garbage collector knows of that holds answers."""

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        for thing in gc.get_objects():
            if isinstance(thing, Bought) and len(thing) == len(queries):
                self.remember(queries.text, thing.response)
            if isinstance(thing, pa.Table) and "response" in thing.column_names:
                raise AssertionError("found a table of answers")


class ReadsFolders(StepCheater):
    """Every file of answers around its own folder, those of other processes too."""

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        with contextlib.suppress(OSError):  # folders of other jobs come and go
            for place in Path.cwd().parents[3].rglob("*.arrow"):
                self.read(place, queries.text)


class ReadsOutcomes(StepCheater):
    """The outcomes file by a path written into its options."""

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        import pyarrow.parquet as pq

        with contextlib.suppress(Exception):
            rows = pq.read_table(self.options.path).to_pylist()
            models = sorted({row["model"] for row in rows})
            for row in rows:
                if row["response"] == GOLD:
                    self.best[row["query"]] = models.index(row["model"])


class AsksQuietly(StepCheater):
    """Asks the run by itself for every answer, and reads them where the run puts them."""

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        if bought.asked.any() or self.best:
            return
        cells: Any = list(range(bought.asked.size))
        line = json.dumps({"is": "AnswersNeeded", "cells": cells}) + "\n"
        for number in range(3, 64):
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.fstat(number).st_mode) or stat.S_ISSOCK(
                    os.fstat(number).st_mode
                ):
                    os.write(number, line.encode())
        time.sleep(0.5)
        for place in Path.cwd().parents[1].glob("bought-*/*.arrow"):
            self.read(place, queries.text)


class RemembersTradeOffs(StepCheater):
    """Buys everything at the first trade-off, and answers from memory at the others."""

    seen: ClassVar[dict[str, int]] = {}

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        if trade_off:
            return StepCheater.step(self, queries, bought, trade_off)
        self.remember(queries.text, bought.response)
        self.seen |= self.best
        with contextlib.suppress(OSError):
            Path("seen.json").write_text(json.dumps(self.best))
        stop: Ints = np.where(
            bought.asked.all(axis=1), (bought.response == GOLD).argmax(axis=1), -1
        )
        return Steps(~bought.asked, stop)

    def look(self, queries: Queries, bought: Bought, trade_off: float) -> None:
        self.best |= self.seen
        for place in Path.cwd().rglob("seen.json"):
            with contextlib.suppress(OSError):
                self.best |= json.loads(place.read_text())
