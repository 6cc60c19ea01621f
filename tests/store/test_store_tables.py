"""A store as a long table: states, grades, names, and files of it."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from stores import calls, filled, questions, reply

from routebench.data.files import read_table
from routebench.data.long_table import COLUMNS, from_long
from routebench.errors import DataError, OptionError
from routebench.records import Grade, Reply, State, SuiteData
from routebench.store import tables
from routebench.store.store import AnswerStore, Call, StoredQuestion


def suite(table: pa.Table) -> SuiteData:
    return from_long(table, name="simpleqa", source="live", place="s.sqlite")


def by_name(data: SuiteData, query: str, model: str) -> tuple[int, int]:
    return data.ids.tolist().index(query), data.pool.models.index(model)


def test_states_are_what_a_suite_takes_them_for(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("simpleqa", questions(3), calls(questions(3)))
        right, refused, failed, answered, _, _ = store.claim(6)
        store.settle(right.key, reply(right), cost=0.01, latency=2)
        store.settle(refused.key, Reply("", 5, 0, finish="refused"), cost=0.02)
        store.fail(failed.key, "timeout", "no answer")
        for answer in store.ungraded("exact"):
            score = 0.0 if answer.response == "" else 1.0
            store.grade("exact", answer, score, [Grade.NOT_ATTEMPTED, Grade.CORRECT][int(score)])
        store.settle(answered.key, reply(answered), cost=0.04)
        table = store.table()
    assert set(table.column_names) <= set(COLUMNS)
    data = suite(table)
    assert len(data) == 2  # the third question's calls are in flight
    state, grade, cost = data.outcomes.state, data.outcomes.grade, data.outcomes.cost
    assert grade is not None
    assert cost is not None
    assert state[by_name(data, "q0", "small")] == State.OK
    assert grade[by_name(data, "q0", "small")] == Grade.CORRECT
    assert state[by_name(data, "q0", "large")] == State.OK  # a refusal is an answer
    assert grade[by_name(data, "q0", "large")] == Grade.NOT_ATTEMPTED
    assert state[by_name(data, "q1", "small")] == State.FAILED
    assert math.isnan(cost[by_name(data, "q1", "small")])
    assert state[by_name(data, "q1", "large")] == State.UNGRADED
    assert cost[by_name(data, "q1", "large")] == 0.04
    assert data.references is not None
    assert sorted(data.references) == ["answer 0", "answer 1"]
    assert data.split is None
    assert data.answers.null_count == 1


def test_several_judges_grade_the_same_answers(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 3) as store:
        for answer in store.answers():
            store.grade("first-1a", answer, 1.0, Grade.CORRECT)
        assert len(list(store.ungraded("second-2b"))) == 6
        for number, answer in enumerate(store.ungraded("second-2b")):
            unsure = number % 2
            store.grade("second-2b", answer, None if unsure else 0.25, note="unsure" * unsure)
        assert len(list(store.ungraded("second-2b"))) == 3  # to be tried again
        assert store.info().judges == {"first-1a": {"ok": 6}, "second-2b": {"ok": 3, "ungraded": 3}}
        assert store.judges("simpleqa") == ("first-1a", "second-2b")
        first, second = store.table(), store.table(judge="second-2b")
        assert first["score"].to_pylist() == [1.0] * 6
        assert set(first["grade"].to_pylist()) == {"CORRECT"}
        assert sorted(second["state"].to_pylist()) == ["ok"] * 3 + ["ungraded"] * 3
        assert "grade" not in second.column_names  # it gave none
        for answer in store.ungraded("second-2b"):
            store.grade("second-2b", answer, 0.5)
        store.grade("third@3c", answer, 0.125)
        assert store.table(judge="third").equals(store.table(judge="third@3c"))
        store.grade("third@4d", answer, 0.25)
        with pytest.raises(OptionError, match="no judge 'third'"):
            store.table(judge="third")  # there are two
        assert list(store.ungraded("second-2b")) == []
        with pytest.raises(OptionError, match="no judge 'second'") as caught:
            store.table(judge="second")
        assert "second-2b" in caught.value.hint


def test_answers_come_in_an_order_that_tells_nothing_of_models(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 400) as store:
        order = [answer.response.split()[0] for answer in store.answers()]
        assert len(order) == 800
        same = sum(a == b for a, b in pairwise(order)) / 799
        assert 0.4 < same < 0.6
        assert [a.call for a in store.answers()] == [a.call for a in store.ungraded("x")]
        (seen,) = {tuple(type(answer).__dataclass_fields__) for answer in store.answers()}
        assert "model" not in seen


def test_one_call_answers_questions_of_several_suites(tmp_path: Path) -> None:
    """Asked and paid once, graded for each: what is right may differ."""
    with filled(tmp_path / "s.sqlite", 2) as store:
        shared = StoredQuestion("q0", "What is 0?", "What is 0?", "another right answer")
        other = StoredQuestion("q1", "Else?", "Else?", "yes")
        added = store.add("other", [shared, other], calls([shared, other], ["small"]))
        assert (added.new, added.known) == (1, 1)
        store.grade("exact", next(store.ungraded("exact", "other")), 1.0)
        assert store.table("other")["state"].to_pylist() == ["ok"]
        assert store.table("other")["model"].to_pylist() == ["small"]  # `large` was not asked there
        assert store.table("simpleqa")["state"].to_pylist() == ["ungraded"] * 4
        assert len(list(store.ungraded("exact"))) == 4
        assert sorted(set(store.table()["query_id"].to_pylist())) == [
            "other/q0", "simpleqa/q0", "simpleqa/q1"
        ]  # fmt: skip
        with pytest.raises(DataError, match="no suite 'simpleq'"):
            store.table("simpleq")


def test_a_question_with_new_words_is_another_one(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 2) as store:
        changed = StoredQuestion("q0", "What is 0?", "Say it in one word. What is 0?", "nought")
        added = store.add("simpleqa", [changed], calls([changed], ["small"]))
        assert (added.changed, added.others) == (1, 1)
        added = store.add("simpleqa", [changed, questions(2)[1]], [])
        assert (added.changed, added.others) == (0, 0)
        assert store.table()["query_id"].to_pylist() == ["q1", "q1"]
        (call,) = store.claim(9)
        store.settle(call.key, reply(call), cost=0.001)
        table = store.table()
        assert table["query_id"].to_pylist() == ["q1", "q1", "q0"]
        assert table["reference"].to_pylist()[-1] == "nought"
        assert store.spent() == 0.005  # what was paid was paid


def test_models_have_names_that_tell_them_apart(tmp_path: Path) -> None:
    one = questions(1)
    asked = [
        *calls(one, ["only"]),
        *calls(one, ["both"]),
        *calls(one, ["both"], provider="openai"),
        *calls(one, ["warm"], temperature=0.0, seed=1),
        *calls(one, ["warm"], temperature=1.0, seed=1),
    ]
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("simpleqa", one, asked)
        for call in store.claim(9):
            store.settle(call.key, reply(call), cost=0)
        assert store.table()["model"].to_pylist() == [
            "only", "gemini:both", "openai:both",
            "gemini:warm temperature=0.0", "gemini:warm temperature=1.0",
        ]  # fmt: skip


def test_repeated_answers_are_samples_of_a_cell(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("simpleqa", questions(2), calls(questions(2), samples=3))
        for call in store.claim(99):
            store.settle(call.key, reply(call), cost=0.001 * (call.sample + 1))
        for answer in store.ungraded("exact"):
            store.grade("exact", answer, 1.0)
        data = suite(store.table())
    assert data.outcomes.samples is not None
    assert data.outcomes.samples.shape == (2, 2, 3)
    assert data.outcomes.cost is not None
    assert data.outcomes.cost.tolist() == [[0.002, 0.002]] * 2


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl", "t.ndjson", "t.csv"])
def test_files_of_it_say_the_same(tmp_path: Path, name: str) -> None:
    with filled(tmp_path / "s.sqlite", 4, answered=6) as store:
        refused, last = store.claim(2)
        store.settle(refused.key, Reply("", 10, 0, finish="refused"), cost=0.0005)
        store.fail(last.key, "server", "")
        for answer in list(store.ungraded("exact"))[:5]:
            store.grade("exact", answer, 1.0, Grade.CORRECT)
        assert any(answer == "" for answer in store.table()["response"].to_pylist())  # refused
        assert store.export(tmp_path / name) == 8
        table, notes = read_table(tmp_path / name)
        assert notes == ()
        ours, theirs = suite(store.table()), suite(table)
    for field in ("state", "score", "grade", "cost", "input_tokens", "latency"):
        ourselves, read = getattr(ours.outcomes, field), getattr(theirs.outcomes, field)
        assert ourselves.tobytes() == read.tobytes(), field
    assert ours.answers.to_pylist() == theirs.answers.to_pylist()
    assert {file.name for file in tmp_path.iterdir()} == {name, "s.sqlite"}


def test_exports_that_cannot_be(tmp_path: Path) -> None:
    with filled(tmp_path / "s.sqlite", 2, answered=0) as store:
        with pytest.raises(DataError, match="nothing has been answered yet"):
            store.export(tmp_path / "t.parquet")
        with pytest.raises(OptionError, match=r"t\.xlsx: unknown kind of file"):
            store.export(tmp_path / "t.xlsx")
        with pytest.raises(DataError, match="cannot be written"):
            store.export(tmp_path / "nowhere" / "t.csv")
    assert {file.name for file in tmp_path.iterdir()} == {"s.sqlite"}


def test_batches_are_bounded_by_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(tables, "_BYTES", 1 << 20)
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("simpleqa", questions(3), calls(questions(3)))
        for call in store.claim(6):
            store.settle(call.key, Reply("x" * (600_000)), cost=0)
        store.export(tmp_path / "t.parquet")
    with pq.ParquetFile(tmp_path / "t.parquet") as file:
        assert file.metadata.num_row_groups == 3


def test_texts_that_no_table_can_hold(tmp_path: Path) -> None:
    call = Call.of("p", "m", {}, "Who?\ud800")
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("s", [StoredQuestion("q\udfff", "Who?\ud800", "Who?\ud800", "\ud800")], [call])
        store.claim(1)
        store.settle(call.key, Reply("nul \0 \x1b[31m \ud800 é"), cost=0)
        for name in ("t.parquet", "t.jsonl", "t.csv"):
            store.export(tmp_path / name)
            table, _ = read_table(tmp_path / name)
            assert table["response"].to_pylist() == ["nul \0 \x1b[31m ? é"], name
            assert table["query_id"].to_pylist() == ["q?"]
