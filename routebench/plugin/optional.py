"""Optional members of a plugin, besides its contract: a typed protocol for each.

A plugin that has the member is used so; nothing is inherited or registered. Core reads each of
them here, or by `isinstance`, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import Field, StringConstraints

from routebench.errors import PluginError, did_you_mean
from routebench.hookspecs import AnswerTexts, ChatEndpoint, JudgeUsage, StoredQuestion
from routebench.plugin.budget import Budget
from routebench.records import Grade, Pool, Vectors

Text = Annotated[str, StringConstraints(max_length=10_000)]
Facts = Annotated[
    dict[str, Text | Annotated[int | float, Field(allow_inf_nan=False)]], Field(max_length=100)
]
"""What a router says of itself, as far as it is believed."""


RESOURCES = ("num_cpus", "num_gpus", "memory")


@runtime_checkable
class StatesNeeds(Protocol):
    """A router that cannot take part in every run."""

    def needs(self, pool: Pool, shown: frozenset[str], priced: bool) -> str | None:
        """Return what a run with these models, columns and prices lacks; None for nothing."""


@runtime_checkable
class LearnsFrom(Protocol):
    """A router that needs columns of the training queries, such as `("task",)`.

    It may be without them when it routes: then the run hides them. `needs` is about routing.
    """

    learns_from: Sequence[str]


@runtime_checkable
class StatesFacts(Protocol):
    """A router that states facts about itself for the board, after `fit` and after `route`."""

    def facts(self) -> dict[str, str | float]: ...


@runtime_checkable
class StartsProcesses(Protocol):
    """A router that runs programs of its own, or does with some options: a watched job may not."""

    starts_processes: bool


@runtime_checkable
class NeedsNetwork(Protocol):
    """A router that uses the network, or does with some options: other jobs have none."""

    needs_network: bool


@runtime_checkable
class UsesLibraries(Protocol):
    """A router or encoder that names the libraries it imports, such as `("encoder", "torch")`.

    They are imported once, in the process that jobs are forked from, and only well-known ones:
    `routebench.isolation.forkserver.LIBRARIES`. `encoder` is those of the run's encoder.
    """

    libraries: Sequence[str]


@runtime_checkable
class Deterministic(Protocol):
    """A router whose decisions do not depend on `context.seed`: a run trains it for one seed."""

    deterministic: bool


@runtime_checkable
class IsReference(Protocol):
    """A router that any learned one must beat: the board makes no verdict of it."""

    reference: bool


@runtime_checkable
class CheapFit(Protocol):
    """A router with a `refit` hook whose fit is cheap: `--inner-folds K` trains it 2K + 2 times.

    Its points are then chosen on decisions of K fits over train and validation, each on queries
    that it did not learn from, and the router that is scored learns from all of both.
    """

    cheap_fit: bool


@runtime_checkable
class StatesEffort(Protocol):
    """A router that says how long a job takes: a run starts the longest first.

    It is in seconds on one core at some 2,000 training queries; only the order matters. Once a
    job of the router has ended, what that took counts instead.
    """

    effort: float


@runtime_checkable
class StatesResources(Protocol):
    """A router that says what a job needs, for executors that place jobs on machines.

    Of `num_cpus`, `num_gpus` and `memory` in bytes those that differ from one core. On one machine
    they change nothing.
    """

    resources: Mapping[str, float]


@runtime_checkable
class Personal(Protocol):
    """A router class that learns from `Table.users`, and is asked for each of them."""

    personal: bool


@runtime_checkable
class HasRouteOptions(Protocol):
    """A router class with options that `routebench route --set` may change after training."""

    route_options: Sequence[str]


@runtime_checkable
class KeepsBudget(Protocol):
    """A router that keeps to a budget; `routebench route --budget` sets it, a benchmark never."""

    budget: Budget | None


@runtime_checkable
class StatelessEncoder(Protocol):
    """An encoder class that gives a text one vector everywhere, whatever it was fitted on.

    Texts are encoded once, in processes of their own, and cached by `fingerprint`. Neither `fit`
    nor `save` is called; `dimension` and `fingerprint` are asked of a new object, and `device` is
    set on it before it encodes.
    """

    stateless: bool


@runtime_checkable
class ById(Protocol):
    """A stateless encoder class that knows vectors by query id, and encodes no other text."""

    by_id: bool

    def lookup(self, ids: Sequence[str]) -> Vectors:
        """Return [n, dimension] the queries' vectors; a `DataError` where one is missing."""


