"""Reading run folders back: the same decisions, outcomes and costs as were written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import planted
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

from routebench.board.read_run import Stored, common, read_run
from routebench.errors import DataError
from routebench.metrics.estimates import is_binary
from routebench.prices.apply import load_prices
from routebench.records import Grade, State


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


@pytest.fixture(scope="module")
def priced(home: Path) -> Path:
    """Two folds' worth of everything: grades, tokens, prices, seeds."""
    return finish(
        home / "priced",
        suite=put(home / "data", graded()),
        judge="exact",
        prices=price_list(home),
        router=("knn", "random"),
        folds=3,
        seeds=2,
        set=SMALL,
    )


@pytest.fixture(scope="module")
def panel(home: Path) -> Path:
    """Users, of whom not all ask everything."""
    path = write_csv(home / "router_user_data.csv", opposites(60))
    lines = path.read_text().splitlines(keepends=True)
    asked = sorted({line.split(",")[3] for line in lines[1:]})[:40]
    path.write_text("".join(
        line for line in lines if not line.startswith("u1,") or line.split(",")[3] in asked
    ))  # fmt: skip
    return finish(
        home / "panel",
        suite="personaroute",
        data=str(path),
        router=("user-prior", "best-single"),
        folds=3,
    )


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    return rows


def test_outcomes_are_those_of_the_cells(priced: Path) -> None:
    run = read_run(priced, check=True)
    cells = {(c["query"], c["model"]): c for c in table(priced, "cells.parquet")}
    assert run.models == ("a", "b", "c", "d")
    assert len(run.keys) == len(set(run.keys)) == 120
    assert run.users is None
    found = run.outcomes
    assert found.cost is not None
    assert found.grade is not None
    assert found.input_tokens is not None
    for i, key in enumerate(run.keys):
        for j, model in enumerate(run.models):
            cell = cells[key, model]
            assert State(found.state[i, j]).name.lower() == cell["state"]
            assert np.isnan(found.cost[i, j]) == (cell["cost_usd"] is None)
            if cell["state"] == "ok":
                assert found.score[i, j] == cell["score"]
                assert found.cost[i, j] == cell["cost_usd"]
                assert Grade(found.grade[i, j]).name == cell["grade"]
                assert found.input_tokens[i, j] == cell["input_tokens"]
            else:
                assert np.isnan(found.score[i, j])
        assert cells[key, "a"]["parts"].split()[run.folds[i]] == "test"
    assert (found.state == State.FAILED).any()


def test_choices_are_those_of_the_decisions(priced: Path) -> None:
    run = read_run(priced)
    assert sorted(run.routers) == ["knn", "random"]
    at = {key: i for i, key in enumerate(run.keys)}
    for router in run.routers:
        choices = run.choices(router)
        assert choices.shape == (2, 120)
        assert run.router_cost(router) is None
        assert run.seeds(router) == [0, 1]
        rows = [row for row in table(priced, "decisions.parquet") if row["router"] == router]
        assert len(rows) == choices.size
        for row in rows:
            assert run.models[choices[row["seed"], at[row["query"]]]] == row["choice"]
            assert run.folds[at[row["query"]]] == row["fold"]


def test_what_routing_itself_cost(priced: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(priced, tmp_path / "run"))

    def bill(rows: list[dict[str, Any]]) -> None:
        for number, row in enumerate(row for row in rows if row["router"] == "random"):
            row["router_cost_usd"] = 0.001 * number

    edit_table(folder, "decisions.parquet", bill)
    run = read_run(folder, check=True)
    own = run.router_cost("random")
    assert own is not None
    assert own.shape == (2, 120)
    assert sorted(own.reshape(-1)) == pytest.approx([0.001 * i for i in range(240)])
    assert run.router_cost("knn") is None


def test_users(panel: Path) -> None:
    run = read_run(panel, check=True)
    users = run.setup.data.users
    assert run.users is not None
    assert users is not None
    assert users.asked is not None
    assert sorted(set(run.users)) == ["u0", "u1"]
    assert len(run.keys) == 60 + 40 == len(set(zip(run.keys, run.users, strict=True)))
    assert run.clusters.max() + 1 == 60
    cells = {(c["query"], c["model"]): c for c in table(panel, "cells.parquet")}
    weights = {row["user"]: row["preference"] for row in table(panel, "users.parquet")}
    personal = {
        (row["query"], row["user"]): row["choice"]
        for row in table(panel, "decisions.parquet")
        if row["router"] == "user-prior"
    }
    chosen, alike = run.choices("user-prior"), run.choices("best-single")
    assert chosen.shape == alike.shape == (1, 100)
    for i, (key, user) in enumerate(zip(run.keys, run.users, strict=True)):
        assert run.models[chosen[0, i]] == personal[key, user]
        cell, w = cells[key, run.models[chosen[0, i]]], weights[user]
        reward = w * cell["score"] - (1 - w) * cell["relative_cost"]
        assert run.outcomes.score[i, chosen[0, i]] == pytest.approx(reward)
    by_query = {(key, model) for key, model in zip(run.keys, alike[0], strict=True)}
    assert len(by_query) == 60, "one that knows no users decides once per query"
    row = next(row for row in run.board.rows if row.router == "user-prior")
    mean = run.outcomes.score[np.arange(100), chosen[0]].mean()
    assert row.metrics["reward"].value == pytest.approx(mean)


