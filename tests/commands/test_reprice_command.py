"""`routebench reprice`: the same run at other prices, without a call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import SMALL, edit_table, finish, graded, price_list, put

from routebench.verify.reprice import NOTE

Main = Callable[..., tuple[int, str, str]]
Board = dict[str, Any]


def with_parts() -> pa.Table:
    """Some of the prompts were cached, some of the answers reasoning."""
    table = graded(120)
    rng = np.random.default_rng(5)
    for name, whole in (("cached_tokens", "input_tokens"), ("thinking_tokens", "output_tokens")):
        part = rng.integers(0, table[whole].to_numpy() + 1)
        table = table.append_column(name, pa.array(part))
    return table


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reprice")


@pytest.fixture(scope="module")
def priced(home: Path) -> Path:
    return finish(
        home / "priced", suite=put(home / "data", with_parts()), judge="exact",
        prices=price_list(home), router=("knn", "random", "cheapest"), against=("knn",),
        max_missing=0.3, set=SMALL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def estimated(home: Path) -> Path:
    return finish(
        home / "estimated", suite=put(home / "texts", planted(100)), prices=price_list(home),
        router=("knn", "random"), set=SMALL, perturb=0,
    )  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Other prices for a, b, c and d, with all that a price may have."""
    place = tmp_path / "other.toml"
    place.write_text(
        "[a]\ninput_usd_per_mtok = 9\noutput_usd_per_mtok = 9\nusd_per_request = 0.5\n"
        "[b]\ninput_usd_per_mtok = 5\noutput_usd_per_mtok = 1\ncached_usd_per_mtok = 0.5\n"
        "[c]\ninput_usd_per_mtok = 0\noutput_usd_per_mtok = 4\nthinking_usd_per_mtok = 8\n"
        "[d]\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 2\n[e]\ninput_price = 1\n"
        "output_price = 1\n"
    )
    return place


def board(folder: Path) -> Board:
    found: Board = json.loads((folder / "leaderboard.json").read_text())
    return found


def reprice(main: Main, run: Path, prices: Path | str, out: Path) -> Path:
    code, shown, err = main("reprice", run, "--prices", prices, "--out", out)
    assert (code, err) == (0, "")
    assert f"written to {out}" in shown.replace("\n", "")
    return out


