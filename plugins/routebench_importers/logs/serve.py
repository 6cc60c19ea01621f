"""The log of `routebench serve --log`: every field is kept, those without a column in `extra`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.importers.files import read_jsonl
from routebench.traffic.logs.values import count, inner, moment, query, text
from routebench_importers.optionless import OptionlessImporter

_COLUMNS = {
    "event", "time", "policy_version", "session", "candidates", "probabilities", "chosen",
    "propensity", "answered_by", "cost_usd", "latency_s", "error",
}  # fmt: skip
_ROUTER = "routebench"  # the model that a client names to have one chosen


class ServeLog(OptionlessImporter):
    """The log of `routebench serve --log`, with propensities."""

    suffixes = (".jsonl",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether the first line has the fields of an event that was served."""
        return head.kind == "jsonl" and {"event", "policy_version", "propensity"} <= set(head.names)

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per line."""
        for path in paths:
            for place, record in read_jsonl(path):
                yield place, _event(record, place)


def _event(record: dict[str, Any], place: str) -> dict[str, Any]:
    requested, tokens = record.get("requested"), record.get("tokens")
    named = isinstance(requested, str) and requested.partition("@")[0] != _ROUTER
    rest = {k: v for k, v in record.items() if k not in _COLUMNS and k != "messages"}
    if "messages" in record and not isinstance(record["messages"], list):
        rest["messages"] = record["messages"]
    return {name: record.get(name) for name in _COLUMNS} | {
        "time": moment(record.get("time"), place),
        "routed": None if requested is None else not named,
        "query": query(record.get("messages")),
        "propensity": count(record.get("propensity")),
        "input_tokens": count(inner(tokens, "prompt_tokens")),
        "output_tokens": count(inner(tokens, "completion_tokens")),
        "cost_usd": count(record.get("cost_usd")),
        "latency_s": count(record.get("latency_s")),
        "error": text(record.get("error")),
        "extra": json.dumps(rest, ensure_ascii=False, separators=(",", ":")),
    }
