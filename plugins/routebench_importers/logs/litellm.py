"""LiteLLM's spend logs and shadow evaluations, as JSON, JSON lines or CSV.

Columns of BerriAI/litellm, litellm/proxy/schema.prisma at 0010143f: `LiteLLM_SpendLogs`, and
`LiteLLM_ShadowEvalAttempt` of litellm-proxy-extras' migrations. Its numbers default to 0: a spend
of 0 beside tokens is one that LiteLLM had no price for, tokens of 0 are of a call without usage.
Cached and reasoning tokens are in `metadata.usage_object`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import between, count, inner, moment, parsed, query, text, usage
from routebench_importers.optionless import OptionlessImporter

_SPEND = {"request_id", "spend", "model", "prompt_tokens"}
_SHADOW = {"request_id", "outcome", "real_model", "shadow_model"}
_WON = {"real": (1.0, 0.0), "shadow": (0.0, 1.0), "tie": (0.5, 0.5)}


class LiteLLMLogs(OptionlessImporter):
    """LiteLLM's spend logs (LiteLLM_SpendLogs) and shadow-evaluation attempts."""

    suffixes = (".json", ".jsonl", ".csv")

    def recognises(self, head: FileHead) -> bool:
        """Return whether it has the columns of either table."""
        names = set(head.names)
        return names.issuperset(_SPEND) or names.issuperset(_SHADOW)

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per call: one per spend log, and both models' per shadow evaluation."""
        for path in paths:
            for place, record in records(path, "data", "logs"):
                if "shadow_model" in record:
                    for event in _shadow(record, place):
                        yield place, event
                else:
                    yield place, _spend(record, place)


def _spend(record: dict[str, Any], place: str) -> dict[str, Any]:
    start, end = (moment(record.get(name), place) for name in ("startTime", "endTime"))
    metadata = parsed(record.get("metadata"))
    counts = usage(inner(metadata, "usage_object"))
    counts |= {
        "input_tokens": count(record.get("prompt_tokens")) or None,
        "output_tokens": count(record.get("completion_tokens")),
    }
    if counts["input_tokens"] is None and not counts["output_tokens"]:
        counts["output_tokens"] = None
    cached = str(record.get("cache_hit")).lower() == "true"
    milliseconds = count(record.get("request_duration_ms"))
    failed = str(record.get("status")).lower() == "failure"
    error = inner(metadata, "error_information", "error_message")
    spend = count(record.get("spend"))
    body = parsed(record.get("proxy_server_request"))
    return counts | {
        "event": text(record.get("request_id")),
        "time": start,
        "session": text(record.get("session_id")),
        "user": text(record.get("end_user")) or text(record.get("user")),
        "query": query(record.get("messages")) or query(inner(body, "messages")),
        "chosen": text(record.get("model")),
        # Only an answer from LiteLLM's own cache is free.
        "cost_usd": spend if spend or cached else None,
        "latency_s": between(start, end) if milliseconds is None else milliseconds / 1000.0,
        "error": (text(error) or "failure") if failed else None,
    }


def _shadow(record: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    """Yield what is known of the two models' answers: who won, in the judge's eyes."""
    won = _WON.get(str(record.get("outcome")), (None, None))
    request = text(record.get("request_id"))
    for at, role in enumerate(("real", "shadow")):
        other = text(record.get(("shadow_model", "real_model")[at]))
        yield {
            "event": f"{request}:{role}" if at else request,
            "session": request,
            "time": moment(record.get("created_at"), place),
            "task": text(record.get("tier")),
            "chosen": text(record.get(f"{role}_model")),
            "routed": False if at else None,
            "reward": won[at],
            "reward_source": f"shadow evaluation against {other}",
            "cost_usd": count(record.get(f"{role}_cost")),
            "error": text(record.get("error")),
        }
