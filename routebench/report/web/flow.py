"""The flow picture of a router that sees answers: who is asked first, what stops, what goes on.

Rounds lie below one another and the width is the share of queries, so that each block of queries
stands under the block that it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from routebench.board.read_run import Stored
from routebench.records import Codes, Floats
from routebench.report.format import shortened
from routebench.report.summary import finished
from routebench.report.web.colours import FLOWS

WIDTH = 360.0
"""Units of the drawing; about a small telephone's pixels, so that its letters stay readable."""
LINES = 5
"""The most sets of models that a round names; the others are added up."""
THIN = 0.004
"""Share of queries below which blocks under one block are drawn as one."""
_LETTERS = 40
_SEEN = 0.0005  # smaller shares print as 0.0%
_HEAD, _BAR, _CAP, _LINE, _GAP = 22.0, 16.0, 8.0, 17.0, 12.0

Models = tuple[str, ...]
"""Models that are asked at once; none: sets of models too rare to be drawn each."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to an answer: who was asked, round by round, and how often that was the way."""

    asked: tuple[Models, ...]
    share: float
    right: float
    """Share of queries that it answered rightly."""


@dataclass(slots=True)
class _Node:
    """The queries that were asked about in the same way so far."""

    share: float = 0.0
    stopped: float = 0.0
    after: dict[Models, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Block:
    """Queries of one round, from `x` on, as shares of all."""

    x: float
    models: Models
    node: _Node


def flows(stored: Stored) -> list[dict[str, Any]]:
    """Return the drawing of each router that sees answers: its router, height, words and rounds.

    Over the queries that are scored, which are those that every model answered, and all seeds.
    """
    made = []
    scored = stored.outcomes.ok.all(axis=1)
    score = stored.outcomes.score[scored]
    for row in finished(stored.board):
        asked = stored.asked(row.router) if row.steps is not None else None
        if asked is None or not scored.any():
            continue
        choice = stored.choices(row.router)[:, scored]
        reached = np.take_along_axis(score[None], choice[..., None], axis=-1)[..., 0]
        listed = ways(asked[:, scored], reached, stored.models)
        made.append({"router": row.router, **flow(listed)})
    return made


def ways(asked: Codes, score: Floats, models: tuple[str, ...]) -> list[Way]:
    """Return all ways to an answer, from who was asked [S, n, m] and the answers' scores [S, n]."""
    codes, which = np.unique(asked.reshape(-1, len(models)), axis=0, return_inverse=True)
    which = which.reshape(-1)
    share = np.bincount(which, minlength=len(codes)) / len(which)
    right = np.bincount(which, score.reshape(-1), len(codes)) / len(which)
    return [
        Way(
            tuple(
                tuple(models[at] for at in np.flatnonzero(code == each))
                for each in range(1, int(code.max()) + 1)
            ),
            float(share[number]),
            float(right[number]),
        )
        for number, code in enumerate(codes)
    ]


def flow(listed: Sequence[Way]) -> dict[str, Any]:
    """Return a drawing's size, its words for who cannot see it, and its rounds from the top."""
    rounds: list[dict[str, Any]] = []
    colours: dict[Models, str] = {}
    for blocks in _levels(_tree(listed)):
        top = rounds[-1]["bottom"] if rounds else 0.0
        lines, head = _told(listed, len(rounds), colours)
        bar = top + _HEAD
        for at, line in enumerate(lines):
            line["y"] = bar + _BAR + _CAP + _LINE - 2 + at * _LINE
        bottom = lines[-1]["y"] + _GAP
        drawn: list[dict[str, Any]] = []
        for block in blocks:
            drawn += _drawn(block, colours.get(block.models, "rest"), bar, bottom)
        words = ", ".join(f"{line['text']} {line['share']}" for line in lines)
        rounds.append(
            {
                "head": head,
                "y": top + 16,
                "blocks": drawn,
                "lines": lines,
                "bottom": bottom,
                "words": f"{head}: {words}",
            }
        )
    words = "; ".join(each["words"] for each in rounds)
    return {"height": rounds[-1]["bottom"], "width": WIDTH, "words": words, "rounds": rounds}


def _told(
    listed: Sequence[Way], number: int, colours: dict[Models, str]
) -> tuple[list[dict[str, Any]], str]:
    """Return one round's lines and heading; sets of models that are named get a colour."""
    here = [way for way in listed if len(way.asked) > number]
    sums: dict[Models, float] = {}
    for way in here:
        models = way.asked[number]
        sums[models] = sums.get(models, 0.0) + way.share
    order = sorted(sums, key=lambda models: (-sums[models], models))
    for models in order[:LINES]:
        colours.setdefault(models, f"f{len(colours)}" if len(colours) < len(FLOWS) else "rest")
    lines = [
        _line(colours[models], " + ".join(models), sums[models], _short(models))
        for models in order[:LINES]
    ]
    if (others := sum(sums[models] for models in order[LINES:])) >= _SEEN:
        lines.append(_line("rest", "others", others))
    ends = [way for way in here if len(way.asked) == number + 1]
    if (stopped := sum(way.share for way in ends)) > 0:
        accuracy = sum(way.right for way in ends) / stopped
        lines.append(_line("stop", f"stop here, accuracy {accuracy:.1%}", stopped))
    reached = sum(way.share for way in here)
    head = "Asked first" if number == 0 else f"Then asked, round {number + 1}"
    return lines, f"{head}: {reached:.1%} of queries"


def _tree(listed: Sequence[Way]) -> _Node:
    root = _Node()
    for way in listed:
        node = root
        node.share += way.share
        for models in way.asked:
            node = node.after.setdefault(models, _Node())
            node.share += way.share
        node.stopped += way.share
    return root


def _levels(root: _Node) -> Iterator[list[_Block]]:
    """Yield the blocks of each round; those that go on are left of those that stop."""
    level = [_Block(0.0, (), root)]
    while True:
        below = []
        for block in level:
            x = block.x
            for models, node in _children(block.node):
                below.append(_Block(x, models, node))
                x += node.share
        if not below:
            return
        yield below
        level = below


def _children(node: _Node) -> list[tuple[Models, _Node]]:
    """Return what comes after, largest first; at the end, as one, what is too thin to be seen."""
    order = sorted(node.after.items(), key=lambda item: (-item[1].share, item[0]))
    thin = [each for _, each in order if each.share < THIN]
    kept = [(models, each) for models, each in order if each.share >= THIN]
    return [*kept, ((), _merged(thin))] if thin else kept


def _merged(nodes: Sequence[_Node]) -> _Node:
    together: dict[Models, list[_Node]] = {}
    for node in nodes:
        for models, each in node.after.items():
            together.setdefault(models, []).append(each)
    return _Node(
        sum(node.share for node in nodes),
        sum(node.stopped for node in nodes),
        {models: _merged(each) for models, each in together.items()},
    )


def _drawn(block: _Block, colour: str, bar: float, bottom: float) -> list[dict[str, Any]]:
    """Return a block's bar, the band of what goes on to the next round, and the cap of the rest."""
    node, x, below = block.node, block.x * WIDTH, bar + _BAR
    going, name = node.share - node.stopped, " + ".join(block.models) or "others"
    rects = [_rect(colour, x, bar, node.share * WIDTH, _BAR, name, node.share)]
    if node.after:
        height = bottom + _HEAD - below
        rects.append(
            _rect(f"{colour} on", x, below, going * WIDTH, height, f"{name}: go on", going)
        )
    if node.stopped > 0:
        left, width = x + going * WIDTH, node.stopped * WIDTH
        rects.append(_rect("stop", left, below, width, _CAP, f"{name}: stop", node.stopped))
    return rects


def _rect(
    kind: str, x: float, y: float, width: float, height: float, name: str, share: float
) -> dict[str, Any]:
    numbers = {"x": x, "y": y, "width": width, "height": height}
    return {name: round(value, 2) for name, value in numbers.items()} | {
        "kind": kind,
        "title": f"{name}, {share:.1%}",
    }


def _line(kind: str, text: str, share: float, short: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "text": text, "short": short or text, "share": f"{share:.1%}"}


def _short(models: Models) -> str:
    """Return the names, each cut so that all have room in one line."""
    room = max(_LETTERS // len(models) - 2, 5) if len(models) > 1 else _LETTERS
    return shortened(" + ".join(shortened(model, room) for model in models), _LETTERS)
