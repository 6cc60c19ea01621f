"""Detect price lists in another unit than USD per million tokens, such as USD per token."""

from __future__ import annotations

from collections.abc import Mapping

from routebench.errors import DataError
from routebench.prices.lists import ModelPrice
from routebench.prices.snapshots import history

_LOWEST = 1e-4
"""USD per million tokens: no model costs less. Where all do, the prices are per token."""
_UNITS = {
    1e-6: ("per token", "times 1,000,000"),
    1e-3: ("per thousand tokens", "times 1,000"),
    1e2: ("in cents", "divided by 100"),
    1e3: ("per billion tokens", "divided by 1,000"),
    1e6: ("in millionths of a dollar", "divided by 1,000,000"),
}
_NEAR = 2.0
"""How far from a power of ten a ratio may be; prices of one model do not differ that much."""


def check(place: str, models: Mapping[str, ModelPrice]) -> None:
    """Raise a `DataError` that names the factor where prices are in another unit.

    A model of the dated lists tells it by its price there; without one it is told only where all
    prices are lower than any there is.
    """
    for model, price in models.items():
        own = (price.input_usd_per_mtok, price.output_usd_per_mtok)
        for snapshot, listed in history(model):
            theirs = (listed.price.input_usd_per_mtok, listed.price.output_usd_per_mtok)
            for factor, (unit, change) in _UNITS.items():
                if _are(own, theirs, factor):
                    raise DataError(
                        f"{place}: model {model}: {own[0]:g} and {own[1]:g} USD per million tokens,"
                        f" where {snapshot.id} has {theirs[0]:g} and {theirs[1]:g}",
                        f"prices {unit}? {change} they are USD per million tokens",
                    )
    paid = {m: max(p.input_usd_per_mtok, p.output_usd_per_mtok) for m, p in models.items()}
    if 0 < max(paid.values(), default=0.0) < _LOWEST:
        model = max(paid, key=lambda name: paid[name])
        raise DataError(
            f"{place}: model {model}: {paid[model]:g} USD per million tokens, less than any costs",
            "prices per token? times 1,000,000 they are USD per million tokens",
        )


def _are(own: tuple[float, float], theirs: tuple[float, float], factor: float) -> bool:
    ratios = [one / (factor * other) for one, other in zip(own, theirs, strict=True) if other]
    return bool(ratios) and all(1 / _NEAR < ratio < _NEAR for ratio in ratios)
