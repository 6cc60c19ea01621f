"""One test query of a run: what each model answered it with, and which each router chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.markup import escape

from routebench.board.read_run import Stored
from routebench.data.splits import TEST
from routebench.errors import OptionError, did_you_mean
from routebench.records import Floats
from routebench.report.format import MISSING, in_order
from routebench.report.terminal.console import LABEL, make_table, short

_NAME = 40  # columns


def show(run: Stored, query: str, point: str | None, out: Console) -> None:
    """Print a query's recorded answers, and the routers' choices of the first seed.

    Raises:
        OptionError: it is no test query of the run, or asked by users.
    """
    at = _place(run, query)
    scores, costs = run.outcomes.score[at], run.outcomes.cost
    models = run.models
    task = run.setup.data.queries.task
    about = f" · task {task[run.rows[at]]}" if task is not None else ""
    out.print(f"[bold]{escape(query)}[/bold]{escape(about)} · tested in fold {run.folds[at]}")
    best = np.nanmax(scores, initial=0.0)
    right = [model for model, score in zip(models, scores, strict=True) if score == best > 0]
    words = f"best answered by {', '.join(right)}" if right else "no model scores on it"
    out.print(escape(words), soft_wrap=True)
    out.print()
    table = make_table("model", "score", "$ / 1k")
    for place in _order(scores, None if costs is None else costs[at]):
        paid = None if costs is None else float(costs[at][place])
        table.add_row(escape(short(models[place], _NAME)), _number(scores[place]), _usd(paid))
    out.print(table)
    out.print()
    choices = make_table("router", "chose", "score", "$ / 1k", "expected", left=("chose",))
    judged, others = in_order(run.board)
    for name in (row.router for row in (*judged, *others) if row.state == "ok"):
        choice = int(_choices(run, name, point)[at])
        expected = _expected(run, name, at)
        paid = None if costs is None else float(costs[at][choice])
        cells = [escape(short(name, LABEL)), escape(short(models[choice], _NAME))]
        cells += [_number(scores[choice]), _usd(paid)]
        choices.add_row(*cells, MISSING if expected is None else _number(expected[choice]))
    out.print(choices)
    where = "by its own choice" if point is None else f"at {point}"
    out.print(
        f"[dim]{where}, first seed; expected: the score that the router predicted of the model "
        f"that it chose, before it saw an outcome[/dim]"
    )


def _place(run: Stored, query: str) -> int:
    """Return the row of a query, by its id, among those that the run tests."""
    if run.users is not None:
        raise OptionError(f"--query {query}: in a suite with users each of them has an answer")
    ids: Sequence[str] = [str(run.setup.data.ids[row]) for row in run.rows]
    if query not in ids:
        known = {str(name) for name in run.setup.data.ids}
        hint = "" if query in known else did_you_mean(query, ids)
        raise OptionError(
            f"--query {query}: is no test query of this run",
            hint or "it is in train or validation; --folds 5 tests every query",
        )
    return ids.index(query)


def _choices(run: Stored, router: str, point: str | None) -> Floats:
    row = next(row for row in run.board.rows if row.router == router)
    if point is not None and point in row.points:
        chosen: Floats = run.choices_at(router, point)[0][0]
        return chosen
    own: Floats = run.choices(router)[0]
    return own


def _expected(run: Stored, router: str, at: int) -> Floats | None:
    """Return the quality [m] that a router predicted for a query; None where none is stored."""
    fold = int(run.folds[at])
    quality = run.expected.get(((router, run.seeds(router)[0], fold), TEST))
    if quality is None:
        return None
    predicted: Floats = quality[np.searchsorted(run.setup.rows(fold, TEST), run.rows[at])]
    return predicted


def _order(scores: Floats, costs: Floats | None) -> list[int]:
    """Return the models' places, the best first, and of equals the cheapest."""
    paid = np.zeros(len(scores)) if costs is None else np.nan_to_num(costs, nan=np.inf)
    return [int(i) for i in np.lexsort((paid, -np.nan_to_num(scores, nan=-1.0)))]


def _number(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:.3g}"


def _usd(value: float | None) -> str:
    return MISSING if value is None or np.isnan(value) else f"{1000 * value:#.3g}"
