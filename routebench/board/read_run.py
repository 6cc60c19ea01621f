"""Read a run folder back, offline: the decision on every test query, its score and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from routebench.board import run_folder
from routebench.board.asked_lists import STEPS
from routebench.board.assemble import routing_cost, tested_rows
from routebench.board.online.read import StoredPlay, read_online
from routebench.board.online_table import FILE as ONLINE
from routebench.board.read_decisions import JobDecisions, Key, by_seed, read_decisions
from routebench.board.read_scores import Expected, read_scores
from routebench.board.read_tables import read_suite, read_table, text
from routebench.board.steps.tables import read_step_table
from routebench.board.write_tables import TEXTS
from routebench.data.splits import TEST
from routebench.data.users import valued
from routebench.errors import DataError, did_you_mean
from routebench.files import file_sha256
from routebench.jobs.finished import TradeOffs
from routebench.jobs.setup import Setup
from routebench.metrics.points.sweep import decide
from routebench.prices.apply import costs, cover
from routebench.prices.lists import PriceList, load_prices
from routebench.records import Codes, Floats, Ints, Mask, Outcomes, Strings
from routebench.schema import Leaderboard

PRICES = "prices.toml"


@dataclass(frozen=True)
class Stored:
    """One run's board with its tables; n test queries (asked by each user, where there are)."""

    folder: Path
    board: Leaderboard
    setup: Setup
    """Suite and split as far as they are stored: without texts, references and answers."""
    decisions: dict[Key, JobDecisions]
    prices: PriceList | None
    """The snapshot that the costs were made from; None where they were recorded."""
    tokens: tuple[Floats, Floats] | None
    """Prompt and answer tokens of the suite's cells, as far as costs were made from them."""
    assumed: Mask | None = None
    """The suite's cells whose answers have an assumed length; None for none such."""
    played: dict[tuple[str, int], StoredPlay] = field(default_factory=dict)
    """What is known of routers by seed in an online run, besides their decisions."""

    @property
    def models(self) -> tuple[str, ...]:
        return self.setup.data.pool.models

    @property
    def routers(self) -> list[str]:
        """Names of the rows that ended well, in the board's order."""
        return [row.router for row in self.board.rows if row.state == "ok"]

    @cached_property
    def rows(self) -> Ints:
        """Return the row [n] of each test query in the suite; folds one after the other."""
        return np.concatenate([tested_rows(self.setup, fold) for fold in self._folds])

    @cached_property
    def folds(self) -> Ints:
        """Return the fold [n] that tests each query."""
        sizes = [len(tested_rows(self.setup, fold)) for fold in self._folds]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def keys(self) -> Strings:
        """Return the key [n] of each query."""
        return self.setup.data.keys[self.rows]

    @cached_property
    def texts(self) -> Strings | None:
        """Return the text [n] of each query; None where the run folder keeps none.

        Raises:
            DataError: there are texts of some queries alone.
        """
        if TEXTS not in self.board.files:
            return None
        table = read_table(self.folder / TEXTS, ("query", "text"))
        row = text(table, "query", TEXTS).into(self.setup.data.keys, TEXTS)
        all_texts = np.full(len(self.setup.data.keys), None, dtype=object)
        all_texts[row] = table.column("text").to_pylist()
        made: Strings = all_texts[self.rows]
        if any(one is None for one in made):
            raise DataError(f"{self.folder / TEXTS}: a query of the test part has no text")
        return made

    @cached_property
    def users(self) -> Strings | None:
        """Return [n] the asking users, or None without users; with `keys` this identifies a row."""
        users = self.setup.data.users
        if users is None:
            return None
        named: Strings = users.name[self._user]
        return named

    @cached_property
    def clusters(self) -> Ints:
        """Return a code [n] that rows of one text share: they are resampled together."""
        _, clusters = np.unique(self.setup.data.text_hash[self.rows], return_inverse=True)
        return clusters

    @cached_property
    def outcomes(self) -> Outcomes:
        """Return the outcomes [n, m]; the score is the reward where the board ranks by that."""
        data = self.setup.data
        outcomes = data.outcomes.take(self.rows)
        if data.users is None:
            return outcomes
        return valued(outcomes, data.users.preference[self._user])

    def choices(self, router: str) -> Ints:
        """Return the chosen models [S, n], as indices, by seed."""
        made: Ints = self._table(router, lambda fold, job: job.decisions.choice)
        return made

    def router_cost(self, router: str) -> Floats | None:
        """Return USD [S, n] spent on routing, NaN where unknown; None for one without calls."""
        known = [job.decisions.usage for key, job in self.decisions.items() if key[0] == router]
        if not any(known):
            return None
        made: Floats = self._table(router, lambda fold, job: routing_cost(job.decisions))
        return made

    def asked(self, router: str, point: str | None = None) -> Codes | None:
        """Return [S, n, m] the round in which a router that sees answers asked each model.

        0 where it did not; None for a router that asks whom it chooses. At an operating point
        in place of its own choice a model that stands in is all that is asked.
        """
        jobs = [job for key, job in self.decisions.items() if key[0] == router]
        if any(job.decisions.asked is None for job in jobs):
            return None
        made: Codes = self._table(router, lambda fold, job: job.decisions.asked)
        row = next(row for row in self.board.rows if row.router == router)
        lambdas = [] if point is None else row.points[point].lambdas
        if point is None or not lambdas:
            return made
        at_point, fixed = np.zeros_like(made), self.choices_at(router, point)
        for number, seed in enumerate(row.seeds):
            for fold in self._folds:
                slope = lambdas[number * len(self._folds) + fold]
                if (trade_offs := self.trade_offs.get((router, seed, fold))) and slope is not None:
                    step = trade_offs.lambdas.index(slope)
                    at_point[number, self.folds == fold] = trade_offs.test.asked[:, step]
        one = np.zeros_like(made)
        np.put_along_axis(one, fixed[0][..., None], 1, axis=-1)
        return np.where(fixed[1][..., None], one, at_point)

    @cached_property
    def trade_offs(self) -> dict[Key, TradeOffs]:
        """Return the decisions of routers that see answers at every trade-off, by job."""
        if STEPS not in self.board.files:
            return {}
        return read_step_table(self.folder, self.setup)

    def seeds(self, router: str) -> list[int]:
        """Return the seeds of a router's jobs, in the order of its choices."""
        return sorted({seed for label, seed, _ in self.decisions if label == router})

    def repriced(self, prices: PriceList) -> Stored:
        """Return the same run at other prices, from the tokens that its costs were made from.

        The board stays as it was made, and so does what routers spent themselves.

        Raises:
            DataError: an answer has no tokens, or a model of the pool no price.
        """
        cost = self.cost_at(prices)
        given = self.setup.data.outcomes
        answered = given.ok if given.cost is None else ~np.isnan(given.cost)
        lost = answered if cost is None else answered & np.isnan(cost)
        if cost is None or lost.any():
            raise DataError(
                f"{self.folder}: cannot be re-priced: no tokens are recorded of "
                f"{int(lost.sum()):,} of {int(answered.sum()):,} answers",
                "run it again with --prices",
            )
        outcomes = replace(given, cost=np.where(answered, cost, np.nan))
        data = replace(self.setup.data, outcomes=outcomes)
        return replace(self, setup=replace(self.setup, data=data), prices=prices)

    @cached_property
    def expected(self) -> Expected:
        """Return the quality that routers predicted, as far as it is stored."""
        return read_scores(self.folder, self.board, self.setup)

    def choices_at(self, router: str, point: str) -> tuple[Ints, Mask]:
        """Return [S, n] a router's choices at an operating point, and which no router makes.

        Raises:
            DataError: there is no such point, or no predicted quality to decide by.
        """
        row = next(row for row in self.board.rows if row.router == router)
        if point not in row.points:
            known = ", ".join(row.points) or "none"
            raise DataError(f"{self.folder}: {router} has no point {point}", f"it has {known}")
        if not (lambdas := row.points[point].lambdas):
            own = self.choices(router)
            return own, np.zeros(own.shape, dtype=np.bool_)
        chosen, fixed = [], []
        for at, seed in enumerate(row.seeds):
            for fold in self._folds:
                slope = lambdas[at * len(self._folds) + fold]
                chosen.append(self._decided(router, seed, fold, slope))
                fixed.append(np.full(len(chosen[-1]), slope is None))
        shape = len(row.seeds), -1
        return np.concatenate(chosen).reshape(shape), np.concatenate(fixed).reshape(shape)

    def _decided(self, router: str, seed: int, fold: int, slope: float | None) -> Ints:
        """Return the choices of one seed in one fold at a λ, or of the model that stands in."""
        facts = self.board.diagnostics.folds[fold]
        if slope is None:
            size = len(self.setup.rows(fold, TEST))
            return np.full(size, self.models.index(facts.best_single), dtype=np.int64)
        if (trade_offs := self.trade_offs.get((router, seed, fold))) is not None:
            return trade_offs.test.choice[:, trade_offs.lambdas.index(slope)]
        quality = self.expected.get(((router, seed, fold), TEST))
        if quality is None or facts.mean_cost is None:
            raise DataError(f"{self.folder}: no predicted quality of {router} is stored")
        known = [facts.mean_cost.get(model) for model in self.models]
        cost = np.array([np.nan if usd is None else usd for usd in known], dtype=np.float64)
        return decide(quality, cost, slope)

    def cost_at(self, prices: PriceList) -> Floats | None:
        """Return USD [queries, m] of the suite's cells at given prices; None without tokens.

        Raises:
            DataError: a model of the pool has no price.
        """
        listed = cover(self.setup.data.pool, prices)
        return self.tokens and costs(listed, self.tokens, self.setup.data.outcomes)

    @property
    def _folds(self) -> range:
        return range(len(self.setup.split.codes))

    @cached_property
    def _user(self) -> Ints:
        return np.concatenate([self.setup.asks(fold).user for fold in self._folds])

    def _table(self, router: str, value: Any) -> Any:
        if not any(label == router for label, _, _ in self.decisions):
            known = {label for label, _, _ in self.decisions}
            raise DataError(f"{self.folder}: no decisions of {router}", did_you_mean(router, known))

        def of_fold(fold: int, job: JobDecisions) -> Any:
            values = value(fold, job)
            if self.setup.data.users is None or job.personal:
                return values
            # One that knows no users decides for all of them alike.
            asks = self.setup.asks(fold)
            return values[np.searchsorted(self.setup.rows(fold, TEST), asks.row)]

        return np.stack([np.concatenate(seed) for seed in by_seed(self.decisions, router, of_fold)])


