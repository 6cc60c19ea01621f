"""What of a run stands in the files that W&B keeps offline."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb")


def outcomes(path: Path) -> Path:
    """Write a table on which the small model is right about sums, the large one always."""
    rows = ["query_id,query,model,score,cost_usd"]
    for i in range(240):
        words = f"sum of {i} and {i * 7}" if i % 2 else f"capital number {i} of land {i * 3}"
        rows += [f"q{i},{words},small,{i % 2},0.001", f"q{i},{words},large,1,0.01"]
    path.write_text("\n".join(rows) + "\n")
    return path


def records(folder: Path) -> Iterator[Any]:
    """Yield what an offline run holds, record by record."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = list(folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 1
    for message in messages(files[0].read_bytes()):
        record = Record()
        record.ParseFromString(message)
        yield record


def messages(log: bytes) -> Iterator[bytes]:
    """Yield the messages of a log in LevelDB's form: blocks of 32 kB, with parts of messages."""
    assert log.startswith(b":W&B")
    at, message = 7, b""
    while at + 7 <= len(log):
        if 32768 - at % 32768 < 7:  # no room for another header in this block
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", log, at)
        message += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield message
            message = b""


def test_an_offline_run_holds_the_board(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "routebench", "run", "--router", "knn,best-single", "--quiet"]
    command += ["--suite", str(outcomes(tmp_path / "o.csv")), "--out", str(tmp_path / "out")]
    command += ["--set", "wandb.mode=offline", "--set", f"wandb.folder={tmp_path}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "extension wandb failed" not in done.stderr  # mlflow, installed beside it, has no store
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    summary: dict[str, Any] = {}
    config: dict[str, Any] = {}
    files: set[str] = set()
    for record in records(tmp_path):
        for item in record.summary.update:
            name = item.key or "/".join(item.nested_key)
            summary[name] = json.loads(item.value_json)
        for item in record.run.config.update:
            config[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        files |= {entry.path for entry in record.artifact.manifest.contents}
        files |= {entry.path for entry in record.request.log_artifact.artifact.manifest.contents}
    assert config["queries"] == 240
    assert summary["headline"] == board["headline"]
    assert summary["jobs/ok"] == 2
    assert {"leaderboard.json", "run.toml"} <= files
    for row in board["rows"]:
        for name, estimate in row["metrics"].items():
            if estimate["value"] is not None:
                told = summary[f"{row['router']}/{name}"]
                assert told == pytest.approx(estimate["value"])
    assert summary["board/nrows"] == len(board["rows"])
