"""A sound router, and routers that each break one rule: `broken` names the check that says so."""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench import Context, Decisions, Queries, Table, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import best
from routebench.records import Floats

CLOCK = SimpleNamespace(seconds=0.0)
"""What the time is, to those who ask; it stands still while nobody moves it on."""


class Sound:
    """Per word the mean score of every model; the quality of a query is the mean of its words."""

    class Options(BaseModel):
        floor: float = Field(0.0, ge=0, le=1, description="quality of a model never seen")

    def __init__(self, options: Any) -> None:
        self.options = options
        self.words: dict[str, list[float]] = {}
        self.prior: list[float] = []

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)

    def learn(self, train: Table) -> None:
        self.prior = self.means(train.outcomes.score)
        texts = [set(text.split()) for text in train.queries.text]
        self.words = {
            word: self.means(train.outcomes.score[[word in text for text in texts]])
            for word in sorted(set[str]().union(*texts))
            if not word.isdigit()  # of one text each
        }

    def means(self, score: Floats) -> list[float]:
        known = np.isfinite(score)
        totals = np.where(known, score, 0.0).sum(axis=0)
        means: list[float] = (totals / np.maximum(known.sum(axis=0), 1)).tolist()
        return means

    def scale(self, factor: float) -> None:
        self.words = {word: [factor * v for v in means] for word, means in self.words.items()}

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return self.decide(queries)

    def decide(self, queries: Queries) -> Decisions:
        quality = np.array([self.predict(text) for text in queries.text])
        return Decisions(best(quality, None), quality=quality)

    def predict(self, text: str) -> Any:
        known = [self.words[word] for word in text.split() if word in self.words]
        return np.mean(known, axis=0) if known else np.array(self.prior)

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"words": self.words, "prior": self.prior})

    def load(self, folder: Path) -> None:
        meta, _ = checkpoint.load(folder)
        self.words, self.prior = meta["words"], meta["prior"]


class RequiredOption(Sound):
    broken = "check_options"

    class Options(BaseModel):
        k: int


class NoOptions(Sound):
    broken = "check_options"
    Options: ClassVar[Any] = None


class ChangesOptions(Sound):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        options.floor = 1.0


class SlowToBuild(Sound):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        CLOCK.seconds += 1.1


class MisnamedHook(Sound):
    broken = "check_hooks"

    @hookimpl
    def train(self, train: Table) -> None:
        pass


class NoRouteHook(Sound):
    broken = "check_hooks"

    def route(self, queries: Queries) -> Decisions:
        return self.decide(queries)


class NoLoad(Sound):
    broken = "check_hooks"
    load: ClassVar[Any] = None


class NeverContent(Sound):
    broken = "check_needs"

    def needs(self, pool: Any, shown: Any, priced: bool) -> str | None:
        return "needs a bigger boat"


class FractionalChoice(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Any:
        return Decisions(np.full(len(queries), 0.5))


class ChoiceOutOfRange(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.full(len(queries), 4))


class NotFinite(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(self.decide(queries).choice, quality=np.full((len(queries), 4), np.nan))


class CrashesInFit(Sound):
    broken = "check_fit_and_route"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        raise ZeroDivisionError("by design")


class SqueezesOneQuery(Sound):
    broken = "check_one_query"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.squeeze(self.decide(queries).choice))


class LooksAtTheBatch(Sound):
    broken = "check_batch_equals_single"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        choice = self.decide(queries).choice
        return Decisions(np.full(len(queries), Counter(choice.tolist()).most_common(1)[0][0]))


class DividesByWords(Sound):
    broken = "check_odd_texts"

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        shares = [1 / len(text.split()) for text in queries.text]
        return Decisions(self.decide(queries).choice, confidence=np.array(shares))


class OnlyKnownTasks(Sound):
    broken = "check_unknown_values"
    tasks = ("arithmetic", "cooking", "geography", "poetry")

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if queries.task is not None:
            _ = [self.tasks.index(task) for task in queries.task]
        return self.decide(queries)


class WantsTasks(Sound):
    broken = "check_text_only"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        assert train.queries.task is not None
        self.learn(train)


class RoutesWithWhatItLearnedFrom(Sound):
    """Takes it that queries have tasks where training had them."""

    broken = "check_tasks_in_training"
    had_tasks = False

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.had_tasks = train.queries.task is not None
        self.learn(train)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if self.had_tasks:
            assert queries.task is not None
        return self.decide(queries)


class WantsPrices(Sound):
    broken = "check_unpriced"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        assert train.outcomes.cost is not None
        self.learn(train)


class WantsWholeScores(Sound):
    broken = "check_real_scores"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        score = train.outcomes.score[train.outcomes.ok]
        if (score != score.round()).any():
            raise ValueError("unknown label type: continuous")
        self.learn(train)


class WantsManyQueries(Sound):
    broken = "check_few_queries"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        np.partition(np.zeros(len(train)), 50)
        self.learn(train)


class WantsTwoClasses(Sound):
    broken = "check_ties"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        if len(np.unique(train.outcomes.score)) < 2:
            raise ValueError("this solver needs samples of at least 2 classes")
        self.learn(train)


class TakesMissingForRight(Sound):
    broken = "check_missing_cells"

    def means(self, score: Floats) -> list[float]:
        return super().means(np.nan_to_num(score, nan=1.0))


class CrashesOnMissing(Sound):
    broken = "check_missing_cells"

    def means(self, score: Floats) -> list[float]:
        if np.isnan(score).any():
            raise ValueError("input contains NaN")
        return super().means(score)


class PerformanceOnly(Sound):
    broken = "check_objective"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        if context.objective.cost:
            raise NotImplementedError("cost")
        self.learn(train)


class WritesIntoScores(Sound):
    broken = "check_tables_unchanged"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        train.outcomes.score[:] = 0


class Unseeded(Sound):
    broken = "check_deterministic"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.default_rng().random())


