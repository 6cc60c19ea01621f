"""Sentence encoders from the sentence-transformers library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from routebench.errors import DataError
from routebench_encoders.huggingface import Source, fingerprint, loading, locate, well_formed

_MARKERS = ("modules.json", "config.json")


class SentenceTransformers:
    """A sentence encoder (Reimers & Gurevych 2019): near vectors mean near sentences."""

    stateless = True

    class Options(BaseModel):
        model: str = Field(description="hub name or local folder, such as all-MiniLM-L6-v2")
        revision: str | None = Field(None, description="branch, tag or commit of a hub model")
        batch_size: int = Field(64, ge=1, description="texts per batch; a CPU takes one by one")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = "cpu"

    @property
    def dimension(self) -> int:
        width = self._model.get_embedding_dimension()
        if width is None:
            raise DataError(f"{self.options.model}: is no sentence encoder: it states no width")
        return int(width)

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of the model's files; the device does not count."""
        return fingerprint("sentence-transformers-1", self._source.identity)

    def fit(self, texts: Sequence[str]) -> None:
        """Learn nothing: the weights are fixed."""

    def save(self, folder: Path) -> None:
        """Save nothing: the options name the model."""

    def load(self, folder: Path) -> None:
        """Load nothing: the options name the model."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return [n, dimension] one vector per text, normalised if the model normalises."""
        import torch

        name = self.options.model
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        try:
            found = self._model.encode(
                [well_formed(text) for text in texts],
                # Texts encoded one by one are not padded: no vector depends on its batch.
                batch_size=1 if self.device == "cpu" else self.options.batch_size,
                show_progress_bar=False,
                device=self.device,
            )
        except torch.cuda.OutOfMemoryError as error:
            hint = f"set batch_size below {self.options.batch_size}"
            raise DataError(f"{name}: the GPU's memory is full", hint) from error
        vectors: npt.NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        if vectors.shape != (len(texts), self.dimension):
            raise DataError(f"{name}: is no sentence encoder: vectors of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            text = texts[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
            raise DataError(f"{name}: no finite vector for {text[:40]!r}")
        return vectors

    @cached_property
    def _source(self) -> Source:
        model = self.options.model
        # As in the library, a name without an organisation is one of `sentence-transformers`.
        if not Path(model).expanduser().exists() and "/" not in model:
            model = f"sentence-transformers/{model}"
        return locate(model, self.options.revision, _MARKERS)

    @cached_property
    def _model(self) -> Any:
        import sentence_transformers
        import torch

        source = self._source
        build: Any = sentence_transformers.SentenceTransformer
        with loading(self.options.model):
            return build(
                source.place,
                revision=source.commit,
                device=self.device,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            ).eval()
