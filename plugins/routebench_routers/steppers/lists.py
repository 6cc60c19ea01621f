"""Lists of models asked until two agree, with what each scores and costs on training answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from routebench.records import Floats, Ints, Mask
from routebench_routers.steppers.recorded import Recorded

WIDTH = 4
"""The most models of a list: two asked at once, one more, and the last, whose answer stands."""

_BEST = 10


@dataclass(frozen=True)
class Lists:
    """Lists of models with their value; the last model of each is the one that decides."""

    models: Ints
    """[k, WIDTH] positions in the pool, right-aligned; −1 where a list is shorter."""
    score: Floats
    """[k] mean score, the gain over the best single model shrunk."""
    cost: Floats
    """[k] mean USD of all that is asked."""

    def take(self, rows: Ints) -> Lists:
        return Lists(self.models[rows], self.score[rows], self.cost[rows])

    def best(self, trade_off: float) -> int:
        """Return the list with the highest score − λ · cost; of equals the cheapest."""
        value = self.score - trade_off * self.cost
        order = np.argsort(self.cost, kind="stable")
        return int(order[value[order].argmax()])


def useful(score: Floats, cost: Floats, most: int) -> Ints:
    """Return up to `most` models, in pool order: Pareto fronts of mean score and cost in turn."""
    left = [int(model) for model in np.lexsort((cost, -score)) if np.isfinite(score[model])]
    kept: list[int] = []
    while left and len(kept) < most:
        front: list[int] = []
        cheapest = np.inf
        for model in left:  # from the best score down
            if cost[model] < cheapest or not front:
                front.append(model)
                cheapest = cost[model]
        kept += front
        left = [model for model in left if model not in front]
    return np.array(sorted(kept[:most]), dtype=np.int64)


def near_best(lists: Lists, trade_offs: Floats, most: int) -> Ints:
    """Return up to `most` models, in pool order: those most often in the best lists at each λ."""
    often = np.zeros(int(lists.models.max()) + 1)
    for trade_off in trade_offs:
        value = lists.score - trade_off * lists.cost
        for row in np.argsort(-value, kind="stable")[:_BEST]:
            often[lists.models[row][lists.models[row] >= 0]] += 1
    ranked = np.argsort(-often, kind="stable")
    return np.sort(ranked[: min(most, int((often > 0).sum()))])


def rightness(recorded: Recorded, agree: Mask) -> Floats:
    """Return [m, m] the mean score of the first model where it agrees with the second.

    Its overall mean counts as ten more answers.
    """
    overall = np.where(np.isfinite(mean := recorded.mean_score()), mean, 0.0)
    both = agree & (recorded.ok[:, :, None] & recorded.ok[:, None, :])
    scored = np.einsum("nij,ni->ij", both, recorded.score)
    values: Floats = (scored + 10 * overall[:, None]) / (both.sum(axis=0) + 10)
    return values


def evaluate(recorded: Recorded, agree: Mask, right: Floats, models: Ints) -> Lists:
    """Return every single model, and every list of the given ones, with its score and cost."""
    single = recorded.mean_score()
    order = recorded.order()
    best = int(order[0])
    parts = [_singles(models, single, recorded.mean_cost())]
    ok = recorded.ok & recorded.ok[:, [best]]
    gain = np.where(ok, recorded.score - recorded.score[:, [best]], 0.0)
    parts += [
        _of_pair(pair, models, recorded, agree, right, gain, ok, single[best])
        for pair in combinations(models.tolist(), 2)
    ]
    return Lists(
        np.concatenate([part.models for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.cost for part in parts]),
    )


def _singles(models: Ints, score: Floats, cost: Floats) -> Lists:
    lists = np.full((len(models), WIDTH), -1)
    lists[:, -1] = models
    return Lists(lists, score[models], cost[models])


def _of_pair(
    pair: tuple[int, int],
    models: Ints,
    recorded: Recorded,
    agree: Mask,
    right: Floats,
    gain: Floats,
    ok: Mask,
    base: float,
) -> Lists:
    """Return the lists that begin with a pair: without a third model, and with each other one."""
    i, j = pair
    others = [int(model) for model in models if model not in pair]
    if not others:
        return Lists(np.empty((0, WIDTH), np.int64), np.empty(0), np.empty(0))
    valid = ok[:, i] & ok[:, j]
    first = agree[:, i, j] & valid
    stopped = [np.where(first, gain[:, i if right[i, j] >= right[j, i] else j], 0.0)]
    paid = [np.where(valid, recorded.cost[:, i] + recorded.cost[:, j], 0.0)]
    open_, known = [valid & ~first], [valid]
    for k in others:
        seen = valid & ok[:, k]
        met_i = seen & ~first & agree[:, i, k]
        met_j = seen & ~first & ~met_i & agree[:, j, k]
        value = np.where(met_i, gain[:, i if right[i, k] >= right[k, i] else k], stopped[0])
        value = np.where(met_j, gain[:, j if right[j, k] >= right[k, j] else k], value)
        stopped.append(np.where(seen, value, 0.0))
        paid.append(np.where(seen, paid[0] + ~first * recorded.cost[:, k], 0.0))
        open_.append(seen & ~first & ~met_i & ~met_j)
        known.append(seen)
    going, whole = np.array(open_, dtype=np.float64), np.array(known, dtype=np.float64)
    there = ok.astype(np.float64)
    count = np.maximum(whole @ there, 1)
    value = np.array(stopped)
    mean = (value @ there + going @ gain) / count
    square = (value**2 @ there + going @ gain**2) / count
    cost = (np.array(paid) @ there + going @ np.where(ok, recorded.cost, 0.0)) / count
    error = np.sqrt(np.maximum(square - mean**2, 0) / count)
    lists = [
        (row, last, (*((k,) if k >= 0 else ()), last))
        for row, k in enumerate([-1, *others])
        for last in others
        if last != k
    ]
    rows = np.array([row for row, _, _ in lists])
    lasts = np.array([last for _, last, _ in lists])
    table = np.full((len(lists), WIDTH), -1)
    for at, (_, _, tail) in enumerate(lists):
        table[at, WIDTH - 2 - len(tail) :] = [i, j, *tail]
    score = np.where(
        count[rows, lasts] * 2 >= len(gain), base + shrink(mean, error)[rows, lasts], -np.inf
    )
    return Lists(table, score, cost[rows, lasts])


def shrink(gain: Floats, error: Floats) -> Floats:
    """Return gains, the positive ones by the share that stands out: 1 − (2 · error / gain)².

    One that is less than twice its standard error counts nothing: of many candidates, some gain as
    much by luck.
    """
    noise = np.divide(2 * error, gain, out=np.ones_like(gain), where=gain > 0)
    return np.where(gain > 0, gain * np.maximum(1 - noise**2, 0.0), gain)
