"""Checks of judges: valid grades, each answer by itself, and the same whenever it is asked."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np

from routebench.judge.suite import check_grades as checked
from routebench.judge.suite import hooked
from routebench.plugin.optional import CountsUsage, ReadsFinals, StatesParameters
from routebench.records import Grade, Grades, State
from routebench.testing.kinds.subject import (
    ODD_TEXTS,
    SHARED,
    PluginSubject,
    check_init_only_stores,
    is_plain,
    same,
)
from routebench.testing.rules import Check, check, expect

_RIGHT = (
    ("What is the capital of France?", "Paris", "The capital of France is Paris."),
    ("How much is 6 times 7?", "42", "6 times 7 is 42."),
    ("Which letter comes first?\nA. a\nB. b\nC. c", "A", "The answer is (A)."),
    ("In which year was that?", "1969", "It was in 1969."),
)
_WRONG = ("The answer is Oslo.", "The answer is 17.", "The answer is (C).", "It was in 1402.")
_OTHERS = ("I do not know.", "", "A long answer that says many things and not what was asked.")


def _probes() -> tuple[list[str], list[str | None], list[str]]:
    """Return questions, references and answers: right ones, wrong ones and others."""
    rows = []
    for (question, reference, right), wrong in zip(_RIGHT, _WRONG, strict=True):
        rows += [(question, reference, text) for text in (right, wrong, reference, *_OTHERS)]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def grade(
    subject: PluginSubject,
    rows: tuple[list[str], list[str | None], list[str]],
    judge: Any = None,
) -> Grades:
    """Return the checked grades of a new judge, or of the one given."""
    judge = subject.new() if judge is None else judge
    if isinstance(judge, CountsUsage) and not subject.ask:
        raise unittest.SkipTest("it asks a model, which may cost: allow it with --ask (ask=True)")
    questions, references, answers = rows
    made = hooked(judge, subject.name)(
        questions=list(questions), references=list(references), answers=list(answers)
    )
    return checked(made, subject.name, len(answers))


@check(after=check_init_only_stores)
def check_hook(subject: PluginSubject) -> None:
    """There is a hook judge(questions, references, answers); no argument names a model."""
    hooked(subject.new(), subject.name)


@check(after=check_hook)
def check_grades(subject: PluginSubject) -> None:
    """Every answer gets a score in [0, 1] and state OK, or UNGRADED; grades and notes fit."""
    rows = _probes()
    made = grade(subject, rows)
    states = set(np.unique(made.state).tolist())
    expect(
        states <= {int(State.OK), int(State.UNGRADED)},
        "state OK or UNGRADED",
        f"states {sorted(states)}",
        "np.full(len(answers), State.OK), and UNGRADED where the judge cannot tell",
    )
    for name in ("grade", "note"):
        column = getattr(made, name)
        expect(
            column is None or np.asarray(column).shape == (len(rows[2]),),
            f"one {name} per answer, or None",
            f"{None if column is None else np.asarray(column).shape} for {len(rows[2])} answers",
        )
    if made.grade is not None:
        codes = set(np.unique(made.grade).tolist())
        known = {int(each) for each in Grade}
        expect(codes <= known, "grades out of routebench.Grade", f"codes {sorted(codes)}")


@check(after=check_grades)
def check_tells_answers_apart(subject: PluginSubject) -> None:
    """Of right, wrong, empty and long answers, not all get the same score."""
    made = grade(subject, _probes())
    scores = np.unique(made.score[made.state == State.OK])
    expect(
        len(scores) > 1,
        "answers to be told apart",
        "no answer is graded" if not len(scores) else f"all scores are {scores[0]:g}",
        "answers come in the order of the arguments: questions, references, answers",
    )


@check(after=check_grades)
def check_each_by_itself(subject: PluginSubject) -> None:
    """An answer gets the same grade alone, in a batch, and in any order of the batch."""
    rows = _probes()
    judge = subject.new()
    together = grade(subject, rows, judge)
    reverse = grade(subject, tuple(part[::-1] for part in rows), judge)  # type: ignore[arg-type]
    places = range(len(rows[0]))
    alone = [grade(subject, tuple([p[i]] for p in rows), judge) for i in places]  # type: ignore[arg-type]
    differing = [
        i
        for i in places
        if not same(together.score[[i]], alone[i].score)
        or not same(together.score[i], reverse.score[::-1][i])
        or together.state[i] != alone[i].state[0]
    ]
    expect(
        not differing,
        "the same grade for an answer alone and among others",
        f"{len(differing)} of {len(rows[0])} are graded otherwise, such as"
        f" {rows[2][differing[0]]!r}"
        if differing
        else "",
        "compute nothing over the batch, and keep nothing between calls",
    )


@check(after=check_grades)
def check_repeatable(subject: PluginSubject) -> None:
    """A new judge gives the same grades."""
    first, second = (grade(subject, _probes()) for _ in range(2))
    differing = int((~_equal(first.score, second.score)).sum())
    expect(
        differing == 0,
        "the same grades by two judges with the same options",
        f"{differing} of {len(first.score)} differ",
        "draw nothing at random: grades are stored, and compared with those of other runs",
    )


@check(after=check_grades)
def check_odd_texts(subject: PluginSubject) -> None:
    """Empty, very long and foreign answers and questions get valid grades."""
    n = len(ODD_TEXTS)
    grade(subject, (["Why?"] * n, ["because"] * n, list(ODD_TEXTS)))
    grade(subject, (list(ODD_TEXTS), ["because"] * n, ["because"] * n))


@check(after=check_grades)
def check_no_reference(subject: PluginSubject) -> None:
    """Answers to a question without a reference (None) are graded or UNGRADED, no error."""
    questions, _, answers = _probes()
    grade(subject, (questions, [None] * len(questions), answers))


@check(after=check_grades)
def check_arguments_unchanged(subject: PluginSubject) -> None:
    """The lists that the hook gets are left as they were."""
    given = _probes()
    before = [list[str | None](part) for part in given]
    judge = subject.new()
    questions, references, answers = given
    hooked(judge, subject.name)(questions=questions, references=references, answers=answers)
    names = ("questions", "references", "answers")
    changed = [n for n, a, b in zip(names, before, given, strict=True) if a != b]
    expect(not changed, "lists without any change", f"changed: {', '.join(changed)}", "copy them")


@check(after=check_init_only_stores)
def check_parameters(subject: PluginSubject) -> None:
    """`parameters()`, where there is one, returns what JSON can hold, by name."""
    judge = subject.new()
    if not isinstance(judge, StatesParameters):
        return
    given = judge.parameters()
    expect(
        is_plain(given),
        "a dict of texts, numbers, lists and dicts",
        f"{given!r}",
        "self.options.model_dump(mode='json') is one",
    )


@check(after=check_grades)
def check_finals(subject: PluginSubject) -> None:
    """`finals`, where there is one, reads one final answer each; equal ones get equal grades."""
    judge = subject.new()
    if not isinstance(judge, ReadsFinals):
        return
    questions, references, answers = _probes()
    finals = list(judge.finals(questions, answers))
    valid = len(finals) == len(answers) and all(isinstance(f, str | None) for f in finals)
    expect(valid, f"{len(answers)} texts or None", f"{len(finals)}: {finals[:3]!r}, …")
    made = grade(subject, (questions, references, answers))
    seen: dict[tuple[str, str], int] = {}
    for place, (question, final) in enumerate(zip(questions, finals, strict=True)):
        if final is None:
            continue
        other = seen.setdefault((question, final), place)
        expect(
            same(made.score[place], made.score[other]),
            "equal scores for answers with one final answer",
            f"{answers[place]!r} and {answers[other]!r} both read as {final!r},"
            f" scores {made.score[place]:g} and {made.score[other]:g}",
        )


def _equal(left: Any, right: Any) -> Any:
    return (left == right) | (np.isnan(left) & np.isnan(right))


CHECKS: tuple[Check, ...] = (
    *SHARED,
    check_hook,
    check_grades,
    check_tells_answers_apart,
    check_each_by_itself,
    check_repeatable,
    check_odd_texts,
    check_no_reference,
    check_arguments_unchanged,
    check_parameters,
    check_finals,
)
