"""Whatever a user gets wrong: one clear line, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import planted

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
CSV = "query_id,query,model,score\nq0,who wrote emma,a,1\nq0,who wrote emma,b,0\n"

Main = Callable[..., tuple[int, str, str]]
Refused = Callable[..., str]
Put = Callable[[pa.Table], Path]


def check(code: int, out: str, err: str) -> str:
    """The error line, after the promises that all of them keep."""
    assert code == 2, err
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("error: "), err
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), err
    assert "Traceback" not in err
    return err


@pytest.fixture
def refused(main: Main, tmp_path: Path) -> Refused:
    """Run a command that must be refused, and return what it said."""

    def call(*words: Any) -> str:
        said = check(*main(*words))
        assert list((tmp_path / "here").iterdir()) == []
        return said

    return call


@pytest.fixture
def run(refused: Refused) -> Refused:
    """Refused runs on a table."""

    def call(path: Path, *words: Any) -> str:
        return refused("run", "--quiet", "--suite", f"table:{path}", *words)

    return call


@pytest.fixture
def good(write: Put) -> Path:
    """A table that nothing is wrong with."""
    return write(planted(60))


def text_file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def changed(column: str, row: int, value: Any) -> pa.Table:
    """The good table with one cell changed; rows count from 1."""
    table = planted(60)
    values = table[column].to_pylist()
    values[row - 1] = value
    return table.set_column(table.column_names.index(column), column, pa.array(values))


def costs(wrong: float) -> pa.Table:
    cost = np.full(240, 0.01)
    cost[6] = wrong
    return planted(60).append_column("cost_usd", pa.array(cost))


def repeated() -> pa.Table:
    table = planted(60)
    return pa.concat_tables([table, table.slice(4, 1)])


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (lambda: planted(60).drop_columns("model"), ["missing column model"]),
        (
            lambda: planted(60).drop_columns(["query_id", "score"]),
            ["missing columns query_id, score"],
        ),
        (
            lambda: planted(60).rename_columns(["query_id", "qurey", "model", "score", "task"]),
            ["missing column query", "did you mean qurey?"],
        ),
        (repeated, ["rows 5, 241", "(q1, a) is there twice"]),
        (lambda: changed("score", 7, float("nan")), ["row 7", "column score", "NaN"]),
        (lambda: changed("score", 8, float("inf")), ["row 8", "column score", "inf"]),
        (lambda: changed("score", 9, 1.5), ["row 9", "column score", "1.5"]),
        (lambda: costs(-0.5), ["row 7", "column cost_usd", "-0.5 is negative"]),
        (lambda: costs(float("nan")), ["row 7", "column cost_usd", "NaN"]),
        (lambda: changed("query", 6, ""), ["row 6", "column query", "empty"]),
        (lambda: changed("query", 6, "other text"), ["rows 5, 6", "column query", "'q1'"]),
        (
            lambda: planted(60).filter(pa.compute.field("model") == "a"),
            ["at least two models", "'a'"],
        ),
        (lambda: planted(60).slice(0, 0), ["no rows"]),
    ],
)  # fmt: skip
def test_wrong_tables(
    run: Refused, write: Put, made: Callable[[], pa.Table], names: list[str]
) -> None:
    said = run(write(made()))
    for name in ["outcomes.parquet", *names]:
        assert name in said


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("empty.csv", "", ["empty"]),
        ("empty.parquet", "", ["empty"]),
        ("header.csv", "query_id,query,model,score\n", ["no rows"]),
        ("score.csv", CSV + "q1,who,a,good\n", ["row 3", "column score", "'good' is not a number"]),
        ("fields.csv", CSV + "q1,who,what,a,1\n", ["row 3 (line 4)", "5 fields", "4"]),
        ("latin.csv", CSV.encode() + b"q1,caf\xc3\xa9 \xe9,a,1\n", ["line 4", "not UTF-8"]),
        ("text.parquet", CSV, ["not a Parquet file"]),
        ("text.jsonl", CSV, ["row 1", "not JSON"]),
        ("text.csv.gz", CSV, ["not a gzip file"]),
        ("outcomes.xlsx", CSV, ["not a kind of file", ".parquet"]),
        ("outcomes", CSV, ["not a kind of file"]),
    ],
)
def test_wrong_files(
    run: Refused, tmp_path: Path, name: str, content: str | bytes, names: list[str]
) -> None:
    said = run(text_file(tmp_path, name, content))
    for part in [name, *names]:
        assert part in said


def test_parquet_under_another_name_and_cut_short(run: Refused, good: Path) -> None:
    whole = good.read_bytes()
    said = run(text_file(good.parent, "p.csv", whole))
    assert "p.csv: is a Parquet file" in said
    for size in (6, len(whole) // 2, len(whole) - 3):
        said = run(text_file(good.parent, "cut.parquet", whole[:size]))
        assert "cut.parquet: " in said


def test_no_file(run: Refused, refused: Refused, tmp_path: Path) -> None:
    assert "no-such.csv: there is no such file" in run(tmp_path / "no-such.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv: is a folder" in run(tmp_path / "folder.csv")
    assert "table.data" in refused("run", "--quiet", "--suite", "table")
    assert "--suite" in refused("run", "--quiet")


def test_splits(run: Refused, write: Put, good: Path) -> None:
    part = np.where(np.arange(240) < 120, "train", "validation").astype(object)
    no_test = planted(60).append_column("split", pa.array(part))
    assert "no test queries" in run(write(no_test), "--split", "given")
    part[:4] = "tset"
    said = run(write(planted(60).append_column("split", pa.array(part))))
    assert "'q0' has the unknown split 'tset'" in said
    assert "did you mean test?" in said
    said = run(write(planted(60)), "--split", "given")
    assert "no split of its own" in said
    assert "--split hash" in said


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('{"a": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}}', ["no price for b, c, d"]),
        ('{"a": {"input_usd_per_mtok": 1', ["cannot be read"]),
        ("[]", ["no prices"]),
        ('{"a": 3}', ["model a"]),
        ('{"a": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 2}}', ["model a", "-1"]),
        ('{"a": {"input_usd_per_mtok": 1}}', ["model a", "output_usd_per_mtok is missing"]),
    ],
)
def test_prices(run: Refused, good: Path, content: str, names: list[str]) -> None:
    said = run(good, "--prices", text_file(good.parent, "prices.json", content))
    for name in ["prices.json", *names]:
        assert name in said


def test_price_files(run: Refused, good: Path) -> None:
    assert "no-such.toml" in run(good, "--prices", "no-such.toml")
    assert "prices.txt" in run(good, "--prices", text_file(good.parent, "prices.txt", "a"))
    said = run(good, "--prices", text_file(good.parent, "prices.toml", "[a\n"))
    assert "prices.toml: cannot be read" in said
    assert run(good, "--prices", good.parent).startswith("error: data: ")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--router", "knnn"], ["no router named 'knnn'", "did you mean knn?"]),
        (["--router", ","], ["--router"]),
        (["--router", "knn@a/b"], ["--router knn@a/b"]),
        (["--encoder", "tfidf-sdv"], ["no encoder named 'tfidf-sdv'", "did you mean tfidf-svd?"]),
        (["--judge", "exct"], ["no judge named 'exct'"]),
        (["--set", "knn.kk=5"], ["knn has no option 'kk'", "did you mean k?"]),
        (["--set", "table.smal=a"], ["table has no option 'smal'", "did you mean small?"]),
        (["--set", "table.small=x"], ["small: no model 'x' in this pool", "known: a, b, c, d"]),
        (["--set", "tfidf-svd.dimensoin=8"], ["'dimensoin'", "did you mean dimension?"]),
        (["--set", "knn.k=many"], ["knn.k", "'many'", "routebench plugins knn"]),
        (["--set", "knn.k=0"], ["knn.k", "must be at least 1", "0"]),
        (["--set", "k=5"], ["--set 'k=5'", "NAME.OPTION=VALUE"]),
        (["--set", "knn.k"], ["--set 'knn.k'", "NAME.OPTION=VALUE"]),
        (["--set", "knn.=5"], ["--set 'knn.=5'"]),
        (["--set", "linaer.penalty=1"], ["--set linaer", "did you mean linear or user-linear"]),
        (["--router", "knn", "--set", "linear.penalty=1"], ["--set linear: not part of this run"]),
        (["--show", "topic"], ["--show: 'topic' cannot be shown"]),
        (["--show", "taks"], ["--show: 'taks'", "did you mean task?"]),
        (["--show", "user"], ["--show user: this suite has no user column"]),
        (["--folds", "2"], ["--folds", "3", "2"]),
        (["--folds", "50"], ["fold", "no "]),
        (["--seeds", "0"], ["--seeds", "1", "0"]),
        (["--max-missing", "1.5"], ["--max-missing", "1.5"]),
        (["--max-missing", "nan"], ["--max-missing"]),
        (["--job-timeout", "0"], ["--job-timeout", "0"]),
        (["--jobs", "0"], ["--jobs", "0"]),
        (["--objective", "fast"], ["--objective 'fast'", "performance=P,cost=C"]),
        (["--objective", "speed=1"], ["--objective", "'speed'"]),
        (["--objective", "cost=cheap"], ["--objective", "'cheap'"]),
        (["--objective", "cost=-1"], ["--objective", "'-1'"]),
        (["--objective", "cost=nan"], ["--objective", "'nan'"]),
        (["--device", "banana"], ["--device", "'banana'"]),
        (["--device", "cuda_0"], ["--device", "'cuda_0'"]),
        (["--router", "no-such.py:Mine"], ["no router file 'no-such.py'", "file.py:ClassName"]),
        (["--router", f"{TROUBLE}:Constnat"], ["Constnat", "did you mean Constant?"]),
        (["--router", f"{TROUBLE}:Path"], ["Path is no router", "no method `route`"]),
        (["--router", "cheapest"], ["'cheapest' needs prices", "--set cheapest.model=MODEL"]),
        (["--router", "task-prior"], ["'task-prior' needs tasks", "--show task"]),
    ],
)
def test_options(run: Refused, good: Path, words: list[str], names: list[str]) -> None:
    said = run(good, *words)
    for name in names:
        assert name in said


@pytest.mark.parametrize(
    "words",
    [
        ["--router", "cheapest", "--set", "cheapest.model=typo"],
        ["--router", "prompt-length", "--set", "prompt-length.large=typo"],
    ],
)
def test_a_model_that_is_not_in_the_pool(run: Refused, good: Path, words: list[str]) -> None:
    said = run(good, *words)
    assert f"{words[-1].partition('=')[0]}: no model 'typo' in this pool" in said
    assert "known: a, b, c, d" in said


def test_unknown_suite(refused: Refused) -> None:
    said = refused("run", "--quiet", "--suite", "tabel:x.csv")
    assert "no suite named 'tabel'" in said
    assert "did you mean table?" in said


def test_close_names_of_judges_are_named(
    run: Refused, good: Path, distribution: Callable[..., Path]
) -> None:
    distribution("exact-judge", "[routebench.judges]\nexactly = exact_judge:Judge\n", "")
    assert "did you mean exactly" in run(good, "--judge", "exactli")


def test_cuda_without_cuda(run: Refused, good: Path) -> None:
    try:
        import torch
    except ImportError:
        pass
    else:
        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
    assert "--device cuda: " in run(good, "--device", "cuda")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("suite = [", ["not TOML"]),
        ('suite = "table"\nrooter = ["knn"]\n', ["unknown option 'rooter'", "did you mean router"]),
        ('suite = "table"\nrouter = "knn"\n', ["--router", "'knn'"]),
        ('suite = "table"\nset = 5\n', ["set", "5"]),
        ('suite = "table"\n[set]\nknn = 5\n', ["set", "knn", "5"]),
        ('suite = "table"\nseeds = "two"\n', ["--seeds", "'two'"]),
        ("seeds = 2\n", ["--suite"]),
        (b"suite = '\xff'", ["not TOML"]),
    ],
)
@pytest.mark.parametrize("more", [[], ["--set", "knn.k=5"]])
def test_run_files(
    refused: Refused, tmp_path: Path, content: str | bytes, names: list[str], more: list[str]
) -> None:
    path = text_file(tmp_path, "wrong.toml", content)
    said = refused("run", "--quiet", "--file", path, *more)
    for name in names:
        assert name in said


def test_no_run_file(refused: Refused, tmp_path: Path) -> None:
    assert "--file no-such.toml: No such file" in refused("run", "--file", "no-such.toml")
    assert f"--file {tmp_path}: " in refused("run", "--file", tmp_path)


def test_output_folders(run: Refused, good: Path, tmp_path: Path) -> None:
    said = run(good, "--out", good / "below" / "a-file")
    assert f"cannot write to {good / 'below' / 'a-file'}" in said
    assert "--out" in said
    assert f"cannot write to {good}" in run(good, "--out", good)
    before = good.read_bytes()
    said = run(good, "--out", good.parent)
    assert f"--out {good.parent}: not empty, and not a run folder" in said
    assert list(good.parent.iterdir()) == [good]
    assert good.read_bytes() == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(run: Refused, good: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert f"cannot write to {locked / 'out'}" in run(good, "--out", locked / "out")


def test_points_margins_and_volumes(run: Refused, good: Path) -> None:
    said = run(good, "--point", "saving=40%")
    assert "--point 'saving=40%': no such point" in said
    assert "savings=40%" in said
    assert "--margin 'much': expected points of accuracy" in run(good, "--margin", "much")
    assert "--volume 'lots': expected a number of queries" in run(good, "--volume", "lots")


def test_show_and_plugins(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "leaderboard.json: No such file" in refused("show", tmp_path / "empty")
    board = text_file(tmp_path, "leaderboard.json", json.dumps({"schema_version": 9}))
    assert "not a leaderboard" in refused("show", board)
    said = refused("plugins", "knnn")
    assert "no plugin or kind named 'knnn'" in said
    assert "did you mean knn?" in said
    assert "no router file 'no-such.py'" in refused("plugins", "no-such.py:Mine")
    assert "Path is no router" in refused("plugins", f"{TROUBLE}:Path")


def test_unknown_command_and_flag(main: Main) -> None:
    """Usage errors are click's own, with the usage before them."""
    for words, problem in ((["rnu"], "did you mean run"), (["run", "--suit", "x"], "--suite")):
        code, out, err = main(*words)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("Error: ")
        assert problem in err


def test_the_installed_command_does_the_same(
    cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    pyarrow.csv.write_csv(planted(60).drop_columns("model"), tmp_path / "t.csv")
    done = cli("run", "--suite", "table:t.csv", "--quiet")
    assert "t.csv: missing column model" in check(done.returncode, done.stdout, done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    done = cli("run", "--suite", "tabel:t.csv", "--quiet", "--json")
    assert "did you mean table?" in check(done.returncode, done.stdout, done.stderr)


def test_a_finished_run_survives_bad_input(main: Main, write: Put, tmp_path: Path) -> None:
    """A refused command leaves the board of an earlier one as it was."""
    path, out = write(planted(60)), tmp_path / "out"
    common = ("run", "--quiet", "--suite", f"table:{path}", "--out", out)
    assert main(*common, "--router", "best-single")[0] == 0
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    check(*main(*common, "--router", "best-single,knnn", "--fresh"))
    pq.write_table(changed("score", 3, float("nan")), path)
    check(*main(*common, "--router", "best-single"))
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
