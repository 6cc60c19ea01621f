"""Language-model routers under vLLM against the same checkpoints under transformers.

    VLLM_PYTHON=ENVIRONMENT/bin/python tox -e vllm
    ENVIRONMENT/bin/python benchmarks/vllm_routing.py [--queries 500] [--no-run]

The environment has this project with its extra `causal-lm`, and vLLM; without a GPU one whose vLLM
runs on CPU. Routers learn from queries in which one word tells which of three models is right;
the models' names contain each other. Then both engines route the same queries, one after the other
in one process on one thread; and once more in a real run, in jobs that are shut in.

Bounds: at temperature 0 the same decision on at least 99% of the queries, no answer that fails to
parse, and more than one model decided for, else agreeing would mean nothing. Speeds are of all
queries in one batch, and of one at a time, after loading.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table as Grid

from routebench.hookspecs import Context
from routebench.records import Ints, Outcomes, Pool, Queries, Table
from routebench_routers.causal_lm import CausalLM
from routebench_routers.policy.router import PolicyRouter

MODELS = ("gpt-4", "gpt-4o", "gpt-4o-mini")
TELLING = ("poem", "integral", "python")
WORDS = (
    "river", "stone", "window", "paper", "garden", "music", "engine", "letter", "silver", "market",
    "doctor", "summer",
)  # fmt: skip
TRAIN, VALIDATION, SINGLES, EXPLAINED, AGREED = 600, 150, 50, 100, 0.99
ENGINES = ("transformers", "vllm")
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "causal-lm, score": (CausalLM, {}),
    "causal-lm, names": (CausalLM, {"decode": "generate", "num_epochs": 10}),
    "policy": (PolicyRouter, {"medium": "gpt-4o-mini", "large": "gpt-4o"}),
}


def planted(n: int, rng: np.random.Generator) -> tuple[Table, Ints]:
    """Queries whose telling word says which model is right, and that model."""
    right = rng.integers(len(MODELS), size=n)
    texts = [
        " ".join([*before, TELLING[one], *rng.choice(WORDS, rng.integers(2, 7))])
        for one in right
        for before in [rng.choice(WORDS, rng.integers(3, 9))]
    ]
    score = (np.arange(len(MODELS)) == right[:, None]).astype(np.float64)
    outcomes = Outcomes(score, np.zeros(score.shape, np.int8), cost=np.full(score.shape, 1e-3))
    return Table(Queries(np.array(texts, dtype=object)), outcomes, Pool(MODELS)), right


def trained(cls: Any, options: dict[str, Any], folder: Path, tables: tuple[Table, Table]) -> Path:
    """A router's checkpoint."""
    for name in ("work", "kept", "checkpoint"):
        (folder / name).mkdir(parents=True)
    router = cls(cls.Options(**options))
    router.fit(*tables, Context(0, None, folder / "work", kept=folder / "kept"))  # type: ignore[arg-type]
    router.save(folder / "checkpoint")
    return folder / "checkpoint"


def asked(cls: Any, options: dict[str, Any], checkpoint: Path, queries: Queries) -> dict[str, Any]:
    """Return an engine's decisions, what they took, and what it says of itself."""
    start = time.perf_counter()
    router = cls(cls.Options(**options))
    router.load(checkpoint)
    router.route(queries.take(np.arange(8)))
    loaded = time.perf_counter()
    decisions = router.route(queries)
    together = time.perf_counter()
    alone = [router.route(queries.take(np.array([row]))).choice[0] for row in range(SINGLES)]
    end = time.perf_counter()
    texts = [str(text) for text in queries.text]
    found: dict[str, Any] = {
        "load": loaded - start,
        "batch": len(queries) / (together - loaded),
        "alone": SINGLES / (end - together),
        "choice": decisions.choice,
        "steady": float((np.array(alone) == decisions.choice[:SINGLES]).mean()),
        "failures": router.facts().get("parse_failures", 0.0),
        "texts": [],
    }
    if options.get("decode") != "generate":
        found["share"] = np.exp(router._model.log_probs(texts)[0])
    if cls is PolicyRouter:
        found["texts"] = router.explain(texts[:EXPLAINED], list(decisions.policy[:EXPLAINED]))
    return found


