"""One router on its hooks: fitted, asked or stepped, and checked against the contract.

The same code serves jobs, in-process runs and the conformance tests.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pluggy

from routebench import hookspecs
from routebench.bought import Bought, Stepped
from routebench.errors import PluginError
from routebench.hookspecs import Context
from routebench.online.reveal import wrong_chances
from routebench.plugin import optional
from routebench.plugin.defaults import LEARNING
from routebench.plugin.extensions import attributed
from routebench.records import Decisions, Floats, Ints, Queries, Table, Usage
from routebench.steps.replay import AnswerSource, RecordedAnswers, UnrecordedError, step_through

CHUNK = 1024
SINGLES = 64
MARGIN = 1e-5


class Metering:
    """Wraps fit and route to time them; part of every job."""

    def __init__(self) -> None:
        self.fit_seconds = 0.0
        self.route_seconds: list[float] = []
        self.step_seconds: list[float] = []
        self.single_seconds: list[float] = []
        """Of queries that were stepped one by one: all their steps."""
        self.update_seconds: list[float] = []

    @hookspecs.hookimpl(wrapper=True)
    def fit(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.fit_seconds = time.perf_counter() - start

    @hookspecs.hookimpl(wrapper=True)
    def refit(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.fit_seconds += time.perf_counter() - start

    @hookspecs.hookimpl(wrapper=True)
    def route(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.route_seconds.append(time.perf_counter() - start)

    @hookspecs.hookimpl(wrapper=True)
    def step(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.step_seconds.append(time.perf_counter() - start)

    @hookspecs.hookimpl(wrapper=True)
    def update(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.update_seconds.append(time.perf_counter() - start)


class Harness:
    """A router registered alone, so that no other plugin can answer its hooks.

    `extensions` are plugins by name that wrap its hooks; metering is around them all.
    """

    def __init__(self, router: Any, extensions: Mapping[str, Any] | None = None) -> None:
        self.router = router
        self._extensions = dict(extensions or {})
        self.metering = Metering()
        self._manager = pluggy.PluginManager("routebench")
        self._manager.add_hookspecs(hookspecs)
        try:
            self._manager.register(router, "routebench router")  # a name no extension has
            for name, plugin in self._extensions.items():
                self._manager.register(plugin, name)
            self._manager.register(self.metering, "routebench metering")
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            text = " ".join(str(error).split())
            hint = (
                "hooks are fit(train, validation, context) and route(queries) or step(queries, …)"
            )
            raise PluginError(text, hint) from error
        step = self._implemented("step")
        self.steps = step is not None
        """Whether it sees answers: it has `step` in place of `route`."""
        self.updates = self._implemented("update") is not None
        """Whether it learns online: it has `update` besides `route`."""
        self.trades_off = step is not None and "trade_off" in step.argnames
        for name in ("fit", "step" if callable(getattr(router, "step", None)) else "route"):
            if self._implemented(name) is None:
                there = callable(getattr(router, name, None))
                raise PluginError(
                    f"{type(router).__name__} has no {name} hook"
                    + (f": {name} is there, without @hookimpl" if there else ""),
                    f"decorate its method {name} with @routebench.hookimpl",
                )
        if callable(getattr(router, "update", None)) and not self.updates:
            raise PluginError(
                f"{type(router).__name__} has no update hook: update is there, without @hookimpl",
                "decorate its method update with @routebench.hookimpl",
            )
        if self.steps and self.updates:
            raise PluginError(
                f"{type(router).__name__} has both update and step",
                "a router that learns online chooses one model a query, in route",
            )
        if self.steps and self._implemented("route") is not None:
            raise PluginError(
                f"{type(router).__name__} has both route and step",
                "a router that sees answers has step alone",
            )
        self.refits = optional.has_cheap_fit(router)
        """Whether it declares that its fit is cheap, so that inner folds may repeat it."""
        if self.refits and self._implemented("refit") is None:
            raise PluginError(
                f"{type(router).__name__} declares cheap_fit, and has no refit hook",
                "refit(table, context) learns again from all of the table, what fit chose as it is",
            )
        if self.refits and self.steps:
            raise PluginError(
                f"{type(router).__name__} declares cheap_fit, and has step",
                "inner folds are for routers that choose by the query alone",
            )
        for name in LEARNING:
            if not callable(getattr(router, name, None)):
                raise PluginError(
                    f"{type(router).__name__} has no method {name}",
                    "fit and route run in different processes: what route needs goes through save",
                )

    def _implemented(self, name: str) -> pluggy.HookImpl | None:
        impls = getattr(self._manager.hook, name).get_hookimpls()
        return next((impl for impl in impls if impl.plugin is self.router), None)

    def fit(self, train: Table, validation: Table, context: Context) -> None:
        """Train the router."""
        with attributed(self._manager.hook.fit, self._extensions):
            self._manager.hook.fit(train=train, validation=validation, context=context)

    def refit(self, table: Table, context: Context) -> None:
        """Train the fitted router again, on train and validation as one table."""
        with attributed(self._manager.hook.refit, self._extensions):
            self._manager.hook.refit(table=table, context=context)

    def route(self, queries: Queries, models: int) -> Decisions:
        """Return the decisions for all queries, asked in chunks; raise `PluginError` if invalid."""
        if not len(queries):  # a fold in which nobody asks anything
            return Decisions(np.zeros(0, dtype=np.int64))
        starts = range(0, len(queries), CHUNK)
        parts = [
            self._ask(queries, np.arange(s, min(s + CHUNK, len(queries))), models) for s in starts
        ]
        return concatenate(parts)

    def update(self, queries: Queries, choice: Ints, score: Floats, cost: Floats) -> None:
        """Tell the router the outcomes of what was chosen for some queries."""
        with attributed(self._manager.hook.update, self._extensions):
            self._manager.hook.update(queries=queries, choice=choice, score=score, cost=cost)

    def step(
        self,
        queries: Queries,
        models: tuple[str, ...],
        trade_off: float,
        source: AnswerSource,
    ) -> Stepped:
        """Step all queries to their answers, bought from `source`; see `step_through`."""

        def step(chunk: Queries, bought: Bought) -> Any:
            with attributed(self._manager.hook.step, self._extensions):
                return self._manager.hook.step(queries=chunk, bought=bought, trade_off=trade_off)

        return step_through(step, queries, models, source)

    def stepped_otherwise(
        self, queries: Queries, models: tuple[str, ...], trade_off: float, stepped: Stepped
    ) -> int:
        """Count the first queries that end otherwise, or ask others, when stepped one by one.

        They buy again what they bought together, and nothing else.
        """
        count, batch = 0, len(self.metering.step_seconds)
        for row in range(min(SINGLES, len(queries))):
            alone = np.array([row])
            source = RecordedAnswers(stepped.bought.take(alone), models)
            start = len(self.metering.step_seconds)
            try:
                single = self.step(queries.take(alone), models, trade_off, source)
                same = single.answer[0] == stepped.answer[row] and (
                    np.array_equal(single.asked[0], stepped.asked[row])
                )
            except UnrecordedError:
                same = False
            self.metering.single_seconds.append(sum(self.metering.step_seconds[start:]))
            count += not same
        del self.metering.step_seconds[batch:]
        return count

    def disagreements(self, queries: Queries, decisions: Decisions, models: int) -> int:
        """Count the first queries that are decided otherwise when asked one by one.

        A different choice between two models whose predicted quality is within 1e-5 is not
        counted: sums of floats depend on the batch.
        """
        count = 0
        for row in range(min(SINGLES, len(queries))):
            single = self._ask(queries, np.array([row]), models)
            here, there = int(single.choice[0]), int(decisions.choice[row])
            if here != there and not _close(decisions, row, here, there):
                count += 1
        return count

    def one_by_one(self, queries: Queries, models: int) -> Decisions:
        """Return the decisions for all queries, each asked by itself, the last first."""
        if not len(queries):
            return Decisions(np.zeros(0, dtype=np.int64))
        rows = reversed(range(len(queries)))
        return concatenate([self._ask(queries, np.array([row]), models) for row in rows][::-1])

    def _ask(self, queries: Queries, rows: Any, models: int) -> Decisions:
        chunk = queries.take(rows)
        with attributed(self._manager.hook.route, self._extensions):
            made = self._manager.hook.route(queries=chunk)
        try:
            return check(made, len(chunk), models)
        except PluginError as error:
            if self._extensions:
                error.message += f" (wrapped by {', '.join(self._extensions)})"
                error.args = (error.message,)
            raise


def check(decisions: Any, n: int, m: int) -> Decisions:
    """Return the decisions in canonical types; raise `PluginError` where they are invalid."""
    if not isinstance(decisions, Decisions):
        raise PluginError(f"route returned {type(decisions).__name__}, expected Decisions")
    choice = np.asarray(decisions.choice)
    if choice.shape != (n,) or not np.issubdtype(choice.dtype, np.integer):
        raise PluginError(f"choice is {choice.dtype} {choice.shape}, expected integers ({n},)")
    if n and (choice.min() < 0 or choice.max() >= m):
        raise PluginError(f"choice has {choice.min()} to {choice.max()}, expected 0 to {m - 1}")
    return replace(
        decisions,
        choice=choice.astype(np.int64),
        quality=_quality(decisions.quality, choice, (n, m)),
        confidence=_numbers("confidence", decisions.confidence, (n,), bounds=(0.0, 1.0)),
        policy=_strings("policy", decisions.policy, n),
        reason=_strings("reason", decisions.reason, n),
        usage=_usage(decisions.usage, n),
        probability=_probability(decisions.probability, choice, (n, m)),
        hindsight=None,
    )


def concatenate(parts: list[Decisions], alike: bool = True) -> Decisions:
    """Join the decisions of consecutive chunks; every chunk must have the same fields.

    They are of one router, which considers the same models for all queries, if `alike`.
    """
    present = [{f.name for f in fields(p) if getattr(p, f.name) is not None} for p in parts]
    if any(names != present[0] for names in present):
        raise PluginError("route returned different fields for different chunks of one batch")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in present[0] - {"usage"}
    }
    usages = [part.usage for part in parts if part.usage is not None]
    if usages:
        joined["usage"] = Usage(
            *(np.concatenate([getattr(u, f.name) for u in usages]) for f in fields(Usage))
        )
    decisions = Decisions(**joined)
    if alike:
        considered_alike(decisions)
    return decisions


def considered_alike(decisions: Decisions) -> None:
    """Raise `PluginError` where some queries have no predicted quality for a model others have."""
    if decisions.quality is not None:
        known = np.isfinite(decisions.quality)
        if (known.any(axis=0) != known.all(axis=0)).any():
            raise PluginError("route considered different models for different queries")


def differing(one: Decisions, other: Decisions) -> int:
    """Count the queries decided differently, but for models of nearly the same quality in `one`."""
    pairs = enumerate(zip(one.choice.tolist(), other.choice.tolist(), strict=True))
    return sum(a != b and not _close(one, row, a, b) for row, (a, b) in pairs)


def _close(decisions: Decisions, row: int, one: int, other: int) -> bool:
    if decisions.quality is None:
        return False
    quality = decisions.quality[row]
    return bool(abs(quality[one] - quality[other]) <= MARGIN)


def _numbers(
    name: str, value: Any, shape: tuple[int, ...], bounds: tuple[float, float] | None = None
) -> Any:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise PluginError(f"{name} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise PluginError(f"{name} has NaN or infinite values")
    if bounds and array.size and not (bounds[0] <= array.min() and array.max() <= bounds[1]):
        raise PluginError(f"{name} has {array.min():g} to {array.max():g}, expected {bounds}")
    return array


def _quality(value: Any, choice: Any, shape: tuple[int, int]) -> Any:
    """Return the checked quality; whole columns may be NaN: models not considered."""
    if value is None:
        return None
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise PluginError(f"quality has shape {array.shape}, expected {shape}")
    left_out = np.logical_and.reduce(np.isnan(array), axis=0)
    _numbers("quality", np.where(left_out, 0.0, array), shape)
    if left_out[choice].any():
        raise PluginError("quality is NaN for a model that was chosen")
    return array


def _probability(value: Any, choice: Any, shape: tuple[int, int]) -> Any:
    chance = _numbers("probability", value, shape)
    if chance is not None and (problem := wrong_chances(chance, choice)):
        raise PluginError(problem)
    return chance


def _strings(name: str, value: Any, n: int) -> Any:
    if value is None:
        return None
    array = np.asarray(value, dtype=object)
    if array.shape != (n,) or not all(isinstance(item, str) for item in array):
        raise PluginError(f"{name} must hold {n} strings")
    return array


def _usage(usage: Usage | None, n: int) -> Usage | None:
    if usage is None:
        return None
    columns = []
    for f in fields(Usage):
        column = _numbers(f"usage.{f.name}", getattr(usage, f.name), (n,))
        if column.size and column.min() < 0:
            raise PluginError(f"usage.{f.name} is negative")
        columns.append(column)
    return Usage(*columns)
