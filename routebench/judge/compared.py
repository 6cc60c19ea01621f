"""Compare two judges on the same rows: their agreement, and answers on which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.data.columns import TableColumns, objects
from routebench.judge.agreement import RIGHT, STATES, Agreement, ModelAgreement, agreement, by_model
from routebench.records import Codes, Floats, Grade, Ints, Mask, Strings

RECORDED = "recorded"
_GRADES = {grade.name: int(grade) for grade in Grade if grade != Grade.NONE}


@dataclass(frozen=True, slots=True)
class Graded:
    """The grades of one judge on n answers."""

    name: str
    score: Floats
    """[n] NaN without a grade."""
    grade: Codes
    """[n] `Grade.NONE` where there is a score only, or nothing."""
    note: Sequence[str | None] | None = None

    @property
    def known(self) -> Mask:
        mask: Mask = ~np.isnan(self.score)
        return mask


@dataclass(frozen=True, slots=True)
class Example:
    """An answer that two judges grade differently."""

    model: str
    question: str
    reference: str | None
    answer: str
    first: str
    second: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The agreement of two judges on the same answers."""

    first: str
    second: str
    overall: Agreement
    models: list[ModelAgreement]
    examples: list[Example]
    left_out: int
    """Answers that only one of them has graded, or to which one gave a part of the score."""


def recorded(rows: TableColumns) -> Graded | None:
    """Read the grades and scores of a table; None where it has neither column."""
    n = rows.table.num_rows
    grade = np.full(n, -1)
    if "grade" in rows:
        grade = rows.choice("grade", _GRADES)
    elif "score" not in rows:
        return None
    score = rows.number("score")[0] if "score" in rows else np.full(n, np.nan)
    score = np.where(np.isnan(score) & (grade >= 0), grade == Grade.CORRECT, score)
    return Graded(RECORDED, score.astype(np.float64), grade.astype(np.int8))


def compared(
    rows: TableColumns, texts: list[list[Any]], old: Graded, new: Graded, show: int
) -> tuple[Compared | None, str]:
    """Compare two judges on the rows of a table, with `show` examples of disagreement.

    `texts` are questions, references and answers. Where no answer is graded by both, the result
    is None with the reason.
    """
    both = old.known & new.known
    three = (old.grade[old.known] >= 0).all() and (new.grade[new.known] >= 0).all()
    if three:
        labels, one, other = STATES, old.grade, new.grade
    else:  # partial scores are neither right nor wrong
        labels = RIGHT
        one, other = ((graded.score != 1).astype(np.int8) for graded in (old, new))
        both &= np.isin(old.score, (0, 1)) & np.isin(new.score, (0, 1))
    at = np.flatnonzero(both)
    if not len(at):
        return None, "no answer is graded by both"
    questions: Ints = rows.coded("query_id").codes[at]
    models = objects(rows.text("model").to_pylist())[at]
    return (
        Compared(
            old.name,
            new.name,
            agreement(one[at], other[at], labels, questions),
            by_model(models, one[at], other[at], questions),
            _examples(at[one[at] != other[at]], labels, one, other, rows, texts, new, show),
            int((old.known | new.known).sum() - len(at)),
        ),
        "",
    )


def _examples(
    differ: Ints,
    labels: tuple[str, ...],
    one: Codes,
    other: Codes,
    rows: TableColumns,
    texts: list[list[Any]],
    new: Graded,
    show: int,
) -> list[Example]:
    """Return a random sample of disagreements."""
    models: Strings = objects(rows.text("model").to_pylist())
    chosen = np.random.default_rng(0).permutation(differ)[:show].tolist()
    questions, references, answers = texts
    return [
        Example(
            models[at],
            questions[at],
            references[at],
            answers[at],
            labels[one[at]],
            labels[other[at]],
            new.note[at] if new.note else None,
        )
        for at in chosen
    ]
