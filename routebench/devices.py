"""The devices that routers are trained on."""

from __future__ import annotations

from routebench.errors import OptionError


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
