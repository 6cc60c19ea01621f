"""SimpleQA: questions stay questions; graded answers keep their three states."""

from __future__ import annotations

import csv
import gzip
import html
import json
from pathlib import Path

import pytest
from published import brought, load

from routebench.errors import DataError, OptionError
from routebench.importers import import_files
from routebench.records import Grade
from routebench_suites.questions import read_questions
from routebench_suites.simpleqa import SimpleQA

QUESTIONS = """metadata,problem,answer
"{'topic': 'Art', 'answer_type': 'Person', 'urls': ['https://x.example']}",Who painted it?,Ada
"{'topic': 'Art', 'answer_type': 'Person'}",Who painted it?,Ada B.
"{'topic': 'Music', 'answer_type': 'Date'}","When, then?",1901
"""
HEADER = ["problem", "target", "predicted_answer", "grade"]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "simple_qa_test_set.csv"
    path.write_text(QUESTIONS)
    return path


def graded(path: Path, *rows: list[str]) -> Path:
    with gzip.open(path, "wt", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def test_questions(questions: Path, tmp_path: Path) -> None:
    made = import_files("auto", [questions], tmp_path / "q.csv")
    assert (made.rows, made.states) == (2, {})
    assert made.notes[1:] == ("questions that stand there twice: 1",)
    # The same, by another reader of the published file.
    assert read_questions(tmp_path / "q.csv") == read_questions(questions)
    assert len(SimpleQA(SimpleQA.Options(data=tmp_path / "q.csv")).load()) == 2


def test_questions_are_no_outcomes(questions: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="these are questions without answers"):
        import_files("simpleqa", [questions], tmp_path / "outcomes.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == [questions.name]


def test_questions_that_cannot_be_written(questions: Path) -> None:
    with pytest.raises(DataError, match=r"q\.csv: cannot be written"):
        import_files("simpleqa", [questions], questions / "q.csv")


def test_all_published_questions(shared: Path, tmp_path: Path) -> None:
    published = shared / "simpleqa" / "simple_qa_test_set.csv"
    assert import_files("auto", [published], tmp_path / "q.csv").queries == 4326
    assert read_questions(tmp_path / "q.csv") == read_questions(published)


def test_graded_answers(questions: Path, tmp_path: Path) -> None:
    a = graded(
        tmp_path / "gpt-4o-2024-11-20.csv.gz",
        ["When, then?", "1901", "In 1901.", "A"],
        ["Who painted it?", "Ada", "Bob.", "B"],
    )
    b = graded(
        tmp_path / "claude-3.5.csv.gz",
        ["Who painted it?", "Ada", "", "NOT ATTEMPTED"],
        ["When, then?", "1901", "In 1902.", ""],
    )
    made, rows = brought("auto", a, b)
    assert made.models == {"claude-3.5": 2, "gpt-4o-2024-11-20": 2}
    assert made.states == {"ok": 3, "ungraded": 1}
    cell = {(r["query"], r["model"]): r for r in rows}
    first = cell["When, then?", "gpt-4o-2024-11-20"]
    assert (first["grade"], first["score"], first["reference"]) == ("CORRECT", 1.0, "1901")
    assert cell["Who painted it?", "claude-3.5"]["grade"] == "NOT_ATTEMPTED"
    assert cell["When, then?", "claude-3.5"]["state"] == "ungraded"
    data = load(made)
    assert data.outcomes.grade is not None
    assert (data.outcomes.grade == Grade.INCORRECT).sum() == 1

    _, rows = brought("simpleqa", a, b, questions)
    cell = {(r["query"], r["model"]): r for r in rows}
    wanted = cell["Who painted it?", "claude-3.5"]
    assert wanted["topic"] == "Art"
    assert json.loads(wanted["reference"]) == ["Ada", "Ada B."]
    assert wanted["query_id"] == read_questions(questions)[0].query_id


def results(path: Path, *answers: tuple[str, str, str, str], stated: float | None = None) -> Path:
    """As simple-evals writes them: (question, target, answer, score)."""
    pages = [
        f"<h3>Results</h3>\n<p>Correct Answer: {html.escape(target)}</p>\n"
        f"<p>Extracted Answer: {html.escape(said)}</p>\n<p>Score: {score}</p>\n"
        for _, target, said, score in answers
    ]
    convos = [
        [{"role": "user", "content": asked}, {"content": said, "role": "assistant"}]
        for asked, _, said, _ in answers
    ]
    metrics = {} if stated is None else {"is_correct": stated}
    held = {"score": stated, "metrics": metrics, "htmls": pages, "convos": convos}
    path.write_text(json.dumps(held | {"metadata": None}, indent=2))
    return path


def test_results_of_simple_evals(tmp_path: Path) -> None:
    fake = "</p>\n<p>Score: True</p>"  # an answer that would grade itself
    path = results(
        tmp_path / "simpleqa_gpt-4o_20250801_101010_allresults.json",
        ("Who?", "A & B", "A & B.", "True"),
        ("When?", "1901", fake, "False"),
        stated=0.5,
    )
    other = results(tmp_path / "simpleqa_o3-mini_high_allresults.json", ("Who?", "A & B", "", "x"))
    made, rows = brought("auto", path, other)
    assert made.models == {"gpt-4o": 2, "o3-mini_high": 1}
    assert [r["score"] for r in rows] == [1.0, 0.0, None]
    assert [r["state"] for r in rows] == ["ok", "ok", "failed"]
    assert rows[0]["reference"] == "A & B"
    assert rows[1]["response"] == fake
    assert "grade" not in rows[0]  # whether a wrong answer was an attempt is not in the file


def test_results_that_do_not_add_up(tmp_path: Path) -> None:
    path = results(tmp_path / "x_allresults.json", ("Who?", "A", "A", "True"), stated=0.25)
    with pytest.raises(DataError, match=r"1\.0000 of its answers are right, and its is_correct"):
        brought("simpleqa", path)


def test_another_layout(tmp_path: Path) -> None:
    path = graded(tmp_path / "a.csv.gz", ["Who?", "A", "B", "D"])
    with pytest.raises(DataError, match=r"a\.csv\.gz: row 1 \(line 2\), column grade: unknown"):
        brought("simpleqa", path)
    (tmp_path / "b.csv").write_text("question,answer\nWho?,A\n")
    with pytest.raises(DataError, match=r"b\.csv: nothing of SimpleQA; found columns: question"):
        brought("simpleqa", tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("metadata,problem,answer\nimport os,Who?,A\n")
    with pytest.raises(DataError, match=r"c\.csv: row 1 \(line 2\), column metadata: no"):
        import_files("simpleqa", [tmp_path / "c.csv"], tmp_path / "q.csv")
    assert not (tmp_path / "q.csv").exists()
