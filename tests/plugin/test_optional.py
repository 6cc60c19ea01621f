"""Optional members: a third party's plugin that has them is used like a built-in one."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted

from routebench.errors import PluginError
from routebench.hookspecs import JudgeUsage
from routebench.plugin import optional
from routebench.records import Pool

Board = Callable[..., dict[str, Any]]
Main = Callable[..., tuple[int, str, str]]
Put = Callable[[pa.Table], Path]
Install = Callable[[str, str], None]

HEAD = """
import numpy as np
from pydantic import BaseModel
from routebench import Decisions, Grade, Grades, Pool, State, hookimpl
from routebench.hookspecs import JudgeUsage, StoredQuestion
from routebench.records import Answers

class Plugin:
    class Options(BaseModel):
        pass

    def __init__(self, options):
        self.options = options
"""


@pytest.fixture
def install(distribution: Callable[..., Path]) -> Install:
    """Install a plugin of one kind, called `other`, with the given methods."""

    def make(kind: str, methods: str) -> None:
        entry = f"[routebench.{kind}s]\nother = other_{kind}:Plugin\n"
        source = HEAD + textwrap.indent(textwrap.dedent(methods), "    ")
        distribution(f"other-{kind}", entry, source)

    return make


ENCODER = """
stateless = by_id = True
dimension = 2
fingerprint = "other-1"

def encode(self, texts):
    raise RuntimeError("knows ids only")
"""
LOOKUP = """
def lookup(self, ids):
    return np.array([[float(each[1:]), 1.0] for each in ids], dtype=np.float32)
"""


def test_an_encoder_by_id(install: Install, board: Board, write: Put) -> None:
    install("encoder", ENCODER + LOOKUP)
    words = ("--suite", f"table:{write(planted(60))}", "--router", "knn", "--encoder", "other")
    found = board(*words, "--set", "knn.k=3")
    assert found["rows"][0]["state"] == "ok"
    assert found["encoder"] == "other"


def test_an_encoder_by_id_without_lookup_says_so(install: Install, main: Main, write: Put) -> None:
    install("encoder", ENCODER)
    words = ("--suite", f"table:{write(planted(60))}", "--router", "knn", "--encoder", "other")
    code, _, err = main("run", "--quiet", *words)
    assert code == 2
    assert err.startswith("error: Plugin is by_id, and has no lookup(ids)")


JUDGE = """
def parameters(self):
    return {"model": "m"}

@property
def usage(self):
    return self.__dict__.setdefault("_usage", JudgeUsage(price="list", unpriced=0))

@hookimpl
def judge(self, answers):
    raise RuntimeError("each is graded by itself")

def judge_each(self, questions, references, answers, on_grade):
    for place, (right, given) in enumerate(zip(references, answers)):
        self.usage.calls += 1
        self.usage.usd += 0.5
        on_grade(place, (Grade.CORRECT if right == given else Grade.INCORRECT, ""))
"""


def test_a_judge_that_counts_what_it_used(
    install: Install, main: Main, write: Put, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "own"))
    install("judge", JUDGE)
    table = planted(20)
    text = pa.array(["yes"] * table.num_rows)
    path = write(table.append_column("response", text).append_column("reference", text))
    code, out, err = main("judge", path, "--judge", "other", "--json")
    assert (code, err) == (0, "")
    counts = json.loads(out)["counts"]
    assert counts["grades"] == {"CORRECT": 80}
    assert (counts["usage"]["calls"], counts["usage"]["usd"]) == (80, 40.0)
    assert "grader: 80 replies" in main("judge", path, "--judge", "other", "--regrade")[1]
    code, out, _ = main("judge", path, "--judge", "other", "--json")
    assert json.loads(out)["counts"]["usage"]["calls"] == 0  # paid for once


def test_a_suite_that_lists_its_questions_and_a_provider_its_models(
    install: Install, main: Main, tmp_path: Path
) -> None:
    install(
        "suite", 'def questions(self):\n    return [StoredQuestion("1", "one?", "Say one!", "one")]'
    )
    install(
        "provider",
        """
        def parameters(self):
            return {"temperature": 0}

        def pool(self):
            return Pool(("echo",), np.array([1.0]), np.array([1.0]))

        def answer(self, requests):
            assert [request.prompt for request in requests] == ["Say one!"]
            return Answers(("one",), np.array([10.0]), np.array([20.0]))
        """,
    )
    store = tmp_path / "s.sqlite"
    words = ("collect", "--suite", "other", "--store", store, "--models")
    code, _, err = main(*words, "other:nobody")
    assert code == 2
    assert "other has no such model" in err
    code, _, err = main(*words, "other:echo")
    assert code == 0, err
    (model,) = json.loads(main("data", "info", store, "--json")[1])["models"]
    assert (model["parameters"], model["usd"]) == ('{"temperature":0}', pytest.approx(30e-6))


ROUTER = """
route_options = ("word",)
personal = False
budget = None

