"""Verifying a run: what follows from its files passes, and nothing else."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import noise, planted
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_hash, edit_table, finish, graded, price_list, put

from routebench.verify.verify import alike, verify

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
Main = Callable[..., tuple[int, str, str]]
Kept = Callable[[str], Path]


def single(home: Path) -> dict[str, Any]:
    """One split, three-state grades, prices and recorded tokens, two baselines."""
    return {
        "suite": put(home, graded()),
        "judge": "exact",
        "prices": price_list(home),
        "router": ("knn", "random", "cheapest"),
        "against": ("knn",),
        "max_missing": 0.3,
    }


def folds(home: Path) -> dict[str, Any]:
    return {
        "suite": put(home, planted(150)),
        "router": ("knn", "random"),
        "folds": 3,
        "seeds": 3,
        "perturb": 0,
    }


def estimated(home: Path) -> dict[str, Any]:
    table = noise(80)
    return {"suite": put(home, table), "prices": price_list(home), "router": ("knn", "linear")}


def models(home: Path) -> dict[str, Any]:
    return {"suite": put(home, planted(150)), "router": ("best-single",), "folds": 3,
            "protocol": "llm"}  # fmt: skip


def users(home: Path) -> dict[str, Any]:
    home.mkdir(parents=True)
    path = write_csv(home / "router_user_data.csv", opposites(90))
    return {"suite": "personaroute", "data": str(path), "router": ("user-prior", "knn"), "folds": 3}


def newcomers(home: Path) -> dict[str, Any]:
    """Users unseen in training, who did not all ask the same."""
    chosen = users(home)
    place = Path(chosen["data"])
    with place.open(newline="") as file:
        head, *lines = csv.reader(file)
    asked = sorted({line[3] for line in lines})[:60]
    with place.open("w", newline="") as file:
        lines = [line for line in lines if line[0] != "u1" or line[3] in asked]
        csv.writer(file).writerows([head, *lines])
    return {k: v for k, v in chosen.items() if k != "folds"} | {"protocol": "user"}


def failed(home: Path) -> dict[str, Any]:
    """No router has finished: nothing is left but the references."""
    return {"suite": put(home, planted(80)), "router": (f"{TROUBLE}:Raises",)}


MAKERS = {f.__name__: f for f in (single, folds, estimated, models, users, newcomers, failed)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A finished run of each kind, made once."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            home = tmp_path_factory.mktemp(kind) / "home"
            made[kind] = finish(home / "run", **{"set": SMALL} | MAKERS[kind](home))
        return made[kind]

    return get


@pytest.fixture
def copy(kept: Kept, tmp_path: Path) -> Kept:
    """A copy that may be tampered with."""
    return lambda kind: Path(shutil.copytree(kept(kind), tmp_path / kind))


@pytest.mark.parametrize("kind", MAKERS)
def test_an_untouched_run_passes(kind: str, kept: Kept, main: Main) -> None:
    code, out, err = main("verify", kept(kind), "--regrade")
    assert (code, err) == (0, "")
    assert "verified: all " in out
    assert "not made again: timing and environment" in out
    code, out, _ = main("verify", kept(kind) / "leaderboard.json", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["verified"]
    assert found["differences"] == []
    by_kind = found["checked"]
    made = ("metrics", "differences", "usage", "references")[3 * (kind == "failed") :]
    assert min(by_kind[name] for name in made) > 0
    assert by_kind["again, independently"] >= 7
    assert ("costs of answers" in by_kind) == (kind in ("single", "estimated"))


def test_the_kinds_of_run_are_what_they_claim(kept: Kept) -> None:
    boards = {kind: json.loads((kept(kind) / "leaderboard.json").read_text()) for kind in MAKERS}
    assert boards["single"]["priced"] == "prices"
    assert boards["single"]["diagnostics"]["states"]["failed"] > 0
    assert boards["estimated"]["priced"] == "estimated"
    assert boards["folds"]["priced"] == "unpriced"
    assert boards["newcomers"]["suite"]["protocol"] == "user"
    for kind, board in boards.items():
        states = {row["state"] for row in board["rows"]}
        assert states == {"failed" if kind == "failed" else "ok"}, kind
    assert any("f_score" in row["metrics"] for row in boards["single"]["rows"])
    assert all("knn" in row["against"] for row in boards["single"]["rows"])


def differences(main: Main, folder: Path, *words: str) -> dict[str, Any]:
    """By path, of a run that does not pass."""
    code, out, err = main("verify", folder, "--json", *words)
    assert code == 1, out + err
    found = json.loads(out)
    assert not found["verified"]
    return {one["path"]: one for one in found["differences"]}


NUMBERS: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str]] = [
    ("rows[knn].metrics.accuracy.value", lambda b: row(b, "knn")["metrics"]["accuracy"], "value"),
    ("rows[knn].metrics.f_score.low", lambda b: row(b, "knn")["metrics"]["f_score"], "low"),
    ("rows[random].usage.b", lambda b: row(b, "random")["usage"], "b"),
    ("rows[random].against.knn.accuracy.p_raw",
     lambda b: row(b, "random")["against"]["knn"]["accuracy"], "p_raw"),
    ("rows[cheapest].metrics.total_cost_per_1k.high",
     lambda b: row(b, "cheapest")["metrics"]["total_cost_per_1k"], "high"),
    ("references.oracle.accuracy.value", lambda b: b["references"]["oracle"]["accuracy"], "value"),
    ("diagnostics.headroom", lambda b: b["diagnostics"], "headroom"),
    ("diagnostics.pool.a.all.accuracy", lambda b: b["diagnostics"]["pool"]["a"]["all"], "accuracy"),
]  # fmt: skip


def row(board: dict[str, Any], router: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in board["rows"] if row["router"] == router)
    return found


@pytest.mark.parametrize(("path", "place", "name"), NUMBERS, ids=[n[0] for n in NUMBERS])
def test_one_number_changed_on_the_board(
    path: str,
    place: Callable[[dict[str, Any]], dict[str, Any]],
    name: str,
    copy: Kept,
    main: Main,
) -> None:
    folder = copy("single")

    def change(board: dict[str, Any]) -> None:
        place(board)[name] += 1e-6

    edit_board(folder, change)
    found = differences(main, folder)
    assert set(found) == {path}
    assert found[path]["board"] - found[path]["found"] == pytest.approx(1e-6)


def test_a_rank_and_a_name_changed_on_the_board(copy: Kept, main: Main) -> None:
    folder = copy("single")

    def change(board: dict[str, Any]) -> None:
        row(board, "random")["rank"] += 1
        board["diagnostics"]["folds"][0]["best_single"] = "nobody"

    edit_board(folder, change)
    found = differences(main, folder)
    assert found["rows[random].rank"]["how"] == "made again"
    assert found["diagnostics.folds[0].best_single"]["board"] == "nobody"


@pytest.mark.parametrize("rehash", [False, True], ids=["plain", "with its hash"])
def test_one_decision_changed(rehash: bool, copy: Kept, main: Main) -> None:
    folder = copy("folds")

    def change(rows: list[dict[str, Any]]) -> None:
        own = next(row for row in rows if row["router"] == "knn")
        own["choice"] = "a" if own["choice"] != "a" else "b"

    edit_table(folder, "decisions.parquet", change, rehash)
    found = differences(main, folder)
    assert ("files[decisions.parquet]" in found) != rehash
    assert "rows[knn].usage.a" in found
    assert "rows[random].usage.a" not in found


@pytest.mark.parametrize("rehash", [False, True], ids=["plain", "with its hash"])
def test_one_price_changed(rehash: bool, copy: Kept, main: Main) -> None:
    folder = copy("single")
    place = folder / "prices.toml"
    text = place.read_text()
    place.write_text(text.replace("input_usd_per_mtok = 2.0", "input_usd_per_mtok = 3.0"))
    if rehash:
        edit_hash(folder, "prices.toml")
    found = differences(main, folder)
    assert ("files[prices.toml]" in found) != rehash
    assert "fingerprints.prices" in found
    cells = [one for path, one in found.items() if path.startswith("cells[")]
    table = pq.read_table(folder / "cells.parquet").to_pylist()
    assert len(cells) == sum(c["model"] == "b" and c["cost_usd"] is not None for c in table)
    assert all(one["how"] == "tokens × price" for one in cells)
    assert {one["kind"] for one in cells} == {"costs of answers"}


@pytest.mark.parametrize("rehash", [False, True], ids=["plain", "with its hash"])
def test_one_cell_changed(rehash: bool, copy: Kept, main: Main) -> None:
    folder = copy("single")

    def change(rows: list[dict[str, Any]]) -> None:
        own = next(r for r in rows if r["parts"] == "test" and r["model"] == "a" and r["score"])
        own["score"], own["grade"] = 0.0, "INCORRECT"

    edit_table(folder, "cells.parquet", change, rehash)
    found = differences(main, folder)
    assert ("files[cells.parquet]" in found) != rehash
    assert "diagnostics.pool.a.test.accuracy" in found
    found = differences(main, folder, "--regrade")
    again = [one for path, one in found.items() if path.startswith("cells[")]
    assert [(one["board"], one["found"]) for one in again] == [
        (0.0, 1.0), ("INCORRECT", "CORRECT"),
    ]  # fmt: skip


def test_one_score_of_a_router_changed(copy: Kept, main: Main) -> None:
    folder = copy("single")

    def change(rows: list[dict[str, Any]]) -> None:
        for own in rows:
            if own["router"] == "knn" and own["part"] == "validation":
                own["quality"] = 1 - own["quality"]

    edit_table(folder, "scores.parquet", change)
    found = differences(main, folder)
    assert found
    assert all(
        path.startswith(
            ("rows[knn].points", "rows[knn].curve", "rows[knn].metrics", "rows[knn].verdict")
        )
        or (path.startswith("rows[linear].points") and ".p" in path)
        or path.endswith((".verdict.low", ".verdict.high", ".verdict.level", ".verdict.p"))
        or path == "headline"
        for path in found
    )


def test_a_weight_of_a_user_changed(copy: Kept, main: Main) -> None:
    folder = copy("users")

    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["preference"] = 0.5

    edit_table(folder, "users.parquet", change)
    found = differences(main, folder)
    assert "rows[user-prior].metrics.reward.value" in found


def test_the_options_changed(copy: Kept, main: Main) -> None:
    folder = copy("folds")
    place = folder / "run.toml"
    place.write_text(place.read_text().replace("max_missing = 0.01", "max_missing = 0.02"))
    found = differences(main, folder)
    assert set(found) == {"files[run.toml]"}


def test_a_table_that_cannot_be_read_any_more(copy: Kept, main: Main) -> None:
    folder = copy("folds")
    (folder / "decisions.parquet").write_bytes(b"PAR1 and no more")
    found = differences(main, folder)
    assert set(found) == {"files[decisions.parquet]", "board"}
    assert "cannot be read" in found["board"]["found"]


def test_decisions_about_other_queries(copy: Kept, main: Main) -> None:
    folder = copy("folds")
    edit_table(folder, "decisions.parquet", lambda rows: rows.pop(), rehash=False)
    found = differences(main, folder)
    assert "decides other queries than its fold tests" in found["board"]["found"]


def test_no_run_and_missing_tables_are_bad_input(copy: Kept, main: Main, tmp_path: Path) -> None:
    code, _, err = main("verify", tmp_path / "nowhere")
    assert code == 2
    assert "hint: name a run folder, or its leaderboard.json" in err
    folder = copy("folds")
    (folder / "decisions.parquet").unlink()
    code, out, err = main("verify", folder)
    assert (code, out) == (2, "")
    assert f"error: {folder}: decisions.parquet is not there" in err
    edit_board(folder, lambda board: board.update(schema_version=99))
    code, _, err = main("verify", folder)
    assert code == 2
    assert "not a leaderboard: schema_version" in err


def test_differences_as_a_person_reads_them(copy: Kept, main: Main) -> None:
    folder = copy("folds")

    def change(board: dict[str, Any]) -> None:
        for model in "abc":
            row(board, "knn")["usage"][model] += 0.1

    edit_board(folder, change)
    code, out, _ = main("verify", folder, "--first", 1)
    assert code == 1
    assert out.count("differs ") == 1
    assert "differs rows[knn].usage.a\n  board 0." in out
    assert "… and 5 more" in out  # by the same code, and by hand
    assert "\n6 of " in out
    assert " values differ" in out


def test_what_counts_as_equal() -> None:
    assert alike(1.0, 1 + 1e-12)
    assert alike(0, 0.0)
    assert alike(None, None)
    assert not alike(1.0, 1 + 1e-8)
    assert not alike(0.0, None)
    assert not alike(True, 1)
    assert not alike(np.nan, 0.0)


def test_a_mistake_in_the_metrics_themselves_is_caught(
    tmp_path: Path, main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same wrong code makes the same wrong number; the independent code shares none of it."""
    monkeypatch.setattr("routebench.metrics.definitions.savings", lambda cost, other: cost / other)
    folder = finish(tmp_path / "run", **{"set": SMALL} | single(tmp_path / "home"))
    found = differences(main, folder)
    assert {one["how"] for one in found.values()} == {"again, independently"}
    assert "rows[knn].metrics.savings_vs_best_single.value" in found


def test_seeds_that_differ_though_the_board_says_deterministic(tmp_path: Path) -> None:
    suite = put(tmp_path / "data", planted(120))
    run = finish(tmp_path / "run", suite=suite, router=["best-single", "random"], seeds=2)
    assert not verify(run).mismatches

    def flip(rows: list[dict[str, Any]]) -> None:
        mine = next(row for row in rows if row["router"] == "best-single" and row["seed"] == 1)
        mine["choice"] = next(row["choice"] for row in rows if row["choice"] != mine["choice"])

    edit_table(run, "decisions.parquet", flip)
    places = {mismatch.path for _, mismatch in verify(run).mismatches}
    assert "rows[best-single].deterministic" in places
