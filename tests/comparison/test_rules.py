"""gate.toml: defaults, what may be left out, and what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from routebench.comparison.rules import Rules, make, parse_margins, read
from routebench.errors import DataError, OptionError


def test_defaults() -> None:
    rules = Rules()
    assert rules.margins.model_dump() == {
        "accuracy": 0.01,
        "cost": 0.02,
        "reward": 0.01,
        "savings": 0.02,
        "latency": 0.10,
        "at": {},
    }
    assert rules.inconclusive == "report"
    assert rules.guards.collapse.limit == 0.95
    assert make({}) == rules


def test_a_guard_may_be_given_in_part() -> None:
    rules = make({"guards": {"drift": "fail", "collapse": {"limit": 0.9}}})
    assert rules.guards.drift.policy == "fail"
    assert rules.guards.drift.limit == 0.1
    assert rules.guards.collapse.policy == "fail"
    assert rules.guards.collapse.limit == 0.9


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"margin": {}}, "margin"),
        ({"margins": {"acuracy": 0.1}}, "acuracy"),
        ({"margins": {"accuracy": -0.1}}, "margins.accuracy"),
        ({"margins": {"cost": float("nan")}}, "margins.cost"),
        ({"margins": {"latency": "auto"}}, "margins.latency"),
        ({"guards": {"drift": "never"}}, "guards.drift.policy"),
        ({"guards": {"drfit": "off"}}, "drfit"),
        ({"guards": 3}, "guards"),
        ({"inconclusive": "maybe"}, "inconclusive"),
        ({"metrics": ["speed"]}, "metrics"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        make(values)


def test_a_misspelt_option_has_a_hint() -> None:
    with pytest.raises(OptionError) as error:
        make({"margins": {"acuracy": 0.1}})
    assert error.value.hint == "did you mean accuracy?"


def test_margins_on_the_command_line() -> None:
    assert parse_margins(("auto", "cost=.05")) == {
        "accuracy": "auto",
        "reward": "auto",
        "savings": "auto",
        "cost": ".05",
    }
    assert make({"margins": parse_margins(("cost=.05",))}).margins.cost == 0.05
    for wrong in ("0.01", "speed=.1"):
        with pytest.raises(OptionError, match="--margin"):
            parse_margins((wrong,))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "gate.toml")
    (tmp_path / "gate.toml").write_text("margins = [")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "gate.toml")


def test_the_documented_rules_are_the_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    block = page.split("```toml\n", 1)[1].split("```", 1)[0]
    assert make(tomllib.loads(block)) == Rules()
