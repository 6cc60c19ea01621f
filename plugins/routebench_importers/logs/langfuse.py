"""Langfuse's observations and scores, as JSON lines in one file or several.

Fields of langfuse/langfuse, packages/shared/src/domain/observations.ts at 0ea65daf and scores.ts
at 06388ae8, or the same in snake case. Scores are joined by `observationId`, else by `traceId`
where a trace has one generation; those of the type CATEGORICAL have no number and are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.traffic.logs.records import records
from routebench.traffic.logs.rewards import Rewards
from routebench.traffic.logs.values import between, count, inner, moment, parsed, query, text
from routebench_importers.optionless import OptionlessImporter

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class LangfuseExport(OptionlessImporter):
    """Langfuse's observations, with scores where their file is given too."""

    suffixes = (".jsonl", ".json")

    def recognises(self, head: FileHead) -> bool:
        """Return whether it has the fields of observations or of scores."""
        names = {_snake(name) for name in head.names}
        return "trace_id" in names and (
            {"usage_details", "cost_details", "start_time"} & names > {"start_time"}
            or {"data_type", "observation_id"} <= names
        )

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per generation; scores are read first."""
        known, answers = Rewards(), Counter[str]()
        for place, record in _records(paths):
            if _is_score(record):
                _keep(known, record, place)
            elif record.get("type") == "GENERATION":
                answers[str(record.get("trace_id"))] += 1
        for place, record in _records(paths):
            if not _is_score(record) and record.get("type") == "GENERATION":
                yield place, _event(record, place, known, answers)


def _records(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        for place, record in records(path, "data"):
            yield place, {_snake(name): value for name, value in record.items()}


def _snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def _is_score(record: dict[str, Any]) -> bool:
    return "data_type" in record and "value" in record


def _keep(known: Rewards, record: dict[str, Any], place: str) -> None:
    value, source = count(record.get("value")), text(record.get("source"))
    if value is None or record.get("data_type") == "CATEGORICAL":
        return
    named = f"{record.get('name')} ({source})"
    at = moment(record.get("timestamp"), place)
    if observation := text(record.get("observation_id")):
        known.add(f"observation {observation}", value, named, at)
    elif trace := text(record.get("trace_id")):
        known.add(f"trace {trace}", value, named, at)


def _event(
    record: dict[str, Any], place: str, known: Rewards, answers: Counter[str]
) -> dict[str, Any]:
    usage, cost = (parsed(record.get(f"{kind}_details")) for kind in ("usage", "cost"))
    start, end = (moment(record.get(f"{n}_time"), place) for n in ("start", "end"))
    trace, latency = text(record.get("trace_id")), count(record.get("latency"))
    failed = record.get("level") == "ERROR"
    total = count(record.get("total_cost"))
    own = known.of(f"observation {record.get('id')}")
    if not own and answers[str(trace)] == 1:
        own = known.of(f"trace {trace}")
    return {
        "event": text(record.get("id")),
        "time": start,
        "session": text(record.get("session_id")) or trace,
        "user": text(record.get("user_id")),
        "query": query(record.get("input")),
        "chosen": text(record.get("model")) or text(record.get("provided_model_name")),
        "input_tokens": _whole(usage, "input"),
        "output_tokens": _whole(usage, "output"),
        "cached_tokens": _part(usage, "input", "cach"),
        "reasoning_tokens": _part(usage, "output", "reasoning"),
        "cost_usd": total if total is not None else count(inner(cost, "total")),
        "latency_s": between(start, end) if latency is None else latency,
        "error": (text(record.get("status_message")) or "ERROR") if failed else None,
    } | own


def _whole(usage: Any, side: str) -> float | None:
    """Return the tokens of one side: Langfuse counts those cached, or of reasoning, apart."""
    if not isinstance(usage, dict) or count(usage.get(side)) is None:
        return None
    return sum(n for name, each in usage.items() if side in name and (n := count(each)) is not None)


def _part(usage: dict[str, Any] | None, side: str, word: str) -> float | None:
    names = [n for n in usage or () if side in n and word in n and "creation" not in n]
    return count(usage[names[0]]) if usage and names else None
