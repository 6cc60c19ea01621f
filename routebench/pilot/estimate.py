"""From a pilot's outcomes to its headroom, and to what a run that resolves a margin would take."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.metrics.bootstrap import bootstrap_means
from routebench.metrics.headroom import best_model, disagreement, oracle_choice
from routebench.metrics.statistics import interval, mde
from routebench.pilot.bounds import least_mean, proportion
from routebench.records import Floats, Outcomes, SuiteData

FEWEST = 20
"""Complete queries below which nothing is said."""
POOR, GOOD = 0.1, 1 / 3
"""The shares of the headroom that a poor and a very good router recover."""
LEAST_SAVING = 0.05
"""A share of the cost below which no router is worth its keep."""
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Ends:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PilotHeadroom:
    """What a pilot says of the headroom of routing, and of the run that would measure a router."""

    suite: str
    models: tuple[str, ...]
    queries: int
    """Those that all models have answered."""
    incomplete: int
    best_single: str
    contenders: tuple[str, ...]
    """Models that may be the best one, for all that the pilot shows."""
    oracle: float
    best_score: float
    disagreement: float
    gap: Ends
    """Oracle less best single model, in points of the score from 0 to 1."""
    plug_in: float
    saving: Ends | None
    """Share of the best single model's cost that the cheapest best answers save; None: unpriced."""
    usd_per_query: float | None
    """Of all models' answers together."""
    margin: float
    against: str
    """The model with whose answers the best one's were paired."""
    discordance: Ends
    test_queries: Ends
    """Queries on which a paired difference of the margin would be seen in 80% of cases."""
    test_share: float
    """Of the queries, under the suite's own split, or a hash split."""
    verdict: str
    """`go`, `no-go` or `undecided`."""
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def usd(self) -> float | None:
        """Return what the answers of so many test queries would cost: a run with folds."""
        return self.usd_per_query and self.usd_per_query * self.test_queries.value

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema_version": 1, **asdict(self), "usd": self.usd}


def headroom_of(data: SuiteData, margin: float, pilot: int | None = None) -> PilotHeadroom:
    """Return what the first `pilot` queries by their text's hash say, or all of them.

    Raises:
        DataError: for users, one model, or too few queries that all models have answered.
    """
    if data.users is not None:
        raise DataError(f"{data.name}: its scores are users' rewards, which have no one oracle")
    if len(data.pool) < 2:
        raise DataError(f"{data.name}: one model leaves nothing to route")
    taken = np.arange(len(data))[:pilot]  # the rows are sorted by their hash
    outcomes = data.outcomes.take(taken)
    complete = outcomes.ok.all(axis=1)
    n = int(complete.sum())
    if n < FEWEST:
        raise DataError(
            f"{data.name}: {n} of {len(taken)} queries have a graded answer of every model;"
            f" at least {FEWEST} are needed",
            "a larger --pilot or --budget, fewer --models, or --judge where answers have no grade",
        )
    return _estimate(data, outcomes.take(np.flatnonzero(complete)), len(taken) - n, margin)


def _estimate(data: SuiteData, outcomes: Outcomes, incomplete: int, margin: float) -> PilotHeadroom:
    score, cost = outcomes.score, outcomes.cost
    if cost is not None and np.isnan(cost).any():
        cost = None
    models = data.pool.models
    best = best_model(outcomes.mean_score(), None if cost is None else cost.mean(axis=0))
    choice = oracle_choice(outcomes)
    top = score[np.arange(len(score)), choice]
    gap = least_mean(top[:, None] - score, best)
    spent = None if cost is None else cost[np.arange(len(cost)), choice]
    saving = None if cost is None or spent is None else _saving(cost, spent, best, gap.contenders)
    behind = np.where(np.arange(len(models)) == best, -np.inf, outcomes.mean_score())
    other = int(behind.argmax())
    squared = (score[:, best] - score[:, other]) ** 2
    discordance = Ends(float(squared.mean()), *proportion(squared))
    ends = Ends(gap.value, gap.low, gap.high)
    verdict, reason = decide(ends, saving, margin)
    return PilotHeadroom(
        suite=data.name,
        models=tuple(models),
        queries=len(score),
        incomplete=incomplete,
        best_single=models[best],
        contenders=tuple(models[m] for m in gap.contenders),
        oracle=float(top.mean()),
        best_score=float(score[:, best].mean()),
        disagreement=disagreement(outcomes),
        gap=ends,
        plug_in=gap.plug_in,
        saving=saving,
        usd_per_query=None if cost is None else float(cost.sum(axis=1).mean()),
        margin=margin,
        against=models[other],
        discordance=discordance,
        test_queries=Ends(*(queries_for(margin, q) for q in asdict(discordance).values())),
        test_share=_test_share(data),
        verdict=verdict,
        reason=reason,
        notes=data.notes,
    )


def _test_share(data: SuiteData) -> float:
    if data.split is None:
        return data.shares[2]
    return float(np.mean([str(part).strip().lower() == "test" for part in data.split]))


def queries_for(margin: float, discordance: float) -> float:
    """Return how many queries show a paired difference of the margin in 80% of cases."""
    return math.ceil((mde(discordance, 1) / margin) ** 2)


def _saving(cost: Floats, spent: Floats, best: int, contenders: tuple[int, ...]) -> Ends | None:
    """Return the share of the best model's cost that is saved; ends over all that may be best."""
    if not (cost[:, list(contenders)].mean(axis=0) > 0).all():
        return None
    columns = [spent, *(cost[:, m] for m in contenders)]
    means = bootstrap_means(columns, resamples=_RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold free answers alone
        found = [interval(1 - means[:, 0] / means[:, 1 + i]) for i in range(len(contenders))]
    value = 1 - float(spent.mean() / cost[:, best].mean())
    return Ends(value, min(one.low for one in found), max(one.high for one in found))


def decide(gap: Ends, saving: Ends | None, margin: float) -> tuple[str, str]:
    """Return go, no-go or undecided, and why.

    Go where even a poor router would gain from the low end of the gap or the saving; no-go where a
    very good one would not from the high ends of both.
    """
    if POOR * gap.low >= margin:
        return "go", (
            f"a tenth of the gap's low end is {_pp(POOR * gap.low)}, at least the {_pp(margin)}"
            " asked for"
        )
    if saving is not None and POOR * saving.low >= LEAST_SAVING:
        return "go", (
            f"a tenth of the saving's low end is {POOR * saving.low:.1%} of the cost; for accuracy"
            f" alone it is not sure ({_pp(POOR * gap.low)} to {_pp(GOOD * gap.high)} of"
            f" {_pp(margin)})"
        )
    most = 0.0 if saving is None else GOOD * saving.high
    told = "" if saving is None else f", and {most:.1%} of the cost"
    if GOOD * gap.high < margin and most < LEAST_SAVING:
        return "no-go", f"even a third of the gap's high end is {_pp(GOOD * gap.high)}{told}"
    return "undecided", (
        f"a router that recovers a tenth to a third of the gap gains {_pp(POOR * gap.low)} to"
        f" {_pp(GOOD * gap.high)}, of {_pp(margin)} asked for; a larger pilot narrows this"
    )


def _pp(share: float) -> str:
    return f"{100 * share:.1f} pp"
