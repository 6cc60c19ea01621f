"""Checks of routers that learn online: what `update` teaches, and what it may depend on."""

from __future__ import annotations

import unittest
from dataclasses import replace

import numpy as np

from routebench.jobs.harness import Harness, differing
from routebench.jobs.setup import without_cells
from routebench.records import Floats, Ints, Queries
from routebench.testing.checkpoints import check_save_and_load
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import Subject, ask
from routebench.testing.tables import MODELS, Tables

_MOST = 0.6
_GOOD = 2
"""The model that is always right in what these checks reveal."""


@check(after=check_save_and_load)
def check_cold_start(subject: Subject) -> None:
    """fit takes tables in which every cell is absent, and route decides before any outcome."""
    ask(_cold(subject), subject.queries)


@check(after=check_cold_start)
def check_update_in_batches(subject: Subject) -> None:
    """A batch of outcomes teaches what they do one after the other, and is left as it was."""
    together, singly = (_cold(subject) for _ in range(2))
    queries, choice, score, cost = _outcomes(subject)
    before = [choice.copy(), score.copy(), cost.copy()]
    together.update(queries, choice, score, cost)
    changed = [
        name
        for name, old, new in zip(
            ("choice", "score", "cost"), before, (choice, score, cost), strict=True
        )
        if not np.array_equal(old, new, equal_nan=True)
    ]
    expect(not changed, "outcomes that update leaves as they were", f"changed: {changed}")
    for row in range(len(queries)):
        at = np.array([row])
        singly.update(queries.take(at), choice[at], score[at], cost[at])
    count = differing(ask(together, subject.queries), ask(singly, subject.queries))
    expect(
        count == 0,
        "the same decisions after a batch of outcomes and after each by itself",
        f"{count} of {len(subject.queries)} differ",
        "what update does for a batch is what it does for its rows in their order",
    )


@check(after=check_cold_start)
def check_update_teaches(subject: Subject) -> None:
    """A model that is always right, where all others are wrong, is what it chooses then."""
    harness = _cold(subject)
    queries, choice, score, cost = _outcomes(subject)
    harness.update(queries, choice, score, cost)
    share = float((ask(harness, subject.queries).choice == _GOOD).mean())
    expect(
        share >= _MOST,
        f"at least {_MOST:.0%} of choices for the model whose answers all were right",
        f"{share:.0%} after {len(choice)} outcomes",
        "route is to read what update has learned",
    )


@check(after=check_cold_start)
def check_unknown_outcomes(subject: Subject) -> None:
    """A score or cost that is not known, NaN, is taken, and valid decisions follow."""
    harness = _cold(subject)
    queries, choice, score, cost = _outcomes(subject)
    score[::3] = cost[::2] = np.nan
    harness.update(queries, choice, score, cost)
    harness.update(queries, choice, np.full_like(score, np.nan), np.full_like(cost, np.nan))
    ask(harness, subject.queries)


@check(after=check_update_in_batches)
def check_update_after_load(subject: Subject) -> None:
    """A loaded router learns as the fitted one does, and keeps in a checkpoint what it learned."""
    fitted, folder = _cold(subject), subject.folder()
    fitted.router.save(folder)
    loaded = Harness(subject.new())
    loaded.router.load(folder)
    for harness in (fitted, loaded):
        harness.update(*_outcomes(subject))
    later = subject.folder()
    fitted.router.save(later)
    again = Harness(subject.new())
    again.router.load(later)
    expected = ask(fitted, subject.queries)
    for harness, what in ((loaded, "load and update"), (again, "update, save and load")):
        count = differing(expected, ask(harness, subject.queries))
        expect(
            count == 0,
            f"the same decisions after fit and update, and after {what}",
            f"{count} of {len(subject.queries)} differ",
            "save everything that fit or update sets and route or update reads",
        )


def _cold(subject: Subject) -> Harness:
    """Return a router fitted on tables without outcomes."""
    if not subject.fitted.updates:
        raise unittest.SkipTest("the router does not learn online")
    tables, every = subject.tables, np.ones(len(MODELS), dtype=np.bool_)
    parts = (
        replace(part, outcomes=without_cells(part.outcomes, every))
        for part in (tables.train, tables.validation, tables.test)
    )
    return subject.fit(Tables(*parts))


def _outcomes(subject: Subject) -> tuple[Queries, Ints, Floats, Floats]:
    """Return the outcomes of every model on each test query: one alone is right."""
    n, m = len(subject.queries), len(MODELS)
    choice = np.tile(np.arange(m), n)
    queries = subject.queries.take(np.repeat(np.arange(n), m))
    return queries, choice, (choice == _GOOD).astype(np.float64), np.full(n * m, 1e-4)


CHECKS: tuple[Check, ...] = (
    check_cold_start,
    check_update_in_batches,
    check_update_teaches,
    check_unknown_outcomes,
    check_update_after_load,
)
