"""What is printed of a log and of a policy on it."""

from __future__ import annotations

from collections.abc import Iterator

from routebench.traffic.doctor import Diagnosis
from routebench.traffic.result import TIERS, Number, OffPolicyResult

_NAMES = {
    "quality_logged": "quality, as it was",
    "quality": "quality of the policy",
    "quality_snips": "the same, self-normalised (SNIPS)",
    "quality_difference": "difference",
    "quality_difference_any_missing": "difference, missing rewards whatever they be",
    "quality_matched": "quality where both chose the same",
    "cost_logged": "cost, as it was",
    "cost": "cost of the policy",
    "cost_snips": "the same, self-normalised (SNIPS)",
    "cost_difference": "difference",
    "saved_per_month": "saved a month",
}


def diagnosis_lines(found: Diagnosis) -> Iterator[str]:
    """Yield the lines of `logs doctor`."""
    span = f", {found.days:.1f} days" if found.days is not None else ", times unknown"
    yield (
        f"{found.events:,} events, {found.routed:,} of which a router chose,"
        f" {found.sessions:,} sessions{span}"
    )
    yield "known: " + ", ".join(f"{name} {share:.0%}" for name, share in found.shares.items())
    yield "models: " + ", ".join(f"{m} {share:.1%}" for m, share in found.models.items())
    if any(found.rewarded.values()):
        known = (f"{model} {share:.0%}" for model, share in found.rewarded.items())
        yield "rewards known: " + ", ".join(known)
    for one in found.findings:
        yield f"{'TRAP' if one.trap else 'note'} {one.code}: {one.text}"
    for tier, answer in found.tiers.items():
        yield f"{tier} {TIERS[tier]}: {answer}"


def result_lines(result: OffPolicyResult) -> Iterator[str]:
    """Yield the lines of `ope`."""
    yield f"{result.policy} on {result.events:,} events of {result.sessions:,} sessions"
    for why, n in result.left_out.items():
        yield f"left out: {n:,}: {why}"
    for name, words in _NAMES.items():
        if name in result.numbers:
            one = result.numbers[name]
            yield f"  {one.tier}  {words:<46}{_shown(one)}"
    if "effective" in result.support:
        s = result.support
        yield (
            f"support: {s['matched']:,.0f} events matched, worth {s['effective']:,.0f};"
            f" {s['matched_rare']:,.0f} of them against the log's habit, worth"
            f" {s['effective_rare']:,.0f}; largest weight {s['largest_weight']:.4g}"
            f" ({s['largest_share']:.1%} of all); without support {s['unsupported']:.1%}"
        )
    elif result.support:
        s = result.support
        yield f"support: {s['matched']:,.0f} events matched; without support {s['unsupported']:.1%}"
    for cut in result.clipped:
        ends = f"[{cut['low']:.4f}, {cut['high']:.4f}]"
        yield f"  T1  quality, weights up to {cut['clip']:g}: {cut['value']:.4f} {ends}"
    for text in result.assumptions:
        yield f"assumed: {text}"
    for text in result.notes:
        yield f"note: {text}"
    yield f"{result.verdict.upper()} ({result.tier}): {result.reason}"


def _shown(one: Number) -> str:
    if one.value is None:
        ends = f"[{_figure(one, one.low)}, {_figure(one, one.high)}]"
        return f"between {_figure(one, one.lowest)} and {_figure(one, one.highest)}  {ends}"
    return f"{_figure(one, one.value)}  [{_figure(one, one.low)}, {_figure(one, one.high)}]"


def _figure(one: Number, value: float | None) -> str:
    if value is None or value != value:
        return "unknown"
    if one.unit == "USD per month":
        return f"${value:,.2f}"
    return f"${value:.6f}" if one.unit.startswith("USD") else f"{value:.4f}"
