"""The multiple-choice judge: which option an answer settles on, and when it settles on none."""

from __future__ import annotations

import json
import string
from functools import partial
from typing import Any

import numpy as np
import pytest
from growth import grows_with_the_square
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.records import Grade, Grades, State
from routebench_judges.multiple_choice.judge import MultipleChoice
from routebench_judges.multiple_choice.options import read_options

C, W, N = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED
CAPITAL = "What is the capital of France?\nA) London\nB) Paris\nC) Rome\nD) Both A and C"
SUM = "What is 3/4 + 3/4?\n(A) 1/2\n(B) 3/2\n(C) -3/2\n(D) 15%\n(E) 12"
BARE = "Which of the four is right?"


def judge(question: str, reference: str | None, answer: str, **options: Any) -> Grades:
    plugin = MultipleChoice(MultipleChoice.Options(**options))
    return plugin.judge(questions=[question], references=[reference], answers=[answer])


def graded(question: str, reference: str, answer: str, **options: Any) -> Grade:
    found = judge(question, reference, answer, **options)
    assert found.grade is not None
    return Grade(found.grade[0])


def chosen(question: str, answer: str) -> str:
    """The letters under which an answer is correct, and what it is otherwise."""
    letters = "ABCDE" if question == SUM else "ABCD"
    grades = {letter: graded(question, letter, answer) for letter in letters}
    right = "".join(letter for letter, grade in grades.items() if grade == C)
    if right:
        return right
    assert len(set(grades.values())) == 1
    return next(iter(grades.values())).name


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("__B__", "B"),
        ("`B`", "B"),
        ("```\nB\n```", "B"),
        ("Ⓑ", "B"),
        ("Ｂ", "B"),
        ("B)", "B"),
        ("B) Paris", "B"),
        ("B. Paris", "B"),
        ("B: Paris", "B"),
        ("(B) Paris", "B"),
        ("**B) Paris**", "B"),
        ("B - Paris", "B"),
        ("Option B", "B"),
        ("option b.", "B"),
        ("Answer: B", "B"),
        ("answer: b", "B"),
        ("ANSWER: B", "B"),
        ("**Answer:** B", "B"),
        ("**Answer: B**", "B"),
        ("Answer: (B)", "B"),
        ("Answer: **B**", "B"),
        ("Answer:\n\nB", "B"),
        ("Answer: B\n\nExplanation: A is in England, C is in Italy.", "B"),
        ("The answer is B.", "B"),
        ("The answer is (B).", "B"),
        ("The answer is (b)", "B"),
        ("The answer is **B**.", "B"),
        ("The answer is B because it is the seat of the government.", "B"),
        ("The answer is B, not A.", "B"),
        ("The answer is option B.", "B"),
        ("The answer is: B) Paris", "B"),
        ("The correct answer is B: Paris.", "B"),
        ("The correct option is (B) Paris.", "B"),
        ("The correct choice is B", "B"),
        ("The best answer would be B.", "B"),
        ("The answer must therefore be B.", "B"),
        ("The answer to the question is B.", "B"),
        ("My final answer is B.", "B"),
        ("Final answer: B", "B"),
        ("#### B", "B"),
        (r"\boxed{B}", "B"),
        (r"The answer is $\boxed{B}$.", "B"),
        (r"\boxed{\text{B}}", "B"),
        (r"\boxed{\textbf{(B) }Paris}", "B"),
        (r"\boxed{Paris}", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>(B) Paris</answer>", "B"),
        ("I choose B.", "B"),
        ("I would go with B.", "B"),
        ("I'd say B.", "B"),
        ("So B.", "B"),
        ("Therefore, (B).", "B"),
        ("It is B.", "B"),
        ("It's B, since Paris is the capital.", "B"),
        ("B is correct.", "B"),
        ("B is the correct answer.", "B"),
        ("Option B is correct, the others are wrong.", "B"),
        ("Paris", "B"),
        ("Paris.", "B"),
        ("The answer is Paris.", "B"),
        ("The answer is Paris, the seat of the government.", "B"),
        ("The capital of France is Paris.", "B"),
        ("Paris is the capital of France.", "B"),
        ("**Paris**", "B"),
        ("I am not sure, but I think the answer is B.", "B"),
        ("A is wrong. C is wrong. The answer is B.", "B"),
        ("It is either A or B. London is in England, so the answer is B.", "B"),
        ("A) London: wrong\nB) Paris: right\nC) Rome: wrong\n\nAnswer: B", "B"),
        ("**A) London** is in England.\n**C) Rome** is in Italy.\n\nThe answer is B.", "B"),
        ("The answer is A. Wait, London is in England. The answer is B.", "B"),
        ("Answer: A\n\nCorrection: Answer: B", "B"),
        ("You might think the answer is A, but the answer is B.", "B"),
        ("If they ask for England the answer is A; here the answer is B.", "B"),
        ("The answer is not A. The answer is B.", "B"),
        ("The wrong answer is A. The correct answer is B.", "B"),
        ("No doubt the answer is B.", "B"),
        ("B\n\nLondon is the capital of England, Rome that of Italy.", "B"),
        ("France is a country in Europe.\n\nB", "B"),
        ("D", "D"),
        ("Both A and C", "D"),
        ("The answer is both A and C.", "D"),
        ("A and C", "D"),
        ("D) Both A and C", "D"),
        ("Ans: B", "B"),
        ("Correct: B", "B"),
        ("[[B]]", "B"),
        ('{"answer": "B"}', "B"),
        ("B because it is the seat of the government", "B"),
        ("Option B (Paris) is correct.", "B"),
        ("In France, Paris is where the government sits.", "B"),
        ("### Final Answer\n\n**B. Paris**", "B"),
        ("<think>The answer is A. Or is it?</think>\nB", "B"),
        ("<think>The answer is A.</think>\nThe answer is B.", "B"),
        ("A, C and D are wrong, so B.", "B"),
        ("Between A and B, I choose B.", "B"),
        ("Not A, and not C: the answer is B.", "B"),
        ("The answer is B, A and C are wrong.", "B"),
        # Two final choices are none that could be right.
        ("A and B", "INCORRECT"),
        ("Both A and B are right.", "INCORRECT"),
        ("Either A or B", "INCORRECT"),
        ("A or B", "INCORRECT"),
        ("A, B", "INCORRECT"),
        ("A/B", "INCORRECT"),
        ("The answer is A or B.", "INCORRECT"),
        ("The answer is (A) and (B).", "INCORRECT"),
        ("Answer: A, B and C", "INCORRECT"),
        ("The answer is A. The answer is B.", "INCORRECT"),
        (r"\boxed{A} or \boxed{B}", "INCORRECT"),
        ("B) London", "INCORRECT"),
        ("The answer is (B) London.", "INCORRECT"),
        ("The answer is Paris or London.", "INCORRECT"),
        ("The answer is E.", "INCORRECT"),
        ("A\n\nParis it is, so the answer is B.", "INCORRECT"),
        # None at all.
        ("", "NOT_ATTEMPTED"),
        ("   \n", "NOT_ATTEMPTED"),
        ("...", "NOT_ATTEMPTED"),
        ("I don't know.", "NOT_ATTEMPTED"),
        ("I don't know whether it is A or B.", "NOT_ATTEMPTED"),
        ("I cannot answer that.", "NOT_ATTEMPTED"),
        ("A question that has no answer.", "NOT_ATTEMPTED"),
        ("A city in France", "NOT_ATTEMPTED"),
        ("I think a city in Europe.", "NOT_ATTEMPTED"),
        ("Answer: I do not have one.", "NOT_ATTEMPTED"),
        ("Answer: A city on the river Seine", "NOT_ATTEMPTED"),
        ("The answer is a matter of opinion.", "NOT_ATTEMPTED"),
        ("The answer is not B.", "NOT_ATTEMPTED"),
        ("B is wrong.", "NOT_ATTEMPTED"),
        ("Both A and B are wrong.", "NOT_ATTEMPTED"),
        ("So A and B are wrong.", "NOT_ATTEMPTED"),
        ("It is not Paris.", "NOT_ATTEMPTED"),
        ("I cannot say that the answer is B.", "NOT_ATTEMPTED"),
        ("Is the answer B?", "NOT_ATTEMPTED"),
        ("A) London\nB) Paris\nC) Rome\nD) Both A and C", "NOT_ATTEMPTED"),
        ("Berlin", "NOT_ATTEMPTED"),
        ("Parisian fashion", "NOT_ATTEMPTED"),
        ("Let us see what the options are. First,", "NOT_ATTEMPTED"),
    ],
)  # fmt: skip
def test_what_an_answer_settles_on(answer: str, choice: str) -> None:
    assert chosen(CAPITAL, answer) == choice


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("B", "B"),
        ("3/2", "B"),
        ("-3/2", "C"),
        ("−3/2", "C"),
        ("The answer is 3/2.", "B"),
        ("The answer is -3/2.", "C"),
        ("The sum is 3/2.", "B"),
        ("15%", "D"),
        ("15", "NOT_ATTEMPTED"),
        ("12", "E"),
        ("1.2", "NOT_ATTEMPTED"),
        ("The answer is 12.", "E"),
        ("The answer is 12.5.", "NOT_ATTEMPTED"),
        ("The answer is 120.", "NOT_ATTEMPTED"),
        ("E) 12", "E"),
        ("B) 12", "INCORRECT"),
        (r"\boxed{12}", "E"),
        (r"3 + 9 = \boxed{\textbf{(E) } 12}", "E"),
    ],
)
def test_options_that_are_numbers(answer: str, choice: str) -> None:
    assert chosen(SUM, answer) == choice


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("B", "B"),
        ("The answer is B", "B"),
        ("The answer is B Paris", "B"),
        ("B) Paris", "B"),
        ("B. Paris", "B"),
        ("**C**: it has three", "C"),
        ("The answer is A because it has one", "A"),
        ("Paris", "NOT_ATTEMPTED"),
        ("The answer is C major.", "NOT_ATTEMPTED"),
        ("Answer: A dog", "NOT_ATTEMPTED"),
        ("Answer: D.C.", "NOT_ATTEMPTED"),
        ("Answer: B-12", "NOT_ATTEMPTED"),
        ("The answer is A's.", "NOT_ATTEMPTED"),
        ("I think so.", "NOT_ATTEMPTED"),
    ],
)
def test_options_that_the_question_does_not_list(answer: str, choice: str) -> None:
    assert chosen(BARE, answer) == choice


