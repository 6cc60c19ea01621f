"""lm-evaluation-harness's samples: one JSON object per document and filter.

As EleutherAI/lm-evaluation-harness writes with --log_samples (lm_eval/loggers/evaluation_tracker.py
and lm_eval/evaluator.py, 0.4.13): `<model>/samples_<task>_<date>.jsonl` with doc_id, doc, target,
arguments, resps, filtered_resps, filter, metrics, and each metric's value under its name. The
model's name is in `results_<date>.json` beside it, else the folder's. Tokens, times and costs are
not in them; repeats are graded once, together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_json, read_jsonl
from routebench.importers.rows import OutcomeRows, Shared

NEEDED = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps")
_NAME = re.compile(r"^samples_(.+?)_(\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl(\.gz)?$")


class LMEval:
    """lm-evaluation-harness's samples_*.jsonl, or their folder."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

        model: str | None = Field(
            default=None, description="the model's name, where no results_*.json lies beside"
        )
        metric: str | None = Field(
            default=None, description="metric that is the score; a task's first one by default"
        )
        filter: str | None = Field(
            default=None, description="filter whose answers are read; a task's first by default"
        )

    suffixes = (".jsonl", ".jsonl.gz")

    def __init__(self, options: Options) -> None:
        self.options = options

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins with a sample."""
        return head.kind == "jsonl" and set(head.names) >= set(NEEDED)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every file; a query is known by its task and doc_id."""
        shared = Shared(selection)
        for path in (file for given in paths for file in self._files(given)):
            match = _NAME.match(path.name)
            task = match[1] if match else path.name.split(".jsonl")[0].removeprefix("samples_")
            model = self.options.model or _model(path, match[2] if match else None)
            rows, wanted = OutcomeRows(shared), self.options.filter
            for place, record in read_jsonl(path, rows.leave_out):
                with rows.row(place):
                    _check(place, record)
                    wanted = record.get("filter") if wanted is None else wanted
                    if record.get("filter") == wanted:
                        self._add(rows, place, record, task, model)
                    else:
                        rows.notes["rows of another filter (lm-eval.filter)"] += 1
            yield rows.part(str(path))

    def _files(self, path: Path) -> list[Path]:
        files = files_in(path, *self.suffixes)
        return [file for file in files if self.recognises(head_of(file))] or files

    def _add(
        self, rows: OutcomeRows, place: str, record: dict[str, Any], task: str, model: str
    ) -> None:
        prompts = _arguments(place, record["arguments"])
        target = record["target"]
        rows.add(
            place,
            query_id=f"{task}/{record['doc_id']}",
            query=prompts[0][0],
            reference=target if isinstance(target, str) else json.dumps(target),
            task=task,
            model=model,
            score=self._score(place, record),
            response=_response(record, [each[-1] for each in prompts]),
        )

    def _score(self, place: str, record: dict[str, Any]) -> Any:
        metrics = record.get("metrics") or []
        name = self.options.metric or (metrics[0] if metrics else None)
        if name is None:
            return None
        if name not in record:
            known = ", ".join(map(str, metrics))
            raise DataError(f"{place} has no metric {name}", f"--set lm-eval.metric: {known}")
        value = record[name]
        if value is not None and not isinstance(value, int | float):
            raise DataError(
                f"{place}: {name} is no number for one sample", "another --set lm-eval.metric=…"
            )
        return value


def _check(place: str, record: dict[str, Any]) -> None:
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise DataError(
            f"{place} has no {', '.join(missing)}", "expected: a sample written by --log_samples"
        )


def _model(path: Path, date: str | None) -> str:
    for results in path.parent.glob(f"results_{date}.json") if date else ():
        held = read_json(results)
        if isinstance(held, dict) and (name := held.get("model_name")) and isinstance(name, str):
            return name
    return path.resolve().parent.name.replace("__", "/")


def _arguments(place: str, held: Any) -> list[list[Any]]:
    """Return each request's arguments: named ones, or lists as before 0.4.3."""
    requests = list(held.values()) if isinstance(held, dict) else held
    made = [list(r.values()) if isinstance(r, dict) else r for r in requests or []]
    if not made or not all(isinstance(r, list) and r and isinstance(r[0], str) for r in made):
        raise DataError(f"{place}: arguments hold no prompt")
    return made


def _response(record: dict[str, Any], options: list[Any]) -> str | None:
    """Return the first filtered answer; of several options the most probable one."""
    held = record["filtered_resps"]
    if not isinstance(held, list) or not held:
        return None
    if len(options) > 1 and len(held) == len(options):
        try:
            likely = max(range(len(held)), key=lambda at: float(held[at][0]))
        except (TypeError, ValueError, IndexError):
            return None
        return str(options[likely]).strip()
    first = held[0]
    while isinstance(first, list) and first:
        first = first[0]
    return first if isinstance(first, str) else None
