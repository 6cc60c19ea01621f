"""The multiple-choice judge on sentences that settle, elimination, languages and indices."""

from __future__ import annotations

import numpy as np
import pytest
from test_choices import C, N, W, graded, judge

from routebench.records import Grade, State
from routebench_judges.multiple_choice.options import read_options

U = Grade.NONE
DOUGH = "What makes dough rise?\nA) salt\nB) yeast\nC) sugar\nD) oil"
WAYS = "How many ways are there?\nOptions:\nA. 2\nB. 3\nC. 4\nD. 5"


@pytest.mark.parametrize(
    "answer",
    [
        "That dough rises is the work of B. yeast.",
        "The loaf grows. Therefore, the most likely cause is (B) yeast.",
        "Therefore, the statement that describes it best is (B).",
        "Hence the agent responsible would be option B.",
        "Dough rises thanks to (B) yeast.",
        "Thus the ingredient is yeast, i.e. B.",
        "The ingredient that does this is **B) yeast**.",
        "The ingredient responsible is B: yeast",
        "In conclusion, (B) yeast is what makes dough rise.",
        "Everything points to B) yeast.",
        "Of these, yeast (B) makes it rise.",
        "Among the choices, B seems best.",
        "The closest option is (B).",
        "Salt (A) does not. Sugar (C) does not. The one that does is option (B).",
        "Answer: with C gone, B remains",
        "A, C and D are gone, only B remains.",
        "With A and C eliminated, B is left.",
        "That leaves B.",
        "This leaves only (B).",
        "We can rule out A, C, D. The remaining option is B.",
        "By elimination, B.",
        "Not A, not C, not D. B it is.",
        "It can't be A or C. So it's B.",
        "Only B fits.",
        "Neither A nor C fits; B does.",
        "I think A at first, but actually B.",
        "The answer is A... wait, no: B.",
        "B) yeast is not salt",
        "My vote: B",
        "Ans. B",
        "The answer is (B) or (D), but D is oil, so the answer is (B).",
        "The answer is (B).\nThe answer is (A).\nThe answer is (D).\nThe answer is (B).",
        "Yeast does. The answer is (B).\n\nNow, combining all the answers:\nThe answer is (D).",
        "Yeast does. The answer is (B).\n\nQuestion: What is sour?\nThe answer is (D).",
    ],
)
def test_a_sentence_that_settles_on_one_option(answer: str) -> None:
    assert graded(DOUGH, "B", answer) == C
    assert graded(DOUGH, "A", answer) == W


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("Is it (B)?", N),
        ("It is certainly not (B) yeast.", N),
        ("One could think of (A) salt and (B) yeast.", N),
        ("(B) yeast is wrong.", N),
        ("The answer is (A).\nThe answer is (B).\nThe answer is (D).", W),
        ("A) salt\nB) yeast\nC) sugar\nD) oil", N),
        ("The ingredient is (B) sugar.", W),
        ("(B) yeast is not the answer.", N),
    ],
)
def test_what_settles_nothing(answer: str, grade: Grade) -> None:
    assert graded(DOUGH, "B", answer) == grade


@pytest.mark.parametrize(
    "answer",
    """
答案是B。 | 答案：B | 正确答案是（B）。 | 因此，选B。 | 我选择 B | B是正确的。
选项B正确 | 最终答案：**B**
La respuesta correcta es B. | Respuesta: B | La respuesta es la opción B.
La bonne réponse est B. | Réponse : B | La réponse est la B.
Die richtige Antwort ist B. | Antwort: B | Richtig ist B. | Die Antwort lautet B.
A resposta correta é B. | Resposta: B | A alternativa correta é a B.
Правильный ответ: B | Ответ: B. | Ответ — B) дрожжи
正解はBです。 | 答えはBです | 答え：B | 正解：B
정답은 B입니다. | 정답: B | 답은 B
La risposta corretta è B. | Risposta: B
الإجابة الصحيحة هي B. | الإجابة: B
सही उत्तर B है। | उत्तर: B | सही विकल्प B है
Het juiste antwoord is B. | Prawidłowa odpowiedź to B. | Odpowiedź: B | Doğru cevap: B
Đáp án đúng là B. | Jawaban yang benar adalah B. | Správná odpověď je B.
""".strip()
    .replace("\n", "|")
    .split("|"),
)
def test_answers_in_other_languages(answer: str) -> None:
    assert graded(DOUGH, "B", answer.strip()) == C
    assert graded(DOUGH, "C", answer.strip()) == W
    assert graded(DOUGH, "B", f"<think>C</think>{answer.strip()}") == C


@pytest.mark.parametrize("answer", ["คำตอบคือ B", "A helyes válasz a B lesz itt.", "Ответ: В"])
def test_languages_that_are_not_known_are_ungraded(answer: str) -> None:
    found = judge(DOUGH, "B", answer)
    assert found.grade is not None
    assert found.note is not None
    assert (found.grade[0], found.state[0]) == (U, State.UNGRADED)
    assert "language" in found.note[0]


@pytest.mark.parametrize(
    "answer", ["No lo sé.", "Je ne sais pas.", "抱歉，我不知道。", "Nie wiem."]
)
def test_refusals_in_other_languages_choose_nothing(answer: str) -> None:
    assert graded(DOUGH, "B", answer) == N


@pytest.mark.parametrize("reference", ["0", "1", "2", "3", "4"])
def test_a_number_that_may_be_an_index_is_never_guessed(reference: str) -> None:
    for question in (WAYS, DOUGH):
        found = judge(question, reference, "\\boxed{C}")
        assert found.note is not None
        assert found.state[0] == State.UNGRADED
        assert np.isnan(found.score[0])
        assert "index_from" in found.note[0]


def test_indices_that_are_declared() -> None:
    assert graded(WAYS, "2", "\\boxed{C}", index_from=0) == C
    assert graded(WAYS, "2", "\\boxed{A}", index_from=0) == W
    assert graded(WAYS, "2", "\\boxed{B}", index_from=1) == C
    assert graded(WAYS, "4", "\\boxed{C}", index_from=0) == U
    assert graded(WAYS, "B", "\\boxed{B}", index_from=0) == C
    assert graded(WAYS, "5", "D") == C  # no option has this index, one has this text
    assert graded(WAYS, '["0", "1"]', "B", index_from=0) == C


def test_two_weak_choices_are_ungraded() -> None:
    answer = "It is A. It is B. Both salt and sugar are common in bread."
    found = judge(DOUGH, "B", answer)
    assert found.note is not None
    assert found.state[0] == State.UNGRADED
    assert "equally likely" in found.note[0]


def test_many_marks_are_read_in_one_pass() -> None:
    question = "A) x " * 20_000 + "B) y " * 20_000 + "\nA) salt\nB) yeast\nC) sugar"
    assert read_options(question).texts == {"A": "salt", "B": "yeast", "C": "sugar"}
    many = "A) x B) y " * 10_000
    assert read_options(many).texts == {"A": "x", "B": "y"}
