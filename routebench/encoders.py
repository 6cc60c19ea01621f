"""Text encoders in a job: fitted on the training texts at first use, saved with the router."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench import discovery, options
from routebench.errors import DataError


class FittedOnUse:
    """The encoder a router gets: fits itself on the training texts when first needed.

    A router that never encodes pays nothing for it.
    """

    def __init__(self, name: str, values: dict[str, Any], texts: Sequence[str]) -> None:
        self.name = name
        self.values = values
        self._texts = texts
        self._encoder: Any = None

    @property
    def encoder(self) -> Any:
        if self._encoder is None:
            self._encoder = create(self.name, self.values)
            self._encoder.fit(self._texts)
        return self._encoder

    @property
    def dimension(self) -> int:
        return int(self.encoder.dimension)

    @property
    def fingerprint(self) -> str:
        return str(self.encoder.fingerprint)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """[n, dimension] one vector per text."""
        vectors: npt.NDArray[np.float32] = self.encoder.encode(texts)
        return vectors

    def save(self, folder: Path) -> None:
        """Write the fitted encoder and what `load` needs to know of it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.encoder.save(folder)
        header = {
            "encoder": self.name,
            "options": self.values,
            "dimension": self.dimension,
            "fingerprint": self.fingerprint,
        }
        (folder / "encoder.json").write_text(json.dumps(header, indent=2, sort_keys=True))


def create(name: str, values: dict[str, Any]) -> Any:
    """A new, unfitted encoder plugin with the given option values."""
    plugin = discovery.load(discovery.find("encoder", name))
    return plugin(options.validate(plugin, name, values))


def load(folder: Path) -> Any:
    """The encoder that a router saved into `folder`; a `DataError` where it does not fit."""
    path = folder / "encoder.json"
    if not path.exists():
        raise DataError(f"no encoder in {folder}: encoder.json is missing")
    header = json.loads(path.read_text(encoding="utf-8"))
    encoder = create(header["encoder"], header["options"])
    encoder.load(folder)
    for name in ("dimension", "fingerprint"):
        if getattr(encoder, name) != header[name]:
            raise DataError(
                f"{folder}: encoder {name} is {getattr(encoder, name)}, "
                f"but the checkpoint was made with {header[name]}"
            )
    return encoder
