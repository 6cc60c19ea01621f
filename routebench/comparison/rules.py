"""The rules of a gate: its metrics, margins and guards, read from `gate.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.limits import parse_toml
from routebench.metrics.points.point import Point
from routebench.plugin.options import explain
from routebench.schema import BEST_SINGLE, COLLAPSE, RANDOM, StrictModel

Metric = str
"""One of `METRICS`, or `accuracy` or `savings` at an operating point: `savings@within-1pp`."""
Policy = Literal["off", "warn", "fail"]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Margin = Literal["auto"] | Share
METRICS: tuple[Metric, ...] = ("accuracy", "cost", "reward")
AT_POINT = ("accuracy", "savings")
"""What can be gated at an operating point."""
AUTO = "auto"


class Margins(StrictModel):
    """The loss that is accepted; `auto` takes what the comparison can detect (its MDE)."""

    accuracy: Margin = Field(0.01, description="share of queries")
    cost: Margin = Field(0.02, description="of the baseline's total cost")
    reward: Margin = Field(0.01, description="in units of the reward")
    savings: Margin = Field(0.02, description="at a point, of best-single's cost")
    latency: Share = Field(0.10, description="of the baseline's p95 latency; only warned of")
    at: dict[str, Margin] = Field(
        {}, description="of one metric at one point: `savings@within-1pp`"
    )

    def of(self, metric: Metric) -> float | Literal["auto"]:
        """Return the margin of a metric; at a point its own, or that of the metric elsewhere."""
        if metric in self.at:
            return self.at[metric]
        margin: float | Literal["auto"] = getattr(self, split(metric)[0])
        return margin


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


class Verdicts(StrictModel):
    """The guard of proven verdicts: a router that was within the margin, and is not any more."""

    policy: Policy = "warn"


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
    verdict: Verdicts = Field(
        Verdicts(), description="proven in the baseline, and not in the candidate"
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

    @field_validator("metrics")
    @classmethod
    def _known(cls, given: tuple[Metric, ...]) -> tuple[Metric, ...]:
        return tuple(map(named, given))


def split(metric: Metric) -> tuple[str, str | None]:
    """Return what a metric measures, and the operating point it does so at; None elsewhere.

    >>> split("savings@within-1pp")
    ('savings', 'within-1pp')
    """
    measure, at, point = metric.partition("@")
    return measure, point if at else None


def named(metric: str) -> Metric:
    """Return a metric by its name as boards write it; a `ValueError` for none."""
    measure, point = split(metric.strip())
    if point is None:
        if measure not in METRICS:
            known = f"{', '.join(METRICS)}, or {' or '.join(AT_POINT)} at a point"
            raise ValueError(f"no such metric: {metric} ({known}: savings@within-1pp)")
        return measure
    if measure not in AT_POINT:
        raise ValueError(f"{metric}: only {' and '.join(AT_POINT)} are gated at a point")
    try:
        return f"{measure}@{Point.parse(point).name}"
    except OptionError as error:
        raise ValueError(f"{metric}: no such point; {error.hint}") from error


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
        name, equals, value = text.rpartition("=")  # a point may hold another: savings=40%
        if not equals and value != AUTO:
            raise OptionError(f"--margin {text!r}: expected METRIC=VALUE, METRIC=auto or auto")
        known = {*Margins.model_fields} - {"at"}
        if "@" in name:
            try:
                margins[named(name)] = value
            except ValueError as error:
                raise OptionError(f"--margin {text!r}: {error}") from error
            continue
        if equals and name not in known:
            raise OptionError(f"--margin {text!r}: no such metric", did_you_mean(name, known))
        for metric in [name] if equals else (*METRICS, "savings"):
            margins[metric] = value
    return margins


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Complete guards of which only the policy or only the limit is given; sort margins."""
    margins = values.get("margins")
    if isinstance(margins, dict):
        at = {name: margin for name, margin in margins.items() if "@" in name}
        rest = {name: margin for name, margin in margins.items() if "@" not in name}
        values = values | {"margins": rest | ({"at": at} if at else {})}
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
