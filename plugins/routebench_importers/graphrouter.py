"""GraphRouter's routing table: one row per query and LLM.

data/router_data.csv as ulab-uiuc/GraphRouter's data_processing/construct_router_data.py writes it
(seen in the copy dariushmmz/GraphRouter at 3012ca7d): task_id, query, ground_truth, metric, llm,
effect, cost, and perhaps the answer as response or model_response. Its last step scales each task's
costs to [0, 1], so they are no money and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_csv
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("task_id", "query", "llm", "effect")
_REFERENCES = ("ground_truth", "ground_truth_numeric")
_RESPONSES = ("response", "model_response")


class GraphRouterTable(OptionlessImporter):
    """GraphRouter's router_data.csv."""

    suffixes = (".csv", ".csv.gz")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a table has GraphRouter's columns, and none of users."""
        return head.kind == "csv" and set(head.names) >= set(NEEDED) and "user_id" not in head.names

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every table; a query is its task and text."""
        shared = Shared(selection)
        for path in (file for given in paths for file in files_in(given, *self.suffixes)):
            head = head_of(path)
            if not self.recognises(head):
                raise DataError(
                    f"{path.name}: no routing table; {head.summary()}",
                    f"expected: {', '.join(NEEDED)}",
                )
            rows = OutcomeRows(shared)
            for place, cells in read_csv(path, rows.leave_out):
                with rows.row():
                    _add(rows, place, cells)
            if "cost" in head.names:
                rows.notes["costs scaled to [0, 1] per task, which are no USD: not read"] += len(
                    rows
                )
            yield rows.part(str(path))


def _add(rows: OutcomeRows, place: str, cells: dict[str, str]) -> None:
    task, query = cells["task_id"], cells["query"]
    rows.add(
        place,
        query_id=f"{task}/{hash_text(query)}",
        query=query,
        reference=next((cells[name] for name in _REFERENCES if cells.get(name)), None),
        task=task or None,
        model=cells["llm"],
        score=cells["effect"],
        response=next((cells[name] for name in _RESPONSES if cells.get(name)), None),
    )
