"""The grid's result: its shape, promised to whoever reads `grid.json`."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from routebench.schema import Difference, Estimate, Measure, StrictModel

Outcome = Literal["win", "tie", "loss"]
VerdictKind = Literal["proven", "not proven", "same", "worse"]


class GridSuite(StrictModel):
    """One suite of the grid, as its board says."""

    name: str
    title: str = Field(description="the suite's own name, with those of its files")
    folder: str = Field(description="of the run, seen from the grid's folder")
    source: Literal["simulated", "recorded", "live"]
    measure: Measure
    priced: str
    valid: bool
    invalid_reason: str | None = None
    headline: str | None = None
    scored: int = Field(description="test queries, over all folds")
    models: int
    folds: int
    seeds: int
    best_single: Estimate
    oracle: Estimate
    mde: float | None = Field(None, description="smallest difference that its board could show")
    finished: str | None = None


class GridEntry(StrictModel):
    """One router on one suite, as its board says."""

    state: Literal["ok", "failed", "skipped"]
    message: str | None = None
    rank: float | None = Field(
        None, description="by the mean score, 1 is best; equal scores share the mean of their ranks"
    )
    quality: Estimate | None = Field(None, description="accuracy or reward, as the suite measures")
    against_best_single: Difference | None = None
    outcome: Outcome | None = Field(
        None, description="against best-single; tie: the difference is not significant (Holm)"
    )
    gap_recovered: Estimate | None = None
    point: str | None = Field(None, description="the setting that the verdict is about")
    verdict: VerdictKind | None = None
    savings: Estimate | None = Field(None, description="1 - cost / best-single's, at that setting")
    sentence: str | None = None


class GridRouter(StrictModel):
    """One router over all suites."""

    router: str
    reference: bool = False
    average_rank: float | None = Field(None, description="over the suites that ranks are made of")
    wins: int = Field(description="suites on which it is significantly better than best-single")
    ties: int
    losses: int
    verdicts: dict[VerdictKind, int] = Field({}, description="number of suites by verdict")
    entries: dict[str, GridEntry] = Field(description="by suite")


class RankTest(StrictModel):
    """Friedman's test of all routers and Nemenyi's of every two, over suites."""

    suites: list[str] = Field(description="those with a valid board, which all these routers ended")
    routers: list[str] = Field(description="by their average rank, best first")
    alpha: float
    statistic: float | None = Field(description="Friedman's χ², with routers - 1 degrees")
    p: float | None
    q: float = Field(description="quantile of the studentized range over √2")
    critical_difference: float
    suites_needed: int = Field(
        description="with fewer, not even first everywhere against last everywhere is a difference"
    )
    groups: list[list[str]] = Field(
        description="largest sets of routers of which no two are provably different"
    )
    sentence: str


class GridResult(StrictModel):
    """A grid: its suites, its routers over all of them, and the test of their ranks."""

    schema_version: Literal[1] = 1
    name: str
    routebench: str = Field(description="version")
    suites: list[GridSuite]
    routers: list[GridRouter]
    ranks: RankTest | None
    no_ranks: str | None = Field(None, description="why there is no test of ranks")


def to_json(result: GridResult) -> str:
    """Return the content of `grid.json`; what has its default value is left out."""
    values = result.model_dump(mode="json", exclude_defaults=True)
    values = {"schema_version": result.schema_version} | values
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
