"""`routebench route`: route queries with a trained router."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from routebench import router_options
from routebench.arguments import CHECKPOINT_OR_RUN
from routebench.printed import echo, echo_json

if TYPE_CHECKING:
    from routebench.board.trained import TrainedRouter
    from routebench.collect.live_answers import LiveAnswers
    from routebench.deploy.query_file import QueryFile
    from routebench.deploy.routing import Routing
    from routebench.plugin.budget import Budget
    from routebench.records import Queries

Values = dict[str, dict[str, Any]]
"""Options by the name that they are of."""
Decide = Callable[["Queries"], list[dict[str, Any]]]

_CHUNK = 1024
"""Queries that are routed at a time."""
_ASKED = 32
"""Queries that are answered at a time."""


@click.command()
@click.argument("folder", type=CHECKPOINT_OR_RUN, metavar="CHECKPOINT|RUN")
@click.argument("words", nargs=-1, metavar="[ROUTER] [TEXT…]")
@click.option(
    "--input",
    "input_",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Read JSON lines, each with query or messages, maybe user, task; "-" is standard input.',
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the lines of --input here, each with its decision; by default print them.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out lines of --input that are broken.")
@click.option(
    "--router",
    "file",
    metavar="FILE.py:CLASS",
    help="Load the code of a checkpoint's router from this file.",
)
@click.option("--user", metavar="NAME", help="Route for this user where a line names none.")
@click.option("--task", metavar="NAME", help="Take this task where a line names none.")
@router_options.models
@router_options.seed
@router_options.fold
@router_options.point("Decide at this operating point, such as within-1pp.")
@router_options.set_
@router_options.budget("Keep what the answers cost in all within this.")
@router_options.spent
@click.option(
    "--answer",
    "asking",
    is_flag=True,
    help="Ask the chosen model, or those a router that sees answers wants. Costs money.",
)
@router_options.providers(
    "Ask this provider for the run's models, or for one of them under another name."
)
@router_options.prices
@router_options.answers_as
@router_options.timeout
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per query.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    folder: Path,
    words: tuple[str, ...],
    input_: Path | None,
    output: Path | None,
    skip_bad: bool,
    file: str | None,
    user: str | None,
    task: str | None,
    models: tuple[str, ...],
    seed: int,
    fold: int,
    point: str | None,
    set_: tuple[str, ...],
    budget: float | None,
    spent: float | None,
    asking: bool,
    as_json: bool,
    **live: Any,
) -> None:
    """Say which model a trained router chooses for each TEXT, or each line of standard input.

    \b
    routebench route mf-checkpoint "Who wrote Emma?"
    routebench route mf-checkpoint --input queries.jsonl --output decisions.jsonl
    routebench route latest knn "Who wrote Emma?"
    routebench route latest mf --point within-1pp "Who wrote Emma?"
    routebench route results/simpleqa/0123456789ab policy --budget 10 --spent 8.5 < queries.txt
    routebench route results/simpleqa/0123456789ab agreement --answer --provider gemini "Who …?"

    Of a run folder the router is named too; of a file's router, mine.py:Mine, as what a folder
    names is not run. The checkpoint of one seed and fold decides. Nothing is asked of any model
    without --answer. At an operating point it decides as the run did there; the run's table
    lists them (routebench show RUN --curves). With a budget every query is charged the mean cost
    of the model chosen for it.

    With --answer the chosen model is asked, or those that a router wants that sees answers before
    it decides; every call is billed, and the answer is printed. A call that fails, or that may cost
    more than is left of the budget, is no answer. Keys are read from the environment only. Exit
    code 1: a query got no answer.
    """
    from routebench.board.checkpoint.description import is_checkpoint
    from routebench.board.provenance import split_file
    from routebench.board.trained import open_router
    from routebench.deploy import answering
    from routebench.deploy.query_file import QueryFile
    from routebench.deploy.routing import Routing
    from routebench.errors import OptionError
    from routebench.plugin import options

    _check(input_, output, skip_bad, spent, budget, point, asking, live)
    alone = is_checkpoint(folder)
    if not alone and file is None and not words:
        raise click.UsageError(f"{folder} is no checkpoint: name a router of the run too.", ctx)
    named = not alone or (bool(words) and _names_router(words[0], folder))
    router = file if file is not None or not named else words[0]
    texts = words if router is file else words[1:]
    if input_ is not None and texts:
        raise OptionError(f"--input {input_}: queries are given as arguments too")
    label = split_file(router)[0] if router is not None else _label(folder)
    own, others = (
        answering.parted(label, options.parse(set_)) if asking else (options.parse(set_), {})
    )
    trained = open_router(
        folder, router, seed=seed, fold=fold, point=point, changes=answering.changes(label, own),
        answers=asking,
    )  # fmt: skip
    for note in trained.notes:
        echo(f"warning: {note}", err=True)
    allowed = router_options.allowed(models)
    routing = Routing.of(trained, allowed)
    if trained.point is not None and (point is not None or trained.setting != "its own choice"):
        echo(f"{trained.label} at {trained.point}: {trained.setting}; {trained.place}", err=True)
    with ExitStack() as stack:
        source = None
        if asking:
            source = stack.enter_context(
                answering.source(trained, others, budget=budget, spent=spent, **live)
            )
        decide = _decide(routing, source, None if asking else _limit(trained, budget, spent))
        single = budget is not None
        if input_ is not None:
            queries = QueryFile(None if str(input_) == "-" else input_, skip_bad)
            size = 1 if single else _ASKED if asking else _CHUNK
            ctx.exit(_file(trained, queries, output, decide, (user, task), size, asking))
        size = 1 if single or asking else _CHUNK
        ctx.exit(_texts(trained, texts, decide, (user, task), size, as_json, asking))


def _names_router(word: str, folder: Path) -> bool:
    """Return whether a word is the name of a router: no text to route with a checkpoint's."""
    from routebench.plugin import discovery
    from routebench.plugin.renamed import current_name

    known = {info.name for info in discovery.installed("router")}
    return current_name(word) in known | {_label(folder)}


