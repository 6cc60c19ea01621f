"""The leaderboard as a table a person can read at 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rich import box
from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from routebench.board.run_folder import CHECKPOINTS
from routebench.names import is_label
from routebench.report import lengths, steps
from routebench.report.format import BASELINE, COLLAPSED, REFERENCES, SOURCES
from routebench.report.summary import few_seeds, learned_from, seen_in_training, why_left_out
from routebench.report.terminal import online, policies, router_facts, tradeoffs, verdict_table
from routebench.report.terminal.console import (
    LABEL,
    difference,
    dollars,
    model_names,
    percent,
    plain,
    short,
)
from routebench.report.volume import Volume
from routebench.schema import INCOMPLETE, Estimate, Leaderboard, Row, collapse

_TIMINGS = ("  fit s", " queries/s", " p50 ms", " MiB")
_COLUMNS = ("#", "router", "accuracy", "Δ {}, pp", "$ / 1k", "saves")
_USERS = ("#", "router", "reward", "Δ {}", "worst", "differ")
_FEW = 1000  # queries, of which a single split tests too few to tell much
_MEANS = ("effect", "  cost", "best LLM")


def show(
    board: Leaderboard,
    out: RichConsole,
    wide: bool = False,
    curves: bool = False,
    folder: Path | None = None,
    baseline: str = BASELINE,
    volume: Volume | None = None,
) -> None:
    """Print headline, table, references and warnings; with `wide` policies and facts too."""
    _headline(board, out)
    out.print()
    judged = any(row.verdict for row in board.rows)
    if judged:
        names, extra = _more(board, wide)
        verdict_table.show(board, out, baseline, _models, names, extra)
    else:
        out.print(_table(board, wide, out.width, baseline))
    out.print()
    if judged and volume is not None:
        verdict_table.show_monthly(board, out, volume)
    _footnotes(board, out)
    if curves:
        out.print()
        tradeoffs.show(board, out)
    if wide and any(row.policies for row in board.rows):
        out.print()
        policies.show(board, out)
    if wide and any(row.facts for row in board.rows):
        out.print()
        router_facts.show(board, out)
    if board.online is not None:
        out.print()
        online.show(board, out)
    _diagnostics(board, out)
    _warnings(board, out)
    if folder is not None:
        _logs(board, out, folder)
        out.print(f"written to {escape(str(folder))}", soft_wrap=True)


def _headline(board: Leaderboard, out: RichConsole) -> None:
    suite, diagnostics = board.suite, board.diagnostics
    folds = f", {suite.folds} folds" if suite.folds > 1 else f", {suite.split} split"
    seeds = max((len(row.seeds) for row in board.rows), default=0)
    files = "".join(f" {Path(path).name}" for path in board.environment.get("data", []))
    out.print(f"[bold]{escape(suite.name + files)}[/bold] ({SOURCES[suite.source]})")
    if board.headline is not None:
        out.print(f"[bold]{escape(board.headline)}[/bold]")
    size = f"{suite.users:,} users ask {diagnostics.scored:,} times" if suite.users else ""
    facts = [
        (size or f"{diagnostics.scored:,} test queries") + folds,
        f"{len(suite.models)} models",
        f"{seeds} seed{'s' if seeds != 1 else ''}",
    ]
    out.print(" · ".join(facts))
    if not board.valid:
        out.print(f"[bold red]INVALID:[/bold red] {escape(board.invalid_reason or '')}")
    for note in suite.notes:
        if note.startswith(INCOMPLETE):
            text = escape(note.removeprefix(INCOMPLETE))
            out.print(f"[bold yellow]{INCOMPLETE}[/bold yellow]{text}")


def _table(board: Leaderboard, wide: bool, width: int, baseline: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    columns, metric_cells = (
        (_USERS, _user_cells) if board.suite.users else (_COLUMNS, _router_cells)
    )
    reference = "best single" if baseline == BASELINE else short(baseline, 14)
    names = [name.format(reference) for name in columns]
    entered = [row for row in board.rows if row.state != "skipped"]
    rows = [_cells(row, len(names), lambda row: metric_cells(row, baseline)) for row in entered]
    lines = _references(board)
    more, extra = _more(board, wide)
    for name in names:
        table.add_column(name, justify="left" if name == "router" else "right", no_wrap=True)
    # The names of models are long and alike; they get what the numbers leave.
    used = sum(
        2 + max(cell_len(name), *(Text.from_markup(r[at]).cell_len for r in [*rows, *lines]))
        for at, name in enumerate(names)
    )
    room = max(16, width - used - sum(len(name) + 2 for name in more))
    table.add_column("models used", no_wrap=True)
    for name in more:
        table.add_column(name, justify="right", no_wrap=True)
    for row, cells in zip(entered, rows, strict=True):
        table.add_row(*cells, _models(row.usage, room), *extra(row))
    table.add_section()
    for cells in lines:
        table.add_row(*cells, style="dim")
    return table


def _more(board: Leaderboard, wide: bool) -> tuple[list[str], Callable[[Row], list[str]]]:
    """Return the names of the columns that `wide` adds, and what a row has there."""
    graded = wide and any("f_score" in row.metrics for row in board.rows)
    names = [*([" attempted", "   F-score"] if graded else []), *(_TIMINGS if wide else [])]
    users = wide and bool(board.suite.users)
    if users:
        names = [*_MEANS, *names]

    def extra(row: Row) -> list[str]:
        cells = [*(_grades(row) if graded else []), *(_timing(board, row) if wide else [])]
        return [*_means(row.metrics), *cells] if users else cells

    return names, extra


def _cells(row: Row, width: int, metric_cells: Callable[[Row], list[str]]) -> list[str]:
    label = escape(short(row.router, LABEL))
    if row.state != "ok":
        return ["–", label, f"[red]{row.state}[/red]", *[""] * (width - 3)]
    return [str(row.rank), label, *metric_cells(row)]


def _router_cells(row: Row, baseline: str) -> list[str]:
    return [
        percent(row.metrics["accuracy"]),
        difference(row.against[baseline]["accuracy"]),
        dollars(row.metrics["total_cost_per_1k"]),
        _savings(row.metrics["savings_vs_best_single"]),
    ]


def _user_cells(row: Row, baseline: str) -> list[str]:
    return [
        _bare(plain(row.metrics["reward"])),
        _bare(difference(row.against[baseline]["reward"], 1, 3)),
        _number(row.metrics.get("worst_user")),
        _savings(row.metrics["routed_differently"]),
    ]


def _means(metrics: Mapping[str, Estimate]) -> list[str]:
    """Return quality, cost, and how often the choice is the user's own best model."""
    names = ("effect", "relative_cost", "best_llm_accuracy")
    return [_number(metrics.get(name)) for name in names]


