"""The main numbers of a board, computed a second time from its files by code of their own.

No code is shared with what made the board, so that a mistake there would show here. Only what
can be said in a few lines: means, differences, exact McNemar, and ranks made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from math import comb, fsum, log2
from pathlib import Path

import numpy as np

from routebench.records import Floats, Ints, Mask
from routebench.schema import RANDOM, REFERENCES, Leaderboard, Row
from routebench.verify.sheet import Job, Sheet, read_sheet

Values = dict[str, float | int]
"""By path in the board."""
_ALPHA = 0.05
_MANY = 5000
_ROUNDING = 1e-12
"""Relative to the larger one: two numbers no further apart are one, rounded differently."""


def independent_values(folder: Path, board: Leaderboard) -> Values:
    """Return values by their path in the board."""
    sheet = read_sheet(folder, board)
    routers = [row for row in board.rows if row.state == "ok"]
    fixed = _fixed(sheet, board)
    scored = _scored(sheet, {row.router for row in routers}, fixed)
    if not scored.any():
        return {}
    fixed = {name: choice[scored] for name, choice in fixed.items()}
    numbers = _Numbers(sheet.take(scored), board, fixed)
    numbers.values["diagnostics.scored"] = int(scored.sum())
    numbers.values["diagnostics.left_out"] = int((~scored).sum())
    numbers.references()
    for row in routers:
        numbers.router(row)
    numbers.pairs(routers)
    return numbers.values


def _fixed(sheet: Sheet, board: Leaderboard) -> dict[str, Ints]:
    """Return the models [n] that each fold's training named."""
    facts, models = board.diagnostics.folds, board.suite.models
    return {
        name: np.array([models.index(getattr(fold, name)) for fold in facts])[sheet.fold]
        for name in ("best_single", "cheapest", "most_expensive")
        if all(getattr(fold, name) is not None for fold in facts)
    }


def _scored(sheet: Sheet, routers: set[str], fixed: dict[str, Ints]) -> Mask:
    """Return [n] whether every model that is chosen for a query has a usable answer.

    Where a router sees answers: whether every model has one, and the router asked some.
    """
    chosen = [choice for (router, _), choice in sheet.choice.items() if router in routers]
    scored = np.ones(len(sheet.value), dtype=np.bool_)
    for asked in (each for (router, _), each in sheet.asked.items() if router in routers):
        scored &= ~np.isnan(sheet.value).any(axis=1) & asked.any(axis=1)
    for choice in (*chosen, *fixed.values()):
        scored &= ~np.isnan(sheet.scores(choice))
    return scored


