"""Sound plugins of each kind, and ones that each break one rule: `broken` names its check."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from routebench import Grades, OptionError, Pool, State, SuiteData, hookimpl
from routebench.data.long_table import from_long
from routebench.hookspecs import ChatEndpoint, StoredQuestion
from routebench.plugin import checkpoint
from routebench.records import Answers, Request

CLOCK = SimpleNamespace(seconds=0.0)
"""What the time is, to those who ask; it stands still while nobody moves it on."""


class Stored:
    broken = ""

    class Options(BaseModel):
        least: int = 1

    def __init__(self, options: Any) -> None:
        self.options = options


class ChangesOptions(Stored):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        options.least = 7
        self.options = options


class Slow(Stored):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        CLOCK.seconds += 2
        self.options = options


class Optionless(Stored):
    broken = "check_options"
    Options: ClassVar[Any] = dict


class Demanding(Stored):
    broken = "check_options"

    class Options(BaseModel):
        needed: int


SHARED = (ChangesOptions, Slow, Optionless, Demanding)


def of_kind(sound: type[Any]) -> list[type[Any]]:
    """Return the faults that every kind may have, as classes of one."""
    return [type(each.__name__, (each, sound), {"broken": each.broken}) for each in SHARED]


# Judges


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


# Suites


class Suite(Stored):
    def load(self) -> Any:
        rows = [
            {"query_id": str(n), "query": f"query {n}?", "model": model, "score": float(n % 2)}
            | {"reference": str(n)}
            for n in range(60)
            for model in ("one", "two")
        ]
        table = pa.Table.from_pylist(rows)
        return self.changed(from_long(table, name="own", source="simulated", place="own"))

    def changed(self, data: SuiteData) -> Any:
        return data


class Rows(Suite):
    broken = "check_load"

    def changed(self, data: SuiteData) -> Any:
        return {"rows": []}


class Sourceless(Suite):
    broken = "check_load"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, source="somewhere")


class ShortReferences(Suite):
    broken = "check_shapes"

    def changed(self, data: SuiteData) -> Any:
        assert data.references is not None
        return replace(data, references=data.references[1:])


class RepeatsIds(Suite):
    broken = "check_ids"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, ids=data.ids[[0, *range(len(data) - 1)]])


class Unsorted(Suite):
    broken = "check_ids"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, text_hash=data.text_hash[::-1])


class Backwards(Suite):
    broken = "check_models"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, pool=replace(data.pool, models=data.pool.models[::-1]))


class Percentages(Suite):
    broken = "check_scores"

    def changed(self, data: SuiteData) -> Any:
        outcomes = replace(data.outcomes, score=data.outcomes.score * 100)
        return replace(data, outcomes=outcomes)


class PaysBack(Suite):
    broken = "check_scores"

    def changed(self, data: SuiteData) -> Any:
        outcomes = replace(data.outcomes, cost=np.full(data.outcomes.score.shape, -1.0))
        return replace(data, outcomes=outcomes)


class Ungraded(Suite):
    broken = "check_gradable"

    def changed(self, data: SuiteData) -> Any:
        shape = data.outcomes.score.shape
        state = np.full(shape, State.UNGRADED, dtype=np.int8)
        outcomes = replace(data.outcomes, score=np.full(shape, np.nan), state=state)
        return replace(data, outcomes=outcomes)


class ShowsTopic(Suite):
    broken = "check_visible"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, visible=frozenset({"topic"}))


class TestOnly(Suite):
    broken = "check_split"
    __test__ = False

    def changed(self, data: SuiteData) -> Any:
        return replace(data, split=np.array(["test"] * len(data), dtype=object))


class Fickle(Suite):
    broken = "check_repeatable"

    def changed(self, data: SuiteData) -> Any:
        drawn = np.random.default_rng().random(data.outcomes.score.shape)
        return replace(data, outcomes=replace(data.outcomes, score=drawn))


class GoneFile(Suite):
    broken = "check_files"

    def changed(self, data: SuiteData) -> Any:
        return replace(data, files=(Path("gone.csv"),))


class BlankPrompts(Suite):
    broken = "check_questions"

    def questions(self) -> Any:
        return [StoredQuestion("1", "why?", " ")]


SUITES = [
    *of_kind(Suite), Rows, Sourceless, ShortReferences, RepeatsIds, Unsorted, Backwards,
    Percentages, PaysBack, Ungraded, ShowsTopic, TestOnly, Fickle, GoneFile, BlankPrompts,
]  # fmt: skip


# Providers


class Provider(Stored):
    models = ("one", "two")

    def pool(self) -> Any:
        return Pool(self.models)

    def answer(self, requests: list[Request]) -> Any:
        texts = tuple(self.text(request) for request in requests)
        return Answers(texts, *(np.array([len(t) / 4 for t in texts]) for _ in range(2)))

    def text(self, request: Request) -> str:
        return f"{request.model}: {request.prompt}"


class Dumb(Stored):
    broken = "check_methods"


class AsksAtOnce(Provider):
    broken = "check_methods"

    def ask(self, request: Request) -> Any:
        return None


class UnsortedPool(Provider):
    broken = "check_pool"
    models = ("two", "one")


class KeepsSet(Provider):
    broken = "check_parameters"

    def parameters(self) -> Any:
        return {"stop": {"."}}


class TellsKey(Provider):
    broken = "check_parameters"

    def parameters(self) -> Any:
        return {"headers": ["Bearer secret-of-mine"]}


class Unready(Provider):
    broken = "check_ready"

    def ready(self) -> Any:
        raise KeyError("MY_KEY")


class Nowhere(Provider):
    broken = "check_chat_endpoint"

    def chat_endpoint(self) -> Any:
        return ChatEndpoint("over there")


class DropsOne(Provider):
    broken = "check_answers"

    def answer(self, requests: list[Request]) -> Any:
        return super().answer(requests[:-1])


class OwesTokens(Provider):
    broken = "check_answers"

    def answer(self, requests: list[Request]) -> Any:
        made = super().answer(requests)
        return replace(made, output_tokens=-made.output_tokens)


class ByModel(Provider):
    broken = "check_order"

    def answer(self, requests: list[Request]) -> Any:
        return super().answer(sorted(requests, key=lambda request: request.model))


class NeedsWords(Provider):
    broken = "check_odd_prompts"

    def text(self, request: Request) -> str:
        return request.prompt.split()[0] + request.model


class Live(Stored):
    """Is called over a network, or says so."""

    def parameters(self) -> Any:
        return {}

    async def ask(self, request: Request) -> Any:
        raise OptionError("no key")

    async def close(self) -> None:
        pass


class Raises(Live):
    broken = "check_ask"

    async def ask(self, request: Request) -> Any:
        raise ConnectionError("reset by peer")


class RepliesText(Live):
    broken = "check_ask"

    async def ask(self, request: Request) -> Any:
        return "Paris"


PROVIDERS = [
    *of_kind(Provider), Dumb, AsksAtOnce, UnsortedPool, KeepsSet, TellsKey, Unready, Nowhere,
    DropsOne, OwesTokens, ByModel, NeedsWords, Raises, RepliesText,
]  # fmt: skip


# Encoders


class Encoder(Stored):
    """How often some letters are in a text, less their mean in the training texts."""

    dimension = 5
    mean = np.zeros(5)

    def fit(self, texts: Any) -> None:
        self.mean = self.counts(texts).mean(axis=0)

    def counts(self, texts: Any) -> Any:
        return np.array([[text.count(c) / (1 + len(text)) for c in "aeiou"] for text in texts])

    @property
    def fingerprint(self) -> Any:
        return hashlib.sha256(self.mean.tobytes()).hexdigest()

    def encode(self, texts: Any) -> Any:
        return self.counts(texts) - self.mean

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {}, {"mean": self.mean})

    def load(self, folder: Path) -> None:
        self.mean = checkpoint.load(folder)[1]["mean"]


class Saveless(Encoder):
    broken = "check_members"
    save: Any = None


class Wider(Encoder):
    broken = "check_encode"
    dimension = 6


class Centres(Encoder):
    broken = "check_each_by_itself"

    def encode(self, texts: Any) -> Any:
        made = super().encode(texts)
        return made - made.mean(axis=0)


class Blind(Encoder):
    broken = "check_tells_texts_apart"

    def counts(self, texts: Any) -> Any:
        return np.ones((len(texts), 5))


class Divides(Encoder):
    broken = "check_odd_texts"

    def counts(self, texts: Any) -> Any:
        return np.array([[text.count(c) / len(text) for c in "aeiou"] for text in texts])


class WantsMany(Encoder):
    broken = "check_few_texts"

    def fit(self, texts: Any) -> None:
        if len(texts) < 10:
            raise ValueError("too few")
        super().fit(texts)


class Noisy(Encoder):
    broken = "check_repeatable"

    def fit(self, texts: Any) -> None:
        super().fit(texts)
        self.noise = np.random.random(5)  # noqa: NPY002

    def encode(self, texts: Any) -> Any:
        return super().encode(texts) + self.noise

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {}, {"mean": self.mean, "noise": self.noise})

    def load(self, folder: Path) -> None:
        state = checkpoint.load(folder)[1]
        self.mean, self.noise = state["mean"], state["noise"]


class Anonymous(Encoder):
    broken = "check_fingerprint"
    fingerprint: Any = "letters"


class Forgets(Encoder):
    broken = "check_save_and_load"

    def load(self, folder: Path) -> None:
        pass


class Pickles(Encoder):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        (folder / "state").write_bytes(pickle.dumps(self.mean))

    def load(self, folder: Path) -> None:
        self.mean = pickle.loads((folder / "state").read_bytes())


ENCODERS = [
    *of_kind(Encoder), Saveless, Wider, Centres, Blind, Divides, WantsMany, Noisy, Anonymous,
    Forgets, Pickles,
]  # fmt: skip

SOUND: dict[Any, list[type[Any]]] = {
    "judge": [Judge], "suite": [Suite], "provider": [Provider, Live], "encoder": [Encoder],
}  # fmt: skip
BROKEN: dict[Any, list[Any]] = {
    "judge": JUDGES, "suite": SUITES, "provider": PROVIDERS, "encoder": ENCODERS,
}  # fmt: skip
