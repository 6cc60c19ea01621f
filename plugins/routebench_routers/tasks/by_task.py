"""Specialised routers: one of a kind for each task, chosen by the predicted task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench.errors import OptionError
from routebench.hookspecs import Context, FittedEncoder
from routebench.plugin import discovery, optional, options
from routebench.plugin.selection import utility
from routebench.records import Floats, Ints, Mask, Pool, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench_routers.tasks.classifier import TaskClassifier


class ByTask(QualityRouter):
    """A router of one's choice for each task, and for all: the query's predicted task decides.

    The task is predicted as in `task-posterior`. A task with enough queries gets a router that is
    trained on them alone; it answers queries predicted to be of the task where on validation its
    choices beat those of the router of all tasks by more than `margin` standard errors of their
    paired difference, and the router of all tasks answers otherwise.

    Source: mixtures of local experts (Jacobs et al. 1991), with a gate learned from known tasks
    instead of jointly, and one expert a query instead of a weighted sum.
    """

    family = "by task"

    class Options(BaseModel):
        router: str = Field("knn", description="router of each task: any that predicts quality")
        options: dict[str, Any] = Field({}, description="its options, a table")
        min_queries: int = Field(
            60, ge=1, description="training queries that a task's own router needs"
        )
        margin: float = Field(
            1.0, ge=0, description="standard errors by which it must lead on validation"
        )
        C: float = Field(10.0, gt=0, description="inverse penalty of the task classifier")

    learns_from = ("task",)
    effort = 12
    options: Options
    encoder: FittedEncoder
    tasks: TaskClassifier
    specialised: list[int]
    """The tasks that have a router of their own, by number."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Return those of the chosen router, and of the classifier."""
        return tuple(
            dict.fromkeys(["encoder", "sklearn.linear_model", *optional.libraries(self._new())])
        )

    @property
    def deterministic(self) -> bool:
        """Return whether the chosen router is."""
        return optional.is_deterministic(self._new())

    @property
    def cheap_fit(self) -> bool:
        """Return whether that of the chosen router is."""
        return optional.has_cheap_fit(self._new())

    def needs(self, pool: Pool, shown: frozenset[str], priced: bool) -> str | None:
        """Return why a run cannot use the chosen router, or None; it is checked first."""
        return optional.unmet_needs(self._new(), pool, shown, priced, frozenset({"task"}))

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        assert train.queries.task is not None
        self.encoder = context.encoder
        self.tasks = TaskClassifier.learn(
            self._vectors(train.queries), train.queries.task, self.options.C
        )
        predicted = self._predicted(validation.queries)
        general = self._trained(train, validation, context)
        self._routers, self.specialised = [general], []
        for task, name in enumerate(self.tasks.names):
            rows, checked = train.queries.task == name, predicted == task
            if rows.sum() < self.options.min_queries or not checked.any():
                continue
            held_out = _taken(validation, checked)
            own = self._trained(_taken(train, rows), held_out, context)
            if self._leads(own, general, held_out):
                self._routers.append(own)
                self.specialised.append(task)
            context.progress((task + 1) / len(self.tasks.names), self._note())

    def relearn(self, table: Table, context: Context) -> None:
        """Learn all again but which tasks have a router of their own."""
        assert table.queries.task is not None
        names = [self.tasks.names[task] for task in self.specialised]
        self.encoder = context.encoder
        self.tasks = TaskClassifier.learn(
            self._vectors(table.queries), table.queries.task, self.options.C
        )
        self.specialised = [self.tasks.names.index(name) for name in names]
        alone = replace(context, cross_fitted=None)  # confidence is that of the whole
        parts = [table, *(_taken(table, table.queries.task == name) for name in names)]
        for router, part in zip(self._routers, parts, strict=True):
            router.refit(part, alone)

    def predict(self, queries: Queries) -> Floats:
        task, quality = self._predicted(queries), self._routers[0].predict(queries)
        for number, router in zip(self.specialised, self._routers[1:], strict=True):
            if (rows := task == number).any():
                quality[rows] = router.predict(queries.take(rows))
        return quality

    def save(self, folder: Path) -> None:
        super().save(folder)
        for place, router in enumerate(self._routers):
            (folder / f"router-{place}").mkdir()
            router.save(folder / f"router-{place}")

    def load(self, folder: Path) -> None:
        super().load(folder)
        self._routers = [self._new() for _ in range(1 + len(self.specialised))]
        for place, router in enumerate(self._routers):
            router.load(folder / f"router-{place}")

    def facts(self) -> dict[str, str | float]:
        """Return the tasks that have a router of their own."""
        return {"specialised": self._note()}

    def _note(self) -> str:
        names = ", ".join(self.tasks.names[task] for task in self.specialised)
        return f"{len(self.specialised)} of {len(self.tasks.names)} tasks" + (
            names and f": {names}"
        )

    def _new(self) -> QualityRouter:
        name = self.options.router
        router_class = discovery.load(discovery.find("router", name))
        if not issubclass(router_class, QualityRouter) or issubclass(router_class, ByTask):
            raise OptionError(
                f"router: {name} cannot be trained by task",
                "one that predicts quality, as knn does",
            )
        router: QualityRouter = router_class(
            options.validate(router_class, name, self.options.options)
        )
        return router

    def _trained(self, train: Table, validation: Table, context: Context) -> QualityRouter:
        router = self._new()
        router.fit(train, validation, context)
        return router

    def _leads(self, own: QualityRouter, general: QualityRouter, table: Table) -> bool:
        """Return whether a task's own router is better on these queries, beyond noise."""
        value = utility(table.outcomes.score, self.chooser.cost, self.chooser.objective)
        rows = np.arange(len(table))
        choices = (self.chooser.choose(one.predict(table.queries)) for one in (own, general))
        ours, theirs = (value[rows, choice] for choice in choices)
        lead = (ours - theirs)[np.isfinite(ours - theirs)]
        if len(lead) < 2:
            return False
        return bool(lead.mean() > self.options.margin * lead.std(ddof=1) / np.sqrt(len(lead)))

    def _predicted(self, queries: Queries) -> Ints:
        number: Ints = self.tasks.probabilities(self._vectors(queries)).argmax(axis=1)
        return number

    def _vectors(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)


def _taken(table: Table, rows: Mask) -> Table:
    users = None if table.users is None else table.users.take(rows)
    return Table(table.queries.take(rows), table.outcomes.take(rows), table.pool, users)
