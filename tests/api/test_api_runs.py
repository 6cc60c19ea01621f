"""The Python interface: names that stay, the README's lines, tables, notebooks and errors."""

from __future__ import annotations

import importlib
import os
import pkgutil
import pydoc
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import in_process

import routebench as rb
from routebench.api import frames
from routebench.api.runs import PairedRuns
from routebench.comparison.compare import compare as compare_runs
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.report import notebook
from routebench.report.notebook import NotebookProgress

README = Path(__file__).parents[2] / "README.md"
LINES = re.compile(r"^```python\n(import routebench as rb\n.*?)^```", re.S | re.M)
INTERFACE = ("run", "load", "compare", "gate")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[rb.Run]]:
    """Two runs on one table, one with a router more; in a folder of their own."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        patch.chdir(folder)
        options: dict[str, Any] = {"progress": False, "perturb": 0, "seeds": 1}
        names = ["best-single", "prompt-length", "random"]
        yield [
            rb.run(planted(80), names[:2], out="old", **options),
            rb.run(planted(80), ",".join(names), out="new", against="random", **options),
        ]


def rows(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of pandas or Arrow."""
    if isinstance(table, pa.Table):
        return table.to_pylist()
    found: list[dict[str, Any]] = table.to_dict("records")
    return found


def test_no_module_takes_the_place_of_a_function() -> None:
    for module in pkgutil.iter_modules(rb.__path__):
        assert module.name not in rb.__all__
        if module.name != "__main__":
            importlib.import_module(f"routebench.{module.name}")
    for name in INTERFACE:
        assert callable(getattr(rb, name))
        assert name in dir(rb)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("routebench.run")


def test_the_import_is_light() -> None:
    code = "import routebench, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "pyarrow", "pydantic", "rich", "click", "routebench.api"}
    assert not heavy & set(done.stdout.split())


def test_help_says_how_to_begin() -> None:
    text = pydoc.plain(pydoc.render_doc(rb))
    assert text.index("rb.run(") < text.index("FUNCTIONS")
    for name in INTERFACE:
        assert re.search(rf"^    {name}\(", text, re.M), name
    for name in ("Run", "RoutebenchError", "Decisions"):
        assert f"class {name}(" in text
    signature = pydoc.plain(pydoc.render_doc(rb.run))
    for argument in ("routers", "prices", "folds", "out", "fresh"):
        assert re.search(rf"^ +{argument}: ", signature, re.M), argument


def test_the_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = LINES.findall(README.read_text(encoding="utf-8"))
    lines = [line for line in found.splitlines() if line.strip()]
    assert len(lines) == 5
    (tmp_path / "lines.py").write_text(found)
    pyarrow.csv.write_csv(planted(90), tmp_path / "outcomes.csv")
    in_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path("lines.py")
    assert [row["state"] for row in rows(made["run"].leaderboard())] == ["ok"] * 3


def test_tables(runs: list[rb.Run]) -> None:
    run = runs[1]
    board = {row["router"]: row for row in rows(run.leaderboard())}
    assert set(board) == {"best-single", "prompt-length", "random"}
    decisions = rows(run.decisions())
    for name, row in board.items():
        own = [each for each in decisions if each["router"] == name]
        assert len(own) == run.board.diagnostics.scored
        assert np.mean([each["score"] for each in own]) == pytest.approx(row["accuracy"])
    cells = rows(run.cells())
    assert len(cells) == 80 * 4
    assert {row["query_id"] for row in cells} >= {row["query_id"] for row in decisions}
    assert all(row["router"] in board for row in rows(run.points()))


