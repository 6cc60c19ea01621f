"""TF-IDF weights of words and runs of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from routebench.encode import shared
from routebench.plugin import checkpoint
from routebench.records import Floats, Ints

# Single letters, punctuation and line breaks tell kinds of queries apart.
_WORD = re.compile(r"(?u)\w+|[^\w\s]|\n")
_TEXTS = 4096  # weighed at a time
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

        batches = [texts[at : at + _TEXTS] for at in range(0, len(texts) or 1, _TEXTS)]
        parts = [self._weighed(batch) for batch in batches]
        data, column, sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
        ends = np.append(0, np.cumsum(sizes)).astype(np.int32)
        return csr_matrix((data, column, ends), (len(texts), len(self.words)))

    def _weighed(self, texts: Sequence[str]) -> tuple[Floats, Ints, Ints]:
        """Return weights by text and column, their columns, and how many each text has."""
        column, count, size = self._counted(texts)
        weights = (np.log(count) + 1.0) * self.idf[column]
        # Summed one by one, as `bincount` does and `sum` does not: a row's length has one value.
        rows = np.repeat(np.arange(len(texts)), size)
        lengths = np.sqrt(np.bincount(rows, weights * weights, len(texts)))
        return weights / lengths[rows], column.astype(np.int32), size

    def _counted(self, texts: Sequence[str]) -> tuple[Ints, Floats, Ints]:
        """Return by text the columns of its known words and runs of words, and their counts.

        Last, how many columns each text has.
        """
        if len(texts) == 1:
            return self._counted_alone(texts[0])
        words: list[str] = []
        size = []
        for text in texts:
            own = _WORD.findall(text.lower())
            words += own
            words.append("")  # which is no word: no run goes over from one text to the next
            size.append(len(own) + 1)
        start = np.repeat(np.arange(len(texts)) * len(self.words), size)
        columns = []
        for n in self._lengths:
            runs = zip(*(words[at:] for at in range(n)), strict=False)
            names = words if n == 1 else map(" ".join, runs)
            places = np.fromiter(map(self._column.get, names, repeat(-1)), np.int64)
            known = places >= 0
            columns.append(places[known] + start[: len(places)][known])
        found = np.sort(np.concatenate(columns))
        first = np.flatnonzero(np.diff(found, prepend=-1))
        count = np.diff(first, append=len(found)).astype(np.float64)
        row, column = np.divmod(found[first], len(self.words))
        return column, count, np.bincount(row, minlength=len(texts))

    def _counted_alone(self, text: str) -> tuple[Ints, Floats, Ints]:
        """Return the same of one text, for which an array's every step takes longer than it all."""
        words = _WORD.findall(text.lower())
        found = Counter(map(self._column.get, words))
        for n in self._lengths[1:]:
            runs = zip(*(words[at:] for at in range(n)), strict=False)
            found.update(map(self._column.get, map(" ".join, runs)))
        del found[None]
        columns = sorted(column for column in found if column is not None)
        count = np.array([found[column] for column in columns], np.float64)
        return np.array(columns, np.int64), count, np.array([len(columns)])

    @cached_property
    def _column(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def _lengths(self) -> range:
        """Lengths of the runs of words that are columns, from single words on."""
        # A run of words is joined by spaces, and no word holds one.
        return range(1, 2 + max(word.count(" ") for word in self.words))


@dataclass(frozen=True)
class WordFit:
    """The vocabulary learned from some texts, and their own weights."""

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
