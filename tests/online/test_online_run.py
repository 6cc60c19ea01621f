"""Whole online runs: what learns, what is said of it, and what verify makes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import long_table, noise, planted, read_board, rows
from runs import edit_board, finish, put

from routebench.errors import OptionError
from routebench.traffic.event_log import read_log
from routebench.traffic.logs.importing import import_logs
from routebench.traffic.propensities import misfits
from routebench.verify.verify import verify

LEARNERS = ("linucb", "thompson", "epsilon-greedy", "pilot")
SMALL = {"tfidf-svd": {"dimension": 8}}


def play(folder: Path, table: pa.Table, *routers: str, **options: Any) -> Path:
    suite = put(folder / "data", table)
    return finish(folder / "out", suite=suite, router=list(routers), protocol="online", **options)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    return play(
        folder, planted(1200), "linucb", "thompson", "best-single", seeds=2, show=["task"],
        set=SMALL,
    )  # fmt: skip


def test_learners_end_where_the_oracle_of_their_class_is(played: Path) -> None:
    board = read_board(played)
    for name in ("linucb", "thompson"):
        play = rows(board)[name]["online"]
        assert play["learns"]
        assert abs(play["late"]["oracle-of-class"]["value"]) < 0.01
        assert play["regret"]["best-single"]["high"] < -0.3
        first, last = play["curve"][0], play["curve"][-1]
        assert first["regret"]["oracle"]["value"] > 2 * last["regret"]["oracle"]["value"]
    frozen = rows(board)["best-single"]["online"]
    assert not frozen["learns"]
    assert "oracle-of-class" not in frozen["regret"]
    stream = board["online"]
    assert stream["queries"] == board["suite"]["queries"]["test"]
    assert (stream["order"], stream["start"], stream["change"]) == ("seed", "cold", None)


def test_verify_makes_the_regret_again(played: Path) -> None:
    found = verify(played)
    assert found.mismatches == []
    assert found.checked["regret of the online run"] > 500


@pytest.mark.slow
def test_a_changed_regret_is_found(played: Path) -> None:
    before = (played / "leaderboard.json").read_bytes()

    def better(board: dict[str, Any]) -> None:
        rows(board)["thompson"]["online"]["regret"]["oracle"]["value"] -= 0.01

    edit_board(played, better)
    paths = [one.path for _, one in verify(played).mismatches]
    (played / "leaderboard.json").write_bytes(before)
    assert "rows[thompson].online.regret.oracle.value" in paths


def test_off_policy_evaluation_reads_the_decisions(played: Path, tmp_path: Path) -> None:
    made = import_logs([played / "online.parquet"], tmp_path / "events.parquet")
    assert made.reader == "online-run"
    log = read_log(tmp_path / "events.parquet")
    board = read_board(played)
    assert len(log) == 3 * 2 * board["online"]["queries"]
    assert np.allclose(np.nansum(log.probability, axis=1), 1)
    assert misfits(log) == []
    table = pq.read_table(played / "online.parquet", filters=[("router", "==", "thompson")])
    assert 0.25 <= table["propensity"].to_numpy().mean() < 1


@pytest.mark.slow
def test_nobody_claims_anything_in_noise(tmp_path: Path) -> None:
    board = read_board(play(tmp_path, noise(500), *LEARNERS, seeds=2, set=SMALL))
    for name in LEARNERS:
        assert rows(board)[name]["online"]["regret"]["best-single"]["high"] >= 0, name
        against = rows(board)[name]["against"]["best-single"]["accuracy"]
        assert against["p"] > 0.05 or against["value"] < 0, name


@pytest.mark.slow
def test_a_drift_is_followed_by_who_forgets(tmp_path: Path) -> None:
    """Model a is right nine times in ten until half way, then b is."""
    rng = np.random.default_rng(0)
    right = rng.random((1200, 2)) < [0.9, 0.1]
    texts = [f"question {rng.integers(10**12)}" for _ in right]
    out = play(
        tmp_path, long_table(right, texts), "thompson@forgets", "best-single",
        online=["swap=a:b", "batch=4", "delay=2"],
        set=SMALL | {"thompson@forgets": {"discount": 0.97}},
    )  # fmt: skip
    board = read_board(out)
    late = {name: row["online"]["late"]["oracle"]["value"] for name, row in rows(board).items()}
    assert late["best-single"] > 0.6
    assert late["thompson@forgets"] < 0.2
    stream = board["online"]
    assert stream["best_single_by_part"] == ["a", "b"]
    assert (stream["batch"], stream["delay"]) == (4, 2)
    assert stream["change"] == stream["queries"] // 2
    assert verify(out).mismatches == []


@pytest.mark.slow
def test_a_warm_start_begins_where_training_ends(tmp_path: Path) -> None:
    table = planted(400)
    first = {}
    for start in ("cold", "warm"):
        out = play(
            tmp_path / start, table, "thompson", show=["task"], online=[f"start={start}"], set=SMALL
        )
        play_of = rows(read_board(out))["thompson"]["online"]
        first[start] = play_of["curve"][1]["regret"]["oracle"]["value"]
    assert first["warm"] < first["cold"] - 0.1


@pytest.mark.slow
def test_costs_count_where_they_are_weighed(tmp_path: Path) -> None:
    """Two models equally good, one dear: λ makes the cheap one the choice."""
    rng = np.random.default_rng(0)
    n = 400
    table = long_table(rng.random((n, 2)) < 0.7, [f"q {rng.integers(10**12)}" for _ in range(n)])
    priced = table.append_column("cost_usd", pa.array(np.tile([0.01, 0.001], n)))
    routers = ("epsilon-greedy", "thompson", "linucb")
    out = play(tmp_path, priced, *routers, online=["trade_off=30"], set=SMALL)
    for name in routers:
        assert rows(read_board(out))[name]["usage"]["b"] > 0.7, name
    with pytest.raises(OptionError, match="no costs"):
        play(tmp_path / "free", table, "thompson", online=["trade_off=30"])
