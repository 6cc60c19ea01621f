from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from routebench.errors import OptionError, PluginError
from routebench.plugin.options import describe, parse, validate


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Plugin:
    class Options(BaseModel):
        depth: int = Field(3, ge=1, le=9, description="how deep")
        rate: float | None = Field(None, gt=0, lt=0.5, description="how fast")
        kind: Literal["a", "b"] = "a"
        colour: Colour = Colour.RED
        names: list[str] = Field(default_factory=list)
        model: str


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("5.0", 5.0),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"5"', "5"),
        ("five", "five"),
        ("a=b", "a=b"),
        ("/path/to.file", "/path/to.file"),
        (" 5 ", 5),
        ("", ""),
    ],
)
def test_values(text: str, value: Any) -> None:
    (parsed,) = parse([f"knn.k={text}"]).values()
    assert parsed == {"k": value}
    assert type(parsed["k"]) is type(value)


def test_names() -> None:
    # The last dot separates: labels and names may have dots of their own.
    found = parse(["a.x=1", "a.y=2", "b@v1.5.x=3", "a.x=4"])
    assert found == {"a": {"x": 4, "y": 2}, "b@v1.5": {"x": 3}}


@pytest.mark.parametrize("text", ["k=5", "knn.k", ".k=5", "knn.=5", "=5", ""])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected NAME\.OPTION=VALUE"):
        parse([text])


def test_valid_values_are_filled_up_with_defaults() -> None:
    options = validate(Plugin, "p", {"model": "m", "rate": 0.25})
    assert options.model_dump(mode="json") == {
        "depth": 3,
        "rate": 0.25,
        "kind": "a",
        "colour": "red",
        "names": [],
        "model": "m",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "p.model: is missing"),
        ({"model": "m", "depth": 10}, "p.depth: must be at most 9 (got 10)"),
        ({"model": "m", "rate": 0.5}, "p.rate: must be below 0.5 (got 0.5)"),
        ({"model": "m", "kind": "C_D"}, "p.kind: must be 'a' or 'b' (got 'C_D')"),
        ({"depth": 0, "model": "m", "rate": "X"}, "p.depth: "),
        ({"depth": 0, "model": "m", "rate": "X"}, "; p.rate: "),
        ({"model": "m", "names": ["a", 3]}, "p.names.1: must be a text (got 3)"),
    ],
)
def test_wrong_values_name_option_and_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        validate(Plugin, "p", values)
    assert message in raised.value.message
    assert raised.value.hint == "routebench plugins p"


def test_unknown_option_has_a_hint() -> None:
    with pytest.raises(OptionError, match="p has no option 'detph'") as raised:
        validate(Plugin, "p", {"detph": 3})
    assert raised.value.hint == "did you mean depth?"


@pytest.mark.parametrize("plugin", [object, type("Odd", (), {"Options": dict})])
def test_a_class_without_options_is_no_plugin(plugin: type) -> None:
    with pytest.raises(PluginError, match=r"p: .* no pydantic model named Options"):
        validate(plugin, "p", {})
    with pytest.raises(PluginError, match=f"{plugin.__name__}: .* no pydantic model named Options"):
        describe(plugin)


def test_description() -> None:
    described = {each["option"]: each for each in describe(Plugin)}
    assert list(described) == ["depth", "rate", "kind", "colour", "names", "model"]
    assert described["depth"] == {
        "option": "depth",
        "type": "integer",
        "default": 3,
        "bounds": ">= 1, <= 9",
        "help": "how deep",
    }
    assert described["rate"]["type"] == "number | null"
    assert described["rate"]["bounds"] == "> 0, < 0.5"
    assert described["rate"]["default"] is None
    assert described["kind"]["type"] == "a | b"
    assert described["colour"]["type"] == "red | blue"
    assert described["names"]["type"] == "list of string"
    assert described["names"]["default"] == "computed"
    assert described["model"]["default"] == "required"
