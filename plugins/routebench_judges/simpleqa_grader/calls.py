"""Make the calls of a grader: one per different answer, repeated where no grade comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from routebench.collect.calls import BATCH, Outcome, ask_all, ask_batch, is_live
from routebench.collect.rate_limits import Limits
from routebench.errors import CallError, RoutebenchError
from routebench.records import Grade, Reply, Request
from routebench.redact import one_line
from routebench_judges.answers.grades import AnswerGrade

OnGrade = Callable[[int, AnswerGrade], None]
"""Called with the index of an answer and its grade, as soon as there is one."""
_EXCERPT = 60  # characters of a reply that could not be read


class Grader(Protocol):
    """The judge that the calls are made for."""

    @property
    def model(self) -> str: ...
    @property
    def limits(self) -> Limits: ...
    def read(self, reply: str) -> Grade | None: ...
    def count(self, outcome: Outcome, unread: bool) -> None: ...


@dataclass
class Grading:
    """The calls of one batch, in rounds: replies that were no grade are asked for again."""

    grader: Grader
    provider: Any
    places: dict[str, list[int]]
    on_grade: OnGrade
    settled: set[str] = field(default_factory=set)

    def run(self) -> None:
        if is_live(self.provider):
            asyncio.run(self._live())
        else:
            self._batches()
        self._give_up(CallError("rejected", "the grader was not asked"))

    async def _live(self) -> None:
        limits, fast = self.grader.limits, _FailFast(self.provider)
        try:
            for attempt in range(limits.attempts):
                requests = self._requests(attempt)
                await ask_all(
                    fast, requests, limits=limits, on_reply=self._receive, on_failure=self._receive
                )
        except CallError as error:
            self._give_up(error)
        finally:
            await self.provider.close()

    def _batches(self) -> None:
        try:
            for attempt in range(self.grader.limits.attempts):
                requests = self._requests(attempt)
                for start in range(0, len(requests), BATCH):
                    for outcome in ask_batch(self.provider, requests[start : start + BATCH]):
                        self._receive(outcome)
        except CallError as error:
            self._give_up(error)

    def _requests(self, attempt: int) -> list[Request]:
        return [
            Request(self.grader.model, prompt, attempt)
            for prompt in self.places
            if prompt not in self.settled
        ]

    def _receive(self, outcome: Outcome) -> None:
        prompt, reply = outcome.request.prompt, outcome.result
        if isinstance(reply, CallError):
            self.grader.count(outcome, False)
            self._settle(prompt, _no_grade(one_line(reply.message, 200)))
            return
        grade = self.grader.read(reply.text)
        self.grader.count(outcome, grade is None)
        if grade is not None:
            self._settle(prompt, AnswerGrade(grade, ""))
        elif outcome.request.sample + 1 >= self.grader.limits.attempts:
            self._settle(prompt, _no_grade(_describe_reply(reply)))

    def _settle(self, prompt: str, grade: AnswerGrade) -> None:
        self.settled.add(prompt)
        for place in self.places[prompt]:
            self.on_grade(place, grade)

    def _give_up(self, error: CallError) -> None:
        """Report what is left as ungraded, since the grader does not answer any more."""
        for prompt in self.places:
            if prompt not in self.settled:
                self._settle(prompt, _no_grade(one_line(error.message, 200)))


@dataclass
class _FailFast:
    """A provider whose own errors, such as a missing key, end the calls at once."""

    provider: Any

    def parameters(self) -> dict[str, Any]:
        return dict(self.provider.parameters())

    async def ask(self, request: Request) -> Reply:
        try:
            reply: Reply = await self.provider.ask(request)
        except CallError:
            raise
        except RoutebenchError as error:
            raise CallError("denied", error.message, error.hint) from error
        return reply

    async def close(self) -> None:
        await self.provider.close()


def _no_grade(reason: str) -> AnswerGrade:
    return AnswerGrade(Grade.NONE, f"no grade: {reason}")


def _describe_reply(reply: Reply) -> str:
    how = {"length": " (cut short)", "refused": " (refused)"}.get(reply.finish, "")
    return f"the grader said {one_line(reply.text, _EXCERPT)!r}{how}"
