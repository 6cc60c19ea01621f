"""The rules of a gate: its metrics, margins and guards, read from `gate.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.limits import parse_toml
from routebench.plugin.options import explain
from routebench.schema import BEST_SINGLE, COLLAPSE, RANDOM, StrictModel

Metric = Literal["accuracy", "cost", "reward"]
Policy = Literal["off", "warn", "fail"]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Margin = Literal["auto"] | Share
METRICS: tuple[Metric, ...] = ("accuracy", "cost", "reward")
AUTO = "auto"


class Margins(StrictModel):
    """The loss that is accepted; `auto` takes what the comparison can detect (its MDE)."""

    accuracy: Margin = Field(0.01, description="share of queries")
    cost: Margin = Field(0.02, description="of the baseline's total cost")
    reward: Margin = Field(0.01, description="in units of the reward")
    latency: Share = Field(0.10, description="of the baseline's p95 latency; only warned of")


class Limited(StrictModel):
    """A guard with a limit."""

    policy: Policy
    limit: float = Field(ge=0, le=1)


class Against(StrictModel):
    """The guard against routers that are worse than a reference.

    A reference is one that the board computes, or any router of the run.
    """

    policy: Policy = "warn"
    references: tuple[str, ...] = (BEST_SINGLE, RANDOM)


class Guards(StrictModel):
    """The guards checked besides the metrics."""

    missing: Limited = Field(
        Limited(policy="fail", limit=0.01),
        description="share of a router's decisions for answers that failed or have no price",
    )
    collapse: Limited = Field(
        Limited(policy="fail", limit=COLLAPSE),
        description="share of one model, where the baseline's router was below it",
    )
    references: Against = Field(
        Against(), description="significantly worse than one of these, and no cheaper"
    )
    drift: Limited = Field(
        Limited(policy="warn", limit=0.1),
        description="Jensen–Shannon divergence of the models used, in bits",
    )


class Rules(StrictModel):
    """All of a gate's rules; every one has a default."""

    routers: tuple[str, ...] = Field((), description="which routers are gated; none named: all")
    metrics: tuple[Metric, ...] = Field(
        (), description="none named: the suite's measure, and cost where the run is priced"
    )
    inconclusive: Literal["pass", "fail", "report"] = Field(
        "report", description="exit code 0, 1 or 4 where the data cannot decide"
    )
    margins: Margins = Margins()
    guards: Guards = Guards()


def read(path: Path) -> dict[str, Any]:
    """Read the content of a rules file; a `DataError` where it is none."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from error


def make(values: dict[str, Any], place: str = "gate.toml") -> Rules:
    """Make rules from plain values. An `OptionError` names what is wrong with them."""
    try:
        return Rules.model_validate(_with_defaults(values))
    except ValidationError as error:
        unknown = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
        hint = did_you_mean(str(unknown[0][-1]), _names(unknown[0][:-1])) if unknown else ""
        raise OptionError(f"{place}: {explain(error)}", hint) from error


def parse_margins(given: tuple[str, ...]) -> dict[str, Any]:
    """Parse `["accuracy=.02", "auto"]` to margins by metric; a bare value is for all of them."""
    margins: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals and value != AUTO:
            raise OptionError(f"--margin {text!r}: expected METRIC=VALUE, METRIC=auto or auto")
        known = {*Margins.model_fields}
        if equals and name not in known:
            raise OptionError(f"--margin {text!r}: no such metric", did_you_mean(name, known))
        for metric in [name] if equals else METRICS:
            margins[metric] = value
    return margins


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Complete guards of which only the policy or only the limit is given."""
    guards = values.get("guards")
    if not isinstance(guards, dict):
        return values
    whole = Guards().model_dump()
    filled = {
        name: whole.get(name, {}) | ({"policy": guard} if isinstance(guard, str) else guard)
        for name, guard in guards.items()
        if isinstance(guard, str | dict)
    }
    return values | {"guards": guards | filled}


def _names(place: tuple[int | str, ...]) -> list[str]:
    """Return the options known at a place of the rules."""
    model: Any = Rules
    for step in place:
        model = model.model_fields[str(step)].annotation
    return list(model.model_fields)
