"""Price files of other programs, read as price lists of this one: USD per million tokens.

Read are litellm's `model_prices_and_context_window.json` (USD per token, with tiers by prompt
length), OpenRouter's listing of `/api/v1/models` (USD per token as text, with `overrides`), and
RouterArena's `model_cost.json` (USD per million tokens). Such files list far more than the models
of a pool, and not only models of text: what has no price of text tokens is named only where it is
asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from routebench.errors import DataError

MILLION = 1_000_000
_INPUT, _OUTPUT = "input_usd_per_mtok", "output_usd_per_mtok"
_LITELLM = {
    "input_cost_per_token": _INPUT,
    "output_cost_per_token": _OUTPUT,
    "cache_read_input_token_cost": "cached_usd_per_mtok",
    "output_cost_per_reasoning_token": "thinking_usd_per_mtok",
}
_ABOVE = re.compile(r"(.+?)_above_(\d+(?:\.\d+)?)(k?)_tokens")
_OPENROUTER = {
    "prompt": _INPUT,
    "completion": _OUTPUT,
    "input_cache_read": "cached_usd_per_mtok",
    "internal_reasoning": "thinking_usd_per_mtok",
}
_TEXT_OR_NOT = {
    *_OPENROUTER, "request", "image", "image_token", "image_output", "audio", "audio_output",
    "input_audio_cache", "input_cache_write", "input_cache_write_1h", "web_search", "discount",
}  # fmt: skip
"""OpenRouter's names of prices; what else an override has is a condition."""
_ARENA = {
    "input_token_price_per_million": _INPUT,
    "output_token_price_per_million": _OUTPUT,
}
_UNITS = (
    (re.compile(r"million|mtok|per_?1?m\b|1m\b", re.IGNORECASE), 1),
    (re.compile(r"1k|thousand|ktok|1000|1_000", re.IGNORECASE), 1_000),
    (re.compile(r"per_?token|token_?cost|cost_?token", re.IGNORECASE), MILLION),
)

_MOST_PER_TOKEN = Decimal("0.001")
"""USD; what the dearest models cost is a little less than that."""

Converted = tuple[dict[str, Any], dict[str, str]]
"""Models with their prices as this program's files have them, and why others have none."""


class _UnreadError(Exception):
    """A model of a foreign list that has no price that could be used."""


def converted(place: str, content: Any) -> Converted:
    """Return the content of a price file in the names and units of this program's own.

    Raises:
        DataError: for a foreign file that names a model twice.
    """
    listing = content
    if isinstance(content, dict):
        listing = content.get("data", content.get("models"))
    if isinstance(listing, list) and any(_is_listed(entry) for entry in listing):
        return _each(_by_id(place, listing), _openrouter)
    if not isinstance(content, dict):
        return {}, {}
    entries = [entry for entry in content.values() if isinstance(entry, dict)]
    if any(_INPUT in entry or "input_price" in entry for entry in entries):
        return content, {}
    if any(name in entry for entry in entries for name in (*_LITELLM, "tiered_pricing")):
        return _each({m: entry for m, entry in content.items() if m != "sample_spec"}, _litellm)
    if any(_is_listed({"id": "", **entry}) for entry in entries):
        named = [{"id": name, "pricing": _pricing(entry)} for name, entry in content.items()]
        return _each(_by_id(place, named), _openrouter)
    if any(name in entry for entry in entries for name in _ARENA):
        return _each(content, _arena)
    return content, {}


def hint(entry: Mapping[str, Any]) -> str:
    """Return what to do with prices under names that tell another unit; empty for none such."""
    if isinstance(entry.get("models"), dict | list):
        return "a list by provider: one of models is expected, each with its prices"
    for side, own in (("input|prompt", _INPUT), ("output|completion", _OUTPUT)):
        for name in map(str, entry):
            if not re.search(side, name, re.IGNORECASE):
                continue
            for unit, factor in _UNITS if name not in (_INPUT, _OUTPUT) else ():
                if unit.search(name):
                    times = f" times {factor:,}" if factor > 1 else ""
                    return f"{own} is {name}{times}: USD per million tokens"
    return ""


def _each(entries: Mapping[str, Any], convert: Any) -> Converted:
    read: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for name, entry in entries.items():
        try:
            read[name] = convert(entry)
        except _UnreadError as why:
            unread[name] = str(why)
    return read, unread


def _is_listed(entry: Any) -> bool:
    return isinstance(entry, dict) and "id" in entry and isinstance(entry.get("pricing"), dict)


