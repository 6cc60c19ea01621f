"""The main numbers of a board, computed a second time by plain loops over the rows of its files.

No code is shared with what made the board, so that a mistake there would show here. Slow, and
only what can be said in a few lines: means, differences, exact McNemar, and ranks made of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from math import comb, fsum, log2
from pathlib import Path
from typing import Any

from routebench.board.read_tables import read_table
from routebench.schema import RANDOM, REFERENCES, Leaderboard, Row

Ask = tuple[int, str, str | None]
"""Fold, query, user."""
Chosen = dict[Ask, str]
_CELL = ("query", "model", "state", "score", "grade", "cost_usd", "relative_cost", "task", "parts",
         "text_sha256")  # fmt: skip
_DECISION = ("router", "seed", "fold", "query", "user", "choice", "router_cost_usd", "policy")
_ALPHA = 0.05


@dataclass
class _Sheet:
    """Everything read, row by row."""

    board: Leaderboard
    cells: dict[tuple[str, str], dict[str, Any]]
    asks: list[Ask]
    weight: dict[str, float]
    choice: dict[tuple[str, int], Chosen]
    routing_cost: dict[tuple[str, int], dict[Ask, float | None]]
    policy: dict[tuple[str, int], Chosen] = field(default_factory=dict)
    values: dict[str, float | int] = field(default_factory=dict)

    def value(self, ask: Ask, model: str) -> float | None:
        """Return the score, or reward, of a usable answer; None for any other cell."""
        cell = self.cells.get((ask[1], model))
        if cell is None or cell["state"] != "ok":
            return None
        score: float = cell["score"]
        if ask[2] is None:
            return score
        if cell["relative_cost"] is None:
            return None
        w = self.weight[ask[2]]
        return w * score - (1 - w) * float(cell["relative_cost"])

    def cost(self, ask: Ask, model: str) -> float:
        return float(self.cells[ask[1], model]["cost_usd"])


def independent_values(folder: Path, board: Leaderboard) -> dict[str, float | int]:
    """Return values by their path in the board."""
    sheet = _read(folder, board)
    fixed = _fixed(sheet)
    routers = [row for row in board.rows if row.state == "ok"]
    scored = [ask for ask in sheet.asks if _usable(sheet, ask, routers, fixed)]
    if not scored:
        return {}
    values = sheet.values
    values["diagnostics.scored"] = len(scored)
    values["diagnostics.left_out"] = len(sheet.asks) - len(scored)
    means = {
        name: _mean(sheet.value(a, choice[a]) for a in scored) for name, choice in fixed.items()
    }
    means["random"] = _mean(_mean(_usable_values(sheet, a)) for a in scored)
    means["oracle"] = _mean(max(_usable_values(sheet, a)) for a in scored)
    measure = board.suite.measure
    for name, value in means.items():
        values[f"references.{name}.{measure}.value"] = value
    values["diagnostics.headroom"] = means["oracle"] - means["best_single"]
    scores = [_usable_values(sheet, a) for a in scored]
    values["diagnostics.disagreement"] = _mean(max(each) > min(each) for each in scores)
    costs: dict[str, float] = {}
    if board.priced != "unpriced":
        costs = {n: _mean(sheet.cost(a, choice[a]) for a in scored) for n, choice in fixed.items()}
        for name, value in costs.items():
            values[f"references.{name}.cost_per_1k.value"] = 1000 * value
    for row in routers:
        _router(sheet, row, scored, means, costs)
    _pairs(sheet, routers, scored, fixed)
    return values


def _router(
    sheet: _Sheet, row: Row, scored: list[Ask], means: dict[str, float], costs: dict[str, float]
) -> None:
    at, values, measure = f"rows[{row.router}]", sheet.values, sheet.board.suite.measure
    seeds = [chosen for (name, _), chosen in sheet.choice.items() if name == row.router]

    def over_seeds(value: Callable[[Ask, str], float | None]) -> float:
        return _mean(_mean(value(a, chosen[a]) for a in scored) for chosen in seeds)

    mean = over_seeds(sheet.value)
    values[f"{at}.metrics.{measure}.value"] = mean
    if gap := means["oracle"] - means["best_single"]:
        values[f"{at}.metrics.gap_recovered.value"] = (mean - means["best_single"]) / gap
    usage = Counter(chosen[a] for chosen in seeds for a in scored)
    shares = {m: usage[m] / len(scored) / len(seeds) for m in sheet.board.suite.models}
    for model, share in shares.items():
        values[_step(f"{at}.usage", model)] = share
    entropy = -fsum(share * log2(share) for share in shares.values() if share)
    values[f"{at}.metrics.usage_entropy.value"] = entropy
    values[f"{at}.metrics.top_model_share.value"] = max(shares.values())
    for other in row.against:
        reference = means.get(other.replace("-", "_"))
        if reference is not None:
            values[f"{_step(at + '.against', other)}.{measure}.value"] = mean - reference
    for task in row.by_task:
        within = [a for a in scored if sheet.cells[a[1], seeds[0][a]]["task"] == task]
        place = _step(f"{at}.by_task", task)
        values[f"{place}.n"] = len(within)
        value = _mean(_mean(sheet.value(a, chosen[a]) for a in within) for chosen in seeds)
        values[f"{place}.{measure}.value"] = value
    if row.policies is not None:
        _policies(sheet, row, scored)
    if costs:
        _costs(sheet, row, scored, over_seeds(sheet.cost), costs)


def _policies(sheet: _Sheet, row: Row, scored: list[Ask]) -> None:
    """Add the share of every policy, and the quality of the answers then."""
    at, values, measure = (
        f"rows[{row.router}].policies.use",
        sheet.values,
        sheet.board.suite.measure,
    )
    jobs = [job for job in sheet.policy if job[0] == row.router]
    by_policy: dict[str, list[float | None]] = defaultdict(list)
    for job in jobs:
        for ask in scored:
            score = sheet.value(ask, sheet.choice[job][ask])
            by_policy[sheet.policy[job][ask]].append(score)
    for policy, scores in by_policy.items():
        place = _step(at, policy)
        values[f"{place}.n"] = len(scores)
        values[f"{place}.share.value"] = len(scores) / len(scored) / len(jobs)
        values[f"{place}.{measure}.value"] = _mean(scores)


def _costs(
    sheet: _Sheet, row: Row, scored: list[Ask], cost: float, costs: dict[str, float]
) -> None:
    at, values = f"rows[{row.router}].metrics", sheet.values
    values[f"{at}.cost_per_1k.value"] = 1000 * cost
    by_seed = [spent for (name, _), spent in sheet.routing_cost.items() if name == row.router]
    if any(spent[a] is None for spent in by_seed for a in scored):
        return  # the cost of routing is not known
    routing = _mean(_mean(spent[a] for a in scored) for spent in by_seed)
    values[f"{at}.router_cost_per_1k.value"] = 1000 * routing
    values[f"{at}.total_cost_per_1k.value"] = 1000 * (cost + routing)
    for name, paid in costs.items():
        if name in ("best_single", "strongest") and paid:
            values[f"{at}.savings_vs_{name}.value"] = 1 - (cost + routing) / paid


def _pairs(sheet: _Sheet, routers: list[Row], scored: list[Ask], fixed: dict[str, Chosen]) -> None:
    """Add McNemar's p of every difference it was used for; ranks where it was used for all."""
    values, measure = sheet.values, sheet.board.suite.measure
    texts = [sheet.cells[a[1], fixed["best_single"][a]]["text_sha256"] for a in scored]
    scores: dict[str, list[float]] = {}
    for name in (row.router for row in routers):
        seeds = [chosen for (label, _), chosen in sheet.choice.items() if label == name]
        if all(chosen == seeds[0] for chosen in seeds):
            scores[name] = [sheet.value(a, seeds[0][a]) or 0.0 for a in scored]
    binary = {n: s for n, s in scores.items() if set(s) <= {0.0, 1.0}}
    if len(set(texts)) < len(texts):
        return  # rows of one text are no independent pairs
    for row in routers:
        for other in row.against:
            at = f"{_step(f'rows[{row.router}].against', other)}.{measure}"
            reference = fixed.get(REFERENCES.get(other, ""))
            if reference is not None:
                second = [sheet.value(a, reference[a]) or 0.0 for a in scored]
            elif other in scores and other != RANDOM:  # which is the reference of that name
                both = [values[f"rows[{n}].metrics.{measure}.value"] for n in (row.router, other)]
                values[f"{at}.value"] = both[0] - both[1]
                second = scores[other]
            else:
                continue
            if row.router in binary and set(second) <= {0.0, 1.0}:
                values[f"{at}.p_raw"] = _mcnemar(binary[row.router], second)
    if len(binary) < len(routers):
        return
    raw = {pair: _mcnemar(binary[pair[0]], binary[pair[1]]) for pair in combinations(binary, 2)}
    significant, level = set(), 0.0
    for step, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        level = max(level, min(1.0, p * (len(raw) - step)))
        if level < _ALPHA:
            significant.add(pair)
    for name in binary:
        rivals = [other for other in binary if {(name, other), (other, name)} & significant]
        better = [other for other in rivals if fsum(binary[other]) > fsum(binary[name])]
        values[f"rows[{name}].rank"] = 1 + len(better)