def test_repriced(priced: Path, home: Path) -> None:
    run = read_run(priced)
    assert run.prices is not None
    assert run.outcomes.cost is not None
    same = run.repriced(run.prices)
    np.testing.assert_array_equal(same.outcomes.cost, run.outcomes.cost)
    other = load_prices(Path(price_list(home, factor=3.0)))
    dearer = run.repriced(other).outcomes
    tokens = run.outcomes.input_tokens
    assert tokens is not None
    assert dearer.cost is not None
    prompt = tokens * (1 + np.arange(4)) / 1e6
    np.testing.assert_allclose(dearer.cost, run.outcomes.cost + 2 * prompt)
    assert (dearer.state == run.outcomes.state).all()
    few = load_prices(home / "prices-1.0.toml")
    few.models.pop("c")
    with pytest.raises(DataError, match="no price for c"):
        run.repriced(few)


def test_repriced_from_guessed_tokens(home: Path) -> None:
    suite = put(home / "guessed", planted(60))
    run = read_run(
        finish(home / "guess", suite=suite, prices=price_list(home), router=("random",), perturb=0)
    )
    assert run.board.priced == "estimated"
    assert run.prices is not None
    np.testing.assert_array_equal(run.repriced(run.prices).outcomes.cost, run.outcomes.cost)
    unpriced = read_run(finish(home / "unpriced", suite=suite, router=("random",), perturb=0))
    assert unpriced.outcomes.cost is None
    assert unpriced.prices is None
    with pytest.raises(DataError, match="no tokens are recorded of 240 of 240 answers"):
        unpriced.repriced(run.prices)


def test_rows_that_two_runs_share(priced: Path, panel: Path) -> None:
    run, users = read_run(priced), read_run(panel)
    one, other = common(run, run)
    assert (one == np.arange(120)).all()
    assert (other == one).all()
    part = _only(run, np.arange(119, 39, -1))
    one, other = common(run, part)
    assert (one == np.arange(40, 120)).all()
    assert (run.keys[one] == part.keys[other]).all()
    part = _only(users, np.arange(90, 10, -2))
    one, other = common(users, part)
    assert len(one) == 40
    assert (users.keys[one] == part.keys[other]).all()
    assert users.users is not None
    assert part.users is not None
    assert (users.users[one] == part.users[other]).all()


def _only(run: Stored, rows: Any) -> Stored:
    """The same run, with some of its rows in another order."""
    part = Stored(**{f: getattr(run, f) for f in run.__dataclass_fields__})
    part.__dict__["keys"] = run.keys[rows]
    part.__dict__["users"] = None if run.users is None else run.users[rows]
    return part


def test_the_board_alone_is_not_enough(priced: Path, tmp_path: Path) -> None:
    run = read_run(priced / "leaderboard.json", check=True)
    assert run.folder == priced
    shutil.copy(priced / "leaderboard.json", tmp_path)
    with pytest.raises(DataError, match=r"cells\.parquet is not there") as caught:
        read_run(tmp_path)
    assert "whole run folder" in caught.value.hint


def test_damaged_and_foreign_files(priced: Path, tmp_path: Path) -> None:
    def broken(name: str, content: bytes | None, match: str, check: bool = False) -> None:
        folder = Path(shutil.copytree(priced, tmp_path / str(len(list(tmp_path.iterdir())))))
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=match):
            read_run(folder, check=check)

    broken("cells.parquet", b"nothing", "cells.parquet: cannot be read")
    broken("leaderboard.json", b"{}", "not a leaderboard")
    broken("prices.toml", b"a = 1\n", "prices.toml", check=True)
    with pytest.raises(DataError, match="No such file"):
        read_run(tmp_path / "nowhere")


def test_changed_files_are_named_when_asked(priced: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(priced, tmp_path / "run"))
    edit_table(folder, "scores.parquet", lambda rows: rows.pop(), rehash=False)
    read_run(folder)
    with pytest.raises(DataError, match=r"scores\.parquet: not the file that the board"):
        read_run(folder, check=True)


def test_tables_that_contradict_themselves(priced: Path, tmp_path: Path) -> None:
    def edited(name: str, change: Any, match: str) -> None:
        folder = Path(shutil.copytree(priced, tmp_path / str(len(list(tmp_path.iterdir())))))
        edit_table(folder, name, change)
        with pytest.raises(DataError, match=match):
            read_run(folder)

    edited("decisions.parquet", lambda rows: rows.pop(), "decides other queries than its fold")
    edited("decisions.parquet", lambda rows: rows[0].update(query="?"), "unknown: '\\?'")
    edited("cells.parquet", lambda rows: rows.append(rows[0]), "is there twice")
    edited("cells.parquet", lambda rows: rows[0].update(parts="rest"), "parts cannot be read")
    edited("cells.parquet", lambda rows: rows[0].update(state="fine"), "unknown: 'fine'")
    folder = Path(shutil.copytree(priced, tmp_path / "words"))
    cells = pq.read_table(folder / "cells.parquet")
    at = cells.column_names.index("score")
    cells = cells.set_column(at, "score", [["right"] * len(cells)])
    pq.write_table(cells, folder / "cells.parquet")
    with pytest.raises(DataError, match=r"cells\.parquet: column score holds no numbers"):
        read_run(folder)


def test_a_run_from_before_parts_were_kept(priced: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(priced, tmp_path / "run"))
    old = pq.read_table(folder / "cells.parquet").drop_columns(["parts"])
    pq.write_table(old, folder / "cells.parquet")
    with pytest.raises(DataError, match="no column parts") as caught:
        read_run(folder)
    assert caught.value.hint == "run again with this version; finished jobs are not repeated"


def test_a_router_without_decisions(priced: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(priced, tmp_path / "run"))
    edit_board(folder, lambda board: board["rows"][0].update(router="nobody"))
    run = read_run(folder)
    with pytest.raises(DataError, match="no decisions of nobody"):
        run.choices("nobody")
    assert is_binary(run.outcomes.score[run.outcomes.ok])
