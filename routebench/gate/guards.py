"""What a gate looks at beside the metrics: collapse, drift, failures, latency, easy references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from routebench.gate.measures import Both, Ground
from routebench.gate.rules import Against, Limited, Rules
from routebench.gate.schema import Finding
from routebench.gate.verdict import Paired, jensen_shannon, weighed
from routebench.metrics.definitions import top_model_share
from routebench.metrics.statistics import ALPHA, holm
from routebench.records import Floats, Mask
from routebench.schema import Leaderboard

Name = Literal["missing", "collapse", "references", "drift", "latency"]
LATENCY = "latency_ms_p95"
NOTICEABLE = 1.0
"""Milliseconds: a tenth of less is the machine's mood."""


def findings(ground: Ground, routers: Sequence[Both], rules: Rules) -> list[Finding]:
    """All that the guards have to say, as their policies want it."""
    guards = rules.guards
    found: list[Finding] = []
    for both in routers:
        found += _said("missing", guards.missing, both, _missing(both, guards.missing.limit))
        found += _said("collapse", guards.collapse, both, _collapse(both, guards.collapse.limit))
        found += _said("drift", guards.drift, both, _drift(both, guards.drift.limit))
    for both, message in _beaten(ground, routers, guards.references):
        found += _said("references", guards.references, both, message)
    boards = ground.old.board, ground.new.board
    found += _slower(*boards, [both.router for both in routers], rules.margins.latency)
    return found


def _said(
    guard: Name, policy: Limited | Against, both: Both, message: str | None
) -> Iterator[Finding]:
    if message is not None and policy.policy != "off":
        yield Finding(guard=guard, level=policy.policy, router=both.router, message=message)


def _missing(both: Both, limit: float) -> str | None:
    share = 1 - float(both.new.usable.mean())
    if share <= limit:
        return None
    return f"{share:.1%} of its decisions are for answers that failed or have no grade or price"


def _collapse(both: Both, limit: float) -> str | None:
    old, new = both.old.usage, both.new.usage
    top, before = float(top_model_share(new)), float(top_model_share(old))
    if top <= limit or before > limit:
        return None
    model = both.ground.new.models[int(new.argmax())]
    return f"collapse: {top:.1%} of queries go to {model}; it was {before:.1%} for one model"


def _drift(both: Both, limit: float) -> str | None:
    old, new = both.old.usage, both.new.usage
    distance = jensen_shannon(old, new)
    if distance <= limit:
        return None
    at = int(np.abs(new - old).argmax())
    model = both.ground.new.models[at]
    return (
        f"usage drift {distance:.2f} bits (Jensen–Shannon); "
        f"{model} from {old[at]:.1%} to {new[at]:.1%}"
    )


@dataclass(frozen=True)
class _Reference:
    """What hardly routing at all comes to."""

    name: str
    score: Floats
    """[n], NaN where unknown."""
    cost: Floats | None
    """[n]."""


def _beaten(ground: Ground, routers: Sequence[Both], policy: Against) -> Iterator[tuple[Both, str]]:
    """Routers that are significantly worse than a reference, and no cheaper."""
    if policy.policy == "off":
        return
    known = [r for name in policy.references if (r := _reference(ground, name)) is not None]
    plain = [both for both in routers if both.router not in policy.references]
    pairs = [(both, reference) for both in plain for reference in known]
    # Enough for the smallest p that Holm's adjustment asks for.
    resamples = max(2000, round(2 * len(pairs) / ALPHA))
    effects = weighed([_paired(*pair) for pair in pairs], ground.clusters, resamples)
    adjusted = holm([1.0 if np.isnan(one.p) else one.p for one in effects])
    for (both, reference), effect, p in zip(pairs, effects, adjusted, strict=True):
        if p < ALPHA and not _cheaper(both, reference):
            yield both, f"loses to {reference.name}: {effect.value:+.3f}, and is no cheaper"


def _paired(both: Both, reference: _Reference) -> Paired:
    score = np.where(both.new.usable, both.new.score, np.nan)
    difference = score - reference.score
    scored = np.isfinite(difference).all(axis=0)
    ends = float(np.abs(difference[:, scored]).max(initial=0))
    shown: Floats = np.where(scored, difference, 0.0)
    under: Floats = np.asarray(scored, np.float64)
    return Paired(shown, -ends, ends, under)


def _cheaper(both: Both, reference: _Reference) -> bool:
    cost = both.new.cost
    if cost is None or reference.cost is None:
        return False
    both_known = np.isfinite(cost).all(axis=0) & np.isfinite(reference.cost)
    return bool(cost[:, both_known].mean() < reference.cost[both_known].mean())


def _reference(ground: Ground, name: str) -> _Reference | None:
    """The candidate's row of that name; else what the board knows without one."""
    outcomes, run = ground.outcomes, ground.new
    if name in run.routers:
        side = ground.side(name, new=True)
        known = np.where(side.usable, side.score, np.nan).mean(axis=0)
        return _Reference(name, known, None if side.cost is None else side.cost.mean(axis=0))
    if name == "random":  # in closed form, without draws
        cost = None if outcomes.cost is None else _means(outcomes.cost, outcomes.ok)
        return _Reference(name, _means(outcomes.score, outcomes.ok), cost)
    if name == "best-single":
        best = [run.models.index(facts.best_single) for facts in run.board.diagnostics.folds]
        chosen = np.array(best)[run.folds[ground.rows[1]]]
        rows = np.arange(len(chosen))
        cost = None if outcomes.cost is None else outcomes.cost[rows, chosen]
        score = np.where(outcomes.ok, outcomes.score, np.nan)
        return _Reference(name, score[rows, chosen], cost)
    return None


def _means(cells: Floats, ok: Mask) -> Floats:
    """[n] mean over the usable cells of each query; NaN where there is none."""
    count, total = ok.sum(axis=1), np.where(ok, cells, 0).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean


def _slower(
    old: Leaderboard, new: Leaderboard, routers: Sequence[str], margin: float
) -> Iterator[Finding]:
    """Only ever a warning: a latency is the machine's as much as the router's."""
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
    return {name: float(own[LATENCY]) for name, own in timings.items() if LATENCY in own}
