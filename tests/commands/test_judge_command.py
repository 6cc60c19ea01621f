"""`routebench judge`: tables and stores graded again, and compared with what they say."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.hookspecs import StoredQuestion
from routebench.records import Reply
from routebench.store.entries import Call
from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]
Put = Callable[..., Path]

PROVIDER = """
import sys
from pydantic import BaseModel
from routebench.errors import CallError
from routebench.records import Reply

ASKED = []
SAY = {}

class Fake:
    class Options(BaseModel):
        pass
    def __init__(self, options):
        pass
    def parameters(self):
        return {}
    async def ask(self, request):
        ASKED.append(request.prompt)
        if SAY.get("stop") == len(ASKED):
            raise KeyboardInterrupt
        if SAY.get("fail"):
            raise CallError("denied", "the key is \\x1b[31mwrong")
        return Reply("A" if "Paris" in request.prompt.split("[ANSWER")[1] else "B", 200, 2)
    async def close(self):
        pass
"""


@pytest.fixture
def fake(
    distribution: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    distribution("fake-grader", "[routebench.providers]\nfake = fake_grader:Fake\n", PROVIDER)
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "user"))
    import fake_grader  # type: ignore[import-not-found]

    yield fake_grader
    sys.modules.pop("fake_grader", None)


GRADER = ("--judge", "simpleqa-grader", "--set", "simpleqa-grader.model=fake:small",
          "--set", "simpleqa-grader.concurrency=1")  # fmt: skip


def outcomes(**changed: Any) -> pa.Table:
    """Five questions, two models: a is right as `exact` sees it, and graded so but for one."""
    columns: dict[str, Any] = {
        "query_id": np.repeat([f"q{at}" for at in range(5)], 2),
        "query": np.repeat([f"What is the capital of country {at}?" for at in range(5)], 2),
        "model": ["a", "b"] * 5,
        "reference": ["Paris"] * 10,
        "response": ["Paris", "Rome"] * 4 + ["Paris", "I don't know."],
        "grade": ["CORRECT", "INCORRECT"] * 4 + ["INCORRECT", "NOT_ATTEMPTED"],
        "score": [1.0, 0.0] * 4 + [0.0, 0.0],
        "cost_usd": [0.5] * 10,
    }
    return pa.table({k: v for k, v in (columns | changed).items() if v is not None})


def test_agreement_with_the_recorded_grades(main: Main, write: Put) -> None:
    code, out, err = main("judge", write(outcomes()), "--judge", "exact")
    assert (code, err) == (0, "")
    assert "graded 10 answers" in out
    assert "agreement 90.0" in out
    assert "κ 0.83" in out
    assert "INCORRECT → CORRECT" in out
    assert "answer: Paris" in out


def test_as_json(main: Main, write: Put) -> None:
    code, out, _ = main("judge", write(outcomes()), "--judge", "exact", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["counts"]["graded"] == 10
    assert said["counts"]["grades"] == {"CORRECT": 5, "INCORRECT": 4, "NOT_ATTEMPTED": 1}
    found = said["compared"]
    assert (found["first"], found["second"].partition("@")[0]) == ("recorded", "exact")
    assert found["overall"]["table"] == [[4, 0, 0], [1, 4, 0], [0, 0, 1]]
    assert found["overall"]["kappa"]["value"] == pytest.approx(0.49 / 0.59)
    assert [one["model"] for one in found["models"]] == ["a", "b"]
    assert found["models"][0]["agreement"] == 0.8
    (example,) = found["examples"]
    assert (example["first"], example["second"]) == ("INCORRECT", "CORRECT")
    assert example["model"] == "a"


def test_scores_only_are_two_states(main: Main, write: Put) -> None:
    path = write(outcomes(grade=None, score=[1.0, 0.0] * 4 + [0.0, 0.4]))
    said = json.loads(main("judge", path, "--judge", "exact", "--json")[1])["compared"]
    assert said["overall"]["labels"] == ["CORRECT", "NOT CORRECT"]
    assert said["overall"]["table"] == [[4, 0], [1, 4]]
    assert said["left_out"] == 1  # a part of a score


def test_against_another_judge(main: Main, write: Put) -> None:
    table = outcomes(response=["42", "I don't know."] * 5, reference=["42"] * 10)
    words = ("judge", write(table), "--judge", "numeric", "--against", "exact", "--json")
    found = json.loads(main(*words)[1])["compared"]
    assert [found[name].partition("@")[0] for name in ("first", "second")] == ["exact", "numeric"]
    assert found["overall"]["kappa"]["value"] == 1
    assert found["examples"] == []


def test_the_regraded_table(main: Main, write: Put, tmp_path: Path) -> None:
    path, out = write(outcomes()), tmp_path / "new.parquet"
    code, said, _ = main("judge", path, "--judge", "exact", "--out", out)
    assert code == 0
    assert f"written to {out}" in said
    table = pq.read_table(out)
    assert table["grade"].to_pylist() == ["CORRECT", "INCORRECT"] * 4 + ["CORRECT", "NOT_ATTEMPTED"]
    assert table["score"].to_pylist() == [1.0, 0.0] * 5
    assert table["state"].to_pylist() == ["ok"] * 10
    assert table["cost_usd"].to_pylist() == [0.5] * 10
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".new")] == []
    again = json.loads(main("judge", out, "--judge", "exact", "--json")[1])
    assert again["compared"]["overall"]["agreement"]["value"] == 1


def test_rows_without_an_answer_are_not_judged(main: Main, write: Put, tmp_path: Path) -> None:
    table = outcomes(response=[None, "Rome"] + ["Paris", "Rome"] * 4)
    path, out = write(table), tmp_path / "new.parquet"
    said = json.loads(main("judge", path, "--judge", "exact", "--out", out, "--json")[1])
    assert said["counts"]["graded"] == 9
    assert pq.read_table(out).num_rows == 9


def test_nothing_to_compare_with(main: Main, write: Put) -> None:
    code, out, _ = main("judge", write(outcomes(grade=None, score=None)), "--judge", "exact")
    assert code == 0
    assert "nothing to compare: no answer of the file has a grade" in out


def test_a_limit_takes_some_by_chance(main: Main, write: Put) -> None:
    words = ("judge", write(outcomes()), "--judge", "exact", "--limit", 4, "--json")
    said = json.loads(main(*words)[1])
    assert said["counts"]["graded"] == said["compared"]["overall"]["n"] == 4


def test_ungraded_answers_are_counted_and_the_exit_code_says_so(main: Main, write: Put) -> None:
    path = write(outcomes(reference=["Paris"] * 8 + ["", ""]))
    code, out, _ = main("judge", path, "--judge", "exact")
    assert code == 3
    assert "2 ungraded" in out
    assert "no reference" in out


def test_terminal_escapes_and_markup_are_shown_harmlessly(main: Main, write: Put) -> None:
    evil = "\x1b[2J\x1b]0;x\x07[bold red]<script>\x00\u202e"
    table = outcomes(
        response=[evil] * 10,
        reference=[f"Paris{evil}"] * 10,
        query=np.repeat([f"{evil}{at}" for at in range(5)], 2),
        model=[f"a{evil}", f"b{evil}"] * 5,
        grade=["CORRECT"] * 10,
        score=[1.0] * 10,
    )
    code, out, err = main("judge", write(table), "--judge", "exact", "--show", 10)
    assert code == 0
    assert "[bold red]<script>" in out
    for character in "\x1b\x00\x07\u202e":
        assert character not in out + err
    shown = main("judge", write(table), "--judge", "exact", "--json")[1]
    assert "\x1b" not in shown
    json.loads(shown)


WRONG: list[tuple[tuple[Any, ...], str]] = [
    (("--judge", "nobody"), "no judge named 'nobody'"),
    (("--judge", "exact", "--against", "nobody"), "no judge named 'nobody'"),
    (("--judge", "exact", "--against", "exact"), "is the judge itself"),
    (("--judge", "exact", "--set", "numeric.tolerance=0.1"), "numeric"),
    (("--judge", "exact", "--set", "exact.warmth=1"), "no option 'warmth'"),
    (("--judge", "numeric", "--set", "numeric.tolerance=2"), "numeric.tolerance"),
    (("--judge", "exact", "--out", "new.csv"), ".parquet"),
    (("--judge", "exact", "--out", "nowhere/new.parquet"), "there is no folder nowhere"),
    (("--judge", "exact", "--suite", "simpleqa"), "is no store"),
    (("--judge", "simpleqa-grader"), "simpleqa-grader.model"),
    (("--judge", "simpleqa-grader", "--set", "simpleqa-grader.model=x"), "provider:model"),
    (("--judge", "simpleqa-grader", "--set", "simpleqa-grader.model=x:y"), "no provider named"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_wrong_options(
    main: Main, write: Put, tmp_path: Path, words: tuple[Any, ...], said: str
) -> None:
    code, out, err = main("judge", write(outcomes()), *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 2
    assert list((tmp_path / "here").iterdir()) == []


def test_wrong_files(main: Main, write: Put, tmp_path: Path) -> None:
    empty = tmp_path / "empty.parquet"
    empty.touch()
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    with AnswerStore(tmp_path / "bare.sqlite"):
        pass
    for path, said in (
        (tmp_path / "none.parquet", "there is no such file"),
        (tmp_path, "there is no such file"),
        (empty, "the file is empty"),
        (broken, "broken.sqlite"),
        (tmp_path / "bare.sqlite", "nothing has been answered yet"),
        (write(outcomes(reference=None), "r.parquet"), "no column reference"),
        (write(outcomes(response=None), "a.parquet"), "no column response"),
        (write(outcomes(response=pa.nulls(10, pa.string())), "n.parquet"), "no row has an answer"),
    ):
        code, out, err = main("judge", path, "--judge", "exact")
        assert (code, out) == (2, ""), path
        assert said in err


def test_the_file_that_is_judged_is_not_replaced(main: Main, write: Put) -> None:
    path = write(outcomes())
    before = path.read_bytes()
    code, _, err = main("judge", path, "--judge", "exact", "--out", path)
    assert code == 2
    assert "would replace" in err
    assert path.read_bytes() == before


def collected(path: Path, n: int = 6) -> Path:
    """A store of n questions to two models, of which a is right."""
    asked = [
        StoredQuestion(f"q{at}", f"Capital {at}?", f"Capital {at}?", "Paris") for at in range(n)
    ]
    with AnswerStore(path) as store:
        made = [Call.of("p", model, {}, each.prompt) for each in asked for model in ("a", "b")]
        store.add("simpleqa", asked, made)
        for call in store.claim(10**6):
            text = "Paris" if call.model == "a" else f"Rome, {call.prompt}"
            store.settle(call.key, Reply(text), cost=0.1)
    return path


def test_a_store_keeps_its_grades(main: Main, tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite")
    code, out, _ = main("judge", path, "--judge", "exact")
    assert code == 0
    assert "graded 12 answers" in out
    assert "no other judge has graded these answers" in out
    code, out, _ = main("judge", path, "--judge", "exact")
    assert "has graded all answers before" in out
    code, out, _ = main("judge", path, "--judge", "exact", "--set", "exact.middle_names=false")
    assert code == 0
    assert "agreement 100.0" in out
    words = ("judge", path, "--judge", "exact", "--against", "numeric", "--json")
    said = json.loads(main(*words)[1])
    assert said["nothing_to_compare"] == "no answer is graded by both"


def test_another_suites_judge_is_nobody_to_compare_with(main: Main, tmp_path: Path) -> None:
    path = collected(tmp_path / "s.sqlite")
    assert main("judge", path, "--judge", "exact")[0] == 0
    with AnswerStore(path) as store:
        store.add(
            "more",
            [StoredQuestion("m", "2 + 2?", "2 + 2?", "4")],
            [call := Call.of("p", "a", {}, "2 + 2?")],
        )
        store.claim(1)
        store.settle(call.key, Reply("4"), cost=0.1)
    code, out, err = main("judge", path, "--judge", "numeric", "--suite", "more")
    assert code == 0, err
    assert "graded 1 answers" in out
    assert "no other judge has graded these answers" in out


def test_a_store_is_exported_with_the_new_grades(main: Main, tmp_path: Path) -> None:
    path, out = collected(tmp_path / "s.sqlite"), tmp_path / "new.parquet"
    assert main("judge", path, "--judge", "exact", "--suite", "simpleqa", "--out", out)[0] == 0
    table = pq.read_table(out)
    assert table["grade"].to_pylist() == ["CORRECT", "INCORRECT"] * 6
    code, _, err = main("judge", path, "--judge", "exact", "--suite", "simpelqa")
    assert code == 2
    assert "did you mean simpleqa?" in err


def test_a_grader_says_what_it_used(fake: Any, main: Main, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('["fake:small"]\ninput_usd_per_mtok = 10\noutput_usd_per_mtok = 100\n')
    path = collected(tmp_path / "s.sqlite")
    words = ("judge", path, *GRADER)
    code, out, _ = main(*words, "--set", f"simpleqa-grader.prices='{prices}'")
    assert code == 0
    assert "6 CORRECT, 6 INCORRECT" in out
    assert "12 replies, 2,400 tokens in, 24 out, $0.02640" in out
    assert "prices.toml" in out
    code, out, _ = main(*words)
    assert "has graded all answers before" in out
    assert len(fake.ASKED) == 12


def test_an_unknown_price_is_said(fake: Any, main: Main, tmp_path: Path) -> None:
    out = main("judge", collected(tmp_path / "s.sqlite"), *GRADER)[1]
    assert "cost of 12 not known" in out
    assert "$" not in out


def test_a_grader_that_fails(fake: Any, main: Main, tmp_path: Path) -> None:
    fake.SAY["fail"] = True
    path = collected(tmp_path / "s.sqlite")
    code, out, err = main("judge", path, *GRADER, "--out", tmp_path / "new.parquet")
    assert (code, out) == (2, "")
    assert "no grade: the key is" in err
    assert "\x1b" not in err
    assert not (tmp_path / "new.parquet").exists()
    assert len(fake.ASKED) == 1
    fake.SAY.clear()
    code, out, _ = main("judge", path, *GRADER)
    assert (code, "6 CORRECT" in out) == (0, True)


@pytest.mark.parametrize("kind", ["store", "table"])
def test_what_an_interrupted_grader_was_paid_for_is_kept(
    fake: Any, main: Main, write: Put, tmp_path: Path, kind: str
) -> None:
    table = outcomes(response=[f"answer {at}" for at in range(10)])
    path = collected(tmp_path / "s.sqlite", 5) if kind == "store" else write(table)
    fake.SAY["stop"] = 5
    code, _, err = main("judge", path, *GRADER)
    assert code == 130
    assert "interrupted" in err
    fake.SAY.clear()
    assert main("judge", path, *GRADER)[0] == 0
    # Equal answers are asked about once; the fifth call was cut off.
    different = len(set(fake.ASKED))
    assert len(fake.ASKED) == different + 1


def test_the_recorded_grades_of_real_answers(main: Main, shared: Path) -> None:
    path = shared / "simpleqa" / "outcomes.parquet"
    words = ("judge", path, "--judge", "exact", "--limit", 2000, "--show", 3, "--json")
    found = json.loads(main(*words)[1])["compared"]
    assert found["overall"]["n"] >= 1998  # of a Latin name in another script it grades none
    assert 0.9 < found["overall"]["kappa"]["value"] < 0.95  # the answers are in Czech
    assert len(found["models"]) == 5
    assert len(found["examples"]) == 3
