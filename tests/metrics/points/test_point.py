from __future__ import annotations

import pytest

from routebench.errors import OptionError
from routebench.metrics.points.point import Point


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("most-accurate", "most-accurate", 0),
        ("same-accuracy", "same-accuracy", 0),
        ("within-1pp", "within-1pp", 0.01),
        ("Within-.50PP", "within-0.5pp", 0.005),
        ("savings=40%", "savings=40%", 0.4),
        ("savings=33.3 %", "savings=33.3%", 0.333),
        ("drop=.5pp", "drop=0.5pp", 0.005),
        ("cost=$0.20", "cost=0.2", 0.2),
    ],
)
def test_a_name_is_read_and_written(text: str, name: str, value: float) -> None:
    point = Point.parse(text)
    assert (point.name, point.value) == (name, pytest.approx(value, abs=1e-15))
    assert Point.parse(point.name) == point


@pytest.mark.parametrize(
    "text", ["", "savings=40", "drop=1%", "cost=cheap", "within=1pp", "savings=101%", "drop=0pp"]
)
def test_another_name_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(OptionError, match="--point") as caught:
        Point.parse(text)
    assert "savings=40%" in caught.value.hint


def test_a_margin_names_the_point_of_the_verdict() -> None:
    assert Point.within(".5pp").name == "within-0.5pp"
    with pytest.raises(OptionError, match=r"--margin '1%'"):
        Point.within("1%")
