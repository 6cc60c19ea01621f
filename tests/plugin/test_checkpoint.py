from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from routebench.errors import DataError
from routebench.plugin import checkpoint


def test_round_trip(tmp_path: Path) -> None:
    meta = {"names": ["ä", "b"], "none": None, "nested": {"k": 1.5}}
    grid = np.arange(12, dtype=np.float64).reshape(3, 4)
    arrays = {
        "grid": grid,
        "turned": grid.T,  # not contiguous
        "every-other": grid[:, ::2],
        "codes": np.array([1, -1], dtype=np.int8),
        "empty": np.zeros((0, 4)),
    }
    checkpoint.save(tmp_path / "a" / "b", meta, arrays)
    read, found = checkpoint.load(tmp_path / "a" / "b")
    assert read == meta
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape


def test_a_scalar_stays_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {}, {"temperature": np.array(3.5, dtype=np.float32)})
    assert checkpoint.load(tmp_path)[1]["temperature"].shape == ()


def test_without_arrays(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {})
    assert checkpoint.load(tmp_path) == ({}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    arrays = {"b": np.ones(3), "a": np.zeros(2)}
    checkpoint.save(tmp_path / "1", {"x": 1, "y": 2}, arrays)
    checkpoint.save(tmp_path / "2", {"y": 2, "x": 1}, dict(reversed(arrays.items())))
    for name in ("state.json", "arrays.safetensors"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no checkpoint in .*state\.json is missing"):
        checkpoint.load(tmp_path)
    checkpoint.save(tmp_path, {"x": 1}, {"a": np.ones(100)})
    whole = (tmp_path / "arrays.safetensors").read_bytes()
    for size in (0, 5, len(whole) - 8):
        (tmp_path / "arrays.safetensors").write_bytes(whole[:size])
        with pytest.raises(DataError, match="is damaged"):
            checkpoint.load(tmp_path)
    (tmp_path / "arrays.safetensors").write_bytes(whole)
    (tmp_path / "state.json").write_text('{"x": ')
    with pytest.raises(DataError, match="is damaged"):
        checkpoint.load(tmp_path)
