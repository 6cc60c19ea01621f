"""`routebench route`: route queries with a router of a finished run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from routebench.arguments import RUN
from routebench.printed import echo, echo_json

if TYPE_CHECKING:
    from routebench.board.trained import TrainedRouter
    from routebench.plugin.budget import Budget
    from routebench.records import Decisions

Values = dict[str, dict[str, Any]]
"""Options by the name that they are of."""

_CHUNK = 1024
"""Lines of standard input that are routed at a time."""


@click.command()
@click.argument("run", type=RUN)
@click.argument("router")
@click.argument("texts", nargs=-1, metavar="[TEXT…]")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Take the router trained with this seed (default 0).",
)
@click.option(
    "--fold",
    type=click.IntRange(0),
    default=0,
    help="Take the router trained in this fold (default 0).",
)
@click.option("--point", metavar="NAME", help="Decide at this operating point, such as within-1pp.")
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of the router that counts in routing, or of a provider or judge.",
)
@click.option(
    "--budget", type=float, metavar="USD", help="Keep what the answers cost in all within this."
)
@click.option(
    "--spent",
    type=float,
    metavar="USD",
    help="Count this as spent of the budget already (default 0).",
)
@click.option(
    "--answer",
    "asking",
    is_flag=True,
    help="Ask models, as a router that sees answers needs, and print the answer. Costs money.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME|MODEL=NAME:MODEL",
    help="Ask this provider for the run's models, or for one of them under another name.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Price what is asked by this file of USD per million tokens; by default by dated lists.",
)
@click.option(
    "--answers-as",
    metavar="JUDGE",
    help="Read final answers as this judge does; by default as the run's.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Wait this long for one call (default 120).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per query.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Path,
    router: str,
    texts: tuple[str, ...],
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
    """Say which model ROUTER of RUN chooses for each TEXT, or each line of standard input.

    \b
    routebench route latest knn "Who wrote Emma?"
    routebench route latest mf --point within-1pp "Who wrote Emma?"
    routebench route results/simpleqa/0123456789ab policy --budget 10 --spent 8.5 < queries.txt
    routebench route results/simpleqa/0123456789ab agreement --answer --provider gemini "Who …?"

    A router of a file is named by it again, mine.py:Mine: what a run folder names is not run.
    The checkpoint of one seed and fold decides, by the text alone. Nothing is asked of any
    model without --answer. At an operating point it decides as the run did there; the run's
    table lists them (routebench show RUN --curves). With a budget every query is charged the mean
    cost of the model chosen for it.

    A router that sees answers asks models before it decides: with --answer they are asked, every
    call is billed, and the answer is printed. A call that fails, or that may cost more than is left
    of the budget, is no answer to the router, which goes on. Keys are read from the environment
    only. Exit code 1: a query got no answer.
    """
    from routebench.board.provenance import split_file
    from routebench.board.trained import TrainedRouter
    from routebench.errors import OptionError
    from routebench.plugin import options
    from routebench.plugin.budget import Budget

    if spent is not None and budget is None:
        raise OptionError("--spent is a part of a budget", "--budget USD")
    if asking:
        at = {"seed": seed, "fold": fold, "point": point}
        ctx.exit(_answer(run, router, texts, set_, at, budget, spent, as_json, live))
    for name, value in live.items():
        if value:
            option = "--provider" if name == "providers" else f"--{name.replace('_', '-')}"
            raise OptionError(f"{option}: nobody is asked without --answer")
    if point is not None and budget is not None:
        raise OptionError("--budget: a router keeps to it by its own choice, not at a point")
    limit = None if budget is None else Budget(budget, spent or 0.0)
    label, named = split_file(router)
    changes = _changes(label, options.parse(set_))
    trained = TrainedRouter.load(run, label, seed, fold, changes, named, point)
    for note in trained.notes:
        echo(f"warning: {note}", err=True)
    if point is not None:
        echo(f"{trained.label} at {trained.point}: {trained.setting}; {trained.place}", err=True)
    if limit is not None:
        trained.spend(limit)
    routed = False
    for chunk in _chunks(texts, 1 if limit else _CHUNK):
        routed = True
        decisions = trained.route(chunk)
        if limit is not None:
            trained.charge(limit, decisions)
        for row, text in enumerate(chunk):
            told = _told(trained, decisions, row, text, limit)
            echo_json(_json(told)) if as_json else echo(_lines(told))
    if not routed:
        raise OptionError("no query given", "name one, or write one per line to standard input")


def _answer(
    run: Path,
    router: str,
    texts: tuple[str, ...],
    set_: tuple[str, ...],
    at: dict[str, Any],
    budget: float | None,
    spent: float | None,
    as_json: bool,
    live: dict[str, Any],
) -> int:
    """Print the answers to all queries, one after the other; return the exit code."""
    from routebench.board.provenance import split_file
    from routebench.board.steps import live as live_steps
    from routebench.board.trained import TrainedRouter
    from routebench.errors import OptionError
    from routebench.plugin import options
    from routebench.prices.listed import LIST, load_file

    label, named = split_file(router)
    values = options.parse(set_)
    own, others = _parted(label, values)
    changes = _changes(label, own)
    trained = TrainedRouter.load(run, label, changes=changes, file=named, answers=True, **at)
    for note in trained.notes:
        echo(f"warning: {note}", err=True)
    timeout = live["timeout"] or 120.0
    listed = live["prices"] is None or str(live["prices"]) == LIST
    prices = None if listed else load_file(live["prices"])
    asked = live_steps.targets(trained.models, live["providers"], others, prices, timeout)
    judge = live_steps.reading(run, live["answers_as"])
    used = {target.provider for target in asked.values()} | {judge}
    for name in others:
        if name not in used:
            raise OptionError(f"--set {name}: it is not asked here")
    finals = live_steps.finals_reader(run, judge, others)
    if trained.point is not None:
        echo(f"{trained.label} at {trained.point}: {trained.setting}; {trained.place}", err=True)
    lost, told = 0, None
    with live_steps.live_answers(
        asked, trained.models, finals, budget, spent or 0.0, timeout
    ) as source:
        for text in (text for chunk in _chunks(texts, 1) for text in chunk):
            told = live_steps.answered(trained, source, text)
            lost += told["model"] is None
            echo_json(_json(told)) if as_json else echo(_answer_lines(told))
    if told is None:
        raise OptionError("no query given", "name one, or write one per line to standard input")
    return 1 if lost else 0


def _parted(router: str, values: Values) -> tuple[Values, Values]:
    """Return the options of the router, and those of providers and judges."""
    from routebench.plugin import discovery

    known = {info.name for kind in ("provider", "judge") for info in discovery.installed(kind)}
    others = known - {router, router.partition("@")[0]}
    return (
        {name: each for name, each in values.items() if name not in others},
        {name: each for name, each in values.items() if name in others},
    )


def _changes(router: str, given: Values) -> dict[str, Any]:
    """Return the router's options given by its label or its plugin's name."""
    from routebench import files
    from routebench.errors import OptionError

    names = [router.partition("@")[0], router]
    for name in given:
        if name not in names:
            raise OptionError(f"--set {name}: this is about {router}")
    found: dict[str, Any] = {}
    for name in names:
        found |= {key: files.absolute(value) for key, value in given.get(name, {}).items()}
    return found


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


def _told(
    trained: TrainedRouter, decisions: Decisions, row: int, text: str, budget: Budget | None
) -> dict[str, Any]:
    """Return the decision on one query, with all that is known of it, as plain values."""
    told: dict[str, Any] = {"query": text, "model": trained.models[decisions.choice[row]]}
    if trained.point is not None:
        told["point"] = trained.point
    if decisions.quality is not None:
        both = zip(trained.models, decisions.quality[row].tolist(), strict=True)
        told["quality"] = {model: value for model, value in both if value == value}
    for name in ("confidence", "policy", "reason"):
        values = getattr(decisions, name)
        if values is not None:
            told[name] = float(values[row]) if name == "confidence" else str(values[row])
    if budget is not None:
        told["budget"] = {"limit": budget.limit, "spent": budget.spent}
    return told


def _json(told: dict[str, Any]) -> str:
    import json

    return json.dumps(told, ensure_ascii=False)


def _lines(told: dict[str, Any]) -> str:
    """Return the model and the query, and below them the decision's other facts, as text."""
    facts = []
    if "quality" in told:
        facts.append(f"quality {told['quality'][told['model']]:.3f}")
    if "confidence" in told:
        facts.append(f"confidence {told['confidence']:.3f}")
    if "policy" in told:
        facts.append(f"policy {told['policy']}")
    if "budget" in told:
        facts.append(f"${told['budget']['spent']:.4g} of ${told['budget']['limit']:g} spent")
    lines = [f"{told['model']}  {told['query']}"]
    lines += [f"  {' · '.join(facts)}"] if facts else []
    lines += [f"  {told['reason']}"] if told.get("reason") else []
    return "\n".join(lines)