@pytest.mark.parametrize(
    "question",
    [
        "Which city? A) London B) Paris C) Rome",
        "Which city? (A) London (B) Paris (C) Rome",
        "Which city? A. London B. Paris C. Rome",
        "Which city?\nA: London\nB: Paris\nC: Rome",
        "Which city?\nA. London\nB. Paris\nC. Rome\nAnswer:",
        "Which city?\n\n(a) London\n(b) Paris\n(c) Rome\n\nGive a letter only.",
        "Which city?\n- A) London\n- B) Paris\n- C) Rome",
        "Which city?\n**A)** London\n**B)** Paris\n**C)** Rome",
        "Which one did A. Camus love? A) London, B) Paris, C) Rome",
    ],
)
def test_options_are_read_in_every_form(question: str) -> None:
    assert read_options(question).texts == {"A": "London", "B": "Paris", "C": "Rome"}
    assert graded(question, "Paris", "b") == C
    assert graded(question, "B", "Paris") == C
    assert graded(question, "(B) Paris", "Answer: C") == W


def test_no_options_where_there_are_none() -> None:
    assert not read_options("Who was A. Lincoln?")
    assert not read_options("Why (A) rather than (C)?")
    assert not read_options("")


@pytest.mark.parametrize(
    ("reference", "grade"),
    [
        ("B", C),
        ("b", C),
        ("(B)", C),
        ("B.", C),
        ("**B**", C),
        ("Paris", C),
        ("paris", C),
        ("B) Paris", C),
        (json.dumps(["B", "Paris"]), C),
        (json.dumps(["A", "B"]), C),
        ("A", W),
        ("Rome", W),
    ],
)
def test_references(reference: str, grade: Grade) -> None:
    assert graded(CAPITAL, reference, "The answer is B.") == grade


