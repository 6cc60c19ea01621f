"""Load a trained router, ready to route: its code, state, points and model costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board import checkpoint_points, provenance
from routebench.board.checkpoint import description, of_run
from routebench.board.checkpoint.description import CheckpointDescription
from routebench.board.checkpoint_points import CheckpointPoints
from routebench.bought import Stepped
from routebench.errors import DataError, OptionError, PluginError, RoutebenchError
from routebench.jobs.harness import Harness
from routebench.jobs.stages import create
from routebench.plugin import discovery, extensions, optional
from routebench.plugin.budget import Budget
from routebench.plugin.optional import KeepsBudget, route_options
from routebench.plugin.renamed import current_name
from routebench.records import Decisions, Ints, Pool, Queries
from routebench.steps.replay import AnswerSource


def open_router(
    path: Path,
    router: str | None = None,
    *,
    seed: int = 0,
    fold: int = 0,
    changes: dict[str, Any] | None = None,
    point: str | None = None,
    answers: bool = True,
) -> TrainedRouter:
    """Load a router of a checkpoint folder, or of a run folder, ready to route.

    `router` is a label, or `path.py:Class` for the router of a file, which is loaded from there
    alone: what a folder names is not run. A checkpoint folder holds one router: only a file's has
    to be named. `changes` are options that the router reads when it routes: those that its class
    names in `route_options`. `point` is an operating point; by default the checkpoint's own, in a
    run `most-accurate`. `answers` says whether models will be asked, as a router that sees answers
    needs, and no other; None takes either.

    Raises:
        DataError: no run, no whole checkpoint, or one that was changed.
        OptionError: an option that is fixed by training, a file that is not named, no such
            point, or a router that sees answers where none are to be had.
    """
    label, file = provenance.split_file(router) if router is not None else (None, None)
    if description.is_checkpoint(path):
        known = description.read(path)
        if label is not None and current_name(label) != known.router:
            raise OptionError(f"{path}: holds {known.router}, not {label}", "leave the name out")
        if seed or fold:
            raise OptionError(
                f"{path}: a checkpoint folder holds one seed and fold: {known.seed}, {known.fold}",
                "leave out --seed and --fold",
            )
        description.check_files(path, known.files)
        return _opened(path, known, changes, file, point or known.point, answers)
    if not path.exists():
        there = "name a checkpoint folder, or a run (its folder, latest or an id) and its router"
        raise DataError(f"{path}: No such file or directory", there)
    if label is None:
        folders = f"{path}: is no checkpoint folder: {description.FILE} is not there"
        raise OptionError(folders, "of a run folder name the router too: RUN ROUTER")
    found = of_run.find(path, label, seed, fold)
    known = of_run.describe(found)
    return _opened(found.checkpoint, known, changes, file, point, answers)


def _opened(
    checkpoint: Path,
    known: CheckpointDescription,
    changes: dict[str, Any] | None,
    file: str | None,
    point: str | None,
    answers: bool,
) -> TrainedRouter:
    label, points = known.router, None
    if point is not None:
        points = checkpoint_points.read(checkpoint)
        point = points.name_of(point)
    header = {"plugin": known.plugin, "code": known.code}
    info = provenance.plugin(label, header, file)
    notes = tuple(f"{label}: {text}" for text in provenance.changes(header, info))
    _changeable(discovery.load(info), label, changes or {})
    router = create(info, known.options | (changes or {}), label)
    models = tuple(of_run.read_json(checkpoint / description.HEADER)["models"])
    harness = Harness(router, extensions.load_all(known.extensions))
    if harness.steps and not answers:
        raise OptionError(
            f"{label} sees answers: it asks models before it decides",
            "--answer --provider NAME asks them, and pays for it; its decisions on the recorded"
            " answers are in decisions.parquet",
        )
    if harness.steps and answers and _needs_verifications(router, models, known.shown):
        raise OptionError(
            f"--answer: {label} goes by recorded verifications of answers, and no live answer"
            " comes with one",
            "its decisions on the recorded answers are in decisions.parquet",
        )
    _guarded(label, "load", lambda: router.load(checkpoint / description.STATE))
    visible = (*known.shown, *(["users"] if known.users else []))
    return TrainedRouter(
        label, router, models, known.cost, visible, checkpoint, known, harness, point, points, notes
    )


@dataclass(frozen=True)
class TrainedRouter:
    """One checkpoint, loaded into this process; its router is trusted and runs unconfined."""

    label: str
    router: Any
    models: tuple[str, ...]
    cost: dict[str, float | None]
    """USD per call by model, mean over the training queries; empty in an unpriced run."""
    visible: tuple[str, ...]
    """Columns that the run's routers saw beside the text."""
    checkpoint: Path
    description: CheckpointDescription
    """What it learned from, prices, users, and results: see `checkpoint.json`."""
    _harness: Harness
    point: str | None = None
    """The operating point at which it decides; None: its own choice."""
    points: CheckpointPoints | None = None
    notes: tuple[str, ...] = ()
    """How its code is other than when it was trained."""

    @classmethod
    def load(
        cls,
        run: Path,
        label: str,
        seed: int = 0,
        fold: int = 0,
        changes: dict[str, Any] | None = None,
        file: str | None = None,
        point: str | None = None,
        answers: bool = False,
    ) -> TrainedRouter:
        """Load the checkpoint that a run folder keeps of a router, as `open_router` does.

        A router of a file is loaded from `file`, `path.py:Class`.
        """
        found = of_run.find(run, label, seed, fold)
        known = of_run.describe(found)
        return _opened(found.checkpoint, known, changes, file, point, answers)

    @property
    def steps(self) -> bool:
        """Return whether it sees answers: it is stepped, not asked to route."""
        return self._harness.steps

    @property
    def personal(self) -> bool:
        """Return whether it is asked for each user by name and preference."""
        return bool(self.description.users) and optional.is_personal(type(self.router))

    def at(self, point: str) -> TrainedRouter:
        """Return the same router at another operating point."""
        points = self.points or checkpoint_points.read(self.checkpoint)
        return replace(self, points=points, point=points.name_of(point))

    def spend(self, budget: Budget) -> None:
        """Give the router a budget; an `OptionError` for one that keeps to none."""
        if not isinstance(self.router, KeepsBudget):
            raise OptionError(f"--budget: {self.label} keeps to no budget")
        lost = [model for model in self.models if self.cost.get(model) is None]
        if lost:
            raise OptionError(
                f"--budget: the run does not know what {lost[0]} costs", "run it with --prices"
            )
        self.router.budget = budget

    def queries(
        self,
        texts: Sequence[str],
        users: Sequence[str | None] | None = None,
        preferences: Sequence[float | None] | None = None,
        tasks: Sequence[str | None] | None = None,
    ) -> Queries:
        """Return queries with what the router sees of them: users and tasks where training did.

        A user whom training knows has the weight on quality that is known, unless a preference is
        given. Anybody else is asked for as a user never seen, with the mean of the known weights.
        A query without a task is of a task never seen.
        """
        text = np.array(list(texts), dtype=object)
        shown = set(self.description.shown)
        if self.description.users:
            shown -= {"user", "preference"}  # in such a suite they are a personal router's alone
        columns: dict[str, Any] = {}
        if "task" in shown and tasks is not None:
            columns["task"] = np.array(list(tasks), dtype=object)
        if self.personal or "user" in shown:
            columns["user"] = np.array([one or "" for one in users or [None] * len(text)], object)
        if self.personal or ("preference" in shown and preferences is not None):
            known = self.description.users
            mean = float(np.mean(list(known.values()))) if known else np.nan
            own = [known.get(name, mean) for name in columns.get("user", [""] * len(text))]
            given = preferences or [None] * len(text)
            both = zip(own, given, strict=True)
            columns["preference"] = np.array([w if p is None else p for w, p in both], float)
        return Queries(text, **columns)

    def route(self, texts: Sequence[str]) -> Decisions:
        """Return decisions for queries of which only the text is known."""
        return self.route_queries(self.queries(texts))

    def route_queries(self, queries: Queries) -> Decisions:
        """Return decisions, at the operating point, for queries as `queries` makes them."""
        if self.points is not None and self.point is not None:
            fixed = self.points.fixed(self.point, len(queries))
            if fixed is not None:
                return Decisions(fixed)  # as in the run: the router is not asked
        made: Decisions = _guarded(
            self.label,
            f"route {_given(queries)}",
            lambda: self._harness.route(queries, len(self.models)),
            self._seen,
        )
        return self._at_point(made)

    def step(self, text: str, source: AnswerSource) -> Stepped:
        """Return how a query ends whose answers are bought from `source`; only its text is known.

        At an operating point it goes by the point's trade-off, or asks the model that stands in.
        """
        return self.step_queries(self.queries([text]), source)

    def step_queries(self, queries: Queries, source: AnswerSource) -> Stepped:
        """Return how queries end whose answers are bought from `source`, as `step` does."""
        setting = self.points.named(self.point) if self.points and self.point else None
        if isinstance(setting, str):
            return ask_chosen(
                np.full(len(queries), self.models.index(setting)), self.models, source
            )
        made: Stepped = _guarded(
            self.label,
            f"step through {_given(queries)}",
            lambda: self._harness.step(queries, self.models, setting or 0.0, source),
            self._seen,
        )
        return made

    @property
    def _seen(self) -> str:
        return f"it was trained with {', '.join(self.visible)}" if self.visible else ""

    def _at_point(self, made: Decisions) -> Decisions:
        """Return the decisions at the point; what the router said of its own choice is gone."""
        if self.points is None or self.point is None:
            return made
        if made.quality is None:
            known = self.points.named(self.point)
            if known is None:
                return made
            raise PluginError(f"{self.label} returned no quality, which --point needs")
        choice = self.points.choose(self.point, made.quality)
        if choice is None:
            return made
        return Decisions(choice, quality=made.quality, usage=made.usage)

    @property
    def setting(self) -> str:
        """Return the words for what decides at the point."""
        known = self.points.named(self.point) if self.points and self.point else None
        if known is None:
            return "its own choice"
        return known if isinstance(known, str) else f"λ {known:.6g} score per USD"

    @property
    def place(self) -> str:
        """Return the words for the seed and fold whose checkpoint decides."""
        return f"seed {self.description.seed}, fold {self.description.fold}"

    def forget_times(self) -> None:
        """Discard what is known of its calls' times, which would grow as long as it is used."""
        self._harness.metering.route_seconds.clear()
        self._harness.metering.step_seconds.clear()

    def charge(self, budget: Budget, decisions: Decisions) -> None:
        """Charge the expected cost of the chosen models, and what routing itself spent."""
        for choice in decisions.choice:
            budget.charge(self.cost[self.models[choice]] or 0.0)
        if decisions.usage is not None:
            budget.charge(float(np.nan_to_num(decisions.usage.cost).sum()))


