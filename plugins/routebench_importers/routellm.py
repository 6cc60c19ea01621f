"""RouteLLM's response tables: one row per prompt, one column of True and False per model.

As in lm-sys/RouteLLM: routellm/evals/mmlu/responses/mmlu_<domain>.csv (at c5e4ef6c) has
`prompt,mixtral-8x7b-instruct-v0.1,gpt-4-1106-preview`; routellm/evals/gsm8k/gsm8k_responses.csv
(at c2ad6938) has each model's answer too, as `<model>_response`. Later versions call the weak
model mistralai/Mixtral-8x7B-Instruct-v0.1. Costs and tokens are not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_csv
from routebench.importers.rows import OutcomeRows, Shared
from routebench_importers.optionless import OptionlessImporter

EXPECTED = "prompt, and for each of two or more models a column of True and False"
_ANSWER = "_response"
_VALUES = {"true", "false", "0", "1", "0.0", "1.0", ""}


class RouteLLM(OptionlessImporter):
    """RouteLLM's response tables: mmlu_*.csv, gsm8k_responses.csv, or their folder."""

    suffixes = (".csv",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file has prompts and columns of True and False."""
        models = _models(head.names)
        if head.kind != "csv" or "prompt" not in head.names or len(models) < 2:
            return False
        first = dict(zip(head.names, head.first, strict=False))
        return all(first.get(model, "").strip().lower() in _VALUES for model in models)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every table; a query is known by its table and its place in it."""
        shared, known = Shared(selection), None
        for path in (file for given in paths for file in files_in(given, ".csv")):
            head = head_of(path)
            models = _models(head.names)
            if head.kind != "csv" or "prompt" not in head.names or len(models) < 2:
                raise DataError(
                    f"{path.name}: no response table; {head.summary()}", f"expected: {EXPECTED}"
                )
            if known is not None and set(models) != known:
                raise DataError(
                    f"{path.name}: its models are {', '.join(models)}, those of the files before"
                    f" {', '.join(sorted(known))}",
                    "take all files from one version of RouteLLM, or import them one by one",
                )
            known = set(models)
            yield _table(path, models, shared).part(str(path))


def _models(names: Sequence[str]) -> list[str]:
    """Return the columns that are models: not the index that pandas writes, not their answers."""
    answers = {name + _ANSWER for name in names}
    return [
        n for n in names if n not in {"prompt", "idx", "index", "", *answers} and "Unnamed" not in n
    ]


def _table(path: Path, models: list[str], shared: Shared) -> OutcomeRows:
    name = path.name.removesuffix(".csv").removesuffix("_responses")
    task, _, topic = name.partition("_")
    prefix = f"{task}/{topic}" if topic else task
    rows = OutcomeRows(shared)
    for at, (place, cells) in enumerate(read_csv(path, rows.leave_out)):
        for model in models:
            verdict = cells[model].strip()
            with rows.row():
                rows.add(
                    f"{place}, column {model}",
                    query_id=f"{prefix}/{at}",
                    query=cells["prompt"],
                    task=task,
                    topic=topic or task,
                    model=model,
                    score=verdict,
                    failed=not verdict,
                    response=cells.get(model + _ANSWER),
                )
    return rows