@runtime_checkable
class StatesParameters(Protocol):
    """A judge or provider that says what else a grade or an answer depends on.

    Grades and answers are stored under it: never a key, nor anything that changes nothing. By
    default it is all options.
    """

    def parameters(self) -> dict[str, Any]: ...


@runtime_checkable
class GradesEach(Protocol):
    """A judge whose grades cost something: each is stored the moment it is there."""

    def judge_each(
        self,
        questions: Sequence[str],
        references: Sequence[str | None],
        answers: Sequence[str],
        on_grade: Callable[[int, tuple[Grade, str]], None],
    ) -> None:
        """Call `on_grade(place, (grade, note))` for every answer; what it raises ends the work."""


@runtime_checkable
class ReadsFinals(Protocol):
    """A judge that reads final answers without a reference, as it does to grade them.

    Two answers to a question with equal finals get equal grades, as far as it can tell.
    """

    def finals(self, questions: Sequence[str], answers: Sequence[str]) -> Sequence[str | None]:
        """Return a short form of each final answer: a letter, a number, folded words.

        None for an answer that declines, says nothing, or settles on no single one.
        """


@runtime_checkable
class CountsTexts(Protocol):
    """A judge that counts reasoning traces and empty texts among the answers it gets."""

    texts: AnswerTexts


@runtime_checkable
class CountsUsage(Protocol):
    """A judge that asks a model, and counts what that took."""

    usage: JudgeUsage


@runtime_checkable
class ListsQuestions(Protocol):
    """A suite that says what `routebench collect` asks; the queries that it loads, if not."""

    def questions(self) -> Sequence[StoredQuestion] | None: ...


@runtime_checkable
class ListsModels(Protocol):
    """A provider that knows its models, with their prices."""

    def pool(self) -> Pool: ...


@runtime_checkable
class StatesReadiness(Protocol):
    """A provider that says before a collection whether it can be asked at all."""

    def ready(self) -> None:
        """Raise an `OptionError` that says what is missing, such as a key."""


@runtime_checkable
class SpeaksChat(Protocol):
    """A provider whose server speaks OpenAI's protocol: `serve` passes requests through to it."""

    def chat_endpoint(self) -> ChatEndpoint:
        """Return where, and the key; an `OptionError` where the key is missing."""


@runtime_checkable
class QuestionImporter(Protocol):
    """An importer whose files may be questions without answers, which become a CSV."""

    def only_questions(self, paths: Sequence[Path]) -> bool: ...
    def write_questions(self, paths: Sequence[Path], out: Path) -> tuple[int, tuple[str, ...]]:
        """Write the questions to `out`; return how many there are, and notes for the user."""


def unmet_needs(
    router: Any,
    pool: Pool,
    shown: frozenset[str],
    priced: bool,
    training_only: frozenset[str] = frozenset(),
) -> str | None:
    """Return the router's stated needs that a run does not meet."""
    wanted = tuple(router.learns_from) if isinstance(router, LearnsFrom) else ()
    if lost := [name for name in wanted if name not in shown | training_only]:
        column = lost[0]
        return (
            f"needs to know the {column} of training queries: "
            f"a table with a column {column}, and not --{column} hidden"
        )
    if not isinstance(router, StatesNeeds):
        return None
    reason = router.needs(pool, shown, priced)
    return None if reason is None else str(reason)


def facts(router: Any) -> dict[str, str | float]:
    """Return a router's facts about itself, as the board stores them.

    Raises:
        PluginError: for anything but strings and finite numbers by name.
    """
    stated: Any = router.facts() if isinstance(router, StatesFacts) else {}
    if not isinstance(stated, dict) or not all(isinstance(name, str) for name in stated):
        raise PluginError(f"facts returned {type(stated).__name__}, expected values by name")
    for name, value in stated.items():
        if not isinstance(value, str) and not (
            isinstance(value, int | float) and math.isfinite(value)
        ):
            raise PluginError(f"facts: {name} is {value!r}, expected a string or a finite number")
    return stated


