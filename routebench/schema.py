"""The leaderboard file: its shape, promised to CI pipelines and other readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

Measure = Literal["accuracy", "reward"]
"""The mean score that routers are ranked by; a reward in suites with users."""
COLLAPSE = 0.95
"""The share of queries to one model above which a router is warned of as collapsed."""


@dataclass(frozen=True)
class Collapse:
    """A warning: nearly all of a router's queries go to one model."""

    model: str
    share: float

    def __str__(self) -> str:
        return f"{_COLLAPSE}{self.share:.1%} of queries go to {self.model}"


@dataclass(frozen=True)
class BelowBestSingle:
    """A warning: a router is significantly worse than the best single model."""

    measure: Measure

    def __str__(self) -> str:
        return f"{self.measure}{_BELOW}"


BEST_SINGLE, MOST_EXPENSIVE, RANDOM = "best-single", "most-expensive", "random"
REFERENCES = {BEST_SINGLE: "best_single", MOST_EXPENSIVE: "most_expensive", RANDOM: "random"}
"""What every router is compared with, as rows name it, and its name under `references`.

They are computed from the outcomes; no router of such a name has to take part.
"""

_COLLAPSE = "collapse: "
_BELOW = f" below {BEST_SINGLE}, significantly"


def is_measured(warning: str) -> bool:
    """Return whether a warning follows from the board's numbers, not from a job."""
    return warning.startswith(_COLLAPSE) or warning.endswith(_BELOW)


def collapse(usage: Mapping[str, float]) -> Collapse | None:
    """Return the warning that shares of queries by model give, if any."""
    over = [Collapse(model, share) for model, share in usage.items() if share > COLLAPSE]
    return over[0] if over else None


class StrictModel(BaseModel):
    """A frozen record that takes no fields but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(StrictModel):
    """A number with its 95% confidence interval; null with a reason where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = Field(None, description="why the value is null")
    undefined: float | None = Field(
        None, description="share of bootstrap resamples in which the metric is undefined"
    )


class Difference(Estimate):
    """A paired difference, this row minus the other; p is Holm-adjusted over the family."""

    p: float | None = None
    p_raw: float | None = None
    test: Literal["mcnemar", "bootstrap"] | None = None
    discordance: float | None = Field(None, description="mean squared difference per query")
    mde: float | None = Field(None, description="smallest difference this pair could detect")


class Facet(StrictModel):
    """One task, topic or user: n test queries of it, and the metrics on them."""

    n: int
    accuracy: Estimate | None = None
    reward: Estimate | None = Field(None, description="in place of accuracy, with users")
    cost_per_1k: Estimate
    pair: dict[str, Estimate] = Field({}, description="APGR and CPT on these queries, by task")


class CurvePoint(StrictModel):
    """One trade-off of quality and cost, on the test queries."""

    accuracy: float
    total_cost_per_1k: float


class PointResult(StrictModel):
    """One setting of a router, frozen before the test, and its results on the test queries."""

    n: int = Field(description="test queries on which all models that could be chosen answered")
    lambdas: list[float | None] = Field(
        [],
        description="λ in score per USD by seed, then fold; null: one fixed model stands in; "
        "empty: the router's own choice",
    )
    fixed: float = Field(0.0, description="share of jobs in which one fixed model stands in")
    metrics: dict[str, Estimate] = Field(description="as `metrics` of a row")
    against: dict[str, dict[str, Difference]] = Field(
        {}, description="paired differences from best-single, on the point's queries"
    )
    usage: dict[str, float] = Field({}, description="share of decisions by model")


