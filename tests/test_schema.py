"""The board's shape is a promise to other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from conftest import planted

from routebench.board.run_folder import read
from routebench.errors import DataError
from routebench.schema import json_schema


def _schema() -> dict[str, Any]:
    text = (resources.files("routebench") / "leaderboard.schema.json").read_text()
    content: dict[str, Any] = json.loads(text)
    return content


def test_the_packaged_schema_is_the_models() -> None:
    text = (resources.files("routebench") / "leaderboard.schema.json").read_text()
    assert text == json_schema()


def test_a_real_board_fits_the_schema_and_a_damaged_one_does_not(
    board: Callable[..., dict[str, Any]], write: Callable[[pa.Table], Any]
) -> None:
    done = board("--suite", f"table:{write(planted(200))}", "--router", "best-single,random")
    jsonschema.validate(done, _schema())
    done["rows"][0]["metrics"]["accuracy"]["value"] = "high"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(done, _schema())


def test_reading_what_is_no_board(tmp_path: Any) -> None:
    with pytest.raises(DataError, match=r"leaderboard\.json: No such file"):
        read(tmp_path)
    (tmp_path / "leaderboard.json").write_text('{"schema_version": 1')
    with pytest.raises(DataError, match="not a leaderboard"):
        read(tmp_path)