class GlobalNumpy(Sound):
    broken = "check_global_generators"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.random())  # noqa: NPY002


class GlobalRandom(Sound):
    broken = "check_global_generators"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(random.random())


class SaysItNeedsNoSeed(Sound):
    broken = "check_seed"
    deterministic = True

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.scale(np.random.default_rng(context.seed).random())


class WarmStart(Sound):
    broken = "check_refit"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        before = dict(self.words)
        self.learn(train)
        self.words |= before


class LearnsNothingAgain(Sound):
    broken = "check_cheap_fit"
    cheap_fit = True

    @hookimpl
    def refit(self) -> None:
        """Forget all, as if what is learned again were to be found somewhere."""
        self.words = {}


class ClassState(Sound):
    broken = "check_objects_share_nothing"
    memory: ClassVar[dict[str, Any]] = {}

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.memory.clear()
        self.learn(train)
        self.memory.update(self.words)
        self.words = self.memory


class LastRowWins(Sound):
    broken = "check_row_order"

    def means(self, score: Floats) -> list[float]:
        return [float(v) for v in np.nan_to_num(score[-1])] if len(score) else [0.0] * 4


class FirstMaximumWins(Sound):
    broken = "check_model_order"

    def means(self, score: Floats) -> list[float]:
        winners = np.nan_to_num(score, nan=-1).argmax(axis=1)
        shares: list[float] = (np.bincount(winners, minlength=4) / max(len(score), 1)).tolist()
        return shares


class SavesHalf(Sound):
    broken = "check_save_and_load"

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"words": {}, "prior": self.prior})


class KeepsItInTheWorkFolder(Sound):
    broken = "check_save_and_load"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.place = context.work
        checkpoint.save(context.work, {"words": self.words, "prior": self.prior})

    def save(self, folder: Path) -> None:
        (folder / "where.txt").write_text(str(self.place))

    def load(self, folder: Path) -> None:
        super().load(Path((folder / "where.txt").read_text()))


class UntrainedIfMissing(Sound):
    broken = "check_missing_checkpoint"

    def load(self, folder: Path) -> None:
        if any(folder.iterdir()):
            super().load(folder)


class Pickles(Sound):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        (folder / "state.bin").write_bytes(pickle.dumps([self.words, self.prior]))

    def load(self, folder: Path) -> None:
        self.words, self.prior = pickle.loads((folder / "state.bin").read_bytes())


class PicklesByNumpy(Sound):
    broken = "check_no_pickle"

    def save(self, folder: Path) -> None:
        np.save(folder / "state.npy", np.array([self.words, self.prior], dtype=object))

    def load(self, folder: Path) -> None:
        self.words, self.prior = np.load(folder / "state.npy", allow_pickle=True)


class NamesTheWorkFolder(Sound):
    broken = "check_no_paths"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        self.place = context.work

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "log.json").write_text(json.dumps({"made in": str(self.place)}))


class WritesLogs(Sound):
    broken = "check_writes"

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.learn(train)
        Path("training.log").write_text("done")


BROKEN: list[Any] = [cls for cls in Sound.__subclasses__() if hasattr(cls, "broken")]
