from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from routebench.routers.words import WordWeights

TEXTS = [
    "Who wrote the poem?",
    "the poem the poem\n\nthe end",
    "def f(x):\n  return x",
    "É é ß İ 日本",
]
STRANGE = ["", "   ", "nothing of that", "The THE the", "poem? poem? x", "\n\n\n"]


def by_sklearn(words: WordWeights, ngrams: int, texts: list[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, ngrams),
        sublinear_tf=True,
        token_pattern=r"(?u)\w+|[^\w\s]|\n",
        vocabulary=words.words,
    )
    vectorizer.idf_ = words.idf
    return np.asarray(vectorizer.transform(texts).toarray())


@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_weights_are_those_of_sklearn_to_the_last_bit(ngrams: int) -> None:
    words, weights = WordWeights.learn(TEXTS, ngrams=ngrams)
    np.testing.assert_allclose(words.transform(TEXTS).toarray(), weights.toarray(), rtol=1e-14)
    many = TEXTS + STRANGE
    made = words.transform(many)
    np.testing.assert_array_equal(made.toarray(), by_sklearn(words, ngrams, many))
    assert made.has_canonical_format
    single = [words.transform([text]).toarray() for text in many]
    np.testing.assert_array_equal(made.toarray(), np.concatenate(single))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab c.\nß", max_size=40), min_size=1, max_size=5))
def test_weights_of_any_texts_are_those_of_sklearn(texts: list[str]) -> None:
    words, _ = WordWeights.learn(["a b a b c", "b. c c\na", "ß a"])
    expected = by_sklearn(words, 2, texts)
    np.testing.assert_array_equal(words.transform(texts).toarray(), expected)


def test_no_text_has_no_weights() -> None:
    words, _ = WordWeights.learn(TEXTS)
    assert words.transform([]).shape == (0, len(words.words))


def test_weighing_a_text_imports_no_sklearn() -> None:
    code = (
        "import sys, numpy as np\nfrom routebench.routers.words import WordWeights\n"
        "print(WordWeights(['a', 'b'], np.ones(2)).transform(['a b b']).nnz)\n"
        "print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False"], done.stderr
