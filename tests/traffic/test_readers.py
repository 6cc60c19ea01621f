"""The readers of logs: each system's fields arrive in their columns, and unknown is null."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logged_worlds import write

from routebench.errors import DataError, OptionError
from routebench.serve.event_log import ServedEvent
from routebench.traffic.logs.importing import import_logs


def imported(tmp_path: Path, *files: Path, **options: Any) -> list[dict[str, Any]]:
    out = tmp_path / "events.parquet"
    import_logs(list(files), out, **options)
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def test_a_served_event_is_read_without_loss(tmp_path: Path) -> None:
    served = ServedEvent("e1", "routebench@within-1pp", "s1", stream=True, point="within-1pp")
    served.chosen, served.probabilities = "a", {"a": 0.95, "b": 0.05}
    served.greedy, served.quality, served.reason = "a", {"a": 0.7}, "why"
    served.answered_by, served.tokens = "b", {"prompt_tokens": 7, "completion_tokens": 0}
    served.calls = [{"model": "a", "usd": None, "seconds": 1.0, "error": "timeout"}]
    served.usd, served.status, served.first_seconds = float("nan"), 200, 0.25
    served.messages, served.answer = [{"role": "user", "content": "Hello"}], "Hi"
    line = served.to_json("0123456789ab", texts=True)
    (row,) = imported(tmp_path, write(tmp_path / "serve.jsonl", [line]))
    assert (row["event"], row["session"], row["chosen"]) == ("e1", "s1", "a")
    assert (row["candidates"], row["probabilities"]) == (["a", "b"], [0.95, 0.05])
    assert (row["propensity"], row["answered_by"], row["routed"]) == (0.95, "b", True)
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (7, 0, None)
    assert row["query"] == "Hello"
    kept = json.loads(row["extra"])
    for name, value in line.items():
        if name not in ("time", "tokens", "messages"):
            assert (row[name] if name in row else kept[name]) == value, name
    assert row["time"].isoformat(timespec="milliseconds") == line["time"]
    assert kept["tokens"] == line["tokens"]


def test_a_model_that_the_client_named_was_not_routed(tmp_path: Path) -> None:
    line = ServedEvent("e1", "gpt-4o", None, stream=False).to_json("0", texts=False)
    (row,) = imported(tmp_path, write(tmp_path / "serve.jsonl", [line]))
    assert row["routed"] is False
    assert row["query"] is None


SPEND = {
    "request_id": "r1", "call_type": "acompletion", "spend": 0.002, "total_tokens": 30,
    "prompt_tokens": 20, "completion_tokens": 10, "startTime": "2026-03-01T10:00:00.000Z",
    "endTime": "2026-03-01T10:00:02.500Z", "model": "gpt-4o", "model_group": "chat", "user": "u",
    "end_user": "customer", "session_id": "s", "status": "success", "cache_hit": "False",
    "messages": [{"role": "user", "content": "Hi"}],
    "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 5},
                                  "completion_tokens_details": {"reasoning_tokens": 3}}},
}  # fmt: skip


def test_litellm_spend_logs(tmp_path: Path) -> None:
    nothing = SPEND | {"request_id": "r2", "spend": 0.0, "prompt_tokens": 0, "metadata": "{}",
                       "completion_tokens": 0, "status": "failure", "end_user": ""}  # fmt: skip
    first, second = imported(tmp_path, write(tmp_path / "spend.jsonl", [SPEND, nothing]))
    wanted = {
        "event": "r1", "session": "s", "user": "customer", "query": "Hi", "chosen": "gpt-4o",
        "input_tokens": 20, "output_tokens": 10, "cached_tokens": 5, "reasoning_tokens": 3,
        "cost_usd": 0.002, "latency_s": 2.5, "error": None, "propensity": None, "reward": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert second["error"] == "failure"
    for name in ("input_tokens", "output_tokens", "cost_usd", "cached_tokens"):
        assert second[name] is None, name
    assert second["user"] == "u"


def test_litellm_spend_logs_as_csv_and_as_a_list(tmp_path: Path) -> None:
    table = tmp_path / "spend.csv"
    table.write_text(
        "request_id,spend,model,prompt_tokens,completion_tokens,startTime,endTime,metadata\n"
        'r1,0.5,gpt-4o,20,10,2026-03-01 10:00:00,2026-03-01 10:00:01,"{""a"": 1}"\n'
    )
    (row,) = imported(tmp_path, table)
    assert (row["cost_usd"], row["latency_s"], row["cached_tokens"]) == (0.5, 1.0, None)
    listed = tmp_path / "spend.json"
    listed.write_text(json.dumps({"data": [SPEND]}, indent=1))
    assert imported(tmp_path, listed)[0]["cost_usd"] == 0.002


def test_litellm_shadow_evaluations_are_two_events(tmp_path: Path) -> None:
    attempt = {
        "id": "a", "job_id": "j", "request_id": "r", "outcome": "shadow", "tier": "SIMPLE",
        "real_model": "big", "shadow_model": "tiny", "confidence": 0.9, "judge_cost": 0.01,
        "real_cost": 0.3, "error": None, "created_at": "2026-03-01T00:00:00Z",
    }  # fmt: skip
    lost = attempt | {"request_id": "q", "outcome": "error", "error": "judge failed"}
    rows = imported(tmp_path, write(tmp_path / "shadow.jsonl", [attempt, lost]))
    assert [(r["event"], r["chosen"], r["reward"]) for r in rows] == [
        ("r", "big", 0.0), ("r:shadow", "tiny", 1.0), ("q", "big", None), ("q:shadow", "tiny", None)
    ]  # fmt: skip
    assert [r["routed"] for r in rows] == [None, False, None, False]
    assert rows[0]["reward_source"] == "shadow evaluation against tiny"
    assert (rows[0]["cost_usd"], rows[1]["cost_usd"]) == (0.3, None)


def test_replay_records_of_the_semantic_router(tmp_path: Path) -> None:
    record = {
        "id": "x", "timestamp": "2026-03-01T10:00:00Z", "session_id": "s", "turn_index": 0,
        "decision": "math", "category": "math", "original_model": "auto",
        "selected_model": "qwen", "prompt": "2 + 2?", "response_status": 200,
        "lifecycle_state": "completed", "duration_ms": 1500, "prompt_tokens": 12,
        "cached_prompt_tokens": 4, "completion_tokens": 3, "actual_cost": 0.01, "currency": "USD",
        "learning": {"adaptation": {"sampling": {"used": True, "seed": 1},
                                    "scores": {"qwen": {"score": 0.2}, "llama": {}}}},
        "outcomes": [{"source": "user", "target": "model", "verdict": "good", "score": 0.5,
                      "timestamp": "2026-03-01T11:00:00Z"}],
    }  # fmt: skip
    unscored = record | {"outcomes": [{"source": "user", "target": "model", "verdict": "bad"}],
                         "currency": "EUR", "lifecycle_state": "failed"}  # fmt: skip
    first, second = imported(tmp_path, write(tmp_path / "replay.jsonl", [record, unscored]))
    wanted = {
        "event": "x", "session": "s", "query": "2 + 2?", "task": "math", "chosen": "qwen",
        "candidates": ["llama", "qwen"], "propensity": None, "reward": 0.5,
        "reward_source": "user", "input_tokens": 12, "cached_tokens": 4, "output_tokens": 3,
        "cost_usd": 0.01, "latency_s": 1.5, "error": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert first["reward_time"].hour == 11
    assert (second["reward"], second["cost_usd"], second["error"]) == (None, None, "200")
    assert json.loads(second["extra"])["outcomes"][0]["verdict"] == "bad"


def attribute(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": {kind: value}}


def test_spans_of_opentelemetry(tmp_path: Path) -> None:
    span = {
        "traceId": "t", "spanId": "p", "name": "chat gpt-4o",
        "startTimeUnixNano": "1772000000000000000", "endTimeUnixNano": "1772000001500000000",
        "attributes": [
            attribute("gen_ai.operation.name", "stringValue", "chat"),
            attribute("gen_ai.request.model", "stringValue", "gpt-4o"),
            attribute("gen_ai.response.model", "stringValue", "gpt-4o-2024-11-20"),
            attribute("gen_ai.response.id", "stringValue", "resp"),
            attribute("gen_ai.conversation.id", "stringValue", "c"),
            attribute("gen_ai.usage.input_tokens", "intValue", "40"),
            attribute("gen_ai.usage.output_tokens", "intValue", "9"),
            attribute("gen_ai.usage.cache_read.input_tokens", "intValue", "8"),
            attribute("gen_ai.input.messages", "stringValue", json.dumps(
                [{"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}])),
        ],
    }  # fmt: skip
    tool = {"spanId": "q", "attributes": [
        attribute("gen_ai.operation.name", "stringValue", "execute_tool"),
        attribute("gen_ai.request.model", "stringValue", "gpt-4o")]}  # fmt: skip
    graded = {"eventName": "gen_ai.evaluation.result", "timeUnixNano": "1772000002000000000",
              "attributes": [attribute("gen_ai.response.id", "stringValue", "resp"),
                             attribute("gen_ai.evaluation.name", "stringValue", "correct"),
                             attribute("gen_ai.evaluation.score.value", "doubleValue", 0.25),
                             ]}  # fmt: skip
    inside = {"name": "gen_ai.evaluation.result", "attributes": [
        attribute("gen_ai.evaluation.score.value", "intValue", "1")]}  # fmt: skip
    own = span | {"spanId": "z", "events": [inside],
                  "attributes": [*span["attributes"][:2],
                                 attribute("error.type", "stringValue", "timeout")]}  # fmt: skip
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span, tool, own]}]}],
              "resourceLogs": [{"scopeLogs": [{"logRecords": [graded]}]}]}  # fmt: skip
    first, second = imported(tmp_path, write(tmp_path / "otlp.jsonl", [export]))
    wanted = {
        "event": "p", "session": "c", "query": "Weather?", "chosen": "gpt-4o-2024-11-20",
        "reward": 0.25, "reward_source": "correct", "input_tokens": 40, "output_tokens": 9,
        "cached_tokens": 8, "reasoning_tokens": None, "cost_usd": None, "latency_s": 1.5,
        "error": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert (second["reward"], second["session"], second["error"]) == (1.0, "t", "timeout")
    assert (second["chosen"], second["input_tokens"]) == ("gpt-4o", None)


def test_observations_and_scores_of_langfuse(tmp_path: Path) -> None:
    generation = {
        "id": "o1", "traceId": "t1", "type": "GENERATION", "level": "DEFAULT",
        "startTime": "2026-03-01T10:00:00Z", "endTime": "2026-03-01T10:00:02Z", "model": "gpt-4o",
        "input": [{"role": "user", "content": "Hi"}], "output": "Hello", "userId": "u",
        "usageDetails": {"input": 15, "input_cached_tokens": 5, "output": 6,
                         "output_reasoning_tokens": 4, "total": 30},
        "costDetails": {"input": 0.1, "total": 0.4}, "latency": 1.75,
    }  # fmt: skip
    alone = {"id": "o2", "trace_id": "t2", "type": "GENERATION", "start_time": None,
             "provided_model_name": "mini", "usage_details": {}, "cost_details": {}}  # fmt: skip
    span = generation | {"id": "o3", "type": "SPAN"}
    score = {"id": "s", "dataType": "NUMERIC", "name": "helpful", "source": "ANNOTATION",
             "observationId": "o1", "traceId": "t1", "value": 0.5,
             "timestamp": "2026-03-02T00:00:00Z"}  # fmt: skip
    traced = score | {"observationId": None, "traceId": "t2", "value": 1, "dataType": "BOOLEAN"}
    words = traced | {"dataType": "CATEGORICAL", "value": 7}
    observations = write(tmp_path / "observations.jsonl", [generation, span, alone])
    scores = write(tmp_path / "scores.jsonl", [score, traced, words])
    first, second = imported(tmp_path, observations, scores)
    wanted = {
        "event": "o1", "session": "t1", "user": "u", "query": "Hi", "chosen": "gpt-4o",
        "input_tokens": 20, "cached_tokens": 5, "output_tokens": 10, "reasoning_tokens": 4,
        "cost_usd": 0.4, "latency_s": 1.75, "reward": 0.5, "reward_source": "helpful (ANNOTATION)",
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert (second["chosen"], second["reward"], second["input_tokens"]) == ("mini", 1.0, None)
    assert (second["time"], second["cost_usd"]) == (None, None)


def test_spans_of_phoenix(tmp_path: Path) -> None:
    frame = pa.table({
        "context.span_id": ["a", "b", "c"], "context.trace_id": ["t", "t", "t"],
        "span_kind": ["LLM", "CHAIN", "LLM"], "status_code": ["OK", "OK", "ERROR"],
        "status_message": ["", "", "boom"],
        "start_time": pa.array([0, 0, 0], pa.timestamp("us", "UTC")),
        "end_time": pa.array([500_000, 0, None], pa.timestamp("us", "UTC")),
        "attributes.llm.model_name": ["gpt-4o", None, "mini"],
        "attributes.llm.token_count.prompt": [11.0, None, None],
        "attributes.llm.token_count.completion": [4.0, None, None],
        "attributes.llm.token_count.prompt_details.cache_read": [2.0, None, None],
        "attributes.llm.cost.total": [0.02, None, None],
        "attributes.session.id": ["s", None, None],
        "attributes.input.value": ['{"messages": [{"role": "user", "content": "Hi"}]}', "", None],
        "eval.correct.score": [1.0, None, None],
    })  # fmt: skip
    pq.write_table(frame, tmp_path / "spans.parquet")
    first, second = imported(tmp_path, tmp_path / "spans.parquet")
    wanted = {
        "event": "a", "session": "s", "query": "Hi", "chosen": "gpt-4o", "input_tokens": 11,
        "output_tokens": 4, "cached_tokens": 2, "cost_usd": 0.02, "latency_s": 0.5, "reward": 1.0,
        "reward_source": "eval.correct", "error": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert (second["session"], second["error"], second["latency_s"]) == ("t", "boom", None)
    assert (second["input_tokens"], second["reward"]) == (None, None)


def test_pairs_of_openai(tmp_path: Path) -> None:
    pair = {
        "request": {"model": "gpt-4o", "user": "u", "metadata": {"session_id": "s"},
                    "messages": [{"role": "system", "content": "Be brief."},
                                 {"role": "user", "content": "Hi"}]},
        "response": {"id": "c1", "created": 1772000000, "model": "gpt-4o-2024-11-20",
                     "usage": {"prompt_tokens": 9, "completion_tokens": 2,
                               "prompt_tokens_details": {"cached_tokens": 0}}},
        "latency_s": 0.5,
    }  # fmt: skip
    batch = {"custom_id": "k", "response": {"status_code": 200, "body": {"id": "c2", "model": "m"}},
             "error": {"message": "expired"}}  # fmt: skip
    first, second = imported(tmp_path, write(tmp_path / "pairs.jsonl", [pair, batch]))
    wanted = {
        "event": "c1", "session": "s", "user": "u", "query": "Be brief.\n\nHi",
        "chosen": "gpt-4o-2024-11-20", "input_tokens": 9, "output_tokens": 2, "cached_tokens": 0,
        "reasoning_tokens": None, "latency_s": 0.5, "error": None, "cost_usd": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert (second["event"], second["chosen"], second["error"]) == ("k", "m", "expired")
    assert second["output_tokens"] is None


def test_any_fields_by_a_mapping(tmp_path: Path) -> None:
    log = write(tmp_path / "own.jsonl", [{"who": {"model": "a"}, "ok": "yes", "cost": "", "t": 5}])
    mapping = {"chosen": "who.model", "reward": "ok", "cost_usd": "cost", "output_tokens": "t"}
    (row,) = imported(tmp_path, log, mapping=mapping)
    assert (row["chosen"], row["reward"], row["cost_usd"]) == ("a", 1.0, None)
    assert (row["output_tokens"], row["event"]) == (5, None)


def test_rewards_of_their_own_file_and_texts_left_out(tmp_path: Path) -> None:
    log = write(tmp_path / "own.jsonl", [{"id": str(i), "m": "a", "q": "Hi"} for i in range(3)])
    rewards = tmp_path / "rewards.csv"
    rewards.write_text("event,reward,source\n1,5,thumbs\n2,,thumbs\n9,3,thumbs\n")
    out = tmp_path / "events.parquet"
    mapping = {"event": "id", "chosen": "m", "query": "q"}
    made = import_logs([log], out, "auto", mapping, [rewards], texts=False, reward_max=10)
    rows = pq.read_table(out).to_pylist()
    assert [row["reward"] for row in rows] == [None, 0.5, None]
    assert [row["query"] for row in rows] == [None, None, None]
    assert len({row["query_hash"] for row in rows}) == 1
    assert made.rewards == (2, 1)


def test_bad_input_is_named(tmp_path: Path) -> None:
    bad = write(tmp_path / "spend.jsonl", [SPEND, SPEND | {"startTime": "yesterday"}])
    with pytest.raises(DataError, match=r"spend\.jsonl: row 2: 'yesterday' is no time"):
        import_logs([bad], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    other = write(tmp_path / "other.jsonl", [{"a": 1}])
    with pytest.raises(DataError, match="a log of no known form; found keys: a"):
        import_logs([other], tmp_path / "out.parquet")
    with pytest.raises(OptionError, match="no log reader"):
        import_logs([other], tmp_path / "out.parquet", "litelm")
    with pytest.raises(DataError, match="there is no such file"):
        import_logs([tmp_path / "none.jsonl"], tmp_path / "out.parquet")
