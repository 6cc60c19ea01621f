"""Routers that break a rule of what is saved and loaded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from sound_router import Sound

from routebench import Context, Table, hookimpl
from routebench.plugin import checkpoint


class SavesHalf(Sound):
    broken = "check_save_and_load"

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"words": {}, "prior": self.prior})


class KeepsItInTheWorkFolder(Sound):
    broken = "check_save_and_load"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.place = context.work
        checkpoint.save(context.work, {"words": self.words, "prior": self.prior})

    def save(self, folder: Path) -> None:
        (folder / "where.txt").write_text(str(self.place))

    def load(self, folder: Path) -> None:
        super().load(Path((folder / "where.txt").read_text()))


class UntrainedIfMissing(Sound):
    broken = "check_missing_checkpoint"

    def load(self, folder: Path) -> None:
        if any(folder.iterdir()):
            super().load(folder)


class Pickles(Sound):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        (folder / "state.bin").write_bytes(pickle.dumps([self.words, self.prior]))

    def load(self, folder: Path) -> None:
        self.words, self.prior = pickle.loads((folder / "state.bin").read_bytes())


class PicklesByNumpy(Sound):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        np.save(folder / "state.npy", np.array([self.words, self.prior], dtype=object))

    def load(self, folder: Path) -> None:
        self.words, self.prior = np.load(folder / "state.npy", allow_pickle=True)


class NamesTheWorkFolder(Sound):
    broken = "check_no_paths"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.place = context.work

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "log.json").write_text(json.dumps({"made in": str(self.place)}))


class WritesLogs(Sound):
    broken = "check_writes"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        Path("training.log").write_text("done")
