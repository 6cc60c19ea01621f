"""Plugin options: pydantic models, set by `NAME.OPTION=VALUE`, described for people."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from routebench.errors import OptionError, PluginError, did_you_mean, problem


def parse(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse `["knn.k=5"]` into `{"knn": {"k": 5}}`; values are TOML, else strings."""
    parsed: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        plugin, dot, option = path.strip().rpartition(".")
        if not (equals and dot and plugin and option):
            raise OptionError(f"--set {assignment!r}: expected NAME.OPTION=VALUE")
        parsed.setdefault(plugin, {})[option] = _value(text.strip())
    return parsed


def validate(plugin: Any, name: str, values: dict[str, Any]) -> BaseModel:
    """Return the plugin's `Options` with `values`; raise `OptionError` naming a wrong one."""
    model = _model(plugin, name)
    known = {field.alias or key for key, field in model.model_fields.items()}
    for option in values:
        if option not in known:
            raise OptionError(f"{name} has no option {option!r}", did_you_mean(option, known))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise OptionError(explain(error, f"{name}."), f"routebench plugins {name}") from error


def preset(plugin: Any, profile: str) -> dict[str, Any]:
    """Return the option values a plugin has for a profile; none for the default one."""
    return dict(getattr(plugin, "presets", {}).get(profile, {}))


def first(plugin: Any, name: str) -> str:
    """Return the name of the plugin's first option, which `NAME:ARGUMENT` fills."""
    fields = list(_model(plugin, name).model_fields)
    if not fields:
        raise OptionError(f"{name} takes no argument after the colon")
    return fields[0]


def explain(error: ValidationError, prefix: str = "") -> str:
    """Explain a pydantic error in one line: the option, the problem and the given value."""
    found: dict[tuple[str, str], list[str]] = {}
    for detail in error.errors():
        place = prefix + ".".join(str(step) for step in detail["loc"] if not _is_branch(step))
        place = place.replace("_", "-") if prefix == "--" else place
        given = "" if detail["type"] == "missing" else f" (got {detail['input']!r})"
        found.setdefault((place.rstrip("."), given), []).append(problem(detail))
    return "; ".join(
        f"{place}: {' or '.join(dict.fromkeys(problems))}{given}"
        for (place, given), problems in found.items()
    )


def _is_branch(step: str | int) -> bool:
    """Return whether a step of a place is pydantic's name for one of several types, or a key."""
    return isinstance(step, str) and bool(re.search(r"[\[\]()]|^(constrained|function)-", step))


def describe(plugin: Any) -> list[dict[str, Any]]:
    """Describe every option by type, default, bounds and help, as plain values."""
    described = []
    schema = _model(plugin, plugin.__name__).model_json_schema()
    required = schema.get("required", [])
    for name, facts in schema.get("properties", {}).items():
        described.append(
            {
                "option": name,
                "type": _type(facts, schema),
                "default": "required" if name in required else facts.get("default", "computed"),
                "bounds": _bounds(facts),
                "help": facts.get("description", ""),
            }
        )
    return described


def _model(plugin: Any, name: str) -> type[BaseModel]:
    model = getattr(plugin, "Options", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"{name}: the plugin class has no pydantic model named Options")
    return model


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _type(facts: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in facts:
        facts = schema["$defs"][facts["$ref"].rsplit("/", 1)[-1]]
    if "enum" in facts:
        return " | ".join(map(str, facts["enum"]))
    if "const" in facts:
        return str(facts["const"])
    if "anyOf" in facts:
        return " | ".join(_type(each, schema) for each in facts["anyOf"])
    if facts.get("type") == "array":
        return f"list of {_type(facts.get('items', {}), schema)}"
    return str(facts.get("type", "any"))


_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def _bounds(facts: dict[str, Any]) -> str:
    branches = [facts, *facts.get("anyOf", [])]
    limits = [f"{sign} {b[key]:g}" for b in branches for key, sign in _SIGNS.items() if key in b]
    return ", ".join(limits)
