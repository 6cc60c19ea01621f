"""Re-pricing: what the same requests would have cost with other models, quality unknown.

A model writes more or less than another. The output of model d on a request that model a answered
with T tokens is taken as T · L(d, task) / L(a, task), L the mean output of a model in a task; below
`ENOUGH` answers there, over all tasks. The prompt is taken to have as many tokens for both, none of
them cached; tokens of reasoning count as output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from routebench.metrics.statistics import ratio
from routebench.prices.lists import ModelPrice
from routebench.records import Floats, Ints, Mask
from routebench.traffic.estimators import Estimated, blocks_of, interval
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.sums import sums

ENOUGH = 20
_BLOCKS = 1_000


@dataclass(frozen=True)
class Repriced:
    """The cost of the requests as logged, and with the policy's models."""

    per_event: Estimated
    """USD of a request with the policy's model."""
    logged: Estimated
    difference: Estimated
    """Policy less log."""
    unpriced: float
    """Share of the requests whose cost with either is unknown: they are left out."""


def reprice(
    log: LoggedEvents,
    target: Ints,
    logged_cost: Floats,
    prices: Mapping[str, ModelPrice],
    lengths: Mapping[str, float],
    resamples: int = 1_000,
) -> Repriced | None:
    """Return the cost of a policy [n] by re-pricing; None where it is known of no request.

    `lengths` are mean output tokens of models that the log has too few answers of, from a run.
    """
    given, came = log.numbers["input_tokens"], log.numbers["output_tokens"]
    same = target == log.chosen
    fixed, slope = _terms(log.models, target, prices, given)
    size = len(log.models), len(log.tasks)
    answered = ~np.isnan(came) & ~log.failed
    tokens, count = _by_cell(log, answered, came, size)
    scale = _scale(tokens, count, log, target, lengths)
    other = fixed + slope * came * scale
    cost = np.where(same, logged_cost, other)
    known = ~np.isnan(cost) & ~np.isnan(logged_cost)
    if not known.any():
        return None
    block = blocks_of(log.session, _BLOCKS)
    group, pairs = _groups(log, target, known & ~same)
    blocks = int(block.max()) + 1
    # Sums by block: known costs; the fixed part; and slope times tokens by (chosen, target, task).
    plain = np.bincount(block[known], np.where(same, logged_cost, fixed)[known], blocks)
    actual = np.bincount(block[known], logged_cost[known], blocks)
    n = np.bincount(block[known], minlength=blocks).astype(float)
    moved = known & ~same
    scaled = np.zeros((blocks, max(len(pairs), 1)))
    np.add.at(scaled, (block[moved], group[moved]), (slope * came)[moved])
    cell_tokens = _by_block(log, answered, came, block, blocks, size)
    cell_counts = _by_block(log, answered, np.ones(len(log)), block, blocks, size)
    rng, totals = np.random.default_rng(0), []
    draw = np.ones(blocks)
    for _ in range(resamples + 1):
        ratios = _ratios(
            (draw @ cell_tokens).reshape(size), (draw @ cell_counts).reshape(size), pairs,
            lengths, log.models,
        )  # fmt: skip
        moved_cost = float(draw @ scaled @ ratios) if len(pairs) else 0.0
        totals.append((draw @ plain + moved_cost, draw @ actual, draw @ n))
        draw = np.bincount(rng.integers(0, blocks, blocks), minlength=blocks).astype(float)
    policy, before, number = np.array(totals).T
    return Repriced(
        per_event=interval(ratio(policy, number)),
        logged=interval(ratio(before, number)),
        difference=interval(ratio(policy - before, number)),
        unpriced=float((~known).mean()),
    )


def costs(log: LoggedEvents, prices: Mapping[str, ModelPrice]) -> Floats:
    """Return [n] the USD of each request: as logged, else by its tokens and the prices."""
    cost = log.numbers["cost_usd"].copy()
    given, came = log.numbers["input_tokens"], log.numbers["output_tokens"]
    cached = np.nan_to_num(log.numbers["cached_tokens"])
    thinking = np.nan_to_num(log.numbers["reasoning_tokens"])
    for at, model in enumerate(log.models):
        rows = np.flatnonzero((log.chosen == at) & np.isnan(cost))
        if model in prices and len(rows):
            cost[rows] = prices[model].usd(given[rows], came[rows], cached[rows], thinking[rows])
    return cost


def _terms(
    models: tuple[str, ...], target: Ints, prices: Mapping[str, ModelPrice], given: Floats
) -> tuple[Floats, Floats]:
    """Return [n] the cost of the prompt and of one more output token with the policy's model."""
    fixed, slope = np.full(len(target), np.nan), np.full(len(target), np.nan)
    for at in np.unique(target):
        price = prices.get(models[at]) if at >= 0 else None
        if price is not None:
            rows = np.flatnonzero(target == at)
            prompt = given[rows]
            fixed[rows] = price.usd(prompt, np.zeros(len(rows)))
            slope[rows] = price.usd(prompt, np.ones(len(rows))) - fixed[rows]
    return fixed, slope


def _by_cell(
    log: LoggedEvents, answered: Mask, values: Floats, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    cell = (log.chosen * size[1] + log.task)[answered]
    cells = size[0] * size[1]
    total = sums(cell, values[answered], cells)
    return total.reshape(size), sums(cell, np.ones(len(cell)), cells).reshape(size)


def _by_block(
    log: LoggedEvents,
    answered: Mask,
    values: Floats,
    block: Ints,
    blocks: int,
    size: tuple[int, int],
) -> Floats:
    cells = size[0] * size[1]
    at = (block * cells + log.chosen * size[1] + log.task)[answered]
    return sums(at, values[answered], blocks * cells).reshape(blocks, cells)


def mean_lengths(
    tokens: Floats, count: Floats, models: tuple[str, ...], lengths: Mapping[str, float]
) -> Floats:
    """Return [m, tasks] mean output tokens: in the task, else over all, else of the run."""
    overall = ratio(tokens.sum(axis=1), count.sum(axis=1))
    few = count.sum(axis=1) < ENOUGH
    given = np.array([lengths.get(model, np.nan) for model in models])
    overall = np.where(few & ~np.isnan(given), given, overall)
    return np.where(count >= ENOUGH, ratio(tokens, count), overall[:, None])


def _scale(
    tokens: Floats, count: Floats, log: LoggedEvents, target: Ints, lengths: Mapping[str, float]
) -> Floats:
    mean = mean_lengths(tokens, count, log.models, lengths)
    aimed = np.where(target >= 0, mean[np.maximum(target, 0), log.task], np.nan)
    return ratio(aimed, mean[log.chosen, log.task])


def _groups(log: LoggedEvents, target: Ints, moved: Mask) -> tuple[Ints, Ints]:
    """Return [n] the number of each request's (chosen, target, task), and [g, 3] those."""
    triple = np.stack([log.chosen, target, log.task], axis=1)
    pairs, inverse = np.unique(triple[moved], axis=0, return_inverse=True)
    group = np.zeros(len(log), np.int64)
    group[moved] = inverse.reshape(-1)
    return group, pairs


def _ratios(
    tokens: Floats,
    count: Floats,
    pairs: Ints,
    lengths: Mapping[str, float],
    models: tuple[str, ...],
) -> Floats:
    mean = mean_lengths(tokens, count, models, lengths)
    if not len(pairs):
        return np.zeros(1)
    return np.nan_to_num(ratio(mean[pairs[:, 1], pairs[:, 2]], mean[pairs[:, 0], pairs[:, 2]]))
