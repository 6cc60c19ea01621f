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


class WordWeights:
    """Sparse TF-IDF of runs of words; a vocabulary and its weights are all it remembers."""

    def __init__(self, max_features: int = 50_000, ngrams: int = 2) -> None:
        self.max_features = max_features
        self.ngrams = ngrams
        self._vectorizer: Any = None

    def fit_transform(self, texts: Sequence[str]) -> Any:
        """Learn from the texts; their sparse weights [n, words]."""
        self._vectorizer = self._new(None)
        return self._vectorizer.fit_transform(texts)

    def transform(self, texts: Sequence[str]) -> Any:
        """Sparse weights [n, words], row by row, so that a batch equals single texts."""
        return self._vectorizer.transform(texts)

    @property
    def words(self) -> list[str]:
        return [str(word) for word in self._vectorizer.get_feature_names_out()]

    @property
    def idf(self) -> npt.NDArray[np.float64]:
        weights: npt.NDArray[np.float64] = self._vectorizer.idf_
        return weights

    def restore(self, words: list[str], idf: npt.NDArray[np.float64]) -> None:
        self._vectorizer = self._new(words)
        self._vectorizer.idf_ = idf

    def _new(self, words: list[str] | None) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(
            ngram_range=(1, self.ngrams),
            max_features=None if words else self.max_features,
            sublinear_tf=True,
            # Single letters, punctuation and line breaks tell kinds of queries apart.
            token_pattern=r"(?u)\w+|[^\w\s]|\n",  # noqa: S106
            vocabulary=words,
        )


class TfidfSVD:
    """Deerwester et al. 1990 on TF-IDF weights; unit-length vectors, no download."""

    class Options(BaseModel):
        dimension: int = Field(128, ge=2, le=4096, description="components kept by the SVD")
        max_features: int = Field(50_000, ge=10, description="words and word pairs kept")
        ngrams: int = Field(2, ge=1, le=3, description="longest run of words that is one feature")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.dimension = options.dimension
        self.fingerprint = ""
        self._words = WordWeights(options.max_features, options.ngrams)
        self._components: Any = None

    def fit(self, texts: Sequence[str]) -> None:
        from sklearn.utils.extmath import randomized_svd

        matrix = self._words.fit_transform(texts)
        rank = min(self.dimension, *matrix.shape)
        _, _, components = randomized_svd(matrix, rank, n_iter=5, random_state=0)
        # Short corpora give fewer components; zeros keep the promised width.
        padded = np.zeros((matrix.shape[1], self.dimension), dtype=np.float32)
        padded[:, :rank] = components.T
        self._components = padded  # [words, dimension]: a query's few rows lie together
        self.fingerprint = self._hash()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.asarray(self._words.transform(texts) @ self._components, dtype=np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
        return unit

    def save(self, folder: Path) -> None:
        arrays = {"idf": self._words.idf, "components": self._components}
        checkpoint.save(folder, {"words": self._words.words}, arrays)

    def load(self, folder: Path) -> None:
        meta, arrays = checkpoint.load(folder)
        self._words.restore(meta["words"], arrays["idf"])
        self._components = arrays["components"]
        self.fingerprint = self._hash()

    def _hash(self) -> str:
        digest = hashlib.sha256("\n".join(self._words.words).encode())
        digest.update(np.ascontiguousarray(self._words.idf).tobytes())
        digest.update(np.ascontiguousarray(self._components).tobytes())
        return digest.hexdigest()[:16]
