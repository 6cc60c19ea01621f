"""The guards of a gate: missing answers, collapse, drift, references and latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from routebench.comparison.paired import CommonQueries, RouterPair
from routebench.comparison.rules import Against, Limited, Rules, Verdicts
from routebench.comparison.schema import Finding
from routebench.comparison.verdict import jensen_shannon
from routebench.metrics.definitions import top_model_share
from routebench.metrics.effects import Differences, weighed
from routebench.metrics.statistics import ALPHA, difference, holm
from routebench.records import Floats, Mask
from routebench.schema import BEST_SINGLE, RANDOM, Leaderboard

Name = Literal["missing", "collapse", "references", "drift", "latency", "verdict"]
LATENCY = "latency_ms_p95"
NOTICEABLE = 1.0
"""Milliseconds: smaller differences of latency are noise."""


def findings(queries: CommonQueries, routers: Sequence[RouterPair], rules: Rules) -> list[Finding]:
    """Return the findings of all guards, as their policies want them."""
    guards = rules.guards
    result: list[Finding] = []
    for pair in routers:
        result += _finding("missing", guards.missing, pair, _missing(pair, guards.missing.limit))
        result += _finding(
            "collapse", guards.collapse, pair, _collapse(pair, guards.collapse.limit)
        )
        result += _finding("drift", guards.drift, pair, _drift(pair, guards.drift.limit))
    for pair, message in _beaten(queries, routers, guards.references):
        result += _finding("references", guards.references, pair, message)
    boards = queries.first.board, queries.second.board
    result += _unproven(*boards, [pair.second.router for pair in routers], guards.verdict)
    result += _slower(*boards, [pair.second.router for pair in routers], rules.margins.latency)
    return result


def _finding(
    guard: Name, policy: Limited | Against, pair: RouterPair, message: str | None
) -> Iterator[Finding]:
    if message is not None and policy.policy != "off":
        yield Finding(guard=guard, level=policy.policy, router=pair.second.router, message=message)


def _missing(pair: RouterPair, limit: float) -> str | None:
    share = pair.second.missing
    if share <= limit:
        return None
    return f"{share:.1%} of its decisions are for answers that failed or have no grade or price"


def _collapse(pair: RouterPair, limit: float) -> str | None:
    old, new = pair.first.usage, pair.second.usage
    top, before = float(top_model_share(new)), float(top_model_share(old))
    if top <= limit or before > limit:
        return None
    model = pair.queries.second.models[int(new.argmax())]
    return f"collapse: {top:.1%} of queries go to {model}; it was {before:.1%} for one model"


def _drift(pair: RouterPair, limit: float) -> str | None:
    old, new = pair.first.usage, pair.second.usage
    distance = jensen_shannon(old, new)
    if distance <= limit:
        return None
    at = int(np.abs(new - old).argmax())
    model = pair.queries.second.models[at]
    return (
        f"usage drift {distance:.2f} bits (Jensen–Shannon); "
        f"{model} from {old[at]:.1%} to {new[at]:.1%}"
    )


@dataclass(frozen=True)
class _Reference:
    """The scores and costs of a reference policy, such as one model for all queries."""

    name: str
    score: Floats
    """[n], NaN where unknown."""
    cost: Floats | None
    """[n]."""


def _beaten(
    queries: CommonQueries, routers: Sequence[RouterPair], policy: Against
) -> Iterator[tuple[RouterPair, str]]:
    """Yield routers that are significantly worse than a reference, and no cheaper."""
    if policy.policy == "off":
        return
    known = [r for name in policy.references if (r := _reference(queries, name)) is not None]
    plain = [pair for pair in routers if pair.second.router not in policy.references]
    pairs = [(pair, reference) for pair in plain for reference in known]
    # Enough for the smallest p that Holm's adjustment asks for.
    resamples = max(2000, round(2 * len(pairs) / ALPHA))
    effects = weighed([_differences(*each) for each in pairs], queries.setting.clusters, resamples)
    adjusted = holm([1.0 if np.isnan(one.p) else one.p for one in effects])
    for (pair, reference), effect, p in zip(pairs, effects, adjusted, strict=True):
        if p < ALPHA and not _cheaper(pair, reference):
            yield pair, f"loses to {reference.name}: {effect.value:+.3f}, and is no cheaper"


def _differences(pair: RouterPair, reference: _Reference) -> Differences:
    score = np.where(pair.second.usable, pair.second.score, np.nan)
    lead = difference(score, reference.score)
    scored = np.isfinite(lead).all(axis=0)
    ends = float(np.abs(lead[:, scored]).max(initial=0))
    padded: Floats = np.where(scored, lead, 0.0)
    under: Floats = np.asarray(scored, np.float64)
    return Differences(padded, -ends, ends, under)


def _cheaper(pair: RouterPair, reference: _Reference) -> bool:
    cost = pair.second.cost
    if cost is None or reference.cost is None:
        return False
    both_known = np.isfinite(cost).all(axis=0) & np.isfinite(reference.cost)
    return bool(difference(cost[:, both_known].mean(), reference.cost[both_known].mean()) < 0)


def _reference(queries: CommonQueries, name: str) -> _Reference | None:
    """Return the candidate's row of that name, or the reference computed from its outcomes."""
    outcomes, run = queries.outcomes, queries.second
    if name in run.routers:
        side = queries.side(name, 1)
        known = np.where(side.usable, side.score, np.nan).mean(axis=0)
        return _Reference(name, known, None if side.cost is None else side.cost.mean(axis=0))
    if name == RANDOM:  # in closed form, without draws
        cost = None if outcomes.cost is None else _means(outcomes.cost, outcomes.ok)
        return _Reference(name, _means(outcomes.score, outcomes.ok), cost)
    if name == BEST_SINGLE:
        best = [run.models.index(facts.best_single) for facts in run.board.diagnostics.folds]
        chosen = np.array(best)[run.folds[queries.rows[1]]]
        rows = np.arange(len(chosen))
        cost = None if outcomes.cost is None else outcomes.cost[rows, chosen]
        score = np.where(outcomes.ok, outcomes.score, np.nan)
        return _Reference(name, score[rows, chosen], cost)
    return None


