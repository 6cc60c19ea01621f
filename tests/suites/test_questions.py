"""Reading questions: the project's own file, SimpleQA's, and files that are neither."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from routebench.errors import DataError
from routebench_suites.questions import EMBEDDED, Question, is_questions, read_questions

OWN = "query_id,query,reference,aliases,topic,answer_type,obscurity,kind\n"
PUBLISHED = "metadata,problem,answer\n"
FACETS = "\"{'topic': 'Art', 'answer_type': 'Person', 'urls': ['https://example.org']}\""


def written(folder: Path, text: str | bytes, name: str = "questions.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_embedded_questions() -> None:
    questions = read_questions(EMBEDDED)
    assert len(questions) == len({q.query_id for q in questions}) >= 3000
    assert {q.obscurity for q in questions} == {1, 2, 3, 4, 5}
    assert all(q.kind and q.topic and q.answer_type for q in questions)
    assert is_questions(EMBEDDED)
    hitchcock = next(q for q in questions if "Psycho" in q.query)
    assert (hitchcock.reference, hitchcock.aliases) == ("Alfred Hitchcock", ("Hitchcock",))
    assert hitchcock.kind == "films.director"


def test_own_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeff" + OWN + 'a,Who painted it?,Édouard Manet,"[""Manet""]",Art,Person,2,p.artist\n'
        "b,When?, 1863 ,,,,,\n",
    )
    assert read_questions(path) == [
        Question(
            "a", "Who painted it?", "Édouard Manet", ("Manet",), "Art", "Person", 2, "p.artist"
        ),
        Question("b", "When?", "1863", (), None, None, None, None),
    ]
    assert is_questions(path)


def test_only_the_first_four_columns_are_needed(tmp_path: Path) -> None:
    path = written(tmp_path, "aliases,query,reference,query_id\n[],Where?,Rome,q\n")
    assert read_questions(path) == [Question("q", "Where?", "Rome", (), None, None, None, None)]


def test_published_columns(tmp_path: Path) -> None:
    path = written(tmp_path, f'{PUBLISHED}{FACETS},Who?," Manet "\n{{}},When?,1863\n')
    one, other = read_questions(path)
    assert (one.query, one.reference, one.topic, one.answer_type) == (
        "Who?", "Manet", "Art", "Person",
    )  # fmt: skip
    assert (one.obscurity, one.kind, other.topic) == (None, None, None)
    swapped = written(tmp_path, f"{PUBLISHED}{{}},When?,1863\n{FACETS},Who?,Manet\n", "two.csv")
    assert read_questions(swapped) == [other, one]
    assert one.query_id.startswith("simpleqa-")


def test_a_published_question_with_two_answers_is_one(tmp_path: Path) -> None:
    rows = "".join(f"{{}},Which river?,{answer}\n" for answer in ("Po", "Padus", "Po", "Padus"))
    (question,) = read_questions(written(tmp_path, PUBLISHED + rows))
    assert (question.reference, question.aliases) == ("Po", ("Padus",))


def test_metadata_is_read_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = written(tmp_path, f"{PUBLISHED}\"open('{mark}', 'w')\",Who?,Manet\n")
    with pytest.raises(DataError, match=r"row 1, column metadata: .* is no Python dict"):
        read_questions(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "q.csv: the file is empty"),
        (" \n\n", "q.csv: the file is empty"),
        (OWN, "there are no questions"),
        ("a,b\n1,2\n", "the columns are a, b: no questions file"),
        ("query_id,query,reference,aliases,model\nq,Who?,Manet,[],m\n", "no questions file"),
        (OWN + "a,Who?,Manet,[]\n", "row 1 has 4 fields, not the header's 8"),
        (OWN + "a,Who?,Manet,[],,,,\nb, ,Manet,[],,,,\n", "row 2, column query: the cell is empty"),
        (OWN + "a,Who?,,[],,,,\n", "row 1, column reference: the cell is empty"),
        (OWN + ",Who?,Manet,[],,,,\n", "row 1, column query_id: the cell is empty"),
        (OWN + "a,Who?,Manet,Monet,,,,\n", "column aliases: 'Monet' is no JSON list of texts"),
        (OWN + "a,Who?,Manet,[1],,,,\n", "column aliases"),
        (OWN + "a,Who?,Manet,[],,,6,\n", "column obscurity: '6' is not one of 1 to 5"),
        (OWN + "a,Who?,Manet,[],,,,\na,When?,1863,[],,,,\n", "row 2, column query_id: 'a' is an"),
        (PUBLISHED + "{},,Manet\n", "row 1, column problem: the cell is empty"),
        (PUBLISHED + "{},Who?, \n", "row 1, column answer: the cell is empty"),
        (PUBLISHED + "[],Who?,Manet\n", "row 1, column metadata"),
        (PUBLISHED + "{'topic': 1},Who?,Manet\n", "column metadata: topic is '1', not a text"),
        (PUBLISHED + "(" * 3000 + ",Who?,Manet\n", "row 1, column metadata"),
        (PUBLISHED + '{},"Who,Manet\n', "not CSV"),
        (OWN.encode() + b"a,Who?,Man\xe9t,[],,,,\n", "line 2 of the file: the text is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = written(tmp_path, text, "q.csv")
    with pytest.raises(DataError) as caught:
        read_questions(path)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(DataError, match=message):
            read_questions(path)
        assert not is_questions(path)


def test_outcomes_tables_are_no_questions(tmp_path: Path) -> None:
    assert not is_questions(Path(__file__).parents[1] / "data" / "outcomes.csv")
    assert not is_questions(written(tmp_path, b"PAR1\xff\xfe"))
    assert not is_questions(written(tmp_path, ""))


def test_simpleqa_as_published(shared: Path) -> None:
    path = shared / "simpleqa" / "simple_qa_test_set.csv"
    questions = read_questions(path)
    assert len(questions) == len({q.query_id for q in questions}) == 4326
    assert Counter(q.topic for q in questions) == {
        "Science and technology": 858,
        "Politics": 709,
        "Art": 550,
        "Other": 475,
        "Geography": 424,
        "Sports": 368,
        "Music": 341,
        "TV shows": 293,
        "History": 173,
        "Video games": 135,
    }
    assert Counter(q.answer_type for q in questions) == {
        "Date": 1418,
        "Person": 1041,
        "Other": 777,
        "Number": 663,
        "Place": 427,
    }
    assert is_questions(path)
    assert not is_questions(shared / "simpleqa" / "outcomes.parquet")
