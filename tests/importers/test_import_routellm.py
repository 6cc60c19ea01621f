"""RouteLLM: a column of True and False per model."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from published import brought, load

from routebench.errors import DataError

WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
MMLU = f"""prompt,{WEAK},{STRONG}
"Which one?
A. 0
B. 4
Answer:",True,False
Why?,False,True
Why?,False,
"""
GSM8K = f"""prompt,{WEAK},{STRONG},{WEAK}_response,{STRONG}_response
"How many, then?",True,True," 3, since
#### 3",three
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "mmlu_formal_logic.csv").write_text(MMLU)
    (tmp_path / "evals" / "gsm8k_responses.csv").write_text(GSM8K)
    return tmp_path / "evals"


def test_the_rows(folder: Path) -> None:
    made, rows = brought("auto", folder)
    assert made.models == {STRONG: 4, WEAK: 4}
    assert made.states == {"ok": 7, "failed": 1}
    cell = {(r["query_id"], r["model"]): r for r in rows}
    first = cell["mmlu/formal_logic/0", WEAK]
    assert (first["score"], first["task"], first["topic"]) == (1.0, "mmlu", "formal_logic")
    assert first["query"] == "Which one?\nA. 0\nB. 4\nAnswer:"
    assert cell["mmlu/formal_logic/1", STRONG]["score"] == 1.0
    assert cell["mmlu/formal_logic/2", STRONG]["state"] == "failed"
    assert cell["gsm8k/0", WEAK]["response"] == " 3, since\n#### 3"
    assert cell["gsm8k/0", STRONG]["topic"] == "gsm8k"
    data = load(made)
    assert len(data) == 4
    assert data.outcomes.cost is None


def test_models_of_two_versions_are_not_mixed(folder: Path) -> None:
    old = MMLU.replace(WEAK, "mixtral-8x7b-instruct-v0.1")
    (folder / "mmlu_anatomy.csv").write_text(old)
    with pytest.raises(DataError, match=r"mmlu_anatomy\.csv: its models are mixtral-8x7b"):
        brought("routellm", folder)


def test_the_index_of_pandas_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "mmlu_law.csv"
    path.write_text("Unnamed: 0,prompt,a,b\n0,Why?,1,0\n1,How?,0.0,1.0\n")
    made, rows = brought("auto", path)
    assert made.models == {"a": 2, "b": 2}
    assert [r["score"] for r in rows] == [1, 0, 0, 1]


def test_another_layout(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("question,a,b\nWhy?,True,False\n")
    with pytest.raises(DataError, match=r"x\.csv: no response table; found columns: question, a"):
        brought("routellm", path)
    path.write_text("prompt,a,b\nWhy?,True,maybe\n")
    with pytest.raises(DataError, match=r"x\.csv: row 1 \(line 2\), column b: the score is"):
        brought("routellm", path)
    path.write_text("prompt,a,b\nWhy?,True\n")
    with pytest.raises(DataError, match=r"x\.csv: row 1 \(line 2\) has not as many fields"):
        brought("routellm", path)
    path.write_bytes(b"prompt,a,b\nWhy\xff?,True,True\n")
    with pytest.raises(DataError, match=r"x\.csv: after row 0: the text is not UTF-8"):
        brought("routellm", path)


# From mmlu_abstract_algebra.csv at c5e4ef6c: row, weak right, strong right.
PUBLISHED = [
    (0, 1, 1),
    (1, 0, 0),
    (6, 1, 1),
    (8, 0, 1),
    (20, 1, 0),
    (27, 1, 0),
]


def test_rows_are_named_as_in_the_converted_table(shared: Path) -> None:
    """Our names and values are those of an independent conversion of the same files."""
    table = pq.read_table(shared / "routellm" / "outcomes.parquet")
    algebra = table.filter(pc.equal(table["topic"], "abstract_algebra"))
    cell = {(r["query_id"], r["model"]): r["score"] for r in algebra.to_pylist()}
    for row, weak, strong in PUBLISHED:
        assert cell[f"mmlu/abstract_algebra/{row}", WEAK] == weak
        assert cell[f"mmlu/abstract_algebra/{row}", STRONG] == strong
