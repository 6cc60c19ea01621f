"""Several processes on one store, and processes that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from stores import calls, filled, questions

from routebench.errors import DataError
from routebench.store import owners, schema
from routebench.store.call_counts import count_calls
from routebench.store.store import AnswerStore

COLLECTOR = """
import sys, time
from pathlib import Path
from stores import calls, questions, reply
from routebench.store.store import AnswerStore

path, log, n, block, seconds = Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:])
with AnswerStore(path) as store, log.open("a", buffering=1) as said:
    asked = questions(int(n))
    store.add("simpleqa", asked, calls(asked))
    print("found", store.recover(), flush=True)
    while block := store.claim(int(sys.argv[4])):
        for call in block:
            said.write(call.key + "\\n")  # from here on the call may have been paid
            time.sleep(seconds)
            answer = reply(call)
            store.settle(call.key, answer, cost=0.001, price_id="list", latency=0.5)
"""


def collector(path: Path, log: Path, n: int, block: int, seconds: float) -> Any:
    """A process that asks all that is left, and writes down whatever it asks."""
    words = [sys.executable, "-c", COLLECTOR, path, log, n, block, seconds]
    found = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": found},
    )


def until(true: Callable[[], object]) -> None:
    """Wait until something is true; give up on what never will be."""
    late = time.monotonic() + 300
    while not true():
        if time.monotonic() > late:
            pytest.fail("waited for five minutes")
        time.sleep(0.01)


@contextmanager
def asking(path: Path, log: Path) -> Iterator[Any]:
    """A process with six calls in flight, the first of which takes a minute."""
    process = collector(path, log, 10, 6, 60)
    try:
        until(lambda: lines(log))
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(processes: Sequence[Any]) -> list[str]:
    outputs = [process.communicate(timeout=120) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in outputs]


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_two_processes_never_ask_the_same(tmp_path: Path) -> None:
    """They start at once, so that both make the file, both add all, and both claim."""
    path, logs = tmp_path / "s.sqlite", [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    ended([collector(path, log, 300, 3, 0.0005) for log in logs])
    asked = [key for log in logs for key in lines(log)]
    assert sorted(asked) == sorted(call.key for call in calls(questions(300)))
    assert len(set(asked)) == 600
    assert sum(bool(lines(log)) for log in logs) >= 2
    with AnswerStore(path) as store:
        assert store.counts()["answered"] == 600
        assert store.spent() == 0.6
        assert store.info().twice == 0


def test_a_file_that_another_process_makes_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one makes all tables between two questions of this one: what file is this?"""
    path, read = tmp_path / "s.sqlite", schema._pragma
    other = threading.Thread(target=lambda: AnswerStore(path).close())

    def slow(database: sqlite3.Connection, name: str) -> Any:
        value = read(database, name)
        if name == "application_id" and threading.current_thread() is not other and not value:
            if other.ident is None:
                other.start()
            other.join(0.5)
        return value

    monkeypatch.setattr(schema, "_pragma", slow)
    with AnswerStore(path) as store:
        assert store.check() == []
    other.join(60)
    assert not other.is_alive()


@pytest.mark.parametrize("log", [False, True], ids=["no bytes", "a header"])
def test_calls_are_counted_while_another_process_makes_the_file(tmp_path: Path, log: bool) -> None:
    """Between the file and its tables, nothing is known of any call; nothing is wrong either."""
    path, wanted = tmp_path / "s.sqlite", calls(questions(5))
    with closing(sqlite3.connect(path)) as half_made:
        if log:
            half_made.execute("PRAGMA journal_mode = WAL")
        else:
            path.touch()
        counts = count_calls(path, wanted)
        assert counts.states == {"absent": len(wanted)}
        assert counts.open == {call.key for call in wanted}
        with pytest.raises(DataError, match=r"s\.sqlite: is empty"):
            AnswerStore(path, create=False)


@pytest.mark.slow
def test_a_process_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    path, log = tmp_path / "s.sqlite", tmp_path / "asked"
    pause = random.Random(0)
    found = 0
    for _ in range(10):
        process = collector(path, log, 2000, 8, 0.0005)
        process.stdout.readline()  # it has added, and begins to claim
        time.sleep(pause.uniform(0, 0.2))
        assert process.poll() is None, "it had nothing left to do"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        with AnswerStore(path) as store:
            assert store.check() == []
            flying = store.counts()["in_flight"]
            assert flying <= 8
            assert store.recover() == flying
            found += flying
            assert store.counts()["in_flight"] == 0
            assert store.info().interrupted == found
    (output,) = ended([collector(path, log, 2000, 8, 0)])
    assert output == "found 0\n"
    assert found > 0
    asked = lines(log)
    again = len(asked) - len(set(asked))
    assert again <= 10  # one call is made at a time, of those in flight
    with filled(tmp_path / "whole.sqlite", 2000) as whole, AnswerStore(path) as store:
        assert store.check() == []
        assert store.table().equals(whole.table())
        assert store.spent() == whole.spent()
        assert store.counts() == whole.counts()


def test_calls_of_a_killed_process_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with asking(path, tmp_path / "asked") as process, AnswerStore(path) as store:
        assert store.recover() == 0  # it lives
        process.kill()
        until(lambda: not owners.born(process.pid))  # not waited for: a zombie makes no calls
        assert store.recover() == 6
        assert store.info().interrupted == 6
        assert len(store.claim(100)) == 20


def test_a_stopped_process_keeps_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with asking(path, tmp_path / "asked") as process, AnswerStore(path) as store:
        os.kill(process.pid, signal.SIGSTOP)
        assert store.recover() == 0
        assert len(store.claim(100)) == 14


def test_an_id_that_another_process_has_now_is_not_its_owner(tmp_path: Path) -> None:
    with (
        filled(tmp_path / "s.sqlite", 2, answered=0) as one,
        AnswerStore(tmp_path / "s.sqlite") as two,
    ):
        one.claim(2)
        one._database.execute("UPDATE owners SET born = born || '0', beat = beat - 1000")
        assert two.recover() == 2


def test_without_proc_a_lease_says_who_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "born", lambda pid: "?" if owners._exists(pid) else "")
    here = owners.this_host()
    assert owners.is_alive(here, os.getpid(), "?", beat=0, now=owners.LEASE - 1)
    assert not owners.is_alive(here, os.getpid(), "?", beat=0, now=owners.LEASE + 1)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not owners.is_alive(here, gone.pid, "?", beat=0, now=1)


def test_reading_while_another_process_writes(tmp_path: Path) -> None:
    path, log = tmp_path / "s.sqlite", tmp_path / "asked"
    filled(path, 500, answered=2).close()
    process = collector(path, log, 500, 4, 0.0005)
    seen = []
    with AnswerStore(path, write=False) as store:
        while process.poll() is None:
            table, info = store.table(), store.info()
            assert table.num_rows <= info.states["answered"]
            assert info.usd == round(info.states["answered"] * 0.001, 12)
            seen.append(table.num_rows)
            store.export(tmp_path / "now.jsonl")
            rows = [json.loads(line) for line in (tmp_path / "now.jsonl").read_text().splitlines()]
            assert table.num_rows <= len(rows)
    ended([process])
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
