"""A table of questions, references and answers with their grades, in ten wordings of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from routebench.records import Grade
from routebench_judges.exact.judge import Exact
from routebench_judges.multiple_choice.judge import MultipleChoice
from routebench_judges.numeric.judge import Numeric

C, W, N, U = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED, Grade.NONE


class Question(NamedTuple):
    text: str
    reference: str
    right: str
    """An answer with the reference."""
    wrong: str


EXACT = [
    Question("Which town hosted the lantern fair?", "Brenlow", "Brenlow", "Ostrel"),
    Question("Who carved the oak gate?", "Ada Merrin", "Ada Merrin", "Piet Hollander"),
    Question("In what year was the mill built?", "1874", "1874", "1902"),
    Question("On what day did the bridge open?", "4 May 1931", "May 4, 1931", "May 9, 1931"),
    Question("How many bells hang in the tower?", "12", "twelve", "nine"),
]
NUMERIC = [
    Question("How many apples are left?", "42", "42", "41"),
    Question("How much does the boat cost?", "7250", "$7,250", "$7,520"),
    Question("What fraction of the cake is eaten?", "3/4", "3/4", "1/4"),
]
CHOICE = [
    Question("What makes dough rise?\nA) salt\nB) yeast\nC) sugar\nD) oil", "B", "B", "C"),
    Question(
        "Which is a mammal?\nA. trout\nB. wren\nC. otter\nD. newt", "C", "(C) otter", "(A) trout"
    ),
]
JUDGED = [
    (Exact(Exact.Options()), EXACT),
    (Numeric(Numeric.Options()), NUMERIC),
    (MultipleChoice(MultipleChoice.Options()), CHOICE),
]

# Reasoning that names one thing, then the answer.
TRACES = [
    "<think>I first thought of {0}.</think>{1}",
    "<thinking>\nPerhaps {0}?\n</thinking>\n\n{1}",
    "<reasoning>The answer is {0}.</reasoning>\n{1}",
    "[THINK]It may be {0}.[/THINK]{1}",
    "◁think▷{0}, no doubt◁/think▷{1}",
    "<|channel|>analysis<|message|>So {0}?<|end|><|start|>assistant<|channel|>final<|message|>{1}",
    "analysisLooks like {0}.assistantfinal{1}",
    "{0} was considered.</think>\n{1}",
    "<think>a<think>{0}</think>b: {0}</think>\n{1}",
    "<|begin_of_thought|>{0}<|end_of_thought|><|begin_of_solution|>{1}<|end_of_solution|>",
]
UNFINISHED = [
    "<think>I first thought of {0}.",
    "<thinking>\nPerhaps {0}?\n",
    "<reasoning>The answer is {0}.",
    "[THINK]It may be {0}.",
    "◁think▷{0}, no doubt",
    "<|channel|>analysis<|message|>So {0}?",
    "analysisLooks like {0}.",
    "<think>The answer is {0}.</think>",
    "<think>a<think>{0}</think>b: {0}",
    "<|begin_of_thought|>\\boxed{{{0}}}",
]
# A marked answer, and a mention of another one that does not count.
MARKED = [
    "\\boxed{{{1}}}\n\nOthers might say {0}.",
    "Others might say {0}.\n\n$\\boxed{{\\text{{{1}}}}}$",
    "Others might say {0}.\n#### {1}",
    "Final answer: {1}\n\nOthers might say {0}.",
    "**Final Answer:** {1}\n\nOthers might say {0}.",
    "Others might say {0}. The final answer is {1}.",
    "<answer>{1}</answer>\nOthers might say {0}.",
    "Others might say {0}.\n\n**{1}**",
    "### Final answer\n\n{1}\n\nOthers might say {0}.",
    "<|begin_of_box|>{1}<|end_of_box|>\nOthers might say {0}.",
]
REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I don't know.",
    "I am unable to answer this question.",
    "As an AI language model, I cannot answer that.",
    "There is not enough information to answer.",
    "I must respectfully decline to answer.",
    "I'm not sure.",
    "Sorry, that's beyond my current scope. Let's talk about something else.",
    "I do not have access to that information.",
    "I cannot fulfill this request.",
]
REFUSALS_ELSEWHERE = [
    "Es tut mir leid, das weiß ich nicht.",
    "Lo siento, no lo sé.",
    "Je ne sais pas.",
    "Não sei.",
    "Mi dispiace, non lo so.",
    "Извините, я не знаю.",
    "抱歉，我不知道。",
    "申し訳ありませんが、わかりません。",
    "죄송합니다. 모르겠습니다.",
    "Bohužel nevím.",
]
_STOCK = """
I can't assist with that request. | I'm unable to help with that. | I can't comply with that.
I'm going to have to decline. | I'm just a language model, so I can't help with that.
I prefer not to continue this conversation. | I don't feel comfortable answering that.
My apologies, but I cannot respond to that. | This request violates our usage policies.
The response was blocked by a content filter. | I won't be able to help with that.
I will not answer that. | I'm not programmed to answer this. | I can't discuss that topic.
I cannot engage with this. | My training data does not include this.
I have no way of verifying that. | No reliable sources mention it.
Unfortunately, I lack details. | [REDACTED] | Request refused.
I'm afraid this goes beyond what I know. | I am not in a position to answer. | No response.
I cannot share that information. | I can't browse the internet. | It's impossible to know.
I’m sorry, I can’t continue with this conversation. | Not enough info. | null | N/A | Unknown
I cannot verify this. | The question cannot be answered.
I'd rather not say. | Let's change the topic.
"""
STOCK = [one.strip() for one in _STOCK.replace("\n", "|").split("|") if one.strip()]
LISTS = [
    "{0}; {1}; {2}",
    "Candidates: {0}, {1}, {2}",
    "The candidates are {0}, {1} and {2}.",
    "{0} or {1}",
    "1. {0}\n2. {1}\n3. {2}",
    "- {0}\n- {1}",
    "{0}\n{1}\n{2}",
    "Maybe {0}, maybe {1}.",
    "It could be {0}, {1} or {2}.",
    "{0} / {1}",
]


class Case(NamedTuple):
    question: Question
    answer: str
    grade: Grade


def cases(questions: list[Question]) -> Iterator[Case]:
    """Yield answers in every wording; what stands in a trace or beside a mark is the opposite."""
    for question in questions:
        right, wrong = question.right, question.wrong
        for form in (*TRACES, *MARKED):
            yield Case(question, form.format(wrong, right), C)
            yield Case(question, form.format(right, wrong), W)
        for form in UNFINISHED:
            yield Case(question, form.format(right), N)
        for refusal in (*REFUSALS, *REFUSALS_ELSEWHERE):
            yield Case(question, refusal, N)
            yield Case(question, f"<think>It is {right}.</think>\n{refusal}", N)


TABLE = [(judge, case) for judge, questions in JUDGED for case in cases(questions)]


def graded(judge: Exact | Numeric | MultipleChoice, case: Case) -> Grade:
    question = case.question
    found = judge.judge(
        questions=[question.text], references=[question.reference], answers=[case.answer]
    )
    assert found.grade is not None
    return Grade(found.grade[0])


def test_the_table_is_large() -> None:
    assert len(TABLE) == 900
    assert min(map(len, (TRACES, UNFINISHED, MARKED, REFUSALS, REFUSALS_ELSEWHERE))) == 10


@pytest.mark.parametrize(("judge", "questions"), JUDGED, ids=["exact", "numeric", "choice"])
def test_every_case_of_the_table(
    judge: Exact | Numeric | MultipleChoice, questions: list[Question]
) -> None:
    wrong = [
        (case.question.text, case.answer, case.grade.name, found.name)
        for case in cases(questions)
        if (found := graded(judge, case)) != case.grade
    ]
    assert not wrong


@pytest.mark.parametrize("refusal", STOCK)
def test_stock_refusals(refusal: str) -> None:
    for question in (EXACT[0], EXACT[1]):
        thought = f"<think>{question.right}</think>{refusal}"
        for text in (refusal, refusal.replace(" ", "\n"), thought):
            assert graded(JUDGED[0][0], Case(question, text, N)) == N, text


OTHERS = [(EXACT[0], ("Ostrel", "Quillby")), (EXACT[1], ("Piet Hollander", "Una Fenn"))]


@pytest.mark.parametrize("form", LISTS)
def test_lists_of_candidates_are_no_answer(form: str) -> None:
    for question, others in OTHERS:
        for names in ((question.right, *others), (others[0], question.right, others[1])):
            text = form.format(*names)
            assert graded(JUDGED[0][0], Case(question, text, W)) == W, text


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("Several towns: Brenlow, Ostrel, Quillby", W),
        ("One of Brenlow, Ostrel or Quillby.", W),
        ("Brenlow (or Ostrel)", W),
        ("Brenlow, or perhaps Ostrel", W),
        ("Brenlow? Ostrel? Quillby?", W),
        ("Between Brenlow and Ostrel, I cannot decide.", N),
        ("\\boxed{\\text{Brenlow or Ostrel}}", W),
        ("\\boxed{Brenlow} and \\boxed{Ostrel}", W),
    ],
)
def test_several_answers(answer: str, grade: Grade) -> None:
    assert graded(JUDGED[0][0], Case(EXACT[0], answer, grade)) == grade


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Brenlow", "Brenlow, France"),
        ("Brenlow", "Brenlow (France)"),
        ("Brenlow", "Brenlow, Bavaria, Germany"),
        ("Brenlow", "Brenlow\n\nIt lies on a river. It has a fair."),
        ("Brenlow", "The town of Brenlow, near the sea."),
        ("Brenlow", "Maybe Brenlow."),
        ("Brenlow", "Final answer: Brenlow\n\nOther candidates were Ostrel and Quillby."),
        ("Brenlow", "Of the candidates, Ostrel lost and Brenlow won."),
        ("Brenlow, Ostrel", "Ostrel and Brenlow"),
        ("Brenlow, Ostrel and Quillby", "Quillby; Ostrel; Brenlow"),
    ],
)
def test_what_is_no_list_of_candidates(reference: str, answer: str) -> None:
    question = EXACT[0]._replace(reference=reference)
    assert graded(JUDGED[0][0], Case(question, answer, C)) == C


POINTED = (
    *("Roe v. Wade", "Brown v. Board of Education", "Dr. No", "St. Louis", "Mt. Everest"),
    *("John F. Kennedy", "J. R. R. Tolkien", "U.S. Steel", "Warner Bros. Pictures", "Mr. Bean"),
    *("Capt. Ahab", "Sen. Robert Byrd", "Gov. Huey Long", "Hon. Ann Day", "Rev. Green", "No. 5"),
    *("Martin Luther King Jr. Library", "Marks & Co. Books", "Col. Mustard", "Univ. Press"),
)
STATED = (
    *("{0}", "{0}.", "**{0}**", "Answer: {0}", "Answer: {0}.", "Final answer: {0}."),
    *("The answer is {0}.", "The final answer is **{0}**.", "\\boxed{{{0}}}", "#### {0}"),
    *("It is {0}. It is well known.", "The answer is {0}. It is well known.", "**Answer:** {0}"),
    *("Let me see.\n\n**{0}**", "<think>Hm.</think>{0}", "So, the answer: {0}\n\nI hope it helps."),
)


@pytest.mark.parametrize("name", POINTED)
def test_a_point_within_a_name_ends_no_answer(name: str) -> None:
    question = EXACT[0]._replace(text="What is it called?", reference=name)
    wrong = [
        text
        for form in STATED
        if graded(JUDGED[0][0], Case(question, text := form.format(name), C)) != C
    ]
    assert not wrong
