from __future__ import annotations

import random
import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from routebench.data import duplicates
from routebench.data.duplicates import Duplicates, near_pairs
from routebench.data.texts import normalise

LONG = (
    "In which year did the old council of the northern province decide to build the long stone"
    " bridge over the river near the market town of Alden, after the flood of"
)


STEM = LONG.lower().replace(",", "") + " "


def related(found: Duplicates, i: int, j: int) -> bool:
    """The documented reading of the structure."""
    units = sorted((int(found.unit[i]), int(found.unit[j])))
    return bool(found.exact[i] == found.exact[j]) or units in found.pairs.tolist()


def test_exact_after_normalisation() -> None:
    found = near_pairs(["Who wrote Emma?", " who  WROTE emma? ", "Who wrote Emma"])
    assert related(found, 0, 1)
    assert not related(found, 0, 2)  # of 11 grams one is lost: .909
    assert len(found.pairs) == 0


def test_other_number_is_another_question() -> None:
    texts = [f"{LONG} 2018?", f"{LONG} 2008?", f"{LONG} 2018", f"{LONG} 2018 ?"]
    found = near_pairs(texts)
    assert not related(found, 0, 1)
    assert related(found, 0, 2)
    assert not related(found, 1, 2)


def test_other_name_is_another_question() -> None:
    base = STEM
    assert not related(near_pairs([base + "in Rome", base + "in Nome"]), 0, 1)
    assert related(near_pairs([base + "in Rome", base + "in Rome?"]), 0, 1)


def test_threshold_is_met_exactly() -> None:
    # 23 letters hold 19 grams; one letter more makes 20: 19/20 = .95 is near, 18/19 is not.
    letters = "abcdefghijklmnopqrstuvwxyz"
    assert related(near_pairs([letters[:23], letters[:24]]), 0, 1)
    assert not related(near_pairs([letters[:22], letters[:23]]), 0, 1)


def test_near_is_not_transitive() -> None:
    base = "".join(chr(0x4E00 + i) for i in range(64))
    longer = [base, base + "abc", base + "abcdef"]
    found = near_pairs(longer)
    assert related(found, 0, 1)
    assert related(found, 1, 2)
    assert not related(found, 0, 2)


def test_case_decides_nearness_but_not_equality() -> None:
    base = STEM
    texts = [base + "in rome", base + "in Rome", base + "in Rome?"]
    found = near_pairs(texts)
    assert related(found, 0, 1)
    assert related(found, 1, 2)
    assert not related(found, 0, 2)


def test_many_copies_make_no_pairs() -> None:
    found = near_pairs(["the same question"] * 50_000)
    assert len(found.pairs) == 0
    assert (found.exact == found.exact[0]).all()


@pytest.mark.parametrize("texts", [[], ["one"], ["", "", "a"], ["ab", "cd"]])
def test_tiny_inputs(texts: list[str]) -> None:
    found = near_pairs(texts)
    assert found.pairs.shape == (0, 2)
    assert len(found.exact) == len(texts)


def test_hits() -> None:
    base = STEM
    texts = [base + "this", "other", base + "this?", "OTHER", "third"]
    found = near_pairs(texts)
    assert found.hits(np.array([True, True, False, False, False])).tolist() == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert found.hits(np.array([False, False, True, False, False])).tolist() == [
        True, False, True, False, False,
    ]  # fmt: skip


def test_memory_is_bounded_where_no_text_has_a_number_or_a_capital(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of one signature, and so all to be compared with each other."""
    monkeypatch.setattr(duplicates, "_CHARS_AT_ONCE", 200_000)
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefgh", k=6)) for _ in range(3000)]
    texts = [" ".join(rng.choices(words, k=80)) for _ in range(6000)]
    texts.append(texts[0] + "a")
    tracemalloc.start()
    found = near_pairs(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.pairs.tolist() == [[0, 6000]]
    # 3.4 million characters: all grams at once, with what sorts them, would be 240 MB.
    assert peak < 150e6


def by_definition(a: str, b: str) -> bool:
    """Near by brute force, written apart from the code under test."""
    if duplicates._signature(a) != duplicates._signature(b):
        return False
    left, right = ({t[i : i + 5] for i in range(len(t) - 4)} for t in (normalise(a), normalise(b)))
    return bool(left | right) and 100 * len(left & right) >= 95 * len(left | right)


def corpus(rng: random.Random) -> list[str]:
    words = [
        "".join(rng.choices("abcde", k=rng.randint(2, 6))) for _ in range(rng.choice([3, 10, 40]))
    ]
    texts = []
    for _ in range(20):
        text = " ".join(rng.choices(words, k=rng.choice([1, 4, 20, 60, 150])))
        texts += [text, *(edited(rng, text) for _ in range(3))]
    return texts


def edited(rng: random.Random, text: str) -> str:
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(text) + 1)
        text = rng.choice(
            [
                text + rng.choice("abc?"),
                text[:at] + rng.choice("abc ") + text[at:],
                text[1:] or "a",
                text + rng.choice([" in 2018", " in 2008"]),
                text + " " + text[:5].title(),
            ]
        )
    return text


@pytest.mark.parametrize("long", [1, 48])
@pytest.mark.parametrize("many", [1, 12])
@pytest.mark.parametrize("chars", [300, 10_000_000])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_finds_what_brute_force_finds(
    monkeypatch: pytest.MonkeyPatch, seed: int, long: int, many: int, chars: int
) -> None:
    monkeypatch.setattr(duplicates, "_LONG", long)
    monkeypatch.setattr(duplicates, "_MANY", many)
    monkeypatch.setattr(duplicates, "_CHARS_AT_ONCE", chars)
    monkeypatch.setattr(duplicates, "_PAIRS_AT_ONCE", 7 if chars == 300 else 1_000_000)
    monkeypatch.setattr(duplicates, "_POSTS_AT_ONCE", 400 if chars == 300 else 1_000_000)
    texts = corpus(random.Random(seed))
    found = near_pairs(texts)
    near = 0
    for i, j in combinations(range(len(texts)), 2):
        same = normalise(texts[i]) == normalise(texts[j])
        expected = by_definition(texts[i], texts[j])
        near += expected and not same
        assert related(found, i, j) == (same or expected), (texts[i], texts[j])
    assert near > 0
