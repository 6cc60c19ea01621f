"""Routers that learn nothing, and hooks that are missing or misnamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted, rows
from pydantic import BaseModel, Field
from quality_routers import ByWord

from routebench import (
    Decisions,
    Queries,
    Table,
    hookimpl,
)
from routebench.plugin import described, discovery
from routebench.plugin.defaults import complete
from routebench.testing import check_router

Main = Callable[..., tuple[int, str, str]]


class Rule:
    """Long queries to the third model, all others to the first."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.array([2 * (len(text) > 20) for text in queries.text]))


class WithOptions(Rule):
    """The same, with an option."""

    class Options(BaseModel):
        length: int = Field(20, ge=0, description="characters")

    options: Options

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        long = [len(text) > self.options.length for text in queries.text]
        return Decisions(np.where(long, 2, 0))


def test_a_router_that_learns_nothing_conforms() -> None:
    check_router(Rule)
    check_router(WithOptions, {"length": 3})


def test_a_router_that_learns_nothing_runs(
    tmp_path: Path, board: Any, main: Main, write: Callable[[pa.Table], Path]
) -> None:
    names = f"{__file__}:Rule,{__file__}:WithOptions"
    out = tmp_path / "run"
    suite = f"table:{write(planted(200))}"
    done = board("--suite", suite, "--router", names, "--set", "WithOptions.length=0", out=out)
    found = rows(done)
    assert found["Rule"]["state"] == found["WithOptions"]["state"] == "ok"
    assert found["WithOptions"]["options"] == {"length": 0}
    rc, text, _ = main("route", out, f"{__file__}:WithOptions", "any text")
    assert (rc, text.split()[0]) == (0, "c")
    rc, text, _ = main("plugins", f"{__file__}:Rule")
    assert rc == 0
    assert "Long queries to the third model, all others to the first.\n" in text
    assert "no options" in text
    rc, _, error = main("run", "--suite", suite, "--router", names, "--set", "Rule.length=0")
    assert rc == 2
    assert "Rule has no option 'length'" in error


def test_a_complete_class_is_left_alone() -> None:
    assert complete(ByWord) is ByWord
    whole = complete(Rule)
    assert (whole.__name__, whole.__doc__, whole.__module__) == ("Rule", Rule.__doc__, __name__)
    assert discovery.load(discovery.find("router", f"{__file__}:Rule")).__name__ == "Rule"


class Misnamed(Rule):
    @hookimpl
    def train(self, train: Table) -> None: ...


class Undecorated(Rule):
    def fit(self, train: Table) -> None: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class Forgets(Rule):
    @hookimpl
    def fit(self, train: Table) -> None: ...


class SavesOnly(Rule):
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class NoRoute:
    """Nothing at all."""


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (Misnamed, "unknown hook 'train'"),
        (Undecorated, "Undecorated has no fit hook"),
        (Forgets, "Forgets has no method save"),
        (SavesOnly, "SavesOnly has no fit hook"),
        (NoRoute, "NoRoute has no route hook"),
    ],
)
def test_hooks_that_are_missing_or_misnamed_are_errors(router: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_router(router)


def test_what_a_list_reads_in_the_source_is_what_the_class_says() -> None:
    """A list imports no router: what a class inherits would be missed."""
    for info in discovery.installed("router"):
        if info.missing:
            continue
        router = discovery.load(info)
        assert described.in_all(info) == getattr(router, "in_all", True), info.name
        assert described.family(info) == getattr(router, "family", ""), info.name


def test_all_are_routers_that_are_trained_before() -> None:
    every = {info.name for info in described.several("all") or ()}
    assert {"knn", "linear", "agreement", "best-single"} <= every
    learners = {info.name for info in described.several("learns online") or ()}
    assert {"linucb", "thompson", "epsilon-greedy", "pilot"} == learners
    assert not every & learners
