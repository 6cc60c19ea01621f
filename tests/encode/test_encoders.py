from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.encode import encoders
from routebench.encode.encoders import FittedOnUse
from routebench.errors import DataError, OptionError

TEXTS = [
    f"{word} {other} number {i}"
    for i, (word, other) in enumerate(
        [("red", "river"), ("green", "poem"), ("blue", "function"), ("old", "capital")] * 10
    )
]
FRESH = ["red poem", "a blue function of nine", "nothing known here: zyx", "", "Rot ß é 日本"]


def fitted(texts: list[str], **options: Any) -> FittedOnUse:
    return FittedOnUse("tfidf-svd", {"dimension": 8} | options, texts)


def test_loaded_is_the_same(tmp_path: Path) -> None:
    encoder = fitted(TEXTS)
    before = encoder.encode(FRESH)
    encoder.save(tmp_path)
    again = encoders.load(tmp_path)
    np.testing.assert_array_equal(again.encode(FRESH), before)
    assert before.dtype == np.float32
    assert before.shape == (len(FRESH), encoder.dimension) == (5, 8)
    assert (again.dimension, again.fingerprint) == (8, encoder.fingerprint)
    assert len(encoder.fingerprint) == 16


def test_a_batch_equals_single_texts() -> None:
    encoder = fitted(TEXTS)
    many = TEXTS + FRESH
    single = np.concatenate([encoder.encode([text]) for text in many])
    np.testing.assert_array_equal(encoder.encode(many), single)


def test_vectors_tell_texts_apart() -> None:
    vectors = fitted(TEXTS).encode(["red river", "river red number", "green poem", "zyx", ""])
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 0], atol=1e-6)
    assert vectors[0] @ vectors[1] > 0.7
    assert vectors[0] @ vectors[2] < 0.5


def test_the_fingerprint_follows_texts_and_options() -> None:
    prints = [
        fitted(TEXTS).fingerprint,
        fitted([*TEXTS, "one more"]).fingerprint,
        fitted(TEXTS[:-1]).fingerprint,
        fitted(TEXTS, dimension=4).fingerprint,
        fitted(TEXTS, ngrams=1).fingerprint,
    ]
    assert len(set(prints)) == 5
    assert fitted(list(TEXTS)).fingerprint == prints[0]


def test_short_corpora_keep_the_width() -> None:
    encoder = fitted(["one text", "another text"], dimension=64)
    vectors = encoder.encode(["one text", "another"])
    assert vectors.shape == (2, 64)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_a_checkpoint_of_another_encoder_is_refused(tmp_path: Path) -> None:
    fitted(TEXTS).save(tmp_path)
    fitted(TEXTS[1:]).encoder.save(tmp_path)  # the weights, but not the header
    with pytest.raises(DataError, match=r"encoder fingerprint is .* made with"):
        encoders.load(tmp_path)
    fitted(TEXTS).save(tmp_path)
    header = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps(header | {"dimension": 9}))
    with pytest.raises(DataError, match=r"encoder dimension is 8, but .* made with 9"):
        encoders.load(tmp_path)
    with pytest.raises(DataError, match=r"encoder\.json is missing"):
        encoders.load(tmp_path / "nowhere")


def test_unknown_names_and_options() -> None:
    with pytest.raises(OptionError, match="no encoder named 'tfidf'"):
        encoders.create("tfidf", {})
    with pytest.raises(OptionError, match=r"tfidf-svd\.dimension"):
        encoders.create("tfidf-svd", {"dimension": 1})


def test_fitted_when_used_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from routebench_encoders.tfidf import TfidfSVD

    seen: list[list[str]] = []
    fit = TfidfSVD.fit
    monkeypatch.setattr(TfidfSVD, "fit", lambda self, texts: (seen.append(texts), fit(self, texts)))
    encoder = fitted(TEXTS)
    assert seen == []
    encoder.encode(FRESH)
    assert encoder.dimension == 8
    assert encoder.fingerprint
    assert seen == [TEXTS]
