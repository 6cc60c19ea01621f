"""The references for suites with users: known answers, new users, missing cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import panel

from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.records import Queries, State, SuiteData, Table
from routebench_routers.users import (
    PreferenceLinear,
    TaskPreferencePrior,
    UserLinear,
    UserPrior,
    means,
)

NAN = np.nan


def small(**users: Any) -> SuiteData:
    """Model a is good and dear, b is neither; the first user wants it good, the second cheap."""
    effect, cost = [[0.9, 0.5]] * 3, [[0.8, 0.1]] * 3
    return panel(effect, cost, [1.0, 0.0], ["one", "two", "three"], ["t", "t", "u"], **users)


def whole(data: SuiteData) -> Table:
    return data.table(np.arange(len(data)))


def chosen(router: Any, table: Table, user: str, preference: float, **columns: Any) -> str:
    n = len(table)
    queries = replace(
        table.queries,
        user=np.array([user] * n, dtype=object),
        preference=np.full(n, preference),
        **columns,
    )
    (choice,) = set(router.route(queries).choice.tolist())
    return table.pool.models[choice]


def fitted(cls: Any, table: Table, tmp_path: Path, **options: Any) -> Any:
    router = cls(cls.Options(**options))
    encoder = FittedOnUse("tfidf-svd", {}, list(table.queries.text))
    context = Context(0, encoder, tmp_path)
    wanted = {"train": table, "validation": table, "context": context}
    names = router.fit.__code__.co_varnames[1 : router.fit.__code__.co_argcount]
    router.fit(**{name: wanted[name] for name in names})
    return router


def test_user_prior_by_hand(tmp_path: Path) -> None:
    table = whole(small())
    router = fitted(UserPrior, table, tmp_path)
    assert chosen(router, table, "u0", 1.0) == "a"
    assert chosen(router, table, "u1", 0.0) == "b"
    # What is stated is not looked at: a prior knows users by what was worth it to them.
    assert chosen(router, table, "u0", 0.0) == "a"
    assert chosen(router, table, "somebody else", 1.0) == "b"  # mean rewards .05 and .2


def test_user_prior_learns_from_what_the_user_asked(tmp_path: Path) -> None:
    effect, cost = [[1, 0], [1, 0], [0, 1], [0, 1]], np.zeros((4, 2))
    texts = ["one", "two", "three", "four"]
    table = whole(panel(effect, cost, [1.0, 1.0], texts))
    order = np.argsort([texts.index(t) for t in table.queries.text])
    asked = np.zeros((4, 2), dtype=np.bool_)
    asked[order[:2], 0] = asked[order[2:], 1] = True
    assert table.users is not None
    router = fitted(UserPrior, replace(table, users=replace(table.users, asked=asked)), tmp_path)
    assert chosen(router, table, "u0", 1.0) == "a"
    assert chosen(router, table, "u1", 1.0) == "b"


@pytest.mark.parametrize("cls", [PreferenceLinear, TaskPreferencePrior])
def test_stated_preferences_are_applied_to_new_users_too(cls: Any, tmp_path: Path) -> None:
    table = whole(small())
    router = fitted(cls, table, tmp_path)
    assert chosen(router, table, "never seen", 1.0) == "a"
    assert chosen(router, table, "never seen", 0.0) == "b"


def test_means_leave_missing_cells_out() -> None:
    table = whole(small())
    state = table.outcomes.state.copy()
    state[0, 0], state[:, 1] = State.FAILED, State.ABSENT
    score = np.where(state == State.OK, table.outcomes.score, NAN)
    holes = replace(table, outcomes=replace(table.outcomes, state=state, score=score))
    effect, cost = means(holes)
    assert effect.tolist() == [pytest.approx(0.9), 0.0]
    assert cost.tolist() == [pytest.approx(0.8), 1.0]


@pytest.mark.parametrize("cls", [UserPrior, UserLinear, PreferenceLinear, TaskPreferencePrior])
def test_a_model_never_seen_is_never_chosen(cls: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [f"query {i}" for i in range(60)]
    effect = np.column_stack([rng.random(60) * 0.2, rng.random(60) * 0.2, np.ones(60)])
    table = whole(panel(effect, np.full((60, 3), 0.9), [0.2, 0.9], texts, ["t"] * 60))
    state = table.outcomes.state.copy()
    state[:, 2] = State.ABSENT
    score = np.where(state == State.OK, table.outcomes.score, NAN)
    outcomes = replace(table.outcomes, state=state, score=score)
    router = fitted(cls, replace(table, outcomes=outcomes), tmp_path)
    queries: Queries = replace(
        table.queries,
        user=np.array(["u0", "u1", "new"] * 20, dtype=object),
        preference=np.tile([0.2, 0.9, 0.5], 20),
    )
    assert 2 not in router.route(queries).choice