class RouterVerdict(StrictModel):
    """The finding whether a router costs less within a margin of best-single's accuracy."""

    point: str = Field(description="of `points`: fixed before the test, one per router")
    margin: float = Field(description="share of queries that may be lost: .01 is 1 pp")
    kind: Literal["proven", "worse", "not proven", "same"] = Field(
        description="proven: the loss is below the margin; worse: it is above; same: it is "
        "best-single on every query"
    )
    difference: float = Field(description="accuracy minus that of best-single")
    low: float = Field(
        description="one-sided lower bound, at the router's step of Holm's procedure over the "
        "learned routers of the run"
    )
    high: float = Field(description="the same from above")
    level: float = Field(description="one-sided level of `low`: .05 over the routers left")
    p: float = Field(description="one-sided, of a loss of the margin or more; Holm-adjusted")
    savings: Estimate = Field(description="1 - total cost / best-single's, at the point")
    queries_needed: int | None = Field(
        None, description="test queries that would decide, if the estimate were true"
    )
    sentence: str


class PolicyUse(StrictModel):
    """One policy of a router: how often it names it, and how good the answers then are."""

    n: int = Field(description="decisions that name it, over all seeds")
    share: Estimate
    accuracy: Estimate | None = None
    reward: Estimate | None = Field(None, description="in place of accuracy, with users")
    cost_per_1k: Estimate = Field(description="of the models' answers")


class SingleModel(StrictModel):
    """One model of a router's pair, asked everything: the router against it."""

    model: str | None = Field(description="null where folds differ")
    reference: str | None = Field(
        None,
        description="a reference of the board that it is on every query: the comparison then "
        "stands in `against`, and savings in `metrics`",
    )
    n: int = Field(description="queries on which both models of the pair have an answer")
    accuracy: Difference | None = Field(
        None, description="row minus the model on those queries; p is not adjusted"
    )
    reward: Difference | None = Field(None, description="in place of accuracy, with users")
    savings: Estimate | None = Field(
        None, description="1 - total cost / the model's cost, on those queries"
    )


class Policies(StrictModel):
    """The results of a router's policies."""

    use: dict[str, PolicyUse]
    medium: SingleModel | None = Field(
        None,
        description="the cheaper of two models (unpriced: the weaker in training); null for a "
        "router that considers not just two",
    )
    large: SingleModel | None = Field(None, description="the other one")


class StepPath(StrictModel):
    """One way to an answer."""

    asked: list[list[str]] = Field(description="models asked, round by round")
    answer: str = Field(description="the model whose answer was given")
    share: float = Field(description="of queries, over all seeds")
    accuracy: float = Field(description="of these answers")


class StepUse(StrictModel):
    """Whom a router that sees answers asked; shares of queries over all seeds."""

    calls: dict[str, float] = Field(description="by the number of answers bought")
    rounds: dict[str, float] = Field(description="by the number of rounds, one after the other")
    asked: dict[str, float] = Field(description="by model; `usage` is whose answers were given")
    paths: list[StepPath] = Field(description="the most common ways, most common first")


class OnlinePoint(StrictModel):
    """What has accumulated after some queries of a stream; intervals over seeds."""

    queries: int
    regret: dict[str, Estimate] = Field(description="per query so far, as in `regret`")
    score: Estimate = Field(description="mean score so far")
    cost: Estimate | None = Field(None, description="USD so far; null in an unpriced run")


class OnlinePlay(StrictModel):
    """How a router fared on a stream: regret per query in units of reward, score − λ · USD."""

    learns: bool = Field(description="is told what it chose; false: trained before, and frozen")
    regret: dict[str, Estimate] = Field(
        description="mean loss per query against best-single, best-single-by-part (with a drift), "
        "oracle-of-class and oracle, each known in hindsight; intervals over queries and seeds"
    )
    late: dict[str, Estimate] = Field(description="the same over the last fifth of the arrivals")
    logged: bool = Field(description="draws its choices by probabilities, which are stored")
    curve: list[OnlinePoint]


