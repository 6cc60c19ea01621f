"""What new users type: read, or one clear line that says what to type instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import long_table, planted
from test_bad_input import check

from routebench.board import run_folder
from routebench.errors import nearest
from routebench.files import reason

Main = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
QUIET = ("--quiet", "--router", "best-single", "--perturb", "0")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pyarrow.csv.write_csv(planted(60), tmp_path / "ok.csv")
    return tmp_path / "ok.csv"


@pytest.fixture
def done(main: Main, table: Path, tmp_path: Path) -> Path:
    """A finished run."""
    assert main("run", "--suite", table, *QUIET, "--out", tmp_path / "out")[0] == 0
    return tmp_path / "out"


@pytest.mark.parametrize("words", [["--suite", "ok.csv"], ["--suite", "./ok.csv"]])
def test_the_name_of_a_file_is_a_suite(main: Main, table: Path, words: list[str]) -> None:
    code, out, err = main("run", *words, *QUIET, "--out", "o", cwd=table.parent)
    assert code == 0, err
    assert out.startswith("table ok.csv")
    said = check(*main("run", "--suite", "gone.csv", *QUIET))
    assert "gone.csv: there is no such file" in said


def test_names_and_scale_of_columns(main: Main, tmp_path: Path) -> None:
    given = planted(60)
    score = pa.compute.multiply(given["score"], 10)
    made = pa.table({"prompt": given["query"], "llm": given["model"], "rating": score})
    pyarrow.csv.write_csv(made, tmp_path / "t.csv")
    names = "query_id=prompt,query=prompt,model=llm,score=rating"
    words = ("run", "--suite", tmp_path / "t.csv", *QUIET, "--map", names)
    assert "--score-max 10 " in check(*main(*words))
    assert main(*words, "--score-max", "10", "--out", "o")[0] == 0
    assert json.loads((tmp_path / "here/o/leaderboard.json").read_text())["suite"]["notes"] == []
    assert main("run", "--file", "o/run.toml", "--out", "p")[0] == 0
    said = check(*main("run", "--suite", "simpleqa", *QUIET, "--score-max", "10"))
    assert "simpleqa has no option 'score_max'" in said


def test_no_router_is_named(main: Main, table: Path) -> None:
    for text in ("", ","):
        said = check(*main("run", "--suite", table, "--router", text))
        assert said.startswith("error: --router: no router named\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', "not a leaderboard of RouteBench"),
        ("[1]", "not a leaderboard of RouteBench"),
        ("query_id,query\n", "not a leaderboard: it is no JSON"),
        (
            '{"schema_version": 0}',
            "not a leaderboard: schema_version does not fit: schema 0, this is 2",
        ),
        ('{"schema_version": 1}', "not a leaderboard: suite: is missing"),
    ],
)
def test_show_something_else(main: Main, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert check(*main("show", path)) == f"error: {path}: {message}\n"


def test_show_a_run_that_was_interrupted(
    main: Main, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "half"
    words = ("run", "--suite", table, "--quiet", "--router", "best-single,random", "--seeds", "2")
    with monkeypatch.context() as patch:
        patch.setattr("routebench.pipeline.build.score", interrupted)
        assert main(*words, "--perturb", "0", "--out", folder)[0] == 130
    said = check(*main("show", folder))
    assert f"{folder}: the run is not finished: 3 of 3 jobs are done" in said
    command = said.splitlines()[1].removeprefix("hint: routebench ")
    code, _, err = main(*command.split(), "--quiet")
    assert code == 0, err
    assert main("show", folder)[0] == 0
    assert not (folder / run_folder.UNFINISHED).exists()


def test_plugins_near_and_far(main: Main) -> None:
    said = check(*main("plugins", "nope"))
    assert "did you mean" not in said
    assert "`routebench plugins` lists all" in said


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("nope", ["openai", "knn"], []),
        ("kn", ["knn", "linear"], ["knn"]),
        ("linaer", ["linear", "user-linear", "random"], ["linear", "user-linear"]),
        ("gpt-4O", ["GPT-4o", "claude"], ["GPT-4o"]),
        ("smal", ["small", "map"], ["small"]),
        ("qid", ["query_id", "model"], ["query_id"]),
        ("xyz", ["abc"], []),
    ],
)
def test_near_names(name: str, known: list[str], found: list[str]) -> None:
    assert nearest(name, known) == found


@pytest.mark.parametrize("texts", [[], ["  "]])
def test_no_query_to_route(
    main: Main, done: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", iter(["", " \n"]))
    assert "no query given" in check(*main("route", done, "best-single", *texts))


HOOKED = "from routebench import hookimpl\n\n\nclass R:\n"
FIT = "    @hookimpl\n    def fit(self, train, validation, context): ...\n"
ROUTE = "    @hookimpl\n    def route(self, queries): ...\n"


@pytest.mark.parametrize(
    ("source", "name", "parts"),
    [
        (HOOKED + ROUTE, "", ["which class of it?", "classes there: R", "r.py:R"]),
        ("x = 1\n", "", ["which class of it?", "there is no class in it"]),
        ("def broken(:\n", "", ["which class of it?"]),
        ("class R:\n    pass\n", ":X", ["no class 'X'", "without a method `route`: R"]),
        ("class R:\n    pass\n", ":R", ["R is no router", "def route"]),
        (HOOKED + FIT.replace("@hookimpl", "") + ROUTE, ":R",
         ["R has no fit hook: fit is there, without @hookimpl"]),
        (HOOKED + FIT + ROUTE, ":R", ["R has no method save", "goes through save"]),
    ],
)  # fmt: skip
def test_routers_that_lack_something(
    main: Main, table: Path, tmp_path: Path, source: str, name: str, parts: list[str]
) -> None:
    (tmp_path / "r.py").write_text(source)
    words = ("run", "--suite", table, "--quiet", "--out", "o")
    said = check(*main(*words, "--router", f"{tmp_path / 'r.py'}{name}"))
    for part in parts:
        assert part in said
    assert not (tmp_path / "here" / "o").exists()  # said before any job


def test_another_run_is_not_replaced_unasked(
    main: Main, done: Path, table: Path, tmp_path: Path
) -> None:
    before = (done / "leaderboard.json").read_bytes()
    pq.write_table(planted(70), tmp_path / "other.parquet")
    common = ("--quiet", "--perturb", "0", "--out", done)
    for words, why in (
        (
            ("--suite", tmp_path / "other.parquet", "--router", "best-single"),
            "of other data (suite, split",
        ),
        (("--suite", table, "--router", "random"), "it has best-single"),
        (("--suite", table, "--router", "best-single", "--set", "best-single.x=1"), ""),
    ):
        said = check(*main("run", *words, *common))
        assert why in said
        assert (done / "leaderboard.json").read_bytes() == before
    # The same again, or with more routers, goes on from it.
    assert main("run", "--suite", table, "--router", "best-single", *common)[0] == 0
    assert main("run", "--suite", table, "--router", "best-single,random", *common)[0] == 0
    assert main("run", "--suite", table, "--router", "random", *common, "--fresh")[0] == 0


def test_models_of_one_name_by_two_providers(main: Main, tmp_path: Path) -> None:
    made = planted(60)
    names = {"a": "x/gpt", "b": "y/gpt", "c": "x/other", "d": "d"}
    models = pa.array([names[name] for name in made["model"].to_pylist()])
    made = made.set_column(made.column_names.index("model"), "model", models)
    pq.write_table(made, tmp_path / "t.parquet")
    words = ("--quiet", "--perturb", "0", "--router", "cheapest,most-expensive,best-single")
    words += ("--set", "cheapest.model=x/gpt", "--set", "most-expensive.model=x/other")
    code, out, err = main("run", "--suite", tmp_path / "t.parquet", *words, "--out", "o")
    assert code == 0, err
    assert "100% x/gpt" in out
    assert "100% other" in out


def test_few_queries_are_better_tested_in_folds(main: Main, table: Path) -> None:
    out = main("run", "--suite", table, *QUIET, "--out", "o")[1]
    tested = json.loads(Path("o/leaderboard.json").read_text())["suite"]["queries"]["test"]
    assert f"{tested} of 60 queries are tested: with --folds 5 all 60 are" in out
    assert (
        "are tested" not in main("run", "--suite", table, *QUIET, "--folds", "5", "--out", "p")[1]
    )


def test_choices_that_were_never_asked_are_told(main: Main, tmp_path: Path) -> None:
    """Of a model that came later; the best single model is shown with and without those queries."""
    rng = np.random.default_rng(3)
    texts = [f"query {i} of {rng.integers(10**9)}" for i in range(200)]
    given = long_table(rng.random((200, 2)) < [0.8, 0.3], texts)
    keep = pa.array([m != "b" or int(q[1:]) % 3 != 0 for q, m in zip(
        given["query_id"].to_pylist(), given["model"].to_pylist(), strict=True)])  # fmt: skip
    pq.write_table(given.filter(keep), tmp_path / "t.parquet")
    words = ("run", "--suite", tmp_path / "t.parquet", "--quiet", "--perturb", "0")
    out = main(*words, "--router", "best-single", "--out", "one")[1]
    assert "INCOMPLETE" not in out
    alone = json.loads(Path("one/leaderboard.json").read_text())
    out = main(*words, "--router", "best-single,random", "--out", "two")[1]
    both = json.loads(Path("two/leaderboard.json").read_text())
    (note,) = both["suite"]["notes"]
    left, tested = both["diagnostics"]["left_out"], alone["diagnostics"]["scored"]
    assert left > 0
    assert note.startswith(f"INCOMPLETE: {left} of {tested} test queries are left out of all rows")
    assert f"(random: {left})" in note
    for board, words_ in ((both, "without them"), (alone, "on all that it answered")):
        value = board["references"]["best_single"]["accuracy"]["value"]
        assert f"{value:.1%} {words_}" in note
    assert "INCOMPLETE:" in out


def test_many_files_that_could_not_be_written_are_one_reason() -> None:
    import shutil

    full = "[Errno 28] No space left on device: '/x/y'"
    error = shutil.Error([(f"a{n}", f"b{n}", full) for n in range(100)])
    assert reason(error) == "No space left on device"
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert len(reason(OSError("x" * 1000))) == 200


def test_what_a_failed_router_printed_is_shown(
    cli: Callable[..., Any], table: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.py").write_text(
        "from routebench import hookimpl\n\n\nclass R:\n    @hookimpl\n"
        "    def route(self, queries):\n        print('so far', len(queries))\n"
        "        raise ValueError('boom')\n"
    )
    words = ("--router", "./r.py:R,best-single", "--perturb", "0", "--out", "o")
    done = cli("run", "--suite", table, *words)
    assert done.returncode == 1, done.stderr
    assert "  so far " in done.stderr
    (log,) = (tmp_path / "o").glob("**/error.txt")
    assert "\nprinted:\nso far " in log.read_text()
    assert f"log of R: {log.relative_to(tmp_path)}" in done.stdout


def test_a_model_that_cannot_be_asked_leaves_no_store(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.genai")
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    store = tmp_path / "st.sqlite"
    words = ("--models", "gemini:gemini-2.5-flash", "--limit", "2", "--store", store)
    code, out, err = main("collect", "--suite", "simpleqa", *words, "--quiet")
    assert (code, out) == (2, "")
    assert "GEMINI_API_KEY or GOOGLE_API_KEY is not set" in err
    assert list(tmp_path.glob("st.sqlite*")) == []


def test_the_first_run_ends_with_three_next_steps(main: Main, table: Path) -> None:
    words = ("run", "--router", "best-single", "--perturb", "0", "--out", "first run")
    code, out, err = main(*words, "--suite", "simpleqa")
    assert code == 0, err
    *_, heading, report, own, router = err.splitlines()
    assert heading == "next:"
    assert "routebench report 'first run' --open" in report
    assert "routebench run --suite outcomes.csv" in own
    assert "--router my_router.py:MyRouter" in router
    for line in (own, router):
        assert (ROOT / line.rpartition(": ")[2]).is_file()
    assert "next:" not in out
    code, _, err = main(*words, "--fresh", "--suite", table)  # who has answers needs no steps
    assert code == 0, err
    assert "next:" not in err
    code, _, err = main(*words, "--fresh", "--suite", "simpleqa", "--quiet")
    assert (code, err) == (0, "")
