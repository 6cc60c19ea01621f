"""`routebench ope --run`: a trained router decides on the log's texts, as `route` would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import planted
from logged_worlds import events
from runs import SMALL, finish, price_list, put

from routebench.board.trained import open_router
from routebench.traffic.event_log import read_log
from routebench.traffic.target import of_router, parse_names

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("traffic")
    table = planted(240)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    return finish(
        home / "run", suite=put(home, table), prices=price_list(home), router=("knn",),
        perturb=0, set=SMALL,
    )  # fmt: skip


@pytest.fixture
def log(run: Path, tmp_path: Path) -> Path:
    rows = pq.read_table(run.parent / "outcomes.parquet").to_pylist()
    texts = sorted({row["query"] for row in rows})
    models = sorted({row["model"] for row in rows})
    records: list[dict[str, Any]] = [
        {
            "event": str(i), "time": 1_772_000_000 + i, "query": texts[i % len(texts)],
            "chosen": f"vendor/{models[i % len(models)]}", "reward": float(i % 2),
            "candidates": [f"vendor/{model}" for model in models],
            "probabilities": [1 / len(models)] * len(models), "propensity": 1 / len(models),
        }
        for i in range(len(models) * 400)
    ]  # fmt: skip
    return events(tmp_path, records)


def test_it_decides_as_the_router_does(main: Main, run: Path, log: Path) -> None:
    opened = open_router(run, "knn")
    names = {model: f"vendor/{model}" for model in opened.models}
    read, policy = of_router(read_log(log), log, opened, names)
    texts = pq.read_table(log)["query"].to_pylist()
    wanted = [names[opened.models[choice]] for choice in opened.route(texts).choice]
    assert [read.models[choice] for choice in policy.choice] == wanted
    assert policy.unknown == 0
    rename = [word for a, b in names.items() for word in ("--rename", f"{a}={b}")]
    words = ("--run", run, "--router", "knn", "--point", "most-accurate", *rename, "--json")
    code, out, err = main("ope", log, *words)
    assert err == ""
    made = json.loads(out)
    assert code == {"pass": 0, "regression": 1, "inconclusive": 4}[made["verdict"]]
    assert (made["tier"], made["policy"]) == ("T1", "knn at most-accurate")


def test_names_that_do_not_meet(main: Main, run: Path, log: Path) -> None:
    code, _, err = main("ope", log, "--run", run, "--router", "knn")
    assert code == 2
    assert "none is in the log" in err
    assert "--rename" in err
    assert parse_names(["a=b/c"]) == {"a": "b/c"}


def test_a_log_without_texts(main: Main, run: Path, tmp_path: Path) -> None:
    model = open_router(run, "knn").models[0]
    file = events(tmp_path, [{"event": "1", "chosen": model}])
    code, _, err = main("ope", file, "--run", run, "--router", "knn")
    assert code == 2
    assert "no event has a text, which a router needs" in err
