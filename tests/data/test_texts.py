from __future__ import annotations

import hashlib

import pytest

from routebench.data.texts import normalise, text_hash


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Who\twrote\n Emma? ", "who wrote emma?"),
        ("ＷＨＯ wrote ﬁction", "who wrote fiction"),  # full width, ligature
        ("Straße", "strasse"),
        ("a\u00a0b", "a b"),
        ("", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_text_hash_is_sha256_of_the_normal_form() -> None:
    assert text_hash(" Who  wrote EMMA?") == hashlib.sha256(b"who wrote emma?").hexdigest()


def test_lone_surrogate_has_a_hash() -> None:
    assert text_hash("broken \ud800") != text_hash("broken \ud801")
