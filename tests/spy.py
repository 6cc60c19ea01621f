"""A router that reports what it can see of the run."""

from __future__ import annotations

import gc
import os
import sys
import warnings

from troublemakers import Constant

from routebench import hookimpl
from routebench.hookspecs import Context
from routebench.records import Decisions, Queries, Table


class Spy(Constant):
    @hookimpl
    def fit(self, train: Table, context: Context) -> None:
        files = os.listdir(".") + os.listdir(context.work)
        columns = ("task", "topic", "user")
        shown = [name for name in columns if getattr(train.queries, name) is not None]
        warnings.warn(
            f"argv={sys.argv} files={files} shown={shown} environ={dict(os.environ)}",
            UserWarning,
            stacklevel=1,
        )


class SeesTasks(Constant):
    """Warns of the tasks that training and routing see, and of what training is told of it."""

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        parts = (train.queries.task, validation.queries.task)
        seen = [None if part is None else sorted(set(part)) for part in parts]
        warnings.warn(f"fit: {seen}, {sorted(context.training_only)}", UserWarning, stacklevel=1)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        tasks = queries.task
        held = [
            found
            for thing in gc.get_objects()
            if isinstance(thing, Queries) and (found := thing.task) is not None
        ]
        message = f"route: {tasks is not None}, {bool(held)}"
        warnings.warn(message, UserWarning, stacklevel=1)
        return super().route(queries)


class NeedsTasks(Constant):
    """Declares that it learns from tasks."""

    learns_from = ("task",)
