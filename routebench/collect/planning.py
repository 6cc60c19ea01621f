"""The plan of a collection: questions, models and prices."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.collect.budget import most_usd
from routebench.collect.calls import is_live
from routebench.collect.planned_cells import PlannedCells, matched
from routebench.data.texts import encode, normalise
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import default_store
from routebench.hookspecs import StoredQuestion
from routebench.plugin import discovery, options
from routebench.plugin.optional import ListsModels, ListsQuestions, StatesReadiness, parameters
from routebench.prices.apply import ModelPrice, PriceList, own_prices
from routebench.prices.listed import LIST, load_file, of_longer_prompts
from routebench.prices.snapshots import find_price
from routebench.shard import Shard
from routebench.store.entries import Call, canonical

Values = dict[str, dict[str, Any]]
TRAFFIC = "traffic"
"""The suite that a plan's own texts are stored as."""


@dataclass(frozen=True, slots=True)
class TargetModel:
    """One model to be asked."""

    provider: str
    model: str
    plugin: Any
    """The provider, made; shared by its models."""
    parameters: dict[str, Any]
    """All else that an answer depends on."""
    price: ModelPrice
    price_id: str

    @property
    def name(self) -> str:
        return f"{self.provider}:{self.model}"

    @property
    def live(self) -> bool:
        """Return whether the model is asked call by call."""
        return is_live(self.plugin)

    def most_usd(self, prompt: str) -> float:
        """Return the USD that an answer to the prompt costs at most."""
        return most_usd(self.price, prompt, self.parameters)


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """All calls of a collection, made or not."""

    suite: str
    questions: tuple[StoredQuestion, ...]
    targets: tuple[TargetModel, ...]
    samples: int
    store: Path
    available: int = 0
    """Questions that the suite has."""
    prices: Path | None = None
    """The user's price list."""
    only: Mapping[str, frozenset[str]] | None = None
    """The prompts that each target is asked, by its name; by default all."""
    shard: Shard | None = None
    """The part of the questions that this is."""

    def calls(self, target: TargetModel) -> Iterator[Call]:
        """Yield the calls to a model, each prompt once: first the first sample of all of them."""
        known = canonical(target.parameters)
        prompts = dict.fromkeys(question.prompt for question in self.questions)
        if self.only is not None:
            wanted = self.only[target.name]
            prompts = {prompt: None for prompt in prompts if prompt in wanted}
        for sample in range(self.samples):
            for prompt in prompts:
                yield Call.of(target.provider, target.model, known, prompt, sample)


def make(
    suite: str | None,
    models: Sequence[str],
    *,
    data: str | None = None,
    source: str | None = None,
    samples: int = 1,
    limit: int | None = None,
    prices: Path | None = None,
    store: Path | None = None,
    values: Values | None = None,
    judge: str | None = None,
    timeout: float | None = None,
    cells: PlannedCells | None = None,
    shard: Shard | None = None,
) -> CollectionPlan:
    """Load the questions, the providers and the prices; nothing is asked or written.

    Of `cells` exactly those are asked, in their order; without a suite their texts are the prompts.
    `shard`: the part of the questions, which has a store of its own. `timeout`: seconds per call,
    for providers that have an option of that name.

    Raises:
        RoutebenchError: for whatever of it cannot be had; a model without a price is named.
    """
    name, _, behind = (suite or TRAFFIC).partition(":")
    if cells is None and suite is None:
        raise OptionError("whose questions?", "--suite NAME, or --plan FILE")
    if cells is not None and limit is not None:
        raise OptionError("--limit: a plan says what is asked", "--wave N takes its first waves")
    if behind and data:
        raise OptionError(f"--data {data}: the suite names a file too", "give one of them")
    split = [_split(model) for model in dict.fromkeys(models)]
    values = values or {}
    known = [
        *([name] if suite else []),
        *(provider for provider, _ in split),
        *([judge] if judge else []),
    ]
    known += [info.name for info in discovery.installed("extension")] if judge else []
    for each in values:
        if each not in known:
            raise OptionError(f"--set {each}: not part of this", did_you_mean(each, known))
    price_list = load_file(prices) if prices and str(prices) != LIST else None
    made = targets(split, values, price_list, timeout)
    available = (
        []
        if suite is None and cells is not None
        else _available(name, {"data": behind or data, "source": source}, values)
    )
    where = store or default_store(name)
    total = len(available)
    only: dict[str, frozenset[str]] | None = None
    if cells is None:
        sample = _drawn(available, limit)
    else:
        by = planned(cells, available)
        total, sample = len(available) or len(by), tuple(dict.fromkeys(by.values()))
        only = _only(cells, by, made)
    if shard is not None:
        sample = tuple(question for question in sample if _part(question, shard) == shard.index)
        if not sample:
            raise DataError(f"--shard {shard}: has no question: there are {total:,} in all")
        where = where.with_name(f"{where.stem}.{shard.folder}{where.suffix}")
    return CollectionPlan(name, sample, made, samples, where, total, prices, only, shard)


def _available(name: str, given: Mapping[str, str | None], values: Values) -> list[StoredQuestion]:
    named = {key: value for key, value in given.items() if value}
    return questions(name, values.get(name, {}) | named)


