"""A router's score as a file for `.eval_results/` of its repository on the Hugging Face Hub.

After huggingface.co/docs/hub/eval-results and hub-docs' eval_results.yaml: a YAML list of
{dataset: {id, task_id}, value, date, source, notes}. The data set is one that the hub knows as a
benchmark, and its task is named in its eval.yaml, so both are given.
"""

from __future__ import annotations

import json
from pathlib import Path

from routebench.board import run_folder
from routebench.errors import OptionError, did_you_mean
from routebench.files import replace_file
from routebench.report.results.per_query import measured


def write(run: Path, router: str, out: Path, dataset: str, task: str) -> None:
    """Write one entry: the router's mean score, with its interval and suite in the notes."""
    board = run_folder.read(run)
    rows = {row.router: row for row in board.rows if row.state == "ok"}
    if router not in rows:
        raise OptionError(
            f"--router {router}: no row of it ended well", did_you_mean(router, list(rows))
        )
    measure = board.suite.measure
    found = measured(rows[router], measure)
    if found is None:
        raise OptionError(f"--router {router}: the board has no {measure} of it", "")
    value, low, high = found
    interval = "" if low is None or high is None else f", 95% interval {low:.4f} to {high:.4f}"
    size = board.suite.queries["test"]
    notes = (
        f"router {router} among {len(board.suite.models)} models, {measure} on {size:,} test"
        f" queries of {board.suite.name}{interval}; RouteBench"
    )
    lines = [
        "- dataset:",
        f"    id: {json.dumps(dataset)}",
        f"    task_id: {json.dumps(task)}",
        f"  value: {round(value, 6)!r}",
        f"  date: {json.dumps(str(board.environment['finished'])[:10])}",
        f"  notes: {json.dumps(notes)}",
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, ("\n".join(lines) + "\n").encode())
