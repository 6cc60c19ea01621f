"""The order of arrival, and what drifts half way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import long_table

from routebench.data.long_table import from_long
from routebench.data.splits import SHARES, TEST, make_split
from routebench.errors import DataError, OptionError
from routebench.online import stream
from routebench.online.settings import StreamSettings
from routebench.records import SuiteData

N = 60


def table(**columns: Any) -> pa.Table:
    scores = np.random.default_rng(0).integers(2, size=(N, 3)).astype(float)
    return long_table(scores, [f"what is the number {i * 7919}" for i in range(N)], **columns)


def suite(given: pa.Table | None = None) -> SuiteData:
    return from_long(given or table(), name="t", source="recorded", place="t.csv")


def made(data: SuiteData, seeds: int = 2, **settings: Any) -> tuple[Any, Any, Any]:
    chosen = StreamSettings(**settings)
    split = make_split(data, "hash", None, 0, SHARES, "online")
    at = stream.arrivals(data, split, chosen, 0)
    return split, at, stream.make_stream(split, at, chosen, seeds)


def test_each_seed_has_an_order_of_its_own_over_the_test_part() -> None:
    split, _, one = made(suite())
    n = int((split.codes[0] == TEST).sum())
    assert (len(one), one.by, one.later) == (n, "seed", None)
    assert sorted(one.order(0)) == sorted(one.order(1)) == list(range(n))
    assert one.order(0).tolist() != one.order(1).tolist()


def test_recorded_times_order_all_seeds_alike() -> None:
    times = [f"2026-01-01T00:{i % 60:02}:00Z" for i in np.random.default_rng(1).permutation(N)]
    data = suite(table(asked_at=times))
    split, _, one = made(data)
    assert one.by == "time"
    assert one.order(0).tolist() == one.order(1).tolist()
    assert data.time is not None
    arrived = data.time[split.codes[0] == TEST][one.order(0)]
    assert (np.diff(arrived) > 0).all()
    assert made(data, order="seed")[2].by == "seed"
    with pytest.raises(OptionError, match="no column asked_at"):
        made(suite(), order="time")
    with pytest.raises(DataError, match=r"column asked_at: is no time"):
        suite(table(asked_at=["yesterday"] * N))


def test_two_models_change_places_half_way() -> None:
    data = suite()
    split, at, _ = made(data)
    drifted = stream.swapped(data, at, "a:c")
    one = stream.make_stream(split, at, StreamSettings(swap="a:c"), 2)
    assert one.later is not None
    assert one.change == len(one) - int(one.later.sum())
    for seed in range(2):
        assert not one.later[one.order(seed)[: one.change]].any(), "each half has its own order"
    rows = np.flatnonzero(split.codes[0] == TEST)
    before, after = data.outcomes.score, drifted.outcomes.score
    assert np.array_equal(after[rows[~one.later]], before[rows[~one.later]])
    assert np.array_equal(after[rows[one.later]], before[rows[one.later]][:, [2, 1, 0]])
    others = split.codes[0] != TEST
    assert np.array_equal(after[others], before[others]), "training saw the time before"
    for wrong in ("a", "a:z", "a:a"):
        with pytest.raises(OptionError, match="two models"):
            stream.swapped(data, at, wrong)


def test_a_later_table_of_the_same_queries() -> None:
    data = suite()
    _, at, _ = made(data)
    flipped = table().set_column(3, "score", pa.array(1 - table()["score"].to_numpy()))
    later = suite(flipped)
    drifted = stream.continued(data, later, at)
    rows = at.rows[at.later]
    assert np.array_equal(drifted.outcomes.score[rows], 1 - data.outcomes.score[rows])
    other = suite(table().slice(0, 30))
    with pytest.raises(DataError, match="are not there, such as"):
        stream.continued(data, other, at)


def test_wrong_settings_are_named() -> None:
    for items, message in (
        (["strat=warm"], "strat"),
        (["batch"], "expected batch=VALUE"),
        (["batch=0"], "batch"),
        (["start=hot"], "start"),
        (["batch=2", "batch=3"], "twice"),
        (["swap=a:b", "later=x.csv"], "two kinds of drift"),
    ):
        with pytest.raises(OptionError, match=message):
            StreamSettings.of(items)
    assert StreamSettings.of(["trade-off=2.5"]).trade_off == 2.5