def compared(name: str, folder: Path, tables: tuple[Table, Table], test: Table, right: Ints) -> Any:
    """One router under both engines: a line of the table, and whether it is within bounds."""
    cls, options = CASES[name]
    checkpoint = trained(cls, options, folder / name, tables)
    old, new = (asked(cls, options | {"engine": e}, checkpoint, test.queries) for e in ENGINES)
    agree = float((old["choice"] == new["choice"]).mean())
    apart = np.abs(old["share"] - new["share"]).max() if "share" in old else np.nan
    same = [a == b for a, b in zip(old["texts"], new["texts"], strict=True)]
    line = [
        name,
        "–" if cls is PolicyRouter else f"{(new['choice'] == right).mean():.1%}",
        f"{agree:.1%}",
        "–" if np.isnan(apart) else f"{apart:.1e}",
        f"{new['failures']:.1%}",
        f"{new['steady']:.0%}",
        f"{np.mean(same):.0%}" if same else "–",
        *(f"{old[key]:,.0f} / {new[key]:,.0f}" for key in ("batch", "alone", "load")),
    ]
    varied = len(set(old["choice"])) > 1
    return line, agree >= AGREED and not new["failures"] and varied


def in_a_run(folder: Path, tables: tuple[Table, Table, Table]) -> tuple[float, str]:
    """The share of test queries that both engines decide alike in jobs that are shut in."""
    place = folder / "outcomes.csv"
    with place.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["query_id", "query", "model", "score", "cost_usd", "split"])
        for part, table in zip(("train", "validation", "test"), tables, strict=True):
            for row, text in enumerate(table.queries.text):
                for column, model in enumerate(MODELS):
                    score = table.outcomes.score[row, column]
                    writer.writerow([f"{part}-{row}", text, model, score, 1e-3, part])
    labels = [f"causal-lm@{engine}" for engine in ENGINES]
    command = [sys.executable, "-m", "routebench", "run", "--suite", f"table:{place}"]
    command += ["--router", ",".join([*labels, "best-single"]), "--wide", "--quiet"]
    command += ["--set", "causal-lm@vllm.engine=vllm", "--out", str(folder / "run")]
    environment = {n: v for n, v in os.environ.items() if not n.startswith("VLLM_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    said = done.stdout + done.stderr
    if done.returncode:
        return 0.0, said
    rows = pq.read_table(folder / "run" / "decisions.parquet").to_pylist()
    chosen: dict[str, dict[str, str]] = {label: {} for label in labels}
    for row in rows:
        if row["router"] in chosen:
            chosen[row["router"]][row["query"]] = row["choice"]
    old, new = chosen.values()
    return float(np.mean([old[query] == new.get(query) for query in old])), said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--queries", type=int, default=500, help="how many are routed")
    parser.add_argument("--no-run", action="store_true", help="leave out the jobs that are shut in")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    train, validation = planted(TRAIN, rng)[0], planted(VALIDATION, rng)[0]
    test, right = planted(options.queries, rng)
    out = Console(width=160)
    grid = Grid(title=f"{options.queries} queries, transformers / vLLM")
    for head in (
        "router", "right", "same decision", "Δ probability", "parse failures", "alone = batch",
        "same reason", "queries/s", "one at a time, /s", "load, s",
    ):  # fmt: skip
        grid.add_column(head)
    well = True
    with tempfile.TemporaryDirectory() as name:
        for case in CASES:
            line, within = compared(case, Path(name), (train, validation), test, right)
            grid.add_row(*line)
            well &= within
        out.print(grid)
        if not options.no_run:
            agree, said = in_a_run(Path(name), (train, validation, test))
            out.print(said, markup=False, highlight=False)
            out.print(f"in a run, shut in: the same decision on {agree:.1%}")
            well &= agree >= AGREED
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
