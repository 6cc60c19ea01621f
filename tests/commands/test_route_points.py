"""`routebench route --point`: a trained router decides as the run did at that point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import SMALL, edit_board, finish, price_list, put

from routebench.board.assemble import assemble_decisions
from routebench.board.read_run import Stored, read_run
from routebench.board.trained import TrainedRouter
from routebench.data.splits import TEST
from routebench.metrics.points.asked import AskedPoints
from routebench.verify import recompute

Main = Callable[..., tuple[int, str, str]]
QUERIES, FOLDS = 1050, 3
ASKED = ("savings=40%", "drop=2pp", "cost=0.2")
NAMES = ("same-accuracy", "within-1pp", *ASKED)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("points")
    table = planted(QUERIES)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    return finish(
        home / "run",
        suite=put(home, table),
        prices=price_list(home),
        router=("knn", "linear", "prompt-length", "best-single"),
        folds=FOLDS,
        perturb=0,
        point=ASKED,
        set=SMALL,
    )


@pytest.fixture(scope="module")
def stored(done: Path) -> Stored:
    return read_run(done)


def texts_of(done: Path) -> dict[str, str]:
    """Return the text of each query by its key in the run's tables."""
    long = pq.read_table(done.parent / "outcomes.parquet").to_pylist()
    texts = {row["query_id"]: row["query"] for row in long}
    cells = pq.read_table(done / "cells.parquet", columns=["query", "query_id"]).to_pylist()
    return {cell["query"]: texts[cell["query_id"]] for cell in cells}


@pytest.mark.parametrize("router", ["knn", "linear", "prompt-length"])
def test_it_decides_as_the_run_did_at_every_point(done: Path, stored: Stored, router: str) -> None:
    entrants = {row.router: recompute._entrant(row, stored) for row in stored.board.rows}
    results = recompute._results(stored, stored.setup, entrants)
    jobs = [(job, result) for job, result in results.items() if job.label == router]
    asked = AskedPoints.of(ASKED, "1pp")
    run = assemble_decisions(stored.setup, router, jobs, asked.points)
    texts, keys = texts_of(done), stored.setup.data.keys
    assert set(run.points) == set(NAMES)
    for name in (*NAMES, "most-accurate"):
        then = run.choice[0] if name == "most-accurate" else run.points[name][0][0]
        now = []
        for fold in range(FOLDS):
            rows = stored.setup.rows(fold, TEST)
            trained = TrainedRouter.load(done, router, fold=fold, point=name)
            now.append(trained.route([texts[keys[row]] for row in rows]).choice)
        assert len(then) == QUERIES >= 1000
        assert np.array_equal(np.concatenate(now), then), name


def test_points_lead_to_different_decisions(done: Path, stored: Stored) -> None:
    texts = list(texts_of(done).values())[:60]
    chosen = {
        name: tuple(TrainedRouter.load(done, "knn", point=name).route(texts).choice)
        for name in ("most-accurate", "savings=40%")
    }
    assert len(set(chosen.values())) == 2
    row = next(row for row in stored.board.rows if row.router == "knn")
    assert set(row.points) == {*NAMES, "most-accurate"}
    assert all(len(row.points[name].lambdas) == FOLDS for name in NAMES)


def test_what_a_person_reads(done: Path, main: Main) -> None:
    code, out, err = main("route", done, "knn", "--point", "savings=40 %", "--fold", 1, "what")
    assert code == 0
    assert err.startswith("knn at savings=40%: λ ")
    assert err.endswith("score per USD; seed 0, fold 1\n")
    assert out.splitlines()[0].endswith("  what")
    code, out, _ = main("route", done, "knn", "--point", "within-1pp", "--json", "what")
    assert json.loads(out)["point"] == "within-1pp"
    code, _, err = main("route", done, "knn", "--point", "within-5pp", "what")
    assert code == 2
    assert "the router has cost=0.2, drop=2pp, most-accurate, same-accuracy, savings=40%" in err
    code, _, err = main("route", done, "knn", "--point", "within-1pp", "--budget", 5, "what")
    assert (code, "by its own choice, not at a point" in err) == (2, True)
    code, _, err = main("route", done, "best-single", "--point", "within-1pp", "what")
    assert code == 2
    assert "the router has most-accurate" in err


def test_one_fixed_model_stands_in(done: Path, main: Main, tmp_path: Path) -> None:
    place = done / "routers" / "linear" / "seed-0" / "fold-2" / "checkpoint" / "points.json"
    before = place.read_text()
    content = json.loads(before)
    content["points"]["within-1pp"] = {"model": "b"}
    try:
        place.write_text(json.dumps(content))
        words = ("route", done, "linear", "--point", "within-1pp", "--fold", 2, "a", "b c")
        code, out, err = main(*words)
        assert code == 0
        assert err == "linear at within-1pp: b; seed 0, fold 2\n"
        assert [line[:3] for line in out.splitlines()] == ["b  ", "b  "]
        # And whoever verifies the run is told.
        code, out, _ = main("verify", done)
        assert code == 1
        assert "points[linear, seed 0, fold 2].within-1pp" in " ".join(out.split())
        place.write_text("{")
        code, _, err = main("route", done, "linear", "--point", "within-1pp", "--fold", 2, "a")
        assert (code, "damaged" in err, "hint: " in err) == (2, True, True)
    finally:
        place.write_text(before)
    assert main("verify", done)[0] == 0


def test_a_verdict_that_was_edited_is_found(done: Path, main: Main) -> None:
    place = done / "leaderboard.json"
    before = place.read_text()

    def change(board: dict[str, Any]) -> None:
        row = next(row for row in board["rows"] if row["router"] == "knn")
        row["verdict"]["low"] += 0.01
        row["points"]["drop=2pp"]["metrics"]["accuracy"]["value"] += 0.01

    try:
        edit_board(done, change)
        code, out, _ = main("verify", done)
    finally:
        place.write_text(before)
    assert code == 1
    flat = "".join(out.split())
    assert "rows[knn].verdict.low" in flat
    assert "rows[knn].points[drop=2pp].metrics.accuracy.value" in flat


def test_asking_for_another_point_trains_nothing_again(
    done: Path, main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.glob("routers/*/*/*/job.json")}
    words = ("run", "--file", done / "run.toml", "--out", done, "--quiet", "--point", "savings=30%")
    code, _, err = main(*words)
    assert code == 0, err
    assert {p: p.stat().st_mtime_ns for p in done.glob("routers/*/*/*/job.json")} == before
    board = json.loads((done / "leaderboard.json").read_text())
    row = next(row for row in board["rows"] if row["router"] == "knn")
    assert set(row["points"]) == {"most-accurate", "same-accuracy", "within-1pp", "savings=30%"}
    assert main("route", done, "knn", "--point", "savings=30%", "a")[0] == 0
    assert main("verify", done)[0] == 0
