"""The program of a forked process in tests: says what it is and has, then does as it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

AHEAD = ("numpy",)


def main() -> None:
    import numpy as np

    # listdir's own descriptor is among those listed, and closed by now.
    descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
    about = {
        "descriptors": [n for n in descriptors if os.path.exists(f"/proc/self/fd/{n}")],
        "variables": dict(os.environ),
        "folder": os.getcwd(),
        "writable_shared_memory": [
            line
            for line in Path("/proc/self/maps").read_text().splitlines()
            if line.split()[1][1] == "w" and line.split()[1][3] == "s"
        ],
        "threads": len(os.listdir("/proc/self/task")),
        "server_threads": len(os.listdir(f"/proc/{os.getppid()}/task")),
        "drawn": float(np.random.random()),  # noqa: NPY002
        "modules": sorted(sys.modules),
        "pid": os.getpid(),
        "server": os.getppid(),
    }
    print(json.dumps(about), flush=True)
    order = sys.stdin.readline().strip()
    if order == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("child").write_text(str(child.pid))
        time.sleep(600)
    if order == "sleep":
        time.sleep(600)
    if order == "fail":
        raise ValueError("as told")
    os._exit(7)
