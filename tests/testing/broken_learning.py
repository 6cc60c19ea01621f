"""Routers that break a rule of seeds, of learning again, or of order."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import numpy as np
from sound_router import Sound

from routebench import Context, Table, hookimpl
from routebench.records import Floats


class Unseeded(Sound):
    broken = "check_deterministic"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.default_rng().random())


class GlobalNumpy(Sound):
    broken = "check_global_generators"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.random())  # noqa: NPY002


class GlobalRandom(Sound):
    broken = "check_global_generators"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(random.random())


class SaysItNeedsNoSeed(Sound):
    broken = "check_seed"
    deterministic = True

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.default_rng(context.seed).random())


class WarmStart(Sound):
    broken = "check_refit"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        before = dict(self.words)
        self.learn(train)
        self.words |= before


class LearnsNothingAgain(Sound):
    broken = "check_cheap_fit"
    cheap_fit = True

    @hookimpl
    def refit(self) -> None:
        """Forget all, as if what is learned again were to be found somewhere."""
        self.words = {}


class ClassState(Sound):
    broken = "check_objects_share_nothing"
    memory: ClassVar[dict[str, Any]] = {}

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.memory.clear()
        self.learn(train)
        self.memory.update(self.words)
        self.words = self.memory


class LastRowWins(Sound):
    broken = "check_row_order"

    def means(self, score: Floats) -> list[float]:
        return [float(v) for v in np.nan_to_num(score[-1])] if len(score) else [0.0] * 4


class FirstMaximumWins(Sound):
    broken = "check_model_order"

    def means(self, score: Floats) -> list[float]:
        winners = np.nan_to_num(score, nan=-1).argmax(axis=1)
        shares: list[float] = (np.bincount(winners, minlength=4) / max(len(score), 1)).tolist()
        return shares
