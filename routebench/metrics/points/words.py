"""Verdicts on routers in a sentence each, and the headline of a run."""

from __future__ import annotations

from collections.abc import Iterable

from routebench.metrics.points.verdict import PointVerdict
from routebench.schema import Estimate, RouterVerdict, Row

NOTHING_SAVED = "no router saves anything at equal accuracy here"


def margin_words(margin: float) -> str:
    """Return `1 pp`, `0.5 pp`."""
    return f"{100 * margin:.10g} pp"


def signed(share: float) -> str:
    """Return `+0.1`, `−0.9` in percentage points, `0.0` without a sign."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def bound(share: float, margin: float) -> str:
    """Return a bound in percentage points, with a digit more where it would look like the margin.

    A loss proven to be below the margin must not be printed as the margin.
    """
    text = signed(share)
    if text == signed(-margin) and share != -margin:
        return f"{100 * share:+.2f}".replace("-", "−")
    return text


def sentence(router: str, verdict: PointVerdict, margin: float, saved: float | None) -> str:
    """Return what a person wants to know of a router before a table."""
    within = margin_words(margin)
    if verdict.kind == "same":
        return f"{router}: the best single model itself, nothing saved"
    start = f"{router}: {cheaper(saved)} at {signed(verdict.difference)} pp"
    if verdict.kind == "worse":
        return f"{start} (at best {bound(verdict.high, margin)}): more than {within} worse"
    start += f" (at worst {bound(verdict.low, margin)})"
    if verdict.kind == "proven":
        return f"{start}: within {within}, proven"
    needed = verdict.queries
    more = f", {needed:,} queries would decide" if needed is not None else ""
    return f"{start}: within {within} not proven{more}"


def cheaper(saved: float | None) -> str:
    """Return `48% cheaper`, `3% dearer`, `no cheaper`."""
    if saved is None:
        return "at unknown cost"
    if abs(saved) < 0.005:
        return "no cheaper"
    return f"{abs(saved):.0%} {'cheaper' if saved > 0 else 'dearer'}"


def headline(rows: Iterable[Row]) -> str | None:
    """Return what a run comes to, by its verdicts; None where there is none."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    best = best_verdict(judged)
    return NOTHING_SAVED if best is None else best[1].sentence


def best_verdict(rows: Iterable[Row]) -> tuple[str, RouterVerdict] | None:
    """Return the router to deploy and its verdict; None where none saves anything.

    What is proven comes first, then what saves most.
    """
    judged = [(row.router, row.verdict) for row in rows if row.verdict is not None]
    saving = [one for one in judged if _saves(one[1].savings) and one[1].kind != "worse"]
    for kind in ("proven", "not proven"):
        of_kind = [one for one in saving if one[1].kind == kind]
        if of_kind:
            return max(of_kind, key=lambda one: (one[1].savings.value or 0.0, one[1].sentence))
    return None


def _saves(savings: Estimate) -> bool:
    """Return whether savings are above 0, chance aside, by what a table would show."""
    low = savings.value if savings.low is None else savings.low
    return savings.value is not None and low is not None and low > 0 and savings.value >= 0.005


def router_verdict(
    router: str, point: str, margin: float, made: PointVerdict, savings: Estimate
) -> RouterVerdict:
    """Return a verdict as boards hold it."""
    return RouterVerdict(
        point=point,
        margin=margin,
        kind=made.kind,
        difference=made.difference,
        low=made.low,
        high=made.high,
        level=made.level,
        p=made.p,
        savings=savings,
        queries_needed=made.queries,
        sentence=sentence(router, made, margin, savings.value),
    )