class _Numbers:
    """The numbers of a board, filled in one part after the other."""

    def __init__(self, sheet: Sheet, board: Leaderboard, fixed: dict[str, Ints]) -> None:
        self.sheet = sheet
        self.models = board.suite.models
        self.measure = board.suite.measure
        self.fixed = fixed
        self.values: Values = {}
        self.means = {name: _mean(sheet.scores(choice)) for name, choice in fixed.items()}
        self.costs: dict[str, float] = {}
        if board.priced != "unpriced":
            self.costs = {name: _mean(sheet.costs(choice)) for name, choice in fixed.items()}

    def references(self) -> None:
        """Add the references, and what routing could gain."""
        value, means, values = self.sheet.value, self.means, self.values
        count = (~np.isnan(value)).sum(axis=1)
        best, worst = np.nanmax(value, axis=1), np.nanmin(value, axis=1)
        means["random"] = _mean(np.nansum(value, axis=1) / count)
        means["oracle"] = _mean(best)
        for name, mean in means.items():
            values[f"references.{name}.{self.measure}.value"] = mean
        for name, cost in self.costs.items():
            values[f"references.{name}.cost_per_1k.value"] = 1000 * cost
        values["diagnostics.headroom"] = means["oracle"] - means["best_single"]
        apart = best - worst > _ROUNDING * np.maximum(abs(best), abs(worst))
        values["diagnostics.disagreement"] = int(apart.sum()) / len(value)

    def router(self, row: Row) -> None:
        """Add one router's means, usage, and differences from references."""
        at, values, means = f"rows[{row.router}]", self.values, self.means
        jobs = self.sheet.jobs(row.router)
        chosen = [self.sheet.choice[job] for job in jobs]
        mean = _over_seeds(self.sheet.scores, chosen)
        values[f"{at}.metrics.{self.measure}.value"] = mean
        gap = means["oracle"] - means["best_single"]
        if gap > _ROUNDING * abs(means["oracle"]):
            values[f"{at}.metrics.gap_recovered.value"] = (mean - means["best_single"]) / gap
        self._usage(at, np.concatenate(chosen))
        for other in row.against:
            reference = means.get(other.replace("-", "_"))
            if reference is not None:
                values[f"{self._against(row.router, other)}.value"] = mean - reference
        for task in row.by_task:
            within, place = self.sheet.task == task, _step(f"{at}.by_task", task)
            values[f"{place}.n"] = int(within.sum())
            values[f"{place}.{self.measure}.value"] = _mean(
                _mean(self.sheet.scores(choice)[within]) for choice in chosen
            )
        if row.policies is not None:
            self._policies(at, jobs)
        if self.costs:
            self._spending(at, jobs)

    def _usage(self, at: str, decisions: Ints) -> None:
        counts = np.bincount(decisions, minlength=len(self.models))
        shares = (counts / len(decisions)).tolist()
        for model, share in zip(self.models, shares, strict=True):
            self.values[_step(f"{at}.usage", model)] = share
        entropy = -fsum(share * log2(share) for share in shares if share)
        self.values[f"{at}.metrics.usage_entropy.value"] = entropy
        self.values[f"{at}.metrics.top_model_share.value"] = max(shares)

    def _policies(self, at: str, jobs: list[Job]) -> None:
        """Add the share of every policy, and the quality of the answers then."""
        named = [job for job in jobs if job in self.sheet.policy]
        policy = np.concatenate([self.sheet.policy[job] for job in named])
        score = np.concatenate([self.sheet.scores(self.sheet.choice[job]) for job in named])
        for name in sorted(set(policy.tolist())):
            place, those = _step(f"{at}.policies.use", name), policy == name
            self.values[f"{place}.n"] = int(those.sum())
            self.values[f"{place}.share.value"] = int(those.sum()) / len(policy)
            self.values[f"{place}.{self.measure}.value"] = _mean(score[those])

    def _spending(self, at: str, jobs: list[Job]) -> None:
        """Add costs of answers and of routing, and what is saved."""
        values = self.values
        cost = _mean(_mean(self.sheet.paid(job)) for job in jobs)
        values[f"{at}.metrics.cost_per_1k.value"] = 1000 * cost
        spent = [self.sheet.spent[job] for job in jobs]
        if any(np.isnan(each).any() for each in spent):
            return  # the cost of routing is not known
        routing = _mean(_mean(each) for each in spent)
        values[f"{at}.metrics.router_cost_per_1k.value"] = 1000 * routing
        values[f"{at}.metrics.total_cost_per_1k.value"] = 1000 * (cost + routing)
        for name in ("best_single", "most_expensive"):
            if paid := self.costs.get(name):
                values[f"{at}.metrics.savings_vs_{name}.value"] = 1 - (cost + routing) / paid

    def pairs(self, routers: list[Row]) -> None:
        """Add McNemar's p of differences it was used for; ranks where it was used for all."""
        if len(np.unique(self.sheet.text)) < len(self.sheet.text):
            return  # rows of one text are no independent pairs
        scores = {}
        for row in routers:
            first, *others = [self.sheet.choice[job] for job in self.sheet.jobs(row.router)]
            if all(np.array_equal(first, other) for other in others):
                scores[row.router] = self.sheet.scores(first)
        for row in routers:
            for other in row.against:
                self._pair(row.router, other, scores)
        binary = {name: score for name, score in scores.items() if _is_binary(score)}
        if len(binary) == len(routers):
            for name, rank in _ranks(binary).items():
                self.values[f"rows[{name}].rank"] = rank

    def _pair(self, router: str, other: str, scores: dict[str, Floats]) -> None:
        values, at = self.values, self._against(router, other)
        reference = self.fixed.get(REFERENCES.get(other, ""))
        if reference is not None:
            second = self.sheet.scores(reference)
        elif other in scores and other != RANDOM:  # which is the reference of that name
            second = scores[other]
            both = [values[f"rows[{n}].metrics.{self.measure}.value"] for n in (router, other)]
            values[f"{at}.value"] = both[0] - both[1]
        else:
            return
        if router in scores and _is_binary(scores[router]) and _is_binary(second):
            values[f"{at}.p_raw"] = _mcnemar(scores[router], second)

    def _against(self, router: str, other: str) -> str:
        return f"{_step(f'rows[{router}].against', other)}.{self.measure}"


def _ranks(binary: dict[str, Floats]) -> dict[str, int]:
    """Return 1 + the number of routers significantly better, by Holm over all pairs."""
    raw = {pair: _mcnemar(binary[pair[0]], binary[pair[1]]) for pair in combinations(binary, 2)}
    significant, level = set(), 0.0
    for step, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        level = max(level, min(1.0, p * (len(raw) - step)))
        if level < _ALPHA:
            significant.add(pair)
    right = {name: int(score.sum()) for name, score in binary.items()}
    return {
        name: 1
        + sum(
            right[other] > right[name]
            for other in binary
            if {(name, other), (other, name)} & significant
        )
        for name in binary
    }


def _mcnemar(first: Floats, second: Floats) -> float:
    """Return the exact two-sided p: discordant pairs are fair coin tosses.

    The chance of exactly k heads, times the sum of what k − 1, k − 2 … are of it. For many tosses
    the same as the chance of a beta(n − k, k + 1) below one half.
    """
    gains, losses = int((first > second).sum()), int((first < second).sum())
    n, k = gains + losses, min(gains, losses)
    if n > _MANY:
        from scipy.special import betainc

        return min(1.0, 2 * float(betainc(n - k, k + 1, 0.5)))
    parts = np.cumprod([i / (n - i + 1) for i in range(k, 0, -1)])
    return min(1.0, 2 * comb(n, k) / (1 << n) * (1 + fsum(parts)))


def _is_binary(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _over_seeds(value: Callable[[Ints], Floats], chosen: list[Ints]) -> float:
    return _mean(_mean(value(choice)) for choice in chosen)


def _mean(values: Floats | Iterable[float]) -> float:
    known = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return fsum(known) / len(known)


def _step(path: str, name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    return f"{path}.{name}" if plain else f"{path}[{name}]"
