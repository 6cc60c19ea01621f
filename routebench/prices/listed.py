"""The prices of a run: a file's or the dated lists', and those of longer prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from routebench.errors import DataError, did_you_mean
from routebench.prices import units
from routebench.prices.apply import answered, prompt_tokens
from routebench.prices.lists import ModelPrice, PriceList, load_prices
from routebench.prices.snapshots import ListedModel, Snapshot, history, names, vendors
from routebench.records import Floats, SuiteData

LIST = "list"
"""What `--prices` is given to take the dated lists."""
NOTED = "prices: "
"""What every note on prices begins with."""


def for_run(prices: str | None, data: SuiteData) -> tuple[PriceList | None, tuple[str, ...]]:
    """Return the prices of a run, with those of its longest prompts; None without `--prices`."""
    if prices is None:
        return None, ()
    found, notes = load(prices, data.pool.models)
    tokens = np.where(answered(data.outcomes), prompt_tokens(data)[0], np.nan)
    found, more = with_longer_prompts(found, longest_prompts(data.pool.models, tokens))
    return found, notes + more


def load(prices: str, models: tuple[str, ...]) -> tuple[PriceList, tuple[str, ...]]:
    """Return the prices that `--prices` names, of a file or the dated lists, and notes on them.

    Raises:
        DataError: for a file that cannot be used, or models that no dated list has.
    """
    if prices != LIST:
        return load_file(Path(prices)), ()
    found = known(models)
    if missing := [model for model in models if model not in found]:
        hint = did_you_mean(missing[0], names())
        near = f"{missing[0]}: {hint}; " if hint.startswith("did") else ""
        raise DataError(
            f"--prices list: no price for {', '.join(missing)}; the lists have"
            f" {len(found)} of {len(models)} models",
            f"{near}--prices FILE with all models of the pool",
        )
    listed = {model: one.price for model, (_, one) in found.items()}
    ids = sorted({snapshot.id for snapshot, _ in found.values()})
    return PriceList(listed, LIST), (f"{NOTED}the lists {', '.join(ids)}",)


def load_file(path: Path) -> PriceList:
    """Return the prices of a file that a person names; prices in another unit are an error.

    Raises:
        DataError: naming the factor, or as `load_prices` does.
    """
    prices = load_prices(path)
    units.check(path.name, prices.models)
    return prices


def check_file(prices: str | None) -> None:
    """Raise a `DataError` for a price list that cannot be used, whatever the models are."""
    if prices is not None and prices != LIST:
        load_file(Path(prices))


def known(models: tuple[str, ...]) -> dict[str, tuple[Snapshot, ListedModel]]:
    """Return the newest list of every model that any list has; `vendor:` and `vendor/` may lead."""
    return {model: found for model in models if (found := _newest(model)) is not None}


def _newest(model: str) -> tuple[Snapshot, ListedModel] | None:
    vendor, _, plain = model.replace(":", "/", 1).partition("/")
    lists = history(model)
    if not lists and plain:
        lists = [pair for pair in history(plain) if pair[0].vendor in vendors(vendor)]
    first = [pair for pair in lists if pair[0].vendor == lists[0][0].vendor]
    return first[-1] if first else None


def with_longer_prompts(
    prices: PriceList, longest: Mapping[str, float]
) -> tuple[PriceList, tuple[str, ...]]:
    """Return the prices as `of_longer_prompts` has them, and its notes.

    Args:
        longest: tokens of the longest prompt of every model that is asked.
    """
    made, notes = dict(prices.models), []
    for model, tokens in longest.items():
        if (price := prices.models.get(model)) is not None:
            made[model], note = of_longer_prompts(prices.place, model, price, tokens)
            notes += [note] if note else []
    return (replace(prices, models=made), tuple(notes)) if notes else (prices, ())


def of_longer_prompts(
    place: str, model: str, price: ModelPrice, tokens: float
) -> tuple[ModelPrice, str]:
    """Return a file's price with the dated lists' tiers where prompts are that long, and a note.

    A file that has a list's prices for a model, and nothing on its longer prompts, means that
    list: calls above its length are billed at the list's prices for them. Where the file has
    other prices, what longer prompts cost is not known, and the note says so. An empty `tiers`
    in the file says that all prompts cost the same. The note is empty where nothing is to say.
    """
    if "tiers" in price.model_fields_set:
        return price, ""
    plain = model.replace(":", "/", 1).rpartition("/")[2]
    lists = history(model) or history(plain)
    alike = [pair for pair in lists if _same(price, pair[1].price)]
    for snapshot, listed in (alike or lists)[-1:]:
        tiers = listed.price.tiers
        if not tiers or tokens <= tiers[0].above_tokens:
            continue
        above = f"{tiers[0].above_tokens:,} prompt tokens"
        if alike:
            tiered = price.model_copy(update={"tiers": tiers})
            return tiered, f"{NOTED}calls of {model} above {above} cost what {snapshot.id} says"
        return price, (
            f"{NOTED}{snapshot.id} has others for {model} above {above}, and {place} has not:"
            " longer calls may cost more than is reckoned (`tiers` states what they cost)"
        )
    return price, ""


def _same(one: ModelPrice, other: ModelPrice) -> bool:
    return (one.input_usd_per_mtok, one.output_usd_per_mtok) == (
        other.input_usd_per_mtok,
        other.output_usd_per_mtok,
    )


def longest_prompts(models: tuple[str, ...], tokens: Floats) -> dict[str, float]:
    """Return the most prompt tokens [n, m] of every model; 0 where none are known."""
    most = np.nan_to_num(tokens, nan=0.0).max(axis=0, initial=0.0)
    return dict(zip(models, most.tolist(), strict=True))
