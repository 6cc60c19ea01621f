"""Requests and responses of OpenAI's chat completions or responses API, one pair a line.

Objects of openai/openai-python, src/openai/types: `chat.completion` (`id`, `created`, `model`,
`choices`, `usage.prompt_tokens_details.cached_tokens`,
`usage.completion_tokens_details.reasoning_tokens`), `response` (`created_at`, `output`,
`usage.input_tokens`), and the lines of batch files (`custom_id`, `response.body`, `error`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.importers.files import read_jsonl
from routebench.traffic.logs.values import count, inner, moment, query, text, usage
from routebench_importers.optionless import OptionlessImporter


class OpenAIPairs(OptionlessImporter):
    """Requests and responses of OpenAI's APIs, a pair a line."""

    suffixes = (".jsonl",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether the first line has a response, and a request or a batch's id."""
        names = set(head.names)
        return (
            head.kind == "jsonl"
            and "response" in names
            and bool(names & {"request", "custom_id"})
            and not names & {"request_id_hash", "spend", "selected_model"}
        )

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per line."""
        for path in paths:
            for place, record in read_jsonl(path):
                yield place, _event(record, place)


def _event(record: dict[str, Any], place: str) -> dict[str, Any]:
    request, response = record.get("request"), record.get("response")
    request = inner(request, "body") or request or {}
    response = inner(response, "body") or response or {}
    error = record.get("error") or inner(response, "error")
    metadata = inner(request, "metadata")
    session = next(
        (inner(metadata, n) for n in ("session_id", "session", "conversation_id") if metadata), None
    )
    created = inner(response, "created") or inner(response, "created_at")
    made = {
        "event": text(record.get("custom_id")) or text(inner(response, "id")),
        "time": moment(record.get("time") or record.get("timestamp") or created, place),
        "session": text(session),
        "user": text(inner(request, "user")),
        "query": query(inner(request, "messages") or inner(request, "input")),
        "chosen": text(inner(response, "model")) or text(inner(request, "model")),
        "reward": count(record.get("reward")),
        "latency_s": count(record.get("latency_s")),
        "cost_usd": count(record.get("cost_usd")),
        "error": text(inner(error, "message")) or text(error),
    }
    return made | usage(inner(response, "usage"))
