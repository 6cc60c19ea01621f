"""A gate's numbers and verdicts in words, the same in every output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from routebench.comparison.rules import split
from routebench.comparison.schema import Comparison, Flip, GateResult
from routebench.comparison.verdict import Verdict
from routebench.report.format import SOURCES

COLUMNS = ("router", "metric", "old", "new", "Δ", "95% interval", "MDE", "margin", "verdict")
LEGEND = "Δ, interval: worse is negative; MDE: the smallest loss this comparison detects"


@dataclass(frozen=True)
class _Unit:
    scale: float
    digits: int
    suffix: str

    def signed(self, value: float | None) -> str:
        return "–" if value is None else f"{self._rounded(value):+.{self.digits}f}{self.suffix}"

    def plain(self, value: float | None) -> str:
        return "–" if value is None else f"{self._rounded(value):.{self.digits}f}{self.suffix}"

    def interval(self, low: float | None, high: float | None) -> str:
        if low is None or high is None:
            return "–"
        ends = [f"{self._rounded(end):+.{self.digits}f}" for end in (low, high)]
        return f"[{', '.join(ends)}]"

    def _rounded(self, value: float) -> float:
        return round(self.scale * value, self.digits) + 0.0  # no negative zero


_UNITS = {
    "accuracy": _Unit(100, 1, " pp"),
    "cost": _Unit(100, 1, "%"),
    "reward": _Unit(1, 4, ""),
    "savings": _Unit(100, 1, " pp"),
}


def cells(one: Comparison) -> tuple[str, ...]:
    """Return the texts of one comparison, in the order of `COLUMNS`."""
    unit = _UNITS[split(one.metric)[0]]
    same = one.difference is not None and one.test is None
    auto = " auto" if one.margin_from == "mde" and one.margin is not None else ""
    return (
        one.router,
        one.metric,
        _value(one.metric, one.old),
        _value(one.metric, one.new),
        "=" if same else unit.signed(one.difference),
        "" if same else unit.interval(one.low, one.high),
        "" if same else unit.plain(one.mde),
        unit.plain(one.margin) + auto,
        one.verdict.value.upper(),
    )


def _value(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    metric = split(metric)[0]
    if metric == "accuracy":
        return f"{100 * value:.1f}"
    if metric == "savings":
        return f"{100 * value:.1f}%"
    return f"${value:#.4g}" if metric == "cost" else f"{value:.4f}"


def sentence(one: Comparison) -> str:
    """Return a comparison in one line, without the router's name."""
    if one.difference is None or one.test is None:
        return f"{one.metric}: {one.reason}"
    _, metric, old, new, difference, interval, mde, margin, _ = cells(one)
    text = f"{metric} {old} → {new}, Δ {difference} {interval}, margin {margin}"
    if one.verdict is Verdict.INCONCLUSIVE:
        return f"{text}, MDE {mde}; {needed(one)}"
    return f"{text}, p {p_value(one.p)}"


def needed(one: Comparison) -> str:
    """Return the number of queries that would decide."""
    if one.queries_needed is None:
        return "no number of queries would decide if the estimate is true"
    return f"about {one.queries_needed:,} queries would decide, there are {one.queries:,}"


def p_value(p: float | None) -> str:
    """Return `.012`; small ones as a bound."""
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".replace("0.", ".", 1)


def headline(result: GateResult) -> str:
    """Return the gated runs and the verdict."""
    verdict = result.verdict.upper()
    where = f"{result.suite} ({SOURCES.get(result.source, result.source)})"
    if result.verdict == "invalid":
        return f"{verdict}: {where}"
    counts = [f"{count} {verdict.value}" for verdict in Verdict if (count := result.count(verdict))]
    failed = sum(one.level == "fail" for one in result.findings)
    if failed:
        counts.append(f"{failed} guard{'s' if failed > 1 else ''} failed")
    return f"{verdict}: {where}, {', '.join(counts) or 'nothing compared'}"


def family(result: GateResult) -> str:
    """Return the family of comparisons that Holm's adjustment covers, in words."""
    tested = [one for one in result.comparisons if one.verdict is not Verdict.MISSING]
    routers = len({one.router for one in tested})
    metrics = list(dict.fromkeys(one.metric for one in tested))
    return (
        f"family of {result.family}: {routers} router{'s' * (routers != 1)} × {', '.join(metrics)}"
    )


def verdicts(result: GateResult) -> str | None:
    """Return how many routers have each verdict on either board; None where none has any."""
    sides = [
        f"{side} {', '.join(f'{n} {kind}' for kind, n in counts.items()) or 'none'}"
        for side, counts in result.verdicts.items()
    ]
    return f"verdicts within the margin: {'; '.join(sides)}" if sides else None


def why_invalid(result: GateResult) -> Iterator[str]:
    """Yield the reasons why two runs cannot be compared."""
    if result.reason:
        yield result.reason
    for one in result.mismatches:
        yield f"{one.what} differs: baseline {one.old}, candidate {one.new}"


def flip(one: Flip) -> tuple[str, ...]:
    """Return query, models, scores and costs of one flip."""
    query = one.query if one.user is None else f"{one.query} ({one.user})"
    cost = "–"
    if one.old_cost is not None and one.new_cost is not None:
        cost = f"${one.old_cost:.3g} → ${one.new_cost:.3g}"
    score = f"{one.old_score:.4g} → {one.new_score:.4g}"
    return query, f"{one.old_model} → {one.new_model}", score, cost


FLIP_COLUMNS = ("query", "model", "score", "cost")
