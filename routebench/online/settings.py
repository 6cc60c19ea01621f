"""The settings of an online run, as `--online` gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from routebench.errors import OptionError, did_you_mean
from routebench.plugin import options

SHARES = (0.2, 0.05, 0.75)
"""Train, validation and the stream of a hash split."""


class StreamSettings(BaseModel):
    """How a stream is played."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Literal["cold", "warm"] = Field(
        "cold", description="what routers that learn online know first: the training queries' "
        "texts alone, or their outcomes too"
    )  # fmt: skip
    order: Literal["auto", "time", "seed"] = Field(
        "auto", description="by the column asked_at where there is one, or drawn by each seed"
    )
    batch: int = Field(1, ge=1, le=100_000, description="queries chosen for before one update")
    delay: int = Field(0, ge=0, description="further queries before an outcome is revealed")
    trade_off: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="λ: a reward is score − λ · USD"
    )
    swap: str | None = Field(
        None, description="A:B: the models whose cells are exchanged half way through the stream"
    )
    later: str | None = Field(
        None, description="a later table of the same queries, whose cells count from half way on"
    )

    @classmethod
    def of(cls, items: Iterable[str]) -> Self:
        """Return the settings that `KEY=VALUE` items give; an `OptionError` for a wrong one."""
        values: dict[str, str] = {}
        for item in items:
            name, equals, value = item.partition("=")
            name = name.strip().replace("-", "_")
            if name not in cls.model_fields:
                hint = did_you_mean(name, cls.model_fields)
                raise OptionError(f"--online {item}: no setting {name!r}", hint)
            if not equals or not value.strip():
                raise OptionError(f"--online {item}: expected {name}=VALUE")
            if name in values:
                raise OptionError(f"--online {item}: {name} is given twice")
            values[name] = value.strip()
        try:
            made = cls.model_validate(values)
        except ValidationError as error:
            raise OptionError(options.explain(error, "--online ")) from error
        if made.swap is not None and made.later is not None:
            raise OptionError("--online: swap and later are two kinds of drift", "give one of them")
        return made
