"""The size of a checkpoint, the memory that a process took, and the machine it ran on."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("routebench", "numpy", "pyarrow", "scikit-learn", "scipy", "pluggy", "pydantic")
_VALUES = ("python", "platform", "machine", "cpus")


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


def machine(distributions: Iterable[str | None] = ()) -> dict[str, Any]:
    """Return this machine and the versions on it; nothing of it decides comparability."""
    names = {*_PACKAGES, *filter(None, distributions)}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "blas": list(_blas()),
        "packages": {name: metadata.version(name) for name in sorted(names)},
    }


def versions() -> dict[str, str]:
    """Return the versions here that numbers depend on: of Python, and of the usual packages."""
    minor = ".".join(platform.python_version_tuple()[:2])
    return {"Python": minor} | {name: metadata.version(name) for name in _PACKAGES}


def merge_machines(machines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the machines of some jobs have in common, with all values where they differ."""
    merged: dict[str, Any] = {}
    for name in _VALUES:
        merged[name] = _one_or_all([each.get(name) for each in machines])
    merged["blas"] = sorted({one for each in machines for one in each.get("blas", [])})
    versions = [each.get("packages", {}) for each in machines]
    merged["packages"] = {
        name: _one_or_all([each[name] for each in versions if name in each])
        for name in sorted({name for each in versions for name in each})
    }
    return merged


def _one_or_all(values: list[Any]) -> Any:
    different = list(dict.fromkeys(values))
    return different[0] if len(different) == 1 else "; ".join(sorted(map(str, different)))


@cache
def _blas() -> tuple[str, ...]:
    """Return the loaded BLAS libraries, each with its version and the kernel it chose, by name."""
    from threadpoolctl import threadpool_info

    return tuple(
        sorted(
            {
                " ".join(
                    str(one[k]) for k in ("internal_api", "version", "architecture") if one.get(k)
                )
                for one in threadpool_info()
                if one["user_api"] == "blas"
            }
        )
    )
