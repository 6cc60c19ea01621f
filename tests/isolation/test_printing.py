"""Of what a process prints the beginning and the end are kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from routebench.isolation.printing import FIRST, LAST, Printed


def kept(folder: Path, *lines: str, times: int = 1) -> str:
    """Return what is kept of lines that a process prints so many times."""
    code = f"import sys\nfor _ in range({times}): sys.stderr.write({''.join(lines)!r})"
    with (
        Printed(folder / "log") as said,
        subprocess.Popen([sys.executable, "-c", code], stderr=said.stream) as process,
    ):
        said.stream.close()
        process.wait()
    return (folder / "log").read_text()


def test_little_is_kept_whole(tmp_path: Path) -> None:
    assert kept(tmp_path, "one\n", "two\n") == "one\ntwo\n"
    assert kept(tmp_path, "") == ""


def test_of_much_the_beginning_and_the_end(tmp_path: Path) -> None:
    text = kept(tmp_path, *(f"{number:099d}\n" for number in range(100)), times=500)
    size = 100 * 100 * 500
    assert text.startswith(f"{0:099d}\n")
    assert text.endswith(f"{99:099d}\n")
    first, left_out, last = text.partition("\n[")[0], text.count("bytes left out]"), text[-LAST:]
    assert len(first) == FIRST
    assert left_out == 1
    assert len(last) == LAST
    assert FIRST + LAST < len(text) < FIRST + 3 * LAST
    said = int(text.partition("\n[")[2].partition(" ")[0].replace(",", ""))
    assert said + len(text) - len(f"\n[{said:,} bytes left out]\n") == size


def test_who_outlives_the_process_is_not_waited_for(tmp_path: Path) -> None:
    with (
        Printed(tmp_path / "log") as said,
        subprocess.Popen(["sleep", "60"], stderr=said.stream) as later,
    ):
        said.stream.write(b"there\n")
        said.stream.close()
        said._reader.join(timeout=0.2)
        said.__exit__()
        assert (tmp_path / "log").read_text() == "there\n"
        later.kill()
