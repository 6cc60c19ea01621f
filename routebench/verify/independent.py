"""The main numbers of a board, made a second time by plain loops over the rows of the files.

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
from routebench.schema import Leaderboard, Row

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
    own: dict[tuple[str, int], dict[Ask, float | None]]
    policy: dict[tuple[str, int], Chosen] = field(default_factory=dict)
    found: dict[str, float | int] = field(default_factory=dict)

    def worth(self, ask: Ask, model: str) -> float | None:
        """Score, or reward, of a usable answer; None for any other cell."""
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


def by_hand(folder: Path, board: Leaderboard) -> dict[str, float | int]:
    """Values by their path in the board."""
    sheet = _read(folder, board)
    fixed = _fixed(sheet)
    routers = [row for row in board.rows if row.state == "ok"]
    kept = [ask for ask in sheet.asks if _usable(sheet, ask, routers, fixed)]
    if not kept:
        return {}
    found = sheet.found
    found["diagnostics.scored"] = len(kept)
    found["diagnostics.left_out"] = len(sheet.asks) - len(kept)
    means = {name: _mean(sheet.worth(a, choice[a]) for a in kept) for name, choice in fixed.items()}
    means["random"] = _mean(_mean(_worths(sheet, a)) for a in kept)
    means["oracle"] = _mean(max(_worths(sheet, a)) for a in kept)
    measure = board.suite.measure
    for name, value in means.items():
        found[f"references.{name}.{measure}.value"] = value
    found["diagnostics.headroom"] = means["oracle"] - means["best_single"]
    worths = [list(_worths(sheet, a)) for a in kept]
    found["diagnostics.disagreement"] = _mean(max(w) > min(w) for w in worths)
    costs: dict[str, float] = {}
    if board.priced != "unpriced":
        costs = {n: _mean(sheet.cost(a, choice[a]) for a in kept) for n, choice in fixed.items()}
        for name, value in costs.items():
            found[f"references.{name}.cost_per_1k.value"] = 1000 * value
    for row in routers:
        _router(sheet, row, kept, means, costs)
    _pairs(sheet, routers, kept, fixed)
    return found


def _router(
    sheet: _Sheet, row: Row, kept: list[Ask], means: dict[str, float], costs: dict[str, float]
) -> None:
    at, found, measure = f"rows[{row.router}]", sheet.found, sheet.board.suite.measure
    seeds = [chosen for (name, _), chosen in sheet.choice.items() if name == row.router]

    def over_seeds(value: Callable[[Ask, str], float | None]) -> float:
        return _mean(_mean(value(a, chosen[a]) for a in kept) for chosen in seeds)

    mean = over_seeds(sheet.worth)
    found[f"{at}.metrics.{measure}.value"] = mean
    if gap := means["oracle"] - means["best_single"]:
        found[f"{at}.metrics.gap_recovered.value"] = (mean - means["best_single"]) / gap
    usage = Counter(chosen[a] for chosen in seeds for a in kept)
    shares = {m: usage[m] / len(kept) / len(seeds) for m in sheet.board.suite.models}
    for model, share in shares.items():
        found[_step(f"{at}.usage", model)] = share
    entropy = -fsum(share * log2(share) for share in shares.values() if share)
    found[f"{at}.metrics.usage_entropy.value"] = entropy
    found[f"{at}.metrics.top_model_share.value"] = max(shares.values())
    for other in row.against:
        reference = means.get(other.replace("-", "_"))
        if reference is not None:
            found[f"{_step(at + '.against', other)}.{measure}.value"] = mean - reference
    for task in row.by_task:
        own = [a for a in kept if sheet.cells[a[1], seeds[0][a]]["task"] == task]
        place = _step(f"{at}.by_task", task)
        found[f"{place}.n"] = len(own)
        value = _mean(_mean(sheet.worth(a, chosen[a]) for a in own) for chosen in seeds)
        found[f"{place}.{measure}.value"] = value
    if row.policies is not None:
        _policies(sheet, row, kept)
    if costs:
        _costs(sheet, row, kept, over_seeds(sheet.cost), costs)


def _policies(sheet: _Sheet, row: Row, kept: list[Ask]) -> None:
    """How often each policy was named, and how good the answers then were."""
    at, found, measure = f"rows[{row.router}].policies.use", sheet.found, sheet.board.suite.measure
    jobs = [job for job in sheet.policy if job[0] == row.router]
    made: dict[str, list[float | None]] = defaultdict(list)
    for job in jobs:
        for ask in kept:
            worth = sheet.worth(ask, sheet.choice[job][ask])
            made[sheet.policy[job][ask]].append(worth)
    for policy, worths in made.items():
        place = _step(at, policy)
        found[f"{place}.n"] = len(worths)
        found[f"{place}.share.value"] = len(worths) / len(kept) / len(jobs)
        found[f"{place}.{measure}.value"] = _mean(worths)


def _costs(sheet: _Sheet, row: Row, kept: list[Ask], cost: float, costs: dict[str, float]) -> None:
    at, found = f"rows[{row.router}].metrics", sheet.found
    found[f"{at}.cost_per_1k.value"] = 1000 * cost
    own = [spent for (name, _), spent in sheet.own.items() if name == row.router]
    if any(spent[a] is None for spent in own for a in kept):
        return  # the cost of routing is not known
    routing = _mean(_mean(spent[a] for a in kept) for spent in own)
    found[f"{at}.router_cost_per_1k.value"] = 1000 * routing
    found[f"{at}.total_cost_per_1k.value"] = 1000 * (cost + routing)
    for name, paid in costs.items():
        if name in ("best_single", "strongest") and paid:
            found[f"{at}.savings_vs_{name}.value"] = 1 - (cost + routing) / paid


def _pairs(sheet: _Sheet, routers: list[Row], kept: list[Ask], fixed: dict[str, Chosen]) -> None:
    """McNemar's p of every difference it was used for; ranks where it was used for all."""
    found, measure = sheet.found, sheet.board.suite.measure
    texts = [sheet.cells[a[1], fixed["best_single"][a]]["text_sha256"] for a in kept]
    scores: dict[str, list[float]] = {}
    for name in (row.router for row in routers):
        seeds = [chosen for (label, _), chosen in sheet.choice.items() if label == name]
        if all(chosen == seeds[0] for chosen in seeds):
            scores[name] = [sheet.worth(a, seeds[0][a]) or 0.0 for a in kept]
    plain = {n: s for n, s in scores.items() if set(s) <= {0.0, 1.0}}
    if len(set(texts)) < len(texts):
        return  # rows of one text are no independent pairs
    for row in routers:
        for other in row.against:
            at = f"{_step(f'rows[{row.router}].against', other)}.{measure}"
            reference = fixed.get(other.replace("-", "_"))
            if reference is not None:
                second = [sheet.worth(a, reference[a]) or 0.0 for a in kept]
            elif other in scores and other != "random":  # which is the reference of that name
                both = [found[f"rows[{n}].metrics.{measure}.value"] for n in (row.router, other)]
                found[f"{at}.value"] = both[0] - both[1]
                second = scores[other]
            else:
                continue
            if row.router in plain and set(second) <= {0.0, 1.0}:
                found[f"{at}.p_raw"] = _mcnemar(plain[row.router], second)
    if len(plain) < len(routers):
        return
    raw = {pair: _mcnemar(plain[pair[0]], plain[pair[1]]) for pair in combinations(plain, 2)}
    sure, level = set(), 0.0
    for step, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        level = max(level, min(1.0, p * (len(raw) - step)))
        if level < _ALPHA:
            sure.add(pair)
    for name in plain:
        better = [
            other for other in plain
            if {(name, other), (other, name)} & sure and fsum(plain[other]) > fsum(plain[name])
        ]  # fmt: skip
        found[f"rows[{name}].rank"] = 1 + len(better)


