from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.encode import vectors
from routebench.encode.vectors import VectorCache, VectorStore, cache_root, text_keys
from routebench.errors import DataError, PluginError

TEXTS = ["red", "green", "", "Red", "red ", "日本 ß", "\ud800 broken", "x" * 5000]
PRINT = "0123456789abcdef"


def some(n: int, width: int = 3, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def seen(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_keys_are_of_the_exact_text() -> None:
    keys = text_keys(TEXTS)
    assert keys.dtype == np.dtype("S32")
    assert len(set(keys.tolist())) == len(TEXTS)
    assert text_keys(["red"])[0] == keys[0]
    assert text_keys([]).shape == (0,)


def test_a_store_gives_back_what_was_written(tmp_path: Path) -> None:
    values = some(len(TEXTS))
    vectors.write(tmp_path / "store", TEXTS, values)
    store = VectorStore.open(tmp_path / "store")
    found, known = store.find([TEXTS[5], "unheard of", TEXTS[6], TEXTS[5], TEXTS[2]])
    assert known.tolist() == [True, False, True, True, True]
    np.testing.assert_array_equal(found, [values[5], np.zeros(3), values[6], values[5], values[2]])
    assert found.dtype == np.float32
    assert store.dimension == 3
    assert isinstance(store.vectors, np.memmap)
    assert seen(tmp_path) == ["store"]
    assert seen(tmp_path / "store") == ["keys.npy", "vectors.npy"]


def test_stores_of_nothing(tmp_path: Path) -> None:
    vectors.write(tmp_path / "store", [], np.zeros((0, 4)))
    found, known = VectorStore.open(tmp_path / "store").find(["red"])
    assert found.shape == (1, 4)
    assert known.tolist() == [False]
    assert VectorStore.open(tmp_path / "store").find([])[0].shape == (0, 4)


def test_one_text_has_one_vector(tmp_path: Path) -> None:
    values = some(2)
    vectors.write(tmp_path / "same", ["a", "b", "a"], values[[0, 1, 0]])
    assert len(VectorStore.open(tmp_path / "same").keys) == 2
    with pytest.raises(DataError, match="one text has different vectors: 'a'"):
        vectors.write(tmp_path / "differ", ["a", "b", "a"], values[[0, 1, 1]])
    assert seen(tmp_path) == ["same"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_refused(tmp_path: Path, bad: float) -> None:
    with pytest.raises(DataError, match="not finite: 'b'"):
        vectors.write(tmp_path / "store", ["a", "b"], np.array([[0.0], [bad]]))
    with pytest.raises(DataError, match="2 texts do not go with"):
        vectors.write(tmp_path / "store", ["a", "b"], np.zeros((3, 1)))
    assert seen(tmp_path) == []


def test_a_store_is_never_overwritten(tmp_path: Path) -> None:
    vectors.write(tmp_path / "store", ["a"], some(1))
    for _ in range(2):
        with pytest.raises(FileExistsError):
            vectors.write(tmp_path / "store", ["a"], some(1, seed=1))
    np.testing.assert_array_equal(VectorStore.open(tmp_path / "store").find(["a"])[0], some(1))
    assert seen(tmp_path) == ["store"]


def damage(folder: Path, how: str) -> None:
    path = folder / "vectors.npy"
    raw = path.read_bytes()
    if how == "cut":
        path.write_bytes(raw[:-5])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing":
        path.unlink()
    elif how == "flipped":
        path.write_bytes(raw[:-4] + b"\0\0\0\0")
    elif how == "double":
        np.save(path, np.load(path).astype(np.float64))
    elif how == "fewer":
        np.save(path, np.load(path)[1:])
    elif how == "objects":
        np.save(path, np.array([[{}]], dtype=object), allow_pickle=True)


@pytest.mark.parametrize("how", ["cut", "empty", "missing", "double", "fewer", "objects"])
def test_a_damaged_store_is_named(tmp_path: Path, how: str) -> None:
    vectors.write(tmp_path / "store", ["a", "b"], some(2))
    damage(tmp_path / "store", how)
    with pytest.raises(DataError, match="store: the stored vectors"):
        VectorStore.open(tmp_path / "store")


def test_another_width_is_refused(tmp_path: Path) -> None:
    vectors.write(tmp_path / "store", ["a"], some(1))
    with pytest.raises(DataError, match="are 3 wide, not 4"):
        VectorStore.open(tmp_path / "store", 4)
    cache = VectorCache(tmp_path, PRINT)
    cache.add(["a"], some(1))
    with pytest.raises(DataError, match="are 3 wide, not 4"):
        cache.find(["a"], 4)
    with pytest.raises(DataError, match="are 3 wide, not 5"):
        cache.add(["b"], some(1, 5))


def test_the_cache_knows_what_was_added(tmp_path: Path) -> None:
    cache, values = VectorCache(tmp_path, PRINT), some(4)
    found, known = cache.find(["a", "b"], 3)
    assert (found.shape, known.tolist()) == ((2, 3), [False, False])
    assert cache.find(["a"])[0].shape == (1, 0)
    assert cache.add(["a", "b"], values[:2]) == 2
    assert cache.add(["b", "c", "d", "c"], values[[1, 2, 3, 2]]) == 2
    assert cache.add(["a", "d"], values[[0, 3]]) == 0
    assert cache.add([], np.zeros((0, 3))) == 0
    for reader in (cache, VectorCache(tmp_path, PRINT)):
        found, known = reader.find(["d", "x", "a", "c", "b"])
        assert known.tolist() == [True, False, True, True, True]
        np.testing.assert_array_equal(found[[0, 2, 3, 4]], values[[3, 0, 2, 1]])
    assert len(seen(cache.folder)) == 2


def test_encoders_share_nothing(tmp_path: Path) -> None:
    VectorCache(tmp_path, PRINT).add(["a"], some(1))
    other = VectorCache(tmp_path, "f" * 16)
    assert not other.find(["a"], 3)[1].any()
    other.add(["a"], some(1, 2, seed=1))
    np.testing.assert_array_equal(VectorCache(tmp_path, PRINT).find(["a"])[0], some(1))
    np.testing.assert_array_equal(other.find(["a"])[0], some(1, 2, seed=1))
    for bad in ("", "../up", "a/b", "."):
        with pytest.raises(PluginError, match="16 hex digits"):
            VectorCache(tmp_path, bad)


@pytest.mark.parametrize("how", ["cut", "empty", "missing", "flipped", "double", "fewer"])
def test_a_damaged_shard_is_encoded_again(tmp_path: Path, how: str) -> None:
    cache, values = VectorCache(tmp_path, PRINT), some(4)
    cache.add(["a", "b"], values[:2])
    (shard,) = cache.folder.iterdir()
    cache.add(["c", "d"], values[2:])
    damage(shard, how)
    again = VectorCache(tmp_path, PRINT)
    assert again.find(["a", "b", "c", "d"])[1].tolist() == [False, False, True, True]
    assert again.add(["a", "b"], values[:2]) == 2
    for reader in (again, VectorCache(tmp_path, PRINT)):
        found, known = reader.find(["a", "b", "c", "d"])
        assert known.all()
        np.testing.assert_array_equal(found, values)
    assert len(seen(cache.folder)) == 2


def test_what_else_lies_in_the_cache_is_left_alone(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, PRINT)
    cache.add(["a"], some(1))
    (cache.folder / "notes.json").write_text("{}")
    (cache.folder / "folder").mkdir()
    assert VectorCache(tmp_path, PRINT).find(["a", "b"])[1].tolist() == [True, False]
    cache.add(["b"], some(1, seed=1))
    assert {"notes.json", "folder"} < set(seen(cache.folder))


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    values = some(40)
    texts = [f"text {i}" for i in range(40)]

    def add(start: int) -> None:
        for _ in range(3):
            VectorCache(tmp_path, PRINT).add(texts[start : start + 20], values[start : start + 20])

    with ThreadPoolExecutor(6) as pool:  # each range three times over, overlapping by half
        list(pool.map(add, [0, 10, 20] * 2))
    found, known = VectorCache(tmp_path, PRINT).find(texts)
    assert known.all()
    np.testing.assert_array_equal(found, values)
    assert not [name for name in seen(tmp_path / PRINT) if name.startswith(".")]


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache, values = VectorCache(tmp_path, PRINT), some(64)
    with ThreadPoolExecutor(8) as pool:
        counts = pool.map(lambda i: cache.add([str(i % 32)], values[[i % 32]]), range(64))
        assert sum(counts) >= 32
    np.testing.assert_array_equal(cache.find([str(i) for i in range(32)])[0], values[:32])


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from routebench.encode.vectors import VectorCache
save, calls = np.save, []
def dying(*args, **kwargs):
    calls.append(1)
    if len(calls) == 2:
        os._exit(9)
    save(*args, **kwargs)
np.save = dying
VectorCache(Path(sys.argv[1]), sys.argv[2]).add(["a"], np.ones((1, 3)))
"""


def test_a_killed_writer_leaves_nothing_to_be_seen(tmp_path: Path) -> None:
    run = [sys.executable, "-c", KILLED, str(tmp_path), PRINT]
    assert subprocess.run(run, check=False).returncode == 9
    cache = VectorCache(tmp_path, PRINT)
    (left,) = seen(cache.folder)
    assert left.startswith(".new-")
    assert not cache.find(["a"], 3)[1].any()
    os.utime(cache.folder / left, (time.time() - 90_000,) * 2)
    assert cache.add(["a"], some(1)) == 1  # and a day later, what was left is removed
    assert left not in seen(cache.folder)
    assert cache.find(["a"], 3)[1].all()


def test_a_failed_write_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match=r"cannot be written: .*No space left") as error:
        VectorCache(tmp_path, PRINT).add(["a"], some(1))
    assert "ROUTEBENCH_CACHE" in error.value.hint
    assert seen(tmp_path / PRINT) == []


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ROUTEBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / ".cache" / "routebench" / "encoders"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "routebench" / "encoders"
    monkeypatch.setenv("ROUTEBENCH_CACHE", "~/own")
    assert cache_root() == tmp_path / "own" / "encoders"
