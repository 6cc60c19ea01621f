"""A run's temporary folder, which other runs delete when it is dead, and never before."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from routebench.files import locked
from routebench.isolation import scratch
from routebench.isolation.scratch import scratch_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_dead_run_s_folder_is_deleted_and_a_living_one_s_is_not() -> None:
    with scratch_folder() as living:
        dead = living.with_name("run-dead")
        dead.mkdir()
        (dead / ".lock").touch()
        with scratch_folder() as other:
            assert living.is_dir()
            assert other.is_dir()
            assert not dead.exists()
    assert not living.exists()
    assert not other.exists()


@pytest.mark.parametrize("taken", ["deleted before it is locked", "deleted while it is locked"])
def test_a_folder_that_another_run_deleted_is_made_again(
    taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    @contextlib.contextmanager
    def raced(path: Path, mode: str = "a") -> Iterator[None]:
        seen.append(path.parent)
        if len(seen) > 1:
            with locked(path, mode):
                yield
        elif "before" in taken:
            shutil.rmtree(path.parent)
            with locked(path, mode):
                yield
        else:
            with locked(path, mode):
                shutil.rmtree(path.parent)
                yield

    monkeypatch.setattr(scratch, "locked", raced)
    with scratch_folder() as folder:
        assert folder.is_dir()
        assert folder == seen[1]
        assert not seen[0].exists()


def test_a_folder_that_cannot_be_locked_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, mode: str = "a") -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(scratch, "locked", refused)
    with pytest.raises(OSError, match="no locks here"), scratch_folder():
        pass
