"""Files that are whole or not there, their hashes, and locks."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from routebench.files import file_sha256, locked, new_folder, replace_file, replacing, sha256


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "board.json"
    place.write_bytes(b"old")
    replace_file(place, b"new")
    assert place.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [place]


def test_what_breaks_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    place = tmp_path / "board.json"
    place.write_bytes(b"old")
    with pytest.raises(ValueError, match="broke"), replacing(place) as part:  # noqa: PT012
        part.write_bytes(b"half")
        raise ValueError("broke")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]


def test_hashes_of_bytes_and_files_agree(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256(content) == file_sha256(tmp_path / "large") == expected


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_lock_keeps_others_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    place = tmp_path / ".lock"
    hold = (
        "import sys, pathlib\nfrom routebench.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    input()\n"
    )
    words = [sys.executable, "-c", hold, str(place)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), locked(place):
            raise AssertionError("two hold one lock")
        holder.kill()
        holder.wait()
        with locked(place):
            assert place.exists()


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "one"
    with new_folder(place) as part:
        (part / "board.json").write_bytes(b"{}")
        assert not place.exists()
    assert [path.name for path in place.iterdir()] == ["board.json"]
    assert list(place.parent.iterdir()) == [place]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "one"
    place.mkdir()
    with pytest.raises(FileExistsError), new_folder(place) as part:
        (part / "board.json").write_bytes(b"{}")
    assert list(place.iterdir()) == []
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_that_breaks_while_being_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broke"), new_folder(tmp_path / "one") as part:  # noqa: PT012
        (part / "board.json").write_bytes(b"{}")
        raise ValueError("broke")
    assert list(tmp_path.iterdir()) == []