def test_pandas_where_it_is(runs: list[rb.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert isinstance(runs[0].cells(), pa.Table)
    monkeypatch.undo()
    pandas = pytest.importorskip("pandas")
    assert isinstance(runs[0].cells(), pandas.DataFrame)
    assert isinstance(frames.records([]), pandas.DataFrame)


def test_costs_of_all_answers_that_a_router_buys(tmp_path: Path) -> None:
    models, keys = ["a", "b"], ["k", "k", "l", "l"]
    cells = {"query": keys, "query_id": [f"q-{k}" for k in keys], "model": models * 2}
    cells |= {"score": [1.0, 0.0, 0.0, None], "cost_usd": [1.0, 2.0, 4.0, None]}
    pq.write_table(pa.table(cells), tmp_path / "cells.parquet")
    made = {"router": ["r"] * 3, "query": ["k", "k", "l"], "choice": ["b", "b", "b"]}
    asked = pa.array([["a", "b"], None, None], pa.list_(pa.string()))
    pq.write_table(pa.table(made | {"asked": asked}), tmp_path / "decisions.parquet")
    board: Any = type("Board", (), {"suite": type("Suite", (), {"users": None})})
    table = frames.decisions(tmp_path, board)
    plain = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table)
    assert plain["cost_usd"].to_pylist() == [3.0, 2.0, None]
    assert plain["score"].to_pylist() == [0.0, 0.0, None]


def test_load(runs: list[rb.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = runs[0].folder.resolve()
    assert rb.load(folder).board == runs[0].board
    assert rb.load(folder / "leaderboard.json").folder == folder
    with pytest.raises(rb.DataError, match="No such file") as caught:
        rb.load("nowhere")
    assert caught.value.__notes__ == [f"hint: {caught.value.hint}"]


def test_compare(runs: list[rb.Run]) -> None:
    found = rb.compare(*runs)
    assert isinstance(found, PairedRuns)
    pairs = rows(found.differences())
    assert {row["first"] for row in pairs} == {"best-single", "prompt-length"}
    assert all(row["difference"] == 0 for row in pairs if row["metric"] == "accuracy")
    assert "only in new: random" in repr(found)
    two = rb.compare(runs[1], routers=["random", "best-single"])
    (given,) = compare_runs([runs[1].folder], ["random", "best-single"], 5)
    assert two.comparison.pairs[0].measured == given.pairs[0].measured


def test_gate(runs: list[rb.Run]) -> None:
    decided = rb.gate(runs[0], "new", routers="prompt-length", margins={"accuracy": 0.3})
    assert decided.verdict == "pass"
    assert decided.passed
    (row, *_) = rows(decided.comparisons())
    assert (row["router"], row["metric"], row["margin"]) == ("prompt-length", "accuracy", 0.3)
    assert repr(decided).startswith("PASS")
    with pytest.raises(rb.OptionError, match="gate"):
        rb.gate(*runs, margins={"acuracy": 0.3})


def test_html_is_escaped(runs: list[rb.Run]) -> None:
    board = runs[0].board
    rows = [board.rows[0].model_copy(update={"router": "<img src=x>&\x1b"}), *board.rows[1:]]
    html = notebook.board_html(board.model_copy(update={"rows": rows}), Path("<b>"))
    assert "<img" not in html
    assert "&lt;img src=x&gt;&amp;" in html
    assert "\x1b" not in html
    assert "&lt;b&gt;" in html
    assert "prompt-length" in runs[0]._repr_html_()
    assert "&lt;" not in repr(runs[0])
    assert rb.compare(*runs)._repr_html_().startswith("<pre>")
    assert notebook.text_html("<i>") == "<pre>&lt;i&gt;</pre>"


def test_progress_in_a_notebook(runs: list[rb.Run]) -> None:
    shown: list[str] = []
    job: Any = type("Job", (Job,), {})("<knn>", None, {}, 0, 1, "")
    config: Any = type("Config", (), {"folds": 3})
    with NotebookProgress(config, shown.append) as progress:
        progress.stage("loading <x>")
        assert shown[-1] == "loading &lt;x&gt;"
        progress.jobs(3, 1, Path())
        assert '<progress value="1" max="3"></progress> 1 of 3 jobs' in shown[-1]
        progress.progress(job, 0.5, "epoch 2")
        assert shown[-1].endswith("&lt;knn&gt; seed 0 fold 1 50% epoch 2")
        progress.ended(job, Result("failed", "no <luck>"))
    assert shown[-1].startswith("&lt;knn&gt; seed 0 fold 1 failed: no &lt;luck&gt;<br>")
    assert 'value="2"' in shown[-1]
    assert not notebook.in_notebook()


def test_errors_name_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, message in (
        ({"table": "simpleqa", "routers": "nkn"}, "no router named 'nkn'"),
        ({"table": "gone.csv"}, "gone.csv: there is no such file"),
        ({"table": "simpleqa", "fodls": 5}, "unknown option 'fodls'"),
        ({"table": "simpleqa", "folds": 1}, "--folds: must be at least 3"),
        ({"table": planted(9).drop_columns(["score"])}, "score"),
        ({"table": "simpleqa", "routers": []}, "no router named"),
    ):
        with pytest.raises(rb.RoutebenchError, match=message):
            rb.run(**given, progress=False)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["routebench-job"])
    with pytest.raises(rb.OptionError, match="while a job imported the file of its router"):
        rb.run("simpleqa")


SCRIPT = """
import numpy as np
import pyarrow.parquet as pq
from pydantic import BaseModel

import routebench as rb
from routebench import Decisions, hookimpl

FIRST = 0


class Fixed:
    'Sends every query to one model.'

    class Options(BaseModel):
        model: int = FIRST

    def __init__(self, options):
        self.options = options

    @hookimpl
    def route(self, queries):
        return Decisions(np.full(len(queries), self.options.model))


class Broken(Fixed):
    @hookimpl
    def route(self, queries):
        print("about to break")
        raise ValueError("no luck")


given = [Fixed, Fixed(Fixed.Options(model=1)), Broken, "best-single"]
run = rb.run(pq.read_table("outcomes.parquet"), given, perturb=0, fresh=True)
print([(row.router, row.state) for row in run.board.rows])
chosen = run.decisions()
"""


@pytest.mark.slow
def test_classes_of_a_script_run_in_processes_of_their_own(tmp_path: Path) -> None:
    pq.write_table(planted(80), tmp_path / "outcomes.parquet")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"ROUTEBENCH_DATA": str(tmp_path / "kept")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for label in ("'Fixed'", "'Fixed@2'", "'best-single'"):
        assert f"({label}, 'ok')" in done.stdout
    assert "('Broken', 'failed')" in done.stdout
    assert "Broken seed 0 failed: route: ValueError: no luck" in done.stderr
    assert "about to break" in done.stderr
