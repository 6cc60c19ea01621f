"""The flow picture of routers that see answers: shares, places, and names that are no markup."""

from __future__ import annotations

import numpy as np
import pytest
from libraries import needed

from routebench.report.web import flow as drawing
from routebench.report.web.flow import Way, flow, ways
from routebench.report.web.templates import Templates

needed("jinja2")

EVIL = '<script>alert(1)</script>"'


def way(*asked: str, share: float, accuracy: float = 0.5) -> Way:
    """Return a way; `asked` are the rounds, `a+b` for two models at once."""
    return Way(tuple(tuple(each.split("+")) for each in asked), share, share * accuracy)


PAIR = [
    way("a+b", share=0.5, accuracy=0.9),
    way("a+b", "c", share=0.3, accuracy=0.6),
    way("a+b", "d", share=0.1, accuracy=0.2),
    way("d", share=0.1, accuracy=0.4),
]


def test_who_is_asked_what_stops_and_what_goes_on() -> None:
    first, second = flow(PAIR)["rounds"]
    assert first["head"] == "Asked first: 100.0% of queries"
    assert [(line["text"], line["share"]) for line in first["lines"]] == [
        ("a + b", "90.0%"),
        ("d", "10.0%"),
        ("stop here, accuracy 81.7%", "60.0%"),  # (.5 * .9 + .1 * .4) / .6
    ]
    assert second["head"] == "Then asked, round 2: 40.0% of queries"
    assert [(line["text"], line["share"]) for line in second["lines"]] == [
        ("c", "30.0%"),
        ("d", "10.0%"),
        ("stop here, accuracy 50.0%", "40.0%"),
    ]


def test_a_block_stands_under_the_one_that_its_queries_came_from() -> None:
    made = flow(PAIR)
    first, second = made["rounds"]
    places = {rect["title"]: rect for rect in first["blocks"]}
    pair, on, stop = (places[f"a + b{of}"] for of in (", 90.0%", ": go on, 40.0%", ": stop, 50.0%"))
    assert (pair["x"], pair["width"]) == (0, pytest.approx(0.9 * made["width"]))
    assert (on["x"], on["width"]) == (0, pytest.approx(0.4 * made["width"]))
    assert stop["x"] == pytest.approx(on["width"])
    assert stop["width"] == pytest.approx(0.5 * made["width"])
    bars = [rect for rect in second["blocks"] if ":" not in rect["title"]]
    assert sum(bar["width"] for bar in bars) == pytest.approx(on["width"])
    assert {bar["y"] for bar in bars} == {on["y"] + on["height"]}
    again = next(rect["kind"] for rect in second["blocks"] if rect["title"] == "d, 10.0%")
    assert places["d, 10.0%"]["kind"] == again, "one set of models has one colour"
    for rect in (*first["blocks"], *second["blocks"]):
        assert rect["x"] + rect["width"] <= made["width"] + 0.01
        assert rect["y"] + rect["height"] <= made["height"]


def test_rare_ways_are_added_up_and_none_is_lost() -> None:
    n = drawing.LINES + 2
    rare = [way("a", f"r{i}", "z", share=0.001) for i in range(100)]
    made = flow([way("a", f"m{i}", share=0.9 / n) for i in range(n)] + rare)
    first, second, third = made["rounds"]
    assert [line["text"] for line in first["lines"]] == ["a"]
    assert [line["text"] for line in second["lines"][-2:]] == [
        "others",
        "stop here, accuracy 50.0%",
    ]
    assert second["lines"][-2]["share"] == f"{0.1 + 2 * 0.9 / n:.1%}"
    bars = [rect for rect in second["blocks"] if ":" not in rect["title"]]
    assert len(bars) == n + 1
    assert bars[-1]["title"] == "others, 10.0%"
    assert sum(bar["width"] for bar in bars) == pytest.approx(made["width"], abs=0.1)
    (bar,) = (rect for rect in third["blocks"] if ":" not in rect["title"])
    assert (bar["title"], bar["x"]) == ("z, 10.0%", bars[-1]["x"])


def test_the_ways_are_counted_over_seeds_and_queries() -> None:
    asked = np.array([[[1, 1, 0], [1, 1, 2]], [[1, 1, 0], [0, 1, 0]]], dtype=np.int8)
    found = ways(asked, np.array([[1.0, 0.0], [0.5, 1.0]]), ("a", "b", "c"))
    assert sorted(found, key=lambda each: -each.share)[0] == Way((("a", "b"),), 0.5, 0.375)
    assert {(each.asked, each.share, each.right) for each in found} == {
        ((("a", "b"),), 0.5, 0.375),
        ((("a", "b"), ("c",)), 0.25, 0.0),
        ((("b",),), 0.25, 0.25),
    }


def test_names_are_cut_and_are_no_markup() -> None:
    long = EVIL + "x" * 80
    made = flow([way(long, share=1.0)])
    line = made["rounds"][0]["lines"][0]
    assert len(line["short"]) < len(long) == len(line["text"])
    pair = flow([way(f"{'l' * 30}1+{'m' * 30}2", share=1.0)])["rounds"][0]["lines"][0]["short"]
    assert len(pair) <= 40
    assert pair.endswith("2")
    assert "1 + m" in pair
    environment = Templates("a test")._environment
    macro = environment.get_template("parts.html").module.flow
    told = str(macro({"router": EVIL, **made}))
    assert "<script" not in told
    assert told.count("&lt;script&gt;") >= 4
    assert told.count("<svg") == told.count("</svg>") == 1
