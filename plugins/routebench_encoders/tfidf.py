"""TF-IDF weights of words and word pairs, and their truncated SVD (latent semantic analysis)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from routebench.plugin import checkpoint
from routebench.records import Floats, Vectors
from routebench.routers.words import WordWeights


class TfidfSVD:
    """Latent semantic analysis (Deerwester et al. 1990) on TF-IDF weights.

    Vectors have unit length; nothing is downloaded.
    """

    libraries = ("sklearn.feature_extraction.text", "sklearn.utils.extmath")

    class Options(BaseModel):
        dimension: int = Field(128, ge=2, le=4096, description="components kept by the SVD")
        max_features: int = Field(50_000, ge=10, description="words and word pairs kept")
        ngrams: int = Field(2, ge=1, le=3, description="longest run of words that is one feature")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.dimension = options.dimension
        self.fingerprint = ""

    def fit(self, texts: Sequence[str]) -> None:
        from sklearn.utils.extmath import randomized_svd

        words, matrix = WordWeights.learn(texts, self.options.max_features, self.options.ngrams)
        rank = min(self.dimension, *matrix.shape)
        _, _, components = randomized_svd(matrix, rank, n_iter=5, random_state=0)
        # Short corpora give fewer components; zeros keep the promised width.
        padded = np.zeros((matrix.shape[1], self.dimension), dtype=np.float32)
        padded[:, :rank] = components.T
        self._set(words, padded)

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = self._project(self._words.transform(texts))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
        return unit

    def _project(self, weights: Any) -> Floats:
        """Return weights [n, words] times components, in float64; only rows in use are converted.

        A query has some twenty words of fifty thousand.
        """
        if len(weights.indices) < len(self._components):
            used, columns = np.unique(weights.indices, return_inverse=True)
        else:  # the same without sorting
            places = np.zeros(len(self._components), dtype=np.int32)
            places[weights.indices] = 1
            used = np.flatnonzero(places)
            places[used] = np.arange(len(used))
            columns = places[weights.indices]
        shape = (weights.shape[0], len(used))
        compact = type(weights)((weights.data, columns, weights.indptr), shape)
        return np.asarray(compact @ self._components[used].astype(np.float64))

    def save(self, folder: Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {"components": self._components}
        checkpoint.save(folder, {"words": self._words.words}, arrays | {"idf": self._words.idf})

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._set(WordWeights(meta["words"], arrays["idf"]), arrays["components"])

    def _set(self, words: WordWeights, components: Vectors) -> None:
        self._words = words
        self._components = components  # [words, dimension]: the rows a query uses are contiguous
        digest = hashlib.sha256("\n".join(self._words.words).encode())
        digest.update(np.ascontiguousarray(self._words.idf).tobytes())
        digest.update(np.ascontiguousarray(self._components).tobytes())
        self.fingerprint = digest.hexdigest()[:16]
