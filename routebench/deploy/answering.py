"""Who answers for a trained router's models, and the options that are about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routebench import files
from routebench.board.steps import live
from routebench.board.trained import TrainedRouter
from routebench.collect.live_answers import LiveAnswers
from routebench.errors import OptionError
from routebench.plugin import discovery
from routebench.prices.listed import LIST, load_file

Values = dict[str, dict[str, Any]]
"""Options by the name that they are of."""
TIMEOUT = 120.0
"""Seconds for one call."""


def source(
    trained: TrainedRouter,
    values: Values,
    *,
    providers: Sequence[str],
    prices: Path | None = None,
    answers_as: str | None = None,
    timeout: float | None = None,
    budget: float | None = None,
    spent: float | None = None,
) -> LiveAnswers:
    """Return who answers; nothing is asked yet. `values` are options of providers and judges.

    Raises:
        OptionError: a model that nobody is named for, or options of somebody who is not asked.
    """
    seconds = timeout or TIMEOUT
    listed = prices is None or str(prices) == LIST
    known = None if prices is None or listed else load_file(prices)
    asked = live.targets(trained.models, providers, values, known, seconds)
    judge = answers_as or trained.description.answers_as
    used = {target.provider for target in asked.values()} | {judge}
    for name in values:
        if name not in used:
            raise OptionError(f"--set {name}: it is not asked here")
    finals = live.finals_reader(trained, judge, values)
    return live.live_answers(asked, trained.models, finals, budget, spent or 0.0, seconds)


def parted(router: str, values: Values) -> tuple[Values, Values]:
    """Return the options of the router, and those of providers and judges."""
    known = {info.name for kind in ("provider", "judge") for info in discovery.installed(kind)}
    others = known - {router, router.partition("@")[0]}
    return (
        {name: each for name, each in values.items() if name not in others},
        {name: each for name, each in values.items() if name in others},
    )


def changes(router: str, given: Values) -> dict[str, Any]:
    """Return the router's options given by its label or its plugin's name."""
    names = [router.partition("@")[0], router]
    for name in given:
        if name not in names:
            raise OptionError(f"--set {name}: this is about {router}")
    found: dict[str, Any] = {}
    for name in names:
        found |= {key: files.absolute(value) for key, value in given.get(name, {}).items()}
    return found
