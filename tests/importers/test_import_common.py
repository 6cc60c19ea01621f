"""What all imports have in common: finding the format, units, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published import brought, frame, pickled

from routebench.errors import DataError, OptionError
from routebench.hookspecs import Selection
from routebench.importers import guess, import_files
from routebench.importers.rows import number, score_of

RECORD = {"query": "q", "model_name": "a", "performance": 1}
FILES: dict[str, tuple[str, bytes]] = {
    "routerbench": ("rb.pkl", pickled(frame({"sample_id": ["a"], "prompt": ["p"]}))),
    "llmrouterbench": (
        "x.json",
        b'{\n "performance": 1,\n "records": [{"prompt": "p", "question": "x", "scores": 1}]}',
    ),
    "llmrouter": ("x.jsonl", json.dumps(RECORD).encode() + b"\n"),
    "routellm": ("mmlu_law.csv", b"prompt,a,b\nWhy?,True,False\n"),
    "simpleqa": ("s.csv", b"metadata,problem,answer\n{},Why?,So.\n"),
}


@pytest.mark.parametrize("form", FILES)
def test_the_format_is_found(form: str, tmp_path: Path) -> None:
    name, content = FILES[form]
    path = tmp_path / name
    path.write_bytes(content)
    assert guess([path]) == form
    (tmp_path / "a.jsonl").write_text('{"eval_prompt": "x"}\n')  # among others
    assert guess([tmp_path]) == form


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", b"id,text,label\n1,x,0\n", "found columns: id, text, label"),
        ("a.jsonl", b'{"text": "x", "label": 1}\n', "found keys: text, label"),
        ("a.json", b"[1, 2]", "no columns or keys are found"),
        ("a.bin", b"\0\1\2\3", "found columns: "),
        ("a.csv", b"", "no columns or keys are found"),
        ("a.csv", b"\x1b[2Jid,x\n1,2\n", "found columns: \N{SYMBOL FOR ESCAPE}[2Jid, x"),
    ],
)
def test_an_unknown_format(name: str, content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        guess([path])
    assert caught.value.message.startswith(f"{name}: of no known format; {found}")
    assert all(form in caught.value.hint for form in FILES)


def test_different_formats_together(tmp_path: Path) -> None:
    paths = []
    for form in ("routellm", "simpleqa"):
        name, content = FILES[form]
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    with pytest.raises(DataError, match="different formats: routellm, simpleqa"):
        guess(paths)


def test_options(tmp_path: Path) -> None:
    path = tmp_path / "mmlu_law.csv"
    path.write_bytes(FILES["routellm"][1])
    with pytest.raises(OptionError, match="routelm: not a format") as caught:
        import_files("routelm", [path], tmp_path / "o.parquet")
    assert caught.value.hint.startswith("did you mean routellm")
    with pytest.raises(OptionError, match=r"o\.csv: outcomes are written as \.parquet"):
        import_files("auto", [path], tmp_path / "o.csv")
    with pytest.raises(DataError, match=r"gone\.csv: there is no such file"):
        import_files("auto", [tmp_path / "gone.csv"], tmp_path / "o.parquet")


def test_a_failed_import_leaves_what_was_there(tmp_path: Path) -> None:
    path, out = tmp_path / "mmlu_law.csv", tmp_path / "out" / "outcomes.parquet"
    path.write_bytes(FILES["routellm"][1])
    import_files("auto", [path], out)
    before = out.read_bytes()
    path.write_bytes(FILES["routellm"][1] + b"How?,True,perhaps\n")
    with pytest.raises(DataError):
        import_files("auto", [path], out)
    assert out.read_bytes() == before
    assert [p.name for p in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", b"\x1f\x8b\x08 no gzip"),
        ("a.csv.gz", b"plain text"),
        ("a.parquet", b"PAR1 no parquet"),
    ],
)
def test_damaged_files(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: cannot be read"):
        guess([tmp_path / name])


def test_half_a_character(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    odd = RECORD | {"response": "a\ud800b", "query": "q\udfff"}
    path.write_text("".join(json.dumps(odd | {"model_name": m}) + "\n" for m in "ab"))
    rows = brought("llmrouter", path)[1]
    assert [(r["query"], r["response"]) for r in rows] == [("q?", "a?b")] * 2


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "mmlu_law.csv"
    path.write_bytes(FILES["routellm"][1])
    (tmp_path / "file").touch()
    (tmp_path / "folder.parquet").mkdir()
    for out in (tmp_path / "file" / "o.parquet", tmp_path / "folder.parquet"):
        with pytest.raises(DataError, match=rf"{out.name}: cannot be written"):
            import_files("auto", [path], out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.parquet", path.name]


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "mmlu_law.csv"
    path.write_text("prompt,a,a\nWhy?,True,False\n")
    with pytest.raises(DataError, match=r"mmlu_law\.csv: a column is there more than once"):
        import_files("routellm", [path], tmp_path / "o.parquet")


def test_the_order_of_files_changes_nothing_but_the_order(tmp_path: Path) -> None:
    for name in ("mmlu_law.csv", "mmlu_art.csv"):
        (tmp_path / name).write_bytes(FILES["routellm"][1])
    one = brought("auto", tmp_path / "mmlu_law.csv", tmp_path / "mmlu_art.csv")[1]
    other = brought("auto", tmp_path / "mmlu_art.csv", tmp_path / "mmlu_law.csv")[1]
    assert one != other
    assert sorted(map(str, one)) == sorted(map(str, other))


@pytest.mark.parametrize(
    ("value", "top", "expected"),
    [
        (True, 1, 1.0),
        (False, 100, 0.0),
        (True, 100, 1.0),  # a bool has no unit
        ("True", 1, 1.0),
        ("false", 1, 0.0),
        ("Yes", 10, 1.0),
        ("no", 1, 0.0),
        ("0.5", 1, 0.5),
        ("85%", 1, 0.85),
        ("1%", 1, 0.01),
        (1, 100, 0.01),
        (85, 100, 0.85),
        (7, 10, 0.7),
        ([0.25], 1, 0.25),
        (None, 1, None),
        ("", 1, None),
        (float("nan"), 1, None),
        ("nan", 1, None),
    ],
)
def test_scores(value: Any, top: float, expected: float | None) -> None:
    assert score_of(value, "x", top) == expected


@pytest.mark.parametrize(
    ("value", "hint"),
    [(1.5, "--score-max 10 "), (85, "--score-max 100 "), (-0.1, ""), (101, ""), ("120%", "")],
)
def test_scores_out_of_range(value: Any, hint: str) -> None:
    with pytest.raises(DataError, match=r"^x: the score .* is not in \[0, 1(00)?\]") as caught:
        score_of(value, "x")
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize("value", ["inf", float("inf"), 10**400, "1,000", {}, "cheap"])
def test_numbers_that_are_none(value: Any) -> None:
    with pytest.raises(DataError, match=r"^the cost is "):
        number(value, "the cost")


CASES: dict[str, tuple[str, bytes, bytes, str]] = {
    "no JSON": ("x.jsonl", b"{oops\n", b"", "x.jsonl: row 3: not JSON"),
    "no object": ("x.jsonl", b"[1]\n", b"", "x.jsonl: row 3 is no JSON object"),
    "null model": (
        "x.jsonl",
        json.dumps(RECORD | {"model_name": None}).encode() + b"\n",
        b"",
        "x.jsonl: row 3: model_name is null",
    ),
    "image": (
        "x.jsonl",
        json.dumps(RECORD | {"query": [{"role": "user", "content": [{"type": "image_url"}]}]})
        .encode() + b"\n",
        b"",
        "x.jsonl: row 3: query is",
    ),
    "score": (
        "x.jsonl",
        json.dumps(RECORD | {"performance": 7}).encode() + b"\n",
        b"",
        "x.jsonl: row 3: the score 7 is not in [0, 1]",
    ),
    "fields": (
        "mmlu_law.csv",
        b"Why,True\n",
        b"prompt,a,b\n",
        "mmlu_law.csv: row 3 (line 4) has not as many fields",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_bad_row_is_named_and_left_out_where_asked(case: str, tmp_path: Path) -> None:
    name, bad, header, message = CASES[case]
    good = (
        [b"What?,True,False\n", b"How?,True,True\n", b"Who?,False,True\n"]
        if header
        else [json.dumps(RECORD | {"model_name": m}).encode() + b"\n" for m in "abc"]
    )
    path, out = tmp_path / name, tmp_path / "o.parquet"
    path.write_bytes(header + b"".join([*good[:2], bad, *good[2:]]))
    with pytest.raises(DataError) as caught:
        import_files("auto", [path], out)
    assert caught.value.message.startswith(message)
    assert not out.exists()
    made = import_files("auto", [path], out, Selection(skip_bad=True))
    (note,) = [note for note in made.notes if note.startswith("left out")]
    assert note.startswith(f"left out: {message}")
    path.write_bytes(header + b"".join(good))
    assert import_files("auto", [path], out).rows == made.rows


def test_rows_left_out_are_named_up_to_twenty(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines = [RECORD | {"query": f"q{n}", "performance": 7 if n % 2 else 1} for n in range(60)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = import_files("auto", [path], tmp_path / "o.parquet", Selection(skip_bad=True))
    assert made.rows == 30
    assert sum(note.startswith("left out: x.jsonl: row ") for note in made.notes) == 20
    assert "further rows left out: 10" in made.notes


def test_a_row_left_out_counts_as_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines = [RECORD | {"performance": score} for score in (7, 1)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made, rows = brought("llmrouter", path, skip_bad=True)
    assert made.rows == 1
    assert "sample" not in rows[0]  # not a second answer


def test_chat_messages_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
    lines = [RECORD | {"query": turns, "model_name": model} for model in "ab"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made, rows = brought("auto", path)
    assert [row["query"] for row in rows] == ["Be brief.\n\nWho?"] * 2
    assert "queries that are chat messages, their turns joined: 2" in made.notes


def test_the_text_of_an_error_is_a_failed_call(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    error = {"response": "Error code: 429 - {'error': {'message': 'slow down'}}"}
    counts = {"output_tokens": 12}
    lines = [
        RECORD | error | counts | {"performance": 0, "model_name": "a"},
        RECORD | error | counts | {"performance": 1, "model_name": "b"},  # as it should be
        RECORD | {"response": "So."} | counts | {"performance": "no", "model_name": "c"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made, rows = brought("auto", path)
    assert [row["state"] for row in rows] == ["failed", "ok", "ok"]
    assert "answers that are the text of an error, taken as failed calls: 1" in made.notes
