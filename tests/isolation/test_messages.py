"""Messages between a run and its jobs: written and read back, and nothing else is read."""

from __future__ import annotations

import json

import pytest

from routebench.isolation.lines import read, write
from routebench.isolation.messages import (
    Access,
    Broken,
    DescribeReply,
    DescribeRequest,
    EncodeReply,
    EncodeRequest,
    Failed,
    FitReply,
    FitRequest,
    ProgressUpdate,
    Refused,
    Reply,
    Report,
    Request,
    RouteReply,
    RouteRequest,
    Start,
)
from routebench.plugin.discovery import PluginInfo

PLUGIN = PluginInfo("router", "knn", "some.module:KNN", "some-package", "1.2", ("torch>=2",))
REQUESTS = [
    FitRequest("knn@a", PLUGIN, {"k": 3}, 1, "tfidf-svd", {}, None, "cpu", {"cost": 0.5}, "/kept"),
    RouteRequest("knn", PLUGIN, {"is": "an option's name"}, ["a", "b"]),
    DescribeRequest("knn", PLUGIN, {"request": 1, "reply": {}}, "paper", pool={"models": ["a"]}),
    EncodeRequest("hf", {"model": "x"}, "cuda:1"),
]
REPLIES = [
    FitReply({"fit_seconds": 0.5}, {"layers": 2}),
    RouteReply({}, {"plugin": "what a router says of itself"}, True),
    DescribeReply({"k": 3}, None, False, True, dimension=8),
    EncodeReply([0.1, 0.2]),
    Refused("--set knn.k: too small", "1 at least"),
    Broken("knn cannot be imported", ""),
    Failed("fit: ValueError: \ud800 \n", "Traceback …", timed_out=True),
]


@pytest.mark.parametrize("given", REQUESTS, ids=lambda given: type(given).__name__)
def test_requests_come_back_as_they_were(given: Request) -> None:
    sent = Start(given, "/jobs/fit", ["/data"], Access(["suite"], True, False, "/kept"))
    line = write(sent)
    assert "\n" not in line
    assert read(line) == sent


@pytest.mark.parametrize("given", REPLIES, ids=lambda given: type(given).__name__)
def test_replies_come_back_as_they_were(given: Reply) -> None:
    sent = Report(given, "landlock", ["UserWarning: odd"])
    assert write(read(write(sent))).replace("\\\\ud", "\\ud") == write(sent)
    assert read(write(ProgressUpdate(0.5, "epoch 1"))) == ProgressUpdate(0.5, "epoch 1")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "loss 0.3",
        "[1, 2]",
        '{"done": 0.5, "note": ""}',
        '{"is": "Nothing"}',
        '{"is": "ProgressUpdate", "done": 0.5}',
        '{"is": "ProgressUpdate", "done": 0.5, "note": "", "more": 1}',
        '{"is": "Report", "reply": {"is": "FitReply"}}',
        '{"is": "Report", "reply": 3}',
        '{"is": "FitReply", "timing": {}, "facts": {}}',
        '{"is": ["ProgressUpdate"]}',
        '{"is": "ProgressUpdate", "done": NaN, "note": ""}',
        '{"is": "Used", "cpu_seconds": -1, "peak_rss_bytes": 5}',
        *(
            json.dumps(
                {"is": "Report", "reply": {"is": "FitReply", "timing": timing, "facts": facts}}
            )
            for timing, facts in (
                ({"fit_seconds": -1}, {}),
                ({"fit_seconds": float("nan")}, {}),
                ({"fit_seconds": "fast"}, {}),
                ({}, {"layers": float("inf")}),
                ({}, {"layers": [1]}),
                ({}, {"layers": "x" * 20_000}),
                ({}, {str(n): n for n in range(200)}),
            )
        ),
        "[" * 100_000,
    ],
)
def test_what_a_router_prints_is_no_message(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a message|Expecting"):
        read(line)


def test_a_reply_of_the_wrong_kind_is_no_message() -> None:
    request = json.loads(write(Start(REQUESTS[3], "", [], Access())))["request"]
    with pytest.raises(ValueError, match="not a message"):
        read(json.dumps({"is": "Report", "reply": request}))
