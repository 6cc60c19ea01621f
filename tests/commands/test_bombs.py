"""Small files that would take all memory, or a day: one clear line each."""

from __future__ import annotations

import errno
import gzip
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted
from hypothesis import given
from hypothesis import strategies as st

from routebench import files, limits
from routebench.errors import DataError
from routebench.importers.unpickle import read_frame
from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]
Put = Callable[[pa.Table], Path]

DEEP = 200_000
GB = 1 << 30


def not_utf8(path: Path) -> Path:
    """A table one of whose columns has a name that is no UTF-8."""
    table = planted(20).append_column("odd_name", pa.array(["x"] * 80))
    pq.write_table(table, path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"odd_name", b"odd_\xff\xfe\xfdx"))
    return path


def wrong_text(path: Path) -> Path:
    """A table with a text that is no UTF-8."""
    texts = pa.array([b"\xff\xfe"] * 80).cast(pa.string(), safe=False)
    pq.write_table(planted(20).append_column("response", texts), path)
    return path


def amplified(path: Path) -> Path:
    """One long text that a million rows refer to: 1 TB of text."""
    n = 1_000_000
    zeros = pa.array(np.zeros(n, dtype="int32"))
    text = pa.DictionaryArray.from_arrays(zeros, pa.array(["x" * 1_000_000]))
    few = pa.DictionaryArray.from_arrays(zeros, pa.array(["a"]))
    table = pa.table({"query_id": few, "query": text, "model": few, "score": zeros})
    pq.write_table(table, path, compression="zstd")
    return path


def packed(path: Path) -> Path:
    with gzip.open(path, "wb", compresslevel=6) as stream:
        for _ in range(200):
            stream.write(b" " * (1 << 20))
    return path


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def dotted(parts: int) -> str:
    return ".".join(["a"] * parts) + " = 1\n"


TABLES = {
    "deep.jsonl": lambda p: put(p, '{"query": ' + "[" * DEEP + "]" * DEEP + "}\n"),
    "deep.json": lambda p: put(p, "[" * DEEP + "]" * DEEP),
    "object.json": lambda p: put(p, '{"a":' * DEEP + "1" + "}" * DEEP),
    "names.parquet": not_utf8,
    "texts.parquet": wrong_text,
    "amplified.parquet": amplified,
    "spaces.jsonl.gz": packed,
    "spaces.csv.gz": packed,
}
PRICES = {
    "deep.json": "[" * DEEP,
    "deep.toml": "a = " + "[" * DEEP,
    "dotted.toml": dotted(60_000),
    "quoted.toml": ".".join(['"a b"'] * 60_000) + " = 1\n",
    "header.toml": f"[{'.'.join(['a'] * 60_000)}]\n",
    "inline.toml": "a = {" + ".".join(["a"] * 60_000) + " = 1}\n",
    "many.json": json.dumps(
        {f"m{i}": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 1.0} for i in range(300_000)}
    ),
}


def peak(*words: object, cwd: Path) -> tuple[int, str, float]:
    """Run the command on its own: exit code, what it said, GB at its peak."""
    code = (
        "import resource, sys; from routebench.__main__ import main\n"
        "try: main()\n"
        "finally:\n"
        "    usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('peak', usage.ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (120, 120)),
    )
    said, _, size = done.stderr.rpartition("peak ")
    return done.returncode, done.stdout + said, int(size or 0) * 1024 / GB


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path) -> None:
    path = TABLES[name](tmp_path / name)
    words = ("run", "--quiet", "--suite", f"table:{path}", "--router", "random")
    code, said, size = peak(*words, cwd=tmp_path)
    assert code == 2, said[-500:]
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 2
    assert name in said
    assert size < 3


@pytest.mark.parametrize("name", PRICES)
def test_price_lists(name: str, write: Put, tmp_path: Path) -> None:
    path = put(tmp_path / name, PRICES[name])
    words = ("run", "--quiet", "--suite", f"table:{write(planted(40))}", "--router", "random")
    code, said, size = peak(*words, "--prices", path, cwd=tmp_path)
    assert code == 2, said[-500:]
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 2
    assert name in said
    assert size < 2


@pytest.mark.parametrize("option", ["--file", "--rules"])
def test_other_toml(option: str, main: Main, tmp_path: Path) -> None:
    path = put(tmp_path / "dotted.toml", dotted(60_000))
    words = ("run", option, path) if option == "--file" else ("gate", "a", "b", option, path)
    code, _, err = main(*words)
    assert code == 2
    assert "a key has more than 64 parts" in err


