"""Dated price lists of vendors, which the package carries.

One TOML file per vendor and day, each with the page it is from. A later one need not repeat an
earlier one: a model costs what the newest list that has it says.
"""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from routebench.errors import DataError, did_you_mean
from routebench.prices.lists import ModelPrice, PriceList, model_price

FIELDS = {"vendor", "date", "source", "currency", "note", "models"}
_VENDORS = {"gemini": ("google",)}
_COMPATIBLE = "openai"
"""The provider whose protocol other vendors' servers speak too."""
_BY_HAND = "--prices FILE names it: input_usd_per_mtok, output_usd_per_mtok"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model on a vendor's list."""

    name: str
    price: ModelPrice
    aliases: tuple[str, ...] = ()
    """Other names of the same model, such as dated ones."""
    note: str = ""
    """What the numbers hold for, where that is not every call."""

    @property
    def about(self) -> str:
        """Return the note, with the prices of longer prompts."""
        return "; ".join(part for part in (of_longer_prompts(self.price), self.note) if part)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One vendor's list prices on one day."""

    vendor: str
    date: datetime.date
    """When the page was read, or the price published."""
    source: str
    """Address of the page."""
    models: tuple[ListedModel, ...]
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.vendor}-{self.date}"

    def find(self, model: str) -> ListedModel | None:
        """Return the model of that name, or with that alias."""
        by_alias = (one for one in self.models if model in one.aliases)
        return next((one for one in self.models if one.name == model), None) or next(by_alias, None)


def of_longer_prompts(price: ModelPrice) -> str:
    """Return up to which length the prices hold, and those of longer prompts; empty where flat.

    >>> tier = {"above_tokens": 1000, "input_usd_per_mtok": 2.0}
    >>> of_longer_prompts(ModelPrice(input_usd_per_mtok=1.0, output_usd_per_mtok=4.0, tiers=[tier]))
    'prompts of up to 1,000 tokens; above that 2.00 and 4.00'
    """
    texts = [f"prompts of up to {price.tiers[0].above_tokens:,} tokens"] if price.tiers else []
    own = price
    for tier in price.tiers:
        own = own.above(tier)
        above = "that" if tier is price.tiers[0] else f"{tier.above_tokens:,}"
        prices = f"{own.input_usd_per_mtok:.2f} and {own.output_usd_per_mtok:.2f}"
        texts.append(f"above {above} {prices}")
    return "; ".join(texts)


@cache
def snapshots() -> tuple[Snapshot, ...]:
    """Return all snapshots that the package carries, by vendor and date."""
    folder = resources.files("routebench") / "prices"
    lists = [
        read(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return tuple(sorted(lists, key=lambda one: (one.vendor, one.date)))


def read(place: str, text: str) -> Snapshot:
    """Read one file, named `<vendor>-<date>.toml`; raise `DataError` naming what is wrong in it."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{place}: not TOML: {error}") from error
    for field in FIELDS - {"note"}:
        if not content.get(field):
            raise DataError(f"{place}: {field} is missing")
    if unknown := sorted(set(content) - FIELDS):
        raise DataError(f"{place}: {unknown[0]}: {did_you_mean(unknown[0], FIELDS)}")
    if content.pop("currency") != "USD":
        raise DataError(f"{place}: prices are in USD")
    models = tuple(_listed(place, *item) for item in content.pop("models").items())
    names = [name for one in models for name in (one.name, *one.aliases)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{place}: {', '.join(twice)} is there twice")
    made = Snapshot(models=models, **content)
    if type(made.date) is not datetime.date or place != f"{made.id}.toml":
        raise DataError(f"{place}: vendor and date make another name: {made.id}.toml")
    return made


def _listed(place: str, name: str, content: dict[str, Any]) -> ListedModel:
    aliases, note = content.pop("aliases", []), content.pop("note", "")
    if unknown := sorted(set(content) - set(ModelPrice.model_fields)):
        raise DataError(f"{place}: model {name}: {unknown[0]} is not understood")
    return ListedModel(name, model_price(place, name, content), tuple(aliases), note)


def vendors(provider: str) -> tuple[str, ...]:
    """Return the vendors whose list prices a provider's calls are billed at.

    Any vendor's where many serve that protocol, the first one's own models first.
    """
    if provider == _COMPATIBLE:
        others = sorted({one.vendor for one in snapshots()} - {_COMPATIBLE})
        return (_COMPATIBLE, *others)
    return _VENDORS.get(provider, (provider,))


def history(model: str, of: tuple[str, ...] = ()) -> list[tuple[Snapshot, ListedModel]]:
    """Return every list that has the model, the first of the given vendors first, then by date."""
    order = of or tuple(dict.fromkeys(one.vendor for one in snapshots()))
    return [
        (one, listed)
        for vendor in order
        for one in snapshots()
        if one.vendor == vendor and (listed := one.find(model)) is not None
    ]


def find_price(
    provider: str,
    model: str,
    prices: PriceList | None = None,
    date: datetime.date | None = None,
) -> tuple[ModelPrice, str]:
    """Return the price of a provider's model, and the id of the list that has it.

    The user's own list wins, under `provider:model` or `model`; its id is its file's name and
    fingerprint. Else it is the newest snapshot that has the model, and with `date` the newest of
    that day or before.

    Raises:
        DataError: naming the model, where no list has it.
    """
    if prices is not None:
        for name in (f"{provider}:{model}", model):
            if name in prices.models:
                return prices.models[name], f"{prices.place}@{prices.fingerprint}"
    of = vendors(provider)
    lists = history(model, of)
    first = [pair for pair in lists if pair[0].vendor == lists[0][0].vendor]
    known = [pair for pair in first if date is None or pair[0].date <= date]
    if known:
        snapshot, listed = known[-1]
        return listed.price, snapshot.id
    where = f", nor in {prices.place}" if prices is not None else ""
    if prices is not None and (why := prices.unread.get(model)):
        where += f": {why}"
    if first:
        since = f"on {date} or before; the first is of {first[0][0].date}"
        raise DataError(f"no price of {provider}:{model} {since}{where}", _BY_HAND)
    near = did_you_mean(model, [*names(of), *(prices.models if prices else ())])
    hint = _BY_HAND if near == "there are none" else f"{near}; {_BY_HAND}"
    raise DataError(f"no price of {provider}:{model} is known{where}", hint)


def names(of: tuple[str, ...] = ()) -> set[str]:
    """Return all model names and aliases of the given vendors, or of all."""
    lists = (one for one in snapshots() if not of or one.vendor in of)
    return {name for one in lists for model in one.models for name in (model.name, *model.aliases)}
