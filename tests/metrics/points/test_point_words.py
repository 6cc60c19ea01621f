"""Verdicts and headlines as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from routebench.metrics.points.verdict import PointVerdict
from routebench.metrics.points.words import NOTHING_SAVED, headline, router_verdict, sentence
from routebench.schema import Estimate, Row


def made(kind: Any = "proven", value: float = 0.001, **more: Any) -> PointVerdict:
    fields: dict[str, Any] = {
        "kind": kind, "difference": value, "low": value - 0.01, "high": value + 0.01,
        "level": 0.05, "p": 0.01, "queries": None,
    }  # fmt: skip
    return PointVerdict(**(fields | more))


def row(name: str, verdict: PointVerdict | None, saved: float, low: float | None = None) -> Row:
    savings = Estimate(value=saved, low=saved - 0.01 if low is None else low, high=saved + 0.01)
    judged = verdict and router_verdict(name, "within-1pp", 0.01, verdict, savings)
    return Row(router=name, state="ok", plugin=name, verdict=judged)


@pytest.mark.parametrize(
    ("verdict", "saved", "said"),
    [
        (made(), 0.61, "mf: 61% cheaper at +0.1 pp (at worst −0.9): within 1 pp, proven"),
        (
            made("not proven", -0.004, queries=4321),
            0.4,
            "mf: 40% cheaper at −0.4 pp (at worst −1.4): within 1 pp not proven, 4,321 queries "
            "would decide",
        ),
        (made("worse", -0.05), 0.4, "mf: 40% cheaper at −5.0 pp (at best −4.0): more than 1 pp"
         " worse"),
        (made(value=0.03), -0.02, "mf: 2% dearer at +3.0 pp (at worst +2.0): within 1 pp, proven"),
        (made(value=0.0), 0.001, "mf: no cheaper at 0.0 pp (at worst −1.0): within 1 pp, proven"),
        (
            made(value=0.0003, low=-0.0098),
            0.1,
            "mf: 10% cheaper at 0.0 pp (at worst −0.98): within 1 pp, proven",
        ),
        (made("same", 0.0), 0.0, "mf: the best single model itself, nothing saved"),
    ],
)  # fmt: skip
def test_a_verdict_in_a_sentence(verdict: PointVerdict, saved: float, said: str) -> None:
    assert sentence("mf", verdict, 0.01, saved) == said


def test_the_headline_is_the_largest_proven_saving() -> None:
    rows = [
        row("a", made(), 0.3),
        row("b", made(), 0.5),
        row("c", made("not proven"), 0.9),
        row("reference", None, 0.99),
    ]
    assert (headline(rows) or "").startswith("b: 50% cheaper")
    assert (headline(rows[2:]) or "").startswith("c: 90% cheaper")


def test_nothing_saved_is_said_so() -> None:
    rows = [
        row("same", made("same", 0.0), 0.0),
        row("worse", made("worse", -0.2), 0.9),
        row("dearer", made(value=0.03), -0.1),
        row("chance", made(), 0.01, low=-0.01),
    ]
    assert headline(rows) == NOTHING_SAVED
    assert headline([row("reference", None, 0.9)]) is None
