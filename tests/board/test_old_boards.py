"""Boards of schema 1 are read as boards of today: other names and places, the same numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import SMALL, edit_board, edit_table, finish, price_list, put

from routebench.board.run_folder import read
from routebench.errors import DataError

OLD = Path(__file__).parents[1] / "data" / "leaderboard-schema-1.json"


@pytest.fixture(scope="module")
def old() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(OLD.read_text())
    assert content["schema_version"] == 1
    return content


def test_numbers_stay_and_names_are_those_of_today(old: dict[str, Any]) -> None:
    board = read(OLD)
    assert board.schema_version == 2
    then = {row["router"]: row for row in old["rows"]}
    now = {row.router: row for row in board.rows}
    assert set(then) == {"mf", "policy", "strongest"}
    assert set(now) == {"mf", "policy", "most-expensive"}
    assert now["most-expensive"].plugin == "most-expensive"
    mf, old_mf = now["mf"], then["mf"]
    saved = old_mf["metrics"]["savings_vs_strongest"]
    assert mf.metrics["savings_vs_most_expensive"].model_dump() == saved
    against = mf.against["most-expensive"]["accuracy"].model_dump()
    assert against == old_mf["against"]["strongest"]["accuracy"]
    assert mf.mde == old_mf["against"]["best-single"]["accuracy"]["mde"]
    large = now["policy"].policies
    assert large is not None
    assert large.large is not None
    assert then["policy"]["policies"]["large"]["reference"] in ("strongest", "best-single")
    assert large.large.reference in ("most-expensive", "best-single")
    costs = old["references"]["strongest"]["cost_per_1k"]
    assert board.references["most_expensive"]["cost_per_1k"].model_dump() == costs
    assert board.diagnostics.folds[0].most_expensive == old["diagnostics"]["folds"][0]["strongest"]


def test_points_are_named_as_today_and_carry_no_verdict(old: dict[str, Any]) -> None:
    board = read(OLD)
    mf = next(row for row in board.rows if row.router == "mf")
    before = next(row for row in old["rows"] if row["router"] == "mf")["operating_points"]
    assert set(mf.points) == {"same-accuracy", "within-1pp", "drop_1pct", "calls_50"}
    point, then = mf.points["same-accuracy"], before["iso_accuracy"]
    assert point.lambdas == then["lambdas"]
    assert point.fixed == 0
    assert point.metrics["accuracy"].model_dump() == then["accuracy"]
    saved = then["savings_vs_best_single"]
    assert point.metrics["savings_vs_best_single"].model_dump() == saved
    apart = point.against["best-single"]["accuracy"]
    assert (apart.value, apart.low) == (
        then["against_best_single"]["value"],
        then["against_best_single"]["low"],
    )
    assert mf.verdict is None
    assert board.headline is None
    assert board.diagnostics.mde is None, "it moved with the company"
    assert any("older version" in note for note in board.suite.notes)


def test_a_damaged_one_is_told_by_its_field(old: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "leaderboard.json"
    place.write_text(json.dumps({k: v for k, v in old.items() if k != "encoder"}))
    with pytest.raises(DataError, match="not a leaderboard: encoder: is missing"):
        read(place)


def older(folder: Path) -> None:
    """Rewrite a run folder as the version before wrote it."""

    def renamed(values: dict[str, Any]) -> dict[str, Any]:
        return {name.replace("most_expensive", "strongest"): v for name, v in values.items()}

    def point(one: dict[str, Any]) -> dict[str, Any]:
        names = ("accuracy", "total_cost_per_1k", "savings_vs_best_single")
        apart = one["against"]["best-single"]["accuracy"]
        bare = {name: apart[name] for name in ("value", "low", "high", "reason", "undefined")}
        made = {name: one["metrics"][name] for name in names}
        return made | {"n": one["n"], "lambdas": one["lambdas"], "against_best_single": bare}

    def back(board: dict[str, Any]) -> None:
        board["schema_version"] = 1
        del board["headline"]
        del board["diagnostics"]["assumed_output_tokens"]
        board["diagnostics"]["folds"] = [renamed(fold) for fold in board["diagnostics"]["folds"]]
        board["references"] = renamed(board["references"])
        for row in board["rows"]:
            for name in ("router", "plugin"):
                row[name] = row[name].replace("most-expensive", "strongest")
            row["metrics"] = renamed(row["metrics"])
            row["against"] = {
                name.replace("most-expensive", "strongest"): one
                for name, one in row["against"].items()
            }
            names = {"same-accuracy": "iso_accuracy", "within-1pp": "iso_accuracy_1pp"}
            row["operating_points"] = {
                names[name]: point(one) for name, one in row["points"].items() if name in names
            }
            for name in ("points", "verdict", "mde", "pair", "reference"):
                row.pop(name, None)

    def decisions(rows: list[dict[str, Any]]) -> None:
        for one in rows:
            one["router"] = one["router"].replace("most-expensive", "strongest")

    edit_table(folder, "decisions.parquet", decisions)
    edit_board(folder, back)


def test_an_old_run_is_shown_compared_and_gated(
    tmp_path: Path, main: Callable[..., tuple[int, str, str]]
) -> None:
    new = finish(
        tmp_path / "new",
        suite=put(tmp_path, planted(300)),
        prices=price_list(tmp_path),
        router=("knn", "most-expensive", "best-single"),
        perturb=0,
        set=SMALL,
    )
    old = Path(shutil.copytree(new, tmp_path / "old"))
    older(old)
    code, out, err = main("show", old, "--curves")
    assert (code, err) == (0, "")
    assert "most-expensive" in out
    assert "written by an older version" in " ".join(out.split())
    for metric in ("accuracy,cost", "accuracy@within-1pp,savings@within-1pp"):
        code, out, err = main("gate", old, new, "--metric", metric)
        assert (code, err) == (0, ""), out
        assert out.startswith("PASS")
    code, out, _ = main("compare", old, new)
    assert code == 0
    assert "most-expensive" in out
    code, _, err = main("verify", old)
    assert (code, "written by an older version" in err) == (2, True)
    code, out, err = main("route", old, "knn", "--point", "within-1pp", "what")
    assert code == 0, "the checkpoints are those of the new run"
    pytest.importorskip("jinja2")
    assert main("site", tmp_path, "-o", tmp_path / "site")[0] == 0
