"""A job's own view of the file system, and system calls that mark what is not its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from routebench.isolation import landlock

VIEW = """
import json, os, sys
from pathlib import Path
from routebench.isolation import mounts, namespaces, readable

own, given, hidden, named, outside = map(Path, sys.argv[1:])
says = dict()
out = os.dup(1)
apart = namespaces.enter(False, lambda *_: None)
code, _ = readable.code_paths([])
read = [*readable.system_paths(True), *code, named]
before = sorted(os.listdir("/tmp"))
if not apart or not mounts.own_view([own], [given], read, [hidden]):
    print("cannot")
    sys.stdout.flush()
    os._exit(0)
mounts.drop_capabilities()

def refused(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return None

import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps({
    "own": refused(lambda: (own / "made").write_text("x")),
    "given": [refused(lambda: (given / "made").write_text("x")), os.listdir(given)],
    "hidden": os.listdir(hidden),
    "named": [named.read_text(), refused(lambda: named.write_text("x"))],
    "outside seen": outside.exists(),
    "outside": refused(lambda: outside.write_text("x")),
    "times": refused(lambda: os.utime(os.__file__)),
    "tmp": refused(lambda: Path("/tmp/made").write_text("x")),
    "tmp seen": len(set(os.listdir("/tmp")) & set(before)) < len(before),
    "room": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
    "unmounted": libc.umount2(b"/tmp", 2),
}))
sys.stdout.flush()
os._exit(0)
"""

MARKS = """
import ctypes, fcntl, json, os, resource, struct, sys
from routebench.isolation import syscalls

file, parent = sys.argv[1], int(sys.argv[2])
if not syscalls.restrict(False, True, False, False):
    print("cannot")
    sys.exit()
libc = ctypes.CDLL(None, use_errno=True)
before = os.stat(file)

def refused(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return None

os.utime(file, (1, 1))
os.chmod(file, 0o777)
after = os.stat(file)
stream = open(file)
print(json.dumps({
    "times": before.st_mtime_ns == after.st_mtime_ns,
    "mode": before.st_mode == after.st_mode,
    "attribute": refused(lambda: os.setxattr(file, "user.x", b"1")),
    "flags": refused(lambda: fcntl.ioctl(stream, 0x40086602, struct.pack("l", 0x40))),
    "hint": refused(lambda: fcntl.fcntl(stream, 1036, struct.pack("Q", 2))),
    "watch": refused(lambda: fcntl.fcntl(os.open("/", os.O_RDONLY), 1026, 1)),
    "limit": refused(lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0))),
    "cores": refused(lambda: os.sched_setaffinity(parent, os.sched_getaffinity(0))),
    "priority": refused(lambda: os.setpriority(os.PRIO_USER, 0, 5)),
    "own limit": refused(lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))),
}))
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or landlock.landlock_abi() < 1, reason="no kernel that confines"
)


def told(code: str, words: Sequence[Any]) -> dict[str, Any]:
    """Return what a process says; skip where the system cannot confine it."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() == "cannot":
        pytest.skip("this system has none")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_view_of_its_own(tmp_path: Path) -> None:
    for name in ("own", "hidden", "hidden/given"):
        (tmp_path / name).mkdir()
    for name in ("hidden/secret", "hidden/given/fit", "named", "outside"):
        (tmp_path / name).write_text(name)
    places = ("own", "hidden/given", "hidden", "named", "outside")
    found = told(VIEW, [tmp_path / name for name in places])
    below_tmp = tmp_path.is_relative_to("/tmp")
    read_only = "Read-only file system"
    assert found == {
        "own": None,
        "given": [read_only, ["fit"]],
        "hidden": ["given"],
        "named": ["named", read_only],
        "outside seen": not below_tmp,
        "outside": None if below_tmp else read_only,  # in a folder that only it has
        "times": read_only,
        "tmp": None,
        "tmp seen": True,
        "room": 256 << 20,
        "unmounted": -1,
    }
    assert (tmp_path / "own" / "made").read_text() == "x"
    assert (tmp_path / "outside").read_text() == "outside"
    assert not Path("/tmp/made").exists()
    assert os.listdir(tmp_path / "hidden" / "given") == ["fit"]


def test_no_mark_is_left_without_mounts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = told(MARKS, [tmp_path / "file", os.getpid()])
    no = "Operation not permitted"
    assert found == {
        "times": True,
        "mode": True,
        "attribute": "Operation not supported",
        "flags": no,
        "hint": no,
        "watch": no,
        "limit": no,
        "cores": no,
        "priority": no,
        "own limit": None,
    }
