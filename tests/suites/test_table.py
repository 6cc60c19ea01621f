from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from routebench.data.duplicates import near_pairs
from routebench.data.fingerprints import outcomes_fingerprint, pool_fingerprint, suite_fingerprint
from routebench.data.splits import make_split
from routebench.errors import DataError, OptionError
from routebench.records import State, SuiteData
from routebench_suites.table import TableSuite

DATA = Path(__file__).resolve().parents[1] / "data"
ROWS: list[dict[str, Any]] = [
    {"query_id": query, "query": f"text {query}", "model": model, "score": score,
     "reference": "1969-07-20", "response": "007"}
    for query in ("007", "7")
    for model, score in (("org/b", 1.0), ("a", 0.5))
]  # fmt: skip
HEADER = "query_id,query,model,score\n"
LINES = HEADER + "007,text 007,a,1\n007,text 007,b,0\n"


def load(path: Path, **options: Any) -> SuiteData:
    return TableSuite(TableSuite.Options(data=path, **options)).load()


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    return path


def as_csv(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    return "\n".join(lines) + "\n"


def as_json(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_formats_agree(tmp_path: Path) -> None:
    files = [
        written(tmp_path, "t.csv", as_csv(ROWS)),
        written(tmp_path, "t.csv.gz", as_csv(ROWS)),
        written(tmp_path, "bom.csv", "\ufeff" + as_csv(ROWS).replace("\n", "\r\n")),
        written(tmp_path, "t.jsonl", as_json(ROWS)),
        written(tmp_path, "t.jsonl.gz", as_json(ROWS)),
        written(tmp_path, "t.ndjson", as_json(ROWS)),
        tmp_path / "t.parquet",
    ]
    pq.write_table(pa.Table.from_pylist(ROWS), files[-1])
    loaded = [load(path) for path in files]
    assert len({outcomes_fingerprint(data) for data in loaded}) == 1
    assert len({pool_fingerprint(data) for data in loaded}) == 1
    assert len({suite_fingerprint(data) for data in loaded}) == 1


def test_formats_agree_on_repeated_answers(tmp_path: Path) -> None:
    """Whether labels are texts or numbers, and whatever the order of the rows."""
    rows = [
        row | {"score": score, "response": f"a{sample}", "sample": sample}
        for row in ROWS
        for sample, score in ((1, 1.0), (2, 0.0), (10, 0.5))
    ]
    texts = [row | {"sample": str(row["sample"])} for row in rows]
    files = [
        written(tmp_path, "t.csv", as_csv(rows)),
        written(tmp_path, "back.csv", as_csv(rows[::-1])),
        written(tmp_path, "t.jsonl", as_json(rows)),
        written(tmp_path, "texts.jsonl", as_json(texts[::-1])),
        tmp_path / "t.parquet",
        tmp_path / "floats.parquet",
    ]
    pq.write_table(pa.Table.from_pylist(texts), files[-2])
    floats = [row | {"sample": float(row["sample"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(floats), files[-1])
    loaded = [load(path) for path in files]
    assert len({outcomes_fingerprint(data) for data in loaded}) == 1
    for data in loaded:
        assert data.notes == ()
        assert data.answers.to_pylist() == ["a1"] * 4
        assert data.outcomes.samples is not None
        assert data.outcomes.samples.reshape(4, 3).tolist() == [[1.0, 0.5, 0.0]] * 4


def test_texts_stay_texts(tmp_path: Path) -> None:
    for name, content in (("t.csv", as_csv(ROWS)), ("t.jsonl", as_json(ROWS))):
        data = load(written(tmp_path, name, content))
        assert sorted(data.ids) == ["007", "7"]
        assert data.pool.models == ("a", "org/b")
        assert data.references is not None
        assert data.references.tolist() == ["1969-07-20"] * 2
        assert data.answers.to_pylist() == ["007"] * 4


def test_what_a_loaded_file_says_of_itself(tmp_path: Path) -> None:
    content = as_csv([row | {"extra": 1} for row in ROWS])
    path = written(tmp_path, "gpt-4.1.csv.gz", content)
    data = load(path)
    assert (data.name, data.source, data.files) == ("table", "recorded", (path.resolve(),))
    assert data.notes == ("columns not used: extra",)
    assert data.visible == frozenset()


def test_pair_is_declared_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", as_csv(ROWS))
    data = load(path, small="a", large="org/b")
    assert (data.pool.small, data.pool.large) == ("a", "org/b")
    with pytest.raises(OptionError, match="large: no model 'org/c' in this pool") as caught:
        load(path, large="org/c")
    assert caught.value.hint == "did you mean org/b?"


def test_unknown_option() -> None:
    with pytest.raises(ValidationError, match="show"):
        TableSuite.Options.model_validate({"data": "x.csv", "show": "task"})


def test_an_answer_of_no_words_is_an_answer(tmp_path: Path) -> None:
    """In quotes, and said to be one; a failed call, or an empty cell, is none."""
    lines = "query_id,query,model,response,state,score\n"
    for n in range(2):
        lines += f'q{n},text {n},a,"",{"ungraded" if n else "OK"},{"" if n else 0}\n'
        lines += f'q{n},text {n},b,"","failed",""\n'
    lines += 'q2,text 2,a,,ungraded,""\nq2,text 2,b,"","",""\n'
    data = load(written(tmp_path, "t.csv", lines))
    found = dict(
        zip(
            ((i, m) for i in data.ids for m in data.pool.models),
            zip(data.answers.to_pylist(), data.outcomes.state.ravel(), strict=True),
            strict=True,
        )
    )
    assert found["q0", "a"] == ("", State.OK)
    assert found["q1", "a"] == ("", State.UNGRADED)
    assert found["q0", "b"] == found["q1", "b"] == (None, State.FAILED)
    assert found["q2", "a"] == (None, State.UNGRADED)
    assert found["q2", "b"] == (None, State.FAILED)


def test_quoted_line_breaks_and_commas(tmp_path: Path) -> None:
    content = LINES + '8,"two\nlines, a comma",a,1\n8,"two\nlines, a comma",b,\n'
    data = load(written(tmp_path, "t.csv", content))
    assert "two\nlines, a comma" in data.queries.text.tolist()
    assert (data.outcomes.state == State.FAILED).sum() == 1


def test_late_and_null_json_fields(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    del rows[0]["score"], rows[0]["response"]
    rows[1]["score"] = None
    rows[3]["task"] = rows[2]["task"] = "late"
    data = load(written(tmp_path, "t.jsonl", as_json(rows)))
    assert sorted(data.outcomes.state.ravel().tolist()) == [
        State.OK, State.OK, State.FAILED, State.UNGRADED,
    ]  # fmt: skip
    assert data.queries.task is not None
    assert sorted(map(str, data.queries.task)) == ["None", "late"]


def test_json_ids_may_be_numbers(tmp_path: Path) -> None:
    rows = [row | {"query_id": int(row["query_id"]) + i // 2} for i, row in enumerate(ROWS)]
    assert sorted(load(written(tmp_path, "t.jsonl", as_json(rows))).ids) == ["7", "8"]


def json_with(row: int, **values: Any) -> str:
    return as_json([r | (values if i == row else {}) for i, r in enumerate(ROWS)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", r"t\.csv: the file is empty"),
        ("t.csv.gz", "", "there is no header"),
        ("t.jsonl.gz", "", "the file is empty"),
        ("t.csv", HEADER, "the table has no rows"),
        ("t.csv", LINES.replace("a,1", "a,nan"), r"row 1 \(line 2\), column score: is NaN"),
        ("t.csv", LINES.replace("b,0", "b,maybe"), r"row 2 \(line 3\), .*score: 'maybe'"),
        ("t.csv", LINES + "008,text\n", r"row 3 \(line 4\) has 2 fields, not the header's 4"),
        ("t.csv", LINES.replace("text 007,b", "te,xt,b"), r"row 2 \(line 3\) has 5 fields"),
        ("t.csv", LINES + '8,"never closed,a,1\n', r"row 3 \(line 4\) has 2 fields"),
        ("t.csv", LINES.encode() + b"8,\xc3\xa9 \xe9,a,1\n", "line 4 of the file: .* UTF-8"),
        ("t.csv", b"\xc3\xa9\xe9," + LINES.encode(), "line 1 of the file: the text is not UTF-8"),
        ("t.csv", LINES.replace("model", "modle"), "missing column model"),
        ("t.csv", LINES.replace("query,", "score,"), "missing column query"),
        ("t.csv", b"PAR1....PAR1", "is a Parquet file, whatever its name says"),
        ("t.csv", gzip.compress(LINES.encode(), mtime=0), "is a gzip file, whatever its name says"),
        ("t.jsonl", LINES, "row 1: not JSON"),
        ("t.jsonl", "[1, 2]", "row 1 is no JSON object"),
        ("t.jsonl", as_json(ROWS)[:-9], "row 4: not JSON"),
        ("t.jsonl", json_with(1, score=float("nan")), "row 2, column score: is NaN"),
        ("t.jsonl", json_with(2, score="x"), "row 3, column score: 'x' is not a number"),
        ("t.jsonl", json_with(2, query_id=7), "row 3, column query_id: 7 is of another type"),
        ("t.jsonl", json_with(0, query=["x"]), "column query"),
        ("t.jsonl", as_json(ROWS).encode() + b'{"query":"\xc3\xa9\xe9"}', "line 5 .* UTF-8"),
        ("t.parquet", LINES, "is not a Parquet file"),
        ("t.parquet", b"PAR1" + b"\0" * 40, "t.parquet: .*damaged|is cut short"),
        ("t.txt", LINES, "not a kind of file that can be read"),
        ("t.parquet.gz", LINES, "not a kind of file that can be read"),
    ],
)  # fmt: skip
def test_unusable_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(written(tmp_path, name, content))
    assert caught.value.message.startswith(name)


def test_damaged_parquet(tmp_path: Path) -> None:
    good = tmp_path / "good.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), good)
    raw = good.read_bytes()
    assert len(load(good)) == 2
    with pytest.raises(DataError, match=r"cut\.parquet: cannot be read"):
        load(written(tmp_path, "cut.parquet", raw[:-20]))
    with pytest.raises(DataError, match=r"hole\.parquet: .*damaged"):
        load(written(tmp_path, "hole.parquet", raw[:4] + b"\0" * 60 + raw[64:]))


def test_damaged_gzip(tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((LINES * 50).encode())[:60])
    with pytest.raises(DataError, match=r"cut\.csv\.gz: is damaged or cut short"):
        load(cut)
    plain = tmp_path / "plain.csv.gz"
    plain.write_text(LINES)
    with pytest.raises(DataError, match=r"plain\.csv\.gz: is not a gzip file"):
        load(plain)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        load(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder, not an outcomes file"):
        load(tmp_path)


def test_the_small_table_is_what_its_script_writes(tmp_path: Path) -> None:
    script = runpy.run_path(str(DATA / "make_outcomes.py"))
    script["write"](tmp_path / "outcomes.csv")
    assert (tmp_path / "outcomes.csv").read_bytes() == (DATA / "outcomes.csv").read_bytes()


def test_the_small_table_can_be_routed_well_but_not_perfectly() -> None:
    data = load(DATA / "outcomes.csv")
    assert data.outcomes.score.shape == (240, 4)
    assert data.outcomes.ok.all()
    texts = data.queries.text
    assert len(near_pairs(texts.tolist()).pairs) == 0
    assert len(set(data.text_hash)) == 240
    chosen, best, oracle = [], [], []
    for codes in make_split(data, folds=5).codes:
        seen, test = codes != 2, codes == 2
        score = data.outcomes.score
        vectoriser = TfidfVectorizer().fit(texts[seen])
        search = NearestNeighbors(n_neighbors=15, metric="cosine").fit(
            vectoriser.transform(texts[seen])
        )
        near = search.kneighbors(vectoriser.transform(texts[test]), return_distance=False)
        choice = score[seen][near].mean(axis=1).argmax(axis=1)
        chosen.extend(score[test][np.arange(len(choice)), choice])
        best.extend(score[test][:, score[seen].mean(axis=0).argmax()])
        oracle.extend(score[test].max(axis=1))
    assert np.mean(chosen) > np.mean(best) + 0.05
    assert np.mean(chosen) < np.mean(oracle) - 0.05
