"""Answers in words: the same value in many forms and sentences, hedges, and refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from routebench_providers.simulated.datewords import NUMBERS, date_forms, split_date
from routebench_providers.simulated.draws import uniforms
from routebench_providers.simulated.profiles import Profile
from routebench_suites.questions import Question

Item = TypeVar("Item")

_SHORT = ("{A}", "{A}.", "**{A}**", "{A}.", "**{A}**.")
_PLAIN = (
    "It is {A}.",
    "That is {A}.",
    "The answer is {A}.",
    "The answer is **{A}**.",
    "Answer: {A}",
    "**Answer:** {A}",
    "The correct answer is {A}.",
    "That would be {A}.",
    "{A} is the answer.",
    "My answer: {A}.",
    'The answer is "{A}".',
    "Final answer: {A}",
)
_HEDGED = (
    "I believe it is {A}.",
    "I think the answer is {A}.",
    "If I remember correctly, it is {A}.",
    "Probably {A}.",
    "It is most likely {A}.",
    "My best guess is {A}.",
    "I'm not entirely sure, but I think it is {A}.",
    "I am not certain, but I believe the answer is {A}.",
    "To the best of my knowledge, it is {A}.",
    "As far as I know, the answer is {A}.",
    "I would say {A}, though please verify this.",
    "Perhaps {A}.",
    "It may be {A}.",
)
_DECLINED = (
    "I don't know.",
    "I'm not sure.",
    "I do not know the answer to this question.",
    "I'm sorry, but I don't know the answer to that.",
    "I don't have reliable information about this.",
    "I'm afraid I can't recall this with any confidence.",
    "I do not have enough information to answer this question.",
    "I cannot say for certain, and I would rather not guess.",
    "I'm not certain enough to give an answer.",
    "Unfortunately, I am unable to confirm this.",
    "I don't want to guess: I do not know this one.",
    "I'm not able to answer this with confidence.",
    "That is something I don't have reliable details on.",
    "I apologize, but I have no reliable information on this.",
    "I do not recall this detail.",
    "I can't remember that one.",
)
_ADVICE = (
    " I'd recommend checking a reliable source.",
    " An encyclopedia would be the best place to look this up.",
    " Please consult an up-to-date reference.",
    " If you can share more context, I can try to help.",
)
_MORE = (
    " Let me know if you would like to know more!",
    " I hope that helps.",
    " Feel free to ask if you have further questions.",
    " This comes up often in quizzes.",
    " Happy to give more background.",
    "\n\nWould you like further details?",
)
_LEADS = ("Good question! ", "Sure! ", "Of course. ", "Great question. ", "Certainly: ")

_COUNTED = re.compile(r"\b(?:how many|number of (?!the\b))", re.IGNORECASE)
_CODED = re.compile(r"\b(?:ports?|code|prefix|dial\w*|year)\b", re.IGNORECASE)

# Repeated from the question, these read as two answers, as a correction or as a refusal.
_MISLEADING = re.compile(r"\b(?:and|or|no|not|sorry|wait|un\w+)\b", re.IGNORECASE)

# Questions that become sentences, and where the answer stands in them.
_VERB = (
    r"(?:is|was|are|were|has|had|won|wrote|sang|made|built|led|became|took|held|hosted|serves"
    r"|lies|stands|gave|lost|began|\w+ed)"
)
_RESTATED = (
    (re.compile(r"(?:What|Who) (is|was|are|were) the (.+)"), r"The \2 \1 {A}."),
    (re.compile(rf"(?:Who|(?:Which|What) \w+) ({_VERB} .+)"), r"{A} \1."),
    (re.compile(r"In (?:what|which) year (?:is|was|were|did) .+"), r"In {A}."),
    (re.compile(r"(.+ (?:by|to|in|of|from|for)) (?:whom|(?:which|what) \w+)"), r"\1 {A}."),
)


def answer(model: Profile, question: Question, value: str, sure: float, key: object) -> str:
    """Return a value as an answer to a question; `sure` in (0, 1) is how sure the model sounds."""
    drawn = uniforms("wording", model.name, question.query, key)
    form = _form(question, value, drawn[0])
    if is_symbol(question):
        return _filled(_one(_SHORT, drawn[2]), form)
    # In front of `Romeo and Juliet` a bare label makes a list.
    listed = " and " in form
    if drawn[1] < model.hedging * (1.5 if sure < 0.5 else 0.5):
        return _filled(_frame(_HEDGED, drawn[2], listed), form)
    if drawn[3] > 0.35 + model.chattiness:
        return _filled(_one(_SHORT, drawn[2]), form)
    frame = _restated(question.query) if drawn[4] < 0.5 else None
    text = _filled(frame or _frame(_PLAIN, drawn[2], listed), form)
    if drawn[5] < 0.3 * model.chattiness:
        text = _one(_LEADS, drawn[6]) + text
    if drawn[7] < 0.5 * model.chattiness and text.endswith("."):
        text += _one(_MORE, drawn[8])
    return text


def refusal(model: Profile, prompt: str, key: object, brief: bool = False) -> str:
    """Return an answer that attempts nothing; if `brief`, without advice."""
    drawn = uniforms("refusal", model.name, prompt, key)
    text = _one(_DECLINED, drawn[0])
    advises = drawn[1] < 0.7 * model.chattiness and not brief
    return text + _one(_ADVICE, drawn[2]) if advises else text


def right_value(question: Question, model: Profile, key: object) -> str:
    """Return the reference, or now and then one of its aliases."""
    drawn = uniforms("value", model.name, question.query, key)
    if question.aliases and drawn[0] < 0.25:
        return _one(question.aliases, drawn[1])
    return question.reference


def is_symbol(question: Question) -> bool:
    """Return whether an answer is so short that many a sentence holds it, as `In` and `At`."""
    return min(len(text) for text in (question.reference, *question.aliases)) <= 2 and (
        question.reference[:1].isalpha()
    )


def _form(question: Question, value: str, drawn: float) -> str:
    """Return one of the ways to write a value."""
    if date := split_date(value):
        forms = date_forms(*date)
        # Most people write most dates the commonest way.
        return _one(forms, drawn**1.5)
    if question.answer_type != "Number" or not value.isdigit() or value[0] == "0":
        return value
    counted = _COUNTED.search(question.query)
    # Below, `1,500` could not be told from a year gone wrong.
    if int(value) > (999 if counted else 2100) and not _CODED.search(question.query):
        return f"{int(value):,}" if drawn < 0.6 else value
    if int(value) < len(NUMBERS) and counted and drawn < 0.4:
        return NUMBERS[int(value)]
    return value


def _filled(frame: str, value: str) -> str:
    """Return the value in its sentence, with one full stop and a capital where it begins."""
    if value.endswith(".") and frame.endswith("{A}."):
        frame = frame[:-1]
    if frame.startswith("{A} ") and value[:1].islower():
        value = value[0].upper() + value[1:]
    return frame.replace("{A}", value)


def _restated(question: str) -> str | None:
    """Return the question as a sentence with a place for the answer, if its form is simple."""
    text = re.sub(r"\s*\([^()]*\)$", "", question.strip().removesuffix("?"))
    if "{" in text or "?" in text or _MISLEADING.search(text):
        return None
    for pattern, sentence in _RESTATED:
        if match := pattern.fullmatch(text):
            return match.expand(sentence)
    return None


def _frame(frames: Sequence[str], drawn: float, whole: bool) -> str:
    """Return one of the frames; with `whole`, of those that are sentences with a verb."""
    return _one([f for f in frames if " is " in f or not whole], drawn)


def _one(items: Sequence[Item], drawn: float) -> Item:
    return items[int(drawn * len(items))]
