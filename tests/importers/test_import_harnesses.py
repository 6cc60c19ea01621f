"""Evaluation harnesses' files: one small file of each, written after what the peers write."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from published import brought, load

from routebench.errors import DataError, PluginError
from routebench.importers import Selection, import_files

PEERS = Path(__file__).parent.parent / "data" / "peers"


def rows_of(form: str, *paths: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    import_files(form, paths, out / "o.parquet", Selection(), options and {form: options})
    return pq.read_table(out / "o.parquet").to_pylist()


def copy(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes((PEERS / name).read_bytes())
    return path


def test_every_eval_ever(tmp_path: Path) -> None:
    made, rows = brought("auto", copy("every_eval_ever_samples.jsonl", tmp_path))
    assert any("recognised as every-eval-ever" in note for note in made.notes)
    assert any("rows of another metric" in note and note.endswith(": 1") for note in made.notes)
    cells = {(r["query"][12], r["model"], r["sample"]): r for r in rows}
    first = cells["1", "org/small", "0"]
    assert (first["score"], first["reference"], first["task"]) == (1.0, "2", "sums")
    assert (first["input_tokens"], first["output_tokens"], first["latency"]) == (8, 4, 0.25)
    failed = cells["2", "org/small", "0"]
    assert failed["state"] == "failed"
    assert failed["score"] is failed["input_tokens"] is failed["latency"] is None
    assert cells["3", "org/small", "1"]["score"] == 0.0  # asked twice
    talk = cells["3", "org/large", "0"]
    assert (talk["response"], talk["input_tokens"]) == ("Six.", None)
    assert load(made).outcomes.score.shape == (3, 2)
    styled = rows_of(
        "every-eval-ever", tmp_path / "every_eval_ever_samples.jsonl", out=tmp_path,
        result="sums.style",
    )  # fmt: skip
    assert [(r["model"], r["score"]) for r in styled] == [("org/small", 0.0)]


def test_every_eval_ever_that_is_broken(tmp_path: Path) -> None:
    lines = (PEERS / "every_eval_ever_samples.jsonl").read_text().splitlines()
    old = json.loads(lines[1]) | {"schema_version": "0.2.1"}
    path = tmp_path / "old_samples.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([lines[0], json.dumps(old)]).encode()))
    with pytest.raises(DataError, match=r"^old_samples\.jsonl\.gz: row 2: schema_version is '0\.2"):
        brought("auto", path)
    made, _ = brought("auto", path, skip_bad=True)
    assert (made.rows, made.states) == (1, {"ok": 1})


def test_lm_eval(tmp_path: Path) -> None:
    rows = rows_of("auto", PEERS / "lm_eval", out=tmp_path)
    cells = {(r["query_id"]): r for r in rows}
    assert {r["model"] for r in rows} == {"org/tiny"}
    assert cells["sums/1"]["query"] == "Q: How much is 1 and 1?\nA:"
    assert [cells[f"sums/{n}"]["score"] for n in (1, 2)] == [1.0, 0.0]  # the first filter's
    assert [cells[f"things/{n}"]["response"] for n in (0, 1)] == ["apple", "iron"]
    assert "input_tokens" not in rows[0]
    options = {"filter": "flexible", "model": "mine"}
    other = rows_of("lm-eval", *PEERS.glob("lm_eval/samples_sums*"), out=tmp_path, **options)
    assert [(r["model"], r["score"]) for r in other] == [("mine", 1.0), ("mine", 1.0)]
    norm = rows_of(
        "lm-eval", *PEERS.glob("lm_eval/samples_things*"), out=tmp_path, metric="acc_norm"
    )
    assert [r["score"] for r in norm] == [0.0, 1.0]
    with pytest.raises(DataError, match=r"samples_sums.*: row 1 has no metric acc"):
        rows_of("lm-eval", PEERS / "lm_eval", out=tmp_path, metric="acc")


def test_promptfoo(tmp_path: Path) -> None:
    path = copy("promptfoo.json", tmp_path)
    made, rows = brought("auto", path)
    assert made.states == {"ok": 5, "failed": 1, "ungraded": 1}
    cells = {(r["query"][12], r["model"], r["sample"]): r for r in rows}
    first = cells["1", "one", "0"]
    assert (first["score"], first["reference"], first["latency"]) == (1.0, "2", 0.5)
    assert (first["cost_usd"], first["input_tokens"], first["output_tokens"]) == (0.002, 6, 3)
    unknown = cells["1", "two", "0"]  # its counts and cost are written as 0 beside the response
    assert unknown["cost_usd"] is unknown["input_tokens"] is unknown["output_tokens"] is None
    assert cells["2", "one", "0"]["latency"] is cells["2", "one", "0"]["input_tokens"] is None
    assert cells["3", "one", "0"]["state"] == "ungraded"  # passed, as nothing is asserted
    assert cells["3", "two", "0"]["response"] == '{"sum": 6}'
    lines = tmp_path / "results.jsonl"
    results = json.loads(path.read_text())["results"]["results"]
    lines.write_text("".join(json.dumps(each) + "\n" for each in results))
    assert brought("auto", lines)[1] == rows


def test_a_value_of_another_type_is_its_rows_error(tmp_path: Path) -> None:
    held = json.loads((PEERS / "promptfoo.json").read_text())
    held["results"]["results"][1]["response"] = "text"
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(held))
    with pytest.raises(DataError, match=r"^odd\.json: result 2: a value is of another type"):
        brought("auto", path)
    assert brought("auto", path, skip_bad=True)[0].rows == 6


def simple(value: Any) -> Any:
    """Return objects with attributes, as inspect_ai's are; chat messages have `text`."""
    if isinstance(value, list):
        return [simple(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = SimpleNamespace(**{key: simple(each) for key, each in value.items()})
    if "content" in value:
        made.text = value["content"]
    return made


def read_plainly(path: str) -> Any:
    """Return a log as inspect_ai's own reader would, without its checks."""
    held = json.loads(Path(path).read_text())
    log = simple(held)
    for sample, made in zip(held["samples"], log.samples, strict=True):
        made.scores = {name: simple(score) for name, score in sample["scores"].items()}
        usage = {"input_tokens_cache_read": None, "input_tokens_cache_write": None}
        made.model_usage = {m: simple(usage | u) for m, u in sample["model_usage"].items()}
    return log


def check_inspect(rows: list[dict[str, Any]]) -> None:
    cells = {(r["query_id"], r["sample"]): r for r in rows}
    first = cells["sums/sum-1", "0"]
    assert (first["score"], first["input_tokens"], first["output_tokens"]) == (1.0, 9, 1)
    assert (first["latency"], first["response"], first["reference"]) == (0.5, "2", "2")
    assert cells["sums/sum-1", "1"]["score"] == 0.0
    assert cells["sums/sum-2", "0"]["score"] == 0.5
    assert cells["sums/sum-3", "0"]["state"] == "ungraded"
    assert cells["sums/sum-4", "0"]["state"] == "failed"
    chat = cells["sums/sum-5", "0"]
    assert chat["query"] == "Be brief.\n\nWhich one grows?\nA) iron\nB) apple"
    assert "cost_usd" not in first


def test_inspect_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("inspect_ai.log")
    module.read_eval_log = read_plainly  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "inspect_ai", ModuleType("inspect_ai"))
    monkeypatch.setitem(sys.modules, "inspect_ai.log", module)
    path = PEERS / "inspect_log.json"
    check_inspect(rows_of("auto", path, out=tmp_path))
    with pytest.raises(DataError, match=r"inspect_log\.json: sample 1 has no scorer judge"):
        rows_of("inspect-ai", path, out=tmp_path, scorer="judge")
    broken = tmp_path / "cut.eval"
    broken.write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=r"cut\.eval: inspect_ai cannot read it: "):
        rows_of("auto", broken, out=tmp_path)


