"""What travels with a job: no outcome that it does not need, and no file out of its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import planted
from runs import put

from routebench.data.splits import TEST, TRAIN, VALIDATION, make_split
from routebench.errors import DataError, RoutebenchError
from routebench.executors import shipped
from routebench.jobs.finished import Finished
from routebench.jobs.setup import Job, Setup
from routebench.plugin import discovery
from routebench.records import State, SuiteData
from routebench_suites.table import TableSuite


@pytest.fixture
def data(tmp_path: Path) -> SuiteData:
    path = Path(put(tmp_path, planted(90)).removeprefix("table:"))
    return TableSuite(TableSuite.Options(data=path)).load()


def test_outcomes_of_test_queries_stay(data: SuiteData) -> None:
    setup = Setup(data, make_split(data, folds=3), "tfidf-svd", {})
    for fold in range(3):
        sent = shipped.of_fold(setup, fold, tested=False)
        rows = setup.rows(fold, TEST)
        assert len(rows)
        assert np.isnan(sent.data.outcomes.score[rows]).all()
        assert (sent.data.outcomes.state[rows] == State.ABSENT).all()
        assert sent.data.references is None
        for code in (TRAIN, VALIDATION):
            ours, theirs = setup.table(fold, code), sent.table(fold, code)
            np.testing.assert_array_equal(ours.outcomes.score, theirs.outcomes.score)
            assert list(ours.queries.text) == list(theirs.queries.text)
    assert not np.isnan(data.outcomes.score).any()


@pytest.mark.parametrize("name", ["steps", "updates"])
def test_what_is_sold_or_revealed_goes_along(data: SuiteData, name: str) -> None:
    job = Job("one", discovery.find("router", "random"), {}, 0, 1, "", **{name: True})
    assert shipped.kind(job) == (1, True)
    assert shipped.kind(replace(job, **{name: False})) == (1, False)
    setup = Setup(data, make_split(data), "tfidf-svd", {})
    sent = shipped.of_fold(setup, 0, tested=True)
    np.testing.assert_array_equal(sent.data.outcomes.score, data.outcomes.score)


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.bin").write_bytes(b"\0\1")
    (tmp_path / "a" / "job.json").write_text("{}")
    packed = shipped.pack(tmp_path / "a")
    assert set(packed) == {"b/c.bin", "job.json"}
    shipped.unpack(packed, tmp_path / "again")
    assert shipped.pack(tmp_path / "again") == packed


@pytest.mark.parametrize("name", ["../outside", "/outside"])
def test_no_file_lies_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside"):
        shipped.unpack({name: b""}, tmp_path / "new")
    job = Job("random", discovery.find("router", "random"), {}, 0, 0, "")
    with pytest.raises(RoutebenchError, match="outside"):
        Finished(tmp_path / "routers").receive(job, {name: b""})
    assert [path.name for path in tmp_path.rglob("outside")] == []
