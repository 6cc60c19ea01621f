"""Checks of routers that see answers: their steps, and what they may depend on."""

from __future__ import annotations

import unittest

import numpy as np

from routebench.records import Decisions, Ints
from routebench.steps.replay import RecordedAnswers
from routebench.testing.answers import invented_answers
from routebench.testing.behaviour import check_batch_equals_single, check_fit_and_route
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import TRADE_OFFS, Subject
from routebench.testing.tables import MODELS


@check(after=check_fit_and_route)
def check_trade_offs(subject: Subject) -> None:
    """Every query ends at every trade-off that `context.trade_offs` has, by valid steps."""
    _skip_unless_it_steps(subject)
    for trade_off in TRADE_OFFS:
        _decide(subject, np.arange(len(subject.queries)), trade_off)


@check(after=check_fit_and_route)
def check_failed_calls(subject: Subject) -> None:
    """After a call that brings no answer it goes on with others, and stops with one that came."""
    _skip_unless_it_steps(subject)
    rng = np.random.default_rng(0)
    for share in (0.3, 1.0):
        failed = rng.random((len(subject.queries), len(MODELS))) < share
        _decide(subject, np.arange(len(subject.queries)), failed=failed)


@check(after=check_batch_equals_single)
def check_round_order(subject: Subject) -> None:
    """A query ends alike whichever others are open with it, and in whatever order."""
    _skip_unless_it_steps(subject)
    n = len(subject.queries)
    whole = _decide(subject, np.arange(n))
    rng = np.random.default_rng(1)
    for rows in (rng.permutation(n), np.arange(n)[::-3]):
        part = _decide(subject, rows)
        differing = (part.asked != whole.asked[rows]).any(axis=1)  # type: ignore[index]
        differing |= part.choice != whole.choice[rows]
        expect(
            not differing.any(),
            "the same steps for a query in another order, and among other queries",
            f"{int(differing.sum())} of {len(rows)} queries end otherwise",
            "keep no state between calls of step, and compute nothing over the batch",
        )


def _decide(
    subject: Subject,
    rows: Ints,
    trade_off: float = 0.0,
    failed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None = None,
) -> Decisions:
    queries = subject.queries.take(rows)
    answers = invented_answers(queries.text, MODELS)
    if failed is not None:
        answers.answered[failed] = False
        answers.response[failed] = answers.final[failed] = None
    source = RecordedAnswers(answers, MODELS)
    made = subject.fitted.step(queries, MODELS, trade_off, source)
    return Decisions(made.answer, asked=made.asked)


def _skip_unless_it_steps(subject: Subject) -> None:
    if not subject.fitted.steps:
        raise unittest.SkipTest("the router sees no answers")


CHECKS: tuple[Check, ...] = (check_trade_offs, check_failed_calls, check_round_order)
