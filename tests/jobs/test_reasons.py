"""Check what a failed row says of why it failed."""

from __future__ import annotations

import pytest

from routebench.jobs.worker import reason


def test_a_full_device_names_what_would_fit() -> None:
    torch = pytest.importorskip("torch")
    said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB"
    assert reason(torch.OutOfMemoryError(said)) == (
        "OutOfMemoryError: CUDA out of memory: fewer --jobs, or a smaller batch_size or max_length"
    )
    assert reason(RuntimeError("odd\nshape")) == "RuntimeError: odd shape"
