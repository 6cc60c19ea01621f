"""Mapping from a policy to the model that answers, by rules in a TOML file.

Training does not use the rules.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from routebench.errors import DataError, did_you_mean, problem
from routebench.limits import parse_toml
from routebench.plugin.budget import Budget
from routebench_routers.policy.cues import arithmetic
from routebench_routers.policy.oracle import POLICIES

__all__ = ["Budget", "Mapped", "Mapper", "Mapping"]

PAIR = ("medium", "large")
_DEFAULT = "mapping.toml"

Model = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Spending(_Strict):
    """A rule that one model answers all queries from a given share of the budget on."""

    share: float = Field(0.9, gt=0, le=1)
    model: Model = "medium"


class Keywords(_Strict):
    """A rule for queries with one of these words, as whole words and in any case."""

    words: list[str]
    model: Model = "large"

    @field_validator("words")
    @classmethod
    def _not_empty(cls, words: list[str]) -> list[str]:
        if not words or not all(word.strip() for word in words):
            raise ValueError("must be words; leave the table out to have no such rule")
        return words


class Length(_Strict):
    """A rule for queries of at least that many words."""

    words: int = Field(ge=1)
    model: Model = "large"


class Arithmetic(_Strict):
    """A rule for queries with a sum, product or percentage written out."""

    model: Model = "large"


class Mapping(_Strict):
    """The rules of a file, in the order in which they apply."""

    budget: Spending = Spending(share=0.9)
    keywords: Keywords | None = None
    length: Length | None = None
    arithmetic: Arithmetic | None = None
    policies: dict[str, Model]

    @field_validator("policies")
    @classmethod
    def _each_once(cls, policies: dict[str, str]) -> dict[str, str]:
        if missing := [policy for policy in POLICIES if policy not in policies]:
            raise ValueError(f"no model for {', '.join(missing)}")
        if unknown := [policy for policy in policies if policy not in POLICIES]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(POLICIES)}")
        return policies


class Mapped(NamedTuple):
    """A mapper's decision: the model that answers, and the reason."""

    tier: str
    """`medium`, `large`, or a model of the pool by name."""
    rule: str
    """The rule that decided: `budget`, `keyword`, `length`, `arithmetic` or `policy`."""
    detail: str
    """The reason why it applies, such as the keyword found."""


@dataclass(frozen=True)
class Mapper:
    """The loaded rules, which decide on the model of a query."""

    mapping: Mapping
    place: str
    """The file they come from, for messages."""

    @classmethod
    def load(cls, path: Path | str | None = None) -> Mapper:
        """Load the rules of a file, or those that come with the router.

        Raises a `DataError` with file, table and key where the file is no valid mapping.
        """
        place = _DEFAULT if path is None else str(path)
        try:
            return cls.parse(_text(path), place)
        except OSError as error:
            hint = "a TOML file; the router's own one is used where none is named"
            raise DataError(f"{place}: {error.strerror or error}", hint) from error
        except UnicodeDecodeError as error:
            raise DataError(f"{place}: not TOML: {error}") from error

    @classmethod
    def parse(cls, text: str, place: str) -> Mapper:
        """Parse the rules of a TOML text, such as a checkpoint's; `place` is named in errors."""
        try:
            return cls(Mapping.model_validate(parse_toml(text)), place)
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"{place}: not TOML: {error}") from error
        except ValidationError as error:
            raise DataError(*_explained(place, error)) from error

    def dump(self) -> str:
        """Return the rules as TOML for `parse`, to be stored in a checkpoint or an option."""
        import tomli_w

        return tomli_w.dumps(self.mapping.model_dump(exclude_none=True))

    def decide(self, policy: str, text: str, budget: Budget | None = None) -> Mapped:
        """Return the model for a query by the first rule that applies; the policy's is last.

        Without a budget there is no budget rule, and the decision depends only on the query and
        its policy.
        """
        rules = self.mapping
        if budget is not None and budget.reached(rules.budget.share):
            said = f"{_floor(budget.share)}% of the budget is spent"
            return Mapped(rules.budget.model, "budget", said)
        if rules.keywords and (found := self._keyword.search(text)):
            return Mapped(rules.keywords.model, "keyword", found.group())
        if rules.length and (count := len(text.split())) >= rules.length.words:
            return Mapped(rules.length.model, "length", f"{count} words")
        if rules.arithmetic and (found_sum := arithmetic(text)):
            return Mapped(rules.arithmetic.model, "arithmetic", found_sum)
        return self.static(policy)

    def static(self, policy: str) -> Mapped:
        """Return the model of a policy, whatever the query, as benchmarks do by default."""
        return Mapped(self.mapping.policies[policy], "policy", policy)

    def columns(self, models: Sequence[str], medium: int, large: int) -> dict[str, int]:
        """Return the column in the pool of every model that the file names.

        Raises a `DataError` with file, table and key for a model that is not in the pool.
        """
        pair = dict(zip(PAIR, (medium, large), strict=True))
        found = {}
        for where, name in self._named():
            if name not in pair and name not in models:
                raise DataError(
                    f"{self.place}: {where}: no model {name!r} in this pool",
                    did_you_mean(name, [*PAIR, *models]),
                )
            found[name] = pair[name] if name in pair else list(models).index(name)
        return found

    def _named(self) -> list[tuple[str, str]]:
        rules = self.mapping
        tables = (rules.budget, rules.keywords, rules.length, rules.arithmetic)
        names = ("budget", "keywords", "length", "arithmetic")
        found = [
            (f"{name}.model", table.model)
            for name, table in zip(names, tables, strict=True)
            if table is not None
        ]
        return [*found, *((f"policies.{key}", name) for key, name in rules.policies.items())]

    @cached_property
    def _keyword(self) -> re.Pattern[str]:
        assert self.mapping.keywords is not None
        words = ("\\s+".join(map(re.escape, w.split())) for w in self.mapping.keywords.words)
        # Not \b, which finds no word boundary after "c++".
        return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _text(path: Path | str | None) -> str:
    if path is not None:
        return Path(path).read_text(encoding="utf-8")
    return resources.files(__package__).joinpath(_DEFAULT).read_text(encoding="utf-8")


def _floor(share: float) -> int:
    """Return a share as per cent, rounded down: 89.9 is not yet 90."""
    return math.floor(100 * share + 1e-6)


def _explained(place: str, error: ValidationError) -> tuple[str, str]:
    """Return a message on the first error with its place in the file, and a hint."""
    detail = error.errors()[0]
    where = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "extra_forbidden":
        *table, key = (str(step) for step in detail["loc"])
        inside: type[BaseModel] = _TABLES[table[0]] if table else Mapping
        kind = "key" if table else "table"
        return f"{place}: {where}: no such {kind}", did_you_mean(key, inside.model_fields)
    given = "" if detail["type"] in ("missing", "value_error") else f" (got {detail['input']!r})"
    return f"{place}: {where}: {problem(detail)}{given}", ""


_TABLES: dict[str, type[BaseModel]] = {
    "budget": Spending,
    "keywords": Keywords,
    "length": Length,
    "arithmetic": Arithmetic,
}
