"""Two runs, or two routers of one, side by side on the queries they share.

Runs that may be compared have the same outcomes, so all sides are scored and priced by those of
the later run: where prices differ, that re-prices the earlier one's decisions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from routebench.board.read_run import Stored, common, read_run
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.gate.comparable import changes, mismatches
from routebench.gate.paired import Ground, Pair, Side, measured

By = Literal["score", "cost"]


class NotComparableError(DataError):
    """The runs are about different things."""

    exit_code = 3


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common, and where they differ."""

    runs: tuple[str, str]
    """Their folders; the same one twice for two routers of one run."""
    measure: str
    queries: int
    """Common test queries on which every compared side has a usable answer."""
    left_out: int
    seeds: int
    """The fewest of any side."""
    pairs: list[Pair]
    alone: dict[str, list[str]] = field(default_factory=dict)
    """By run: routers that only it has."""
    notes: list[str] = field(default_factory=list)


def compare(
    paths: Sequence[Path], routers: Sequence[str] = (), flips: int = 10, by: By = "score"
) -> list[Comparison]:
    """Every later run with the first one; or two routers of a single run.

    Raises:
        NotComparableError: naming the hard fingerprints that differ.
        OptionError: for routers that are not there, or one run without two of them.
    """
    first, *others = [read_run(path, check=True) for path in paths]
    if others:
        return [_two_runs(first, second, routers, flips, by) for second in others]
    if len(routers) != 2:
        raise OptionError(
            f"one run: which two of its routers? It has {', '.join(first.routers)}",
            "--router FIRST,SECOND, or name a second run",
        )
    _check_names(routers, [first])
    rows = np.arange(len(first.keys))
    pair = tuple(Side(first, name, rows) for name in routers)
    return [_compared((first, first), Ground(first, rows), [(pair[0], pair[1])], flips, by)]


def to_json(found: Sequence[Comparison]) -> str:
    """One object per run that is compared with the first."""
    return json.dumps([asdict(one) for one in found], indent=2, sort_keys=True) + "\n"


def _two_runs(
    first: Stored, second: Stored, routers: Sequence[str], flips: int, by: By
) -> Comparison:
    if differing := mismatches(first.board, second.board):
        names = ", ".join(change.what for change in differing)
        raise NotComparableError(
            f"{first.folder} and {second.folder} cannot be compared: they differ in {names}",
            "suite, split, outcomes, judge and pool must be the same",
        )
    _check_names(routers, [first, second])
    wanted = routers or first.routers
    both = [name for name in wanted if name in first.routers and name in second.routers]
    rows = common(first, second)
    # An unpriced run cannot price the other one.
    priced_last = second.outcomes.cost is not None or first.outcomes.cost is None
    ground = Ground(second, rows[1]) if priced_last else Ground(first, rows[0])
    pairs = [(Side(first, name, rows[0]), Side(second, name, rows[1])) for name in both]
    found = _compared((first, second), ground, pairs, flips, by)
    found.notes.extend(_notes(first, second, ground.run, both))
    for run, other in ((first, second), (second, first)):
        only = [name for name in run.routers if name not in other.routers]
        if only := [name for name in only if name in (routers or only)]:
            found.alone[str(run.folder)] = only
    return found


def _compared(
    runs: tuple[Stored, Stored],
    ground: Ground,
    pairs: list[tuple[Side, Side]],
    flips: int,
    by: By,
) -> Comparison:
    sides = [side for pair in pairs for side in pair]
    kept = ground.usable(sides)
    return Comparison(
        runs=(str(runs[0].folder), str(runs[1].folder)),
        measure=ground.run.board.suite.measure,
        queries=int(kept.sum()),
        left_out=int((~kept).sum()),
        seeds=min((len(side.routed.choice) for side in sides), default=0),
        pairs=measured(ground, pairs, kept, flips, by) if pairs else [],
    )


def _check_names(routers: Sequence[str], runs: Sequence[Stored]) -> None:
    known = {name for run in runs for name in run.routers}
    for name in routers:
        if name not in known:
            hint = did_you_mean(name, known)
            raise OptionError(f"--router {name}: no finished row of that name", hint)


def _notes(first: Stored, second: Stored, ground: Stored, routers: list[str]) -> list[str]:
    notes = [
        f"{run.folder} is not a valid run: {run.board.invalid_reason}"
        for run in (first, second)
        if not run.board.valid
    ]
    boards = first.board, second.board
    prices = [(board.priced == "unpriced", board.fingerprints.prices) for board in boards]
    if prices[0] != prices[1]:
        notes.append(f"prices differ: both runs are priced as in {ground.folder}")
    notes += [
        f"changed: {one.what}: {one.old} → {one.new}"
        for one in changes(*boards, routers)
        if one.what not in ("prices", "priced")
    ]
    return notes
