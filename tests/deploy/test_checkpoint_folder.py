"""A checkpoint folder that stands alone: it decides as the run did, and is data alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import SMALL, finish, price_list, put

from routebench.board.checkpoint import description
from routebench.board.trained import open_router
from routebench.deploy.card import yaml_value
from routebench.deploy.export import export
from routebench.errors import DataError, OptionError, RoutebenchError

Main = Callable[..., tuple[int, str, str]]
ROUTER = f"{Path(__file__).parents[1] / 'policied.py'}:Policied"
TEXTS = [f"{topic} number {i}" for i in range(30) for topic in ("poem verse", "river capital")]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("exported")
    table = planted(160)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    return finish(
        home / "run",
        suite=put(home, table),
        prices=price_list(home),
        router=("knn", "linear", "best-single", ROUTER),
        perturb=0,
        set=SMALL,
        point=("savings=40%",),
    )


@pytest.fixture
def checkpoint(done: Path, tmp_path: Path) -> Path:
    export(done, "knn", tmp_path / "checkpoint", point="savings=40 %", license="apache-2.0")
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("router", ["knn", "linear", "best-single", "Policied"])
def test_it_decides_as_the_run_did(done: Path, router: str, tmp_path: Path) -> None:
    out = tmp_path / "alone"
    export(done, router, out)
    long = pq.read_table(done.parent / "outcomes.parquet").to_pylist()
    texts = {row["query_id"]: row["query"] for row in long}
    cells = pq.read_table(done / "cells.parquet").to_pylist()
    by_key = {cell["query"]: texts[cell["query_id"]] for cell in cells}
    decided = [d for d in pq.read_table(done / "decisions.parquet").to_pylist()
               if d["router"] == router]  # fmt: skip
    trained = open_router(out, ROUTER if router == "Policied" else None)
    made = trained.route([by_key[d["query"]] for d in decided])
    assert len(decided) > 20
    assert [trained.models[choice] for choice in made.choice] == [d["choice"] for d in decided]


def test_at_every_point_it_decides_like_the_run_folder(done: Path, checkpoint: Path) -> None:
    known = description.read(checkpoint)
    assert known.point == "savings=40%"
    assert known.points == ["most-accurate", "same-accuracy", "savings=40%", "within-1pp"]
    for point in known.points:
        one = open_router(checkpoint, point=point).route(TEXTS).choice
        other = open_router(done, "knn", point=point).route(TEXTS).choice
        assert np.array_equal(one, other), point
    by_default = open_router(checkpoint)
    own = open_router(checkpoint, point="most-accurate").route(TEXTS).choice
    assert by_default.point == "savings=40%"
    assert not np.array_equal(by_default.route(TEXTS).choice, own)


def test_what_is_known_of_it(done: Path, checkpoint: Path) -> None:
    known, board = description.read(checkpoint), json.loads((done / "leaderboard.json").read_text())
    row = next(row for row in board["rows"] if row["router"] == "knn")
    assert known.router == "knn"
    assert known.models == list("abcd")
    assert known.cost == board["diagnostics"]["folds"][0]["mean_cost"]
    assert known.prices["b"]["input_usd_per_mtok"] == 2.0
    assert known.license == "apache-2.0"
    assert known.queries == board["suite"]["queries"]
    assert known.results is not None
    assert known.results.of == "this checkpoint"
    found = known.results.point_metrics["savings=40%"]["accuracy"].value
    assert found == row["points"]["savings=40%"]["metrics"]["accuracy"]["value"]
    assert set(known.files) == {"points.json", "router.json", "state/state.json",
                                "state/arrays.safetensors"} | {
        name for name in known.files if name.startswith("state/")}  # fmt: skip
    trained = open_router(checkpoint)
    assert (trained.steps, trained.personal) == (False, False)
    assert trained.description.facts == known.facts


def test_its_card(done: Path, checkpoint: Path) -> None:
    yaml = pytest.importorskip("yaml")
    _, front, body = (checkpoint / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    board = json.loads((done / "leaderboard.json").read_text())
    row = next(row for row in board["rows"] if row["router"] == "knn")
    accuracy = row["points"]["savings=40%"]["metrics"]["accuracy"]
    assert facts["library_name"] == "routebench"
    assert facts["license"] == "apache-2.0"
    assert facts["suite"] == "table"
    assert facts["operating_point"] == "savings=40%"
    assert facts["metrics"]["accuracy"] == {k: accuracy[k] for k in ("value", "low", "high")}
    assert facts["data"]["test"] == board["suite"]["queries"]["test"]
    shown = f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, "
    assert shown in body


@pytest.mark.parametrize("text", ["a: b\n- c", '"#{', "a\u2028b\x85\x07", "\ud83d", "\U000e0001é"])
def test_values_of_a_card_are_read_back(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    read = yaml.safe_load(f"key: {yaml_value({text: [text, 1.5, None]})}")
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read == {"key": {expected: [expected, 1.5, None]}}


def test_the_code_of_a_file_is_run_where_the_user_names_it(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone"
    export(done, "Policied", out)
    (out / "policied.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    with pytest.raises(OptionError, match="whose code is run only where you name the file"):
        open_router(out)
    assert open_router(out, ROUTER).route(TEXTS[:3]).policy is not None
    assert not (tmp_path / "owned").exists()


def put_text(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put_text("state/state.json", "{}"), "is not the file that checkpoint.json states"),
        (put_text("points.json", "{}"), "is not the file that checkpoint.json states"),
        (lambda folder: (folder / "router.json").unlink(), "is missing: the checkpoint is not"),
        (put_text("checkpoint.json", "{"), "not a checkpoint of this version: the file"),
        (put_text("checkpoint.json", '{"format": "x"}'), "not a checkpoint of this version: "),
    ],
)
def test_damage_is_told(checkpoint: Path, change: Callable[[Path], Any], said: str) -> None:
    change(checkpoint)
    with pytest.raises(DataError, match=said):
        open_router(checkpoint)


def test_bad_input(done: Path, checkpoint: Path, main: Main, tmp_path: Path) -> None:
    for words, said in (
        ((checkpoint, "linear"), "holds knn, not linear"),
        ((done,), "is no checkpoint folder"),
        ((tmp_path / "nothing", "knn"), "No such file"),
        ((tmp_path / "nothing",), "No such file"),
    ):
        with pytest.raises(RoutebenchError, match=said):
            open_router(*words)
    with pytest.raises(OptionError, match="one seed and fold"):
        open_router(checkpoint, seed=1)
    code, _, err = main("route", tmp_path / "nothing", "knn", "what")
    assert (code, "hint: name a checkpoint folder, or a run" in err) == (2, True)
    code, _, err = main("export", done, "knn", "--out", checkpoint)
    assert (code, "is there already" in err) == (2, True)
    code, _, err = main("export", done, "knn", "--out", tmp_path / "x", "--point", "within-9pp")
    assert (code, "--point within-9pp: the router has" in err) == (2, True)
    assert not (tmp_path / "x").exists()
    code, out, _ = main("export", done, "knn", "--out", tmp_path / "x", "--point", "within-1pp")
    assert (code, out) == (0, f"knn at within-1pp: {tmp_path / 'x'}\n")


def test_a_first_text_that_is_a_routers_name_is_no_text(checkpoint: Path, main: Main) -> None:
    alone = main("route", checkpoint, TEXTS[0])
    assert alone[0] == 0
    assert main("route", checkpoint, "knn", TEXTS[0]) == alone
    code, out, err = main("route", checkpoint, "linear", TEXTS[0])
    assert (code, out) == (2, "")
    assert "holds knn, not linear" in err
    assert main("route", checkpoint, "linear algebra")[0] == 0


@pytest.mark.parametrize("name", ["verify", "show", "report"])
def test_a_checkpoint_is_no_run(done: Path, checkpoint: Path, main: Main, name: str) -> None:
    code, out, err = main(name, checkpoint)
    assert (code, out) == (2, "")
    assert f"{checkpoint}: is a checkpoint folder, not a run" in err
    assert f"results of the run {done.name} are in" in " ".join(err.split())


def test_a_run_whose_checkpoints_have_no_points(done: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "copy"))
    (folder / "routers" / "knn" / "seed-0" / "fold-0" / "checkpoint" / "points.json").unlink()
    assert len(open_router(folder, "knn").route(TEXTS).choice) == len(TEXTS)
    with pytest.raises(DataError, match="this checkpoint has no points"):
        export(folder, "knn", tmp_path / "alone")
    assert not (tmp_path / "alone").exists()
