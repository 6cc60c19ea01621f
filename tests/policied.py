"""A router that names policies, by nothing but the letters of a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from routebench import Decisions, Queries, Table, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.budget import Budget

NAMES = ("standard", "complex", "ambiguous")


class Policied:
    """The sum of its letters decides; the pair is the first and the last model."""

    class Options(BaseModel):
        complex_is: str = "large"
        trained: int = 0

    route_options: ClassVar[tuple[str, ...]] = ("complex_is",)

    def __init__(self, options: Any) -> None:
        self.options = options
        self.budget: Budget | None = None

    @hookimpl
    def fit(self, train: Table) -> None:
        self.models = len(train.pool)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        policy = np.array([NAMES[sum(map(ord, text)) % 3] for text in queries.text], dtype=object)
        up = (policy == "complex") & (self.options.complex_is == "large")
        if self.budget is not None and self.budget.reached(0.9):
            up[:] = False
        quality = np.full((len(queries), self.models), np.nan)
        quality[:, 0], quality[:, -1] = np.where(up, 0.4, 0.6), np.where(up, 0.6, 0.4)
        reason = np.array([f"it has {len(text)} letters" for text in queries.text], dtype=object)
        choice = np.where(up, self.models - 1, 0)
        return Decisions(choice, quality=quality, policy=policy, reason=reason)

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"models": self.models})

    def load(self, folder: Path) -> None:
        self.models = checkpoint.load(folder)[0]["models"]
