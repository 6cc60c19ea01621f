"""The exact judge: what it calls right, wrong and not attempted, and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from routebench.records import Grade, Grades, State
from routebench_judges.exact.judge import Exact

C, W, N = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED


def judge(question: str, reference: str | None, answer: str, **options: Any) -> Grades:
    plugin = Exact(Exact.Options(**options))
    return plugin.judge(questions=[question], references=[reference], answers=[answer])


def graded(question: str, reference: str, answer: str, **options: Any) -> Grade:
    found = judge(question, reference, answer, **options)
    assert found.grade is not None
    return Grade(found.grade[0])


def both(*aliases: str) -> str:
    return json.dumps(aliases)


CAPITAL, WHO = "What is the capital of France?", "Who discovered radium?"


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("Paris", "The capital is Paris.", C),
        ("Paris", "PARIS", C),
        ("Paris", "Answer: Paris", C),
        ("Paris.", "**Paris**", C),
        ("Paris", "“Paris”", C),
        ("Paris", "```\nParis\n```", C),
        ("Paris", "<p>The answer is <b>Paris</b></p>", C),
        ("Paris", "Par<b>is</b>", C),
        ("Paris", "_Paris_", C),
        ("Paris", "`Paris`!", C),
        ("Paris", "Paris's streets lead to the seat of government", C),
        ("Paris", "🇫🇷 Paris 🎉", C),
        ("Paris", "\u202bParis\u202c", C),
        ("Paris", "ＰＡＲＩＳ", C),
        ("Paris", "Paris\ud800", C),
        ("Paris", "Par\u00adis", C),
        ("Paris", "Paris, which has 2.1 million people, is the capital.", C),
        ("Paris", "Comparison", W),
        ("Paris", "https://example.org/Paris", N),
        ("Niger", "Nigeria", W),
        ("Iran", "Tirana", W),
        ("Curaçao", "Curacao", C),
        ("São Tomé", "sao tome", C),
        ("Łódź", "Lodz", C),
        ("Þingvellir", "Thingvellir", C),
        ("AT&T", "AT&amp;T", C),
        ("The Beatles", "Beatles", C),
        ("Lord of the Rings", "The Lord of Rings", C),
        ("The The", "The The", C),
        ("The The", "The", N),
        ("Vitamin A", "vitamin C", W),
        ("Vitamin A", "It is vitamin A.", C),
        ("A minor", "C minor", W),
        ("A minor", "It is in A minor.", C),
        ("A Farewell to Arms", "Farewell to Arms", C),
        ("Jean-Paul Sartre", "Jean Paul Sartre", C),
        ("Phi Phi O'Hara", "Phi Phi O’Hara", C),
        ("Boys' Life", "Boys’ Life magazine", C),
        ("Boys' Life", "Boys Life", C),
        ("21w11a", "Snapshot 21w11a", C),
        ("LV-1901", "The LV-1901.", C),
        ("LV-1901", "The LV-1902.", W),
        ("007", "Agent 007", C),
        ("007", "Agent 7", W),
        ("Heidelberg (024)", "Heidelberg", C),
        ("Sonipat, Ghaziabad, Hisar", "Hisar, Sonipat and Ghaziabad", C),
        ("Sonipat, Ghaziabad, Hisar", "Hisar and Sonipat", W),
        ("東京", "答えは東京です。", C),
        ("Москва", "Столица — Москва.", C),
        ("नेपाल", "उत्तर नेपाल है", C),
        ("नेपाल", "उत्तर नोपल है", W),
        ("القاهرة", "الجواب: القاهرة", C),
        ("Gliese 367 b", "Gliese 367 b", C),
        ("[sic", "[sic", C),
        ("[1, 2]", "[1, 2]", C),
        ("Paris | London", "Paris", W),
    ],
)
def test_phrases(reference: str, answer: str, grade: Grade) -> None:
    assert graded("What is it called?", reference, answer) == grade


@pytest.mark.parametrize(
    ("reference", "answer", "grade"),
    [
        ("Marie Curie", "Curie", W),
        (both("Marie Curie", "Curie"), "Curie", C),
        ("Marie Curie", "Dr. Marie Curie", C),
        ("Marie Curie", "Marie Skłodowska Curie", C),
        ("Marie Curie", "Marie Skłodowska-Curie", C),
        ("Marie Curie", "Marie and Pierre Curie", W),
        ("Marie Curie", "Marie. Pierre Curie was there", W),
        ("Marie Curie", "Pierre Curie", W),
        ("John Kennedy", "John F. Kennedy", C),
        ("John F. Kennedy", "John Kennedy", C),
        ("John F. Kennedy", "John G. Kennedy", W),
        ("Dr. John Snow", "John Snow", C),
    ],
)
def test_people(reference: str, answer: str, grade: Grade) -> None:
    assert graded(WHO, reference, answer) == grade


def test_middle_names_can_be_refused() -> None:
    assert graded(WHO, "Marie Curie", "Marie Anne Curie", middle_names=False) == W


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   ",
        "...",
        "🤷",
        "N/A",
        "I don't know",
        "I don’t know.",
        "I do not know the capital of France.",
        "I'm not sure.",
        "Not sure",
        "idk",
        "No idea.",
        "I have no idea",
        "I cannot answer that.",
        "I can't say.",
        "Sorry, I can't help with that.",
        "There is no information about this.",
        "As an AI language model, I have no access to that.",
        "unknown",
        "It is unclear.",
        "Maybe.",
        "It could be anything.",
        "It might be many things.",
        "I'm sorry, but I cannot answer this question.",
        "I do not have specific information about this. I recommend to check an atlas.",
        "I don't know whether it is Paris.",
        "I cannot confirm that it is Paris or not.",
        "I'm not sure if it's Paris",
        "The answer is not publicly known.",
        "I would need more information to answer.",
        "Could you clarify the question?",
        "I don't know. Sorry!",
        "I was unable to find it. However, I can help with other questions.",
    ],
)
def test_what_attempts_nothing(answer: str) -> None:
    assert graded(CAPITAL, "Paris", answer) == N


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("I'm not sure, but it is Paris", C),
        ("I'm not sure, but I think it's Paris.", C),
        ("I'm not certain. Probably Paris.", C),
        ("Paris, but I'm not sure.", C),
        ("I don't know, Paris?", C),
        ("As an AI language model I would say Paris.", C),
        ("It might be Paris.", C),
        ("I'm not sure, but it is London", W),
        ("I don't know, maybe London", W),
        ("I'm not entirely sure. London.", W),
        ("London, but I'm not sure.", W),
        ("I don't know for certain, but my best guess is London.", W),
        ("It might be Paris or London", W),
        ("Paris or London", W),
        ("London or Paris", W),
        ("either Paris, or London", W),
        ("Paris/London", W),
        ("Paris and London", W),
        ("- Paris\n- London", W),
        ("- Paris\n- Paris, really", C),
        ("Paris\n- on the Seine\n- 2 million people", C),
        ("Paris. No, London.", W),
        ("London. No wait, Paris.", W),
        ("Paris, I mean London", W),
        ("It is not Paris", W),
        ("It isn't Paris.", W),
        ("It is not in Paris", W),
        ("Paris is not the capital.", W),
        ("anything other than Paris", W),
        ("not London but Paris", C),
        ("Paris, not London", C),
        ("Paris rather than London", C),
        ("not only Paris", C),
        ("London", W),
        ("France", W),
        ("The capital of France", W),
        ("Paris, no doubt.", C),
    ],
)
def test_hedges_negations_and_second_answers(answer: str, grade: Grade) -> None:
    assert graded(CAPITAL, "Paris", answer) == grade


def test_aliases_in_one_answer_are_one_answer() -> None:
    reference = both("Mumbai", "Bombay")
    for answer in ("Mumbai or Bombay", "Bombay (or Mumbai)", "Mumbai/Bombay", "bombay"):
        assert graded("Which city?", reference, answer) == C
    assert judge("Which city?", reference, "Bombay").note[0] == "matched alias 1"  # type: ignore[index]
    assert graded("Which city?", reference, "Mumbai or Delhi") == W
    assert graded("How many?", both("a dozen", "12"), "twelve") == C


def test_a_reference_may_itself_be_a_refusal() -> None:
    assert graded("What is his age?", "unknown", "Unknown.") == C
    assert graded("What were his words?", "I don't know", "I don't know") == C


def test_without_a_reference_there_is_no_grade() -> None:
    for reference in (None, "", "  "):
        found = judge(CAPITAL, reference, "Paris")
        assert found.state[0] == State.UNGRADED
        assert np.isnan(found.score[0])
        assert found.grade is not None
        assert found.grade[0] == Grade.NONE
        assert found.note is not None
        assert found.note[0] == "no reference"


def test_scores_states_and_notes() -> None:
    plugin = Exact(Exact.Options())
    found = plugin.judge(
        [CAPITAL] * 4, ["Paris"] * 4, ["Paris", "Rome", "no idea", "Paris or Rome"]
    )
    assert found.score.tolist() == [1, 0, 0, 0]
    assert found.state.tolist() == [State.OK] * 4
    assert found.note is not None
    assert found.note.tolist() == ["matched", "reference not found", "declined", "two answers"]


def test_further_refusals() -> None:
    assert graded(CAPITAL, "Paris", "En tiedä.") == W
    assert graded(CAPITAL, "Paris", "En tiedä.", refusals=["en tiedä"]) == N
    assert graded(CAPITAL, "Paris", "En tiedä, Paris", refusals=["en tiedä"]) == C


@pytest.mark.parametrize(
    "text",
    [
        "Paris " * 5_000,
        "not " * 5_000,
        "twenty " * 5_000,
        "1,234," * 5_000,
        "1 234 " * 5_000,
        "<" * 20_000,
        "<b " * 5_000,
        "- x\n" * 5_000,
        "or " * 5_000 + "Paris",
        "Paris" + " " * 20_000 + "or",
        "." * 20_000 + "Paris",
        "4 July " * 5_000,
        "don't know " * 5_000,
        "i think but " * 5_000 + "unknown",
        "𝟙é" * 5_000,
        "9" * 20_000,
        "1/" * 5_000,
        "[" * 20_000,
        "1912 or " * 5_000,
        "\n" * 20_000,
        "marie " * 5_000 + "curie",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_answers_come_to_a_verdict(text: str) -> None:
    """A pattern that tries all ways to read one would not end within a lifetime."""
    for reference in ("Paris", "1912", "July 4, 1776", "7 km", "Marie Curie"):
        assert graded("Who or when or how many?", reference, text) in (C, W, N)


def test_repeating_the_answer_changes_nothing() -> None:
    assert graded(CAPITAL, "Paris", "Paris. " * 1000) == C
    assert graded("How many?", "7", "7 " * 1000) == C
    assert graded(CAPITAL, text := "[" * 5000, text) in (C, W, N)


def test_thousands_of_answers_at_once() -> None:
    plugin = Exact(Exact.Options())
    questions = [f"What is the capital of country {n % 50}?" for n in range(2000)]
    answers = ["The capital is Paris.", "London", "I don't know.", "It is Rome, a city."] * 500
    found = plugin.judge(questions, ["Paris"] * 2000, answers)
    assert found.grade is not None
    assert found.grade.tolist() == [C, W, N, W] * 500
