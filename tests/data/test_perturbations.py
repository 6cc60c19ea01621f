from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.data.perturbations import KINDS, TEMPLATES, perturb
from routebench.data.texts import normalise

QUESTION = "Which of the 3 rivers in Northern Italy, if any, was crossed by Caesar in 49 BC?"
PINNED = [
    "Which Of The 3 Rivers In Northern Italy, If Any, Was Crossed By Caesar In 49 BC?",
    "\nWhich of  the 3 rivers in Northern Italy,  if any, was crossed  by Caesar  in 49 BC?",
    "Which of the 3 rivers in Northhern Italy, if any, was crossed by Caesar in 49 BC?",
    "Here is something I would like to know. "
    "Which of the 3 rivers in Northern Italy, if any, was crossed by Caesar in 49 BC?",
]
ODD = (
    "", " ", "\n\t ", "a", "é", "ß", "2+2=?", "🙂🙂", "你好吗", "مرحبا", "\ud800",
    "x\udfff y", "aaaa", "ǅ", "ﬁ", "İstanbul", "{}", "{0} \\1 %s", "\x00", "\x1c", "²", "½ cup",
    "abc² de", "e\u0301", " lead", "trail ", "def f(x):\n    return x\n",
)  # fmt: skip
ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)


def texts() -> list[str]:
    return [f"{QUESTION} Number {i} of many such questions." for i in range(300)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ODD)
def test_odd_texts(text: str, kind: str) -> None:
    check(text, kind)


@settings(max_examples=150, deadline=None)
@given(ANY, st.sampled_from(KINDS))
def test_any_text(text: str, kind: str) -> None:
    check(text, kind)


def check(text: str, kind: str) -> None:
    changed = perturb(text, kind)
    assert changed == perturb(text, kind)
    check_change(text, changed, kind)


def check_change(text: str, changed: str, kind: str) -> None:
    """Compare a text before and after with what each kind may do."""
    assert changed == text or text
    if any(char.isalpha() for char in text) or (kind in ("whitespace", "paraphrase") and text):
        assert changed != text
    if kind in ("whitespace", "case"):
        assert len(changed.split()) == len(text.split())
    if kind == "whitespace":
        assert changed.split() == text.split()
    if kind == "typos":
        assert re.sub(r"\D", "", changed) == re.sub(r"\D", "", text)
        assert abs(len(changed) - len(text)) <= max(1, len(text.split()) / 12)
    if kind == "paraphrase":
        assert text in changed


def test_what_it_does_is_pinned() -> None:
    """A change here changes every published robustness figure."""
    assert [perturb(QUESTION, kind) for kind in KINDS] == PINNED


@pytest.mark.parametrize("kind", ["case", "whitespace"])
def test_normal_form_stays(kind: str) -> None:
    assert all(normalise(perturb(text, kind)) == normalise(text) for text in texts())


@pytest.mark.parametrize(("kind", "least"), [("case", 100), ("whitespace", 100), ("typos", 290)])
def test_texts_change_in_many_ways(kind: str, least: int) -> None:
    assert len({perturb(text, kind).replace(text[-40:], "") for text in texts()}) >= least / 10
    assert len({perturb(text, kind) for text in texts()}) == 300


def test_every_template_is_used() -> None:
    changed = [perturb(text, "paraphrase") for text in texts()]
    for template in TEMPLATES:
        before, after = template.split("{}")
        assert any(c.startswith(before) and c.endswith(after) for c in changed), template


def test_case_changes_case_only() -> None:
    changed = [perturb(text, "case") for text in texts()]
    assert all(c.lower() == t.lower() for c, t in zip(changed, texts(), strict=True))
    shares = [sum(map(str.isupper, c)) / len(c) for c in changed]
    assert min(shares) == 0
    assert max(shares) > 0.7
    assert any(0.1 < share < 0.6 for share in shares)


def test_one_typo_for_twelve_words() -> None:
    text = " ".join(f"river{chr(97 + i % 26)} crossing" for i in range(60))
    before, after = text.split(), perturb(text, "typos").split()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 10


def test_typos_leave_short_words_first_letters_and_numbers() -> None:
    for text in texts():
        for before, after in zip(text.split(), perturb(text, "typos").split(), strict=True):
            letters = re.sub(r"\W", "", before)
            assert before == after or (len(letters) >= 4 and letters.isalpha())
            assert before[0] == after[0]


def test_lines_stay_lines() -> None:
    code = "def f(x):\n    if x:\n        return 1\n    return 2"
    for i in range(50):
        lines = perturb(f"{code}  # {i}", "whitespace").strip().splitlines()
        kept = [line for line in lines if line.strip()]
        assert [len(line) - len(line.lstrip()) for line in kept] == [0, 4, 8, 4]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["many words here ", "x", " ", "\n", " \n", "9 "])
def test_a_megabyte_comes_to_its_end(kind: str, unit: str) -> None:
    """Steps that grow faster than the text would not."""
    text = unit * (10**6 // len(unit))
    check_change(text, perturb(text, kind), kind)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="'noise'; there are case, whitespace"):
        perturb("a", "noise")
