"""RouterBench's wide table: one row per prompt, three columns per model.

As written by withmartian/routerbench: convertors/common.py (at 30e0925a), and as released in
withmartian/routerbench on the hub (at 78402148): sample_id, prompt (a list of turns written as
text), eval_name, and for each model its score (0 to 1, also as bool), `<model>|model_response` and
`<model>|total_cost` (USD of the call); oracle_model_to_route_to is not read. Tokens are not in it.

The released files are pickles. They are read without being run: see
`routebench.importers.unpickle`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.data.reading.messages import joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_csv
from routebench.importers.rows import OutcomeRows, Shared, number, score_of
from routebench.importers.unpickle import read_frame
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("sample_id", "prompt", "eval_name")
ANSWER, COST = "|model_response", "|total_cost"
_PART = 50_000  # rows
EXPECTED = f"{', '.join(NEEDED)}, and <model>, <model>{ANSWER}, <model>{COST} for each model"


class RouterBench(OptionlessImporter):
    """RouterBench's pickled table, or the same as .parquet or .csv."""

    suffixes = (".pkl", ".parquet", ".csv")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file is a pickle, or a table with such columns."""
        return head.kind == "pickle" or any(name.endswith(COST) for name in head.names)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every table."""
        shared = Shared(selection)
        for path in (
            file for given in paths for file in files_in(given, ".pkl", ".parquet", ".csv")
        ):
            columns = _columns(path)
            models = [
                name for name in columns if name + COST in columns or name + ANSWER in columns
            ]
            missing = [name for name in NEEDED if name not in columns]
            if missing or not models:
                raise DataError(
                    f"{path.name}: there is no column {', '.join(missing) or 'of a model'};"
                    f" {FileHead(path, 'csv', tuple(columns)).summary()}",
                    f"expected: {EXPECTED}",
                )
            yield from _parts(path, columns, models, shared)


def _columns(path: Path) -> Mapping[str, Any]:
    head = head_of(path)
    if head.kind == "pickle":
        return read_frame(path)
    if head.kind == "parquet":
        import pyarrow.parquet as pq

        return {k: v for k, v in pq.read_table(path).to_pydict().items() if isinstance(k, str)}
    if head.kind != "csv":
        raise DataError(f"{path.name}: no table; {head.summary()}", f"expected: {EXPECTED}")
    columns: dict[str, list[str]] = {name: [] for name in head.names}
    for _, cells in read_csv(path):
        for name, cell in cells.items():
            columns[name].append(cell)
    return columns


def _parts(
    path: Path, columns: Mapping[str, Any], models: list[str], shared: Shared
) -> Iterator[ImportPart]:
    """Yield the rows in parts: each of them repeats its prompt."""
    file, rows = path.name, OutcomeRows(shared)
    for at, (key, prompt, task) in enumerate(zip(*(columns[n] for n in NEEDED), strict=True)):
        place, text = f"{file}: row {at + 1}", _prompt(prompt)
        for model in models:
            score = columns[model][at]
            answer, cost = (
                columns[name][at] if name in columns else None
                for name in (model + ANSWER, model + COST)
            )
            response = answer if isinstance(answer, str) and answer.strip() else None
            value = score.item() if hasattr(score, "item") else score
            with rows.row():
                paid = number(cost, f"{place}: the cost of {model}")
                # Where a score was missing it is released as 0.
                nothing = response is None and not paid and model + ANSWER in columns
                rows.add(
                    f"{place}, column {model}",
                    query_id=str(key),
                    query=text,
                    task=str(task),
                    model=model,
                    score=value,
                    failed=nothing
                    or (
                        response is None
                        and score_of(value, place, shared.selection.score_max) is None
                    ),
                    response=response,
                    cost=paid,
                )
        if len(rows) > _PART:
            yield rows.part(f"{path}\x1f{at}")
            rows = OutcomeRows(shared)
    yield rows.part(str(path))


def _prompt(value: Any) -> str:
    """Return the turns of a prompt, one below the other."""
    turns = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes inside the text
            try:
                turns = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                turns = value
    text = joined(list(turns)) if isinstance(turns, (list, tuple)) else None
    return str(value) if text is None else text
