"""The `simpleqa-grader` judge: asks a language model for three-state grades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from routebench.collect.calls import Outcome
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError, DataError
from routebench.hookspecs import JudgeUsage, hookimpl
from routebench.plugin import discovery, optional, options
from routebench.prices.listed import load_file
from routebench.prices.lists import ModelPrice
from routebench.prices.snapshots import find_price
from routebench.records import Grade, Grades
from routebench_judges.answers.final_phrase import final_phrase
from routebench_judges.answers.grades import AnswerGrade, to_grades
from routebench_judges.answers.traces import FinalAnswers, Trace, final_answer, tidied
from routebench_judges.simpleqa_grader import prompt, replies
from routebench_judges.simpleqa_grader.calls import Grading, OnGrade

_VERSION = 2  # of what is read of an answer


class SimpleQAGrader:
    """CORRECT, INCORRECT or NOT_ATTEMPTED by a model that sees one answer at a time, blind.

    A reply that is no grade is asked for again, and then the answer is ungraded, as it is where
    no reply comes. `usage` counts tokens and USD.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

        model: str = Field(description="provider:model, such as gemini:gemini-2.5-flash")
        mode: Literal["strict", "paper"] = Field(
            "strict",
            description="strict: the whole reply must be a grade; paper: the published parser",
        )
        attempts: int = Field(
            3, ge=1, description="how often the grader is asked where no grade comes"
        )
        timeout: float = Field(60.0, gt=0, description="seconds to wait for a reply")
        concurrency: int | Literal["auto"] = Field("auto", description="calls at a time")
        provider_options: dict[str, Any] = Field(
            {}, description="the provider's own, as a table: {temperature = 0}"
        )
        prices: Path | None = Field(
            None, description="price list for a model that the package has no price of"
        )

        @field_validator("model")
        @classmethod
        def _named(cls, value: str) -> str:
            provider, colon, model = value.partition(":")
            if not (provider.strip() and colon and model.strip()):
                raise ValueError("expected provider:model")
            return value

    def __init__(self, options: Options) -> None:
        self.options = options
        self.usage = JudgeUsage()
        self._finals = FinalAnswers()
        self.texts = self._finals.counts

    def parameters(self) -> dict[str, Any]:
        """Return all that a grade depends on besides the texts."""
        given = optional.parameters(self._provider)
        if given is None:
            given = self.options.provider_options
        chosen = {"model": self.options.model, "mode": self.options.mode}
        return chosen | {"provider": given, "prompt": prompt.version(), "version": _VERSION}

    @hookimpl
    def judge(
        self, questions: Sequence[str], references: Sequence[str | None], answers: Sequence[str]
    ) -> Grades:
        answer_grades = [AnswerGrade(Grade.NONE, "not asked")] * len(answers)
        self.judge_each(questions, references, answers, answer_grades.__setitem__)
        return to_grades(answer_grades)

    def finals(self, questions: Sequence[str], answers: Sequence[str]) -> list[str | None]:
        """Return the words of each short final answer, read without asking the model."""
        read = map(final_answer, answers)
        return [
            final_phrase(tidied(question), final.text) if final.text else None
            for question, final in zip(questions, read, strict=True)
        ]

    def judge_each(
        self,
        questions: Sequence[str],
        references: Sequence[str | None],
        answers: Sequence[str],
        on_grade: OnGrade,
    ) -> None:
        """Grade answers like `judge`, calling `on_grade` with each grade when it is there.

        Equal answers to a question are one call. An exception of `on_grade` ends the grading.

        Raises:
            OptionError: where the provider cannot be used at all.
        """
        places: dict[str, list[int]] = {}
        finals = self._finals.read(answers)
        for place, texts in enumerate(zip(questions, references, answers, finals, strict=True)):
            question, reference, answer, final = texts
            if reference is None or not reference.strip():
                on_grade(place, AnswerGrade(Grade.NONE, "no reference"))
            elif final.reason:
                on_grade(place, AnswerGrade(Grade.NOT_ATTEMPTED, final.reason))
            else:
                shown = answer if final.trace == Trace.NONE else final.text
                places.setdefault(prompt.prompt(question, reference, shown), []).append(place)
        if places:
            self._provider, self._price  # noqa: B018  before anything is paid
            Grading(self, self._provider, places, on_grade).run()

    def read(self, reply: str) -> Grade | None:
        """Return the grade that a reply is; None where it is none."""
        return replies.paper(reply) if self.options.mode == "paper" else replies.strict(reply)

    def count(self, outcome: Outcome, unread: bool) -> None:
        """Add one call to the usage."""
        usage, reply = self.usage, outcome.result
        usage.doubtful += outcome.doubtful
        if isinstance(reply, CallError):
            usage.failed += 1
            return
        usage.calls += 1
        usage.unread += unread
        usage.input_tokens += np.nan_to_num(reply.input_tokens)
        usage.output_tokens += np.nan_to_num(reply.output_tokens)
        price, usage.price = self._price
        cost = math.nan
        if price is not None:
            cost = price.usd(
                reply.input_tokens, reply.output_tokens, reply.cached_tokens, reply.thinking_tokens
            )
        usage.unpriced += math.isnan(cost)
        usage.usd += np.nan_to_num(cost)

    @property
    def model(self) -> str:
        """Return the model as its provider names it."""
        return self.options.model.partition(":")[2]

    @property
    def limits(self) -> Limits:
        chosen = self.options
        most = None if chosen.concurrency == "auto" else chosen.concurrency
        return Limits(concurrency=most, timeout=chosen.timeout, attempts=chosen.attempts)

    @cached_property
    def _provider(self) -> Any:
        name = self.options.model.partition(":")[0]
        plugin = discovery.load(discovery.find("provider", name))
        return plugin(options.validate(plugin, name, self.options.provider_options))

    @cached_property
    def _price(self) -> tuple[ModelPrice | None, str]:
        name = self.options.model.partition(":")[0]
        prices = load_file(self.options.prices) if self.options.prices else None
        try:
            return find_price(name, self.model, prices)
        except DataError as error:
            if prices is not None:
                raise
            return None, error.message
