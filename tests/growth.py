"""How the work on a text grows with its length, whatever the machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def grows_with_the_square(work: Callable[[str], object], text: str) -> bool:
    """Return whether a text takes far more than 64 times as long as its first 64th."""

    def seconds(part: str) -> float:
        started = time.process_time()
        work(part)
        return time.process_time() - started

    first = min(seconds(text[: len(text) // 64]) for _ in range(3))
    return seconds(text) > 8 * 64 * first