def test_inspect_logs_by_inspect_itself(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai.log")
    check_inspect(rows_of("auto", PEERS / "inspect_log.json", out=tmp_path))


def test_inspect_logs_without_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(PluginError, match="inspect-ai: needs the package") as caught:
        rows_of("auto", PEERS / "inspect_log.json", out=tmp_path)
    assert caught.value.hint == "pip install 'routebench[inspect]'"


def request(key: str, model: str, text: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}


def answer(key: str, model: str, *texts: str) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": t}} for i, t in enumerate(texts)
    ]
    body = {
        "model": f"{model}-2026-01-01",
        "choices": choices,
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": key, "response": response, "error": None}


def test_openai_batch(tmp_path: Path) -> None:
    files = {
        "in.jsonl": [request("a", "gpt", "why?"), request("b", "gpt", "how?")],
        "in-mini.jsonl": [request("a", "gpt-mini", "why?"), request("b", "gpt-mini", "how?")],
        "out.jsonl": [answer("b", "gpt", "so", "thus"), answer("a", "gpt", "as")],
        "out-mini.jsonl": [answer("a", "gpt-mini", "hm")],
        "gone.jsonl": [answer("z", "gpt", "?")],
    }
    paths = {name: tmp_path / name for name in files}
    for name, records in files.items():
        paths[name].write_text("".join(json.dumps(each) + "\n" for each in records))
    gone = paths.pop("gone.jsonl")
    made, rows = brought("auto", *paths.values())
    assert made.states == {"ungraded": 4}
    cells = {(r["query"], r["model"], r["sample"]): r for r in rows}
    assert cells["why?", "gpt-mini", "0"]["response"] == "hm"
    assert cells["why?", "gpt", "0"]["input_tokens"] == 7
    assert cells["how?", "gpt", "1"]["response"] == "thus"
    assert cells["how?", "gpt", "1"]["output_tokens"] is None  # the sum of two answers
    with pytest.raises(DataError, match=r"gone\.jsonl: row 1: no request with custom_id 'z'"):
        brought("auto", *paths.values(), gone)
    with pytest.raises(DataError, match="no request with custom_id 'b'"):
        brought("auto", paths["out.jsonl"])
    failed = {"id": "b", "custom_id": "a", "response": None, "error": {"code": "expired"}}
    gone.write_text(json.dumps(failed))
    assert brought("auto", paths["in.jsonl"], gone)[0].states == {"failed": 1}
