"""One turn of a conversation with a trained router: its choice, the answer, and the comparison."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from routebench.board.steps import live
from routebench.board.trained import TrainedRouter
from routebench.collect.live_answers import LiveAnswers
from routebench.deploy.routing import Routing, as_values
from routebench.errors import OptionError
from routebench.metrics.points.point import MOST_ACCURATE

Message = tuple[str, str]
"""Who spoke, `user` or `assistant`, and the text."""


@dataclass(frozen=True)
class Alternative:
    """What always asking one model would have cost."""

    name: str
    """`always best` or `always dearest`."""
    model: str
    usd: float | None
    exact: bool
    """Whether it is the price of this turn's tokens; else it is the mean of training calls."""


@dataclass(frozen=True)
class Turn:
    """What came of one message."""

    text: str
    values: dict[str, Any]
    """The decision, and where models are asked the answer, as `routebench route --json` prints."""
    usd: float | None
    """What it cost, or where nobody is asked what it is expected to cost; None: unknown."""
    asked: bool
    alternatives: tuple[Alternative, ...]
    rule: str
    """The point and its setting."""

    @property
    def answer(self) -> str | None:
        answer: str | None = self.values.get("answer")
        return answer

    @property
    def why_none(self) -> str:
        """Return why there is no answer."""
        if not self.asked:
            return "nobody is asked: --provider NAME"
        errors = [call["error"] for call in self.values["asked"] if "error" in call]
        return "; ".join(dict.fromkeys(errors)) or "no model gave an answer"


@dataclass
class Conversation:
    """A trained router, and who answers; turns are taken one after the other."""

    trained: TrainedRouter
    models: Sequence[str] = ()
    """Those that it may choose; all where none is named."""
    source: LiveAnswers | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        Routing.of(self.trained, self.models)
        if self.trained.steps and self.source is None:
            raise OptionError(
                f"{self.trained.label} sees answers: it asks models before it decides",
                "--provider NAME asks them, and pays for it",
            )

    @property
    def points(self) -> list[str]:
        """Return the operating points that may be tried."""
        return self.trained.description.points

    @property
    def users(self) -> list[str]:
        """Return the users that the router knows; none for one that knows no users."""
        return sorted(self.trained.description.users) if self.trained.personal else []

    def say(
        self,
        text: str,
        before: Sequence[Message] = (),
        user: str | None = None,
        point: str | None = None,
    ) -> Turn:
        """Route a message, have it answered, and compare what that cost.

        The message alone decides. Models are asked with what was said before.
        """
        if not text.strip():
            raise OptionError("the message is empty")
        trained = self.trained
        if point not in (None, trained.point or MOST_ACCURATE.name):
            trained = trained.at(str(point))
        queries = trained.queries([text], [user or None])
        prompts = [prompt(before, text)]
        with self._turn:
            if trained.steps:
                assert self.source is not None
                (values,) = live.answered(trained, self.source, queries, prompts=prompts)
            else:
                made = Routing.of(trained, self.models).decide(queries)
                values = as_values(trained, made, 0)
                if self.source is not None:
                    values |= live.answered(trained, self.source, queries, made, prompts)[0]
        asked = self.source is not None
        usd = values["usd"] if asked else values.get("expected_usd")
        return Turn(
            text,
            values,
            usd,
            asked,
            tuple(self._alternatives(trained, values)),
            _rule(trained),
        )

    def _alternatives(self, trained: TrainedRouter, values: dict[str, Any]) -> list[Alternative]:
        facts = trained.description.facts
        if facts is None:
            return []
        named = {"always best": facts.best_single, "always dearest": facts.most_expensive}
        answering = [call for call in values.get("asked", []) if call["model"] == values["model"]]
        found = []
        for name, model in named.items():
            if model is None:
                continue
            usd = self._priced(model, answering[0]) if answering else None
            mean = trained.cost.get(model)
            found.append(Alternative(name, model, mean if usd is None else usd, usd is not None))
        return found

    def _priced(self, model: str, call: dict[str, Any]) -> float | None:
        """Return what as many tokens cost at a model's price; None where something is unknown."""
        tokens = call["input_tokens"], call["output_tokens"]
        if self.source is None or None in tokens:
            return None
        usd = self.source.price(model).usd(*tokens)
        return usd if usd == usd else None


def _rule(trained: TrainedRouter) -> str:
    """Return the words for the operating point and its setting."""
    stands_in = trained.setting in trained.models
    return f"{trained.point or 'most-accurate'}: {trained.setting}" + (
        " on every query: the router is not asked" if stands_in else ""
    )


def prompt(before: Sequence[Message], text: str) -> str:
    """Return what a model is asked: the message, after what was said before, if anything.

    >>> prompt([("user", "Hi."), ("assistant", "Hello.")], "Who?")
    'User: Hi.\\n\\nAssistant: Hello.\\n\\nUser: Who?'
    """
    if not before:
        return text
    names = {"user": "User", "assistant": "Assistant"}
    turns = [f"{names.get(who, who)}: {said}" for who, said in before]
    return "\n\n".join([*turns, f"User: {text}"])