def _check(
    input_: Path | None,
    output: Path | None,
    skip_bad: bool,
    spent: float | None,
    budget: float | None,
    point: str | None,
    asking: bool,
    live: dict[str, Any],
) -> None:
    """Raise an `OptionError` for an option that does not count beside the others."""
    from routebench.errors import OptionError

    for name, given in (("--output", output), ("--skip-bad", skip_bad)):
        if given and input_ is None:
            raise OptionError(f"{name} is about the lines of --input", "--input FILE")
    if spent is not None and budget is None:
        raise OptionError("--spent is a part of a budget", "--budget USD")
    if asking:
        return
    for name, value in live.items():
        if value:
            option = "--provider" if name == "providers" else f"--{name.replace('_', '-')}"
            raise OptionError(f"{option}: nobody is asked without --answer")
    if point is not None and budget is not None:
        raise OptionError("--budget: a router keeps to it by its own choice, not at a point")


def _label(folder: Path) -> str:
    from routebench.board.checkpoint import description

    return description.read(folder).router


def _limit(trained: TrainedRouter, budget: float | None, spent: float | None) -> Budget | None:
    from routebench.plugin.budget import Budget

    if budget is None:
        return None
    limit = Budget(budget, spent or 0.0)
    trained.spend(limit)
    return limit


def _decide(routing: Routing, source: LiveAnswers | None, budget: Budget | None) -> Decide:
    """Return what decides on queries, has them answered by a source, and charges a budget."""
    from routebench.board.steps import live as live_steps
    from routebench.deploy.routing import as_values

    trained = routing.trained

    def decide(queries: Queries) -> list[dict[str, Any]]:
        if source is not None and trained.steps:
            return live_steps.answered(trained, source, queries)
        made = routing.decide(queries)
        if budget is not None:
            trained.charge(budget, made)
        values = [as_values(trained, made, row) for row in range(len(queries))]
        if budget is not None:
            spent = {"budget": {"limit": budget.limit, "spent": budget.spent}}
            values = [one | spent for one in values]
        if source is None:
            return values
        answers = live_steps.answered(trained, source, queries, made)
        return [one | answer for one, answer in zip(values, answers, strict=True)]

    return decide


def _file(
    trained: TrainedRouter,
    queries: QueryFile,
    output: Path | None,
    decide: Decide,
    default: tuple[str | None, str | None],
    size: int,
    asking: bool,
) -> int:
    """Route a file of queries; return the exit code."""
    from routebench.deploy import words
    from routebench.deploy.query_file import QueryRow
    from routebench.deploy.route_file import route_file

    user, task = default

    def decide_rows(rows: Sequence[QueryRow]) -> list[dict[str, Any]]:
        made = decide(
            trained.queries(
                [row.text for row in rows],
                [row.user if row.user is not None else user for row in rows],
                [row.preference for row in rows],
                [row.task if row.task is not None else task for row in rows],
            )
        )
        return [{name: one for name, one in each.items() if name != "query"} for each in made]

    routed = route_file(queries, output, decide_rows, echo_json, size, distinct=asking)
    for problem in queries.problems:
        echo(f"skipped: {problem}", err=True)
    if queries.skipped > len(queries.problems):
        echo(f"skipped: {queries.skipped - len(queries.problems):,} more lines", err=True)
    usd = None if routed.unpriced else routed.expected_usd
    echo(words.summary(routed.queries, routed.by_model, usd), err=True)
    return 1 if routed.unanswered else 0


def _texts(
    trained: TrainedRouter,
    texts: tuple[str, ...],
    decide: Decide,
    default: tuple[str | None, str | None],
    size: int,
    as_json: bool,
    asking: bool,
) -> int:
    """Route texts, or the lines of standard input; return the exit code."""
    from routebench.deploy import words
    from routebench.errors import OptionError

    user, task = default
    lines = words.answer_lines if asking else words.decision_lines
    routed = lost = 0
    for chunk in _chunks(texts, size):
        n = len(chunk)
        queries = trained.queries(chunk, [user] * n, None, None if task is None else [task] * n)
        for text, made in zip(chunk, decide(queries), strict=True):
            values = {"query": text} | made
            echo_json(_json(values)) if as_json else echo(lines(values))
            lost += values["model"] is None
        routed += n
    if not routed:
        raise OptionError("no query given", "name one, or write one per line to standard input")
    return 1 if lost else 0


def _chunks(texts: tuple[str, ...], size: int) -> Iterator[list[str]]:
    """Yield chunks of the texts, or of standard input's lines that are not empty."""
    lines: Iterable[str] = texts
    if not texts:
        lines = (line.strip() for line in sys.stdin)
    chunk: list[str] = []
    for text in lines:
        if text.strip():
            chunk.append(text)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _json(values: dict[str, Any]) -> str:
    import json

    return json.dumps(values, ensure_ascii=False)
