"""What is printed of a plan and of its answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from routebench.traffic.plans.answers import PlanResult
from routebench.traffic.plans.design import Design, dollars
from routebench.traffic.plans.disagreements import Disagreements


def plan_lines(
    units: Disagreements, made: Design, policy: str, margin: float, path: Path
) -> Iterator[str]:
    """Yield the lines of `ope --plan`."""
    share = units.count.sum() / units.events
    yield (
        f"{policy} differs from the log on {share:.1%} of {units.events:,} requests:"
        f" {len(units):,} distinct queries"
    )
    cost, whole = dollars(units, made), math.fsum(units.usd.ravel())
    n = len(made.order)
    yield (
        f"a fixed sample that shows a true 0 within {margin:g} in nine of ten cases:"
        f" {made.needed:,} queries"
    )
    kind = f"{int(made.wave.max())} waves, until it is decided" if made.sequential else "one sample"
    yield f"plan: {n:,} queries in {kind}: {2 * n:,} cells, {_usd(cost)}"
    yield f"all on which they differ: {2 * len(units):,} cells, {_usd(whole)}"
    yield f"both policies on all requests: {2 * units.events:,} cells"
    if not made.sequential and n < made.needed:
        reach = margin * math.sqrt(made.needed / n)
        yield f"note: the budget buys {n:,} of them: enough for a margin of about {reach:.2g}"
    wave = " --wave 1" if made.sequential else ""
    yield f"next: routebench collect --plan {path}{wave} --models … --judge …"


def verdict_lines(result: PlanResult) -> Iterator[str]:
    """Yield the lines of `ope --answers`."""
    yield (
        f"{result.policy}: {result.answered:,} of {result.planned:,} planned queries answered,"
        f" {result.cells:,} cells, {_usd(math.nan if result.usd is None else result.usd)}"
    )
    yield (
        f"differs on {result.differing_events:,} of {result.events:,} requests; on the others the"
        " difference is 0"
    )
    one = result.difference
    kind = "valid at any time" if result.sequential else "of a fixed sample"
    yield f"  T3  quality difference  {one.value:+.4f}  [{one.low:+.4f}, {one.high:+.4f}]  {kind}"
    if (cost := result.cost_difference) is not None:
        yield f"  T3  cost difference     ${cost.value:+.6f}  [{cost.low:+.6f}, {cost.high:+.6f}]"
    if result.lost:
        yield f"note: {result.lost:,} queries lack an answer or a grade: the worst either way"
    yield f"{result.verdict.upper()} (T3): {result.reason}"
    if result.verdict == "inconclusive":
        if result.answered < result.planned:
            wave = f" --wave {result.wave + 1}" if result.sequential else ""
            yield f"next: routebench collect --plan …{wave}"
        elif result.answered < result.differing_queries:
            yield "next: a plan with a larger budget"


def _usd(value: float) -> str:
    return "price unknown" if math.isnan(value) else f"about ${value:,.2f}"
