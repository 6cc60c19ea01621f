"""Cues of a query, and sentences that name only what is in it."""

from __future__ import annotations

import inspect
import math

import pytest

from routebench.plugin import discovery
from routebench_routers.policy.cues import arithmetic, cues, grounded, named, reasoning
from routebench_routers.policy.oracle import POLICIES


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("Who wrote Emma?", ("short", "topic:books", "name")),
        ("what is love", ("short",)),
        ("", ("short",)),
        ("Who was born in 1987 in Rome?", ("short", "topic:people", "name", "date")),
        ("How did Rome and Carthage fall in the 2nd century?",
         ("middling", "names", "date", "number")),
        ("Which is the tallest tower?", ("short", "comparison")),
        ("What is the name of the brother of the man that founded the firm whose owner died?",
         ("middling", "topic:people", "steps")),
        ("Write Python code", ("short", "name", "code")),
        ("What is 17 * 23?", ("short", "number", "arithmetic")),
        ("Solve the equation x = 3", ("short", "number", "maths")),
    ],
)  # fmt: skip
def test_cues_of_a_query(text: str, present: tuple[str, ...]) -> None:
    assert cues(text).present() == present


def test_length_is_in_words() -> None:
    first = [cues(" ".join(["word"] * n)).present()[0] for n in (9, 10, 19, 20)]
    assert first == ["short", "middling", "middling", "long"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Which British author met Ada Lovelace of the Royal Society?",
         ("British", "Ada Lovelace of the Royal Society")),
        ("Apples are red.", ()),
        ("NASA was founded when?", ("NASA",)),
        ("Marie Curie was born where?", ("Marie Curie",)),
        ("What did I say? The end.", ()),
        ("Who met Dr. A. Myers in May 2020, Ann or Bo?", ("Dr A Myers", "Ann", "Bo")),
    ],
)  # fmt: skip
def test_names_are_runs_of_capitals(text: str, names: tuple[str, ...]) -> None:
    assert cues(text).names == names


def test_numbers_and_dates_are_apart() -> None:
    found = cues("On 3 March 1990 and 2001-02-03, in the 1960s, he sold 12 of 1,500 for 3.5%.")
    assert (found.dates, found.numbers) == (4, 3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is 17 * 23?", "17 * 23"),
        ("3+4=?", "3+4"),
        ("Is (3 + 4) * 2 even?", "(3 + 4)"),
        ("12 divided by 4", "12 divided by 4"),
        ("What is 15% of 80?", "15% of 8"),
        ("12 - 5?", "12 - 5"),
        ("1914 - 1918 was a war", None),
        ("24/7 on 9/11, 2020-01-02", None),
        ("C++ 11 or 3 of 4", None),
    ],
)
def test_arithmetic_is_told_from_dates(text: str, found: str | None) -> None:
    assert arithmetic(text) == found


def test_reasoning_says_what_the_cues_are_and_what_the_policy_makes_of_them() -> None:
    text = "Who was the wife of the composer that wrote the opera Carmen in 1875?"
    told = [reasoning(text, policy) for policy in POLICIES]
    assert told[0] == (
        "Mid-length question about music, with a name, a date and several steps. "
        "Looks like common knowledge."
    )
    assert len({one.split(". ")[0] for one in told}) == 1
    assert len(set(told)) == 3
    assert reasoning(text, "complex") == told[1]  # no chance in it
    # It is given the query and the policy: there is no way for an answer to come in.
    assert list(inspect.signature(reasoning).parameters) == ["text", "policy"]


def test_reasoning_holds_no_word_of_the_query_that_is_no_cue() -> None:
    one = reasoning("Who wrote Emma in 1815?", "standard")
    assert one == reasoning("Who wrote Utopia in 1516?", "standard")


def test_what_is_named_is_looked_up() -> None:
    text = "Who wrote Emma?"
    assert named("A SHORT question about books, with a name and a date!") == (
        "short", "topic:books", "name", "date",
    )  # fmt: skip
    assert grounded("Short question about books, with a name.", text) == 1
    assert grounded("Short question about music, with a name and a date.", text) == 0.5
    assert grounded("Long question, with code.", text) == 0
    assert math.isnan(grounded("I do not know.", text))
    assert math.isnan(grounded("", text))
    # Part of a word is no cue, nor is one name several.
    assert named("shortly decoded") == ()
    assert named("with several names") == ("names",)


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_all_reasoning_of_a_suite_is_grounded_and_short(every: int) -> None:
    suite = discovery.load(discovery.find("suite", "simpleqa"))
    texts = suite(suite.Options()).load().queries.text.tolist()
    for i, text in enumerate(texts[::every]):
        made = reasoning(text, POLICIES[i % 3])
        assert len(made.split()) <= 30, made
        assert set(named(made)) == set(cues(text).present())
        assert grounded(made, text) == 1


@pytest.mark.parametrize("text", ["1," * 50_000, "A b " * 30_000, "of the " * 30_000, "(" * 90_000])
def test_odd_texts_are_read_to_their_end(text: str) -> None:
    assert cues(text).words == len(text.split())
