"""Decide for queries with a trained router: for users, at a point, over a part of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.board.trained import TrainedRouter
from routebench.errors import OptionError, did_you_mean
from routebench.metrics.points.sweep import decide
from routebench.records import Decisions, Ints, Mask, Queries


@dataclass(frozen=True)
class Routing:
    """A trained router, and the models that it may choose."""

    trained: TrainedRouter
    allowed: Mask
    """[m]"""

    @classmethod
    def of(cls, trained: TrainedRouter, models: Sequence[str] = ()) -> Routing:
        """Return the routing over the given models; over all of them where none is given.

        Raises:
            OptionError: a model that the router does not know, or one that asks models itself.
        """
        known = trained.models
        for model in models:
            if model not in known:
                raise OptionError(
                    f"--models: {trained.label} knows no model {model!r}",
                    did_you_mean(model, known),
                )
        if models and trained.steps:
            raise OptionError(
                f"--models: {trained.label} asks models itself, of all that it was trained with"
            )
        allowed = np.array([not models or model in models for model in known], dtype=np.bool_)
        return cls(trained, allowed)

    def decide(self, queries: Queries) -> Decisions:
        """Return decisions among the allowed models.

        A choice that is not allowed goes to the allowed model of the highest expected quality, at a
        trade-off less λ times its cost; where the router expects nothing, to the one with the best
        training score. Confidence is NaN, and policy empty, where the choice is not the router's.
        """
        made = self.trained.route_queries(queries)
        if self.allowed.all() or self.allowed[made.choice].all():
            return made
        lost = np.flatnonzero(~self.allowed[made.choice])
        instead, why = self._instead(made, lost)
        choice = made.choice.copy()
        choice[lost] = instead
        changes: dict[str, Any] = {"choice": choice}
        if made.confidence is not None:
            changes["confidence"] = _with(made.confidence, lost, np.nan)
        if made.policy is not None:
            changes["policy"] = _with(made.policy, lost, "")
        reason = np.full(len(choice), "", dtype=object) if made.reason is None else made.reason
        names = [self.trained.models[model] for model in made.choice[lost]]
        said = np.array([f"{name} is not among --models: {why}" for name in names], dtype=object)
        return replace(made, **changes, reason=_with(reason, lost, said))

    def _instead(self, made: Decisions, rows: Ints) -> tuple[Ints, str]:
        """Return the allowed models that stand in for the choice in some rows, and the rule."""
        trained = self.trained
        if made.quality is not None:
            quality = np.where(self.allowed, made.quality[rows], np.nan)
            setting = None
            if trained.points is not None and trained.point is not None:
                setting = trained.points.named(trained.point)
            if isinstance(setting, float):
                assert trained.points is not None
                usable = np.isfinite(quality).any(axis=0) & np.isfinite(trained.points.cost)
                if usable.any():
                    best = decide(quality, trained.points.cost, setting)
                    return best, "the best of these at the point"
            elif np.isfinite(quality).any():
                usable_quality = np.where(np.isfinite(quality), quality, -np.inf)
                return usable_quality.argmax(axis=1), "the highest expected quality of these"
        return np.full(len(rows), self._best()), "the best of these in training"

    def _best(self) -> int:
        """Return the allowed model with the highest mean training score."""
        facts = self.trained.description.facts
        known = (facts and facts.mean_score) or {}
        scores = [known.get(model) for model in self.trained.models]
        usable = np.array([np.nan if score is None else score for score in scores])
        usable = np.where(self.allowed & np.isfinite(usable), usable, -np.inf)
        if not np.isfinite(usable).any():
            raise OptionError("--models: nothing is known of these models' training scores")
        return int(usable.argmax())


def _with(values: Any, rows: Ints, others: Any) -> Any:
    changed = values.copy()
    changed[rows] = others
    return changed


def as_values(trained: TrainedRouter, decisions: Decisions, row: int) -> dict[str, Any]:
    """Return the decision on one query, with all that is known of it, as plain values.

    `expected_usd` is the mean training cost of the model, and what routing itself cost.
    """
    model = trained.models[decisions.choice[row]]
    values: dict[str, Any] = {"model": model}
    if trained.point is not None:
        values["point"] = trained.point
    if decisions.quality is not None:
        both = zip(trained.models, decisions.quality[row].tolist(), strict=True)
        values["quality"] = {name: value for name, value in both if value == value}
    if decisions.confidence is not None and (known := float(decisions.confidence[row])) == known:
        values["confidence"] = known
    if (cost := trained.cost.get(model)) is not None:
        own = 0.0 if decisions.usage is None else float(decisions.usage.cost[row])
        values["expected_usd"] = cost + (own if own == own else 0.0)
    for name in ("policy", "reason"):
        texts = getattr(decisions, name)
        if texts is not None and str(texts[row]):
            values[name] = str(texts[row])
    return values
