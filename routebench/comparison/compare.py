"""A paired comparison of two runs, or of two routers of one, on their common queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from routebench.board.read_run import Stored, read_run
from routebench.comparison.comparable import changes, mismatches
from routebench.comparison.paired import ChangedQuery, CommonQueries, RouterPair, RouterSide, usable
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.metrics.bootstrap import Groups
from routebench.metrics.contrasts import METRICS, differences, measure
from routebench.metrics.per_query import Means, resample
from routebench.metrics.statistics import tied
from routebench.records import Floats, Ints, Mask
from routebench.schema import Difference

By = Literal["score", "cost"]


class NotComparableError(DataError):
    """Raised for runs whose fingerprints do not allow a comparison."""

    exit_code = 3


@dataclass(frozen=True)
class Changed:
    """The differently decided queries of one kind: worse, better or the same score."""

    queries: int
    cost: float | None
    """USD more that the second side pays for them, in all."""


@dataclass(frozen=True)
class ComparedPair:
    """One router in two runs, or two routers of one."""

    first: str
    second: str
    measured: dict[str, tuple[float | None, float | None]]
    """By metric: each side's value."""
    delta: dict[str, Difference]
    """By metric: second minus first; p is Holm-adjusted over the routers that are compared."""
    changed: dict[str, Changed]
    """`worse`, `better` and `same`."""
    flips: list[ChangedQuery]
    """Scores and costs are means over seeds, routing included; models are those of the first
    seed that decides differently."""


@dataclass(frozen=True)
class RunComparison:
    """The comparison of two runs: their common queries, compared pairs and unshared routers."""

    runs: tuple[str, str]
    """Their folders; the same one twice for two routers of one run."""
    measure: str
    queries: int
    """Common test queries on which every compared side has a usable answer."""
    left_out: int
    seeds: int
    """The fewest of any side."""
    pairs: list[ComparedPair]
    alone: dict[str, list[str]] = field(default_factory=dict)
    """By run: routers that only it has."""
    notes: list[str] = field(default_factory=list)


def compare(
    paths: Sequence[Path], routers: Sequence[str] = (), flips: int = 10, by: By = "score"
) -> list[RunComparison]:
    """Compare every later run with the first one, or two routers of a single run.

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
    queries = CommonQueries.of(first, first)
    pair = queries.side(routers[0], 0), queries.side(routers[1], 1)
    return [_compared(queries, [pair], flips, by)]


def to_json(comparisons: Sequence[RunComparison]) -> str:
    """Return a JSON list: one object per run that is compared with the first."""

    def plain(difference: Difference) -> dict[str, Any]:
        return difference.model_dump(include={"value", "low", "high", "p", "p_raw", "test"})

    values = [asdict(one) for one in comparisons]
    return json.dumps(values, indent=2, sort_keys=True, default=plain) + "\n"


def _two_runs(
    first: Stored, second: Stored, routers: Sequence[str], flips: int, by: By
) -> RunComparison:
    if differing := mismatches(first.board, second.board):
        names = ", ".join(change.what for change in differing)
        raise NotComparableError(
            f"{first.folder} and {second.folder} cannot be compared: they differ in {names}",
            "suite, split, outcomes, judge and pool must be the same",
        )
    _check_names(routers, [first, second])
    wanted = routers or first.routers
    both = [name for name in wanted if name in first.routers and name in second.routers]
    # An unpriced run cannot price the other one.
    scorer = int(second.outcomes.cost is not None or first.outcomes.cost is None)
    queries = CommonQueries.of(first, second, scorer)
    comparison = _compared(
        queries, [(queries.side(n, 0), queries.side(n, 1)) for n in both], flips, by
    )
    comparison.notes.extend(_notes(first, second, queries.run, both))
    for run, other in ((first, second), (second, first)):
        only = [name for name in run.routers if name not in other.routers]
        if only := [name for name in only if name in (routers or only)]:
            comparison.alone[str(run.folder)] = only
    return comparison


def _compared(
    queries: CommonQueries, both: list[tuple[RouterSide, RouterSide]], flips: int, by: By
) -> RunComparison:
    """Compare pairs on the queries on which all of them can be scored."""
    n, sides = len(queries.outcomes.score), [side for pair in both for side in pair]
    scored = usable(sides, n)
    if not scored.any():
        raise DataError("nothing to compare: on no query have all chosen models an answer")
    return RunComparison(
        runs=(str(queries.first.folder), str(queries.second.folder)),
        measure=queries.run.board.suite.measure,
        queries=int(scored.sum()),
        left_out=int((~scored).sum()),
        seeds=min((len(side.choice) for side in sides), default=0),
        pairs=_pairs([RouterPair(*pair, scored) for pair in both], flips, by) if both else [],
    )


def _pairs(pairs: Sequence[RouterPair], flips: int, by: By) -> list[ComparedPair]:
    """Measure all pairs on the same resamples of the scored queries."""
    run = pairs[0].queries.run
    clusters = pairs[0].queries.setting.clusters[pairs[0].scored]
    columns = [side for pair in pairs for side in pair.columns]
    means = resample(columns, clusters, run.board.resamples, seed=0)
    entrants = list(zip(columns, means, strict=True))
    first, second = entrants[::2], entrants[1::2]
    deltas = differences(list(zip(second, first, strict=True)), Groups.of(clusters, len(clusters)))
    quality = run.board.suite.measure
    names = {metric: quality if metric == "accuracy" else metric for metric in METRICS}
    return [
        ComparedPair(
            pair.first.router,
            pair.second.router,
            {name: (_value(m, before), _value(m, after)) for m, name in names.items()},
            {name: delta[m] for m, name in names.items()},
            *_changed(pair, flips, by),
        )
        for pair, (_, before), (_, after), delta in zip(pairs, first, second, deltas, strict=True)
    ]


def _value(metric: str, means: Means) -> float | None:
    value = measure(metric, means.point)
    return None if value is None or np.isnan(value) else float(value)


def _changed(pair: RouterPair, most: int, by: By) -> tuple[dict[str, Changed], list[ChangedQuery]]:
    """Count what changed, and list the queries where it matters most."""
    moved, cost = pair.moved[:, pair.scored], pair.cost
    gain = pair.gain
    kinds = {"worse": gain < 0, "better": gain > 0}
    different = kinds["worse"] | kinds["better"]
    changed = moved.any(axis=0) | different
    kinds["same"] = changed & ~different
    spent = None if cost is None else cost[1] - cost[0]
    weight = np.zeros(len(changed)) if spent is None else -np.abs(tied(np.nan_to_num(spent)))
    if by == "cost":
        order = _first([weight], changed, most)
    else:
        keys = [-np.abs(tied(gain)), weight]
        lost, won = (_first(keys, kinds[kind], most) for kind in ("worse", "better"))
        half = max(most - len(won), -(-most // 2))
        order = np.concatenate([lost[:half], won[: most - len(lost[:half])]])
    at = np.flatnonzero(pair.scored)
    return {
        kind: Changed(int(rows.sum()), None if spent is None else float(spent[rows].sum()))
        for kind, rows in kinds.items()
    }, [
        pair.changed(
            int(at[k]),
            int(moved[:, k].argmax()),
            pair.score[:, k],
            None if cost is None else cost[:, k],
        )
        for k in order
    ]


def _first(keys: Sequence[Floats], among: Mask, most: int) -> Ints:
    """Return the rows with the least keys, the first key before the second."""
    at = np.flatnonzero(among)
    order: Ints = at[np.lexsort([key[at] for key in reversed(keys)])][:most]
    return order


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
