"""LLMRouter's routing data: one JSON object per query and model.

As written by ulab-uiuc/LLMRouter: llmrouter/data/README.md (at 322c2cf3) and
llmrouter/data/api_calling_evaluation.py (at 27566924), with task_name, query, ground_truth,
model_name, response, input_tokens, output_tokens, response_time (seconds) and performance (0 to
1). A call that failed is written there as the answer `ERROR: …` or `API Error: …` without tokens,
and graded as wrong. Also its lists of {question, scores: {model: score}}, as in
data/dcrouter_preprocessed/test.json (at 17e4c692). Costs are not in either: they come from the
prices in its default_llm.json, which `--prices` reads as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.data.reading.messages import HINT, joined
from routebench.errors import DataError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of, read_records
from routebench.importers.rows import OutcomeRows, Shared, hash_text
from routebench.redact import one_line
from routebench_importers.optionless import OptionlessImporter

NEEDED = ("query", "model_name", "performance")
PAIRS = ("question", "scores")
EXPECTED = f"one JSON object per line with {', '.join(NEEDED)}; or a list of {{question, scores}}"
_FAILURES = ("ERROR", "API Error")
_PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


class LLMRouter(OptionlessImporter):
    """LLMRouter's routing data (.jsonl), or its {question, scores} lists (.json)."""

    suffixes = (".jsonl", ".json")

    def recognises(self, head: FileHead) -> bool:
        """Tell whether a file begins with such an object."""
        return _is_routing_data(head)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every file. A file named train, val or test is that part of the split.

        Of a folder those that are no routing data (queries, descriptions of models) are left out.
        """
        shared = Shared(selection)
        for path in (file for given in paths for file in _files(given)):
            head = head_of(path)
            if not _is_routing_data(head):
                raise DataError(
                    f"{path.name}: no routing data; {head.summary()}", f"expected: {EXPECTED}"
                )
            rows, split = OutcomeRows(shared), _split(path)
            for place, record in read_records(path, head.kind, rows.leave_out):
                if "scores" in record:
                    _add_scores(rows, place, record, split)
                else:
                    with rows.row():
                        _add_answer(rows, place, record, split)
            yield rows.part(str(path))


def _is_routing_data(head: FileHead) -> bool:
    names = set(head.names)
    if head.kind == "json" and "records" in names:
        return False  # a result file of LLMRouterBench, whose records may hold anything
    return head.kind in ("json", "jsonl", "list") and (names >= set(NEEDED) or names >= set(PAIRS))


def _files(path: Path) -> list[Path]:
    files = files_in(path, ".jsonl", ".json")
    return [file for file in files if _is_routing_data(head_of(file))] or files


def _split(path: Path) -> str | None:
    words = re.split(r"[^a-z]+", path.stem.lower())
    found = {_PARTS[word] for word in words if word in _PARTS}
    return found.pop() if len(found) == 1 else None


def _add_answer(rows: OutcomeRows, place: str, record: dict[str, Any], split: str | None) -> None:
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise DataError(f"{place} has no {', '.join(missing)}", f"expected: {EXPECTED}")
    query, model = joined(record["query"]), record["model_name"]
    if query is None:
        shown = one_line(repr(record["query"]), 80)
        raise DataError(f"{place}: query is {shown}, no text", HINT)
    if query is not record["query"]:
        rows.notes["queries that are chat messages, their turns joined"] += 1
    if model is None or model == "":
        raise DataError(f"{place}: model_name is {'null' if model is None else 'empty'}")
    response, task = record.get("response"), record.get("task_name")
    truth = _text(record.get("ground_truth"))
    # A text that asks for two different answers is two queries.
    digest = hash_text("\x1f".join((task or "", query, truth or "")))
    rows.add(
        place,
        query_id=f"{split or 'all'}/{digest}",
        query=query,
        reference=truth,
        task=task,
        split=split,
        model=str(model),
        score=record["performance"],
        failed=_failed(record),
        response=response if isinstance(response, str) else None,
        input_tokens=record.get("input_tokens"),
        output_tokens=record.get("output_tokens"),
        latency=record.get("response_time"),
    )


def _failed(record: dict[str, Any]) -> bool:
    response = record.get("response")
    if record.get("output_tokens"):
        return False
    answered = response is None and record["performance"] is not None
    return not answered and (not response or str(response).startswith(_FAILURES))


def _add_scores(rows: OutcomeRows, place: str, record: dict[str, Any], split: str | None) -> None:
    question, scores = joined(record.get("question")), record["scores"]
    if question is None or not isinstance(scores, dict):
        text = f"{place} has no question, or no scores by model"
        rows.leave_out(DataError(text, f"expected: {EXPECTED}"))
        return
    for model, score in scores.items():
        with rows.row():
            rows.add(
                f"{place}, {model}",
                query_id=f"{split or 'all'}/{hash_text(question)}",
                query=question,
                split=split,
                model=model,
                score=score,
                failed=score is None,
            )


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)