def _number(estimate: Estimate | None) -> str:
    return "–" if estimate is None or estimate.value is None else _bare(f"{estimate.value:.3f}")


def _bare(text: str) -> str:
    """Return `.382` for 0.382: there are many such numbers in a row."""
    return text.replace("0.", ".")


def _savings(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{100 * estimate.value:.0f}%"


def _models(usage: dict[str, float], room: int) -> str:
    """Return the two models used most (one where there is no more room), in `room` columns.

    Names are shortened so that no two models of the pool have the same.
    """
    top = sorted(usage.items(), key=lambda item: (-item[1], item[0]))[: 2 if room >= 26 else 1]
    parts = [(name, share) for name, share in top if share >= 0.005]
    each = (room - 3 * (len(parts) - 1)) // max(len(parts), 1) - 5
    names = model_names(usage, each)
    return " · ".join(f"{share:.0%} {escape(names[name])}" for name, share in parts)


def _grades(row: Row) -> list[str]:
    names = ("attempted", "f_score")
    return [percent(row.metrics[name]) if name in row.metrics else "–" for name in names]


def _timing(board: Leaderboard, row: Row) -> list[str]:
    facts = board.timing.get("routers", {}).get(row.router, {})
    texts = {
        "fit_seconds": f"{facts.get('fit_seconds', 0):.2f}",
        "queries_per_second": _large(facts.get("queries_per_second", 0)),
        "latency_ms_p50": f"{facts.get('latency_ms_p50', 0):.2f}",
        "peak_rss_bytes": f"{facts.get('peak_rss_bytes', 0) / 2**20:,.0f}",
    }
    return [text if name in facts else "–" for name, text in texts.items()]


def _large(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 else f"{number / 1e6:,.0f} M"


def _footnotes(board: Leaderboard, out: RichConsole) -> None:
    few = (
        ["fewer than 3 seeds: intervals are of these checkpoints only"] if few_seeds(board) else []
    )
    texts = (
        lengths.by_length(board),
        verdict_table.undecided(board),
        steps.asked(board),
        _detectable(board),
    )
    if any(row.verdict for row in board.rows):
        costs = [("costs", text.removeprefix("costs ")) for text in _estimated(board)]
        seeds = [("seeds", text) for text in few]
        verdict_table.show_notes([*verdict_table.notes(board), *costs, *seeds], out)
    else:
        notes = ["below the line: references, in hindsight: chosen on the test part"]
        notes += ["± and [ ]: 95% intervals", "*: p < .05, paired, Holm-adjusted"]
        notes.append("#: 1 + the routers sure to be better, all pairs tested together (Holm)")
        notes += [*_about_costs(board), *few]
        out.print(f"[dim]{escape('; '.join(notes))}[/dim]")
    for text in texts:
        if text is not None:
            out.print(escape(text))


def _about_costs(board: Leaderboard) -> list[str]:
    if board.suite.users:
        return [
            "reward: w · effect − (1 − w) · cost, w each user's own; worst: of the user served"
            " worst; differ: queries that go to different models by user"
        ]
    if board.priced == "unpriced":
        return ["unpriced: no cost column and no --prices, so costs are unknown", *_listed(board)]
    return ["saves: cost against best single, per query", *_estimated(board)]


def _estimated(board: Leaderboard) -> list[str]:
    """Return on what guesses costs are based; nothing for recorded ones."""
    if board.priced != "estimated":
        return []
    basis = board.diagnostics.cost_basis
    known = [f"{basis['estimated']:,} from their texts"] if basis.get("estimated") else []
    guesses = [*known, *filter(None, [lengths.assumed(board)])]
    return [f"costs estimated: {', '.join(guesses)}"]


def _listed(board: Leaderboard) -> list[str]:
    """Return how many models of an unpriced board the dated lists have; nothing for none."""
    from routebench.prices.listed import known

    models = board.suite.models
    number = len(known(tuple(models)))
    of = "all" if number == len(models) else f"{number} of {len(models)}"
    return [f"`--prices list` has prices of {of} models"] if number else []


def _references(board: Leaderboard) -> list[list[str]]:
    """Return lines to read the routers against; none of them is a router."""
    metrics = [(text, board.references.get(name)) for name, text in REFERENCES.items()]
    if board.suite.users:
        return [["", text, _bare(plain(m["reward"])), "", "", ""] for text, m in metrics if m]
    return [
        ["", text, percent(m["accuracy"]), "", dollars(m["cost_per_1k"]), ""]
        for text, m in metrics
        if m
    ]


def _detectable(board: Leaderboard) -> str | None:
    """Return the smallest difference from the best single model that each router could show."""
    scale, digits = (1.0, 3) if board.suite.users else (100.0, 1)
    known = [(row.router, row.mde) for row in board.rows if row.mde is not None]
    if not known:
        return None
    each = ", ".join(f"{name} {scale * value:.{digits}f}" for name, value in known)
    unit = "" if board.suite.users else ", pp"
    return f"smallest difference from best single that each could show{unit}: {each}"


def _diagnostics(board: Leaderboard, out: RichConsole) -> None:
    diagnostics = board.diagnostics
    if not diagnostics.headroom:
        out.print("[yellow]no headroom: no router can beat the best single model here[/yellow]")
    else:
        gain = (
            f"{diagnostics.headroom:.3f}"
            if board.suite.users
            else f"{100 * diagnostics.headroom:.1f} pp"
        )
        out.print(
            f"headroom {gain} (oracle − best single); models disagree on "
            f"{diagnostics.disagreement:.0%} of queries, "
            f"{diagnostics.routable:.0%} can be routed better"
        )
    queries = sum(board.suite.queries.values())
    one_split = board.suite.folds == 1 and board.suite.split == "hash" and board.online is None
    if one_split and queries <= _FEW:
        out.print(
            f"{board.suite.queries['test']:,} of {queries:,} queries are tested: with --folds 5 all"
            f" {queries:,} are"
        )
    if diagnostics.cheapest_dominates:
        out.print("[yellow]the cheapest model is also the best single one[/yellow]")
    if diagnostics.leaked:
        out.print(
            f"leak: {diagnostics.leaked:,} test queries had a duplicate in train or validation; "
            f"{diagnostics.removed:,} rows removed from there"
        )
    told = any(note.startswith(INCOMPLETE) for note in board.suite.notes)
    if diagnostics.left_out and not told:
        out.print(
            f"[yellow]{diagnostics.left_out:,} test queries left out of all rows: "
            f"{why_left_out(board)}[/yellow]"
        )
    if diagnostics.missing:
        out.print(f"missing cells: {diagnostics.missing:.2%} of those asked")


def _logs(board: Leaderboard, out: RichConsole, folder: Path) -> None:
    """Name the log of each router that failed: its traceback, and what it printed."""
    for row in board.rows:
        if row.state != "failed" or not is_label(row.router):
            continue
        found = sorted((folder / CHECKPOINTS / row.router).glob("**/error.txt"))
        if found:
            out.print(f"log of {escape(row.router)}: {escape(str(found[0]))}", soft_wrap=True)


def _warnings(board: Leaderboard, out: RichConsole) -> None:
    for note in board.suite.notes:
        if note.startswith(INCOMPLETE):
            continue
        out.print(f"[dim]note: {escape(note)}[/dim]")
    for note in [*learned_from(board), *seen_in_training(board)]:
        out.print(f"[dim]{escape(note)}[/dim]")
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in board.rows:
        if row.message:
            reasons.setdefault((row.state, row.message), []).append(row.router)
    for (state, message), labels in reasons.items():
        out.print(f"{escape(', '.join(labels))} {state}: {escape(message)}", soft_wrap=True)
    routers: dict[str, list[str]] = {}
    for row in board.rows:
        # Which model it is stands in the table; here all such rows go into one line.
        collapsed = collapse(row.usage) is not None and not row.reference
        for warning in ([COLLAPSED] if collapsed else []) + row.other_warnings:
            routers.setdefault(warning, []).append(row.router)
    for warning, labels in routers.items():
        out.print(f"[yellow]{escape(warning)}[/yellow]: {escape(', '.join(labels))}")
