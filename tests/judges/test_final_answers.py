"""One reader takes the answer out of a text, and every judge grades what it says."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.judge.store import Judge
from routebench.records import Grade
from routebench_judges.answers.marked import marked_finals
from routebench_judges.answers.traces import Trace, final_answer, tidied
from routebench_judges.exact.judge import Exact
from routebench_judges.multiple_choice.judge import MultipleChoice
from routebench_judges.numeric.judge import Numeric

C, W, N = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED
CITY = "Which town hosted the lantern fair?"
DOUGH = "What makes dough rise?\nA) salt\nB) yeast\nC) sugar\nD) oil"
APPLES = "How many apples are left?"

# Each form holds its reasoning and then its answer.
TRACES = [
    "<think>{0}</think>{1}",
    "<think>\n{0}\n</think>\n\n{1}",
    "<thinking>{0}</thinking>\n{1}",
    "<thought>{0}</thought>\n{1}",
    "<reasoning>{0}</reasoning>\n{1}",
    "<reflection>{0}</reflection>{1}",
    "<scratchpad>{0}</scratchpad>{1}",
    "<seed:think>{0}</seed:think>{1}",
    "<THINK>{0}</THINK>{1}",
    '<think type="slow">{0}</think>{1}',
    "&lt;think&gt;{0}&lt;/think&gt;{1}",
    "[THINK]{0}[/THINK]{1}",
    "[THINKING]\n{0}\n[/THINKING]\n{1}",
    "◁think▷{0}◁/think▷{1}",
    "<|begin_of_thought|>{0}<|end_of_thought|>\n<|begin_of_solution|>{1}<|end_of_solution|>",
    "<|START_THINKING|>{0}<|END_THINKING|><|START_RESPONSE|>{1}<|END_RESPONSE|>",
    "<unused94>thought\n{0}<unused95>{1}",
    "<|channel>thought\n{0}<channel|>{1}",
    '<details type="reasoning" done="true">\n{0}\n</details>\n{1}',
    "<|channel|>analysis<|message|>{0}<|end|><|start|>assistant<|channel|>final<|message|>{1}",
    "<|channel|>analysis<|message|>{0}<|end|><|start|>assistant<|channel|>final<|message|>{1}"
    "<|return|>",
    "<|channel|>analysis<|message|>{0}<|end|><|start|>assistant<|channel|>commentary<|message|>"
    "{0}<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{1}",
    "analysis{0}assistantfinal{1}",
    "analysis{0}.assistantcommentary{0}.assistantfinal{1}",
    "{0}</think>{1}",
    "{0}[/THINK]{1}",
    "<think>{0}<think>{0}</think>{0}</think>{1}",
    "<think>\n<think>\n{0}</think>{1}",
    "<think>{0}</think>{0}<think>{0}</think>{1}",
    "<think>{0}</think>{1}</think>",
    "Here is my thought process: {0}\nHere is my response:\n{1}",
]
UNFINISHED = [
    "<think>{0}",
    "<think>\n{0}",
    "<reasoning>{0}",
    "[THINK]{0}",
    "◁think▷{0}",
    "<|begin_of_thought|>{0}",
    "<|START_THINKING|>{0}",
    "<|channel|>analysis<|message|>{0}",
    "<|channel|>analysis<|message|>{0}<|end|>",
    "analysisWell: {0}",
    "<think>{0}<think>{0}</think>{0}",
    "<think>{0}</think>{0}<think>{0}",
]
NOTHING_AFTER = [
    "<think>{0}</think>",
    "<think>{0}</think>\n\n",
    "{0}</think>",
    ("[THINK]{0}[/THINK] "),
]


def grade(judge: Exact | Numeric | MultipleChoice, *texts: str) -> Grade:
    question, reference, answer = texts
    found = judge.judge(questions=[question], references=[reference], answers=[answer])
    assert found.grade is not None
    return Grade(found.grade[0])


def exact(answer: str, question: str = CITY, reference: str = "Brenlow") -> Grade:
    return grade(Exact(Exact.Options()), question, reference, answer)


def choice(answer: str, reference: str = "B") -> Grade:
    return grade(MultipleChoice(MultipleChoice.Options()), DOUGH, reference, answer)


def numeric(answer: str, reference: str = "42", question: str = APPLES) -> Grade:
    return grade(Numeric(Numeric.Options()), question, reference, answer)


@pytest.mark.parametrize("form", TRACES)
def test_only_what_follows_the_reasoning_counts(form: str) -> None:
    assert final_answer(form.format("Maybe", "Ostrel")).text == "Ostrel"
    assert final_answer(form.format("Maybe", "Ostrel")).trace == Trace.FINISHED
    assert exact(form.format("It was Brenlow.", "Ostrel")) == W
    assert exact(form.format("Was it Ostrel or Brenlow?", "Brenlow")) == C
    assert exact(form.format("Brenlow? I can't tell.", "I don't know.")) == N
    assert choice(form.format("The answer is A.", "B")) == C
    assert choice(form.format("The answer is B.", "The answer is (A) salt.")) == W
    assert choice(form.format("The answer is B.", "I don't know.")) == N
    assert numeric(form.format("The answer is 12.", "42")) == C
    assert numeric(form.format("The answer is 42.", "So 12 are left.")) == W


@pytest.mark.parametrize("form", UNFINISHED + NOTHING_AFTER)
def test_reasoning_without_an_answer_is_no_attempt(form: str) -> None:
    assert not final_answer(form.format("Brenlow")).text
    assert exact(form.format("It was Brenlow.")) == N
    assert choice(form.format("The answer is B.")) == N
    assert numeric(form.format("The answer is 42.")) == N
    cut = form in UNFINISHED
    assert (final_answer(form.format("Brenlow")).trace == Trace.UNFINISHED) is cut


def test_tags_that_are_only_mentioned_are_no_trace() -> None:
    for text in ("Use the `<think>` tag.", 'It writes "</think>" first.', "a <b>bold</b> word"):
        assert final_answer(text).trace == Trace.NONE
    assert final_answer("Ostrel<think>").text == "Ostrel"
    assert final_answer("Ostrel\n<reasoning>as told</reasoning>").text == "Ostrel"


def test_traces_are_counted() -> None:
    judge = Exact(Exact.Options())
    texts = ["<think>a</think>Brenlow", "<think>a", "<think>a</think>", "", "Brenlow"]
    judge.judge(questions=[CITY] * 5, references=["Brenlow"] * 5, answers=texts)
    found = judge.texts
    assert (found.answers, found.traces, found.unfinished, found.empty) == (5, 3, 1, 3)
    assert found.note() == (
        "of 5 answers 3 hold a reasoning trace, which is not read, 1 end within it,"
        " 3 say nothing besides"
    )
    plain = Exact(Exact.Options())
    plain.judge(questions=[CITY], references=["Brenlow"], answers=["Brenlow"])
    assert plain.texts.note() is None


def test_the_version_of_the_rules_is_in_the_fingerprint() -> None:
    for name, version in (("exact", 4), ("numeric", 2), ("multiple-choice", 2)):
        judge = Judge(name, {})
        assert judge.plugin.parameters()["version"] == version
        other = Judge(name, {"refusals": ["pass"]})
        assert judge.id != other.id


@pytest.mark.parametrize(
    ("text", "finals"),
    [
        (r"\boxed{Ostrel} is near Brenlow", ["Ostrel"]),
        ("<answer>Ostrel</answer> not Brenlow", ["Ostrel"]),
        (r"\boxed{\text{Ostrel}}", ["Ostrel"]),
        ("Brenlow was one.\n#### Ostrel", ["Ostrel"]),
        ("#### Ostrel\nBrenlow was one.", ["Ostrel"]),
        ("Final answer: Ostrel\n\nBrenlow was one.", ["Ostrel"]),
        ("**Final Answer:** Ostrel. Brenlow was one.", ["Ostrel"]),
        ("The final answer is Ostrel.", ["Ostrel"]),
        ("### Final answer\n\nOstrel", ["Ostrel"]),
        ("Answer: Ostrel\nBrenlow was one.", ["Ostrel"]),
        ("Brenlow was one.\n\n**Ostrel**", ["Ostrel"]),
        ("Brenlow was one.\n**Ostrel**\n\nLet me know if you have questions!", ["Ostrel"]),
        ("The answer is Ostrel. Brenlow was one.", ["Ostrel"]),
        (r"\boxed{Ostrel} no wait, \boxed{Brenlow}", ["Brenlow"]),
        (r"\boxed{Ostrel} or \boxed{Brenlow}", ["Ostrel", "Brenlow"]),
        ("Final answer: Dr. No", ["Dr. No"]),
        ("Final answer: J. Smith. He won.", ["J. Smith"]),
        ("## Answer\nOstrel\n## Explanation\nBrenlow was one.", ["Ostrel"]),
        ("Final answer (short): Ostrel. Brenlow was one.", ["Ostrel"]),
        ('{"answer": "Ostrel", "explanation": "Brenlow was one"}', ["Ostrel"]),
        ("Ostrel", []),
        ("It was Ostrel.\n\n**Sources:** a book", []),
        ("It was Ostrel.\n\n**Note: years differ**", []),
        ("#### Town\nOstrel\n#### Year\n1900", []),
        ("The answer is well known to all.", []),
    ],
)
def test_marked_finals(text: str, finals: list[str]) -> None:
    assert marked_finals(final_answer(text).text) == finals


_BLANK = ["\n", "\r\n", "\u00a0", "  ", " \n", "\u2009", "\t", "\u2028", "\u200b "]


@pytest.mark.parametrize("blank", _BLANK)
def test_odd_whitespace_changes_no_grade(blank: str) -> None:
    for answer, grades in {
        "I don't know": (N, N, N),
        "I am not able to answer that": (N, N, N),
        "it is not Brenlow": (W, N, N),
        "the answer is Brenlow": (C, N, N),
        "the answer is B": (W, C, N),
        "so the correct answer is B because dough rises": (W, C, N),
        "so there are 42 apples": (W, N, C),
        "the final answer is 42": (W, N, C),
        "either Brenlow or Ostrel": (W, N, N),
    }.items():
        odd = answer.replace(" ", blank)
        assert (exact(odd), choice(odd), numeric(odd)) == grades, odd


def test_tidied_text_keeps_lists_and_paragraphs() -> None:
    assert tidied("- a\n- b") == "- a\n- b"
    assert tidied("One.\r\n\r\n\r\nTwo.") == "One.\n\nTwo."
    assert tidied("Choices:\na) x\nb) y") == "Choices:\na) x\nb) y"
    assert tidied("1{,}234{,}567 and 7\\,250 and 8\\!250") == "1,234,567 and 7,250 and 8,250"


_REASONING = st.sampled_from(
    ["Brenlow or Ostrel?", "The answer is A.", "12 or 13.", "I don't know.", "\\boxed{C}", "", "?"]
)
_ANSWERS = {
    "exact": [("Brenlow", C), ("It was Brenlow.", C), ("Ostrel", W), ("I don't know.", N),
              ("Brenlow or Ostrel", W), ("Not Brenlow.", W), ("\\boxed{Brenlow}", C)],
    "choice": [("B", C), ("The answer is B.", C), ("(A) salt", W), ("yeast", C), ("A or B", W),
               ("I cannot answer.", N), ("#### D", W)],
    "numeric": [("42", C), ("So 42 are left.", C), ("41", W), ("#### 42", C), ("I can't say.", N),
                ("\\boxed{42}", C), ("42 or 43", W)],
}  # fmt: skip
_JUDGES = {"exact": exact, "choice": choice, "numeric": numeric}
_CASES = [(name, *case) for name, cases in _ANSWERS.items() for case in cases]
_BEFORE = ["Sure!", "Of course.", "Certainly, happy to help.", "Thank you for asking!", "Hello!"]
_AFTER = ["I hope this helps!", "Let me know if you have any questions.", "Have a nice day!"]


@given(st.sampled_from(_CASES), st.sampled_from(TRACES), _REASONING)
@settings(max_examples=300, deadline=None)
def test_a_trace_around_an_answer_changes_no_grade(
    case: tuple[str, str, Grade], form: str, reasoning: str
) -> None:
    name, answer, wanted = case
    assert _JUDGES[name](form.format(reasoning, answer)) == wanted


@given(
    st.sampled_from(_CASES),
    st.sampled_from(
        ["{}", "\n\n{}\n\n", "  {}  ", "\r\n{}\r\n\r\n", "**{}**", "_{}_", "> {}", ("{}\n")]
    ),
)
@settings(max_examples=200, deadline=None)
def test_blank_lines_and_markdown_change_no_grade(case: tuple[str, str, Grade], form: str) -> None:
    name, answer, wanted = case
    assert _JUDGES[name](form.format(answer)) == wanted


@given(st.sampled_from(_CASES), st.sampled_from(_BEFORE), st.sampled_from(_AFTER), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_polite_sentence_changes_no_grade(
    case: tuple[str, str, Grade], before: str, after: str, last: bool
) -> None:
    name, answer, wanted = case
    text = f"{answer}\n\n{after}" if last else f"{before}\n\n{answer}"
    assert _JUDGES[name](text) == wanted


_PIECES = ["Brenlow", "Ostrel", "or", "not", "the answer is", "\\boxed{", "}", "####", "**", "\n",
           "<think>", "</think>", "42", "B", "(B)", "yeast", "I don't know", ".", ",", "maybe",
           "final answer:", "and", "-", "assistantfinal", "答案是"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14))
@settings(max_examples=400, deadline=None)
def test_without_the_reference_nothing_is_right(pieces: list[str]) -> None:
    def text(*removed: str) -> str:
        return " ".join(piece for piece in pieces if piece not in removed)

    assert exact(text("Brenlow")) != C
    assert numeric(text("42")) != C
    assert choice(text("B", "(B)", "yeast")) != C


def test_every_form_is_tried_with_every_judge() -> None:
    forms = list(itertools.product(TRACES, _CASES))
    assert len(forms) > 400
    for form, (name, answer, wanted) in forms:
        assert _JUDGES[name](form.format("Hm, A, 12, Ostrel.", answer)) == wanted, (form, answer)
