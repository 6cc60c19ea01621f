"""A board in words and tables, for the page and for Markdown: headline, leaderboard, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routebench.metrics.points.words import bound, signed
from routebench.report import lengths, steps
from routebench.report.format import (
    BASELINE,
    COLLAPSED,
    MISSING,
    REFERENCES,
    SOURCES,
    Cell,
    change,
    in_order,
    money,
    plain,
    share,
    shortened,
    without_vendors,
)
from routebench.report.points import pair_words
from routebench.schema import Estimate, Leaderboard, Learning, RouterVerdict, Row, collapse


@dataclass(frozen=True)
class DisplayTable:
    """Headings and cells; `foot` holds lines to read the others against."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]] = ()


def title(board: Leaderboard) -> str:
    """Return the suite's name, with those of its files."""
    named = [Path(str(path)).name for path in board.environment.get("data", [])]
    return " ".join([board.suite.name, *named])


def finished(board: Leaderboard) -> list[Row]:
    """Return the rows that ended well."""
    return [row for row in board.rows if row.state == "ok"]


def pp(board: Leaderboard) -> tuple[float, int]:
    """Return scale and digits of differences: percentage points, or reward as it is."""
    return (100, 1) if board.suite.measure == "accuracy" else (1, 3)


def few_seeds(board: Leaderboard) -> bool:
    """Return whether intervals are of these checkpoints only, for lack of seeds."""
    return any(row.interval_scope == "this checkpoint only" for row in board.rows)


def quality(row: Row, board: Leaderboard) -> Estimate | None:
    """Return the metric that routers are ranked by."""
    return row.metrics.get(board.suite.measure)


def facts(board: Leaderboard) -> list[tuple[str, str]]:
    """Return the headline, name by name."""
    suite, diagnostics = board.suite, board.diagnostics
    seeds = max((len(row.seeds) for row in board.rows), default=0)
    size = f"{suite.users:,} users ask {diagnostics.scored:,} times" if suite.users else (
        f"{diagnostics.scored:,} queries"
    )  # fmt: skip
    split = f"{suite.folds} folds" if suite.folds > 1 else f"{suite.split} split"
    scale, digits = pp(board)
    pairs = [
        ("Source", SOURCES[suite.source]),
        ("Test", f"{size}, {split}"),
        ("Pool", f"{len(suite.models)} models"),
        ("Seeds", str(seeds)),
        ("Costs", board.priced),
    ]
    if diagnostics.mde is not None:
        words = f"{scale * diagnostics.mde:.{digits}f} pp between {diagnostics.mde_of}"
        pairs.append(("Smallest detectable difference", words))
    return pairs


def why_left_out(board: Leaderboard) -> str:
    """Return why test queries are scored for no row."""
    if any(row.steps for row in board.rows):
        return "not every model answered them, or they have the text of another one"
    return "a chosen model has no usable answer there"


def notices(board: Leaderboard) -> list[str]:
    """Return the notices to read before the numbers, most serious first."""
    diagnostics = board.diagnostics
    texts = [] if board.valid else [f"INVALID: {board.invalid_reason}"]
    texts += [board.headline] if board.headline is not None else []
    if not diagnostics.headroom:
        texts.append("no headroom: no router can beat the best single model here")
    if diagnostics.cheapest_dominates:
        texts.append("the cheapest model is also the best single one")
    if board.priced == "unpriced":
        texts.append("unpriced: no cost column and no price list, so costs are unknown")
    if board.priced == "estimated":
        guess = lengths.assumed(board) or "lengths taken from the texts"
        texts.append(f"costs are estimated: {guess}")
        texts += filter(None, [lengths.by_length(board)])
    texts += filter(None, [steps.asked(board)])
    if diagnostics.leaked:
        texts.append(
            f"{diagnostics.leaked:,} test queries had a duplicate in train or validation; "
            f"{diagnostics.removed:,} rows removed from there"
        )
    if diagnostics.left_out:
        texts.append(
            f"{diagnostics.left_out:,} test queries are left out of all rows: {why_left_out(board)}"
        )
    if diagnostics.missing:
        texts.append(f"missing cells: {diagnostics.missing:.2%} of those asked")
    texts += [
        f"APGR, from the weak to the strong model: {words}" for words in pair_words(finished(board))
    ]
    return (
        texts
        + _by_row(board)
        + learned_from(board)
        + seen_in_training(board)
        + list(board.suite.notes)
    )


def seen_in_training(board: Leaderboard) -> list[str]:
    """Return which columns routers learned from and routed without; empty for none."""
    columns = " and ".join(board.suite.training_only)
    return [f"{columns}: seen in training, hidden when routers route"] if columns else []


def learned_from(board: Leaderboard) -> list[str]:
    """Return how many queries routers learned from, in a run with inner folds; empty for others."""
    groups: dict[Learning, list[str]] = {}
    for row in finished(board):
        if row.learning is not None and not row.reference:
            groups.setdefault(row.learning, []).append(row.router)
    return [
        f"{', '.join(routers)}: {_learning(one)}"
        for one, routers in sorted(groups.items(), key=lambda item: -item[0].inner_folds)
    ]


def _learning(one: Learning) -> str:
    if not one.inner_folds:
        return f"learned from {one.queries:,} queries (train); points chosen on {one.chosen_on:,}"
    return (
        f"learned from {one.queries:,} queries (train + validation); points chosen on the decisions"
        f" of {one.inner_folds} inner fits on these"
    )


def _by_row(board: Leaderboard) -> list[str]:
    routers: dict[str, list[str]] = {}
    for row in board.rows:
        if row.message:
            routers.setdefault(f"{row.state}: {row.message}", []).append(row.router)
        for warning in (
            [COLLAPSED] if collapse(row.usage) and not row.reference else []
        ) + row.other_warnings:
            routers.setdefault(warning, []).append(row.router)
    return [f"{text}: {', '.join(labels)}" for text, labels in routers.items()]


