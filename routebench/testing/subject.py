"""The router under test: built, fitted and asked as a run would, in this process."""

from __future__ import annotations

import random
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from routebench.bought import Stepped
from routebench.config import ENCODERS
from routebench.encode import encoders
from routebench.hookspecs import Context
from routebench.jobs.harness import Harness
from routebench.jobs.stages import fit_and_save
from routebench.plugin import optional
from routebench.plugin.defaults import complete
from routebench.plugin.options import validate
from routebench.records import HIDEABLE, STATED, Decisions, Objective, Queries, Table
from routebench.steps.replay import RecordedAnswers
from routebench.testing.answers import invented_answers, training_answers
from routebench.testing.tables import (
    MODELS,
    Tables,
    joined,
    synthetic_tables,
    with_scores,
    with_users,
)

EVERYTHING = frozenset(HIDEABLE)
SEED = 7
TRADE_OFFS = (0.0, 1e3, 1e5)
"""In score per USD: for answers that cost some 30 millionths of a dollar."""


class Subject:
    """A router class with the options to test it with, and what several checks share."""

    def __init__(self, router_class: type[Any], options: dict[str, Any] | None = None) -> None:
        self.router_class = complete(router_class)
        self.options = options or {}
        self._folder: Path | None = None

    @property
    def name(self) -> str:
        return self.router_class.__name__

    def new(self) -> Any:
        """Create a fresh router object."""
        return self.router_class(validate(self.router_class, self.name, self.options))

    def lacks(
        self, table: Table, shown: frozenset[str], training_only: frozenset[str] = frozenset()
    ) -> str | None:
        """Return the router's stated needs that such a run does not meet, None without any.

        All columns that are not shown are hidden from training, too, unless they are named.
        """
        priced = table.outcomes.cost is not None
        known = shown | {"users"} if table.users is not None and "preference" in shown else shown
        if callable(getattr(self.router_class, "step", None)):
            known = known | {"answers", *STATED}
        return optional.unmet_needs(self.new(), table.pool, known, priced, training_only)

    def folder(self) -> Path:
        """Create an empty folder, deleted with this object, and return it."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="routebench-check-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _context(
        self,
        train: Table,
        objective: Objective | None,
        work: Path | None,
        seed: int,
        training_only: frozenset[str],
    ) -> Context:
        """Return the context that a run gives to `fit`, its encoder fitted on these texts."""
        name = ENCODERS["embedded"]
        encoder = encoders.FittedOnUse(name, {}, list(train.queries.text))
        folder = work or self.folder()
        return Context(
            seed,
            encoder,
            folder,
            objective=objective or Objective(),
            trade_offs=TRADE_OFFS,
            training_only=training_only,
        )

    def fit(
        self,
        tables: Tables,
        *,
        router: Any = None,
        shown: frozenset[str] = EVERYTHING,
        objective: Objective | None = None,
        work: Path | None = None,
        ambient: int = 0,
        seed: int = SEED,
        training_only: frozenset[str] = frozenset(),
    ) -> Harness:
        """Fit a router on train and validation; `ambient` seeds the global generators."""
        harness = Harness(self.new() if router is None else router)
        train, validation = (
            replace(part, queries=part.queries.show(shown))
            for part in (tables.train, tables.validation)
        )
        if harness.steps:
            train = replace(train, answers=training_answers(train))
            validation = replace(validation, answers=training_answers(validation))
        with _global_generators(ambient):
            context = self._context(train, objective, work, seed, training_only)
            harness.fit(train, validation, context)
        return harness

    def refit(self, tables: Tables) -> Harness:
        """Fit a router as in a run with inner folds: again on both parts, after it has chosen."""
        both = joined(tables.train, tables.validation)
        harness, folder = Harness(self.new()), self.folder()
        context = self._context(both, None, None, SEED, frozenset())
        fit_and_save(harness, tables.train, tables.validation, context, folder, both)
        loaded = Harness(self.new())
        loaded.router.load(folder / "state")
        return loaded

    def decide(self, tables: Tables, **settings: Any) -> Decisions:
        """Return the decisions of a router fitted on these tables for their test queries."""
        shown = settings.get("shown", EVERYTHING)
        models = tables.test.pool.models
        return ask(self.fit(tables, **settings), tables.test.queries.show(shown), models)

    @property
    def tables(self) -> Tables:
        """Return fresh tables every time: a router that changes its own affects no other check."""
        return self.made()

    def made(self, *sizes: int, **settings: Any) -> Tables:
        """Return synthetic tables, with users for a router that learns from them."""
        tables = synthetic_tables(*sizes, **settings)
        if not optional.is_personal(self.router_class):
            return tables
        return Tables(
            *(with_users(part) for part in (tables.train, tables.validation, tables.test))
        )

    @property
    def other_tables(self) -> Tables:
        """Return tables of the same queries with reversed scores, 1 − score."""
        tables = self.tables
        parts = (tables.train, tables.validation, tables.test)
        return Tables(*(with_scores(part, 1 - part.outcomes.score) for part in parts))

    @cached_property
    def fitted(self) -> Harness:
        """Return a router fitted on `tables`, for checks that only ask it."""
        return self.fit(self.tables)

    @cached_property
    def queries(self) -> Queries:
        """Return the test queries with all columns a suite can show."""
        return self.tables.test.queries.show(EVERYTHING)

    @cached_property
    def decisions(self) -> Decisions:
        """Return the first decisions of `fitted`."""
        return ask(self.fitted, self.queries)


def ask(harness: Harness, queries: Queries, models: tuple[str, ...] = MODELS) -> Decisions:
    """Return the router's decisions, checked by the rules of a run.

    One that sees answers is stepped through invented ones.
    """
    if not harness.steps:
        return harness.route(queries, len(models))
    made = step(harness, queries, models)
    return Decisions(made.answer, confidence=made.confidence, asked=made.asked)


def step(harness: Harness, queries: Queries, models: tuple[str, ...] = MODELS) -> Stepped:
    """Return the end of all queries, stepped at no price of cost."""
    source = RecordedAnswers(invented_answers(queries.text, models), models)
    return harness.step(queries, models, 0.0, source)


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed Python's and numpy's global generators, and restore them afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