def _answer_lines(told: dict[str, Any]) -> str:
    """Return model, query and answer, and below them who was asked and what it cost, as text."""
    lines = [f"{told['model'] or 'no answer'}  {told['query']}"]
    lines += [f"  | {line}" for line in (told["answer"] or "").splitlines()]
    rounds: dict[int, list[str]] = {}
    lost: dict[str, list[str]] = {}
    for call in told["asked"]:
        known = "cost unknown" if call["usd"] is None else f"${call['usd']:.4g}"
        said = f"{call['final'] or 'no final answer'}, {known}" if call["answered"] else "nothing"
        rounds.setdefault(call["round"], []).append(f"{call['model']} ({said})")
        if "error" in call:
            lost.setdefault(call["error"], []).append(call["model"])
    lines.append("  asked " + ", then ".join(" + ".join(each) for each in rounds.values()))
    lines += [f"  {', '.join(models)}: {error}" for error, models in lost.items()]
    cost = "cost unknown" if told["usd"] is None else f"${told['usd']:.4g}"
    notes = [cost, f"{told['seconds']:.1f} s"]
    if "doubtful_usd" in told:
        notes.append(f"at most ${told['doubtful_usd']:.4g} more for calls that may be charged")
    if "budget" in told:
        notes.append(f"${told['budget']['spent']:.4g} of ${told['budget']['limit']:g} spent")
    if "confidence" in told:
        notes.insert(0, f"confidence {told['confidence']:.3f}")
    if told.get("reason"):
        notes.insert(0, f"stopped: {told['reason']}")
    return "\n".join([*lines, f"  {' · '.join(notes)}"])
