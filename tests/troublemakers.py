"""Routers that end badly, each in its own way."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from routebench import hookimpl
from routebench.hookspecs import Context
from routebench.plugin import checkpoint
from routebench.records import Decisions, Pool, Queries, Table, Usage


class Constant:
    """A healthy router; the others break one thing each."""

    class Options(BaseModel):
        choice: int = Field(0, ge=0, description="index of the model")
        seconds: float = Field(0.0, ge=0, description="how long fit takes")

    def __init__(self, options: Options) -> None:
        self.options = options

    @hookimpl
    def fit(self, train: Table, context: Context) -> None:
        time.sleep(self.options.seconds)
        context.progress(1.0, "done")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), self.options.choice))

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {})

    def load(self, folder: Path) -> None:
        checkpoint.load(folder)


class Raises(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        raise ValueError("no idea what to do")


class Crashes(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class Leaves(Constant):
    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        os._exit(0)


class Exits(Constant):
    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        raise SystemExit(0)


class Hangs(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        while True:
            time.sleep(1)


class LooksAround(Constant):
    """Decides by what else is in the batch."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), int(len(queries) > 1)))


class Remembers(Constant):
    """Decides by what else is in the batch, and says the same when it is asked again."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        known = self.__dict__.setdefault("known", {})
        for text in queries.text:
            known.setdefault(text, int(len(queries) > 1))
        return Decisions(np.array([known[text] for text in queries.text]))


class OutOfRange(Constant):
    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), 99))


class Misnamed(Constant):
    @hookimpl
    def rout(self, queries: Queries) -> Decisions:
        raise AssertionError("never called")


class Warns(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        warnings.warn("labels have one class only", UserWarning, stacklevel=1)
        print("chatter on stdout")


class Pays(Constant):
    """Asks a model of its own which model to ask: a tenth of a cent a query."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        n = len(queries)
        usage = Usage(np.full(n, 50.0), np.full(n, 2.0), np.full(n, 0.001))
        return Decisions(np.full(n, self.options.choice), usage=usage)


class LinksAway(Constant):
    """Leaves a link in its checkpoint, as training code likes to."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "latest").symlink_to("/nowhere")


class EatsItsFolder(Constant):
    def save(self, folder: Path) -> None:
        for path in folder.parent.parent.iterdir():
            shutil.rmtree(path, ignore_errors=True)


class ReadsStdin(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        if sys.stdin.read():
            raise AssertionError("there is something on stdin")
        sys.stdin.close()


class SaysStrangeThings(Constant):
    @hookimpl
    def fit(self, train: Table) -> None:
        print("x" * 5_000_000)
        raise ValueError("half a character: \udc80")


class NeedsTrouble(Constant):
    def needs(self, pool: Pool, shown: frozenset[str], priced: bool) -> str | None:
        raise RuntimeError("needs is broken")