def read_run(path: Path, check: bool = False, board: Leaderboard | None = None) -> Stored:
    """Read a run folder, or the one around a `leaderboard.json`; `board` is its own, once read.

    Raises:
        DataError: for what is missing, damaged or made by something else; with `check` also for
            a file whose sha256 is not the board's.
    """
    board = run_folder.read(path) if board is None else board
    folder = path if path.is_dir() else path.parent
    if missing := [name for name in board.files if not (folder / name).is_file()]:
        raise DataError(
            f"{folder}: {missing[0]} is not there, which belongs to the board",
            "the whole run folder is needed, not its leaderboard.json alone",
        )
    if check and (changed := differing(folder, board)):
        raise DataError(f"{folder / changed[0]}: not the file that the board was written with")
    kept = read_suite(folder, board)
    setup = Setup(kept.data, kept.split, board.encoder, {})
    played: dict[tuple[str, int], StoredPlay] = {}
    if ONLINE in board.files:
        stream, played = read_online(folder, setup)
        setup = replace(setup, stream=stream)
    prices = load_prices(folder / PRICES) if PRICES in board.files else None
    return Stored(
        *(folder, board, setup, read_decisions(folder, setup), prices, kept.tokens, kept.assumed),
        played=played,
    )


def differing(folder: Path, board: Leaderboard) -> list[str]:
    """Return the files of the board that were changed since it was written."""
    return [name for name, digest in board.files.items() if file_sha256(folder / name) != digest]


def common(first: Stored, second: Stored) -> tuple[Ints, Ints]:
    """Return the rows of both runs that are about the same query (and user), in order."""
    if _same(first.keys, second.keys) and _same(first.users, second.users):
        return np.arange(len(first.keys)), np.arange(len(first.keys))
    runs, n = (first, second), len(first.keys)
    code = _codes([run.keys for run in runs])
    if first.users is not None and second.users is not None:
        user = _codes([run.users for run in runs])
        code = code * (user.max() + 1) + user  # one number per query and user
    _, one, other = np.intersect1d(code[:n], code[n:], return_indices=True)
    order = np.argsort(one)
    return one[order], other[order]


def _same(one: Strings | None, other: Strings | None) -> bool:
    return one is other is None or np.array_equal(one, other)  # type: ignore[arg-type]


def _codes(columns: Sequence[Any]) -> Ints:
    """Number the distinct texts; equal texts get equal numbers."""
    _, codes = np.unique(np.concatenate(columns).astype(str), return_inverse=True)
    return codes
