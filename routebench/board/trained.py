"""Load a router of a finished run, ready to route: its code, checkpoint and model costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board import checkpoint_points, provenance, run_folder
from routebench.board.checkpoint_points import CheckpointPoints
from routebench.bought import Stepped
from routebench.errors import DataError, OptionError, PluginError, RoutebenchError, did_you_mean
from routebench.jobs.harness import Harness
from routebench.jobs.stages import create
from routebench.metrics.points.point import Point
from routebench.names import below
from routebench.plugin import discovery, extensions, optional
from routebench.plugin.budget import Budget
from routebench.plugin.optional import KeepsBudget, route_options
from routebench.plugin.renamed import current_name
from routebench.records import Decisions, Pool, Queries
from routebench.schema import Leaderboard
from routebench.steps.replay import AnswerSource


@dataclass(frozen=True)
class TrainedRouter:
    """One checkpoint, loaded into this process; its router is trusted and runs unconfined."""

    label: str
    router: Any
    models: tuple[str, ...]
    cost: dict[str, float | None]
    """USD per call by model, mean over the run's training queries; empty in an unpriced run."""
    visible: tuple[str, ...]
    """Columns that the run's routers saw beside the text."""
    checkpoint: Path
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
        """Load the checkpoint that a run folder keeps of a router.

        `changes` are options that the router reads when it routes: those that its class names in
        `route_options`. A router of a file is loaded from `file`, `path.py:Class`, alone: what the
        run names is not run. `point` is an operating point that the run chose. `answers` says that
        models will be asked, as a router that sees answers needs, and no other.

        Raises:
            DataError: no run, or no whole checkpoint of that router, seed and fold.
            OptionError: an option that is fixed by training, a file that is not named, no such
                point, or a router that sees answers where none are to be had.
        """
        board, label = run_folder.read(run), current_name(label)
        folder = run if run.is_dir() else run.parent
        place = _place(folder, board, label, seed, fold)
        points = None
        if point is not None:
            points, point = checkpoint_points.read(place / "checkpoint"), _as_named(point)
            points.named(point)
        header = _header(place / "job.json")
        row = next(row for row in board.rows if row.router == label)
        # One job stands for all seeds of a deterministic router.
        provenance.check(place, header, row, 0 if row.deterministic else seed, fold)
        info = provenance.plugin(label, header, file)
        notes = tuple(f"{label}: {text}" for text in provenance.changes(header, info))
        _changeable(discovery.load(info), label, changes or {})
        router = create(info, header["options"] | (changes or {}), label)
        models = tuple(_header(place / "checkpoint" / "router.json")["models"])
        harness = Harness(router, extensions.load_all(header.get("extensions", {})))
        if harness.steps and not answers:
            raise OptionError(
                f"{label} sees answers: it asks models before it decides",
                "--answer --provider NAME asks them, and pays for it; its decisions on the recorded"
                " answers are in decisions.parquet",
            )
        if answers and not harness.steps:
            raise OptionError(
                f"--answer: {label} sees no answers, it chooses by the query alone",
                "without --answer this command says which model it chooses",
            )
        if answers and _needs_verifications(router, models, board.suite.shown):
            raise OptionError(
                f"--answer: {label} goes by recorded verifications of answers, and no live answer"
                " comes with one",
                "its decisions on the recorded answers are in decisions.parquet",
            )
        _guarded(label, "load", lambda: router.load(place / "checkpoint" / "state"))
        cost = board.diagnostics.folds[fold].mean_cost if board.diagnostics.folds else None
        visible = (*board.suite.shown, *(["users"] if board.suite.users else []))
        return cls(label, router, models, cost or {}, visible, place, harness, point, points, notes)

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

    def route(self, texts: list[str]) -> Decisions:
        """Return decisions for queries of which only the text is known."""
        if self.points is not None and self.point is not None:
            fixed = self.points.fixed(self.point, len(texts))
            if fixed is not None:
                return Decisions(fixed)  # as in the run: the router is not asked
        queries = Queries(np.array(texts, dtype=object))
        seen = f"it was trained with {', '.join(self.visible)}" if self.visible else ""
        made: Decisions = _guarded(
            self.label,
            "route texts alone",
            lambda: self._harness.route(queries, len(self.models)),
            seen,
        )
        return self._at_point(made)

    def step(self, text: str, source: AnswerSource) -> Stepped:
        """Return how a query ends whose answers are bought from `source`; only its text is known.

        At an operating point it goes by the point's trade-off, or asks the model that stands in.
        """
        setting = self.points.named(self.point) if self.points and self.point else None
        if isinstance(setting, str):
            model = self.models.index(setting)
            asked = np.arange(len(self.models))[None] == model
            bought = source.buy(np.zeros(1, dtype=np.int64), asked)
            return Stepped(np.array([model]), asked.astype(np.int8), bought)
        queries = Queries(np.array([text], dtype=object))
        seen = f"it was trained with {', '.join(self.visible)}" if self.visible else ""
        made: Stepped = _guarded(
            self.label,
            "step through a text alone",
            lambda: self._harness.step(queries, self.models, setting or 0.0, source),
            seen,
        )
        return made

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
        return (
            self.checkpoint.parent.name.replace("-", " ")
            + ", "
            + self.checkpoint.name.replace("-", " ")
        )

    def decide(self, queries: Queries) -> Decisions:
        """Return decisions for queries with all columns that the run's routers saw."""
        made: Decisions = _guarded(
            self.label, "route", lambda: self._harness.route(queries, len(self.models))
        )
        return made

    def charge(self, budget: Budget, decisions: Decisions) -> None:
        """Charge the expected cost of the chosen models, and what routing itself spent."""
        for choice in decisions.choice:
            budget.charge(self.cost[self.models[choice]] or 0.0)
        if decisions.usage is not None:
            budget.charge(float(np.nan_to_num(decisions.usage.cost).sum()))


def _needs_verifications(router: Any, models: tuple[str, ...], shown: Sequence[str]) -> bool:
    """Return whether a router's needs are met where answers come with verifications, only."""
    live = frozenset(shown) | {"answers", "confidence"}

    def lacks(known: frozenset[str]) -> bool:
        return optional.unmet_needs(router, Pool(models), known, priced=True) is not None

    return lacks(live) and not lacks(live | {"verification"})


def _place(folder: Path, board: Leaderboard, label: str, seed: int, fold: int) -> Path:
    root = folder / run_folder.CHECKPOINTS
    known = {row.router: row for row in board.rows if row.state == "ok"}
    if label not in known:
        raise OptionError(f"{folder}: no router {label!r} ended well", did_you_mean(label, known))
    if known[label].deterministic and seed in known[label].seeds:
        seed = 0  # the one it was trained for
    own = below(root, label, "router")
    place = own / f"seed-{seed}" / f"fold-{fold}"
    if (place / "checkpoint" / "router.json").is_file():
        return place
    there = sorted(path.parent.relative_to(own) for path in own.glob("*/*/checkpoint"))
    listing = ", ".join(str(path).replace("/", " ").replace("-", " ") for path in there[:6])
    hint = f"there is {listing}" if there else "run it again: checkpoints are in its folder routers"
    raise DataError(f"{folder}: no checkpoint of {label}, seed {seed}, fold {fold}", hint)


def _as_named(point: str) -> str:
    """Return the name of a point as boards write it; what is none of any form stays as it is."""
    try:
        return Point.parse(point).name
    except OptionError:
        return point


def _header(path: Path) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a finished job: {error}") from error
    if not isinstance(header, dict):
        raise DataError(f"{path}: not a finished job: it is no JSON object")
    return header


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