@pytest.mark.parametrize("reference", [None, "", "  ", "Berlin", "E", "B) London", "AB"])
def test_a_reference_that_names_no_option_is_ungraded(reference: str | None) -> None:
    found = judge(CAPITAL, reference, "B")
    assert found.grade is not None
    assert found.note is not None
    assert (found.state[0], found.grade[0]) == (State.UNGRADED, Grade.NONE)
    assert np.isnan(found.score[0])
    assert "neither a letter nor an option" in found.note[0]


def test_an_option_whose_words_look_like_an_article() -> None:
    question = "Which novel?\nA) Emma\nB) A Farewell to Arms\nC) I, Claudius"
    assert graded(question, "B", "The answer is A Farewell to Arms.") == C
    assert graded(question, "A", "The answer is A Farewell to Arms.") == W
    assert graded(question, "C", "I, Claudius") == C
    assert graded(question, "A", "Answer: A Emma") == C


def test_an_option_within_another_one() -> None:
    question = "Where?\nA) Paris\nB) Paris, Texas\nC) New Paris"
    assert graded(question, "B", "The answer is Paris, Texas.") == C
    assert graded(question, "A", "The answer is Paris, Texas.") == W
    assert graded(question, "A", "It takes place in New Paris.") == W
    assert graded(question, "C", "It takes place in New Paris.") == C


