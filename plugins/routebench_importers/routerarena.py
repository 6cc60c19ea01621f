"""RouterArena's predictions: of each query the model that a router chose, and its answer.

A JSON list as RouteWorks/RouterArena's router_inference/generate_prediction_file.py writes and its
llm_inference/run.py and llm_evaluation/run.py fill (at 4714a9ad): "global index", prompt,
prediction (the model), generated_result {generated_answer, success, token_usage, error}, cost in
USD, and accuracy. The files of several routers make one table; answers come from one cache, so the
same answer in two files is one answer. A cost of 0 is written there for a model without a price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_records
from routebench.importers.rows import OutcomeRows, Shared
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("global index", "prompt", "prediction")


class RouterArena(OptionlessImporter):
    """RouterArena's predictions, predictions/<router>.json, or their folder."""

    suffixes = (".json",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins with a prediction."""
        return head.kind == "list" and set(head.names) >= set(NEEDED)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the answers of every file; a query is known by its global index."""
        shared, known = Shared(selection), set[tuple[Any, ...]]()
        for path in (file for given in paths for file in files_in(given, *self.suffixes)):
            head = head_of(path)
            if not self.recognises(head):
                raise DataError(
                    f"{path.name}: no predictions; {head.summary()}",
                    f"expected: a list of {', '.join(NEEDED)}",
                )
            rows = OutcomeRows(shared)
            for place, record in read_records(path, head.kind, rows.leave_out):
                with rows.row(place):
                    _add(rows, place, record, known)
            yield rows.part(str(path))


def _add(
    rows: OutcomeRows, place: str, record: dict[str, Any], known: set[tuple[Any, ...]]
) -> None:
    missing = [name for name in NEEDED if not isinstance(record.get(name), str)]
    if missing:
        raise DataError(f"{place} has no {', '.join(missing)}")
    made = record.get("generated_result")
    if not isinstance(made, dict):
        rows.notes["predictions without an answer, left out"] += 1
        return
    index, model = record["global index"], record["prediction"]
    answer = index, model, made.get("generated_answer"), record.get("accuracy")
    if answer in known:
        rows.notes["answers that another prediction file holds too"] += 1
        return
    known.add(answer)
    usage = made.get("token_usage") or {}
    counted = bool(usage.get("input_tokens"))  # all counts are 0 where none was stated
    text = made.get("generated_answer")
    rows.add(
        place,
        query_id=index,
        query=record["prompt"],
        task=index.partition("_")[0],
        model=model,
        score=record.get("accuracy"),
        failed=not made.get("success", False),
        response=text if isinstance(text, str) else None,
        cost=record.get("cost"),
        input_tokens=usage.get("input_tokens") if counted else None,
        output_tokens=usage.get("output_tokens") if counted else None,
    )
