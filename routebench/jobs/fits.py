"""The run's side of shared fits: each is made once, and copied to the jobs that ask for it."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.encode import shared
from routebench.encode.shared import ENCODER, WORDS
from routebench.files import sha256
from routebench.isolation.messages import Access, FitNeeded, FitTextsReply, FitTextsRequest
from routebench.isolation.subprocesses import Workers
from routebench.jobs.setup import Setup
from routebench.plugin import discovery


class GivenFits:
    """The fits of one job, in a folder that it may read and not write."""

    def __init__(
        self, fits: SharedFits, texts: Sequence[str], folder: Path, kinds: set[str]
    ) -> None:
        self._fits = fits
        self._texts = texts
        self._kinds = kinds
        self._asked: set[str] = set()
        self.folder = folder
        self.warnings: list[str] = []
        """Those of the processes that made them."""
        folder.mkdir()

    def __call__(self, needed: FitNeeded) -> str | None:
        """Return where in the folder a fit lies; None where the job has to make it."""
        settings = self._fits.settings(needed)
        if settings is None or needed.kind not in self._kinds:
            return None
        self._asked.add(shared.key(needed.kind, settings))
        if len(self._asked) > shared.LIMIT:
            return None
        made = self._fits.make(needed.kind, settings, self._texts)
        if made is None:
            return None
        self.warnings += made.warnings
        place = self.folder / made.folder.name
        if not place.exists():
            shutil.copytree(made.folder, place)
        return str(place)


@dataclass(frozen=True)
class _Fit:
    folder: Path
    warnings: list[str]


class SharedFits:
    """The fits of one run, by the hash of the texts and settings that they are made from."""

    def __init__(self, setup: Setup, workers: Workers) -> None:
        self._setup = setup
        self._workers = workers
        self._place = workers.scratch / "fits"
        self._made: dict[str, _Fit | None] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def given(self, texts: Sequence[str], folder: Path) -> GivenFits:
        """Return what answers a job that has these training texts; the folder is a new one."""
        return GivenFits(self, texts, folder, {ENCODER, WORDS})

    def settings(self, needed: FitNeeded) -> dict[str, Any] | None:
        """Return what is fitted: the run's own encoder, whatever a router says, or words."""
        if needed.kind == ENCODER and self._setup.encoded is None:
            return {"name": self._setup.encoder, "options": self._setup.encoder_options}
        if needed.kind == WORDS and all(type(value) is int for value in needed.settings.values()):
            return needed.settings
        return None

    def make(self, kind: str, settings: dict[str, Any], texts: Sequence[str]) -> _Fit | None:
        """Return a fit, made by the first that asks for it; None where that failed."""
        content = json.dumps([kind, settings, _digest(texts)], sort_keys=True)
        key = sha256(content.encode())[:32]
        with self._locks[key]:
            if key not in self._made:
                self._made[key] = self._fit(kind, settings, texts, self._place / key)
            return self._made[key]

    def _fit(
        self, kind: str, settings: dict[str, Any], texts: Sequence[str], place: Path
    ) -> _Fit | None:
        """Make a fit in a process that has the texts; None where that fails."""
        folder = place / "job"
        folder.mkdir(parents=True)
        (folder / "texts.json").write_text(json.dumps(list(texts)))
        encoder = discovery.find("encoder", self._setup.encoder)
        timeout = self._setup.timeout
        # An encoder may ask for words, and for no encoder: it would wait for itself.
        given = GivenFits(self, texts, place / "given", {WORDS} if kind == ENCODER else set())
        report = self._workers.run(
            FitTextsRequest(kind, settings),
            folder,
            Access(discovery.answer_modules(encoder), given=str(given.folder)),
            time.monotonic() + timeout if timeout else None,
            libraries=self._setup.encoder_libraries,
            answer=given,
        )
        if not isinstance(report.reply, FitTextsReply):
            return None  # the job makes it itself, and says why it cannot
        made = place / place.name
        (folder / "fit").rename(made)
        shutil.rmtree(folder)
        return _Fit(made, [*given.warnings, *report.warnings])


def _digest(texts: Sequence[str]) -> str:
    """Return a hash of the texts in their order, each with its length."""
    made = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        made.update(len(content).to_bytes(8, "big") + content)
    return made.hexdigest()
