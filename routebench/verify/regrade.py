"""Load the suite, grade its answers again, and compare them with the stored cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from routebench import config
from routebench.board.read_run import Stored
from routebench.board.run_folder import RUN_FILE
from routebench.data.splits import make_split
from routebench.plugin.extensions import Extensions
from routebench.prices.apply import price
from routebench.records import Grade, State

Compared = tuple[str, Any, Any]
"""Path, what is stored, what was made again."""


def regrade_suite(run: Stored) -> Iterator[Compared]:
    """Yield fingerprints, duplicates, and every cell's state, score, grade and cost.

    Takes the suite's data from where the run took them, and the judge that it names. A judge
    that asks a model is asked again, which costs, and it may answer otherwise.
    """
    from routebench.identity import fingerprints
    from routebench.loading import arriving_queries, load_data

    options = config.make(config.read(run.folder / RUN_FILE))
    extensions = Extensions(options.set)
    recorded = load_data(options, extensions)
    if arriving := arriving_queries(options, recorded, extensions):
        recorded = arriving.data
    listed = run.prices if options.prices else None
    data, prices = price(recorded, listed, options.assume_output_tokens)
    if arriving is None:
        split = make_split(
            data, options.split, options.folds, options.split_seed, data.shares, options.protocol
        )
    else:
        data, split, _ = arriving.stream(data, options.seeds)
    board, stored = run.board, run.setup.data
    prints = fingerprints(options, recorded, split, prices, extensions)
    for name, value in prints.model_dump().items():
        yield f"fingerprints.{name}", getattr(board.fingerprints, name), value
    yield "diagnostics.leaked", board.diagnostics.leaked, split.leaked
    yield "diagnostics.removed", board.diagnostics.removed, split.removed
    for name, count in prices.basis.items():
        yield f"diagnostics.cost_basis.{name}", board.diagnostics.cost_basis.get(name), count
    same = len(data) == len(stored) and (data.keys == stored.keys).all()
    yield "suite.queries", True, bool(same and data.pool.models == stored.pool.models)
    if same and data.pool.models == stored.pool.models:
        yield from _cells(run, data.outcomes)


def _cells(run: Stored, again: Any) -> Iterator[Compared]:
    given, data = run.setup.data.outcomes, run.setup.data
    asked = np.argwhere((given.state != State.ABSENT) | (again.state != State.ABSENT))
    for name in ("state", "score", "grade", "cost"):
        one, other = getattr(given, name), getattr(again, name)
        for row, model in asked:
            path = f"cells[{data.ids[row]}, {run.models[model]}].{name}"
            yield path, *(_plain(name, values, row, model) for values in (one, other))


def _plain(name: str, values: Any, row: int, model: int) -> Any:
    if values is None:
        return None
    value = values[row, model].item()
    if name == "state":
        return State(value).name.lower()
    if name == "grade":
        return Grade(value).name
    return None if np.isnan(value) else value
