"""Costs of answers: recorded, or priced from tokens, and marked where they are estimates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from routebench.errors import DataError, did_you_mean
from routebench.prices.lists import ModelPrice, PriceList, as_written, fingerprint, load_prices
from routebench.records import Floats, Mask, Outcomes, Pool, State, SuiteData

__all__ = ["ModelPrice", "PriceInfo", "PriceList", "load_prices", "price"]

BASES = ("recorded", "tokens", "estimated", "assumed")
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class PriceInfo:
    """The source of a run's costs."""

    label: str
    """`recorded`, `prices`, `estimated` or `unpriced`."""
    basis: dict[str, int]
    """Answered cells by the basis of their cost: recorded, tokens, estimated, assumed."""
    fingerprint: str | None
    """16 hex digits over the pool's prices; None without a price list."""
    snapshot: dict[str, dict[str, Any]]
    """The pool's prices as `load_prices` reads them back; empty without a price list."""
    tokens: tuple[Floats, Floats] | None = field(default=None, compare=False, repr=False)
    """[n, m] prompt and answer tokens that were priced, guesses included."""
    assumed: Mask | None = field(default=None, compare=False, repr=False)
    """[n, m] answers whose length is neither recorded nor seen in a text; None for none such."""
    lengths: dict[str, Floats] = field(default_factory=dict, compare=False, repr=False)
    """`costs_by_length` of these answers; empty where none is assumed."""


def price(
    data: SuiteData, prices: PriceList | None, assume_output_tokens: int = 256
) -> tuple[SuiteData, PriceInfo]:
    """Compute the cost of every answered cell in USD; NaN where nothing was answered.

    Without a price list the recorded costs stand, and a scored cell that lacks one becomes
    `UNPRICED`; where tokens were recorded and no cost at all, the suite's own prices of its
    models are the list, and where there are none the run stays unpriced. A price list re-prices
    every cell, recorded costs included: whoever names one wants to know what the answers cost
    at these prices. Tokens that were not recorded are estimated from characters.

    Raises:
        DataError: naming the models of the pool that the list does not price.
    """
    if prices is not None:
        return _from_list(data, prices, assume_output_tokens)
    if data.outcomes.cost is not None:
        return _recorded(data, data.outcomes.cost)
    # Without recorded tokens, the suite's prices would apply to estimated tokens only.
    if (
        data.outcomes.input_tokens is not None
        and (suite_prices := own_prices(data.pool)) is not None
    ):
        return _from_list(data, suite_prices, assume_output_tokens)
    return data, PriceInfo("unpriced", dict.fromkeys(BASES, 0), None, {})


def own_prices(pool: Pool) -> PriceList | None:
    """Return the prices that the suite itself states for its models; None where it states none."""
    if pool.input_price is None or pool.output_price is None:
        return None
    descriptions = pool.description or ("",) * len(pool)
    sizes = np.full(len(pool), np.nan) if pool.size is None else pool.size
    listed = {
        model: ModelPrice(
            input_usd_per_mtok=float(pool.input_price[at]),
            output_usd_per_mtok=float(pool.output_price[at]),
            size=None if np.isnan(sizes[at]) else float(sizes[at]),
            description=descriptions[at] or None,
        )
        for at, model in enumerate(pool.models)
    }
    return PriceList(listed, "the suite's prices")


def answered(outcomes: Outcomes) -> Mask:
    """Return [n, m] the cells that have an answer."""
    given: Mask = ~np.isin(outcomes.state, (State.FAILED, State.ABSENT))
    return given


def _recorded(data: SuiteData, recorded: Floats) -> tuple[SuiteData, PriceInfo]:
    outcomes = data.outcomes
    cost = np.where(answered(outcomes), recorded, np.nan)
    unpriced = outcomes.ok & np.isnan(cost)
    state = np.where(unpriced, State.UNPRICED, outcomes.state).astype(np.int8)
    # Only OK cells carry a score or a grade.
    grade, samples = outcomes.grade, outcomes.samples
    if grade is not None:
        grade = np.where(unpriced, -1, grade).astype(np.int8)
    if samples is not None:
        samples = np.where(unpriced[..., None], np.nan, samples)
    priced = replace(
        outcomes,
        score=np.where(unpriced, np.nan, outcomes.score),
        state=state,
        cost=cost,
        grade=grade,
        samples=samples,
    )
    basis = dict.fromkeys(BASES, 0) | {"recorded": int((~np.isnan(cost)).sum())}
    return replace(data, outcomes=priced), PriceInfo("recorded", basis, None, {})


def _from_list(data: SuiteData, prices: PriceList, assumed: int) -> tuple[SuiteData, PriceInfo]:
    listed = cover(data.pool, prices)
    pool = _priced_pool(data.pool, listed)
    given = answered(data.outcomes)
    prompt, prompt_known = prompt_tokens(data)
    answer, answer_known, answer_read = _answer_tokens(data, assumed)
    cost = costs(listed, (prompt, answer), data.outcomes)
    known = prompt_known & answer_known
    basis = dict.fromkeys(BASES, 0) | {
        "tokens": int((given & known).sum()),
        "estimated": int((given & ~known & answer_read).sum()),
        "assumed": int((given & ~answer_read).sum()),
    }
    guessed = basis["estimated"] + basis["assumed"] > 0
    info = PriceInfo(
        "estimated" if guessed else "prices",
        basis,
        fingerprint(listed),
        {m: as_written(p) for m, p in listed.items()},
        (np.broadcast_to(prompt, answer.shape), answer),
    )
    outcomes = replace(data.outcomes, cost=np.where(given, cost, np.nan))
    if (guesses := given & ~answer_read).any():
        lengths = costs_by_length(listed, (prompt, answer), outcomes, guesses)
        info = replace(info, assumed=guesses, lengths=lengths)
    return replace(data, outcomes=outcomes, pool=pool), info