def starts_processes(router: Any) -> bool:
    """Return whether a router with its options declares that it runs programs of its own."""
    return isinstance(router, StartsProcesses) and bool(router.starts_processes)


def needs_network(router: Any) -> bool:
    """Return whether the router declares that it uses the network."""
    return isinstance(router, NeedsNetwork) and bool(router.needs_network)


def libraries(router: Any) -> list[str]:
    """Return the libraries that a router with its options says its jobs import.

    Raises:
        PluginError: for a single text, whose letters are no libraries.
    """
    if not isinstance(router, UsesLibraries):
        return []
    if isinstance(router.libraries, str):
        hint = f'libraries = ("{router.libraries}",)'
        raise PluginError(f"{type(router).__name__}.libraries is a text, not names", hint)
    return [str(name) for name in router.libraries]


def is_deterministic(router: Any) -> bool:
    """Return whether a router with its options decides alike whatever its seed."""
    return isinstance(router, Deterministic) and bool(router.deterministic)


def is_reference(router: Any) -> bool:
    """Return whether a router declares that it is there to be compared with."""
    return isinstance(router, IsReference) and bool(router.reference)


def has_cheap_fit(router: Any) -> bool:
    """Return whether a router with its options declares that its fit may be repeated."""
    return isinstance(router, CheapFit) and bool(router.cheap_fit)


def effort(router: Any) -> float | None:
    """Return the seconds that a router says a job takes; None for one that does not say."""
    return float(router.effort) if isinstance(router, StatesEffort) else None


def resources(router: Any) -> dict[str, float]:
    """Return what a router says that a job needs, by name.

    Raises:
        PluginError: for anything but amounts of what an executor knows.
    """
    stated: Any = router.resources if isinstance(router, StatesResources) else {}
    name = type(router).__name__
    if not isinstance(stated, Mapping):
        raise PluginError(f"{name}.resources is {type(stated).__name__}, expected amounts by name")
    for key, value in stated.items():
        if key not in RESOURCES:
            raise PluginError(f"{name}.resources: no {key!r}", did_you_mean(str(key), RESOURCES))
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise PluginError(f"{name}.resources: {key} is {value!r}, expected a number from 0 on")
    return {str(key): float(value) for key, value in stated.items()}


def is_personal(router_class: Any) -> bool:
    """Return whether a router learns from users."""
    return isinstance(router_class, Personal) and bool(router_class.personal)


def route_options(router_class: Any) -> tuple[str, ...]:
    """Return the options that may be changed after training."""
    return tuple(router_class.route_options) if isinstance(router_class, HasRouteOptions) else ()


def is_stateless(encoder_class: Any) -> bool:
    """Return whether an encoder's vectors may be cached."""
    return isinstance(encoder_class, StatelessEncoder) and bool(encoder_class.stateless)


def is_by_id(encoder_class: Any) -> bool:
    """Return whether an encoder knows vectors by query id only.

    Raises:
        PluginError: for one that says so and has no `lookup`.
    """
    if not getattr(encoder_class, "by_id", False):
        return False
    if not isinstance(encoder_class, ById):
        raise PluginError(f"{encoder_class.__name__} is by_id, and has no lookup(ids)")
    return True


def parameters(plugin: Any) -> dict[str, Any] | None:
    """Return the parameters that a judge's or provider's results depend on; None by default."""
    return dict(plugin.parameters()) if isinstance(plugin, StatesParameters) else None


def judge_usage(judge: Any) -> JudgeUsage | None:
    """Return the usage of a judge so far; None for one that asks no model.

    Raises:
        PluginError: for a `usage` of another type.
    """
    if not isinstance(judge, CountsUsage):
        return None
    if not isinstance(judge.usage, JudgeUsage):
        raise PluginError(
            f"{type(judge).__name__}.usage is {type(judge.usage).__name__}",
            "expected routebench.hookspecs.JudgeUsage",
        )
    return judge.usage


def answer_texts(judge: Any) -> AnswerTexts | None:
    """Return what a judge found in the texts so far; None for one that does not count it."""
    found = judge.texts if isinstance(judge, CountsTexts) else None
    return found if isinstance(found, AnswerTexts) else None
