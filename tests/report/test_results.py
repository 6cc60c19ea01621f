"""A run in other projects' forms: valid by their schemas, and read back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import finish

from routebench.importers import import_files

Main = Callable[..., tuple[int, str, str]]
SCHEMAS = Path(__file__).parent.parent / "data" / "peers" / "schemas"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps its texts."""
    folder = tmp_path_factory.mktemp("results")
    pq.write_table(planted(60), folder / "outcomes.parquet")
    suite = f"table:{folder / 'outcomes.parquet'}"
    names = ["best-single", "linear", "random"]
    return finish(folder / "run", suite=suite, router=names, keep_texts=True, seeds=2)


def accuracy(run: Path, router: str) -> float:
    board = json.loads((run / "leaderboard.json").read_text())
    (row,) = [row for row in board["rows"] if row["router"] == router]
    return float(row["metrics"]["accuracy"]["value"])


def test_every_eval_ever(run: Path, main: Main, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    out = tmp_path / "eee"
    code, said, err = main("convert", run, "--to", "every-eval-ever", "--out", out)
    assert (code, err) == (0, "")
    assert said.startswith(f"{out}: 3 routers, ")
    aggregate, instance = (
        jsonschema.Draft7Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
        for name in ("eval", "instance_level_eval")
    )
    means = {}
    for path in out.rglob("*.json"):
        record = json.loads(path.read_text())
        aggregate.validate(record)
        held = record["detailed_evaluation_results"]
        rows = [json.loads(line) for line in (out / held["file_path"]).read_text().splitlines()]
        assert held["total_rows"] == len(rows) > 0
        for row in rows:
            instance.validate(row)
            assert row["evaluation_id"] == record["evaluation_id"]
            assert row["model_id"] == record["model_info"]["id"]
        score = record["evaluation_results"][0]["score_details"]["score"]
        assert score == accuracy(run, record["model_info"]["name"])
        means[record["model_info"]["id"]] = score
    assert set(means) == {f"routebench/{name}" for name in ("best-single", "linear", "random")}
    made = import_files("auto", [out], tmp_path / "back.parquet")  # round trip
    back: dict[str, list[Any]] = {}
    for cell in pq.read_table(made.path).to_pylist():
        back.setdefault(cell["model"], []).append(cell["score"])
    for name in ("routebench/linear", "routebench/best-single"):
        assert sum(back[name]) / len(back[name]) == pytest.approx(means[name])


def test_routerarena(run: Path, main: Main, tmp_path: Path) -> None:
    out = tmp_path / "predictions"
    code, _, err = main("convert", run, "--to", "routerarena", "--out", out, "--router", "linear")
    assert (code, err) == (0, "")
    (path,) = out.iterdir()
    predictions = json.loads(path.read_text())
    cells = {
        (c["query_id"], c["model"]): c for c in pq.read_table(run / "cells.parquet").to_pylist()
    }
    for one in predictions:
        assert cells[one["global index"], one["prediction"]]["score"] == one["accuracy"]
        assert one["prompt"]
        assert one["generated_result"] is None
    mean = sum(one["accuracy"] for one in predictions) / len(predictions)
    assert mean == pytest.approx(accuracy(run, "linear"))


def test_eval_results(run: Path, main: Main, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    out = tmp_path / ".eval_results" / "own.yaml"
    told = ("--router", "linear", "--dataset", "own/set: #1", "--task", "test")
    assert main("convert", run, "--to", "eval-results", "--out", out, *told)[0] == 0
    (entry,) = yaml.safe_load(out.read_text())
    assert entry["dataset"] == {"id": "own/set: #1", "task_id": "test"}
    assert entry["value"] == pytest.approx(accuracy(run, "linear"), abs=1e-6)
    assert "router linear among" in entry["notes"]
    code, _, err = main("convert", run, "--to", "eval-results", "--out", out, "--router", "lnear")
    assert (code, err.startswith("error: --to eval-results: needs one --router")) == (2, True)


def test_what_cannot_be_written(run: Path, main: Main, tmp_path: Path) -> None:
    wrong = main(
        "convert", run, "--to", "routerarena", "--out", tmp_path / "o", "--router", "lnear"
    )
    assert wrong[0] == 2
    assert "--router lnear: no row of it ended well" in wrong[2]
