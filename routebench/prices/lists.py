"""Price lists: what models cost per token and per call, and the files that say so."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from routebench import limits
from routebench.errors import DataError, did_you_mean, problem
from routebench.files import reason, sha256
from routebench.prices import formats
from routebench.records import Floats

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmbt])", re.IGNORECASE)
_BILLIONS = {"k": 1e-6, "m": 1e-3, "b": 1.0, "t": 1e3}
_MONEY = re.compile(r"usd|price|cost|mtok", re.IGNORECASE)
_N = TypeVar("_N", float, Floats)
MOST = 10_000.0
"""USD per million tokens, or per call: ten times any price there is. More is another unit."""


class PriceTier(BaseModel):
    """The prices of calls whose prompt is longer than a number of tokens: of all their tokens.

    A price that a tier leaves out stays as it is below it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    above_tokens: int = Field(
        ge=1, strict=True, description="holds for calls with more prompt tokens, cached ones too"
    )
    input_usd_per_mtok: float | None = Field(
        default=None, ge=0, le=MOST, strict=True, allow_inf_nan=False
    )
    output_usd_per_mtok: float | None = Field(
        default=None, ge=0, le=MOST, strict=True, allow_inf_nan=False
    )
    cached_usd_per_mtok: float | None = Field(
        default=None, ge=0, le=MOST, strict=True, allow_inf_nan=False
    )
    thinking_usd_per_mtok: float | None = Field(
        default=None, ge=0, le=MOST, strict=True, allow_inf_nan=False
    )


class ModelPrice(BaseModel):
    """The prices of one model; reads LLMRouter's candidate files too."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input_usd_per_mtok: float = Field(
        ge=0,
        le=MOST,
        strict=True,
        allow_inf_nan=False,
        description="USD per million prompt tokens",
        validation_alias=AliasChoices("input_usd_per_mtok", "input_price"),
    )
    output_usd_per_mtok: float = Field(
        ge=0,
        le=MOST,
        strict=True,
        allow_inf_nan=False,
        description="USD per million answer tokens",
        validation_alias=AliasChoices("output_usd_per_mtok", "output_price"),
    )
    cached_usd_per_mtok: float | None = Field(
        default=None,
        ge=0,
        le=MOST,
        strict=True,
        allow_inf_nan=False,
        description="USD per million prompt tokens that the server had cached; as other ones",
    )
    thinking_usd_per_mtok: float | None = Field(
        default=None,
        ge=0,
        le=MOST,
        strict=True,
        allow_inf_nan=False,
        description="USD per million tokens of reasoning; as other answer tokens",
    )
    usd_per_request: float = Field(
        default=0.0,
        ge=0,
        le=MOST,
        strict=True,
        allow_inf_nan=False,
        description="USD per call, besides",
    )
    tiers: tuple[PriceTier, ...] = Field(
        default=(), description="other prices of longer prompts, by their length"
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

    @field_validator("tiers")
    @classmethod
    def _by_length(cls, tiers: tuple[PriceTier, ...]) -> tuple[PriceTier, ...]:
        lengths = [tier.above_tokens for tier in tiers]
        if twice := next((n for n in lengths if lengths.count(n) > 1), None):
            raise ValueError(f"two tiers above {twice:,} tokens")
        return tuple(sorted(tiers, key=lambda tier: tier.above_tokens))

    def above(self, tier: PriceTier) -> ModelPrice:
        """Return these prices, those below the tier, as they are in it."""
        changed = tier.model_dump(exclude={"above_tokens"}, exclude_none=True)
        # A part that costs what the whole does below the tier does so in it, too.
        for part, whole in (("cached", "input"), ("thinking", "output")):
            own, all_ = f"{part}_usd_per_mtok", f"{whole}_usd_per_mtok"
            if own not in changed and getattr(self, own) == getattr(self, all_):
                changed[own] = changed.get(all_, getattr(self, all_))
        return self.model_copy(update={**changed, "tiers": ()})

    def usd(
        self,
        input_tokens: _N,
        output_tokens: _N,
        cached_tokens: _N | float = 0.0,
        thinking_tokens: _N | float = 0.0,
    ) -> _N:
        """Return the USD of a call, or of each of an array of calls.

        Cached tokens are part of the input, tokens of reasoning part of the output: no more of
        them count than there are of those, and unknown ones (NaN) as none.
        """
        total = self._flat(input_tokens, output_tokens, cached_tokens, thinking_tokens)
        prices = self
        for tier in self.tiers:
            prices = prices.above(tier)
            higher = prices._flat(input_tokens, output_tokens, cached_tokens, thinking_tokens)
            total = np.where(input_tokens > tier.above_tokens, higher, total)
        return total if np.ndim(total) else float(total)  # type: ignore[return-value]

    def _flat(
        self, input_tokens: Any, output_tokens: Any, cached_tokens: Any, thinking: Any
    ) -> Any:
        cached = _part(cached_tokens, input_tokens, self.cached_usd_per_mtok)
        thinking = _part(thinking, output_tokens, self.thinking_usd_per_mtok)
        tokens = (
            (input_tokens - cached) * self.input_usd_per_mtok
            + cached * (self.cached_usd_per_mtok or 0.0)
            + (output_tokens - thinking) * self.output_usd_per_mtok
            + thinking * (self.thinking_usd_per_mtok or 0.0)
        )
        return tokens / 1e6 + self.usd_per_request

    def most_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return the most that a call of up to so many tokens can cost, in whatever tier."""
        lengths = {input_tokens, *(min(input_tokens, tier.above_tokens) for tier in self.tiers)}
        return max(
            self.usd(float(length), float(output_tokens), thinking_tokens=thinking)
            for length in lengths
            for thinking in (0.0, float(output_tokens))
        )