def ask_chosen(choice: Ints, models: tuple[str, ...], source: AnswerSource) -> Stepped:
    """Return the answers of the chosen models [n], each asked once, and no other."""
    asked = np.arange(len(models)) == choice[:, None]
    bought = source.buy(np.arange(len(choice)), asked)
    return Stepped(choice, asked.astype(np.int8), bought)


def _needs_verifications(router: Any, models: tuple[str, ...], shown: Sequence[str]) -> bool:
    """Return whether a router's needs are met where answers come with verifications, only."""
    live = frozenset(shown) | {"answers", "confidence"}

    def lacks(known: frozenset[str]) -> bool:
        return optional.unmet_needs(router, Pool(models), known, priced=True) is not None

    return lacks(live) and not lacks(live | {"verification"})


def _given(queries: Queries) -> str:
    """Return what is known of queries, for an error about them."""
    columns = [name for name in ("task", "user") if getattr(queries, name) is not None]
    return f"texts with {' and '.join(columns)}" if columns else "texts alone"


def _changeable(cls: Any, label: str, changes: dict[str, Any]) -> None:
    known = route_options(cls)
    fixed = set(cls.Options.model_fields) - set(known)
    for option in changes:
        if option in fixed:
            raise OptionError(
                f"{label}.{option} is fixed by training",
                f"options that count in routing: {', '.join(sorted(known)) or 'none'}",
            )


def _guarded(label: str, what: str, call: Any, hint: str = "") -> Any:
    """Call a router's code, and turn any error but RouteBench's own into one line."""
    try:
        return call()
    except RoutebenchError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
        raise PluginError(f"{label} cannot {what}: {reason}", hint) from error
