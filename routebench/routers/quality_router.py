"""The base of routers that predict what each model would score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from routebench.errors import PluginError
from routebench.hookspecs import Context, hookimpl
from routebench.plugin.selection import Chooser
from routebench.records import Decisions, Floats, Objective, Queries, Table
from routebench.routers.confidence import Confidence
from routebench.routers.sampling import sample, sample_rows
from routebench.routers.state import DeclaredState, declared

# Confidence has two numbers to learn, for which so many queries are plenty.
_CALIBRATION = 10_000


class QualityRouter(DeclaredState, ABC):
    """A router made of `learn` and `predict`; state is declared as in `DeclaredState`.

    The model with the highest utility under the run's objective is chosen, ties go to the cheaper
    and then to the name, and confidence is calibrated on validation, or on what inner fits decided
    (of more than 10,000 queries, on that many by hash). Where a table has users, the quality
    predicted is a reward, the highest is chosen, and there is no confidence.
    """

    chooser: Chooser = Chooser(Objective(), None)
    """Chooses by predicted quality; there before `learn` is called, to tune with."""
    confidence: Confidence | None = None
    __width: int | None = None  # two underscores: a router may call state of its own `width`

    @abstractmethod
    def learn(self, train: Table, validation: Table, context: Context) -> None:
        """Learn the state. Whatever is chosen is chosen on `validation`."""

    def relearn(self, table: Table, context: Context) -> None:
        """Learn the state again from all of `table`; what `learn` chose stays as it is.

        A router that declares `cheap_fit` has it. It is called after `learn`, on the same object:
        choices are there, and what follows from the state (`cached_property`) is gone.
        """
        raise PluginError(
            f"{type(self).__name__} declares cheap_fit, and has no relearn",
            "relearn(table, context) learns from all of the table, with the choices of learn",
        )

    @abstractmethod
    def predict(self, queries: Queries) -> Floats:
        """Return the quality [n, m] expected of every model, each query by itself.

        A column of NaN is a model that the router does not consider.
        """

    def decide(self, queries: Queries) -> Decisions:
        """Return choice and quality; for a router that chooses by more than its prediction.

        Confidence that is returned here is kept as it is.
        """
        quality = self.predict(queries)
        name = f"{type(self).__name__}.predict"
        quality = _checked(name, quality, len(queries), self.__width)
        return Decisions(self.chooser.choose(quality), quality=quality)

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        declared(type(self))  # what cannot be saved is found before hours of training
        self.forget()
        if train.users is None:
            self.chooser = Chooser.learn(train, context.objective)
        self.__width = len(train.pool)
        self.learn(train, validation, context)
        if train.users is None:
            checked = sample(validation, _CALIBRATION)
            decided = self.decide(checked.queries)
            if decided.quality is not None and decided.confidence is None:
                self.confidence = Confidence.learn(decided.quality, decided.choice, checked)

    @hookimpl
    def refit(self, table: Table, context: Context) -> None:
        self.forget_derived()
        self.chooser = Chooser.learn(table, context.objective)
        self.relearn(table, context)
        decided = context.cross_fitted
        if self.confidence is None or decided is None or decided.quality is None:
            return
        # Not its own decisions: of queries that it has learned from it would be too sure.
        rows = sample_rows(table, _CALIBRATION)
        self.confidence = Confidence.learn(
            decided.quality[rows], decided.choice[rows], sample(table, _CALIBRATION)
        )

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        decided = self.decide(queries)
        if self.confidence is None or decided.quality is None or decided.confidence is not None:
            return decided
        return replace(decided, confidence=self.confidence(decided.quality, decided.choice))


def _checked(name: str, quality: Any, n: int, m: int | None) -> Floats:
    """Return the quality as floats; a `PluginError` for another shape than [n, m]."""
    found = np.asarray(quality)
    if found.dtype.kind not in "biuf":
        raise PluginError(f"{name} returned {type(quality).__name__}, expected an array of numbers")
    if found.ndim != 2 or len(found) != n or m not in (None, found.shape[1]):
        raise PluginError(
            f"{name} returned shape {found.shape}, expected ({n}, {m})",
            "a row for each query, and a column for each model of the pool",
        )
    return found.astype(np.float64, copy=False)
