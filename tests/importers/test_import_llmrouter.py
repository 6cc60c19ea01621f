"""LLMRouter: one JSON object per query and model, errors among the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from published import brought, load

from routebench.errors import DataError
from routebench.records import State


def record(query: str, model: str, performance: Any = 1.0, **changes: Any) -> dict[str, Any]:
    made = {
        "task_name": "gsm8k",
        "query": query,
        "ground_truth": "4",
        "metric": "GSM8K",
        "choices": None,
        "task_id": None,
        "model_name": model,
        "response": "It is 4.",
        "token_num": 53,
        "input_tokens": 49,
        "output_tokens": 4,
        "response_time": 1.75,
        "api_key_used": "",
        "performance": performance,
        "embedding_id": 7,
        "user_id": None,
        "fig_id": None,
    }
    return made | changes


FAILED = {"token_num": 0, "input_tokens": 0, "output_tokens": 0, "response_time": 0}


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_the_rows(tmp_path: Path) -> None:
    train = write(
        tmp_path / "default_routing_train_data.jsonl",
        record("q1", "qwen/a"),
        record("q1", "b", 0.0, response="ERROR: timeout", **FAILED),
        record("q2", "qwen/a", 0.25, response=""),
        record("q2", "b", 0.0, response="API Error: 500", **FAILED),
        record("q3", "qwen/a", [0.5]),
        record("q3", "b", 0.0, response="ERROR: is what the program prints."),
        record("q4", "qwen/a", None),
        record("q4", "b", float("nan")),
    )
    test = write(
        tmp_path / "default_routing_test_data.jsonl", record("q1", "qwen/a"), record("q1", "b", 1)
    )
    made, rows = brought("auto", train, test)
    assert made.states == {"ok": 6, "failed": 2, "ungraded": 2}
    cell = {(r["split"], r["query"], r["model"]): r for r in rows}
    first = cell["train", "q1", "qwen/a"]
    assert (first["score"], first["reference"], first["task"]) == (1.0, "4", "gsm8k")
    assert (first["input_tokens"], first["output_tokens"], first["latency"]) == (49, 4, 1.75)
    for query in ("q1", "q2"):
        failed = cell["train", query, "b"]
        assert failed["state"] == "failed"
        assert failed["score"] is failed["latency"] is failed["input_tokens"] is None
    assert cell["train", "q2", "qwen/a"]["score"] == 0.25  # empty, and paid
    assert cell["train", "q3", "qwen/a"]["score"] == 0.5
    assert cell["train", "q3", "b"]["state"] == "ok"
    assert "cost_usd" not in rows[0]
    data = load(made)
    assert data.split is not None
    assert sorted(data.split) == ["test", "train", "train", "train", "train"]
    assert (data.outcomes.state == State.FAILED).sum() == 2


def test_a_text_with_two_right_answers_is_two_queries(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl",
        *(record("same", model, ground_truth=truth) for model in "ab" for truth in ("1", "2")),
    )
    made, rows = brought("llmrouter", path)
    assert made.queries == 2
    assert "split" not in rows[0]


def test_lists_of_scores(tmp_path: Path) -> None:
    held = [{"question": f"q{i}", "scores": {"a": 1.0, "b": i / 2, "c": None}} for i in range(3)]
    path = tmp_path / "test.json"
    path.write_text(json.dumps(held, indent=2))
    made, rows = brought("auto", path)
    assert made.states == {"ok": 6, "failed": 3}
    assert {r["split"] for r in rows} == {"test"}
    assert np.nanmean(load(made).outcomes.score[:, 1]) == 0.5
    assert brought("llmrouter", write(tmp_path / "test.jsonl", *held))[1] == rows


def test_what_else_lies_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "example_data"
    folder.mkdir()
    query = {"task_name": "gsm8k", "query": "q", "ground_truth": "4"}
    write(folder / "default_query_train.jsonl", query)
    (folder / "default_llm.json").write_text('{"a": {"size": "7B", "input_price": 0.2}}')
    write(folder / "default_routing_train_data.jsonl", record("q", "a"), record("q", "b", 0))
    assert brought("auto", folder)[0].rows == 2


def test_another_layout(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", {"task_name": "gsm8k", "model_name": "a", "performance": 1})
    with pytest.raises(DataError, match=r"x\.jsonl: no routing data; found keys: task_name, mod"):
        brought("llmrouter", path)
    write(path, record("q", "a"), {"query": "q"})
    with pytest.raises(DataError, match=r"x\.jsonl: row 2 has no model_name, performance"):
        brought("llmrouter", path)
    path.write_text(json.dumps(record("q", "a")) + "\n{broken\n")
    with pytest.raises(DataError, match=r"x\.jsonl: row 2: not JSON"):
        brought("llmrouter", path)
    write(path, record("q", "a", 70), record("q", "b", 80))
    with pytest.raises(DataError, match=r"row 1: the score 70 is not in"):
        brought("llmrouter", path)
    assert [r["score"] for r in brought("llmrouter", path, score_max=100)[1]] == [0.7, 0.8]


# From data/dcrouter_preprocessed/test.json at 17e4c692: who was right on the first questions.
PUBLISHED = {
    "one ate spaghetti, one had pizza, and one ate fried rice\n - Each person is wearing": {
        "mistral-7b-instruct-v0.3",
        "gemma-2-9b-it",
    },
    "The romance book lover lives directly left of the history book buff.": {
        "llama-3.1-nemotron-51b-instruct",
        "gemma-2-9b-it",
        "llama-3.3-nemotron-super-49b-v1",
    },
    "The person who drives a convertible lives in the second house.\n2. There is one house": {
        "mistral-7b-instruct-v0.3"
    },
}


def test_the_converted_table_says_what_was_published(shared: Path) -> None:
    table = pq.read_table(shared / "llmrouter" / "outcomes.parquet")
    test = table.filter(pc.equal(table["split"], "test"))
    for words, right in PUBLISHED.items():
        rows = test.filter(pc.match_substring(test["query"], words)).to_pylist()
        assert len(rows) == 9
        assert {r["model"] for r in rows if r["score"] == 1.0} == right
