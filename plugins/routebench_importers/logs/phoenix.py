"""Spans of Phoenix, in the attributes of OpenInference, as a Parquet file of its data frame.

Attributes of Arize-ai/openinference, python/openinference-semantic-conventions at 11489da8:
`llm.model_name`, `llm.token_count.*` (`prompt_details.cache_read`,
`completion_details.reasoning`), `llm.cost.total`, `session.id`, `user.id`, `input.value`. A data
frame has them as `attributes.…`, beside `context.span_id`, `start_time`, `span_kind`,
`status_code`; evaluations as `eval.NAME.score`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.hookspecs import FileHead
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import between, count, inner, moment, parsed, query, text
from routebench_importers.optionless import OptionlessImporter


class PhoenixSpans(OptionlessImporter):
    """Phoenix's spans (OpenInference) as Parquet."""

    suffixes = (".parquet",)

    def recognises(self, head: FileHead) -> bool:
        """Return whether it is a data frame of spans."""
        names = set(head.names)
        return head.kind == "parquet" and {"context.span_id", "start_time"} <= names

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield an event per span that asks a language model."""
        for path in paths:
            for place, record in records(path):
                if str(record.get("span_kind") or "LLM").upper() == "LLM":
                    yield place, _event(record, place)


def _event(record: dict[str, Any], place: str) -> dict[str, Any]:
    def of(name: str) -> Any:
        flat = record.get(f"attributes.{name}")
        if flat is not None:
            return flat
        head, _, rest = name.partition(".")  # some versions keep a group as one column
        return inner(parsed(record.get(f"attributes.{head}")), *rest.split("."))

    start, end = moment(record.get("start_time"), place), moment(record.get("end_time"), place)
    scored = next(
        (n for n in sorted(record) if n.startswith("eval.") and n.endswith(".score")
         and count(record[n]) is not None), None,
    )  # fmt: skip
    failed = str(record.get("status_code")).upper() == "ERROR"
    return {
        "event": text(record.get("context.span_id")),
        "time": start,
        "session": text(of("session.id")) or text(record.get("context.trace_id")),
        "user": text(of("user.id")),
        "query": query(of("input.value")) or query(of("llm.input_messages")),
        "chosen": text(of("llm.model_name")),
        "reward": count(record[scored]) if scored else None,
        "reward_source": scored.removesuffix(".score") if scored else None,
        "input_tokens": count(of("llm.token_count.prompt")),
        "output_tokens": count(of("llm.token_count.completion")),
        "cached_tokens": count(of("llm.token_count.prompt_details.cache_read")),
        "reasoning_tokens": count(of("llm.token_count.completion_details.reasoning")),
        "cost_usd": count(of("llm.cost.total")),
        "latency_s": between(start, end),
        "error": (text(record.get("status_message")) or "ERROR") if failed else None,
    }
