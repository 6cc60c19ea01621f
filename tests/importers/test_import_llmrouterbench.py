"""LLMRouterBench: what failed there is a wrong answer at $0; here it is no answer."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import brought, load

from routebench.errors import DataError
from routebench.records import State


def record(index: int, score: Any = 1.0, **changes: Any) -> dict[str, Any]:
    made = {
        "index": index,
        "origin_query": f"Sum {index}?",
        "prompt": f"Question: sum {index}?\nAnswer:",
        "prompt_tokens": 15,
        "completion_tokens": 5,
        "cost": 0.0001,
        "score": score,
        "prediction": "4",
        "ground_truth": "4",
        "raw_output": "It is 4.",
        "extra_fields": {},
    }
    return made | changes


FAILED = {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0, "ground_truth": ""}


def result(model: str, records: list[Any], dataset: str = "aime", **header: Any) -> dict[str, Any]:
    return {
        "performance": 0.5,
        "time_taken": 1.5,
        "cost": 12.5,
        "counts": len(records),
        "model_name": model,
        "dataset_name": dataset,
        "split": "test",
        "demo": False,
        "records": records,
    } | header


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Path]:
    """A folder of result files, by the path that their headers imply."""

    def make(*results: dict[str, Any], stamp: str = "20250901_101010") -> Path:
        for held in results:
            parts = [held[k] for k in ("dataset_name", "split", "model_name")]
            path = tmp_path / "bench" / "/".join(parts) / f"{'-'.join(parts)}-{stamp}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(held, indent=2))
        return tmp_path / "bench"

    return make


def test_states(bench: Callable[..., Path]) -> None:
    records = [
        record(1),
        record(2, 0.0),
        record(3, None, raw_output="Processing failed: timeout", **FAILED),
        record(4, None, raw_output="", **FAILED),
        record(5, 0.0, raw_output="Generation failed: 429", **FAILED),  # an evaluator graded it
        record(6, 0.0, raw_output="", **FAILED),
        record(7, None),  # answered and paid, and nobody graded it
        record(8, None, cost=0.0),  # a model without a price
        record(9, 1.0, cost=0.0),
        record(10, 0.0, raw_output=""),  # thought, and said nothing: an answer, and paid
        record(11, 0.0, raw_output="Generation failed: is what the story is called."),
        record(12, 1.0, completion_tokens=-3),
        record(13, None, prompt="", origin_query="", raw_output="Unexpected error: x", **FAILED),
    ]
    made, rows = brought("llmrouterbench", bench(result("gpt-5", records), result("b", records)))
    mine = {int(r["query"].split()[2][:-1]): r for r in rows if r["model"] == "gpt-5"}
    states = {n: r["state"] for n, r in mine.items()}
    assert [n for n, state in states.items() if state == "failed"] == [3, 4, 5, 6]
    assert [n for n, state in states.items() if state == "ungraded"] == [7, 8]
    for n in (3, 4, 5, 6):
        assert mine[n]["score"] is None
        assert mine[n]["cost_usd"] is None
        assert mine[n]["response"] is None
    assert [mine[n]["cost_usd"] for n in (1, 7, 8, 9, 10)] == [0.0001, 0.0001, None, None, 0.0001]
    assert mine[12]["output_tokens"] is None
    assert mine[10]["score"] == 0.0
    assert set(mine) == set(range(1, 13))
    assert "records without a prompt, left out: 2" in made.notes
    assert "negative numbers of tokens, taken as not recorded: 2" in made.notes

    data = load(made)
    assert (data.outcomes.state == State.FAILED).sum() == 8
    assert (data.outcomes.state == State.UNGRADED).sum() == 4
    assert data.split is None  # `test` is the data set's own
    assert data.outcomes.cost is not None
    assert np.nanmin(data.outcomes.cost) > 0


def test_the_cells_of_a_row(bench: Callable[..., Path]) -> None:
    wanted = record(1, 0.5, ground_truth=["4", "four"], raw_output={"text": "4"})
    _, rows = brought("auto", bench(result("org/a", [wanted]), result("b", [wanted])))
    row = next(r for r in rows if r["model"] == "org/a")
    assert row["query"] == "Question: sum 1?\nAnswer:"
    assert row["task"] == "aime/test"
    assert row["query_id"].startswith("aime/test/")
    assert row["reference"] == '["4", "four"]'
    assert row["response"] == '{"text": "4"}'
    assert (row["score"], row["input_tokens"], row["output_tokens"]) == (0.5, 15, 5)


def test_the_same_prompt_twice_is_a_repeated_answer(bench: Callable[..., Path]) -> None:
    twice = [record(1), record(2, 0.0, prompt=record(1)["prompt"], ground_truth="five")]
    made, rows = brought("llmrouterbench", bench(result("a", twice), result("b", twice)))
    assert sorted((r["model"], r["sample"]) for r in rows) == [
        (model, label) for model in "ab" for label in "01"
    ]
    assert {r["reference"] for r in rows} == {"4"}
    data = load(made)
    assert data.outcomes.score.tolist() == [[0.5, 0.5]]


def test_the_later_file_counts_and_demos_do_not(bench: Callable[..., Path]) -> None:
    bench(result("a", [record(1, 0.0), record(2)]), stamp="20250101_000000")
    bench(result("b", [record(1)]), result("c", [record(1)], demo=True))
    folder = bench(result("a", [record(1, 1.0)]), stamp="20250801_000000")
    bench(result("a", [record(1, 0.0)]), stamp="20250102_000000")
    made, rows = brought("llmrouterbench", folder)
    assert made.models == {"a": 1, "b": 1}
    assert [r["score"] for r in rows] == [1.0, 1.0]
    assert "sample" not in rows[0]


def test_an_archive_is_read_as_it_is(bench: Callable[..., Path], tmp_path: Path) -> None:
    folder = bench(result("a", [record(1)]), result("b", [record(1)]))
    _, expected = brought("llmrouterbench", folder)
    released = tmp_path / "bench-release.tar.gz"
    with tarfile.open(released, "w:gz") as archive:
        archive.add(folder, "bench-release")
        for odd in ("../../escaped.json", "bench-release/._a.json"):
            info = tarfile.TarInfo(odd)
            held = b"junk" if "._" in odd else json.dumps(result("c", [record(1)])).encode()
            info.size = len(held)
            archive.addfile(info, io.BytesIO(held))
    made, rows = brought("auto", released)
    assert made.models == {"a": 1, "b": 1, "c": 1}
    assert [r for r in rows if r["model"] != "c"] == expected
    assert not list(tmp_path.parent.rglob("escaped.json"))
    released.write_bytes(released.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"bench-release\.tar\.gz: is damaged or cut short"):
        brought("llmrouterbench", released)


def test_names_out_of_folders(tmp_path: Path) -> None:
    for model in ("a", "b"):
        held = result(model, [record(1)])
        for key in ("model_name", "dataset_name", "split"):
            del held[key]
        path = tmp_path / "bench" / "gpqa" / "test" / model / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(held))
    _, rows = brought("llmrouterbench", tmp_path / "bench")
    assert {(r["task"], r["model"]) for r in rows} == {("gpqa/test", "a"), ("gpqa/test", "b")}


def test_only_some(bench: Callable[..., Path]) -> None:
    folder = bench(*(result(m, [record(1), record(2)], d) for m in "ab" for d in ("aime", "hle")))
    _, rows = brought("llmrouterbench", folder, tasks=("aime/*",), answers=False)
    assert {r["task"] for r in rows} == {"aime/test"}
    assert "response" not in rows[0]
    made, _ = brought("llmrouterbench", folder)
    assert made.queries == 4
    assert "answers to a text that stands in another task too (see --task): 4" in made.notes
    with pytest.raises(DataError, match="there are no rows to import"):
        brought("llmrouterbench", folder, models=("nobody",))


def test_another_layout(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"scores": [1], "model": "a"}))
    with pytest.raises(DataError, match=r"no result file; found keys: scores, model") as caught:
        brought("llmrouterbench", path)
    assert caught.value.hint.startswith("expected: a JSON object with dataset_name")
    held = result("a", [record(1)])
    del held["records"][0]["cost"]
    path.write_text(json.dumps(held))
    with pytest.raises(DataError, match=r"x\.json: record 1 has no cost; found keys: index, "):
        brought("llmrouterbench", path)
    path.write_text(json.dumps(result("a", [record(1, 85)])))
    with pytest.raises(DataError, match=r"record 1: the score 85 is not in \[0, 1\]"):
        brought("llmrouterbench", path)
    path.write_text(json.dumps(result("a", [record(1, cost=-0.1)])))
    with pytest.raises(DataError, match=r"the cost -0\.1 is negative"):
        brought("llmrouterbench", path)
    path.write_text('{"records": [')
    with pytest.raises(DataError, match=r"x\.json: not JSON"):
        brought("llmrouterbench", path)
