"""Replay records of vLLM's semantic router.

Fields of vllm-project/semantic-router, src/semantic-router/pkg/routerreplay/store/store.go at
01e51e5e (`Record`, `Outcome`) and learning_diagnostics.go (`adaptation.scores`,
`adaptation.sampling`). The router logs no propensity, not even where it samples. A number of 0 is
not written (`omitempty`): an outcome without a score may have had 0 or none. Its reward is null,
and all outcomes stand in `extra`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import count, inner, moment, parsed, query, text
from routebench_importers.optionless import OptionlessImporter


class SemanticRouterReplay(OptionlessImporter):
    """Replay records of vLLM's semantic router, with feedback."""

    suffixes = (".json", ".jsonl")

    def recognises(self, head: FileHead) -> bool:
        """Return whether it has the fields of a replay record."""
        return {"selected_model", "original_model"} <= set(head.names)

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per record."""
        for path in paths:
            for place, record in records(path, "data", "records"):
                yield place, _event(record, place)


def _event(record: dict[str, Any], place: str) -> dict[str, Any]:
    adaptation = inner(record, "learning", "adaptation")
    scores = inner(adaptation, "scores")
    usd = str(record.get("currency") or "USD").upper() == "USD"
    reward, source, at = _reward(record.get("outcomes"))
    status = record.get("response_status")
    failed = record.get("lifecycle_state") in ("failed", "aborted")
    milliseconds = count(record.get("duration_ms"))
    return {
        "event": text(record.get("id")),
        "time": moment(record.get("timestamp"), place),
        "session": text(record.get("session_id")) or text(record.get("conversation_id")),
        "query": text(record.get("prompt")) or query(parsed(record.get("request_body"))),
        "task": text(record.get("category")),
        "policy_version": text(record.get("recipe")),
        "chosen": text(record.get("selected_model")),
        "candidates": sorted(scores) if isinstance(scores, dict) and scores else None,
        "reward": reward,
        "reward_source": source,
        "reward_time": moment(at, place),
        "input_tokens": count(record.get("prompt_tokens")),
        "output_tokens": count(record.get("completion_tokens")),
        "cached_tokens": count(record.get("cached_prompt_tokens")),
        "cost_usd": count(record.get("actual_cost")) if usd else None,
        "latency_s": None if milliseconds is None else milliseconds / 1000.0,
        "error": (text(record.get("terminal_reason")) or str(status or "failed"))
        if failed or (isinstance(status, int) and status >= 400)
        else None,
        "extra": json.dumps({"outcomes": record["outcomes"]}) if record.get("outcomes") else None,
    }


def _reward(outcomes: Any) -> tuple[float | None, str | None, Any]:
    """Return the score of the last outcome that has one, its source and time."""
    known = outcomes if isinstance(outcomes, list) else []
    for outcome in reversed(known):
        score = count(inner(outcome, "score"))
        if score is not None:
            return score, text(inner(outcome, "source")), inner(outcome, "timestamp")
    return None, None, None
