"""Grade answers that came without a score, by the judge hook and without model names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pluggy

from routebench import hookspecs
from routebench.errors import DataError, PluginError
from routebench.plugin import discovery, optional, options
from routebench.plugin.extensions import Extension, Extensions, attributed
from routebench.records import Grade, Grades, State, SuiteData

_REASONS = 3  # named of why answers have no grade


def judge_answers(
    data: SuiteData, name: str, values: dict[str, Any], extensions: Extensions | None = None
) -> SuiteData:
    """Grade the ungraded cells of a suite, as far as their answers are there.

    The judge sees question, reference and answer of one cell at a time, in a seeded order that
    tells nothing of the model. Recorded scores are left as they are. `extensions` may wrap it.
    """
    judge = load_judge(
        name, values, extensions
    )  # first: a wrong name is an error whatever there is to grade
    if data.answers is None:
        raise DataError(f"--judge {name}: this suite has no answers to grade")
    if data.ungraded_repeats:
        raise DataError(
            f"--judge {name}: {data.ungraded_repeats} repeated answers have no score, and a judge"
            " grades only one answer per query and model",
            f"`routebench judge FILE --judge {name}` grades every one of them: in a store, or of a"
            " table with --out NEW.parquet",
        )
    answered = data.answers.is_valid().to_numpy(zero_copy_only=False)
    ungraded = data.outcomes.state == State.UNGRADED
    rows, models = np.nonzero(ungraded & answered.reshape(ungraded.shape))
    if not len(rows):
        note = f"the judge {name} had nothing to grade: the scores that were there stand"
        return replace(data, notes=(*data.notes, note))
    order = np.random.default_rng(0).permutation(len(rows))
    rows, models = rows[order], models[order]
    answers = data.answers.take(rows * len(data.pool) + models).to_pylist()
    references = [None] * len(rows) if data.references is None else data.references[rows].tolist()
    grades = judge.grade(data.queries.text[rows].tolist(), references, answers)
    if judge.around:
        said = f"the judge {name} was wrapped by the extension {', '.join(judge.around)}"
        data = replace(data, notes=(*data.notes, said))
    data = replace(data, notes=(*data.notes, *_found(name, judge.plugin, grades)))
    return _filled(data, rows, models, grades)


def _found(name: str, plugin: Any, grades: Grades) -> list[str]:
    """Return notes on reasoning traces among the answers, and on why some have no grade."""
    found = optional.answer_texts(plugin)
    notes = [f"the judge {name}: {said}"] if found and (said := found.note()) else []
    ungraded = grades.state != State.OK
    if ungraded.any() and grades.note is not None:
        reasons = Counter(str(note) for note in grades.note[ungraded]).most_common(_REASONS)
        why = ", ".join(f"{reason} ({n:,})" for reason, n in reasons)
        notes.append(f"the judge {name} left {ungraded.sum():,} answers without a grade: {why}")
    return notes


@dataclass(frozen=True)
class LoadedJudge:
    """A judge plugin on its hook, and the extensions around it by name."""

    name: str
    plugin: Any
    hook: pluggy.HookCaller
    around: Mapping[str, Extension]

    def grade(
        self, questions: list[str], references: list[str | None], answers: list[str]
    ) -> Grades:
        """Return the grades of answers, checked.

        Raises:
            PluginError: for grades that break the contract, or an extension that fails.
        """
        with attributed(self.hook, self.around):
            made = self.hook(questions=questions, references=references, answers=answers)
        return check_grades(made, " around ".join((*self.around, self.name)), len(answers))


def load_judge(
    name: str, values: dict[str, Any], extensions: Extensions | None = None
) -> LoadedJudge:
    """Return a judge by name, wrapped by the extensions that wrap judges.

    Raises:
        PluginError: for one whose hook is missing or misnamed.
    """
    cls = discovery.load(discovery.find("judge", name))
    plugin = cls(options.validate(cls, name, values))
    around = extensions.around("judge") if extensions else {}
    return LoadedJudge(name, plugin, hooked(plugin, name, around), around)


def hooked(plugin: Any, name: str, around: Mapping[str, Extension] | None = None) -> Any:
    """Return the hook of a judge, called by keyword, with the extensions around it.

    Raises:
        PluginError: for a judge whose hook is missing or misnamed.
    """
    manager = pluggy.PluginManager("routebench")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, "routebench judge")  # a name no extension has
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        text = " ".join(str(error).split())
        raise PluginError(text, "the hook is judge(questions, references, answers)") from error
    if not manager.hook.judge.get_hookimpls():
        raise PluginError(
            f"judge {name!r} has no judge hook", "decorate its method with @routebench.hookimpl"
        )
    for wrapper, one in (around or {}).items():
        manager.register(one.plugin, wrapper)
    return manager.hook.judge


def check_grades(grades: Any, name: str, n: int) -> Grades:
    """Check what a judge plugin returned for n answers, and return it with NaN unless graded."""
    if not isinstance(grades, Grades):
        raise PluginError(f"judge {name!r} returned {type(grades).__name__}, expected Grades")
    score, state = np.asarray(grades.score, dtype=np.float64), np.asarray(grades.state)
    if score.shape != (n,) or state.shape != (n,):
        raise PluginError(f"judge {name!r} returned {score.shape} scores for {n} answers")
    graded = state == State.OK
    if not ((score[graded] >= 0) & (score[graded] <= 1)).all():
        raise PluginError(f"judge {name!r} returned a score outside [0, 1]")
    return replace(grades, score=np.where(graded, score, np.nan), state=state.astype(np.int8))


def _filled(data: SuiteData, rows: Any, models: Any, grades: Grades) -> SuiteData:
    outcomes = data.outcomes
    score, state = outcomes.score.copy(), outcomes.state.copy()
    score[rows, models], state[rows, models] = grades.score, grades.state
    grade, samples = outcomes.grade, outcomes.samples
    if samples is not None:
        samples = samples.copy()
        samples[rows, models, 0] = grades.score
    # Where repeated answers have no common grade there are none at all: see `data.long_table`.
    if grades.grade is not None and (grade is not None or samples is None):
        empty = np.full(score.shape, Grade.NONE, dtype=np.int8)
        grade = empty if grade is None else grade.copy()
        grade[rows, models] = grades.grade
    judged = replace(outcomes, score=score, state=state, grade=grade, samples=samples)
    return replace(data, outcomes=judged)
