"""TF-IDF weights of words and runs of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from routebench.encode import shared
from routebench.plugin import checkpoint
from routebench.records import Floats

_PARTS = ("data", "indices", "indptr")
"""What a matrix of sparse rows is made of."""


@dataclass(frozen=True)
class WordWeights:
    """A vocabulary and its inverse document frequencies: texts to sparse TF-IDF weights."""

    words: list[str]
    """Words and runs of words, by column."""
    idf: Floats
    """[words]"""

    @classmethod
    def learn(
        cls, texts: Sequence[str], max_features: int = 50_000, ngrams: int = 2
    ) -> tuple[WordWeights, Any]:
        """Learn from the texts; return also their own sparse weights [n, words].

        On a job's training texts this is done once for a run.
        """
        settings = {"max_features": max_features, "ngrams": ngrams}
        place = shared.find(shared.WORDS, settings, texts)
        fit = WordFit.load(place) if place else WordFit.make(texts, **settings)
        return fit.words, fit.weights

    def transform(self, texts: Sequence[str]) -> Any:
        """Return sparse weights [n, words], row by row: a batch equals single texts."""
        return self._fitted.transform(texts)

    @cached_property
    def _fitted(self) -> Any:
        # A run of words is joined by spaces, and no word holds one.
        longest = 1 + max(word.count(" ") for word in self.words)
        vectorizer = _vectorizer(longest, vocabulary=self.words)
        vectorizer.idf_ = self.idf
        return vectorizer


@dataclass(frozen=True)
class WordFit:
    """What some texts gave: the vocabulary, and their own weights."""

    words: WordWeights
    weights: Any
    """Sparse [n, words]."""

    @classmethod
    def make(cls, texts: Sequence[str], max_features: int, ngrams: int) -> WordFit:
        """Learn the vocabulary and the weights."""
        vectorizer = _vectorizer(ngrams, max_features=max_features)
        weights = vectorizer.fit_transform(texts)
        words = [str(word) for word in vectorizer.get_feature_names_out()]
        return cls(WordWeights(words, vectorizer.idf_), weights)

    def save(self, folder: Path) -> None:
        """Write it for `load`."""
        parts = {name: getattr(self.weights, name) for name in _PARTS}
        shape = list(self.weights.shape)
        meta = {"words": self.words.words, "shape": shape}
        checkpoint.save(folder, meta, parts | {"idf": self.words.idf})

    @classmethod
    def load(cls, folder: Path) -> WordFit:
        """Read what `save` wrote."""
        from scipy.sparse import csr_matrix

        meta, arrays = checkpoint.load(folder)
        weights = csr_matrix(tuple(arrays[name] for name in _PARTS), shape=meta["shape"])
        return cls(WordWeights(meta["words"], arrays["idf"]), weights)


def _vectorizer(ngrams: int, **settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, ngrams),
        sublinear_tf=True,
        # Single letters, punctuation and line breaks tell kinds of queries apart.
        token_pattern=r"(?u)\w+|[^\w\s]|\n",  # noqa: S106
        **settings,
    )
