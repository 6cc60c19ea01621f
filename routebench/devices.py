"""The devices that routers are trained on, and how the jobs of a run share them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence

from routebench.errors import OptionError

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def check_device(device: str) -> None:
    """Raise an `OptionError` where CUDA is asked for and is not usable."""
    if not device.startswith("cuda"):
        return
    try:
        import torch
    except ImportError as error:
        raise OptionError(f"--device {device}: torch is not installed", "--device cpu") from error
    if not torch.cuda.is_available():
        raise OptionError(f"--device {device}: this machine has no usable CUDA", "--device cpu")
    index = int(device.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise OptionError(f"--device {device}: there are {torch.cuda.device_count()} CUDA devices")


def visible(device: str) -> tuple[str, ...]:
    """Return the CUDA devices that jobs may share, as `CUDA_VISIBLE_DEVICES` names them.

    None on a CPU, and none for `cuda:N`, which is one device for all jobs. What the environment
    names, by number, UUID or MIG name, is kept; else it is every device there is.
    """
    if device != "cuda":
        return ()
    if (stated := os.environ.get(_VISIBLE)) is not None:
        return tuple(name.strip() for name in stated.split(",") if name.strip())
    try:
        import torch
    except ImportError:
        return ()
    return tuple(map(str, range(torch.cuda.device_count())))  # by NVML: no context is made


class SharedDevices:
    """Lends each job the device that the fewest others have at that time.

    >>> shared = SharedDevices(["0", "1"])
    >>> with shared.lent() as first, shared.lent() as second:
    ...     first, second
    ({'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '1'})
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._users = dict.fromkeys(names, 0)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lent(self) -> Iterator[dict[str, str]]:
        """Yield the environment variable of a job's device; empty where there is nothing to share.

        The first of equals is the one that the environment names first.
        """
        if not self._users:
            yield {}
            return
        with self._lock:
            name = min(self._users, key=self._users.__getitem__)
            self._users[name] += 1
        try:
            yield {_VISIBLE: name}
        finally:
            with self._lock:
                self._users[name] -= 1
