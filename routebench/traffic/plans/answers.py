"""The verdict on two policies from the answers to a plan's cells (T3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.collect.planned_cells import PlannedCells, model_of
from routebench.data.texts import normalise
from routebench.errors import DataError
from routebench.records import Floats, Ints, Mask
from routebench.traffic.evaluate import decide
from routebench.traffic.plans import sequence, stratified
from routebench.traffic.result import Number

TIER = "T3"
_SHARE, _USD = "reward in [0, 1]", "USD per request"


@dataclass(frozen=True)
class PlanResult:
    """What a plan's answers say so far."""

    policy: str
    verdict: str
    reason: str
    margin: float
    sequential: bool
    events: int
    differing_events: int
    differing_queries: int
    planned: int
    """Queries of the plan."""
    answered: int
    """Those of them, from the first on, both of whose cells are answered."""
    lost: int
    """Those of which a cell failed or has no grade: they count as the worst either way."""
    cells: int
    """Cells asked so far."""
    usd: float | None
    """What they cost; None where one has no known cost."""
    wave: int
    """The last whole wave."""
    waves: int
    difference: Number
    cost_difference: Number | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema_version": 1, **asdict(self)}


@dataclass(frozen=True)
class _Cells:
    """The plan's queries [n] with both cells' answers [n, 2]; NaN is unknown."""

    score: Floats
    cost: Floats
    asked: Mask
    """[n, 2]"""


def judge_plan(plan: PlannedCells, answers: pa.Table, place: str) -> PlanResult:
    """Estimate the difference over all traffic and decide.

    `answers` is a table with query, model, score, state and cost_usd; `place` names it.

    Raises:
        DataError: for a plan that is broken, answers that are not graded, or of none of its cells.
    """
    try:
        return _judged(plan, answers, place)
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"{plan.name}: a plan that is broken: {error!r}") from error


def _judged(plan: PlannedCells, answers: pa.Table, place: str) -> PlanResult:
    about, table = plan.about, plan.table
    if len(table) % 2:
        raise DataError(f"{plan.name}: a plan that is broken: a query with one cell")
    both = _answers(plan, answers, place)
    stratum = np.asarray(table["stratum"].to_numpy()[::2], np.int64)
    weight = np.asarray(table["weight"].to_numpy()[::2])
    wave = np.asarray(table["wave"].to_numpy()[::2], np.int64)
    known: Mask = np.asarray(both.asked.all(axis=1))
    n = len(known) if known.all() else int(known.argmin())  # the order is random: a first part
    certain = int(about["certain"])
    if n < max(2, certain):
        raise DataError(
            f"{place}: of {len(known):,} queries of {plan.name} the first {n:,} are answered",
            f"routebench collect --plan {plan.name} asks them",
        )
    change = both.score[:n, 1] - both.score[:n, 0]
    lost = np.isnan(change)
    worst, best = np.where(lost, -1.0, change), np.where(lost, 1.0, change)
    found = [_estimated(about, weight[:n] * each, stratum[:n], certain) for each in (worst, best)]
    value = (found[0].value + found[1].value) / 2
    difference = Number(TIER, _SHARE, value, found[0].low, found[1].high)
    margin = float(about["margin"])
    verdict, reason = decide(difference, margin)
    if n < len(known) and not about["sequential"]:
        verdict = "inconclusive"
        reason = f"one sample decides when it is whole: {n:,} of {len(known):,} are answered"
    paid = both.cost[both.asked]
    return PlanResult(
        policy=str(about["policy"]), verdict=verdict, reason=reason, margin=margin,
        sequential=bool(about["sequential"]), events=int(about["events"]),
        differing_events=int(about["differing_events"]),
        differing_queries=int(about["differing_queries"]),
        planned=len(known), answered=n, lost=int(lost.sum()), cells=int(both.asked.sum()),
        usd=None if np.isnan(paid).any() else float(paid.sum()),
        wave=int(wave.max() if n == len(known) else wave[n] - 1), waves=plan.waves,
        difference=difference,
        cost_difference=_cost(about, weight[:n] * (both.cost[:n, 1] - both.cost[:n, 0]),
                              stratum[:n], certain),
    )  # fmt: skip


