"""Fits of a job's training texts, of encoder and words, that its run makes once for all jobs.

A job asks the run. The run has the fit made in a process that gets those texts and nothing else,
and copies it into the folder of every job that asks. So jobs share what training texts gave, and
no job writes what another one reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENCODER, WORDS = "encoder", "words"
Ask = Callable[[str, dict[str, Any]], Path | None]
"""Return the folder of a fit by its kind and settings; None where the run does not make it."""


@dataclass(frozen=True)
class _Training:
    texts: Sequence[str]
    ask: Ask


_training: _Training | None = None


def provide(texts: Sequence[str], ask: Ask) -> None:
    """Let this process ask the run for fits of these texts."""
    global _training
    _training = _Training(texts, ask)


def find(kind: str, settings: dict[str, Any], texts: Sequence[str]) -> Path | None:
    """Return the folder of the run's fit of these texts; None where it makes none."""
    if _training is None or list(texts) != list(_training.texts):
        return None
    return _training.ask(kind, settings)
