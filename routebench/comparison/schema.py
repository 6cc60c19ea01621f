"""Result of a gate: the shape of `gate.json`, promised to CI pipelines."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from routebench.comparison.rules import Rules
from routebench.comparison.verdict import Verdict
from routebench.schema import StrictModel

Outcome = Literal["pass", "regression", "invalid", "inconclusive"]
EXIT_CODES = {"pass": 0, "regression": 1, "invalid": 3, "inconclusive": 4}


class Change(StrictModel):
    """Something that differs between the two runs."""

    what: str
    old: str | None
    new: str | None


class Comparison(StrictModel):
    """One router and gated metric. Differences are new minus old, worse is negative.

    Accuracy is a share, cost is relative to the baseline's total cost, reward is in its unit.
    """

    router: str
    metric: str
    verdict: Verdict
    reason: str | None = Field(None, description="why there is no number, or nothing to test")
    old: float | None = Field(None, description="accuracy, reward, or USD per 1,000 queries")
    new: float | None = None
    difference: float | None = None
    low: float | None = Field(None, description="95% interval of the difference")
    high: float | None = None
    p: float | None = Field(None, description="one-sided, Holm-adjusted over the family")
    p_raw: float | None = None
    test: Literal["mcnemar", "weights"] | None = None
    mde: float | None = Field(None, description="the smallest loss this comparison detects")
    margin: float | None = None
    margin_from: Literal["rules", "mde"] = "rules"
    queries: int | None = Field(None, description="on which both sides have a usable answer")
    queries_needed: int | None = Field(
        None, description="that would decide an inconclusive one, if the estimate were true"
    )


class Flip(StrictModel):
    """One query that a router now sends elsewhere, at a different score or cost."""

    query: str
    user: str | None = None
    old_model: str
    new_model: str
    old_score: float
    new_score: float
    old_cost: float | None = None
    new_cost: float | None = None


class Flips(StrictModel):
    """The changed decisions of one router."""

    router: str
    changed: float = Field(description="share of decisions for another model")
    worse: int = Field(description="queries that score less than before")
    better: int
    largest: list[Flip] = Field(description="at most ten; all seeds together")


class Finding(StrictModel):
    """A guard's finding about one router."""

    guard: Literal["missing", "collapse", "references", "drift", "latency", "verdict"]
    level: Literal["warn", "fail"]
    router: str
    message: str


class GateResult(StrictModel):
    """One gate: may the candidate replace the baseline?"""

    schema_version: Literal[1] = 1
    verdict: Outcome
    exit_code: int
    baseline: str
    candidate: str
    suite: str
    source: str = Field(description="simulated, recorded or live answers")
    rules: Rules
    family: int = Field(0, description="routers × gated metrics that were tested together")
    mismatches: list[Change] = Field([], description="hard fingerprints: why it is invalid")
    reason: str | None = Field(None, description="why it is invalid, where no fingerprint is")
    changes: list[Change] = Field([], description="what differs and may be compared")
    comparisons: list[Comparison] = Field([])
    findings: list[Finding] = Field([])
    flips: list[Flips] = Field([])
    verdicts: dict[str, dict[str, int]] = Field(
        {}, description="routers by their verdict on the board, of baseline and candidate"
    )
    notes: list[str] = Field([])

    def count(self, verdict: Verdict) -> int:
        """Return the comparisons with this verdict."""
        return sum(one.verdict is verdict for one in self.comparisons)


def to_json(result: GateResult) -> str:
    """Return the result as it stands in its file."""
    values = result.model_dump(mode="json")
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"
