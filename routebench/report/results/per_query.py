"""What each router of a run chose on each test query, and what that scored and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from routebench.board.read_run import Stored, read_run
from routebench.comparison.paired import CommonQueries
from routebench.errors import OptionError, did_you_mean
from routebench.files import sha256
from routebench.schema import Row


@dataclass(frozen=True, slots=True)
class RoutedQuery:
    """One decision of a router on a test query, by one seed."""

    query_id: str
    text: str
    task: str | None
    seed: int
    model: str
    score: float | None
    """None where the chosen answer cannot be scored."""
    cost: float | None
    """USD of answers and routing; None where not known."""
    tokens: tuple[int, int] | None
    """Of the prompt and the answer; None where not known, or several models were asked."""


@dataclass(frozen=True)
class Results:
    """A run whose routers' decisions are written elsewhere."""

    run: Stored
    rows: Sequence[Row]
    """The routers, which all ended well."""

    @classmethod
    def of(cls, path: Path, routers: Sequence[str] = ()) -> Results:
        """Read a run with its texts, and find the routers that are named, or all.

        Raises:
            OptionError: there are no texts, or users, or no such router.
        """
        run = read_run(path)
        if run.users is not None:
            raise OptionError(f"{path}: a run with users has no result per query", "")
        if run.texts is None:
            raise OptionError(
                f"{path}: the run folder has no texts of the queries", "run again with --keep-texts"
            )
        known = {row.router: row for row in run.board.rows if row.state == "ok"}
        for name in routers:
            if name not in known:
                raise OptionError(
                    f"--router {name}: no row of it ended well", did_you_mean(name, list(known))
                )
        return cls(run, [known[name] for name in routers] if routers else list(known.values()))

    def queries(self, row: Row, *, one_seed: bool = False) -> Iterator[RoutedQuery]:
        """Yield a router's decisions: by seed, or those of the first seed alone."""
        run = self.run
        side = CommonQueries.of(run, run).side(row.router, 1)
        texts, data = run.texts, run.setup.data
        assert texts is not None
        asked, cost = side.routed.asked, side.cost
        seeds = run.seeds(row.router)[: 1 if one_seed else None]
        for at, place in enumerate(run.rows):
            for number, seed in enumerate(seeds):
                model = int(side.choice[number, at])
                usd = None if cost is None or np.isnan(cost[number, at]) else cost[number, at]
                usable = bool(side.usable[number, at])
                yield RoutedQuery(
                    query_id=str(data.ids[place]),
                    text=str(texts[at]),
                    task=None if data.queries.task is None else str(data.queries.task[place]),
                    seed=seed,
                    model=run.models[model],
                    score=float(side.score[number, at]) if usable else None,
                    cost=None if usd is None else float(usd),
                    tokens=None if asked is not None else self._tokens(int(place), model),
                )

    def _tokens(self, place: int, model: int) -> tuple[int, int] | None:
        outcomes = self.run.setup.data.outcomes
        counts = outcomes.input_tokens, outcomes.output_tokens
        if counts[0] is None or counts[1] is None:
            return None
        pair = [float(count[place, model]) for count in counts if count is not None]
        return None if np.isnan(pair).any() else (round(pair[0]), round(pair[1]))

    @property
    def digest(self) -> str:
        """Return a hash of the run that stays the same when it is written again."""
        return sha256(self.run.board.model_dump_json(exclude={"timing"}).encode())


Measured = tuple[float, float | None, float | None]
"""A metric's value with the ends of its interval."""


def measured(row: Row, name: str) -> Measured | None:
    """Return a metric of a row with its interval; None where it has no value."""
    found = row.metrics.get(name)
    return None if found is None or found.value is None else (found.value, found.low, found.high)
