"""`routebench route`: route queries with a router of a finished run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from routebench.board.trained import TrainedRouter
    from routebench.plugin.budget import Budget
    from routebench.records import Decisions

_CHUNK = 1024
"""Lines of standard input that are routed at a time."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("router")
@click.argument("texts", nargs=-1, metavar="[TEXT…]")
@click.option("--seed", type=click.IntRange(0), default=0, help="Trained with this seed (0).")
@click.option("--fold", type=click.IntRange(0), default=0, help="Trained in this fold (0).")
@click.option("--point", metavar="NAME", help="At this operating point, such as within-1pp.")
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="ROUTER.OPTION=VALUE",
    help="An option that counts in routing.",
)
@click.option("--budget", type=float, metavar="USD", help="What the answers may cost in all.")
@click.option("--spent", type=float, metavar="USD", help="What of it is spent already (0).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per query.")
def command(
    run: Path,
    router: str,
    texts: tuple[str, ...],
    seed: int,
    fold: int,
    point: str | None,
    set_: tuple[str, ...],
    budget: float | None,
    spent: float | None,
    as_json: bool,
) -> None:
    """Say which model ROUTER of RUN chooses for each TEXT, or each line of standard input.

    \b
    routebench route results/simpleqa/0123456789ab knn "Who wrote Emma?"
    routebench route results/simpleqa/0123456789ab mf --point within-1pp "Who wrote Emma?"
    routebench route results/simpleqa/0123456789ab policy --budget 10 --spent 8.5 < queries.txt

    The checkpoint of one seed and fold decides, by the text alone. Nothing is asked of any
    model. At an operating point it decides as the run did there; the run's table lists them
    (routebench show RUN --curves). With a budget every query is charged the mean cost of the
    model chosen for it.
    """
    from routebench.board.trained import TrainedRouter
    from routebench.errors import OptionError
    from routebench.plugin.budget import Budget

    if spent is not None and budget is None:
        raise OptionError("--spent is a part of a budget", "--budget USD")
    if point is not None and budget is not None:
        raise OptionError("--budget: a router keeps to it by its own choice, not at a point")
    limit = None if budget is None else Budget(budget, spent or 0.0)
    trained = TrainedRouter.load(run, router, seed, fold, _changes(router, set_), point)
    if point is not None:
        click.echo(
            f"{trained.label} at {trained.point}: {trained.setting}; {trained.place}", err=True
        )
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
            click.echo(_json(told) if as_json else _lines(told))
    if not routed:
        raise OptionError("no query given", "name one, or write one per line to standard input")


def _changes(router: str, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the router's options given by its label or its plugin's name."""
    from routebench import files
    from routebench.errors import OptionError
    from routebench.plugin import options

    given = options.parse(assignments)
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
