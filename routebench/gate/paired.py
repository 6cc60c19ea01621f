"""Two sides' decisions on the same queries: values, paired differences, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from routebench.board.read_run import Stored
from routebench.errors import DataError
from routebench.metrics.bootstrap import Groups
from routebench.metrics.contrasts import METRICS, Contrast, contrast, measure
from routebench.metrics.parties import Means, Party, resample, router_party
from routebench.metrics.setting import Routed, Setting
from routebench.metrics.statistics import holm, interval
from routebench.records import Floats, Ints, Mask

TINY = 1e-12


@dataclass(frozen=True)
class Delta:
    """Second minus first, paired."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Holm-adjusted over the routers that are compared."""
    p_raw: float | None = None
    test: str | None = None


@dataclass(frozen=True)
class Changed:
    """Queries that the second side decides otherwise, by what became of the score."""

    queries: int
    cost: float | None
    """USD more that the second side pays for them, in all."""


@dataclass(frozen=True)
class Flip:
    """One query that two sides decide otherwise; scores and costs are means over seeds."""

    query: str
    """The suite's own id."""
    user: str | None
    task: str | None
    models: tuple[str, str]
    """What the first seed of each side that decides otherwise chose."""
    score: tuple[float, float]
    cost: tuple[float, float] | None
    """USD, routing included."""


@dataclass(frozen=True)
class Pair:
    """One router in two runs, or two routers of one."""

    first: str
    second: str
    measured: dict[str, tuple[float | None, float | None]]
    """By metric: each side's value."""
    delta: dict[str, Delta]
    changed: dict[str, Changed]
    """`worse`, `better` and `same`."""
    flips: list[Flip]


@dataclass(frozen=True)
class Side:
    """A router of a run, on the queries that are compared."""

    run: Stored
    router: str
    rows: Ints
    """[n] among the run's own."""

    @cached_property
    def routed(self) -> Routed:
        own = self.run.router_cost(self.router)
        return Routed(
            self.router,
            self.run.choices(self.router)[:, self.rows],
            None if own is None else own[:, self.rows],
        )


@dataclass(frozen=True)
class Ground:
    """The run whose outcomes and prices score all sides."""

    run: Stored
    rows: Ints
    """[n] the queries that are compared, among its own."""

    @cached_property
    def setting(self) -> Setting:
        outcomes = self.run.outcomes.take(self.rows)
        nobody = np.zeros(len(self.rows), dtype=np.int64)
        pool = self.run.setup.data.pool
        return Setting(outcomes, pool, best_single=nobody, clusters=self.run.clusters[self.rows])

    def usable(self, sides: Sequence[Side]) -> Mask:
        """[n] queries on which every model that any side chose has a usable answer."""
        ok, at = self.setting.outcomes.ok, np.arange(len(self.rows))
        mask = np.ones(len(at), dtype=np.bool_)
        for side in sides:
            mask &= ok[at, side.routed.choice].all(axis=0)
        if not mask.any():
            raise DataError("nothing to compare: on no query have all chosen models an answer")
        return mask


def measured(
    ground: Ground, pairs: Sequence[tuple[Side, Side]], kept: Mask, flips: int, by: str
) -> list[Pair]:
    """All pairs on the same resamples of the kept queries."""
    sides = [side for pair in pairs for side in pair]
    setting = ground.setting.take(kept)
    parties = [router_party(side.routed, kept, setting) for side in sides]
    means = resample(parties, setting.clusters, ground.run.board.resamples, seed=0)
    each = list(zip(parties, means, strict=True))
    both = list(zip(each[::2], each[1::2], strict=True))
    deltas = _deltas(both, Groups.of(setting.clusters, len(setting.clusters)))
    quality = ground.run.board.suite.measure
    names = {metric: quality if metric == "accuracy" else metric for metric in METRICS}
    found = []
    for (first, second), (one, other), delta in zip(pairs, both, deltas, strict=True):
        values = {names[m]: (_value(m, one[1]), _value(m, other[1])) for m in METRICS}
        columns = (one[0], other[0])
        changed, listed = _flips(ground, (first, second), columns, kept, flips, by)
        named = {names[metric]: own for metric, own in delta.items()}
        found.append(Pair(first.router, second.router, values, named, changed, listed))
    return found