@pytest.mark.parametrize("kind", ["priced", "estimated"])
def test_the_same_prices_give_the_same_board(
    kind: str, main: Main, home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(kind)
    again = reprice(main, run, price_list(home), tmp_path / "again")
    old, new = board(run), board(again)
    assert new["environment"].pop("repriced")["from"] == old["fingerprints"]["prices"]
    assert new["suite"]["notes"].pop() == NOTE
    for each in (old, new):
        each["environment"].pop("run_toml")
        each["environment"].pop("board_sha256")
    assert new == old
    for name in old["files"]:
        assert (again / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.parametrize("kind", ["priced", "estimated"])
def test_other_prices_change_costs_and_nothing_else(
    kind: str, main: Main, other: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(kind)
    made = reprice(main, run, other, tmp_path / "made")
    assert main("verify", made, "--regrade")[0] == 0
    old, new = board(run), board(made)
    assert new["priced"] == ("prices" if kind == "priced" else "estimated")
    assert new["diagnostics"]["cost_basis"] == old["diagnostics"]["cost_basis"]
    prints = {name for name, own in new["fingerprints"].items() if own != old["fingerprints"][name]}
    assert prints == {"prices"}
    rows = {row["router"]: row for row in old["rows"]}
    for row in new["rows"]:
        before = rows[row["router"]]
        for name in ("accuracy", "stability"):
            assert row["metrics"].get(name) == before["metrics"].get(name)
        assert row["usage"] == before["usage"]
        assert row["metrics"]["cost_per_1k"] != before["metrics"]["cost_per_1k"]
    tables = [pq.read_table(folder / "cells.parquet") for folder in (run, made)]
    names = [name for name in tables[0].column_names if name != "cost_usd"]
    assert tables[1].column_names == tables[0].column_names
    assert tables[0].select(names).equals(tables[1].select(names))
    assert (made / "decisions.parquet").read_bytes() == (run / "decisions.parquet").read_bytes()


def test_costs_by_hand(main: Main, priced: Path, other: Path, tmp_path: Path) -> None:
    made = reprice(main, priced, other, tmp_path / "made")
    asked = 0
    for cell in pq.read_table(made / "cells.parquet").to_pylist():
        if cell["state"] == "failed":
            assert cell["cost_usd"] is None
            continue
        sent, got = cell["input_tokens"], cell["output_tokens"]
        cached, thinking = cell["cached_tokens"], cell["thinking_tokens"]
        cost = {
            "a": (9 * sent + 9 * got) / 1e6 + 0.5,
            "b": (5 * (sent - cached) + 0.5 * cached + got) / 1e6,
            "c": (4 * (got - thinking) + 8 * thinking) / 1e6,
            "d": (sent + 2 * got) / 1e6,
        }[cell["model"]]
        assert cell["cost_usd"] == pytest.approx(cost, rel=1e-12)
        asked += 1
    assert asked > 300
    snapshot = (made / "prices.toml").read_text()
    assert "cached_usd_per_mtok = 0.5" in snapshot
    assert "[e]" not in snapshot, "only the pool's models"


def test_there_and_back(main: Main, priced: Path, other: Path, home: Path, tmp_path: Path) -> None:
    """Nothing of the earlier prices is left in what is re-priced."""
    away = reprice(main, priced, other, tmp_path / "away")
    back = reprice(main, away, price_list(home), tmp_path / "back")
    old, new = board(priced), board(back)
    assert new["suite"]["notes"].count(NOTE) == 1
    assert new["files"] == old["files"]
    assert new["rows"] == old["rows"]
    assert new["diagnostics"] == old["diagnostics"]
    assert new["references"] == old["references"]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_without_a_price_list_gets_one(
    recorded: bool, main: Main, other: Path, tmp_path: Path
) -> None:
    table = with_parts()
    if recorded:
        rng = np.random.default_rng(0)
        known = table["response"].is_valid().to_numpy()
        cost = np.where(known, rng.random(len(table)), np.nan)
        table = table.append_column("cost_usd", pa.array(cost, from_pandas=True))
    run = finish(
        tmp_path / "run", suite=put(tmp_path / "data", table), judge="exact", perturb=0,
        router=("knn", "random"), max_missing=0.3, set=SMALL,
    )  # fmt: skip
    assert board(run)["priced"] == ("recorded" if recorded else "unpriced")
    made = reprice(main, run, other, tmp_path / "made")
    assert main("verify", made, "--regrade")[0] == 0
    found = board(made)
    assert found["priced"] == "prices"
    basis = found["diagnostics"]["cost_basis"]
    assert basis["tokens"] > 300
    assert basis["recorded"] == basis["estimated"] == basis["assumed"] == 0
    assert found["environment"]["repriced"]["from"] is None
    row = next(row for row in found["rows"] if row["router"] == "knn")
    assert row["metrics"]["cost_per_1k"]["value"] > 0


def test_beside_the_run_by_default(main: Main, priced: Path, other: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    shutil.copytree(priced, run)
    code, out, _ = main("reprice", run / "leaderboard.json", "--prices", other, "--json")
    assert code == 0
    print_ = json.loads(out)["fingerprints"]["prices"]
    made = run.with_name(f"one-repriced-{print_[:8]}")
    assert board(made) == json.loads(out)
    assert {path.name for path in run.parent.iterdir()} == {"one", made.name}, "nothing half-made"


def refused(main: Main, out: Path, *words: Any) -> str:
    code, shown, err = main("reprice", *words, "--out", out)
    assert (code, shown) == (2, "")
    assert not out.exists()
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []
    return err


def test_prices_that_do_not_cover_the_pool(main: Main, priced: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.json"
    few.write_text('{"a": {"input_price": 1, "output_price": 1}, "dd": {"input_price": 1,'
                   ' "output_price": 1}}')  # fmt: skip
    err = refused(main, tmp_path / "out", priced, "--prices", few)
    assert "few.json: no price for b, c, d" in err
    assert "did you mean dd?" in err


def test_a_run_without_tokens(main: Main, other: Path, tmp_path: Path) -> None:
    table = planted(60).append_column("cost_usd", pa.array([0.5] * 240))
    run = finish(
        tmp_path / "run", suite=put(tmp_path / "data", table), router=("random",), perturb=0
    )
    err = refused(main, tmp_path / "out", run, "--prices", other)
    assert "no tokens are recorded of 240 of 240 answers" in err


def test_no_run_and_no_prices(main: Main, priced: Path, other: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "no such file" in refused(main, out, priced, "--prices", "none.toml").lower()
    assert "No such file" in refused(main, out, tmp_path / "none", "--prices", other)
    run = tmp_path / "run"
    shutil.copytree(priced, run)
    edit_table(run, "cells.parquet", lambda rows: rows.reverse(), rehash=False)
    assert "not the file that the board was written with" in refused(
        main, out, run, "--prices", other
    )


def test_a_place_that_is_taken(main: Main, priced: Path, other: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "note.txt").write_text("mine")
    code, _, err = main("reprice", priced, "--prices", other, "--out", taken)
    assert code == 2
    assert "is there already" in err
    assert [path.name for path in taken.iterdir()] == ["note.txt"]
    code, _, err = main("reprice", priced, "--prices", other, "--out", priced)
    assert code == 2