class OnlineStream(StrictModel):
    """The stream of an online run."""

    order: Literal["time", "seed"] = Field(
        description="time: as recorded, alike for all seeds; seed: each draws its own order"
    )
    queries: int
    start: Literal["cold", "warm"] = Field(
        description="what routers that learn know first: texts of the training part alone, or "
        "their outcomes too"
    )
    batch: int = Field(description="queries chosen for before one update")
    delay: int = Field(description="further queries before an outcome is revealed")
    trade_off: float = Field(description="λ: a reward is score − λ · USD")
    drift: str | None = Field(None, description="what changes half way")
    change: int | None = Field(None, description="queries that arrive before the drift")
    best_single: str = Field(description="the model of the highest mean reward, in hindsight")
    best_single_by_part: list[str] = Field([], description="before and after the drift")


class Learning(StrictModel):
    """What a router learned from, and what its points were chosen on, in a run with inner folds."""

    inner_folds: int = Field(
        description="inner fits that its points were chosen by; 0: one fit, on validation"
    )
    queries: int = Field(description="those it learned from, mean over folds")
    chosen_on: int = Field(description="those that its points were chosen on, mean over folds")


class Row(StrictModel):
    """One router on the board."""

    router: str
    state: Literal["ok", "failed", "skipped"]
    message: str | None = Field(None, description="why it failed or was skipped")
    rank: int | None = Field(None, description="1 + the number of routers significantly better")
    plugin: str
    distribution: str | None = None
    version: str | None = None
    options: dict[str, Any] = {}
    reference: bool = Field(
        False, description="declares that any learned router must beat it: no verdict is made"
    )
    fingerprint: str | None = Field(None, description="hash of plugin, options and code")
    seeds: list[int] = []
    deterministic: bool = Field(
        False, description="trained once: its decisions are the same for all seeds"
    )
    interval_scope: Literal["queries and seeds", "this checkpoint only"] | None = None
    metrics: dict[str, Estimate] = {}
    pair: tuple[str, str] | None = Field(
        None,
        description="the weak and the strong model that APGR, CPT and mix_lift are about: the "
        "router's own, else cheapest and most-expensive; null where folds differ",
    )
    points: dict[str, PointResult] = Field(
        {}, description="settings frozen before the test, by name: most-accurate, within-1pp, …"
    )
    verdict: RouterVerdict | None = Field(
        None, description="of learned routers in a priced run without users"
    )
    mde: float | None = Field(
        None, description="smallest difference from best-single that this row could show"
    )
    curve: list[CurvePoint] = Field([], description="from quality alone to the least cost")
    seed_spread: dict[str, float] = Field({}, description="standard deviation over seeds")
    against: dict[str, dict[str, Difference]] = {}
    facts: dict[str, str | float] = Field(
        {}, description="what the router says of itself; means over jobs where they differ"
    )
    usage: dict[str, float] = {}
    usage_interval: dict[str, tuple[float, float]] = {}
    by_task: dict[str, Facet] = {}
    by_topic: dict[str, Facet] = {}
    by_user: dict[str, Facet] = {}
    policies: Policies | None = Field(
        None, description="of a router that names a policy per query; left out for all others"
    )
    steps: StepUse | None = Field(
        None, description="of a router that sees answers; left out for all others"
    )
    learning: Learning | None = Field(
        None, description="in a run with inner folds; left out in all others"
    )
    online: OnlinePlay | None = Field(
        None, description="in a run with the protocol online; left out in all others"
    )
    warnings: list[str] = []

    @property
    def other_warnings(self) -> list[str]:
        """Return all warnings but that of a collapse, which names a model and differs by row."""
        collapsed = str(collapse(self.usage))
        return [text for text in self.warnings if text != collapsed]

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out fields that say nothing, as in files without them."""
        values: dict[str, Any] = handler(self)
        for name in (
            "policies",
            "steps",
            "facts",
            "deterministic",
            "reference",
            "learning",
            "online",
        ):
            if not getattr(self, name):
                values.pop(name, None)
        return values


INCOMPLETE = "INCOMPLETE:"
"""The beginning of a suite's note that choices without an answer shrank everyone's test part."""


class SuiteInfo(StrictModel):
    name: str
    source: Literal["simulated", "recorded", "live"]
    measure: Measure = Field(
        "accuracy", description="what routers are ranked by: the key of the mean score in metrics"
    )
    protocol: Literal["query", "user", "llm", "online"] = Field(
        "query",
        description="what a test query has that training never saw; online: queries arrive in "
        "order, and routers that learn are told what they chose",
    )
    users: int | None = Field(None, description="who ask every query, where there are any")
    queries: dict[str, int] = Field(description="train, validation, test; means over folds")
    models: list[str]
    folds: int = Field(description="1 for a single split")
    split: str
    shown: list[str] = Field(description="query columns that routers see besides the text")
    training_only: list[str] = Field([], description="further ones that only training sees")
    notes: list[str] = []


class Fingerprints(StrictModel):
    """The first five are hard: where they differ, two boards must not be compared."""

    suite: str
    split: str
    outcomes: str
    judge: str
    pool: str
    prices: str | None


class FoldFacts(StrictModel):
    """The models that the training part of a fold names, and the costs in its trade-offs."""

    best_single: str
    cheapest: str | None = None
    most_expensive: str | None = None
    mean_cost: dict[str, float | None] | None = Field(None, description="USD per training query")
    mean_score: dict[str, float | None] | None = Field(
        None, description="on training queries: tells weak from strong in an unpriced run"
    )


class Diagnostics(StrictModel):
    headroom: float | None = Field(description="oracle minus best single, on the scored queries")
    disagreement: float = Field(description="share of queries on which scores differ by model")
    routable: float = Field(
        description="share of queries that some model answers better than the best single one"
    )
    cheapest_dominates: bool | None = None
    mde: float | None
    mde_of: str | None = Field(None, description="the comparison that `mde` is about")
    scored: int = Field(description="test queries that all rows are scored on")
    left_out: int = Field(description="test queries on which a chosen model has no usable cell")
    missing: float = Field(description="(failed + ungraded + unpriced) / asked test cells")
    leaked: int = Field(description="test queries that had a duplicate in train or validation")
    removed: int = Field(description="train and validation queries removed for it")
    states: dict[str, int]
    cost_basis: dict[str, int] = Field(description="asked cells by where their cost comes from")
    assumed_output_tokens: int | None = Field(
        None, description="length of answers of which no length is known, where there are any"
    )
    pool: dict[str, dict[str, dict[str, float | None]]]
    oracle_all: float | None = Field(
        description="oracle over all rows of the suite; null where users differ"
    )
    folds: list[FoldFacts] = []


class Leaderboard(StrictModel):
    """One run: what was compared on what, and every number with its interval."""

    schema_version: Literal[2] = 2
    headline: str | None = Field(
        None, description="what the best verdict says, or that no router saves anything"
    )
    suite: SuiteInfo
    fingerprints: Fingerprints
    priced: Literal["recorded", "prices", "estimated", "unpriced"]
    valid: bool
    invalid_reason: str | None = None
    objective: dict[str, float]
    encoder: str
    resamples: int
    diagnostics: Diagnostics
    references: dict[str, dict[str, Estimate]]
    rows: list[Row]
    online: OnlineStream | None = Field(
        None, description="in a run with the protocol online; left out in all others"
    )
    files: dict[str, str] = Field({}, description="sha256 of the run folder's tables")
    environment: dict[str, Any] = Field({}, description="machine, BLAS, versions, paths, time")
    timing: dict[str, Any] = Field({}, description="seconds, latencies and memory")

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a stream where there is none, as in files without them."""
        values: dict[str, Any] = handler(self)
        if self.online is None:
            values.pop("online", None)
        return values


def json_schema() -> str:
    """Return the JSON Schema that the package carries as `leaderboard.schema.json`."""
    return json.dumps(Leaderboard.model_json_schema(), indent=2, sort_keys=True) + "\n"