def _pricing(entry: Any) -> Any:
    own = entry.get("pricing") if isinstance(entry, dict) else None
    return own if isinstance(own, dict) else {}


def _by_id(place: str, listing: list[Any]) -> dict[str, Any]:
    named = [(str(entry["id"]), entry["pricing"]) for entry in listing if _is_listed(entry)]
    names = [name for name, _ in named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{place}: {', '.join(twice)} is there twice")
    return dict(named)


def _usd(name: str, value: Any, per: int) -> float:
    """Return USD per million tokens, exact in decimals: `1.25e-06` per token is 1.25."""
    try:
        # Through text: a float's own digits times a million would end in rounding errors.
        number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        raise _UnreadError(f"{name} is {value!r}, not a number") from None
    usd = float(number * per)
    if not math.isfinite(usd) or usd < 0:
        raise _UnreadError(f"{name} is {value!r}: a price that depends on the call")
    if per == MILLION and number > _MOST_PER_TOKEN:
        raise _UnreadError(
            f"{name} is {value}, more than any price per token: a price per million tokens is"
            " that divided by 1,000,000"
        )
    return usd


def _needed(prices: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    for own in (_INPUT, _OUTPUT):
        if own not in prices:
            foreign = next(name for name, target in names.items() if target == own)
            raise _UnreadError(f"it has no {foreign}")
    return prices


def _litellm(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise _UnreadError("it has no prices")
    prices = _prices(entry, _LITELLM)
    tiers: dict[int, dict[str, Any]] = {}
    for name, value in entry.items():
        found = _ABOVE.fullmatch(name)
        if found and found[1] in _LITELLM and value is not None:
            above = round(float(found[2]) * (1_000 if found[3] else 1))
            tiers.setdefault(above, {})[_LITELLM[found[1]]] = _usd(name, value, MILLION)
    prices |= _ranges(entry.get("tiered_pricing"), prices, tiers)
    if "input_cost_per_request" in entry:
        prices["usd_per_request"] = _usd("request", entry["input_cost_per_request"], 1)
    return _with_tiers(_needed(prices, _LITELLM), tiers)


def _ranges(given: Any, prices: dict[str, Any], tiers: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Add litellm's `tiered_pricing` to the tiers; return the prices of the lowest range."""
    if not isinstance(given, list):
        return {}
    lowest: dict[str, Any] = {}
    for part in given:
        if not isinstance(part, dict) or not isinstance(part.get("range"), list):
            raise _UnreadError("its tiered_pricing has no ranges of tokens")
        own = _prices(part, _LITELLM)
        start = part["range"][0]
        if start:
            tiers.setdefault(int(start), {}).update(own)
        else:
            lowest = own
    return lowest


def _openrouter(pricing: dict[str, Any]) -> dict[str, Any]:
    prices = _prices(pricing, _OPENROUTER)
    if pricing.get("request") is not None:
        prices["usd_per_request"] = _usd("request", pricing["request"], 1)
    tiers: dict[int, dict[str, Any]] = {}
    for override in pricing.get("overrides") or ():
        own = _prices(override, _OPENROUTER)
        if not own:
            continue  # of images, sound or searches
        conditions = set(override) - _TEXT_OR_NOT
        if conditions != {"min_prompt_tokens"}:
            said = ", ".join(sorted(conditions - {"min_prompt_tokens"})) or "no length"
            raise _UnreadError(f"it has prices that depend on {said}")
        # From that many tokens on; tiers of this program hold above a number.
        tiers.setdefault(int(override["min_prompt_tokens"]) - 1, {}).update(own)
    return _with_tiers(_needed(prices, _OPENROUTER), tiers)


def _arena(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise _UnreadError("it has no prices")
    prices = {own: entry[name] for name, own in _ARENA.items() if name in entry}
    return _needed(prices, _ARENA)


def _prices(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {
        own: _usd(name, entry[name], MILLION)
        for name, own in names.items()
        if entry.get(name) is not None
    }
    # These lists say 0 where a part has no price of its own, which does not make it free.
    return {own: usd for own, usd in found.items() if usd or own in (_INPUT, _OUTPUT)}


def _with_tiers(prices: dict[str, Any], tiers: dict[int, dict[str, Any]]) -> dict[str, Any]:
    listed = [{"above_tokens": above, **tiers[above]} for above in sorted(tiers) if tiers[above]]
    return prices | ({"tiers": listed} if listed else {})