def _mcnemar(first: list[float], second: list[float]) -> float:
    """Return the exact two-sided p: discordant pairs are fair coin tosses."""
    pairs = Counter((a, b) for a, b in zip(first, second, strict=True) if a != b)
    n, least = sum(pairs.values()), min(pairs[1.0, 0.0], pairs[0.0, 1.0])
    return min(1.0, 2 * sum(comb(n, k) for k in range(least + 1)) / 2**n) if n else 1.0


def _read(folder: Path, board: Leaderboard) -> _Sheet:
    cells = {(c["query"], c["model"]): c for c in _rows(folder / "cells.parquet", _CELL)}
    users = _rows(folder / "users.parquet") if board.suite.users is not None else []
    askers = [(who["user"], who) for who in users] or [(None, {})]
    asks: dict[Ask, None] = {}
    for (query, _), cell in cells.items():
        for fold, part in enumerate(cell["parts"].split()):
            if part != "test":
                continue
            for name, who in askers:
                if name is None or _asked_by(who, fold, query, board.suite.protocol):
                    asks[fold, query, name] = None
    sheet = _Sheet(
        board, cells, list(asks), {who["user"]: who["preference"] for who in users}, {}, {}
    )
    _decisions(sheet, folder)
    return sheet


def _asked_by(who: dict[str, Any], fold: int, query: str, protocol: str) -> bool:
    if protocol == "user" and fold not in who["held_out_in"]:
        return False
    return who.get("asked") is None or query in who["asked"]