def _value(metric: str, means: Means) -> float | None:
    value = measure(metric, means.point)
    return None if value is None or np.isnan(value) else float(value)


def _deltas(
    pairs: Sequence[tuple[tuple[Party, Means], tuple[Party, Means]]], groups: Groups
) -> list[dict[str, Delta]]:
    """By pair and metric; p adjusted over the pairs."""
    found: list[dict[str, Delta]] = [{} for _ in pairs]
    for metric in METRICS:
        contrasts = [contrast(metric, second, first, groups) for first, second in pairs]
        known = {
            i: one for i, one in enumerate(contrasts) if one is not None and np.isfinite(one.value)
        }
        adjusted = holm([one.p for one in known.values()]).tolist()
        for own in found:
            own[metric] = Delta()
        for (i, one), p in zip(known.items(), adjusted, strict=True):
            found[i][metric] = _delta(one, p)
    return found


def _delta(one: Contrast, p: float) -> Delta:
    bounds = interval(one.samples)
    return Delta(one.value, bounds.low, bounds.high, p, one.p, one.test)


def _flips(
    ground: Ground,
    sides: tuple[Side, Side],
    parties: tuple[Party, Party],
    kept: Mask,
    most: int,
    by: str,
) -> tuple[dict[str, Changed], list[Flip]]:
    """Counts of what changed, and the queries where it matters most."""
    choices = [side.routed.choice[:, kept] for side in sides]
    seeds = min(map(len, choices))
    moved = choices[0][:seeds] != choices[1][:seeds]
    score, cost = _per_query(parties, "accuracy"), _per_query(parties, "total_cost_per_1k")
    assert score is not None
    gain = score[1] - score[0]
    spent = None if cost is None else cost[1] - cost[0]
    any_moved = moved.any(axis=0) | (np.abs(gain) > TINY)
    kinds = {
        "worse": any_moved & (gain < -TINY),
        "better": any_moved & (gain > TINY),
        "same": any_moved & (np.abs(gain) <= TINY),
    }
    changed = {
        kind: Changed(int(mask.sum()), None if spent is None else float(spent[mask].sum()))
        for kind, mask in kinds.items()
    }
    weight = np.zeros(len(gain)) if spent is None else -np.abs(np.nan_to_num(spent))
    if by == "cost":
        order = _first([weight], any_moved, most)
    else:
        keys = [-np.abs(gain), weight]
        lost, won = (_first(keys, kinds[kind], most) for kind in ("worse", "better"))
        half = max(most - len(won), -(-most // 2))
        order = np.concatenate([lost[:half], won[: most - len(lost[:half])]])
    rows = ground.rows[kept]
    listed = []
    for i in order:
        seed = int(moved[:, i].argmax())
        chosen = tuple(int(choice[seed, i]) for choice in choices)
        listed.append(_flip(ground.run, int(rows[i]), chosen, score[:, i], cost, int(i)))
    return changed, listed


def _first(keys: Sequence[Floats], among: Mask, most: int) -> Ints:
    """The rows with the least keys, the first key before the second."""
    at = np.flatnonzero(among)
    order: Ints = at[np.lexsort([key[at] for key in reversed(keys)])][:most]
    return order


def _per_query(parties: tuple[Party, Party], metric: str) -> Floats | None:
    """[2, n] score, or USD in all, of each side; None where costs are not known."""
    columns = [measure(metric, party.columns) for party in parties]
    known = [np.atleast_2d(column).mean(axis=0) for column in columns if column is not None]
    if len(known) < 2:
        return None
    each: Floats = np.stack(known).astype(np.float64)
    return each / 1000 if metric == "total_cost_per_1k" else each


def _flip(
    run: Stored, row: int, chosen: tuple[int, ...], score: Floats, cost: Floats | None, i: int
) -> Flip:
    data, query = run.setup.data, run.rows[row]
    task = data.queries.task
    return Flip(
        query=str(data.ids[query]),
        user=None if run.users is None else str(run.users[row]),
        task=None if task is None or task[query] is None else str(task[query]),
        models=(run.models[chosen[0]], run.models[chosen[1]]),
        score=(float(score[0]), float(score[1])),
        cost=None if cost is None else (float(cost[0, i]), float(cost[1, i])),
    )
