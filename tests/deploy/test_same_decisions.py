"""Train, then route in another process: the decisions of the run, router by router."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HARDLY_TRAINED, planted
from runs import price_list, put

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "route_speed.py"
CHEAP = ("knn", "mf", "hybrid-deterministic", "hybrid-probabilistic", "hybrid-transformed")


def compare(folder: Path, routers: tuple[str, ...], queries: int, *options: object) -> None:
    """Have the benchmark train and route; it counts the decisions that differ."""
    words = [*routers, "--queries", queries, "--out", folder, "--", *options]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = {line[0]: line[1:3] for line in lines if line and line[0] in routers and len(line) == 6}
    assert rows == {name: [f"{queries:,}", "0"] for name in routers}


@pytest.mark.slow
def test_cheap_routers_and_one_that_sees_answers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    compare(tmp_path, (*CHEAP, "agreement"), 1000, "--suite", "simpleqa")


@pytest.mark.slow
def test_users(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric")
    quick = ("--set", "personalized.train_epoch=2")
    compare(tmp_path, ("personalized",), 1000, "--suite", "personaroute", *quick)


@pytest.mark.slow
@pytest.mark.parametrize("router", ["causal-lm", "policy"])
def test_language_models(tmp_path: Path, router: str) -> None:
    pytest.importorskip("trl")
    table = planted(160)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    suite = put(tmp_path, table)
    own = [
        word
        for flag, option in zip(HARDLY_TRAINED[::2], HARDLY_TRAINED[1::2], strict=True)
        if option.startswith(router)
        for word in (flag, option)
    ]
    priced = ("--prices", price_list(tmp_path))
    compare(tmp_path / "out", (router,), 25, "--suite", suite, *priced, *own)