class Options(BaseModel):
    word: str = "x"
    trained: int = 0

@property
def starts_processes(self):
    return self.options.word == "run"

def needs(self, pool, shown, priced):
    return None if len(pool) == 4 else "needs four models"

def facts(self):
    return {"word": self.options.word}

@hookimpl
def fit(self, train):
    pass

@hookimpl
def route(self, queries):
    choice = 0 if self.budget is None else 1
    return Decisions(np.full(len(queries), choice))

def save(self, folder):
    pass

def load(self, folder):
    pass
"""


def test_a_router_with_all_of_them(
    install: Install, board: Board, main: Main, write: Put, tmp_path: Path
) -> None:
    install("router", ROUTER)
    table = planted(60)
    table = table.append_column("cost_usd", pa.array([0.1] * table.num_rows))
    words = ("--suite", f"table:{write(table)}", "--router", "other")
    (row,) = board(*words, "--set", "other.word=run")["rows"]
    assert row["facts"] == {"word": "run"}
    assert "starts processes of its own, which are watched less closely" in row["warnings"]
    run = tmp_path / "out"
    assert main("route", run, "other", "why?")[1].split()[0] == "a"
    assert main("route", run, "other", "why?", "--budget", 1)[1].split()[0] == "b"
    assert main("route", run, "other", "why?", "--set", "other.word=z")[0] == 0
    code, _, err = main("route", run, "other", "why?", "--set", "other.trained=1")
    assert code == 2
    assert "other.trained is fixed by training" in err
    few = write(table.filter(pa.compute.not_equal(table["model"], "a")), "few.parquet")  # type: ignore[call-arg]
    code, _, err = main("run", "--quiet", "--suite", f"table:{few}", "--router", "other")
    assert (code, err) == (2, "error: router 'other' needs four models\n")


def test_what_is_absent_has_its_default() -> None:
    class Plain:
        pass

    plain = Plain()
    assert optional.unmet_needs(plain, Pool(("a",)), frozenset(), False) is None
    assert optional.facts(plain) == {}
    assert not optional.starts_processes(plain)
    assert not optional.is_personal(Plain)
    assert optional.route_options(Plain) == ()
    assert not isinstance(plain, optional.KeepsBudget)
    assert not optional.is_stateless(Plain)
    assert not optional.is_by_id(Plain)
    assert optional.parameters(plain) is None
    assert optional.judge_usage(plain) is None
    assert not isinstance(plain, optional.GradesEach)


def test_values_of_another_type_are_refused() -> None:
    class Wrong:
        usage = 3

        def facts(self) -> Any:
            return {"n": np.inf}

    with pytest.raises(PluginError, match=r"Wrong\.usage is int"):
        optional.judge_usage(Wrong())
    with pytest.raises(PluginError, match="facts: n is inf"):
        optional.facts(Wrong())
    Wrong.usage = JudgeUsage(calls=2)  # type: ignore[assignment]
    usage = optional.judge_usage(Wrong())
    assert usage is not None
    assert usage.calls == 2


def test_what_a_job_needs_is_stated_in_known_amounts() -> None:
    class Stated:
        def __init__(self, resources: Any) -> None:
            self.resources = resources

    assert optional.resources(object()) == {}
    assert optional.resources(Stated({"num_gpus": 1, "memory": 8e9})) == {
        "num_gpus": 1.0,
        "memory": 8e9,
    }
    for wrong, why in (
        ({"num_gpu": 1}, "no 'num_gpu'"),
        ({"num_cpus": -1}, "num_cpus is -1"),
        (4, "is int, expected amounts by name"),
    ):
        with pytest.raises(PluginError, match=f"Stated.resources:? {why}"):
            optional.resources(Stated(wrong))
