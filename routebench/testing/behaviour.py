"""Checks of decisions: valid on every kind of table and query that a run can bring."""

from __future__ import annotations

import unittest
from dataclasses import fields, replace
from typing import Any

import numpy as np

from routebench.jobs.harness import SINGLES
from routebench.records import Objective, Table
from routebench.testing import tables as synthetic
from routebench.testing.contract import check_needs
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import EVERYTHING, Subject, ask, step
from routebench.testing.tables import MODELS, Tables

_ODD_TEXTS = (
    "",
    "   \n\t",
    "?!",
    "qwxz vvkj",
    "東京の人口は？",
    "🙂",
    "word " * 3000,
    "add\x00digits",
)


@check(after=check_needs)
def check_fit_and_route(subject: Subject) -> None:
    """fit and route work, and the decisions have the right types, shapes and ranges."""
    _ = subject.decisions


@check(after=check_fit_and_route)
def check_one_query(subject: Subject) -> None:
    """A batch of one query is decided too."""
    ask(subject.fitted, subject.queries.take(np.array([0])))


@check(after=check_one_query)
def check_batch_equals_single(subject: Subject) -> None:
    """Every query is decided by itself: in a batch as alone."""
    if subject.fitted.steps:
        stepped = step(subject.fitted, subject.queries)
        differing = subject.fitted.stepped_otherwise(subject.queries, MODELS, 0.0, stepped)
    else:
        differing = subject.fitted.disagreements(subject.queries, subject.decisions, len(MODELS))
    expect(
        differing == 0,
        "the same choice for a query in a batch and alone",
        f"{differing} of {min(SINGLES, len(subject.queries))} queries are decided otherwise alone",
        "compute nothing over the batch, keep no state between calls, draw from the query's text",
    )


@check(after=check_fit_and_route)
def check_odd_texts(subject: Subject) -> None:
    """Empty, very long, foreign and unknown texts get valid decisions."""
    queries = subject.queries.take(np.arange(len(_ODD_TEXTS)))
    ask(subject.fitted, replace(queries, text=np.array(_ODD_TEXTS, dtype=object)))


@check(after=check_fit_and_route)
def check_unknown_values(subject: Subject) -> None:
    """Tasks and users never seen in training, and queries without any, get valid decisions."""
    unknown = np.array(["never seen before", None] * (len(subject.queries) // 2), dtype=object)
    ask(subject.fitted, replace(subject.queries, task=unknown, user=unknown))


@check(after=check_fit_and_route)
def check_text_only(subject: Subject) -> None:
    """The text is enough, or needs() says which column is lacking."""
    _skip_if_lacking(subject, subject.tables, frozenset())
    subject.decide(subject.tables, shown=frozenset())


@check(after=check_fit_and_route)
def check_tasks_in_training(subject: Subject) -> None:
    """Tasks that training sees and routing does not are no trouble, or needs() asks for both."""
    hidden = frozenset({"task"})
    shown = EVERYTHING - hidden
    reason = subject.lacks(subject.tables.train, shown, hidden)
    if reason is not None:
        raise unittest.SkipTest(f"the router says: {reason}")
    fitted = subject.fit(subject.tables, training_only=hidden)
    ask(fitted, subject.queries.show(shown))


@check(after=check_fit_and_route)
def check_unpriced(subject: Subject) -> None:
    """It works without any price (outcomes.cost is None), or needs() says that it cannot."""
    free = Tables(*(synthetic.unpriced(part) for part in _parts(subject.tables)))
    _skip_if_lacking(subject, free, EVERYTHING)
    subject.decide(free)


@check(after=check_fit_and_route)
def check_real_scores(subject: Subject) -> None:
    """Scores anywhere between 0 and 1 work as well as 0 and 1."""
    subject.decide(subject.made(scores="real"))


@check(after=check_fit_and_route)
def check_few_queries(subject: Subject) -> None:
    """Twelve training and six validation queries are enough to give valid decisions."""
    subject.decide(subject.made(12, 6, 20))


@check(after=check_fit_and_route)
def check_ties(subject: Subject) -> None:
    """Models that are all always right, or all always wrong, give valid decisions."""
    for score in (1.0, 0.0):
        parts = (
            synthetic.with_scores(part, np.full_like(part.outcomes.score, score))
            for part in _parts(subject.tables)
        )
        subject.decide(Tables(*parts))


@check(after=check_fit_and_route)
def check_missing_cells(subject: Subject) -> None:
    """Missing cells (score NaN) and a model without any score do no harm."""
    train, validation, test = _parts(subject.tables)
    holes = Tables(synthetic.with_holes(train), synthetic.with_holes(validation), test)
    choice = subject.decide(holes).choice
    share = float((choice == synthetic.UNSEEN).mean())
    expect(
        share <= 0.5,
        "a model that has no score in training to be chosen for half of the queries at most",
        f"chosen for {share:.0%}",
        "use outcomes.ok: score is NaN in all other cells, and a model may have no cell at all",
    )


@check(after=check_fit_and_route)
def check_objective(subject: Subject) -> None:
    """An objective that weighs cost is accepted (whether it is followed is up to the router)."""
    subject.decide(subject.tables, objective=Objective(performance=1.0, cost=0.5))


@check(after=check_fit_and_route)
def check_tables_unchanged(subject: Subject) -> None:
    """fit leaves the tables it is given as they were."""
    given, untouched = subject.tables, subject.tables
    subject.fit(given)
    changed = [
        f"{part}.{record}.{column}"
        for part in ("train", "validation")
        for record in ("queries", "outcomes")
        for column in _differing(
            getattr(getattr(given, part), record), getattr(getattr(untouched, part), record)
        )
    ]
    expect(
        not changed,
        "tables without any change",
        f"changed in place: {', '.join(changed)}",
        "copy an array before writing into it",
    )


def _differing(left: Any, right: Any) -> list[str]:
    """Return the names of the columns in which two records differ."""
    names = [f.name for f in fields(left)]
    return [name for name in names if not _same(getattr(left, name), getattr(right, name))]


def _same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    a, b = np.asarray(left), np.asarray(right)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _parts(tables: Tables) -> tuple[Table, Table, Table]:
    return tables.train, tables.validation, tables.test


def _skip_if_lacking(subject: Subject, tables: Tables, shown: frozenset[str]) -> None:
    reason = subject.lacks(tables.train, shown)
    if reason is not None:
        raise unittest.SkipTest(f"the router says: {reason}")


CHECKS: tuple[Check, ...] = (
    check_fit_and_route,
    check_one_query,
    check_batch_equals_single,
    check_odd_texts,
    check_unknown_values,
    check_text_only,
    check_tasks_in_training,
    check_unpriced,
    check_real_scores,
    check_few_queries,
    check_ties,
    check_missing_cells,
    check_objective,
    check_tables_unchanged,
)
