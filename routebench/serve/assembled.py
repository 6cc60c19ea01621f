"""Make a gateway of a trained router: its points, who is asked, the budget, the log."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from routebench.board import checkpoint_points
from routebench.board.steps import live
from routebench.board.trained import TrainedRouter
from routebench.collect.budget import SpendingBudget
from routebench.collect.planning import TargetModel
from routebench.errors import DataError, OptionError
from routebench.plugin.budget import Budget
from routebench.plugin.optional import KeepsBudget, SpeaksChat
from routebench.prices.lists import PriceList
from routebench.serve.api_errors import Hidden
from routebench.serve.batching import BatchedRouter, by_training
from routebench.serve.calls.relay import Relay
from routebench.serve.calls.upstream import UpstreamModel, Upstreams
from routebench.serve.event_log import EventLog
from routebench.serve.gateway import NAME, Gateway
from routebench.serve.metrics import ServeMetrics
from routebench.serve.stepping import SteppingRouter

_WARM = "Which river flows through Paris?"
_TIMED = (
    "Write a function that sorts a list.",
    "What is 17 * 23?",
    "Who painted Guernica, and when?",
)


@dataclass(frozen=True)
class ServeOptions:
    """How a router is served."""

    providers: Sequence[str]
    values: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Options of providers and judges by name."""
    prices: PriceList | None = None
    answers_as: str | None = None
    budget: float | None = None
    """USD."""
    spent: float = 0.0
    timeout: float = 120.0
    retries: int = 1
    explore: float = 0.0
    seed: int | None = None
    """Of exploration; None: another one each time."""
    log: Path | None = None
    log_texts: bool = False
    client_keys: Sequence[str] = field(default=(), repr=False)


def assemble(trained: TrainedRouter, options: ServeOptions) -> Gateway:
    """Return what answers requests; nothing is asked of anybody yet, but of the router.

    Raises:
        OptionError: a model that nobody is asked for, a key that is missing, or a router that
            cannot decide by the text alone.
    """
    if options.explore and trained.steps:
        raise OptionError(f"--explore: {trained.label} chooses by answers, not before them")
    values = {name: dict(each) for name, each in options.values.items()}
    judge = options.answers_as or trained.description.answers_as
    targets = live.targets(
        trained.models, options.providers, values, options.prices, options.timeout
    )
    used = {target.provider for target in targets.values()} | {judge}
    for name in values:
        if name not in used:
            raise OptionError(f"--set {name}: it is not asked here")
    models = {name: _model(name, target) for name, target in targets.items()}
    keys = [one.endpoint.key for one in models.values() if one.endpoint is not None]
    hidden = Hidden([*keys, *options.client_keys])
    at = _at_points(trained)
    usual = math.inf
    if not trained.steps:
        # It may need more than a text; and the first time takes longer.
        replace(trained, point=None).route([_WARM])
        usual = min(_seconds(trained, text) for text in _TIMED)
    budget = SpendingBudget(options.budget, options.spent)
    keeps = _gives_budget(trained, budget)
    points = _names(trained, at)
    metrics = ServeMetrics(budget, frozenset([*points, *models]))
    upstreams = Upstreams(models, options.timeout, hidden)
    relay = Relay(upstreams, budget, metrics, options.retries, options.timeout)
    router = stepping = log = None
    if trained.steps:
        stepping = SteppingRouter(at, relay, live.finals_reader(trained, judge, values))
    else:
        router = BatchedRouter(at, (lambda: _spoken_for(budget)) if keeps else None, usual)
    if options.log is not None:
        version = policy_version(trained, options.explore)
        log = EventLog(options.log, hidden, version, options.log_texts)
    return Gateway(
        trained.label,
        points,
        relay,
        metrics,
        hidden,
        router,
        stepping,
        by_training(trained),
        options.explore,
        log,
        random.Random(options.seed),  # noqa: S311
    )


def policy_version(trained: TrainedRouter, explore: float) -> str:
    """Return 12 hex digits over all that decides: another router, point or ε has others."""
    known = trained.description
    facts: list[Any] = [
        known.router,
        known.plugin,
        known.code,
        known.fingerprint,
        known.seed,
        known.fold,
    ]
    facts += [repr(getattr(trained.router, "options", None)), trained.point, explore]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:12]


def _seconds(trained: TrainedRouter, text: str) -> float:
    began = time.perf_counter()
    replace(trained, point=None).route([text])
    trained.forget_times()
    return time.perf_counter() - began


def _model(name: str, target: TargetModel) -> UpstreamModel:
    speaks = isinstance(target.plugin, SpeaksChat)
    return UpstreamModel(name, target, target.plugin.chat_endpoint() if speaks else None)


def _at_points(trained: TrainedRouter) -> dict[str | None, TrainedRouter]:
    """Return the router by operating point, and at its own choice or the point it was opened at."""
    at: dict[str | None, TrainedRouter] = {trained.point: trained}
    points = trained.points
    if points is None:
        try:
            points = checkpoint_points.read(trained.checkpoint)
        except DataError:  # a run without prices has no points
            return at
    for name in points.points:
        at.setdefault(name, replace(trained, points=points, point=name))
    return at


def _names(trained: TrainedRouter, at: Mapping[str | None, TrainedRouter]) -> dict[str, str | None]:
    points = (point for point in at if point is not None)
    return {NAME: trained.point} | {f"{NAME}@{point}": point for point in points}


def _gives_budget(trained: TrainedRouter, budget: SpendingBudget) -> bool:
    """Give a router that keeps to a budget this one; return whether it does."""
    if budget.usd is None or not isinstance(trained.router, KeepsBudget):
        return False
    trained.spend(Budget(budget.usd, budget.spent))
    return True


def _spoken_for(budget: SpendingBudget) -> float:
    return budget.spent + budget.reserved + budget.doubtful
