"""Checks of what is learned: reproducible, and independent of order, ambient state and history."""

from __future__ import annotations

import unittest

import numpy as np

from routebench.plugin import optional
from routebench.records import Decisions, Ints, Mask
from routebench.testing import tables as synthetic
from routebench.testing.behaviour import check_fit_and_route
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import SEED, Subject, ask
from routebench.testing.tables import MODELS, Tables

# Training by gradient steps depends on the order of rows a little; learning file order, a lot.
_AGREEMENT = 0.95
_NEAR_TIE = 0.01
_WORSE = 0.15  # by which a few test queries may be decided worse by chance


@check(after=check_fit_and_route)
def check_deterministic(subject: Subject) -> None:
    """The same data and seed give the same decisions."""
    again = subject.decide(subject.tables)
    _expect_identical(
        subject.decisions,
        again,
        "identical decisions from two routers with the same data and seed",
        "seed every generator with context.seed; hash() of a string and sets have no fixed order",
    )


@check(after=check_deterministic)
def check_global_generators(subject: Subject) -> None:
    """Decisions depend on context.seed, not on the state of global random generators."""
    again = subject.decide(subject.tables, ambient=1)
    _expect_identical(
        subject.decisions,
        again,
        "the same decisions whatever random.seed() and np.random.seed() were called with before",
        "use np.random.default_rng(context.seed), and random_state=context.seed in scikit-learn",
    )


@check(after=check_deterministic)
def check_seed(subject: Subject) -> None:
    """A router that says it is deterministic decides alike for every seed."""
    if not optional.is_deterministic(subject.new()):
        raise unittest.SkipTest("the router does not say that it is deterministic")
    _expect_identical(
        subject.decisions,
        subject.decide(subject.tables, seed=1 + SEED),
        "identical decisions for two seeds, as the router has `deterministic = True`",
        "leave that out: a run then trains the router once per seed",
    )


@check(after=check_deterministic)
def check_refit(subject: Subject) -> None:
    """fit forgets: a router fitted on other data before decides like a new one."""
    used = subject.fit(subject.other_tables).router
    again = subject.decide(subject.tables, router=used)
    _expect_identical(
        subject.decisions,
        again,
        "a second fit of the same object to replace the first",
        "start fit by setting every learned attribute anew",
    )


@check(after=check_deterministic)
def check_cheap_fit(subject: Subject) -> None:
    """A router with `cheap_fit` learns from all of train and validation in `refit`, and is saved.

    Its decisions are as good as after `fit`, and the same whenever that is done again.
    """
    if not optional.has_cheap_fit(subject.new()):
        raise unittest.SkipTest("the router does not say that its fit is cheap")
    once, again = (ask(subject.refit(subject.tables), subject.queries) for _ in range(2))
    _expect_identical(
        once,
        again,
        "identical decisions from two routers that were fitted and refitted on the same data",
        "seed every generator in refit with context.seed",
    )
    score = subject.tables.test.outcomes.score
    rows = np.arange(len(score))
    before, after = (
        float(np.nanmean(score[rows, one.choice])) for one in (subject.decisions, once)
    )
    expect(
        after >= before - _WORSE,
        f"a mean test score of at least {before - _WORSE:.2f} after refit, {before:.2f} before it",
        f"{after:.2f}",
        "refit learns anew from all of its table, and keeps what fit has chosen",
    )


@check(after=check_fit_and_route)
def check_objects_share_nothing(subject: Subject) -> None:
    """No object keeps what it learns in class attributes or globals, where others see it."""
    first = subject.fit(subject.tables)
    before = ask(first, subject.queries)
    subject.fit(subject.other_tables)
    _expect_identical(
        before,
        ask(first, subject.queries),
        "a fitted router to decide the same after another object of its class was fitted",
        "keep what is learned in attributes of self: class attributes and globals are lost "
        "between the process that fits and the one that routes",
    )


@check(after=check_deterministic)
def check_row_order(subject: Subject) -> None:
    """The order of the training and validation rows does not matter."""
    rng = np.random.default_rng(0)
    tables = subject.tables
    shuffled = Tables(
        synthetic.take(tables.train, rng.permutation(len(tables.train))),
        synthetic.take(tables.validation, rng.permutation(len(tables.validation))),
        tables.test,
    )
    same = _agree(subject.decisions, subject.decide(shuffled), np.arange(len(MODELS)))
    expect(
        same.mean() >= _AGREEMENT,
        f"the same choice for {_AGREEMENT:.0%} of queries after shuffling the training rows",
        f"the same for {same.mean():.0%}",
        "break ties by a rule (routebench.plugin.selection.best), not by which row comes first",
    )


@check(after=check_deterministic)
def check_model_order(subject: Subject) -> None:
    """The order of the models in the pool does not matter: nothing is learned of positions."""
    order = np.arange(len(MODELS))[::-1]
    tables = subject.tables
    parts = (tables.train, tables.validation, tables.test)
    moved = Tables(*(synthetic.with_models(part, order) for part in parts))
    again = subject.decide(moved)
    other = subject.decide(subject.other_tables)
    if np.array_equal(subject.decisions.choice, other.choice):
        raise unittest.SkipTest("the router does not learn from scores which model is good")
    same = _agree(subject.decisions, again, order)
    expect(
        same.mean() >= _AGREEMENT,
        f"the same model, by name, for {_AGREEMENT:.0%} of queries with the pool reversed",
        f"the same for {same.mean():.0%}",
        "argmax takes the first of equals: where models tie, none of them is the best; "
        "draw from names, not from column numbers",
    )


def _agree(one: Decisions, other: Decisions, order: Ints) -> Mask:
    """Return [n] whether both choose one model, or two of about equal quality to the first.

    Column j of the other's pool is model order[j].
    """
    there = order[other.choice]
    same: Mask = one.choice == there
    if one.quality is not None:
        rows = np.arange(len(same))
        gap = np.abs(one.quality[rows, one.choice] - one.quality[rows, there])
        same |= gap <= _NEAR_TIE
    return same


def _expect_identical(one: Decisions, other: Decisions, expected: str, hint: str) -> None:
    differing = int((one.choice != other.choice).sum())
    expect(not differing, expected, f"{differing} of {len(one.choice)} choices differ", hint)
    if one.quality is not None and other.quality is not None:
        distance = float(np.nanmax(np.abs(one.quality - other.quality), initial=0.0))
        expect(
            np.allclose(one.quality, other.quality, rtol=1e-6, atol=1e-9, equal_nan=True),
            expected,
            f"the choices agree, but predicted quality differs by up to {distance:.2g}",
            hint,
        )


CHECKS: tuple[Check, ...] = (
    check_deterministic,
    check_global_generators,
    check_seed,
    check_refit,
    check_cheap_fit,
    check_objects_share_nothing,
    check_row_order,
    check_model_order,
)