def _estimated(about: Mapping[str, Any], outcome: Floats, stratum: Ints, certain: int) -> Any:
    """Return the difference with its interval: of a fixed sample, or valid at any time."""
    parts, events = about["strata"], int(about["events"])
    sizes = np.array([part["size"] for part in parts])
    spread = np.array([part["spread"] for part in parts])
    fixed = _expanded(outcome, stratum, sizes, spread, events, about, certain)
    if not about["sequential"]:
        return fixed
    draws = sequence.Sequence(
        outcome=outcome[certain:],
        stratum=stratum[certain:],
        sizes=np.array([part["random"] for part in parts]),
        predicted=np.array([part["gain"] for part in parts]),
        spread=float(np.sqrt((sizes * spread**2).sum() / sizes.sum())),
        largest=float(about["largest"]),
        events=events,
        known=float(outcome[:certain].sum()),
    )
    low, high = sequence.interval(draws, float(about["margin"]))
    return type(fixed)(fixed.value, low, high)


def _expanded(
    outcome: Floats, stratum: Ints, sizes: Ints, spread: Floats, events: int,
    about: Mapping[str, Any], certain: int,
) -> Any:  # fmt: skip
    """Return the stratified estimate; queries bought for certain are a stratum of their own."""
    if not certain:
        return stratified.estimate(outcome, stratum, sizes, spread, events)
    rest = np.array([part["random"] for part in about["strata"]])
    own = np.concatenate([np.full(certain, len(sizes)), stratum[certain:]])
    return stratified.estimate(
        outcome, own, np.append(rest, certain), np.append(spread, 0.0), events
    )


def _cost(about: Mapping[str, Any], outcome: Floats, stratum: Ints, certain: int) -> Number | None:
    """Return the difference in cost per request; None where a cell's cost is not known."""
    if np.isnan(outcome).any():
        return None
    sizes = np.array([part["size"] for part in about["strata"]])
    spread = np.full(len(sizes), float(outcome.std()))
    made = _expanded(outcome, stratum, sizes, spread, int(about["events"]), about, certain)
    return Number(TIER, _USD, made.value, made.low, made.high)


def _answers(plan: PlannedCells, answers: pa.Table, place: str) -> _Cells:
    """Find the answers to the plan's cells by the query's text and the model's name."""
    names = answers["model"].unique().to_pylist()
    targets = {name: (name.partition(":")[0], name.partition(":")[2] or name) for name in names}
    by_name = {model: _stored_name(model, targets) for model in plan.models}
    columns = [
        answers[name].to_pylist() if name in answers.column_names else [None] * len(answers)
        for name in ("query", "model", "score", "cost_usd")
    ]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for query, model, score, cost in zip(*columns, strict=True):
        value = np.nan if score is None else float(score)
        if value < 0 or value > 1:
            raise DataError(f"{place}: a score of {value:g}: expected 0 to 1")
        paid = np.nan if cost is None else float(cost)
        found.setdefault((normalise(query), model), []).append((value, paid))
    texts = [normalise(query) for query in plan.table["query"].to_pylist()]
    made = np.full((len(texts), 2), np.nan)
    asked = np.zeros(len(texts), bool)
    for at, (text, model) in enumerate(zip(texts, plan.table["model"].to_pylist(), strict=True)):
        got = found.get((text, by_name[model] or ""))
        if got:
            made[at], asked[at] = np.mean(got, axis=0), True
    if not asked.any():
        raise DataError(f"{place}: no answer to any cell of {plan.name}", "routebench collect")
    if np.isnan(made[asked, 0]).all():
        raise DataError(
            f"{place}: the answers have no grades", "routebench judge, or collect --judge NAME"
        )
    pairs = made.reshape(-1, 2, 2)
    return _Cells(pairs[:, :, 0], pairs[:, :, 1], asked.reshape(-1, 2))


def _stored_name(model: str, targets: Mapping[str, tuple[str, str]]) -> str | None:
    return model_of(model, targets) or model_of(model.rpartition("/")[2], targets)


def read_answers(path: Path, judge: str | None) -> pa.Table:
    """Return the answers of a store with one judge's grades."""
    from routebench.store.store import AnswerStore

    with AnswerStore(path, create=False, write=False) as store:
        return store.table(None, judge)
