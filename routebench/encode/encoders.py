"""Text encoders in a job: fitted on its training texts, or served from stored vectors.

A fitted encoder belongs to one split: it is saved with the router, and shared by the jobs of one
run (`shared`), never between runs. A stateless one gives a text the same vector everywhere: the run
encodes every text once (`precompute`), and a job gets the vectors of its own texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.encode import shared, vectors
from routebench.errors import DataError
from routebench.plugin import discovery, options
from routebench.records import Vectors

_TRAINING = "training_vectors.npy"


class FittedOnUse:
    """The encoder a router gets: fitted on the training texts when first needed, once for a run.

    A router that never encodes pays nothing for it.
    """

    def __init__(self, name: str, values: dict[str, Any], texts: Sequence[str]) -> None:
        self.name = name
        self.values = values
        self._texts = texts
        self._encoder: Any = None
        self._shared: Path | None = None

    @property
    def encoder(self) -> Any:
        if self._encoder is None:
            settings = {"name": self.name, "options": self.values}
            self._shared = shared.find(shared.ENCODER, settings, self._texts)
            encoder = create(self.name, self.values)
            if self._shared is None:
                encoder.fit(self._texts)
            else:
                encoder.load(self._shared)
            self._encoder = encoder
        return self._encoder

    @property
    def dimension(self) -> int:
        return int(self.encoder.dimension)

    @property
    def fingerprint(self) -> str:
        return str(self.encoder.fingerprint)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return [n, dimension] one vector per text."""
        encoder, encoded = self.encoder, None
        if self._shared is not None and list(texts) == list(self._texts):
            encoded = np.load(self._shared / _TRAINING, allow_pickle=False)
        else:
            encoded = encoder.encode(texts)
        vectors: Vectors = encoded
        return vectors

    def share(self, folder: Path) -> None:
        """Fit, and write the encoder and the vectors of its texts for others to load."""
        folder.mkdir()
        encoder = create(self.name, self.values)
        encoder.fit(self._texts)
        encoder.save(folder)
        np.save(folder / _TRAINING, encoder.encode(self._texts), allow_pickle=False)

    def save(self, folder: Path) -> None:
        """Write the fitted encoder and what `load` needs to know of it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.encoder.save(folder)
        _write_header(folder, self.name, self.values, self)


class Served:
    """A stateless encoder in a job: precomputed vectors, and live ones for other texts."""

    store: Path | None = None
    """The folder of this process's vectors; set by the harness."""
    used = False
    """Whether this process has asked for vectors."""

    def __init__(
        self,
        name: str,
        values: dict[str, Any],
        dimension: int,
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        self.name = name
        self.values = values
        self.dimension = dimension
        self.fingerprint = fingerprint
        self.device = device
        self._live: Any = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return [n, dimension] one vector per text."""
        Served.used = True
        if Served.store is None:
            return self._encode(texts)
        found: Vectors
        found, known = vectors.VectorStore.open(Served.store).find(texts)
        if not known.all():
            missing = np.flatnonzero(~known)
            found[missing] = self._encode([texts[int(i)] for i in missing])
        return found

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if self._live is None:
            self._live = create(self.name, self.values)
            self._live.device = self.device
            _check(self._live, self.dimension, self.fingerprint, f"encoder {self.name}")
        encoded: Vectors = self._live.encode(texts)
        return encoded

    def save(self, folder: Path) -> None:
        """Write what `load` needs to know; the weights stay where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        _write_header(folder, self.name, self.values, self)


def create(name: str, values: dict[str, Any]) -> Any:
    """Create an unfitted encoder plugin with the given option values."""
    plugin = discovery.load(discovery.find("encoder", name))
    return plugin(options.validate(plugin, name, values))


def load(folder: Path) -> Any:
    """Load the encoder that a router saved into `folder`; raise `DataError` if it does not fit."""
    path = folder / "encoder.json"
    if not path.exists():
        raise DataError(f"no encoder in {folder}: encoder.json is missing")
    header = json.loads(path.read_text(encoding="utf-8"))
    name, values = header["encoder"], header["options"]
    if header["stateless"]:
        return Served(name, values, header["dimension"], header["fingerprint"])
    encoder = create(name, values)
    encoder.load(folder)
    _check(encoder, header["dimension"], header["fingerprint"], str(folder))
    return encoder


def _check(encoder: Any, dimension: int, fingerprint: str, place: str) -> None:
    for name, expected in (("dimension", dimension), ("fingerprint", fingerprint)):
        if getattr(encoder, name) != expected:
            raise DataError(
                f"{place}: encoder {name} is {getattr(encoder, name)}, "
                f"but the checkpoint was made with {expected}"
            )


def _write_header(folder: Path, name: str, values: dict[str, Any], encoder: Any) -> None:
    header = {
        "encoder": name,
        "options": values,
        "dimension": encoder.dimension,
        "fingerprint": encoder.fingerprint,
        "stateless": isinstance(encoder, Served),
    }
    (folder / "encoder.json").write_text(json.dumps(header, indent=2, sort_keys=True))