def _mcnemar(first: list[float], second: list[float]) -> float:
    """Exact, two-sided: discordant pairs are fair coin tosses."""
    pairs = Counter((a, b) for a, b in zip(first, second, strict=True) if a != b)
    n, least = sum(pairs.values()), min(pairs[1.0, 0.0], pairs[0.0, 1.0])
    return min(1.0, 2 * sum(comb(n, k) for k in range(least + 1)) / 2**n) if n else 1.0


def _read(folder: Path, board: Leaderboard) -> _Sheet:
    cells = {(c["query"], c["model"]): c for c in _rows(folder / "cells.parquet", _CELL)}
    everyone = _rows(folder / "users.parquet") if board.suite.users is not None else []
    askers = [(who["user"], who) for who in everyone] or [(None, {})]
    asks: dict[Ask, None] = {}
    for (query, _), cell in cells.items():
        for fold, part in enumerate(cell["parts"].split()):
            if part != "test":
                continue
            for name, who in askers:
                if name is None or _asks(who, fold, query, board.suite.protocol):
                    asks[fold, query, name] = None
    sheet = _Sheet(
        board, cells, list(asks), {who["user"]: who["preference"] for who in everyone}, {}, {}
    )
    _decisions(sheet, folder)
    return sheet


def _asks(who: dict[str, Any], fold: int, query: str, protocol: str) -> bool:
    if protocol == "user" and fold not in who["held_out_in"]:
        return False
    return who.get("asked") is None or query in who["asked"]


