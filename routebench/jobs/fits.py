"""The run's side of shared fits: each is made once, and copied to the jobs that ask for it."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from routebench.encode.shared import ENCODER, WORDS
from routebench.files import sha256
from routebench.isolation.messages import Access, FitNeeded, FitTextsReply, FitTextsRequest
from routebench.isolation.subprocesses import Workers
from routebench.jobs.setup import Setup
from routebench.plugin import discovery

Answer = Callable[[FitNeeded], str | None]
_FOLDER = "fits"


class SharedFits:
    """The fits of one run, by the hash of the texts and settings that they are made from."""

    def __init__(self, setup: Setup, workers: Workers) -> None:
        self._setup = setup
        self._workers = workers
        self._place = workers.scratch / _FOLDER
        self._made: dict[str, Path | None] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def answer(self, texts: Sequence[str], folder: Path) -> Answer:
        """Return what answers a job that was given these training texts and this folder.

        It returns the place of a fit in the job's folder; None where the job has to make it.
        """

        def give(needed: FitNeeded) -> str | None:
            settings = self._settings(needed)
            if settings is None:
                return None
            made = self._make(needed.kind, settings, texts)
            if made is None:
                return None
            place = folder / _FOLDER / made.name
            if not place.exists():
                shutil.copytree(made, place)
            return str(place.relative_to(folder))

        return give

    def _settings(self, needed: FitNeeded) -> dict[str, Any] | None:
        """Return what is fitted: the run's own encoder, whatever a router says, or words."""
        if needed.kind == ENCODER and self._setup.encoded is None:
            return {"name": self._setup.encoder, "options": self._setup.encoder_options}
        if needed.kind == WORDS and all(type(value) is int for value in needed.settings.values()):
            return needed.settings
        return None

    def _make(self, kind: str, settings: dict[str, Any], texts: Sequence[str]) -> Path | None:
        content = json.dumps([kind, settings, _digest(texts)], sort_keys=True)
        key = sha256(content.encode())[:32]
        with self._locks[key]:
            if key not in self._made:
                self._made[key] = self._fit(kind, settings, texts, self._place / key)
            return self._made[key]

    def _fit(
        self, kind: str, settings: dict[str, Any], texts: Sequence[str], folder: Path
    ) -> Path | None:
        """Make a fit in a process that has the texts; None where that fails."""
        folder.mkdir(parents=True)
        (folder / "texts.json").write_text(json.dumps(list(texts)))
        encoder = discovery.find("encoder", self._setup.encoder)
        report = self._workers.run(
            FitTextsRequest(kind, settings),
            folder,
            Access(discovery.answer_modules(encoder)),
            libraries=self._setup.encoder_libraries,
            answer=self.answer(texts, folder) if kind == ENCODER else None,
        )
        if not isinstance(report.reply, FitTextsReply):
            return None  # the job makes it itself, and says why it cannot
        made = folder / folder.name
        (folder / "fit").rename(made)
        return made


def _digest(texts: Sequence[str]) -> str:
    """Return a hash of the texts in their order, each with its length."""
    made = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        made.update(len(content).to_bytes(8, "big") + content)
    return made.hexdigest()
