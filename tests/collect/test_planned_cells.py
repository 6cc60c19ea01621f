"""Cells of a plan: those are bought, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.collect.planned_cells import SCHEMA, read_plan, write_plan
from routebench.collect.planning import make
from routebench.errors import DataError, OptionError
from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]


def written(path: Path, rows: list[dict[str, Any]], kind: str = "difference") -> Path:
    table = pa.Table.from_pylist([{"wave": 1} | row for row in rows], schema=SCHEMA)
    write_plan(path, table, {"kind": kind})
    return path


def asked(store: Path) -> set[tuple[str, str]]:
    with AnswerStore(store, write=False) as kept:
        rows = kept.table().to_pylist()
    return {(row["query"], row["model"]) for row in rows if row["response"] is not None}


def test_exactly_the_cells_of_a_plan_are_bought(main: Main, tmp_path: Path) -> None:
    questions = make("simpleqa", ["simulated:sim-flash"]).questions[:6]
    cells = [
        (questions[0], "sim-flash", 1), (questions[0], "sim-pro", 1),
        (questions[3], "sim-pro", 1), (questions[5], "sim-flash", 2),
    ]  # fmt: skip
    rows = [{"query_id": f"x{i}", "query": q.query, "model": model, "wave": wave}
            for i, (q, model, wave) in enumerate(cells)]  # fmt: skip
    file, store = written(tmp_path / "plan.parquet", rows), tmp_path / "s.sqlite"
    words = ("collect", "--suite", "simpleqa", "--plan", file, "--store", store,
             "--models", "simulated:sim-flash,simulated:sim-pro")  # fmt: skip
    code, out, err = main(*words, "--wave", 1, "--judge", "exact")
    assert code == 0, err
    wanted = {(q.query, model) for q, model, _ in cells[:3]}
    assert asked(store) == wanted
    assert out.splitlines()[-1] == f"next: routebench ope --plan {file} --answers {store}"
    code, out, _ = main(*words, "--dry-run", "--json")
    assert [model["calls"] for model in json.loads(out)["models"]] == [1, 0]
    assert main(*words)[0] == 0
    assert asked(store) == wanted | {(questions[5].query, "sim-flash")}


def test_without_a_suite_the_plan_s_texts_are_asked(tmp_path: Path) -> None:
    file = written(tmp_path / "p.parquet", [
        {"query_id": "a", "query": "one?", "model": "simulated/sim-pro", "reference": "1"},
        {"query_id": "b", "query": "two?", "model": "sim-flash"},
    ])  # fmt: skip
    models = ["simulated:sim-flash", "simulated:sim-pro"]
    plan = make(None, models, cells=read_plan(file), store=tmp_path / "s.sqlite")
    calls = [[call.prompt for call in plan.calls(target)] for target in plan.targets]
    assert calls == [["two?"], ["one?"]]
    assert [(q.query_id, q.reference) for q in plan.questions] == [("a", "1"), ("b", None)]


@pytest.mark.parametrize(
    ("models", "more", "message"),
    [
        ("simulated:sim-flash", (), "plan.parquet asks sim-pro, which is none of them"),
        ("simulated:sim-pro,simulated:sim-flash", (), "asks it nothing"),
        ("simulated:sim-pro", ("--wave", 2), "--wave 2: plan.parquet has 1"),
        ("simulated:sim-pro", ("--limit", 2), "a plan says what is asked"),
        ("simulated:sim-pro", ("--suite", "simpleqa"), "the suite has no query 'a'"),
    ],
)
def test_what_does_not_fit_a_plan_is_named(
    main: Main, tmp_path: Path, models: str, more: tuple[Any, ...], message: str
) -> None:
    row = {"query_id": "a", "query": "one?", "model": "sim-pro"}
    file = written(tmp_path / "plan.parquet", [row])
    code, _, err = main("collect", "--plan", file, "--models", models, "--dry-run", *more)
    assert code == 2
    assert message in err


def test_a_file_that_is_no_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="whose questions"):
        make(None, ["simulated:sim-pro"])
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="no plan"):
        read_plan(path)
    training = written(path, [{"query_id": "a", "query": "?", "model": "m"}], "training")
    with pytest.raises(DataError, match="a plan for training, not for difference"):
        read_plan(training, "difference")
