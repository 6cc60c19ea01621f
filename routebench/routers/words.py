"""TF-IDF weights of words and runs of words."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from routebench.encode import shared
from routebench.plugin import checkpoint
from routebench.records import Floats

# Single letters, punctuation and line breaks tell kinds of queries apart.
_WORD = re.compile(r"(?u)\w+|[^\w\s]|\n")
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
        """Return sparse weights [n, words], row by row: a batch equals single texts.

        The same numbers as scikit-learn's, which takes longer to import than a job to route, and
        longer to check its input than to weigh one text.
        """
        from scipy.sparse import csr_matrix

        columns, counts, ends = array("i"), array("d"), array("i", [0])
        for text in texts:
            own = self._counted(text)
            columns.extend(own)
            counts.extend(own.values())
            ends.append(len(columns))
        parts = (np.array(counts), np.array(columns), np.array(ends))
        weights = csr_matrix(parts, (len(texts), len(self.words)))
        weights.sort_indices()
        weights.data = (np.log(weights.data) + 1.0) * self.idf[weights.indices]
        # Summed one by one, as `bincount` does and `sum` does not: a row's length has one value.
        rows = np.repeat(np.arange(len(texts)), np.diff(weights.indptr))
        lengths = np.sqrt(np.bincount(rows, weights.data * weights.data, len(texts)))
        weights.data /= lengths[rows]
        return weights

    def _counted(self, text: str) -> Counter[int]:
        """Return how often each known word and run of words is there, by column."""
        words = _WORD.findall(text.lower())
        runs = [zip(*(words[at:] for at in range(n)), strict=False) for n in self._lengths]
        names = chain(words, *(map(" ".join, run) for run in runs))
        counts: Counter[Any] = Counter(map(self._column.get, names))
        del counts[None]
        return counts

    @cached_property
    def _column(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def _lengths(self) -> range:
        """Lengths of the runs of words that are columns."""
        # A run of words is joined by spaces, and no word holds one.
        return range(2, 2 + max(word.count(" ") for word in self.words))


@dataclass(frozen=True)
class WordFit:
    """What some texts gave: the vocabulary, and their own weights."""

    words: WordWeights
    weights: Any
    """Sparse [n, words]."""

    @classmethod
    def make(cls, texts: Sequence[str], max_features: int, ngrams: int) -> WordFit:
        """Learn the vocabulary and the weights."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            ngram_range=(1, ngrams),
            sublinear_tf=True,
            token_pattern=_WORD.pattern,
            max_features=max_features,
        )
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
