"""What a job's process leaves is checked before the run uses it: forged results fail the row."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routebench.errors import PluginError
from routebench.jobs import arrow_io, left
from routebench.records import Decisions, Usage

N, M = 5, 3
QUALITY = np.linspace(0, 1, N * M).reshape(N, M)
HONEST = Decisions(
    np.array([0, 1, 2, 0, 1]),
    quality=QUALITY,
    confidence=np.full(N, 0.5),
    policy=np.array(["cheap"] * N, dtype=object),
    reason=np.array(["because"] * N, dtype=object),
    usage=Usage(np.ones(N), np.ones(N), np.zeros(N)),
)


def table(path: Path, **columns: pa.Array) -> None:
    made = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, made.schema) as writer:
        writer.write_table(made)


def written(path: Path, **changes: object) -> None:
    arrow_io.write_decisions(path, replace(HONEST, **changes))  # type: ignore[arg-type]


def holes(*places: tuple[int, int]) -> np.ndarray:
    quality = QUALITY.copy()
    for place in places:
        quality[place] = np.nan
    return quality


def large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 31)


def cut(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[:-40])


def changed(path: Path) -> None:
    written(path)
    content = bytearray(path.read_bytes())
    content[64:96] = bytes(range(200, 232))
    path.write_bytes(content)


FORGED: dict[str, Callable[[Path], object]] = {
    "left no decisions.arrow": lambda path: None,
    "link: is no regular file": lambda path: path.symlink_to("/etc/passwd"),
    "pipe: is no regular file": lambda path: os.mkfifo(path),
    "folder: is no regular file": lambda path: path.mkdir(),
    "has 2,147,483,648 bytes": large,
    "empty: cannot be read": lambda path: path.touch(),
    "text: cannot be read": lambda path: path.write_text("choice\n0\n"),
    "cut: cannot be read": cut,
    "no choice: cannot be read": lambda path: table(path, quality=pa.array([0.5] * N)),
    "expected 0 to 2": lambda path: written(path, choice=np.array([0, 1, 3, 0, 1])),
    "choice has -1 to 2": lambda path: written(path, choice=np.array([0, -1, 2, 0, 1])),
    "choice is float64": lambda path: written(path, choice=np.zeros(N)),
    r"choice is int64 \(4,\)": lambda path: table(path, choice=pa.array([0] * 4)),
    "nulls: choice is float64": lambda path: table(path, choice=pa.array([0, None, 1, 0, 1])),
    "quality has shape": lambda path: written(path, quality=QUALITY[:, :2]),
    "quality has NaN": lambda path: written(path, quality=holes((1, 0))),
    "infinite: quality has NaN or inf": lambda path: written(path, quality=QUALITY / 0),
    "is NaN for a model that was chosen": lambda path: written(
        path, quality=holes(*((row, 1) for row in range(N)))
    ),
    "confidence has 1.5": lambda path: written(path, confidence=np.full(N, 1.5)),
    "confidence has NaN": lambda path: written(path, confidence=np.full(N, np.nan)),
    "policy must hold": lambda path: written(path, policy=np.arange(N)),
    "reason must hold": lambda path: written(
        path, reason=np.array(["a", None, "b", "c", "d"], dtype=object)
    ),
    "usage.cost is negative": lambda path: written(
        path, usage=Usage(np.ones(N), np.ones(N), np.full(N, -1.0))
    ),
    "usage.input_tokens has NaN": lambda path: written(
        path, usage=Usage(np.full(N, np.nan), np.ones(N), np.ones(N))
    ),
}


@pytest.mark.parametrize("kind", FORGED)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_forged_decisions_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "decisions.arrow"
    FORGED[kind](path)
    with pytest.raises(PluginError, match=kind.rpartition(": ")[2]):
        left.read_decisions(path, N, M)


def test_a_damaged_file_ends_in_an_error_or_valid_decisions(tmp_path: Path) -> None:
    path = tmp_path / "decisions.arrow"
    changed(path)
    try:
        decisions = left.read_decisions(path, N, M)
    except PluginError:
        return
    assert 0 <= decisions.choice.min() <= decisions.choice.max() < M


def test_honest_decisions_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "decisions.arrow"
    written(path)
    read = left.read_decisions(path, N, M)
    np.testing.assert_array_equal(read.choice, HONEST.choice)
    np.testing.assert_array_equal(read.quality, QUALITY)
    assert read.usage is not None
    np.testing.assert_array_equal(read.usage.cost, np.zeros(N))
