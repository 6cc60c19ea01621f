"""The base of the published routers: vectors and scores in an order that depends on no file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Ints, Mask, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench_routers.pairing import Calibration, calibrate, known_enough


@dataclass(frozen=True)
class Examples:
    """Queries with their outcomes: rows in the order of texts, models in the order of names."""

    texts: list[str]
    vectors: Floats
    """[n, d]"""
    scores: Floats
    """[n, m] NaN where missing."""
    costs: Floats | None
    """[n, m] USD per call, NaN where unknown."""
    rows: Ints
    """[n] the queries' rows in the table."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def known(self) -> Mask:
        """Return [n, m] where there is a score."""
        return np.isfinite(self.scores)

    @property
    def targets(self) -> Floats:
        """Return [n, m] the scores within [0, 1], 0 where missing."""
        return np.clip(np.nan_to_num(self.scores), 0.0, 1.0)

    def best(self) -> Floats:
        """Return [n, m] each query's share of 1 among its best models; zeros where all tie."""
        values = np.where(self.known, self.scores, -np.inf)
        top = self.known & (values >= values.max(axis=1, keepdims=True) - 1e-9)
        top &= (self.known & ~top).any(axis=1, keepdims=True)
        count = top.sum(axis=1, keepdims=True)
        shares: Floats = np.where(top, 1.0 / np.maximum(count, 1), 0.0)
        return shares


class TableRouter(QualityRouter):
    """A router that is built from queries and the models' scores on them.

    `build` learns the state, once for every one of `candidates`, and the candidate with the best
    choices on validation is kept. A model with hardly any known score is not considered.
    """

    columns: Ints
    """The pool's columns of the models considered, in the order of their names."""
    pool_size: int
    chosen: dict[str, float]
    """What was chosen on validation."""

    cheap_fit = True

    @abstractmethod
    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        """Learn the state with what is `chosen`; `held` is None where nothing is chosen any more.

        What it chooses itself, such as an epoch by the loss on `held`, it notes in `chosen`.
        """

    @abstractmethod
    def expected(self, vectors: Floats) -> Floats:
        """Return [n, m] the expected score of every model considered, for vectors [n, d]."""

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        """Return the settings to choose from; of equals, the last one is chosen."""
        return ({},)

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self._consider(train, context)
        examples, held = self._examples(train), self._examples(validation)
        choices = self.candidates(examples)
        reached, kept = -np.inf, dict(choices[-1])
        for number, each in enumerate(choices):
            self.chosen = dict(each)
            self.build(examples, held, context)
            self.learned(held)
            context.progress((number + 1) / (len(choices) + 1), self._described())
            if len(choices) == 1:
                break
            quality = self._spread(self.expected(held.vectors))[np.argsort(held.rows)]
            value = self.chooser.value(quality, validation)
            if value >= reached:
                reached, kept = value, dict(self.chosen)
        if len(choices) > 1 and self.chosen != kept:
            self.chosen = kept
            self.build(examples, held, context)
            self.learned(held)
        context.progress(1.0, self._described())

    def learned(self, held: Examples) -> None:
        """Learn what needs the finished router and validation."""

    def relearn(self, table: Table, context: Context) -> None:
        self._consider(table, context)
        self.build(self._examples(table), None, context)

    def predict(self, queries: Queries) -> Floats:
        return self._spread(self.expected(self._vectors(list(queries.text))))

    def facts(self) -> dict[str, str | float]:
        """Return what was chosen on validation."""
        return dict(self.chosen)

    def _described(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self.chosen.items())

    def _consider(self, train: Table, context: Context) -> None:
        self.pool_size = len(train.pool)
        names = np.array(train.pool.models)
        columns = np.flatnonzero(known_enough(train.outcomes.ok))
        self.columns = columns[np.argsort(names[columns], kind="stable")]

    def _examples(self, table: Table) -> Examples:
        texts = list(table.queries.text)
        rows = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        texts = [texts[row] for row in rows]
        scores = np.where(table.outcomes.ok, table.outcomes.score, np.nan)
        cost = table.outcomes.cost
        take = np.ix_(rows, self.columns)
        return Examples(
            texts, self._vectors(texts), scores[take], None if cost is None else cost[take], rows
        )

    def _vectors(self, texts: list[str]) -> Floats:
        """Return [n, d] what the router reads of the texts; nothing at all by default."""
        return np.zeros((len(texts), 0))

    def _spread(self, values: Floats) -> Floats:
        """Return [n, pool] the values by model of the pool; NaN for models not considered."""
        whole = np.full((len(values), self.pool_size), np.nan)
        whole[:, self.columns] = values
        return whole


class VectorRouter(TableRouter):
    """A router that reads the vectors of the run's encoder."""

    encoder: FittedEncoder

    def _consider(self, train: Table, context: Context) -> None:
        super()._consider(train, context)
        self.encoder = context.encoder

    def _vectors(self, texts: list[str]) -> Floats:
        return np.asarray(self.encoder.encode(texts), dtype=np.float64)


class RankingRouter(TableRouter):
    """A router that ranks the models: the ranking is calibrated to expected scores, in its order.

    The calibration is learned on validation, one slope for all models (see `Calibration`).
    """

    calibration: Calibration

    @abstractmethod
    def ranking(self, vectors: Floats) -> Floats:
        """Return [n, m] a number for every model considered, higher for a better one."""

    def expected(self, vectors: Floats) -> Floats:
        return self.calibration(self.ranking(vectors))

    def learned(self, held: Examples) -> None:
        bounds = held.scores[held.known]
        limits = np.array([bounds.min(), bounds.max()]) if bounds.size else np.zeros(2)
        self.calibration = calibrate(self.ranking(held.vectors), held.scores, None, limits)
