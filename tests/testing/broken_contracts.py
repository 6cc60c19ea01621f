"""Routers that break a rule of options, hooks, or the form of decisions."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel
from sound_router import CLOCK, Sound

from routebench import Context, Decisions, Queries, Table, hookimpl


class RequiredOption(Sound):
    broken = "check_options"

    class Options(BaseModel):
        k: int


class NoOptions(Sound):
    broken = "check_options"
    Options: ClassVar[Any] = None


class ChangesOptions(Sound):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        options.floor = 1.0


class SlowToBuild(Sound):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        CLOCK.seconds += 1.1


class MisnamedHook(Sound):
    broken = "check_hooks"

    @hookimpl
    def train(self, train: Table) -> None:
        pass


class NoRouteHook(Sound):
    broken = "check_hooks"

    def route(self, queries: Queries) -> Decisions:
        return self.decide(queries)


class NoLoad(Sound):
    broken = "check_hooks"
    load: ClassVar[Any] = None


class NeverContent(Sound):
    broken = "check_needs"

    def needs(self, pool: Any, shown: Any, priced: bool) -> str | None:
        return "needs a bigger boat"


class FractionalChoice(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Any:
        return Decisions(np.full(len(queries), 0.5))


class ChoiceOutOfRange(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), 4))


class NotFinite(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(self.decide(queries).choice, quality=np.full((len(queries), 4), np.nan))


class CrashesInFit(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        raise ZeroDivisionError("by design")


class SqueezesOneQuery(Sound):
    broken = "check_one_query"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.squeeze(self.decide(queries).choice))