def _decisions(sheet: _Sheet, folder: Path) -> None:
    place = folder / "decisions.parquet"
    if not place.exists():
        return
    asks_of: dict[tuple[int, str], list[Ask]] = defaultdict(list)
    for ask in sheet.asks:
        asks_of[ask[0], ask[1]].append(ask)
    has_users = bool(sheet.weight)
    rows = _rows(place, _DECISION)
    billed = {r["router"] for r in rows if r["router_cost_usd"] is not None}
    for row in rows:
        job = row["router"], row["seed"]
        spent = row["router_cost_usd"] if row["router"] in billed else 0.0
        if has_users and row["user"] is not None:
            about = [(row["fold"], row["query"], row["user"])]
        else:
            about = asks_of[row["fold"], row["query"]]
        for ask in about:
            sheet.choice.setdefault(job, {})[ask] = row["choice"]
            sheet.routing_cost.setdefault(job, {})[ask] = spent
            if row["policy"] is not None:
                sheet.policy.setdefault(job, {})[ask] = row["policy"]


def _fixed(sheet: _Sheet) -> dict[str, Chosen]:
    """Return the models that each fold's training named."""
    facts = sheet.board.diagnostics.folds
    return {
        name: {a: getattr(facts[a[0]], name) for a in sheet.asks}
        for name in ("best_single", "cheapest", "strongest")
        if all(getattr(fold, name) is not None for fold in facts)
    }


def _usable(sheet: _Sheet, ask: Ask, routers: list[Row], fixed: dict[str, Chosen]) -> bool:
    named = {row.router for row in routers}
    models = {chosen[ask] for (name, _), chosen in sheet.choice.items() if name in named}
    models |= {choice[ask] for choice in fixed.values()}
    return all(sheet.value(ask, model) is not None for model in models)


def _usable_values(sheet: _Sheet, ask: Ask) -> list[float]:
    each = (sheet.value(ask, model) for model in sheet.board.suite.models)
    return [value for value in each if value is not None]


def _mean(values: Iterable[float | bool | None]) -> float:
    known = [float(value) for value in values if value is not None]
    return fsum(known) / len(known)


def _step(path: str, name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    return f"{path}.{name}" if plain else f"{path}[{name}]"


def _rows(path: Path, columns: Iterable[str] = ()) -> list[dict[str, Any]]:
    table = read_table(path)
    wanted = [name for name in columns if name in table.column_names] or table.column_names
    rows: list[dict[str, Any]] = table.select(wanted).to_pylist()
    return [dict.fromkeys(columns) | row for row in rows]
