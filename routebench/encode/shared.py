"""Fits of a job's training texts, of encoder and words, that its run makes once for all jobs.

A job asks the run. The run has the fit made in a process that gets those texts and nothing else,
and copies it into a folder beside that of every job that asks, which the job may read and not
write. So jobs share what training texts gave, and no job writes what another one reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import PluginError

ENCODER, WORDS = "encoder", "words"
LIMIT = 16
"""Fits that one job may ask for."""
Ask = Callable[[str, dict[str, Any]], Path | None]
"""Return the folder of a fit by its kind and settings; None where the run does not make it."""


@dataclass(frozen=True)
class _Training:
    texts: Sequence[str]
    ask: Ask
    asked: set[str] = field(default_factory=set)


_training: _Training | None = None


def provide(texts: Sequence[str], ask: Ask) -> None:
    """Let this process ask the run for fits of these texts."""
    global _training
    _training = _Training(texts, ask)


def key(kind: str, settings: dict[str, Any]) -> str:
    """Return what tells fits of the same texts apart."""
    return json.dumps([kind, settings], sort_keys=True)


def find(kind: str, settings: dict[str, Any], texts: Sequence[str]) -> Path | None:
    """Return the folder of the run's fit of these texts; None where it makes none.

    Raises `PluginError` where the job has asked for too many others.
    """
    if _training is None or list(texts) != list(_training.texts):
        return None
    _training.asked.add(key(kind, settings))
    if len(_training.asked) > LIMIT:
        raise PluginError(
            f"more than {LIMIT} fits of the training texts, by kind and settings",
            "fit on a sample of the texts to compare settings, and ask for those chosen",
        )
    return _training.ask(kind, settings)