def _means(cells: Floats, ok: Mask) -> Floats:
    """Return [n] mean over the usable cells of each query; NaN where there is none."""
    count, total = ok.sum(axis=1), np.where(ok, cells, 0).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean


def _unproven(
    old: Leaderboard, new: Leaderboard, routers: Sequence[str], policy: Verdicts
) -> Iterator[Finding]:
    """Yield routers that were proven to be within the margin, and are not any more."""
    if policy.policy == "off":
        return
    before, after = ({row.router: row.verdict for row in board.rows} for board in (old, new))
    for router in routers:
        was, now = before.get(router), after.get(router)
        if was is None or was.kind != "proven" or (now is not None and now.kind == "proven"):
            continue
        message = f"{was.sentence} → {'no verdict' if now is None else now.sentence}"
        message = message.replace(f"{router}: ", "")
        yield Finding(guard="verdict", level=policy.policy, router=router, message=message)


def _slower(
    old: Leaderboard, new: Leaderboard, routers: Sequence[str], margin: float
) -> Iterator[Finding]:
    """Yield warnings, never failures: latency depends on the machine as much as on the router."""
    before, after = _latencies(old), _latencies(new)
    elsewhere = [
        name
        for name in ("device", "machine", "platform")
        if old.environment.get(name) != new.environment.get(name)
    ]
    for router in routers:
        if router not in before or router not in after:
            continue
        was, now = before[router], after[router]
        if now > was * (1 + margin) and now - was >= NOTICEABLE:
            other = f" (another {', '.join(elsewhere)})" if elsewhere else ""
            message = f"p95 latency {was:.1f} → {now:.1f} ms{other}"
            yield Finding(guard="latency", level="warn", router=router, message=message)


def _latencies(board: Leaderboard) -> dict[str, float]:
    timings: Mapping[str, Mapping[str, Any]] = board.timing.get("routers", {})
    return {name: float(timing[LATENCY]) for name, timing in timings.items() if LATENCY in timing}
