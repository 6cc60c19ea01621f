"""Per task, topic and user: gains and facets are resampled within each."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from worlds import big, router, run, setting


def test_gains_are_means_of_per_task_ratios() -> None:
    score = [[1, 1], [1, 0], [0, 1], [1, 1], [0, 1], [1, 1]]
    tasks = np.array(["x", "x", "y", "y", None, "y"], dtype=object)
    given = setting(score, [[1, 2]] * 6, facets={"task": tasks})
    mine = run(given, router([0, 0, 0, 0, 0, 0])).routers["mine"]
    # x: 1 against best .5, random .75; y: 2/3 against 1 and 5/6.
    assert mine.metrics["gain_at_best"].value == pytest.approx((2 + 2 / 3) / 2 - 1)
    assert mine.metrics["gain_at_random"].value == pytest.approx((1 / 0.75 + 0.8) / 2 - 1)
    assert {name: one.n for name, one in mine.by_task.items()} == {"x": 2, "y": 3}
    assert mine.by_task["y"].accuracy.value == pytest.approx(2 / 3)
    assert mine.by_task["x"].accuracy.low == pytest.approx(0.025**0.5)
    assert mine.by_task["y"].cost_per_1k.value == pytest.approx(1000)


def test_no_scored_query_has_a_task() -> None:
    tasks = np.array([None] * 4, dtype=object)
    given = setting([[1, 1], [0, 1], [1, 0], [0, 0]], facets={"task": tasks})
    mine = run(given, router([0, 1, 0, 1])).routers["mine"]
    assert mine.by_task == {}
    for name in ("gain_at_best", "gain_at_random"):
        assert mine.metrics[name].value is None
        assert mine.metrics[name].reason == "no scored query has a task"


def test_tasks_are_resampled_independently() -> None:
    half = big(200).outcomes
    names = np.array(["x"] * 200 + ["y"] * 200, dtype=object)
    both = big(400, facets={"task": names})
    both = dataclasses.replace(both, outcomes=half.take(np.tile(np.arange(200), 2)))
    one = big(200, facets={"task": names[:200]})
    width = []
    for given in (one, both):
        n = len(given.clusters)
        gain = run(given, router([1] * n), resamples=1000).routers["mine"].metrics["gain_at_best"]
        width.append(gain.high - gain.low)  # type: ignore[operator]
    assert width[0] / width[1] == pytest.approx(math.sqrt(2), rel=0.1)


def test_gain_over_a_task_the_reference_never_answers() -> None:
    tasks = np.array(["x", "x", "y", "y"], dtype=object)
    given = setting([[1, 1], [0, 1], [1, 0], [0, 0]], facets={"task": tasks})
    metrics = run(given, router([0, 0, 0, 0])).routers["mine"].metrics
    assert metrics["gain_at_best"].value is None
    assert metrics["gain_at_best"].reason == "a task on which the best single model scores 0"
    assert metrics["gain_at_random"].value is not None
    assert metrics["gain_at_random"].undefined == pytest.approx(0.25, abs=0.08)


def test_a_facet_of_very_many_values_is_left_out() -> None:
    many = np.array([f"{i % 201}" for i in range(402)], dtype=object)
    few = np.array([f"{i % 2}" for i in range(402)], dtype=object)
    given = big(402, facets={"task": many, "user": many, "topic": few})
    mine = run(given, router([0] * 402), resamples=50).routers["mine"]
    assert mine.by_user == mine.by_task == {}
    assert set(mine.by_topic) == {"0", "1"}
    assert mine.metrics["gain_at_best"].reason == "more than 200 tasks"


def test_facet_intervals_are_as_wide_as_their_own_queries_make_them() -> None:
    topic = np.array(["small"] * 100 + ["large"] * 300, dtype=object)
    mine = run(big(facets={"topic": topic}), router([0] * 400)).routers["mine"]
    width = {k: f.accuracy.high - f.accuracy.low for k, f in mine.by_topic.items()}  # type: ignore[operator]
    assert width["small"] / width["large"] == pytest.approx(math.sqrt(3), rel=0.2)