def test_what_is_right_is_no_choice_where_the_wrong_one_is_asked_for() -> None:
    question = "Which statement is false?\nA) Fire is hot\nB) Ice is hot"
    assert graded(question, "A", "A is correct.") == N
    assert graded(question, "B", "A is correct. The answer is B.") == C


def test_refusals_in_other_languages() -> None:
    answer = "Nevím, it is B"
    assert graded(CAPITAL, "B", answer) == C
    assert graded(CAPITAL, "B", answer, refusals=["nevím"]) == N
    assert graded(CAPITAL, "B", "Nevím. Answer: B", refusals=["nevím"]) == C


def test_long_answers_end_soon() -> None:
    for text in ("The answer is " * 70_000, "**A" * 300_000, "(" * 10**6, "so " * 330_000,
                 "A, " * 330_000, "\\boxed{" * 150_000, "not " * 250_000 + "B"):  # fmt: skip
        assert not grows_with_the_square(partial(graded, CAPITAL, "B"), text), text[:10]
    assert graded(CAPITAL, "B", "Thinking. " * 100_000 + "\nThe answer is B.") == C


_FRAGMENTS = ["A", "B", "C", "the answer is", "not", "or", "**", "(", ")", ".", ",", "\n",
              "Paris", "London", "is wrong", "wait", "boxed", "\\boxed{", "}", "I", "a", "if",
              "?"]  # fmt: skip


@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_at_most_one_option_is_right(text: str) -> None:
    right = [letter for letter in "ABCD" if graded(CAPITAL, letter, text) == C]
    assert len(right) <= 1
    for letter in right:  # it names the letter or the text
        assert (
            letter in text.upper() or read_options(CAPITAL).texts[letter] in text or letter == "D"
        )


@given(st.text(string.ascii_lowercase + " .,", max_size=80))
@settings(max_examples=300, deadline=None)
def test_prose_without_letters_or_options_is_never_right(text: str) -> None:
    words = text.replace(".", " ").replace(",", " ").split()
    if not {"a", "b", "c", "d", "paris", "london", "rome"} & set(words):
        assert graded(CAPITAL, "B", text) != C
