"""Tables of router benchmarks: RouterArena's predictions, EmbedLLM's and GraphRouter's CSVs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from published import brought

from routebench.errors import DataError


def prediction(index: str, model: str, text: str | None, **changes: Any) -> dict[str, Any]:
    made = {
        "generated_answer": text,
        "success": text is not None,
        "token_usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25},
        "provider": "acme",
        "error": None if text else "timeout",
    }
    record = {
        "global index": index,
        "prompt": f"Question {index}",
        "prediction": model,
        "generated_result": made,
        "cost": 0.001,
        "accuracy": 1.0,
    }
    return record | changes


def test_routerarena(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    free = prediction("MATH_2", "small", "y", accuracy=0.0, cost=0.0)
    free["generated_result"]["token_usage"] = nothing
    one.write_text(json.dumps([prediction("MATH_1", "large", "x"), free]))
    two.write_text(
        json.dumps(
            [
                prediction("MATH_1", "large", "x"),
                prediction("MATH_2", "large", None, accuracy=None, cost=None),
                prediction("MATH_3", "large", "z", accuracy=None),
                prediction("MATH_4", "large", "z", generated_result=None),
            ]
        )
    )
    made, rows = brought("auto", one, two)
    assert made.states == {"ok": 2, "failed": 1, "ungraded": 1}
    assert "answers that another prediction file holds too: 1" in made.notes
    assert "predictions without an answer, left out: 1" in made.notes
    cells = {(r["query_id"], r["model"]): r for r in rows}
    first = cells["MATH_1", "large"]
    assert (first["task"], first["cost_usd"], first["input_tokens"]) == ("MATH", 0.001, 20)
    unknown = cells["MATH_2", "small"]
    assert unknown["cost_usd"] is unknown["input_tokens"] is unknown["output_tokens"] is None
    two.write_text(json.dumps([prediction("MATH_1", "large", "x"), {"global index": "MATH_2"}]))
    with pytest.raises(DataError, match=r"^two\.json: row 2 has no prompt, prediction$"):
        brought("auto", two)


def test_embedllm(tmp_path: Path) -> None:
    header = "prompt_id,model_id,category_id,label,prompt,model_name,category\n"
    path = tmp_path / "train.csv.gz"
    lines = ['7,0,1,1,"What, then?",org__a,mmlu', '7,1,1,0,"What, then?",org__b,mmlu']
    path.write_bytes(
        gzip.compress((header + "\n".join(lines) + "\n8,0,1,,Why?,org__a,mmlu").encode())
    )
    made, rows = brought("auto", path)
    assert made.states == {"ok": 2, "ungraded": 1}
    assert [(r["query_id"], r["model"], r["score"]) for r in rows[:2]] == [
        ("train/7", "org__a", 1.0),
        ("train/7", "org__b", 0.0),
    ]
    assert (rows[0]["task"], rows[0]["split"], rows[0]["query"]) == ("mmlu", "train", "What, then?")
    plain = tmp_path / "test.csv"
    plain.write_text(header + "7,0,1,maybe,Why?,org__a,mmlu\n")
    with pytest.raises(DataError, match=r"^test\.csv: row 1 \(line 2\): the score is 'maybe'"):
        brought("auto", plain)


def test_graphrouter(tmp_path: Path) -> None:
    path = tmp_path / "router_data.csv"
    path.write_text(
        "task_id,query,query_embedding,ground_truth,metric,llm,effect,cost\n"
        "alpaca,Hi,[0.1],Hello,f1,small,0.25,0.0\n"
        "alpaca,Hi,[0.1],Hello,f1,large,0.75,1.0\n"
    )
    made, rows = brought("auto", path)
    assert [(r["model"], r["score"], r["reference"]) for r in rows] == [
        ("small", 0.25, "Hello"),
        ("large", 0.75, "Hello"),
    ]
    assert "cost_usd" not in rows[0]
    assert any("which are no USD: not read: 2" in note for note in made.notes)
