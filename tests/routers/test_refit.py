"""Built-in routers in `refit`: they learn from all of a table with what `fit` has chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_task_routers import ask, kinds

from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.plugin import described, discovery, optional
from routebench.plugin.options import validate
from routebench.records import Table
from routebench.testing.tables import joined
from routebench_routers.ensemble.router import Ensemble
from routebench_routers.guarded_knn import GuardedKNN
from routebench_routers.knn import KNN
from routebench_routers.linear import Linear
from routebench_routers.mf import MF
from routebench_routers.tasks.by_task import ByTask
from routebench_routers.tasks.posterior import TaskPosterior


@pytest.fixture(scope="module")
def tables() -> tuple[Table, Table, Table]:
    train, validation = kinds(240, 1, rate=0.7), kinds(80, 2, rate=0.7)
    return train, validation, joined(train, validation)


def context(table: Table, folder: Path) -> Context:
    encoder = FittedOnUse("tfidf-svd", {"dimension": 16}, list(table.queries.text))
    return Context(0, encoder, folder, training_only=frozenset({"task"}))


def new(cls: Any, **values: Any) -> Any:
    return cls(validate(cls, cls.__name__, values))


@pytest.mark.parametrize(
    ("cls", "option", "chosen"),
    [
        (KNN, "k", "k"),
        (Linear, "penalty", "_penalty"),
        (TaskPosterior, "shrinkage", "shrinkage"),
        (GuardedKNN, "z", "z"),
    ],
)
def test_it_predicts_as_one_that_was_given_the_choice(
    cls: Any, option: str, chosen: str, tables: tuple[Table, Table, Table], tmp_path: Path
) -> None:
    train, validation, both = tables
    means = context(both, tmp_path)
    router = new(cls)
    router.fit(train, validation, means)
    choice = getattr(router, chosen)
    before = router.predict(validation.queries)
    router.refit(both, means)
    after = router.predict(validation.queries)
    assert not np.array_equal(before, after)
    if getattr(router, chosen) != choice:  # all there are, of which there are more now
        assert (choice, getattr(router, chosen)) == (len(train), len(both))
        choice = len(both)
    told = new(cls, **{option: choice})
    told.fit(both, validation, means)
    np.testing.assert_allclose(after, told.predict(validation.queries), atol=1e-12)


def test_all_neighbours_stay_all(tables: tuple[Table, Table, Table], tmp_path: Path) -> None:
    train, validation, both = tables
    means = context(both, tmp_path)
    router = new(KNN, k=10**6)
    router.options = router.options.model_copy(update={"k": len(train)})
    router.fit(train, validation, means)
    router.refit(both, means)
    assert router.k == len(both)


@pytest.mark.parametrize("cls", [Ensemble, MF, ByTask])
def test_what_was_chosen_stays(
    cls: Any, tables: tuple[Table, Table, Table], tmp_path: Path
) -> None:
    if cls is MF:
        pytest.importorskip("torch")
    train, validation, both = tables
    means = context(both, tmp_path)
    router = new(cls)
    router.fit(train, validation, means)
    first = router.predict(both.queries)
    kept = {
        name: getattr(router, name)
        for name in ("weights", "considered", "calibration", "_epochs", "specialised")
        if hasattr(router, name)
    }
    assert kept
    router.refit(both, means)
    for name, value in kept.items():
        np.testing.assert_equal(getattr(router, name), value)
    again = router.predict(both.queries)
    assert not np.array_equal(first, again)
    asked = kinds(60, 3)
    untold = replace(asked, queries=replace(asked.queries, task=None))
    right = asked.outcomes.score[np.arange(60), router.route(untold.queries).choice].mean()
    assert right > 0.8
    assert ask(router, "poem verse 5").choice[0] == 0


def test_which_routers_declare_it() -> None:
    ready = {info.name: info for info in discovery.installed("router") if info.ready}
    found = {
        name for name, info in ready.items() if optional.has_cheap_fit(new(discovery.load(info)))
    }
    declared = {
        "by-task", "ensemble", "guarded-knn", "knn", "linear", "mf", "prompt-length",
        "task-posterior",
    }  # fmt: skip
    declared |= {name for name, info in ready.items() if described.family(info) == "published"}
    assert found == declared & set(ready)
