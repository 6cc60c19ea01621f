"""What a judge says of one answer: a grade and the reason for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from routebench.records import Grade, Grades, State


class AnswerGrade(NamedTuple):
    """A grade and the reason in a few words."""

    grade: Grade
    note: str
    missed: bool = False
    """The right answer is not there; perhaps none was attempted."""


def to_grades(answer_grades: Sequence[AnswerGrade]) -> Grades:
    """Verdicts as a judge returns them; those without a grade are ungraded."""
    grade = np.array([int(one.grade) for one in answer_grades], dtype=np.int8)
    known = grade != Grade.NONE
    note = np.empty(len(answer_grades), dtype=object)
    note[:] = [one.note for one in answer_grades]
    return Grades(
        np.where(known, (grade == Grade.CORRECT).astype(np.float64), np.nan),
        np.where(known, State.OK, State.UNGRADED).astype(np.int8),
        grade,
        note,
    )
