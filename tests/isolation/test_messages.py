"""Messages between a run and its jobs: written and read back, and nothing else is read."""

from __future__ import annotations

import json

import pytest

from routebench.isolation.messages import (
    Access,
    Broken,
    Describe,
    Described,
    Encode,
    Failed,
    Fit,
    Fitted,
    Progress,
    Refused,
    Report,
    Route,
    Routed,
    Start,
    VectorsMade,
    read,
    write,
)
from routebench.plugin.discovery import PluginInfo

PLUGIN = PluginInfo("router", "knn", "some.module:KNN", "some-package", "1.2", ["torch>=2"])
ORDERS = [
    Fit("knn@a", PLUGIN, {"k": 3}, 1, "tfidf-svd", {}, None, "cpu", {"cost": 0.5}, "/kept"),
    Route("knn", PLUGIN, {"is": "an option's name"}, ["a", "b"]),
    Describe("knn", PLUGIN, {"order": 1, "answer": {}}, "paper", pool={"models": ["a"]}),
    Encode("hf", {"model": "x"}, "cuda:1"),
]
ANSWERS = [
    Fitted({"fit_seconds": 0.5}, {"layers": 2}),
    Routed({}, {"plugin": "what a router says of itself"}, True),
    Described({"k": 3}, None, False, True, dimension=8),
    VectorsMade([0.1, 0.2]),
    Refused("--set knn.k: too small", "1 at least"),
    Broken("knn cannot be imported", ""),
    Failed("fit: ValueError: \ud800 \n", "Traceback …", timed_out=True),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_orders_come_back_as_they_were(order: Fit | Route | Describe | Encode) -> None:
    sent = Start(order, "/jobs/fit", ["/data"], Access(["suite"], True, False, "/kept"))
    line = write(sent)
    assert "\n" not in line
    assert read(line) == sent


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_answers_come_back_as_they_were(answer: Fitted) -> None:
    sent = Report(answer, "landlock", ["UserWarning: odd"])
    assert read(write(sent)) == sent
    assert read(write(Progress(0.5, "epoch 1"))) == Progress(0.5, "epoch 1")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "loss 0.3",
        "[1, 2]",
        '{"done": 0.5, "note": ""}',
        '{"is": "Nothing"}',
        '{"is": "Progress", "done": 0.5}',
        '{"is": "Progress", "done": 0.5, "note": "", "more": 1}',
        '{"is": "Report", "answer": {"is": "Fitted"}}',
        '{"is": "Report", "answer": 3}',
        '{"is": "Fitted", "timing": {}, "facts": {}}',
        '{"is": ["Progress"]}',
        "[" * 100_000,
    ],
)
def test_what_a_router_prints_is_no_message(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a message|Expecting"):
        read(line)


def test_an_answer_of_the_wrong_kind_is_no_message() -> None:
    order = json.loads(write(Start(ORDERS[3], "", [], Access())))["order"]
    with pytest.raises(ValueError, match="not a message"):
        read(json.dumps({"is": "Report", "answer": order}))
