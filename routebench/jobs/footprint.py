"""The size of a checkpoint, and the memory that a process took."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any


def size(checkpoint: Path) -> dict[str, Any]:
    """Return a checkpoint's bytes, and the number of values in its safetensors files."""
    from safetensors import safe_open

    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    numbers = 0
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, "np") as arrays:
                numbers += sum(math.prod(arrays.get_slice(k).get_shape()) for k in arrays.keys())  # noqa: SIM118
    return {"parameters": numbers, "checkpoint_bytes": sum(path.stat().st_size for path in files)}


def memory() -> dict[str, Any]:
    """Return the peak memory of this process, and of its device where torch uses one."""
    peaks = {}
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak is inherited from the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks["peak_rss_bytes"] = int(line.split()[1]) * 1024
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peaks["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    return peaks
