"""Train routers, route the test queries with their checkpoints, compare, and time.

python benchmarks/route_speed.py mf knn policy --queries 1000 -- --suite simpleqa
python benchmarks/route_speed.py personalized --out DIR -- --suite personaroute

What follows `--` are options of `routebench train`. Each router is trained by that command, and its
checkpoint routes test queries with `routebench route --input`, in a process of its own; decisions
other than those in the run's tables are counted, and more than none is exit code 1. Then it is
loaded here and timed: query by query, and in batches of 1,024. A router that sees answers gets
recorded ones, at once.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from routebench import config
from routebench.board.run_folder import RUN_FILE
from routebench.board.trained import TrainedRouter, open_router
from routebench.judge.finals import read_finals
from routebench.loading import load_data
from routebench.records import SuiteData
from routebench.steps.recorded import recorded_answers
from routebench.steps.replay import RecordedAnswers

BATCH, SINGLES = 1024, 300


def command(*words: Any) -> None:
    subprocess.run([sys.executable, "-m", "routebench", *map(str, words)], check=True)


def load(run: Path) -> SuiteData:
    """Return the suite of a run, with the final answers that it read."""
    options = config.make(config.read(run / RUN_FILE))
    return suite(options.model_dump_json(exclude={"router", "out"}))


@functools.lru_cache(1)
def suite(stated: str) -> SuiteData:
    """Return the suite of run options, in JSON: routers that are compared share it."""
    options = config.RunConfig.model_validate_json(stated)
    data = load_data(options)
    named = options.set.get(data.answers_as or "", {})
    return read_finals(data, named, named=False) if data.answers is not None else data


def asked(run: Path, data: SuiteData, n: int) -> list[dict[str, Any]]:
    """Return test queries as lines for `--input`, with the decision of the run on each."""
    decided = pq.read_table(run / "decisions.parquet").to_pylist()
    at = {key: row for row, key in enumerate(data.keys)}
    rng = np.random.default_rng(0)
    made = []
    for place in sorted(rng.permutation(len(decided))[:n]):
        one = decided[place]
        row = at[one["query"]]
        made.append({"row": row, "query": data.queries.text[row], "choice": one["choice"]})
        if data.queries.task is not None and "task" in data.visible:
            made[-1]["task"] = data.queries.task[row]
        if one["user"] is not None:
            made[-1]["user"] = one["user"]
    return made


def differing(checkpoint: Path, run: Path, lines: list[dict[str, Any]], data: SuiteData) -> int:
    """Count the queries on which the checkpoint decides otherwise than the run did."""
    place, out = checkpoint.with_suffix(".queries.jsonl"), checkpoint.with_suffix(".jsonl")
    place.write_text("".join(json.dumps(line) + "\n" for line in lines))
    trained = open_router(checkpoint)
    if trained.steps:
        made = [trained.models[choice] for choice in step(trained, data, lines).tolist()]
    else:
        command("route", checkpoint, "--input", place, "--output", out, "--point", "most-accurate")
        made = [json.loads(line)["decision"]["model"] for line in out.read_text().splitlines()]
    return sum(one != line["choice"] for one, line in zip(made, lines, strict=True))


def queries(trained: TrainedRouter, lines: list[dict[str, Any]]) -> Any:
    columns = ([line.get(name) for line in lines] for name in ("query", "user", "task"))
    text, user, task = columns
    return trained.queries(text, user, None, task)


def step(trained: TrainedRouter, data: SuiteData, lines: list[dict[str, Any]]) -> Any:
    rows = np.array([line["row"] for line in lines])
    source = RecordedAnswers(recorded_answers(data, rows), trained.models)
    return trained.step_queries(queries(trained, lines), source).answer


def timed(trained: TrainedRouter, data: SuiteData, lines: list[dict[str, Any]]) -> str:
    """Return latencies at batch 1, and queries per second in batches."""

    def decide(some: list[dict[str, Any]]) -> float:
        start = time.perf_counter()
        if trained.steps:
            step(trained, data, some)
        else:
            trained.route_queries(queries(trained, some))
        return time.perf_counter() - start

    decide(lines[:1])
    single = 1000 * np.array([decide([line]) for line in lines[:SINGLES]])
    seconds = sum(decide(lines[s : s + BATCH]) for s in range(0, len(lines), BATCH))
    p50, p95 = np.quantile(single, [0.5, 0.95])
    return f"{p50:9.2f} {p95:9.2f} {len(lines) / seconds:12,.0f}"


def main() -> int:
    own, rest = sys.argv[1:], []
    if "--" in own:
        own, rest = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("routers", nargs="+")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="folder that keeps runs and checkpoints")
    given = parser.parse_args(own)
    out = given.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    print(
        f"{'router':<22} {'queries':>8} {'differ':>7} {'p50 ms':>9} {'p95 ms':>9} {'queries/s':>12}"
    )
    lost = 0
    for router in given.routers:
        run, checkpoint = out / f"{router}-run", out / router
        if not checkpoint.exists():
            command(
                "train", *rest, "--router", router, "--run", run, "--out", checkpoint, "--quiet"
            )
        data = load(run)
        lines = asked(run, data, given.queries)
        count = differing(checkpoint, run, lines, data)
        lost += count
        speed = timed(open_router(checkpoint, point="most-accurate"), data, lines)
        print(f"{router:<22} {len(lines):>8,} {count:>7} {speed}", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
