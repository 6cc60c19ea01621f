"""What of a run is found in MLflow's store afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mlflow")
from mlflow.tracking import MlflowClient

ROWS = """query_id,query,model,score,cost_usd
{rows}"""


def outcomes(path: Path) -> Path:
    """Write a table on which the small model is right about sums, the large one always."""
    rows = []
    for i in range(240):
        words = f"sum of {i} and {i * 7}" if i % 2 else f"capital number {i} of land {i * 3}"
        rows.append(f"q{i},{words},small,{i % 2},0.001")
        rows.append(f"q{i},{words},large,1,0.01")
    path.write_text(ROWS.format(rows="\n".join(rows)))
    return path


def run(folder: Path, uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "routebench",
        "run",
        "--suite",
        str(outcomes(folder / "o.csv")),
    ]
    command += ["--set", f"mlflow.uri={uri}", "--out", str(folder / "out"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_a_run_and_its_routers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The small package has no database; MLflow wants to be told that a folder is meant.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    done = run(tmp_path, uri, "--router", "knn,best-single")
    assert done.returncode == 0, done.stderr
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("routebench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    assert parents[0].data.metrics["jobs/ok"] == 2
    assert parents[0].data.tags["routebench.headline"] == (board["headline"] or "")
    kept = {file.path for file in client.list_artifacts(parents[0].info.run_id)}
    assert kept == {"leaderboard.json", "run.toml"}
    children = {one.info.run_name: one for one in runs if one is not parents[0]}
    assert set(children) == {"knn", "best-single"}
    for row in board["rows"]:
        child = children[row["router"]]
        assert child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        for name, estimate in row["metrics"].items():
            if estimate["value"] is not None:
                assert child.data.metrics[name] == pytest.approx(estimate["value"])
        for point, result in row["points"].items():
            accuracy = result["metrics"]["accuracy"]["value"]
            assert child.data.metrics[f"{point}/accuracy"] == pytest.approx(accuracy)
    curve = next(row["curve"] for row in board["rows"] if row["router"] == "knn")
    history = client.get_metric_history(children["knn"].info.run_id, "curve/accuracy")
    assert [one.value for one in sorted(history, key=lambda one: one.step)] == pytest.approx(
        [at["accuracy"] for at in curve]
    )


def test_a_store_that_is_down_breaks_no_run(tmp_path: Path) -> None:
    done = run(tmp_path, "nonsense://nowhere", "--router", "best-single")
    assert done.returncode == 0
    assert "extension mlflow failed in run_started" in done.stderr
    assert (tmp_path / "out" / "leaderboard.json").is_file()