def _part(part: Any, whole: Any, price: float | None) -> Any:
    """Return the tokens that have a price of their own."""
    if price is None:
        return 0.0
    return np.minimum(np.nan_to_num(part), whole)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by model name."""

    models: dict[str, ModelPrice]
    place: str
    """File name, for messages."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a model that the file names has no price here."""

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits over the prices, whatever the file's format, order or path."""
        return fingerprint(self.models)


def parse_size(text: str) -> float:
    """Return billions of parameters: `7B` is 7, `350M` is .35, `1.5T` is 1,500.

    Raises:
        ValueError: for anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 7B, 350M or 1.5T")
    return float(match[1]) * _BILLIONS[match[2].lower()]


def load_prices(path: Path) -> PriceList:
    """Read prices from JSON or TOML: model → input_usd_per_mtok, output_usd_per_mtok.

    LLMRouter's candidate files (input_price, output_price, size, feature) are read as well, and
    the files of `routebench.prices.formats`.

    Raises:
        DataError: naming file, model and field, or the factor of another unit.
    """
    content, unread = formats.converted(path.name, _parse(path))
    if not content and not unread:
        raise DataError(f"{path.name}: no prices in it", "expected model names with their prices")
    limits.check(path.name, "models", len(content), limits.MODELS)
    models = {str(m): model_price(path.name, str(m), c) for m, c in sorted(content.items())}
    return PriceList(
        models,
        path.name.encode("utf-8", "replace").decode(),  # it is stored with every call
        unread,
    )


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".toml":
            return limits.parse_toml(text)
        if path.suffix.lower() == ".json":
            return limits.parse_json(text, object_pairs_hook=_without_repeats)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read: {reason(error)}") from error
    except RecursionError as error:
        raise DataError(f"{path.name}: is nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from error
    raise DataError(f"{path.name}: a price list is a .json or a .toml file")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"{', '.join(twice)} is there twice")
    return dict(pairs)


def model_price(place: str, model: str, content: Any) -> ModelPrice:
    """Return one model's price as a file has it; raise `DataError` naming file, model and field."""
    if not isinstance(content, Mapping):
        raise DataError(f"{place}: model {model}: expected a table of prices, not {content!r}")
    try:
        price = ModelPrice.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        # Where a tier is wrong, its number is named as a person counts.
        parts = [part + 1 if isinstance(part, int) else part for part in first["loc"]]
        field = " ".join(map(str, parts))
        if first["type"] != "missing":
            hint = ""
            if first["type"] == "less_than_equal":
                hint = f"USD per million tokens? divided by 1,000,000: {first['input'] / 1e6:g}"
            raise DataError(
                f"{place}: model {model}, field {field}: {problem(first)}, not {first['input']!r}",
                hint,
            ) from None
        hint = formats.hint(content) or did_you_mean(field, content)
        if any(
            isinstance(value, Mapping) and any(_MONEY.search(name) for name in value)
            for value in content.values()
        ):
            hint = f'in TOML a name with dots needs quotes: ["{model}.{next(iter(content))}"]'
        raise DataError(f"{place}: model {model}: {field} is missing", hint) from None
    # What else a list says of its models may be anything, but a price must not go unread.
    known = {*ModelPrice.model_fields, "input_price", "output_price"}
    for name in content:
        if name not in known and _MONEY.search(name):
            names = [known_name for known_name in ModelPrice.model_fields if "usd" in known_name]
            hint = did_you_mean(name, names)
            if "above" in name or "over" in name:
                hint = "prices of longer prompts are `tiers`: above_tokens, input_usd_per_mtok, …"
            raise DataError(f"{place}: model {model}: {name} is no price that is known", hint)
    return price


def as_written(entry: ModelPrice) -> dict[str, Any]:
    """Return a price as price files hold it: only the fields that are set."""
    values = entry.model_dump(exclude_none=True)
    unset = {"usd_per_request", "tiers"}
    written = {name: value for name, value in values.items() if value or name not in unset}
    if entry.tiers:
        written["tiers"] = list(values["tiers"])
    return written


def fingerprint(models: Mapping[str, ModelPrice]) -> str:
    """Return 16 hex digits over prices alone; optional ones count only where they are set."""
    content = {
        m: [p.input_usd_per_mtok, p.output_usd_per_mtok, *_besides(p)] for m, p in models.items()
    }
    return sha256(json.dumps(content, sort_keys=True).encode())[:16]


def _besides(entry: ModelPrice) -> list[dict[str, Any]]:
    """Return the optional fields of a price; nothing for one of two numbers."""
    names = ("cached_usd_per_mtok", "thinking_usd_per_mtok", "usd_per_request")
    optional: dict[str, Any] = {
        name: value for name in names if (value := getattr(entry, name)) is not None
    }
    if not entry.usd_per_request:
        del optional["usd_per_request"]
    if entry.tiers:
        optional["tiers"] = [tier.model_dump(exclude_none=True) for tier in entry.tiers]
    return [optional] if optional else []
