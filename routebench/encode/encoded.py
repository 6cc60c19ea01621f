"""The run's encoder as it described itself, and its precomputed vectors of all texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.encode import vectors
from routebench.plugin.discovery import PluginInfo


@dataclass(frozen=True)
class EncoderInfo:
    """The run's encoder, as a process of its own described it."""

    plugin: PluginInfo
    options: dict[str, Any]
    stateless: bool = False
    by_id: bool = False
    """Whether it knows vectors by query id only, and can encode no other text."""
    dimension: int = 0
    fingerprint: str = ""
    libraries: tuple[str, ...] = ()
    """Those that it imports."""

    @property
    def identity(self) -> list[Any]:
        """Return the plugin's name with its fingerprint if stateless, else with its options."""
        if self.stateless:
            return [self.plugin.name, self.fingerprint]
        return [self.plugin.name, self.options]


@dataclass(frozen=True)
class Encoded:
    """The vectors of all texts of a run."""

    info: EncoderInfo
    store: Path
    timing: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, texts: Sequence[str]) -> None:
        """Write the vectors of the given texts alone, for a job."""
        matrix, _ = vectors.VectorStore.open(self.store).find(texts)
        vectors.write(folder, texts, matrix)

    @property
    def facts(self) -> dict[str, Any]:
        """Return the facts that a job's encoder needs: dimension and fingerprint."""
        return {"dimension": self.info.dimension, "fingerprint": self.info.fingerprint}
