"""Grade stored answers: without the model's name, and none twice by the same judge."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from routebench.files import sha256
from routebench.hookspecs import AnswerTexts, JudgeUsage
from routebench.judge.suite import load_judge
from routebench.plugin import optional, options
from routebench.plugin.extensions import Extensions
from routebench.records import Grade
from routebench.store.entries import StoredAnswer
from routebench.store.store import AnswerStore

Watch = Callable[[int], None]
"""Called with the number of answers judged so far."""
AT_ONCE = 512
"""Answers in a batch of a judge that returns them together."""
ASKED_AT_ONCE = 4096
"""Answers in a batch of a judge that reports each as soon as it is graded."""
WRAPPED_AT_ONCE = 64
"""Answers in a batch of such a judge that an extension wraps: their grades come together, and an
interruption costs those of one batch."""
_CHARACTERS = 1 << 26
"""Most characters in a batch, unless a single answer is longer."""
_NOTES = 5


@dataclass(slots=True)
class Counts:
    """Counts of answers by how grading ended."""

    judge: str
    """The judge's id, under which the store keeps its grades."""
    graded: int = 0
    ungraded: int = 0
    """Answers without a grade, for want of a reference or a reply; tried again next time."""
    grades: dict[str, int] = field(default_factory=dict)
    """Graded answers by grade, of a judge with three states."""
    notes: Counter[str] = field(default_factory=Counter)
    """Why answers stayed without a grade."""
    seconds: float = 0.0
    usage: JudgeUsage | None = None
    """The usage of a judge that asks a model; None for one that asks none."""
    texts: AnswerTexts | None = None
    """Reasoning traces and empty texts that the judge found; None where it counts none."""

    def add(self, mark: Mark) -> None:
        """Count one more answer."""
        if mark.score is None:
            self.ungraded += 1
            self.notes[mark.note or "the judge could not decide"] += 1
            return
        self.graded += 1
        if mark.grade is not None and mark.grade != Grade.NONE:
            self.grades[mark.grade.name] = self.grades.get(mark.grade.name, 0) + 1

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Return the commonest notes with their counts."""
        return self.notes.most_common(_NOTES)


@dataclass(frozen=True, slots=True)
class Mark:
    """The grade of one answer by a judge, as the store keeps it."""

    score: float | None
    """None where it could not decide."""
    grade: Grade | None
    note: str | None


class Judge:
    """A judge plugin with its options, and the id of its grades.

    One that is wrapped by an extension gives its grades together: the wrapper sees them all.
    """

    def __init__(
        self, name: str, values: dict[str, Any], extensions: Extensions | None = None
    ) -> None:
        self.name = name
        self._judge = load_judge(name, values, extensions)
        self.plugin = self._judge.plugin
        self._options = options.validate(type(self.plugin), name, values)
        costs = isinstance(self.plugin, optional.GradesEach)
        self.streams = costs and not self._judge.around
        self.at_once = ASKED_AT_ONCE if self.streams else WRAPPED_AT_ONCE if costs else AT_ONCE
        """Answers in a batch."""

    @property
    def id(self) -> str:
        """Return the name with 8 hex digits over all that a grade depends on besides the texts.

        A judge says what that is in `parameters()`; by default all of its options.
        """
        known = optional.parameters(self.plugin)
        if known is None:
            known = self._options.model_dump(mode="json")
        if around := self._judge.around:
            known = {"judge": known, "around": {n: one.options for n, one in around.items()}}
        text = json.dumps(known, sort_keys=True, default=str)
        return f"{self.name}@{sha256(text.encode())[:8]}"

    @property
    def usage(self) -> JudgeUsage | None:
        """Return the judge's usage so far; None for one that asks no model."""
        return optional.judge_usage(self.plugin)

    @property
    def texts(self) -> AnswerTexts | None:
        """Return the reasoning traces and empty texts found so far; None where none are counted."""
        return optional.answer_texts(self.plugin)

    def mark(
        self,
        texts: Sequence[Sequence[str | None]],
        on_mark: Callable[[int, Mark], None],
        seed: int = 0,
    ) -> None:
        """Call `on_mark` with the index and mark of each answer; the judge sees them shuffled.

        `texts` are questions, references and answers.
        """
        order = np.random.default_rng(seed).permutation(len(texts[0])).tolist()
        shuffled: list[list[Any]] = [[column[at] for at in order] for column in texts]
        if self.streams:
            self.plugin.judge_each(
                *shuffled, lambda at, graded: on_mark(order[at], _mark(*graded[:2]))
            )
            return
        grades = self._judge.grade(*shuffled)
        for at, place in enumerate(order):
            grade = None if grades.grade is None else Grade(grades.grade[at])
            score = float(grades.score[at])
            note = None if grades.note is None else grades.note[at]
            on_mark(place, Mark(None if math.isnan(score) else score, grade, note))


def grade_store(
    store: AnswerStore,
    judge: str | Judge,
    values: dict[str, Any] | None = None,
    watch: Watch | None = None,
    regrade: bool = False,
    *,
    suite: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Counts:
    """Grade the stored answers that a judge has not graded, or with `regrade` all of them.

    What the judge sees is question, reference and answer, in an order that tells nothing of the
    models. Grades are on the disk batch by batch, those of a judge that asks a model one by one:
    after an interruption the same call goes on with the rest. `limit`: this many answers at most.
    """
    hook = judge if isinstance(judge, Judge) else Judge(judge, values or {})
    counts, began = Counts(hook.id, usage=hook.usage, texts=hook.texts), time.perf_counter()
    answers = store.answers(suite) if regrade else store.ungraded(hook.id, suite)
    for number, batch in enumerate(_batches(answers, hook.at_once, limit)):
        marks = _Marks(store, counts, batch, watch)
        columns = [[getattr(one, name) for one in batch] for name in _COLUMNS]
        if hook.streams:  # a grade that was paid for is committed at once
            hook.mark(columns, marks.write, seed + number)
            continue
        by_place: dict[int, Mark] = {}
        hook.mark(columns, by_place.__setitem__, seed + number)
        with store.transaction():  # others wait for the writing only, not for the judge
            for at, mark in by_place.items():
                marks.write(at, mark)
    counts.seconds = time.perf_counter() - began
    return counts


_COLUMNS = ("query", "reference", "response")


@dataclass(slots=True)
class _Marks:
    """Writer of the marks of one batch into the store; it counts them too."""

    store: AnswerStore
    counts: Counts
    batch: list[StoredAnswer]
    watch: Watch | None

    def write(self, at: int, mark: Mark) -> None:
        self.store.grade(self.counts.judge, self.batch[at], mark.score, mark.grade, mark.note)
        self.counts.add(mark)
        if self.watch:
            self.watch(self.counts.graded + self.counts.ungraded)


def _mark(grade: Grade, note: str) -> Mark:
    if grade == Grade.NONE:
        return Mark(None, None, note)
    return Mark(float(grade == Grade.CORRECT), grade, note or None)


def _batches(
    answers: Iterable[StoredAnswer], size: int, limit: int | None
) -> Iterator[list[StoredAnswer]]:
    left = limit
    remaining = iter(answers)
    while left is None or left > 0:
        batch: list[StoredAnswer] = []
        characters = 0
        for one in remaining:
            batch.append(one)
            characters += len(one.response) + len(one.query)
            if len(batch) == size or len(batch) == left or characters > _CHARACTERS:
                break
        if not batch:
            return
        left = None if left is None else left - len(batch)
        yield batch