def leaderboard(board: Leaderboard) -> DisplayTable:
    """Return all rows but skipped ones; routers of one rank do not differ significantly."""
    entered = [row for row in board.rows if row.state != "skipped"]
    users = bool(board.suite.users)
    judged, others = in_order(board)
    heads = _USERS if users else (_judged_heads(judged) if judged else _COLUMNS)
    cells = _user_cells if users else (_judged_cells if judged else _router_cells)
    entered = [*judged, *others]
    tied = [row.rank for row in entered]
    rows = []
    for row in entered:
        head, rank = Cell(row.router, row.router), _rank(row, tied.count(row.rank))
        if row.state == "ok":
            rows.append([head, *cells(row, board), rank, _models(row)])
        else:
            rows.append([head, Cell(row.state, None, row.message or "", "worse"),
                         *[Cell("")] * (len(heads) - 2)])  # fmt: skip
    foot = _references(board, len(heads), len(_VERDICT) if judged else 0)
    return _without_unknown(DisplayTable(heads, rows, foot))


def _without_unknown(table: DisplayTable) -> DisplayTable:
    """Return the table without columns of unknown values, such as unpriced costs."""
    lines = [*table.rows, *table.foot]
    known = [any(line[at].sort is not None for line in lines) for at in range(len(table.heads))]
    kept = [at for at, is_known in enumerate(known) if is_known or at < 2]
    rows, foot = ([[line[at] for at in kept] for line in part] for part in (table.rows, table.foot))
    return DisplayTable([table.heads[at] for at in kept], rows, foot)


_COLUMNS = ("Router", "Accuracy, %", "Δ best single, pp", "$ per 1k", "Saves",
            "APGR", "Rank", "Models used")  # fmt: skip
_VERDICT = ("Saves at {}", "Δ, pp (worst)", "Verdict")
_USERS = ("Router", "Reward", "Δ best single", "Worst user", "Differ", "Relative cost",
          "$ per 1k", "Rank", "Models used")  # fmt: skip


def _judged_heads(judged: Sequence[Row]) -> tuple[str, ...]:
    points = [row.verdict.point for row in judged if row.verdict is not None]
    first = min(points, key=lambda name: (name == "most-accurate", name))
    return (_COLUMNS[0], _VERDICT[0].format(first), *_VERDICT[1:], *_COLUMNS[1:])


def _judged_cells(row: Row, board: Leaderboard) -> list[Cell]:
    return [*_verdict_cells(row.verdict), *_router_cells(row, board)]


def _verdict_cells(verdict: RouterVerdict | None) -> list[Cell]:
    if verdict is None:
        return [Cell("")] * len(_VERDICT)
    loss = f"{signed(verdict.difference)} ({bound(verdict.low, verdict.margin)})"
    tone = {"proven": "better", "worse": "worse"}.get(verdict.kind, "")
    return [
        share(verdict.savings),
        Cell("=" if verdict.kind == "same" else loss, verdict.difference, f"at {verdict.point}"),
        Cell("same model" if verdict.kind == "same" else verdict.kind, verdict.kind,
             verdict.sentence, tone),
    ]  # fmt: skip


def _rank(row: Row, of_it: int) -> Cell:
    if row.rank is None:
        return Cell(MISSING)
    note = f"tied with {of_it - 1} more" if of_it > 1 else ""
    return Cell(f"{row.rank}{'=' if of_it > 1 else ''}", row.rank, note)


def _router_cells(row: Row, board: Leaderboard) -> list[Cell]:
    got = row.metrics.get
    against = row.against.get(BASELINE, {}).get("accuracy")
    return [
        plain(got("accuracy"), 100, 1),
        change(against),
        money(got("total_cost_per_1k")),
        share(got("savings_vs_best_single")),
        plain(got("apgr")),
    ]


def _user_cells(row: Row, board: Leaderboard) -> list[Cell]:
    got = row.metrics.get
    return [
        plain(got("reward")),
        change(row.against.get(BASELINE, {}).get("reward"), 1, 3),
        plain(got("worst_user")),
        share(got("routed_differently")),
        plain(got("relative_cost")),
        money(got("total_cost_per_1k")),
    ]


def _models(row: Row) -> Cell:
    top = sorted(row.usage.items(), key=lambda item: (-item[1], item[0]))
    names = without_vendors(row.usage)
    texts = [f"{part:.0%} {names[name]}" for name, part in top if part >= 0.005]
    first = [shortened(text, 22) for text in texts[:2]]
    rest = f" + {len(texts) - 2} more" if len(texts) > 2 else ""
    return Cell(" · ".join(first) + rest, texts[0] if texts else None, " · ".join(texts))


def _references(board: Leaderboard, width: int, verdict: int) -> list[list[Cell]]:
    users, lines = bool(board.suite.users), []
    for name, text in REFERENCES.items():
        if not (metrics := board.references.get(name)):
            continue
        cost = money(metrics.get("cost_per_1k"))
        value = plain(metrics.get("reward")) if users else plain(metrics.get("accuracy"), 100, 1)
        if users:
            middle = [*[Cell("")] * 3, plain(metrics.get("relative_cost")), cost]
        else:
            middle = [Cell(""), cost, Cell(""), *_apgr(metrics)]
        line = [Cell(text), *[Cell("")] * verdict, value, *middle]
        lines.append([*line, *[Cell("")] * (width - len(line))])
    return lines


def _apgr(metrics: dict[str, Estimate]) -> list[Cell]:
    return [plain(metrics["apgr"]) if "apgr" in metrics else Cell("")]
