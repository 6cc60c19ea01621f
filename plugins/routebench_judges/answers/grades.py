"""The grade of one answer with the reason for it, and the record of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from routebench.records import Grade, Grades, State


class AnswerGrade(NamedTuple):
    """The grade of one answer, and the reason in a few words."""

    grade: Grade
    note: str
    missed: bool = False
    """Whether the right answer is absent: the answer may then be a refusal."""


def to_grades(answer_grades: Sequence[AnswerGrade]) -> Grades:
    """Return grades as the record of a judge: score 1 or 0, ungraded for `Grade.NONE`."""
    grade = np.array([int(one.grade) for one in answer_grades], dtype=np.int8)
    known = grade != Grade.NONE
    # Filled in place: np.array would make strings of fixed width of them.
    note = np.empty(len(answer_grades), dtype=object)
    note[:] = [one.note for one in answer_grades]
    return Grades(
        np.where(known, (grade == Grade.CORRECT).astype(np.float64), np.nan),
        np.where(known, State.OK, State.UNGRADED).astype(np.int8),
        grade,
        note,
    )
