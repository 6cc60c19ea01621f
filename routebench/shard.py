"""One of n parts of the work, for machines that know nothing of one another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from routebench.errors import OptionError

_T = TypeVar("_T")
_MOST = 100_000
_SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, from 0 on."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> Shard:
        """Return the shard that an option names: `0/3`, or `auto` for the task of a Slurm array.

        Raises:
            OptionError: it names none.
        """
        if text == "auto":
            return cls._of_slurm(environment)
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not int(found[1]) < int(found[2]) <= _MOST:
            raise OptionError(
                f"--shard {text}: expected i/n with i from 0 to n - 1, or auto",
                "--shard 0/3, --shard 1/3 and --shard 2/3 are the whole",
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def _of_slurm(cls, environment: Mapping[str, str]) -> Shard:
        known = [environment.get(name, "") for name in _SLURM]
        if not all(value.isdecimal() for value in known):
            raise OptionError(
                f"--shard auto: {' and '.join(_SLURM)} are not set",
                "it is for a Slurm array, sbatch --array=0-2; else --shard 0/3",
            )
        task, count = map(int, known)
        first, step = (
            int(environment.get(f"SLURM_ARRAY_TASK_{name}", default))
            for name, default in (("MIN", "0"), ("STEP", "1"))
        )
        index, rest = divmod(task - first, max(step, 1))
        if rest or not 0 <= index < count:
            raise OptionError(
                f"--shard auto: task {task} of an array of {count} that starts at {first}",
                "number the array without gaps, --array=0-2, or give --shard 0/3",
            )
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def folder(self) -> str:
        """Return the name of its folder."""
        return f"{self.index}-of-{self.count}"

    def take(self, items: Iterable[_T]) -> list[_T]:
        """Return every n-th item: what lies together, and takes alike, is dealt out."""
        return list(islice(items, self.index, None, self.count))
