"""What is printed of a pilot."""

from __future__ import annotations

from collections.abc import Iterator

from routebench.pilot.estimate import Ends, PilotHeadroom


def pilot_lines(found: PilotHeadroom) -> Iterator[str]:
    """Yield the lines of `headroom`."""
    left = f"; {found.incomplete:,} more are not answered by all" if found.incomplete else ""
    yield f"{found.suite}: {found.queries:,} queries, {len(found.models)} models{left}"
    rivals = [model for model in found.contenders if model != found.best_single]
    told = f" (may as well be {', '.join(rivals)})" if rivals else ""
    yield f"best single {100 * found.best_score:.1f}: {found.best_single}{told}"
    yield (
        f"oracle {100 * found.oracle:.1f}; models disagree on {found.disagreement:.0%} of queries"
    )
    yield (
        f"headroom {_of(found.gap, 100, 1)} pp (as seen, with the best model chosen on the same"
        f" queries: {100 * found.plug_in:.1f})"
    )
    if found.saving is None:
        yield "cost headroom unknown: not all answers have a cost, or the best model is free"
    else:
        yield (
            f"cost headroom {_of(found.saving, 100, 0)}% of the best single model's cost, by the"
            " cheapest of the best answers"
        )
    yield (
        f"{found.best_single} and {found.against} differ on {_of(found.discordance, 100, 1)}% of"
        f" queries: to see {100 * found.margin:g} pp takes {_of(found.test_queries, 1, 0)} test"
        " queries"
    )
    whole = found.test_queries.value / found.test_share if found.test_share else None
    if found.usd_per_query is None or found.usd is None:
        yield "dollars unknown: not all answers have a cost"
    else:
        split = (
            f"; in a split that tests {found.test_share:.0%} of {whole:,.0f},"
            f" ${found.usd_per_query * whole:,.2f}"
            if whole
            else ""
        )
        yield (
            f"at ${found.usd_per_query:.6f} a query for all models: ${found.usd:,.2f} with --folds,"
            f" which test every query{split}"
        )
    for text in found.notes:
        yield f"note: {text}"
    yield (
        "assumed: the queries are drawn like those to come; the oracle knows each answer"
        " beforehand, its luck at a temperature above 0 included: no router reaches it"
    )
    yield f"{found.verdict.upper()}: {found.reason}"


def _of(ends: Ends, scale: float, digits: int) -> str:
    value, low, high = (f"{scale * end:,.{digits}f}" for end in (ends.value, ends.low, ends.high))
    return f"{value} [{low}, {high}]"
