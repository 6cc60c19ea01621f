"""Sound encoders, and ones that each break one rule: `broken` names its check."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from broken_options import Stored, of_kind

from routebench.plugin import checkpoint


class Encoder(Stored):
    """How often some letters are in a text, less their mean in the training texts."""

    dimension = 5
    mean = np.zeros(5)

    def fit(self, texts: Any) -> None:
        self.mean = self.counts(texts).mean(axis=0)

    def counts(self, texts: Any) -> Any:
        return np.array([[text.count(c) / (1 + len(text)) for c in "aeiou"] for text in texts])

    @property
    def fingerprint(self) -> Any:
        return hashlib.sha256(self.mean.tobytes()).hexdigest()

    def encode(self, texts: Any) -> Any:
        return self.counts(texts) - self.mean

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {}, {"mean": self.mean})

    def load(self, folder: Path) -> None:
        self.mean = checkpoint.load(folder)[1]["mean"]


class Saveless(Encoder):
    broken = "check_members"
    save: Any = None


class Wider(Encoder):
    broken = "check_encode"
    dimension = 6


class Centres(Encoder):
    broken = "check_each_by_itself"

    def encode(self, texts: Any) -> Any:
        made = super().encode(texts)
        return made - made.mean(axis=0)


class Blind(Encoder):
    broken = "check_tells_texts_apart"

    def counts(self, texts: Any) -> Any:
        return np.ones((len(texts), 5))


class Divides(Encoder):
    broken = "check_odd_texts"

    def counts(self, texts: Any) -> Any:
        return np.array([[text.count(c) / len(text) for c in "aeiou"] for text in texts])


class WantsMany(Encoder):
    broken = "check_few_texts"

    def fit(self, texts: Any) -> None:
        if len(texts) < 10:
            raise ValueError("too few")
        super().fit(texts)


class Noisy(Encoder):
    broken = "check_repeatable"

    def fit(self, texts: Any) -> None:
        super().fit(texts)
        self.noise = np.random.random(5)  # noqa: NPY002

    def encode(self, texts: Any) -> Any:
        return super().encode(texts) + self.noise

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {}, {"mean": self.mean, "noise": self.noise})

    def load(self, folder: Path) -> None:
        state = checkpoint.load(folder)[1]
        self.mean, self.noise = state["mean"], state["noise"]


class Anonymous(Encoder):
    broken = "check_fingerprint"
    fingerprint: Any = "letters"


class Forgets(Encoder):
    broken = "check_save_and_load"

    def load(self, folder: Path) -> None:
        pass


class Pickles(Encoder):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        (folder / "state").write_bytes(pickle.dumps(self.mean))

    def load(self, folder: Path) -> None:
        self.mean = pickle.loads((folder / "state").read_bytes())


ENCODERS = [
    *of_kind(Encoder), Saveless, Wider, Centres, Blind, Divides, WantsMany, Noisy, Anonymous,
    Forgets, Pickles,
]  # fmt: skip