def planned(cells: PlannedCells, available: Sequence[StoredQuestion]) -> dict[str, StoredQuestion]:
    """Return the questions of planned cells by the cells' id: a suite's, else the cells' own.

    Raises:
        OptionError: where a suite's questions lack one of them.
    """
    names = ["query_id", "query", "reference", "task"]
    own = {row["query_id"]: row for row in cells.table.select(names).to_pylist()}
    if not available:
        return {
            key: StoredQuestion(key, row["query"], row["query"], row["reference"], row["task"])
            for key, row in own.items()
        }
    by_id = {question.query_id: question for question in available}
    by_text = {normalise(question.query): question for question in available}
    made = {}
    for key, row in own.items():
        text = normalise(row["query"])
        question = by_id.get(key)
        if question is None or normalise(question.query) != text:
            question = by_text.get(text)
        if question is None:
            raise OptionError(
                f"--plan: the suite has no query {key!r} of {cells.name}",
                "without --suite the texts of the plan are asked",
            )
        made[key] = question
    return made


def _only(
    cells: PlannedCells, by: Mapping[str, StoredQuestion], made: Sequence[TargetModel]
) -> dict[str, frozenset[str]]:
    """Return the prompts that each target is asked."""
    names = matched(cells, {target.name: (target.provider, target.model) for target in made})
    asked = cells.by_model()
    return {
        target: frozenset(by[query].prompt for query in asked[model])
        for target, model in names.items()
    }


def targets(
    models: Sequence[tuple[str, str]],
    values: Values,
    prices: PriceList | None = None,
    timeout: float | None = None,
) -> tuple[TargetModel, ...]:
    """Return models by provider and name, ready to be asked; one provider is made once.

    Raises:
        RoutebenchError: for a provider or an option that is not there, or a model without a price.
    """
    plugins = {provider: _provider(provider, values, timeout) for provider, _ in models}
    return tuple(_target(p, m, plugins[p], prices) for p, m in models)


def check_ready(targets: Sequence[TargetModel]) -> None:
    """Raise an `OptionError` where a provider cannot be asked; nothing is asked or written."""
    for plugin in {id(target.plugin): target.plugin for target in targets}.values():
        if isinstance(plugin, StatesReadiness):
            plugin.ready()


def questions(suite: str, values: dict[str, Any]) -> list[StoredQuestion]:
    """Return a suite's questions: those that it lists, or the queries of what it loads."""
    plugin = discovery.load(discovery.find("suite", suite))
    made = plugin(options.validate(plugin, suite, values))
    listed = made.questions() if isinstance(made, ListsQuestions) else None
    if listed is not None:
        return list(listed)
    data = made.load()
    if data.users is not None:
        raise OptionError(f"--suite {suite}: is answered per user, which cannot be collected")

    def column(values: Any, row: int) -> str | None:
        return None if values is None else values[row]

    return [
        StoredQuestion(
            query_id=str(data.ids[row]),
            query=text,
            prompt=text,
            reference=column(data.references, row),
            task=column(data.queries.task, row),
            topic=column(data.queries.topic, row),
            split=column(data.split, row),
        )
        for row, text in enumerate(data.queries.text)
    ]


def _drawn(available: list[StoredQuestion], limit: int | None) -> tuple[StoredQuestion, ...]:
    """Return `limit` questions by their text's hash: a larger sample holds a smaller one."""
    if not available:
        raise DataError("this suite has no questions")
    if limit is None or limit >= len(available):
        return tuple(available)
    order = sorted(available, key=lambda q: hashlib.sha256(encode(normalise(q.query))).digest())
    kept = {question.query_id for question in order[:limit]}
    return tuple(question for question in available if question.query_id in kept)


def _part(question: StoredQuestion, shard: Shard) -> int:
    """Return which shard asks a question: one for equal prompts, which are paid once."""
    digest = hashlib.sha256(encode(question.prompt)).digest()
    return int.from_bytes(digest[:8], "big") % shard.count


def _split(model: str) -> tuple[str, str]:
    provider, colon, name = model.strip().partition(":")
    if not (colon and provider and name):
        known = [info.name for info in discovery.installed("provider")]
        raise OptionError(
            f"--models {model!r}: expected PROVIDER:MODEL", f"providers: {', '.join(known)}"
        )
    return provider, name


def _provider(name: str, values: Values, timeout: float | None) -> Any:
    plugin = discovery.load(discovery.find("provider", name))
    given = values.get(name, {})
    if timeout is not None and "timeout" in plugin.Options.model_fields:
        given = {"timeout": timeout} | given
    return plugin(options.validate(plugin, name, given))


def _target(provider: str, model: str, plugin: Any, prices: PriceList | None) -> TargetModel:
    given = parameters(plugin)
    if given is None:
        given = plugin.options.model_dump(mode="json", exclude_none=True)
    try:
        canonical(given)
    except ValueError as error:  # NaN
        raise OptionError(f"--set {provider}: an option cannot be stored: {error}") from error
    return TargetModel(provider, model, plugin, given, *_price(provider, model, plugin, prices))


def _price(
    provider: str, model: str, plugin: Any, prices: PriceList | None
) -> tuple[ModelPrice, str]:
    """Return the user's price, a snapshot's, or the provider's own, with its id."""
    listed = own_prices(plugin.pool()) if isinstance(plugin, ListsModels) else None
    if listed is not None and model not in listed.models:
        hint = did_you_mean(model, listed.models)
        raise OptionError(f"--models {provider}:{model}: {provider} has no such model", hint)
    try:
        price, place = find_price(provider, model, prices)
        if "@" in place:  # a file's: of which longer prompts cost what the lists say
            price, _ = of_longer_prompts(place, model, price, math.inf)
        return price, place
    except DataError:
        if listed is None:
            raise
    return listed.models[model], f"{provider}@{listed.fingerprint}"
