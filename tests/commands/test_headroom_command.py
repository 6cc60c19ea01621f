"""`routebench headroom`: a pilot that is bought, and one that is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]
POOL = ("--models", "simulated:sim-flash,simulated:sim-pro", "--judge", "exact")


def test_a_pilot_is_bought_once_and_only_its_cells_count(main: Main, tmp_path: Path) -> None:
    store = tmp_path / "answers.sqlite"
    other = ("--models", "simulated:sim-mini,simulated:sim-pro", "--judge", "exact")
    collected = ("collect", "--suite", "simpleqa", "--store", store, "--limit", 90, "--quiet")
    assert main(*collected, *other)[0] == 0
    words: tuple[Any, ...] = ("headroom", "--suite", "simpleqa", *POOL, "--store", store)
    code, out, _ = main(*words, "--pilot", 40, "--budget", 2, "--json")
    made = json.loads(out)
    assert (made["models"], made["queries"]) == (["sim-flash", "sim-pro"], 40)
    assert made["usd_per_query"] > 0
    assert code == {"go": 0, "no-go": 1, "undecided": 4}[made["verdict"]]
    with AnswerStore(store, write=False) as opened:
        spent = opened.spent()
    out = main(*words, "--pilot", 40, "--quiet")[1]
    assert f"{made['verdict'].upper()}: {made['reason']}" in out
    with AnswerStore(store, write=False) as opened:
        assert opened.spent() == spent


def test_a_table_is_read_and_nothing_is_asked(main: Main, tmp_path: Path) -> None:
    rows = [
        {"query_id": str(i), "query": f"question number {i}", "model": model, "score": score}
        for i in range(400)
        for model, score in (("a", 1.0), ("b", float(i >= 30)))
    ]
    file = tmp_path / "outcomes.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    code, out, _ = main("headroom", "--suite", file)
    assert code == 1
    assert "headroom 0.0 [0.0, 0.9] pp" in out
    assert "NO-GO: even a third of the gap's high end is 0.3 pp" in out


def test_what_cannot_be_is_one_line(main: Main, tmp_path: Path) -> None:
    assert main("headroom", "--suite", "simpleqa", "--budget", 1)[::2] == (
        2,
        "error: --budget and --store are for answers that are bought\nhint: --models …\n",
    )
    one = main("headroom", "--suite", "simpleqa", "--models", "simulated:sim-pro")
    assert (one[0], one[2].splitlines()[0]) == (
        2, "error: --models simulated:sim-pro: one model leaves nothing to route",
    )  # fmt: skip
    words = ("--store", tmp_path / "a.sqlite", "--pilot", 10, "--quiet")
    few = main("headroom", "--suite", "simpleqa", *POOL, *words)
    assert few[0] == 2
    assert "10 of 10 queries have a graded answer of every model; at least 20" in few[2]
