"""Sound judges, and ones that each break one rule: `broken` names its check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from broken_options import Stored, of_kind

from routebench import Grades, State, hookimpl


class Judge(Stored):
    @hookimpl
    def judge(self, references: Any, answers: Any) -> Any:
        return self.grades(self.right(references, answers))

    def right(self, references: Any, answers: Any) -> Any:
        pairs = zip(references, answers, strict=True)
        return np.array([float(r is not None and r in a) for r, a in pairs])

    def grades(self, score: Any) -> Any:
        return Grades(score, np.full(len(score), State.OK))


class SeesModels(Judge):
    broken = "check_hook"

    @hookimpl
    def judge(self, references: Any, answers: Any, model: Any) -> Any:
        return self.grades(self.right(references, answers))


class Hookless(Judge):
    broken = "check_hook"
    judge: Any = None


class InPercent(Judge):
    broken = "check_grades"

    def grades(self, score: Any) -> Any:
        return super().grades(score * 100)


class OwnState(Judge):
    broken = "check_grades"

    def grades(self, score: Any) -> Any:
        return Grades(score, np.where(score > 0, State.OK, State.FAILED))


class OneNote(Judge):
    broken = "check_grades"

    def grades(self, score: Any) -> Any:
        return replace(super().grades(score), note=np.array(["so", "it", "is"]))


class Content(Judge):
    broken = "check_tells_answers_apart"

    def right(self, references: Any, answers: Any) -> Any:
        return np.ones(len(answers))


class Rewards(Judge):
    broken = "check_each_by_itself"

    def right(self, references: Any, answers: Any) -> Any:
        found = super().right(references, answers)
        return found / max(1.0, found.sum())


class Moody(Judge):
    broken = "check_repeatable"
    made = 0

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        Moody.made += 1
        self.mood = Moody.made % 2

    def right(self, references: Any, answers: Any) -> Any:
        return np.abs(super().right(references, answers) - self.mood)


class ShortOfBreath(Judge):
    broken = "check_odd_texts"

    def right(self, references: Any, answers: Any) -> Any:
        assert max(map(len, answers)) < 10_000
        return super().right(references, answers)


class NeedsReference(Judge):
    broken = "check_no_reference"

    def right(self, references: Any, answers: Any) -> Any:
        return np.array([float(r in a) for r, a in zip(references, answers, strict=True)])


class Tidies(Judge):
    broken = "check_arguments_unchanged"

    @hookimpl
    def judge(self, references: Any, answers: Any) -> Any:
        answers[:] = [text.lower() for text in answers]
        return self.grades(np.array([len(text) % 2 for text in answers], dtype=float))


class KeepsPath(Judge):
    broken = "check_parameters"

    def parameters(self) -> Any:
        return {"prompt": Path("prompt.txt")}


class OneFinal(Judge):
    broken = "check_finals"

    def finals(self, questions: Any, answers: Any) -> Any:
        return ["so it is"] * len(answers)


JUDGES = [
    *of_kind(Judge), SeesModels, Hookless, InPercent, OwnState, OneNote, Content, Rewards, Moody,
    ShortOfBreath, NeedsReference, Tidies, KeepsPath, OneFinal,
]  # fmt: skip
