"""Spans of OpenTelemetry's conventions for generative AI, as OTLP JSON.

Attributes of open-telemetry/semantic-conventions, docs/gen-ai/gen-ai-events.md at 00c5325a and
docs/gen-ai/gen-ai-spans.md: `gen_ai.request.model`, `gen_ai.response.model`, `gen_ai.response.id`,
`gen_ai.conversation.id`, `gen_ai.usage.*`, `gen_ai.input.messages`, `error.type`; and the event
`gen_ai.evaluation.result` (`gen_ai.evaluation.score.value`, `.name`), on a span or as a log
record that names a `gen_ai.response.id`. The conventions have no cost and no propensity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.traffic.logs.records import records
from routebench.traffic.logs.rewards import Rewards
from routebench.traffic.logs.values import between, count, inner, moment, query, text
from routebench_importers.optionless import OptionlessImporter

_EVALUATION = "gen_ai.evaluation.result"
_NOT_ANSWERS = {"embeddings", "execute_tool", "create_agent", "invoke_agent", "retrieval"}


class GenAISpans(OptionlessImporter):
    """OpenTelemetry spans with gen_ai attributes, as OTLP JSON, one export a line or a file."""

    suffixes = (".json", ".jsonl")

    def recognises(self, head: FileHead) -> bool:
        """Return whether it has OTLP's resource spans."""
        return head.kind in ("json", "jsonl") and bool(
            {"resourceSpans", "resource_spans", "resourceLogs"} & set(head.names)
        )

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per span that asks a model; evaluations are read first."""
        known = Rewards()
        for path in paths:
            for _, record in records(path):
                for log in _each(record, "Logs", "logRecords"):
                    _keep(known, log, _attributes(log), log.get("timeUnixNano"))
        for path in paths:
            for place, record in records(path):
                for span in _each(record, "Spans", "spans"):
                    event = _event(span, place, known)
                    if event is not None:
                        yield place, event


def _each(record: dict[str, Any], kind: str, name: str) -> Iterator[dict[str, Any]]:
    for resource in record.get(f"resource{kind}") or ():
        for scope in inner(resource, f"scope{kind}") or ():
            yield from (one for one in inner(scope, name) or () if isinstance(one, dict))


def _keep(known: Rewards, event: dict[str, Any], attributes: dict[str, Any], at: Any) -> None:
    name = event.get("eventName") or event.get("name") or attributes.get("event.name")
    score = count(attributes.get("gen_ai.evaluation.score.value"))
    key = text(attributes.get("gen_ai.response.id"))
    if name == _EVALUATION and score is not None and key is not None:
        known.add(key, score, text(attributes.get("gen_ai.evaluation.name")), moment(at, ""))


def _event(span: dict[str, Any], place: str, known: Rewards) -> dict[str, Any] | None:
    attributes = _attributes(span)
    model = attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model")
    if model is None or attributes.get("gen_ai.operation.name") in _NOT_ANSWERS:
        return None
    start, end = (moment(span.get(f"{n}TimeUnixNano"), place) for n in ("start", "end"))
    response = text(attributes.get("gen_ai.response.id"))
    made = {
        "event": text(span.get("spanId")),
        "time": start,
        "session": text(attributes.get("gen_ai.conversation.id")) or text(span.get("traceId")),
        "user": text(attributes.get("user.id")) or text(attributes.get("enduser.id")),
        "query": query(attributes.get("gen_ai.input.messages")),
        "chosen": text(model),
        "input_tokens": count(attributes.get("gen_ai.usage.input_tokens")),
        "output_tokens": count(attributes.get("gen_ai.usage.output_tokens")),
        "cached_tokens": count(attributes.get("gen_ai.usage.cache_read.input_tokens")),
        "reasoning_tokens": count(attributes.get("gen_ai.usage.reasoning.output_tokens")),
        "latency_s": between(start, end),
        "error": text(attributes.get("error.type")),
    }
    own = Rewards()
    for each in span.get("events") or ():
        found = {"gen_ai.response.id": "own"} | _attributes(each)
        _keep(own, each, found | {"gen_ai.response.id": "own"}, each.get("timeUnixNano"))
    return made | (own.of("own") or known.of(response))


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {
        one["key"]: _plain(one.get("value"))
        for one in holder.get("attributes") or ()
        if isinstance(one, dict) and "key" in one
    }


def _plain(value: Any) -> Any:
    """Return what an OTLP value holds: whole numbers are written as texts."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, held),) = value.items()
    if kind == "arrayValue":
        return [_plain(each) for each in inner(held, "values") or ()]
    if kind == "kvlistValue":
        return {e["key"]: _plain(e.get("value")) for e in inner(held, "values") or () if "key" in e}
    return held