@given(st.lists(st.sampled_from("ab.-_ \"'=[]{}\n1,#\\"), max_size=60).map("".join))
def test_no_valid_toml_is_refused(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert limits.parse_toml(text) == expected


def test_long_texts_in_toml_are_no_keys() -> None:
    text = f'a = "{"w." * 500}"\nb = "{"... " * 300}"\nc = [{"1.0, " * 500}]\n'
    assert set(limits.parse_toml(text)) == {"a", "b", "c"}
    assert limits.parse_toml(dotted(60))


def test_boards(main: Main, tmp_path: Path) -> None:
    code, _, err = main("show", put(tmp_path / "leaderboard.json", "[" * DEEP))
    assert code == 2
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("ask", [b"r\xf0\xff\xff\xff", b"\x96" + (1 << 42).to_bytes(8, "little")])
def test_pickles_that_ask_for_memory(ask: bytes, tmp_path: Path) -> None:
    path = tmp_path / "asks.pkl"
    path.write_bytes(b"\x80\x05N" + ask + b".")
    code, said, size = peak("data", "import", "routerbench", path, cwd=tmp_path)
    assert code == 2, said
    assert "asks.pkl" in said
    assert "Traceback" not in said
    assert size < 1
    with pytest.raises(DataError, match=r"asks\.pkl"):
        read_frame(path)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_packed_files_of_usual_text_are_read(tmp_path: Path) -> None:
    text = b'{"query": "' + b"the same words again " * 100_000 + b'"}\n'
    path = tmp_path / "usual.gz"
    path.write_bytes(gzip.compress(text))
    with limits.open_gzip(path) as stream:
        assert stream.read() == text
    assert len(text) / path.stat().st_size > 100


def test_more_rows_and_pairs_than_are_read(
    main: Main, write: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "--quiet", "--suite", f"table:{write(planted(40))}", "--router", "random")
    monkeypatch.setattr(limits, "ROWS", 100)
    assert "has 160 rows; at most 100 are read" in main(*words)[2]
    monkeypatch.setattr(limits, "ROWS", 1000)
    monkeypatch.setattr(limits, "PAIRS", 100)
    assert "has 160 pairs of query and model; at most 100" in main(*words)[2]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "/x/y: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "z\x1b"), "z␛: Permission denied"),
        (MemoryError(), "there is not enough memory"),
        (RecursionError("maximum recursion depth"), "what was given is nested too deeply"),
    ],
)
def test_the_edge(error: Exception, said: str, main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("routebench.board.run_folder.read", fail)
    assert main("show", "x") == (2, "", f"error: {said}\n")


@pytest.mark.parametrize("seam", ["write_bytes", "replace"])
def test_a_full_disk_leaves_what_was_there(
    seam: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "board.json"
    files.replace_file(place, b"old")
    whole = Path.write_bytes

    def full(path: Path, *content: object) -> None:
        if seam == "write_bytes":
            whole(path, b"par")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, seam, full)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(place, b"new content")
    assert place.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["board.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_run_on_a_full_disk(write: Put, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        path = write(planted(300))
        words = ("--quiet", "--suite", f"table:{path}", "--router", "knn,random")
        code, said, _ = peak("run", *words, "--out", small / "run", cwd=tmp_path)
        assert code == 2, said
        assert "No space left on device" in said
        assert "Traceback" not in said
        parts = (".new-", ".leaderboard", ".cells", ".unfinished")
        assert [path for path in small.rglob("*") if path.name.startswith(parts)] == []
        assert not (small / "run" / "leaderboard.json").exists()
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("killed", [b"", None])
def test_a_store_whose_maker_was_killed_is_made_again(
    killed: bytes | None, main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "simpleqa.sqlite"
    if killed is None:
        database = sqlite3.connect(place, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.close()
    else:
        place.write_bytes(killed)
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path))
    words = ("--suite", "simpleqa", "--models", "simulated:sim-flash", "--limit", 2, "--quiet")
    code, _, err = main("collect", *words)
    assert code == 0, err
    with AnswerStore(place, write=False) as store:
        assert store.counts()["answered"] == 2


def test_an_empty_store_does_not_stop_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routebench_suites.storefile import has_answers

    (tmp_path / "simpleqa.sqlite").touch()
    assert not has_answers(tmp_path / "simpleqa.sqlite")


def test_a_short_file_that_is_no_store_stays_as_it_is(tmp_path: Path) -> None:
    place = put(tmp_path / "notes.sqlite", "SQLite notes of mine")
    with pytest.raises(DataError):
        AnswerStore(place)
    assert place.read_text() == "SQLite notes of mine"