def _decisions(sheet: _Sheet, folder: Path) -> None:
    place = folder / "decisions.parquet"
    if not place.exists():
        return
    alike: dict[tuple[int, str], list[Ask]] = defaultdict(list)
    for ask in sheet.asks:
        alike[ask[0], ask[1]].append(ask)
    everyone = bool(sheet.weight)
    rows = _rows(place, _DECISION)
    billed = {r["router"] for r in rows if r["router_cost_usd"] is not None}
    for row in rows:
        job = row["router"], row["seed"]
        spent = row["router_cost_usd"] if row["router"] in billed else 0.0
        if everyone and row["user"] is not None:
            about = [(row["fold"], row["query"], row["user"])]
        else:
            about = alike[row["fold"], row["query"]]
        for ask in about:
            sheet.choice.setdefault(job, {})[ask] = row["choice"]
            sheet.own.setdefault(job, {})[ask] = spent
            if row["policy"] is not None:
                sheet.policy.setdefault(job, {})[ask] = row["policy"]


def _fixed(sheet: _Sheet) -> dict[str, Chosen]:
    """The models that each fold's training named."""
    facts = sheet.board.diagnostics.folds
    return {
        name: {a: getattr(facts[a[0]], name) for a in sheet.asks}
        for name in ("best_single", "cheapest", "strongest")
        if all(getattr(fold, name) is not None for fold in facts)
    }


def _usable(sheet: _Sheet, ask: Ask, routers: list[Row], fixed: dict[str, Chosen]) -> bool:
    named = {row.router for row in routers}
    models = {own[ask] for (name, _), own in sheet.choice.items() if name in named}
    models |= {choice[ask] for choice in fixed.values()}
    return all(sheet.worth(ask, model) is not None for model in models)


def _worths(sheet: _Sheet, ask: Ask) -> Iterable[float]:
    each = (sheet.worth(ask, model) for model in sheet.board.suite.models)
    return [worth for worth in each if worth is not None]


def _mean(values: Iterable[float | bool | None]) -> float:
    known = [float(value) for value in values if value is not None]
    return fsum(known) / len(known)


def _step(path: str, name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    return f"{path}.{name}" if plain else f"{path}[{name}]"


def _rows(path: Path, columns: Iterable[str] = ()) -> list[dict[str, Any]]:
    table = read_table(path)
    wanted = [name for name in columns if name in table.column_names] or table.column_names
    found: list[dict[str, Any]] = table.select(wanted).to_pylist()
    return [dict.fromkeys(columns) | row for row in found]
