"""Time a store of a million paid calls, against a JSON lines file that is rewritten per answer.

    python benchmarks/store_scale.py [--calls 1000000] [--models 10] [--folder DIR]

The baseline keeps all rows in memory and writes the whole file after every answer, as scripts
that collect answers do: its time per answer grows with the rows, and its total with their square.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from routebench.files import store_files
from routebench.records import Reply
from routebench.store.store import AnswerStore, Call, StoredQuestion

ONE_BY_ONE = 20_000  # calls that are claimed and settled with a commit each
BATCH = 10_000
ANSWER = "The answer is number {}, as far as it is known, and nothing else was ever found of it."

RESUME = """
import sys, time
from pathlib import Path
from routebench.store.store import AnswerStore
start = time.perf_counter()
with AnswerStore(Path(sys.argv[1])) as store:
    found, counts, spent = store.recover(), store.counts(), store.spent()
    block = store.claim(64)
    print(time.perf_counter() - start, found, counts["answered"], len(block))
"""


def make_questions(n: int) -> list[StoredQuestion]:
    texts = [f"In which year did the {i}th of the listed expeditions set out, and who led it?"
             for i in range(n)]  # fmt: skip
    return [
        StoredQuestion(f"q-{i:06}", text, text, f"{1500 + i % 500}", topic="History")
        for i, text in enumerate(texts)
    ]


def make_calls(questions: Sequence[StoredQuestion], models: int) -> Iterator[Call]:
    parameters = '{"max_output_tokens":1024,"temperature":0}'
    for question in questions:
        for model in range(models):
            yield Call.of("gemini", f"model-{model:02}", parameters, question.prompt)


def settle(store: AnswerStore, calls: Sequence[Call]) -> None:
    for call in calls:
        reply = Reply(ANSWER.format(call.key), 30, 25, version="model-2026-05-01")
        store.settle(call.key, reply, cost=3.1e-5, price_id="google-2026-05-01", latency=0.7)


def one_by_one(store: AnswerStore, n: int) -> float:
    """Calls per second that are claimed 64 at a time and settled with a commit each."""
    start, left = time.perf_counter(), n
    while left and (block := store.claim(min(64, left))):
        settle(store, block)
        left -= len(block)
    return n / (time.perf_counter() - start)


def fill(path: Path, calls: int, models: int) -> None:
    questions = make_questions(calls // models)
    start = time.perf_counter()
    for _ in make_calls(questions, models):
        pass
    keys = time.perf_counter() - start
    with AnswerStore(path) as store:
        start = time.perf_counter()
        store.add("simpleqa", questions, make_calls(questions, models))
        took = time.perf_counter() - start
        print(f"add, keys included           {took:8.1f} s   {calls / took:10,.0f} calls/s"
              f"   (keys alone {keys:.1f} s)")  # fmt: skip
        few = min(ONE_BY_ONE, calls // 4)
        rate = one_by_one(store, few)
        print(f"claim + settle, one by one   {few / rate:8.1f} s   {rate:10,.0f} calls/s   (first)")
        start, done = time.perf_counter(), 0
        while done < calls - 2 * few - 2000:
            with store.transaction():
                block = store.claim(min(BATCH, calls - 2 * few - 2000 - done))
                settle(store, block)
            done += len(block)
        took = time.perf_counter() - start
        print(f"claim + settle, in batches   {took:8.1f} s   {done / took:10,.0f} calls/s")
        rate = one_by_one(store, few)
        print(f"claim + settle, one by one   {few / rate:8.1f} s   {rate:10,.0f} calls/s   (last)")
        store.claim(64)
        store._database.execute("UPDATE owners SET born = '0'")  # as if it had been killed
        store._owner.id = None
    size = sum(file.stat().st_size for file in store_files(path) if file.exists())
    print(f"file                         {size / 1e6:8.0f} MB  {size / calls:10,.0f} bytes/call")


def resume(path: Path, calls: int, models: int) -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", RESUME, path], capture_output=True, text=True, check=True
        )
        seconds, found, answered, block = done.stdout.split()
        print(
            f"resume: open, recover, counts, first claim {float(seconds):.4f} s"
            f"   ({found} found in flight, {int(answered):,} answered, {block} claimed)"
        )
    questions = make_questions(calls // models)
    with AnswerStore(path) as store:
        start = time.perf_counter()
        added = store.add("simpleqa", questions, make_calls(questions, models))
        took = time.perf_counter() - start
        print(f"resume: name all calls again {took:8.1f} s   ({added.known:,} known)")
        start = time.perf_counter()
        block_of = store.claim(64)
        print(
            f"resume: first claim of those {time.perf_counter() - start:8.4f} s   {len(block_of)}"
        )
        start = time.perf_counter()
        store.info()
        print(f"info                         {time.perf_counter() - start:8.4f} s")


def read(path: Path, folder: Path) -> None:
    with AnswerStore(path, write=False) as store:
        for suffix in ("parquet", "csv"):
            start = time.perf_counter()
            rows = store.export(folder / f"t.{suffix}")
            took = time.perf_counter() - start
            size = (folder / f"t.{suffix}").stat().st_size
            print(f"export to {suffix:<18} {took:8.1f} s   {rows / took:10,.0f} rows/s"
                  f"   {size / 1e6:,.0f} MB")  # fmt: skip
        start = time.perf_counter()
        problems = store.check()
        print(f"integrity check              {time.perf_counter() - start:8.1f} s   {problems}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory up to here       {peak:8.0f} MB")


def rewritten(folder: Path, rows: int, answers: int) -> float:
    """Seconds per answer to rewrite a JSON lines file of so many rows, once per answer."""
    path = folder / "baseline.jsonl"
    kept = [
        {
            "query_id": f"q-{i:06}", "model": f"model-{i % 10:02}",
            "query": f"In which year did the {i}th of the listed expeditions set out?",
            "response": ANSWER.format(i), "input_tokens": 30, "output_tokens": 25,
            "cost": 3.1e-5, "latency": 0.7, "price": "google-2026-05-01",
        }
        for i in range(rows)
    ]  # fmt: skip
    start = time.perf_counter()
    for _ in range(answers):
        with path.open("w", encoding="utf-8") as file:
            for row in kept:
                file.write(json.dumps(row) + "\n")
    return (time.perf_counter() - start) / answers


def baseline(folder: Path, path: Path, calls: int) -> None:
    print("JSON lines, the whole file rewritten per answer")
    per_row = 0.0
    for rows, answers in ((1_000, 50), (10_000, 10), (100_000, 3), (calls, 1)):
        seconds = rewritten(folder, rows, answers)
        per_row = seconds / rows
        print(f"  one answer at {rows:>9,} rows  {seconds:10.4f} s   (measured)")
    with AnswerStore(path) as store:
        rate = one_by_one(store, 1_000)
    print(f"  one answer in the store       {1 / rate:10.6f} s   {per_row * calls * rate:,.0f}"
          f" times less than at {calls:,} rows")  # fmt: skip
    # Answer i rewrites i rows: per_row · n²/2 in all.
    total = per_row * calls**2 / 2
    print(f"  all {calls:,} answers        {total / 86400:10.1f} days, extrapolated from the last"
          f" line (n²/2 rows); in the store {calls / rate / 60:.1f} min")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        path = folder / "store.sqlite"
        print(f"{options.calls:,} calls, {options.models} models")
        fill(path, options.calls, options.models)
        resume(path, options.calls, options.models)
        read(path, folder)
        baseline(folder, path, options.calls)


if __name__ == "__main__":
    main()
