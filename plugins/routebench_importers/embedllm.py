"""EmbedLLM's correctness tables: one row per prompt and model.

The CSVs of the data set RZ412/EmbedLLM (train.csv, val.csv, test.csv), as
richardzhuang0412/EmbedLLM's data_preprocessing/download_data.py and algorithm/knn.py (at 9b276305)
read them: prompt_id, model_id, category_id, label (0 or 1), prompt, model_name, category. Answers,
tokens and costs are not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_csv
from routebench.importers.rows import OutcomeRows, Shared
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("prompt_id", "prompt", "model_name", "label")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


class EmbedLLMTables(OptionlessImporter):
    """EmbedLLM's train.csv, val.csv and test.csv, or their folder."""

    suffixes = (".csv", ".csv.gz")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a table has EmbedLLM's columns."""
        return head.kind == "csv" and set(head.names) >= set(NEEDED)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every table; train, val and test in a file's name are the split."""
        shared = Shared(selection)
        for path in (file for given in paths for file in self._files(given)):
            head = head_of(path)
            missing = [name for name in NEEDED if name not in head.names]
            if missing:
                raise DataError(
                    f"{path.name} has no column {', '.join(missing)}; {head.summary()}",
                    f"expected: {', '.join(NEEDED)}",
                )
            rows, split = OutcomeRows(shared), _SPLITS.get(path.name.partition(".")[0])
            for place, cells in read_csv(path, rows.leave_out):
                with rows.row():
                    rows.add(
                        place,
                        query_id=f"{split or 'all'}/{cells['prompt_id']}",
                        query=cells["prompt"],
                        task=cells.get("category") or None,
                        split=split,
                        model=cells["model_name"],
                        score=cells["label"],
                    )
            yield rows.part(str(path))

    def _files(self, path: Path) -> list[Path]:
        files = files_in(path, *self.suffixes)
        return [file for file in files if self.recognises(head_of(file))] or files
