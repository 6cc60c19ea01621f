"""promptfoo's results: one JSON object with every result, or one result per line.

As promptfoo 0.121 writes with `promptfoo eval -o results.json` or `-o results.jsonl`
(EvaluateResult in its src/types/index.ts): prompt.raw, provider {id, label}, response {output,
tokenUsage, cost, cached}, score, gradingResult.componentResults, latencyMs, which has promptfoo's
own waiting in it, and failureReason, which is 2 where the call failed. The counts beside the
response are 0 where a provider states none, so only the response's are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.data.reading.messages import joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import Bad, files_in, head_of, read_json, read_jsonl
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench_importers.optionless import OptionlessImporter

WHOLE = ("results", "version", "timestamp", "prompts")
RESULT = ("promptIdx", "testIdx", "provider", "gradingResult")
_ERROR = 2


class Promptfoo(OptionlessImporter):
    """promptfoo's results, written with -o results.json or results.jsonl."""

    suffixes = (".json", ".jsonl", ".json.gz", ".jsonl.gz")

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins as promptfoo's results do."""
        wanted = {"json": WHOLE, "jsonl": RESULT}.get(head.kind)
        return wanted is not None and set(head.names) >= set(wanted)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every file; a query is the prompt as it was sent."""
        shared = Shared(selection)
        for path in (file for given in paths for file in _files(given, self)):
            rows = OutcomeRows(shared)
            for place, record in _results(path, rows.leave_out):
                with rows.row(place):
                    _add(rows, place, record)
            yield rows.part(str(path))


def _files(path: Path, importer: Promptfoo) -> list[Path]:
    files = files_in(path, *importer.suffixes)
    return [file for file in files if importer.recognises(head_of(file))] or files


def _results(path: Path, bad: Bad) -> Iterator[tuple[str, dict[str, Any]]]:
    if head_of(path).kind == "jsonl":
        yield from read_jsonl(path, bad)
        return
    held = read_json(path)
    for _ in range(2):  # version 3 holds them one object deeper
        held = held.get("results") if isinstance(held, dict) else held
    if not isinstance(held, list):
        raise DataError(f"{path.name}: results.results is no list", "expected: promptfoo's results")
    for row, record in enumerate(held, 1):
        place = f"{path.name}: result {row}"
        if isinstance(record, dict):
            yield place, record
        else:
            bad(DataError(f"{place} is no JSON object"))


def _add(rows: OutcomeRows, place: str, record: dict[str, Any]) -> None:
    query, model = _prompt(record.get("prompt")), _provider(record.get("provider"))
    if query is None:
        raise DataError(f"{place} has no prompt.raw")
    response = record.get("response") or {}
    usage = response.get("tokenUsage") or {}
    cached, output = bool(response.get("cached")), response.get("output")
    failed = record.get("failureReason") == _ERROR or (output is None and bool(record.get("error")))
    graded = bool((record.get("gradingResult") or {}).get("componentResults"))
    if not graded and not failed:
        rows.notes["answers that nothing is asserted of, which promptfoo passes: ungraded"] += 1
    latency = record.get("latencyMs")
    rows.add(
        place,
        query_id=hash_text(query),
        query=query,
        reference=_reference(record),
        model=model,
        score=record.get("score") if graded else None,
        failed=failed,
        response=output if isinstance(output, str) or output is None else json.dumps(output),
        cost=response.get("cost"),
        input_tokens=usage.get("prompt"),
        output_tokens=usage.get("completion"),
        latency=None if cached or latency is None else latency / 1000,
    )


def _prompt(held: Any) -> str | None:
    """Return the prompt's text; one that is a JSON list of chat messages as its turns."""
    raw = held.get("raw") if isinstance(held, dict) else None
    if not isinstance(raw, str):
        return None
    if raw.lstrip().startswith("["):
        try:
            return joined(json.loads(raw)) or raw
        except (ValueError, RecursionError):
            return raw
    return raw


def _provider(held: Any) -> Any:
    return held.get("label") or held.get("id") if isinstance(held, dict) else held


def _reference(record: dict[str, Any]) -> str | None:
    """Return what the answer is asserted to equal, where it is a text."""
    asserted = (record.get("testCase") or {}).get("assert") or []
    values = [
        each.get("value")
        for each in asserted
        if isinstance(each, dict) and each.get("type") in ("equals", "contains", "icontains")
    ]
    return next((value for value in values if isinstance(value, str)), None)
