"""Two runs side by side, for a person at 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routebench.comparison.compare import ComparedPair, RunComparison
from routebench.comparison.paired import ChangedQuery
from routebench.metrics.bootstrap import CROSSED_SEEDS
from routebench.metrics.statistics import ALPHA
from routebench.report.terminal.console import make_table, model_names, short
from routebench.schema import Difference

_COST = "total_cost_per_1k"
_NAME, _MODELS = 22, 46  # columns


def show(comparisons: Sequence[RunComparison], out: Console) -> None:
    """Print values of both sides with paired differences, then what changed."""
    for number, one in enumerate(comparisons):
        if number:
            out.print()
        _headline(one, out)
        for note in one.notes:
            out.print(f"[yellow]{escape(note)}[/yellow]", soft_wrap=True)
        out.print()
        if one.pairs:
            out.print(_values(one))
            out.print()
            out.print(_changes(one))
            _footnote(one, out)
        else:
            out.print("no router has finished in both")
        for run, routers in one.alone.items():
            out.print(f"only in {escape(run)}: {escape(', '.join(routers))}", soft_wrap=True)
        for pair in one.pairs:
            _flips(pair, one, out)


def _headline(one: RunComparison, out: Console) -> None:
    same = one.runs[0] == one.runs[1]
    title = one.runs[0] if same else f"{one.runs[0]} → {one.runs[1]}"
    out.print(f"[bold]{escape(title)}[/bold]", soft_wrap=True)
    lost = f", {one.left_out:,} left out: no usable answer" if one.left_out else ""
    out.print(f"{one.queries:,} common test {'asks' if _users(one) else 'queries'}{lost}")


def _values(one: RunComparison) -> Table:
    unit = "Δ" if _users(one) else "Δ, pp"
    table = make_table("router", one.measure, "then", unit, "$ / 1k", "then", "Δ $")
    scale, digits = (1, 3) if _users(one) else (100, 1)
    for pair in one.pairs:
        before, after = pair.measured[one.measure]
        paid = pair.measured[_COST]
        table.add_row(
            _name(pair),
            *(f"{scale * (value or 0):.{digits}f}" for value in (before, after)),
            _delta(pair.delta[one.measure], scale, digits, good=1),
            *("–" if value is None else f"{value:#.4g}" for value in paid),
            _delta(pair.delta[_COST], 1, _digits(paid), good=-1),
        )
    return table


def _digits(paid: tuple[float | None, float | None]) -> int:
    """Return decimals that show a hundredth of the larger cost."""
    top = max(value or 0.0 for value in paid)
    return next((digits for digits in range(7) if top * 10**digits >= 100), 7)


def _delta(delta: Difference, scale: float, digits: int, good: int) -> str:
    if delta.value is None or delta.low is None or delta.high is None:
        return "–"
    value, low, high = (scale * x for x in (delta.value, delta.low, delta.high))
    if value == low == high == 0:
        return "="
    text = escape(f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]")
    if delta.p is None or delta.p >= ALPHA:
        return f"{text} "
    colour = "green" if value * good > 0 else "red"
    return f"[{colour}]{text}*[/{colour}]"


def _changes(one: RunComparison) -> Table:
    table = make_table("decided otherwise", "worse", "Δ $", "better", "Δ $", "same score", "Δ $")
    for pair in one.pairs:
        cells = [text for kind in ("worse", "better", "same") for text in _counted(pair, kind)]
        table.add_row(_name(pair), *cells)
    return table


def _counted(pair: ComparedPair, kind: str) -> tuple[str, str]:
    changed = pair.changed[kind]
    cost = "–" if changed.cost is None or not changed.queries else f"{changed.cost:+.3g}"
    return f"{changed.queries:,}", cost


def _footnote(one: RunComparison, out: Console) -> None:
    notes = ["[ ]: 95% intervals, paired", "*: p < .05, Holm-adjusted over the routers"]
    notes.append("Δ $ of decisions: what they cost more in all")
    if one.seeds < CROSSED_SEEDS:
        notes.append("fewer than 3 seeds: intervals are of these checkpoints only")
    out.print(f"[dim]{escape('; '.join(notes))}[/dim]")


def _flips(pair: ComparedPair, one: RunComparison, out: Console) -> None:
    if not pair.flips:
        return
    out.print()
    columns = ["user"] if _users(one) else []
    table = make_table(f"{_name(pair)}: query", *columns, "models", "score", "$ / 1k")
    for flip in pair.flips:
        who = [escape(short(flip.user or "", 12))] if columns else []
        table.add_row(_query(flip), *who, _models(flip), _scores(flip), _costs(flip))
    out.print(table)


def _query(flip: ChangedQuery) -> str:
    task = f" ({flip.task})" if flip.task else ""
    return escape(short(f"{flip.query}{task}", 32))


def _models(flip: ChangedQuery) -> str:
    each = (_MODELS - 12) // 2
    names = model_names(flip.models, each)
    first, second = (escape(names[name]) for name in flip.models)
    return f"{first} → {second}"


def _scores(flip: ChangedQuery) -> str:
    text = " → ".join(f"{score:.2g}" for score in flip.score)
    change = flip.score[1] - flip.score[0]
    return f"[{'green' if change > 0 else 'red'}]{text}[/]" if change else text


def _costs(flip: ChangedQuery) -> str:
    if flip.cost is None:
        return "–"
    return " → ".join(f"{1000 * cost:.3g}" for cost in flip.cost)


def _name(pair: ComparedPair) -> str:
    if pair.first == pair.second:
        return escape(short(pair.first, _NAME))
    each = (_NAME - 3) // 2
    return escape(f"{short(pair.first, each)} → {short(pair.second, each)}")


def _users(one: RunComparison) -> bool:
    return one.measure == "reward"
