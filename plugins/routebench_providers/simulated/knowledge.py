"""The facts that each simulated model knows, declines, and gets wrong.

How well a model knows a fact is a number: its ability and strengths, less the obscurity of the
fact, less what makes the fact hard for everybody, plus what is this model's alone. Above zero it
knows. The less it knows, the likelier it declines, as far as it is cautious.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from routebench_providers.simulated.draws import normal, uniforms
from routebench_providers.simulated.profiles import Profile, World
from routebench_suites.questions import Question


class Stance(Enum):
    """The kind of an answer: right, wrong, or declined."""

    RIGHT = "right"
    WRONG = "wrong"
    DECLINED = "declined"


class Knowledge:
    """Draws which models know which facts."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._shared = cache(self._of_question)
        self._affinity = cache(self._of_kind)

    def stance(self, model: Profile, question: Question, sample: int) -> tuple[Stance, float]:
        """Return what a model does with a question, and how well it knows the answer."""
        world = self._world
        difficulty, doubt = self._shared(question)
        fixed = uniforms(self._number, "fact", model.name, question.query)
        fleeting = uniforms(self._number, "sample", model.name, question.query, sample)
        known = self._affinity(model, question) - difficulty
        known += world.own * normal(fixed[0]) + world.again * normal(fleeting[0])
        hesitation = model.caution - world.doubt * known + doubt
        hesitation += world.doubt_own * normal(fixed[1])
        hesitation += world.doubt_again * normal(fleeting[1])
        if hesitation > 0:
            return Stance.DECLINED, known
        return (Stance.RIGHT if known > 0 else Stance.WRONG), known

    def _of_question(self, question: Question) -> tuple[float, float]:
        """Return a question's difficulty, and the doubt that it raises, for all models."""
        world = self._world
        drawn = uniforms(self._number, "question", question.query)
        obscurity = question.obscurity or _drawn_obscurity(world, drawn[0])
        group = uniforms(self._number, "group", _group(question))
        difficulty = world.obscurity * (obscurity - 3) + world.kind * normal(group[0])
        difficulty += world.shared * normal(drawn[1])
        return difficulty, world.doubt_shared * normal(drawn[2])

    def _of_kind(self, model: Profile, question: Question) -> float:
        """Return a model's ability for facts of this kind."""
        drawn = uniforms(self._number, "affinity", model.name, _group(question))
        known = model.ability + self._world.kind_own * normal(drawn[0])
        known += dict(model.topics).get(question.topic or "", 0.0)
        return known + dict(model.answer_types).get(question.answer_type or "", 0.0)


def _group(question: Question) -> str:
    """Return the group of facts that are known, or not, for like reasons."""
    return question.kind or f"{question.topic}, {question.answer_type}"


def _drawn_obscurity(world: World, uniform: float) -> int:
    """Return an obscurity of 1 to 5, for a question whose obscurity nobody judged."""
    for obscurity, share in enumerate(world.unjudged, 1):
        uniform -= share
        if uniform < 0:
            return obscurity
    return len(world.unjudged)
