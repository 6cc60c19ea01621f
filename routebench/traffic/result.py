"""What a log says of a policy: every number with the tier that it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

TIERS = {
    "T0": "re-pricing: cost only, quality unknown",
    "T1": "logged propensities: what the policy would have reached",
    "T2": "no propensities that can be used: the matched part, and bounds",
    "T3": "answers bought where the policies differ: quality and cost",
}
MONTH = 365.25 / 12
"""Days."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number, its 95% interval, and the tier it rests on; bounds have no value."""

    tier: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    lowest: float | None = None
    """Of bounds: between this and `highest` nothing is known but the sampling error."""
    highest: float | None = None


@dataclass(frozen=True)
class OffPolicyResult:
    """The evaluation of a policy on a log."""

    policy: str
    tier: str
    verdict: str
    reason: str
    margin: float
    events: int
    sessions: int
    days: float | None
    left_out: dict[str, int]
    numbers: dict[str, Number]
    """quality_logged, quality, quality_difference, quality_matched, cost_logged, cost,
    cost_difference, saved_per_month …; what is not known is not there."""
    support: dict[str, float] = field(default_factory=dict)
    clipped: tuple[dict[str, float], ...] = ()
    """The estimate of quality by the value at which weights are clipped."""
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is not a number is null."""
        return {"schema_version": 1, **_plain(asdict(self))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
