"""Chains of up to three models with a threshold on each answer's score, searched as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field

from routebench.bought import Bought, Steps
from routebench.records import Floats, Ints, Mask
from routebench_routers.steppers.answers import to_steps
from routebench_routers.steppers.lists import shrink
from routebench_routers.steppers.recorded import Recorded

_SHARES = tuple(share / 10 for share in range(1, 10))
"""Of a model's answers that lie below a threshold."""


class ChainOptions(BaseModel):
    """The options of routers that search chains."""

    models: int = Field(6, ge=1, le=10, description="models considered, by Pareto fronts")


@dataclass(frozen=True)
class Chains:
    """Chains with their value on training answers."""

    models: Ints
    """[k, 3] positions in the pool, right-aligned; −1 where a chain is shorter."""
    thresholds: Floats
    """[k, 3] score from which the model's answer is given; −inf of the last, whose always is."""
    score: Floats
    """[k] mean score, the gain over the best single model shrunk."""
    cost: Floats
    """[k] mean USD of all that is asked."""

    def best(self, trade_off: float) -> int:
        """Return the chain with the highest score − λ · cost; of equals the cheapest."""
        value = self.score - trade_off * self.cost
        order = np.argsort(self.cost, kind="stable")
        return int(order[value[order].argmax()])

    def take(self, rows: Ints) -> Chains:
        """Return the given chains."""
        taken = self.models[rows], self.thresholds[rows], self.score[rows], self.cost[rows]
        return Chains(*taken)

    def steps(self, trade_off: float, score: Floats, bought: Bought, order: Ints) -> Steps:
        """Return the next step by the answers' scores [n, m]: it is given from its threshold on."""
        at = self.best(trade_off)
        there = self.models[at] >= 0
        members, thresholds = self.models[at][there], self.thresholds[at][there]
        n = len(bought)
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        answer = np.full(n, -1, dtype=np.int64)
        chance = np.full(n, np.nan)
        reason = np.full(n, "", dtype=object)
        for place, (model, threshold) in enumerate(zip(members, thresholds, strict=True)):
            here = (answer < 0) & ~ask.any(axis=1)
            asked, came = bought.asked[:, model], bought.answered[:, model]
            ask[here & ~asked, model] = True
            last = place == len(members) - 1
            good = here & asked & (last | (came & (score[:, model] >= threshold)))
            answer[good] = model
            chance[good] = score[good, model]
            reason[good] = "last" if last else "accepted"
        known = np.where(np.isnan(chance), self.score[at], chance)
        return to_steps(ask, answer, bought, order, np.clip(known, 0.0, 1.0), reason)


def search(scored: Floats, recorded: Recorded, models: Ints, trade_offs: Sequence[float]) -> Chains:
    """Return the best chain of the given models at each λ.

    `scored` [n, m] are the answers' scores on rows where the models are all ok; a column of NaN is
    of a model that can only be the last.
    """
    best = int(models[recorded.score[:, models].mean(axis=0).argmax()])
    gain = recorded.score - recorded.score[:, [best]]
    base = float(recorded.score[:, best].mean())
    nodes = [
        (int(model), float(threshold))
        for model in models
        if not np.isnan(scored[:, model]).any()
        for threshold in np.unique(np.quantile(scored[:, model], _SHARES))
    ]
    tails = _tails(nodes, models, scored, gain, recorded.cost)
    heads = [_alone(tails)]
    if nodes:
        heads += [_headed(node, tails, scored, gain, recorded.cost) for node in nodes]
    parts = (np.concatenate(part) for part in zip(*heads, strict=True))
    chains, thresholds, mean, square, cost = parts
    error = np.sqrt(np.maximum(square - mean**2, 0) / len(gain))
    found = Chains(chains, thresholds, base + shrink(mean, error), cost)
    return found.take(np.unique([found.best(trade_off) for trade_off in trade_offs]))


@dataclass(frozen=True)
class _Tails:
    """Chains of one or two models, with gain, its square and cost per query."""

    models: Ints
    thresholds: Floats
    gain: Floats
    """[t, n]"""
    square: Floats
    cost: Floats


_Part = tuple[Ints, Floats, Floats, Floats, Floats]


def _tails(
    nodes: list[tuple[int, float]], models: Ints, scored: Floats, gain: Floats, cost: Floats
) -> _Tails:
    chains = [(-1, int(model)) for model in models]
    thresholds = [-np.inf] * len(models)
    worth = [gain[:, model] for model in models]
    paid = [cost[:, model] for model in models]
    for model, threshold in nodes:
        stops: Mask = scored[:, model] >= threshold
        for last in models:
            if last != model:
                chains.append((model, int(last)))
                thresholds.append(threshold)
                worth.append(np.where(stops, gain[:, model], gain[:, last]))
                paid.append(cost[:, model] + np.where(stops, 0.0, cost[:, last]))
    array = np.array(worth)
    return _Tails(np.array(chains), np.array(thresholds), array, array**2, np.array(paid))


def _alone(tails: _Tails) -> _Part:
    """Return the chains of one or two models."""
    k = len(tails.models)
    chains = np.column_stack([np.full(k, -1), tails.models])
    ends = np.full(k, -np.inf)
    thresholds = np.column_stack([ends, tails.thresholds, ends])
    gain, square, cost = (each.mean(axis=1) for each in (tails.gain, tails.square, tails.cost))
    return chains, thresholds, gain, square, cost


def _headed(
    node: tuple[int, float], tails: _Tails, scored: Floats, gain: Floats, cost: Floats
) -> _Part:
    """Return the chains of three models that begin with one at a threshold."""
    model, threshold = node
    rows = np.flatnonzero((tails.models[:, 0] >= 0) & (tails.models != model).all(axis=1))
    stops = scored[:, model] >= threshold
    going, n = (~stops).astype(np.float64), len(gain)
    stopped = gain[stops, model]
    mean = (stopped.sum() + tails.gain[rows] @ going) / n
    square = ((stopped**2).sum() + tails.square[rows] @ going) / n
    paid = cost[:, model].mean() + tails.cost[rows] @ going / n
    chains = np.column_stack([np.full(len(rows), model), tails.models[rows]])
    first, last = np.full(len(rows), threshold), np.full(len(rows), -np.inf)
    return chains, np.column_stack([first, tails.thresholds[rows], last]), mean, square, paid
