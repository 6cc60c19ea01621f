"""Every Eval Ever's instance files: what inspect_ai, HELM and lm-eval become through it.

One JSON object per line and sample, as in evaleval/every_eval_ever:
every_eval_ever/schemas/instance_level_eval.schema.json, version 0.3.0 (at 9bce4136), with
evaluation_id, model_id, evaluation_name, evaluation_result_id, sample_id, interaction_type,
input.raw, input.reference, output.raw or messages, evaluation.score, token_usage,
performance.latency_ms and error. A sample that several metrics score stands there once for each,
with another evaluation_result_id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_jsonl
from routebench.importers.rows import OutcomeRows, Shared, hash_text

NEEDED = ("schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id", "input")
VERSIONS = ("0.3.",)


class EveryEvalEver:
    """Every Eval Ever's instance files, *_samples.jsonl (schema 0.3)."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

        result: str | None = Field(
            default=None,
            description="evaluation_result_id whose scores are read, where there are several; the"
            " first of each evaluation by default",
        )

    suffixes = (".jsonl", ".jsonl.gz")

    def __init__(self, options: Options) -> None:
        self.options = options

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file begins with an instance record."""
        return head.kind == "jsonl" and set(head.names) >= {*NEEDED, "interaction_type"}

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every file; a query is its text and references in an evaluation."""
        shared = Shared(selection)
        for path in (file for given in paths for file in _files(given, self)):
            rows = OutcomeRows(shared)
            chosen: dict[tuple[str, str], str | None] = {}
            for place, record in read_jsonl(path, rows.leave_out):
                with rows.row(place):
                    if self._is_read(place, record, chosen):
                        _add(rows, place, record)
                    else:
                        rows.notes["rows of another metric (every-eval-ever.result)"] += 1
            yield rows.part(str(path))

    def _is_read(
        self, place: str, record: dict[str, Any], chosen: dict[tuple[str, str], str | None]
    ) -> bool:
        missing = [name for name in (*NEEDED, "evaluation") if record.get(name) is None]
        if missing:
            raise DataError(
                f"{place} has no {', '.join(missing)}",
                "expected: an instance record of Every Eval Ever; aggregates have no queries",
            )
        version = str(record["schema_version"])
        if not version.startswith(VERSIONS):
            raise DataError(f"{place}: schema_version is {version[:20]!r}", "0.3 is read")
        result = record.get("evaluation_result_id")
        if self.options.result is not None:
            return bool(result == self.options.result)
        key = str(record["evaluation_id"]), str(record["evaluation_name"])
        return bool(chosen.setdefault(key, result) == result)


def _files(path: Path, importer: EveryEvalEver) -> list[Path]:
    files = files_in(path, *importer.suffixes)
    return [file for file in files if importer.recognises(head_of(file))] or files


def _add(rows: OutcomeRows, place: str, record: dict[str, Any]) -> None:
    asked, graded = record["input"], record["evaluation"]
    if not isinstance(asked, dict) or not isinstance(asked.get("raw"), str):
        raise DataError(f"{place}: input.raw is no text")
    if not isinstance(graded, dict):
        raise DataError(f"{place}: evaluation is no object")
    reference = [str(each) for each in asked.get("reference") or []]
    choices = [str(each) for each in asked.get("choices") or []]
    query = asked["raw"]
    if choices and not all(choice in query for choice in choices):
        query = "\n".join([query, *choices])
    task = str(record["evaluation_name"])
    usage, timing = record.get("token_usage") or {}, record.get("performance") or {}
    responses = _responses(record)
    latency = timing.get("latency_ms")
    digest = hash_text("\x1f".join((query, *reference)))
    rows.add(
        place,
        query_id=f"{task}/{digest}",
        query=query,
        reference=reference[0]
        if len(reference) == 1
        else json.dumps(reference)
        if reference
        else None,
        task=task,
        model=record["model_id"],
        score=graded.get("score"),
        failed=bool(record.get("error")) and not any(responses),
        response="\n\n".join(responses) if responses else None,
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        latency=None if latency is None else latency / 1000,
    )


def _responses(record: dict[str, Any]) -> list[str]:
    """Return the texts of the answer: of a conversation what the model said last."""
    output = record.get("output")
    if isinstance(output, dict):
        return [each for each in output.get("raw") or [] if isinstance(each, str)]
    said = [
        message["content"]
        for message in record.get("messages") or []
        if message.get("role") == "assistant" and isinstance(message.get("content"), str)
    ]
    return said[-1:]
