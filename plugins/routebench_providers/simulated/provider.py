"""A simulated pool: six invented models that know some facts, mistake others and decline the rest.

They answer in words, to be graded like anybody's answers. Whatever they say is a hash of world,
model, question and sample, so that it is the same in any order and in any batch. `models.toml`
describes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from routebench.data.texts import normalise
from routebench.errors import OptionError, did_you_mean
from routebench.records import Answers, Pool, Request
from routebench_providers.simulated import wording
from routebench_providers.simulated.draws import normal, uniforms
from routebench_providers.simulated.knowledge import Knowledge, Stance
from routebench_providers.simulated.profiles import Profile, setup
from routebench_providers.simulated.values import Values
from routebench_suites.questions import EMBEDDED, Question, read_questions

__all__ = ["Simulated", "Stance"]

_CHARACTERS = 4  # in a token, about
_SKEW = 1.7  # the larger, the oftener models that are wrong say the same


class Simulated:
    """Six invented models that answer short factual questions; no model is asked anything."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        facts: Path | None = Field(
            default=None,
            description="questions with their right answers, of which the models know more or"
            " less; the embedded ones by default",
        )
        world: int = Field(default=0, description="another number: another draw of who knows what")

    def __init__(self, options: Options) -> None:
        self.options = options

    def pool(self) -> Pool:
        """Return the models in name order, with list prices."""
        return setup().pool()

    def answer(self, requests: Sequence[Request]) -> Answers:
        """Return the models' answers; a prompt that is none of the facts is declined.

        Raises:
            OptionError: for a model that is not in the pool.
        """
        texts, used, seconds = [], [], []
        for request in requests:
            model = self._model(request.model)
            text = self._text(model, request)
            tokens, latency = _usage(model, request, text)
            texts.append(text)
            used.append((_tokens(request.prompt) + setup().world.prompt_overhead, tokens))
            seconds.append(latency)
        counts = np.array(used, dtype=np.float64).reshape(-1, 2)
        return Answers(tuple(texts), counts[:, 0].copy(), counts[:, 1].copy(), np.array(seconds))

    def stance(self, request: Request) -> Stance:
        """Return what the answer to a request is meant to be, whatever a judge says."""
        model = self._model(request.model)
        question = self._facts.get(normalise(request.prompt))
        return self._stance(model, question, request.sample)[0] if question else Stance.DECLINED

    def wrong_values(self, prompt: str) -> tuple[str, ...]:
        """Return the wrong answers that models may give to a question; none for an unknown one."""
        question = self._facts.get(normalise(prompt))
        return self._values.wrong(question) if question else ()

    def _model(self, name: str) -> Profile:
        if (model := self._models.get(name)) is None:
            raise OptionError(
                f"model: there is no simulated model {name!r}", did_you_mean(name, self._models)
            )
        return model

    def _text(self, model: Profile, request: Request) -> str:
        question = self._facts.get(normalise(request.prompt))
        if question is None:
            return wording.refusal(model, request.prompt, self._key(request))
        key = self._key(request)
        stance, known = self._stance(model, question, request.sample)
        if stance is Stance.DECLINED:
            return wording.refusal(model, question.query, key, wording.is_symbol(question))
        if stance is Stance.RIGHT:
            value = wording.right_value(question, model, key)
        else:
            value = self._mistake(model, question, request.sample)
        return wording.answer(model, question, value, 1 / (1 + math.exp(-known)), key)

    def _stance(self, model: Profile, question: Question, sample: int) -> tuple[Stance, float]:
        stance, known = self._knowledge.stance(model, question, sample)
        if stance is Stance.WRONG and not self._values.wrong(question):
            return Stance.DECLINED, known  # nothing else is known that could be said
        return stance, known

    def _mistake(self, model: Profile, question: Question, sample: int) -> str:
        """Return a wrong value: models that are wrong are often wrong alike."""
        values = self._values.wrong(question)
        drawn = uniforms(self.options.world, "mistake", model.name, question.query)
        again = uniforms(self.options.world, "mistake", model.name, question.query, sample)
        place = drawn[0] if again[0] < 0.7 else again[1]
        return values[int(len(values) * place**_SKEW)]

    def _key(self, request: Request) -> str:
        return f"{self.options.world}:{request.sample}"

    @cached_property
    def _models(self) -> dict[str, Profile]:
        return {model.name: model for model in setup().models}

    @cached_property
    def _facts(self) -> dict[str, Question]:
        questions = read_questions(self.options.facts or EMBEDDED)
        facts: dict[str, Question] = {}
        for question in questions:
            facts.setdefault(normalise(question.query), question)
        return facts

    @cached_property
    def _values(self) -> Values:
        return Values(list(self._facts.values()), self.options.world)

    @cached_property
    def _knowledge(self) -> Knowledge:
        return Knowledge(setup().world, self.options.world)


def _tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS)


def _usage(model: Profile, request: Request, text: str) -> tuple[int, float]:
    """Return output tokens, hidden reasoning included, and seconds."""
    drawn = uniforms("usage", model.name, request.prompt, request.sample)
    reasoning = round(model.reasoning * math.exp(0.5 * normal(drawn[0]) - 0.125))
    tokens = _tokens(text) + reasoning
    waited = model.first_token * math.exp(0.3 * normal(drawn[1]))
    speed = model.tokens_per_second * math.exp(0.15 * normal(drawn[2]))
    return tokens, waited + tokens / speed