def costs(
    listed: Mapping[str, ModelPrice], tokens: tuple[Floats, Floats], outcomes: Outcomes
) -> Floats:
    """Return [n, m] USD of tokens; cached ones and those of reasoning as recorded.

    The prices are those of the m models, in their order.
    """
    cached, thinking = outcomes.cached_tokens, outcomes.thinking_tokens
    columns = [
        entry.usd(
            tokens[0][:, at],
            tokens[1][:, at],
            0.0 if cached is None else cached[:, at],
            0.0 if thinking is None else thinking[:, at],
        )
        for at, entry in enumerate(listed.values())
    ]
    return np.stack(columns, axis=1)


LENGTHS = {"half": 0.5, "double": 2.0}
"""Other lengths of the dearer models' answers, where they are assumed."""


def costs_by_length(
    listed: Mapping[str, ModelPrice],
    tokens: tuple[Floats, Floats],
    outcomes: Outcomes,
    assumed: Mask,
) -> dict[str, Floats]:
    """Return [n, m] USD by name of `LENGTHS`, were the assumed answers of dearer models so long.

    Dearer are those whose answers cost more, on average, than those of the median model: with one
    length assumed for all of them, their share of the bill is known least.
    """
    assert outcomes.cost is not None
    known = np.isfinite(outcomes.cost)
    total, count = np.where(known, outcomes.cost, 0.0).sum(axis=0), known.sum(axis=0)
    mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
    dearer = assumed & (mean > np.median(mean))
    made = {}
    for name, factor in LENGTHS.items():
        prompt, answer = tokens
        longer = costs(listed, (prompt, np.where(dearer, factor * answer, answer)), outcomes)
        made[name] = np.where(known, np.where(dearer, longer, outcomes.cost), np.nan)
    return made


def cover(pool: Pool, prices: PriceList) -> dict[str, ModelPrice]:
    """Return the pool's models with their prices, in the pool's order.

    Raises:
        DataError: naming the models that the list does not price.
    """
    missing = [model for model in pool.models if model not in prices.models]
    if missing:
        spare = set(prices.models) - set(pool.models)
        hints = [
            f"{model}: {prices.unread.get(model) or did_you_mean(model, spare)}"
            for model in missing[:5]
        ]
        raise DataError(
            f"{prices.place}: no price for {', '.join(missing)}",
            "; ".join(hints) if spare or prices.unread else "every model of the pool needs a price",
        )
    return {model: prices.models[model] for model in pool.models}


def _priced_pool(pool: Pool, listed: dict[str, ModelPrice]) -> Pool:
    entries = list(listed.values())
    sizes = np.array([math.nan if e.size is None else e.size for e in entries])
    descriptions = tuple(e.description or "" for e in entries)
    return replace(
        pool,
        input_price=np.array([e.input_usd_per_mtok for e in entries]),
        output_price=np.array([e.output_usd_per_mtok for e in entries]),
        size=pool.size if np.isnan(sizes).all() else sizes,
        description=descriptions if any(descriptions) else pool.description,
    )


def prompt_tokens(data: SuiteData) -> tuple[Floats, Mask]:
    """Return [n, m] prompt tokens, and where they are recorded."""
    chars = np.array([len(text) for text in data.queries.text], dtype=np.float64)
    estimate = np.ceil(chars / CHARS_PER_TOKEN)[:, None]
    return _recorded_or(data.outcomes.input_tokens, estimate, data.outcomes.state.shape)


def _answer_tokens(data: SuiteData, assumed: int) -> tuple[Floats, Mask, Mask]:
    """Return [n, m] answer tokens; where recorded; where recorded or estimated from the answer."""
    shape = data.outcomes.state.shape
    chars = np.full(shape, np.nan)
    if data.answers is not None:
        import pyarrow as pa
        import pyarrow.compute as pc

        lengths = pc.cast(pc.utf8_length(data.answers), pa.float64())
        chars = lengths.to_numpy(zero_copy_only=False).reshape(shape)
    read = ~np.isnan(chars)
    estimate = np.where(read, np.ceil(chars / CHARS_PER_TOKEN), float(assumed))
    tokens, known = _recorded_or(data.outcomes.output_tokens, estimate, shape)
    return tokens, known, known | read


def _recorded_or(
    recorded: Floats | None, estimate: Floats, shape: tuple[int, ...]
) -> tuple[Floats, Mask]:
    if recorded is None:
        return np.broadcast_to(estimate, shape), np.zeros(shape, dtype=bool)
    known = ~np.isnan(recorded)
    return np.where(known, recorded, estimate), known
