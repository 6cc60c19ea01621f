"""What every answer costs: recorded, or priced from tokens, and marked where it is a guess."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from routebench.errors import DataError, did_you_mean
from routebench.records import Floats, Mask, Outcomes, Pool, State, SuiteData

BASES = ("recorded", "tokens", "estimated", "assumed")
CHARS_PER_TOKEN = 4
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmbt])", re.IGNORECASE)
_BILLIONS = {"k": 1e-6, "m": 1e-3, "b": 1.0, "t": 1e3}


class ModelPrice(BaseModel):
    """What one model costs; reads LLMRouter's candidate files too."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input_usd_per_mtok: float = Field(
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="USD per million prompt tokens",
        validation_alias=AliasChoices("input_usd_per_mtok", "input_price"),
    )
    output_usd_per_mtok: float = Field(
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="USD per million answer tokens",
        validation_alias=AliasChoices("output_usd_per_mtok", "output_price"),
    )
    size: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="billions of parameters, or text like 7B",
    )
    description: str | None = Field(
        default=None,
        description="what the vendor says of it",
        validation_alias=AliasChoices("description", "feature"),
    )

    @field_validator("size", mode="before")
    @classmethod
    def _billions(cls, value: Any) -> Any:
        return parse_size(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by model name."""

    models: dict[str, ModelPrice]
    place: str
    """File name, for messages."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits over the prices, whatever the file's format, order or path."""
        return _fingerprint(self.models)


@dataclass(frozen=True, slots=True)
class PriceInfo:
    """Where a run's costs come from."""

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


def parse_size(text: str) -> float:
    """Billions of parameters: `7B` is 7, `350M` is .35, `1.5T` is 1,500.

    Raises:
        ValueError: for anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 7B, 350M or 1.5T")
    return float(match[1]) * _BILLIONS[match[2].lower()]


def load_prices(path: Path) -> PriceList:
    """Read prices from JSON or TOML: model → input_usd_per_mtok, output_usd_per_mtok.

    LLMRouter's candidate files (input_price, output_price, size, feature) are read as well.

    Raises:
        DataError: naming file, model and field.
    """
    content = _parse(path)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path.name}: no prices in it", "expected model names with their prices")
    return PriceList(
        {str(m): _validated(path.name, str(m), c) for m, c in sorted(content.items())}, path.name
    )


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_without_repeats)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from error
    raise DataError(f"{path.name}: a price list is a .json or a .toml file")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is there twice")
    return dict(pairs)


def _validated(place: str, model: str, content: Any) -> ModelPrice:
    if not isinstance(content, Mapping):
        raise DataError(f"{place}: model {model}: expected a table of prices, not {content!r}")
    try:
        return ModelPrice.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        if first["type"] != "missing":
            problem = first["msg"].removeprefix("Value error, ")
            raise DataError(
                f"{place}: model {model}, field {field}: {problem}, not {first['input']!r}"
            ) from None
        hint = did_you_mean(field, content)
        if any(isinstance(value, Mapping) for value in content.values()):
            hint = f'in TOML a name with dots needs quotes: ["{model}.{next(iter(content))}"]'
        raise DataError(f"{place}: model {model}: {field} is missing", hint) from None


def price(
    data: SuiteData, prices: PriceList | None, assume_output_tokens: int = 256
) -> tuple[SuiteData, PriceInfo]:
    """Give every answered cell its cost in USD; NaN where nothing was answered.

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
    # Without tokens the suite's prices would only price our guesses of them.
    if data.outcomes.input_tokens is not None and (own := _own_prices(data.pool)) is not None:
        return _from_list(data, own, assume_output_tokens)
    return data, PriceInfo("unpriced", dict.fromkeys(BASES, 0), None, {})


def _own_prices(pool: Pool) -> PriceList | None:
    """The prices that the suite itself states for its models; None where it states none."""
    if pool.input_price is None or pool.output_price is None:
        return None
    said = pool.description or ("",) * len(pool)
    sizes = np.full(len(pool), np.nan) if pool.size is None else pool.size
    listed = {
        model: ModelPrice(
            input_usd_per_mtok=float(pool.input_price[at]),
            output_usd_per_mtok=float(pool.output_price[at]),
            size=None if np.isnan(sizes[at]) else float(sizes[at]),
            description=said[at] or None,
        )
        for at, model in enumerate(pool.models)
    }
    return PriceList(listed, "the suite's prices")


def _answered(outcomes: Outcomes) -> Mask:
    answered: Mask = ~np.isin(outcomes.state, (State.FAILED, State.ABSENT))
    return answered


def _recorded(data: SuiteData, recorded: Floats) -> tuple[SuiteData, PriceInfo]:
    outcomes = data.outcomes
    cost = np.where(_answered(outcomes), recorded, np.nan)
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
    listed = _cover(data.pool, prices)
    pool = _priced_pool(data.pool, listed)
    answered = _answered(data.outcomes)
    prompt, prompt_known = _prompt_tokens(data)
    answer, answer_known, answer_read = _answer_tokens(data, assumed)
    assert pool.input_price is not None
    assert pool.output_price is not None
    cost = (prompt * pool.input_price + answer * pool.output_price) / 1e6
    known = prompt_known & answer_known
    basis = dict.fromkeys(BASES, 0) | {
        "tokens": int((answered & known).sum()),
        "estimated": int((answered & ~known & answer_read).sum()),
        "assumed": int((answered & ~answer_read).sum()),
    }
    guessed = basis["estimated"] + basis["assumed"] > 0
    info = PriceInfo(
        "estimated" if guessed else "prices",
        basis,
        _fingerprint(listed),
        {m: _snapshot(p) for m, p in listed.items()},
        (np.broadcast_to(prompt, answer.shape), answer),
    )
    outcomes = replace(data.outcomes, cost=np.where(answered, cost, np.nan))
    return replace(data, outcomes=outcomes, pool=pool), info


def _cover(pool: Pool, prices: PriceList) -> dict[str, ModelPrice]:
    """The pool's models with their prices, in the pool's order."""
    missing = [model for model in pool.models if model not in prices.models]
    if missing:
        spare = set(prices.models) - set(pool.models)
        hints = [f"{model}: {did_you_mean(model, spare)}" for model in missing[:5]]
        raise DataError(
            f"{prices.place}: no price for {', '.join(missing)}",
            "; ".join(hints) if spare else "every model of the pool needs a price",
        )
    return {model: prices.models[model] for model in pool.models}


def _priced_pool(pool: Pool, listed: dict[str, ModelPrice]) -> Pool:
    entries = list(listed.values())
    sizes = np.array([math.nan if e.size is None else e.size for e in entries])
    said = tuple(e.description or "" for e in entries)
    return replace(
        pool,
        input_price=np.array([e.input_usd_per_mtok for e in entries]),
        output_price=np.array([e.output_usd_per_mtok for e in entries]),
        size=pool.size if np.isnan(sizes).all() else sizes,
        description=said if any(said) else pool.description,
    )


def _prompt_tokens(data: SuiteData) -> tuple[Floats, Mask]:
    """[n, m] prompt tokens, and where they are recorded."""
    chars = np.array([len(text) for text in data.queries.text], dtype=np.float64)
    estimate = np.ceil(chars / CHARS_PER_TOKEN)[:, None]
    return _recorded_or(data.outcomes.input_tokens, estimate, data.outcomes.state.shape)


def _answer_tokens(data: SuiteData, assumed: int) -> tuple[Floats, Mask, Mask]:
    """[n, m] answer tokens; where they are recorded; where recorded or read off the answer."""
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


def _snapshot(entry: ModelPrice) -> dict[str, Any]:
    return entry.model_dump(exclude_none=True)


def _fingerprint(models: Mapping[str, ModelPrice]) -> str:
    content = {m: [p.input_usd_per_mtok, p.output_usd_per_mtok] for m, p in models.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
