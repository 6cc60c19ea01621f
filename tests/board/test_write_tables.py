"""A run's tables hold what the board's numbers are made of."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted
from threadpoolctl import threadpool_info

from routebench import config
from routebench.board import build, run_folder, write_run, write_tables
from routebench.data.long_table import from_long
from routebench.data.perturbations import KINDS
from routebench.data.splits import TEST, VALIDATION, make_split
from routebench.jobs import stages
from routebench.jobs.entrant import Entrant
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.plugin import discovery
from routebench.prices.apply import ModelPrice, PriceInfo, PriceList, price
from routebench.records import Usage
from routebench.schema import Fingerprints, Leaderboard

SEEDS, FOLDS, PERTURBED = 2, 3, 6

OTHERS = {"users.parquet", "steps.parquet", "texts.parquet", "online.parquet"}
"""Files of suites with users, and of routers that see answers."""


@dataclass
class Made:
    """A finished run, and its tables as they are read back."""

    setup: Setup
    prices: PriceInfo
    results: dict[Job, Result]
    entrants: list[Entrant]
    content: dict[str, bytes]
    board: Leaderboard

    def table(self, name: str) -> pa.Table:
        return pq.read_table(io.BytesIO(self.content[name]))


def outcomes() -> pa.Table:
    """Answers of four models, some never asked, one failed, with tokens and grades."""
    table = planted(240, seed=1)
    n = table.num_rows
    right = table["score"].to_pylist()
    grade = pa.array(["CORRECT" if score else "INCORRECT" for score in right])
    response = pa.array([None if i == 9 else f"answer {i}" for i in range(n)])
    score = pa.array([None if i == 9 else value for i, value in enumerate(right)])
    table = table.set_column(table.column_names.index("score"), "score", score)
    table = table.append_column(
        "grade", pa.array([None if i == 9 else g for i, g in enumerate(grade)])
    )
    table = table.append_column("response", response)
    table = table.append_column("user", pa.array([f"u{i // 4 % 3}" for i in range(n)]))
    table = table.append_column("output_tokens", pa.array(np.arange(n) % 50 + 10))
    return table.filter(pa.array([i not in (4, 5) for i in range(n)]))


@pytest.fixture(scope="module")
def made() -> Made:
    listed = PriceList(
        {m: ModelPrice(input_usd_per_mtok=1 + i, output_usd_per_mtok=2.5 * i) for i, m in
         enumerate("abcd")}, "prices",
    )  # fmt: skip
    recorded = from_long(outcomes(), name="table", source="recorded", place="t")
    data, prices = price(recorded, listed)
    setup = Setup(
        data, make_split(data, folds=FOLDS), "tfidf-svd", {"dimension": 16}, perturb=PERTURBED
    )
    infos = {name: discovery.find("router", name) for name in ("knn", "random")}
    entrants = [Entrant(name, info, {}, "f") for name, info in infos.items()]
    results = {
        job: stages.run_here(job, setup, lambda done, note="": None)
        for job in (
            Job(name, info, {"k": 5} if name == "knn" else {}, seed, fold, f"{name}{seed}{fold}")
            for name, info in infos.items()
            for seed in range(SEEDS)
            for fold in range(FOLDS)
        )
    }
    # The random router is billed for its own calls, and knows how sure it is.
    for job, result in results.items():
        if job.label == "random" and result.decisions is not None:
            n = len(result.decisions.choice)
            usage = Usage(np.full(n, 7.0), np.full(n, 1.0), np.full(n, 0.001))
            decisions = replace(result.decisions, usage=usage, confidence=np.full(n, 0.25))
            results[job] = replace(result, decisions=decisions)
    scored = build.score(setup, entrants, results, resamples=50)
    prints = Fingerprints(suite="", split="", outcomes="", judge="", pool="", prices=None)
    run = config.make({"suite": "table", "seeds": SEEDS})
    board = build.board(run, setup, prices, prints, entrants, results, scored)
    content = write_tables.tables(setup, prices, results)
    return Made(setup, prices, results, entrants, content, board)


def test_the_promised_files_and_columns(made: Made) -> None:
    assert set(made.content) == set(write_tables.NAMES) - OTHERS
    assert made.table("cells.parquet").column_names == [
        "query", "query_id", "text_sha256", "task", "model", "score", "state", "grade",
        "output_tokens", "cost_usd", "priced_input_tokens", "priced_output_tokens", "answer_sha256",
        "parts",
    ]  # fmt: skip
    assert made.table("decisions.parquet").column_names == [
        "router", "seed", "fold", "query", "user", "choice", "confidence", "policy",
        "router_input_tokens", "router_output_tokens", "router_cost_usd",
    ]  # fmt: skip
    assert made.table("scores.parquet").column_names == [
        "router", "seed", "fold", "part", "query", "model", "quality",
    ]  # fmt: skip


def test_cells(made: Made) -> None:
    data = made.setup.data
    found = made.table("cells.parquet").to_pylist()
    asked = data.outcomes.state != 4
    names = {0: "train", 1: "validation", 2: "test", -1: "removed"}
    assert len(found) == asked.sum()
    at = {(cell["query"], cell["model"]): cell for cell in found}
    assert len(at) == len(found)
    for row, model in zip(*np.nonzero(asked), strict=True):
        cell = at[data.keys[row], data.pool.models[model]]
        assert cell["query_id"] == data.ids[row]
        assert cell["parts"] == " ".join(names[code] for code in made.setup.split.codes[:, row])
        answer = data.answers[int(row) * 4 + int(model)].as_py()
        if answer is None:
            assert (cell["state"], cell["score"], cell["grade"]) == ("failed", None, None)
            assert cell["answer_sha256"] is None
            assert cell["cost_usd"] is None
        else:
            assert cell["state"] == "ok"
            assert cell["score"] == data.outcomes.score[row, model]
            assert cell["grade"] == ("CORRECT" if cell["score"] else "INCORRECT")
            assert cell["answer_sha256"] == hashlib.sha256(answer.encode()).hexdigest()[:16]
            assert cell["cost_usd"] == data.outcomes.cost[row, model]  # type: ignore[index]
            assert cell["priced_output_tokens"] == cell["output_tokens"]
            tokens = cell["priced_input_tokens"], cell["priced_output_tokens"]
            each = (1 + model, 2.5 * model)
            assert cell["cost_usd"] == (tokens[0] * each[0] + tokens[1] * each[1]) / 1e6
    assert "failed" in {cell["state"] for cell in found}


def decisions(made: Made, router: str) -> Iterator[dict[str, Any]]:
    return (row for row in made.table("decisions.parquet").to_pylist() if row["router"] == router)


@pytest.mark.parametrize("router", ["knn", "random"])
def test_the_boards_numbers_follow_from_the_tables(made: Made, router: str) -> None:
    """Accuracy, cost and usage, from the files alone: paired on the queries all rows can have."""
    cells = {(c["query"], c["model"]): c for c in made.table("cells.parquet").to_pylist()}
    (row,) = [row for row in made.board.rows if row.router == router]
    chosen = list(decisions(made, router))
    everyone = made.table("decisions.parquet").to_pylist()
    assert len(chosen) == SEEDS * len(made.setup.data)
    unusable = {
        d["query"] for d in everyone
        if cells.get((d["query"], d["choice"]), {"state": "absent"})["state"] != "ok"
    }  # fmt: skip
    assert made.board.diagnostics.left_out == len(unusable) > 0
    kept = [d for d in chosen if d["query"] not in unusable]
    got = [cells[d["query"], d["choice"]] for d in kept]
    own = np.mean([d["router_cost_usd"] or 0.0 for d in kept])
    cost = np.mean([cell["cost_usd"] for cell in got])
    accuracy = np.mean([cell["score"] for cell in got])
    assert row.metrics["accuracy"].value == pytest.approx(accuracy)
    assert row.metrics["cost_per_1k"].value == pytest.approx(1000 * cost)
    assert row.metrics["total_cost_per_1k"].value == pytest.approx(1000 * (cost + own))
    for model, share in row.usage.items():
        assert np.mean([d["choice"] == model for d in kept]) == pytest.approx(share)
    assert (own > 0) == (router == "random")


def test_decisions_in_detail(made: Made) -> None:
    data = made.setup.data
    users = dict(zip(data.keys, data.queries.user, strict=True))  # type: ignore[arg-type]
    for row in made.table("decisions.parquet").to_pylist():
        assert row["user"] == users[row["query"]]
        assert row["policy"] is None
        billed = row["router"] == "random"
        assert row["confidence"] == 0.25 if billed else 0 <= row["confidence"] <= 1
        assert row["router_input_tokens"] == (7.0 if billed else None)
    folds = {(row["query"], row["fold"]) for row in decisions(made, "knn")}
    assert len(folds) == len(data), "every query is tested in one fold"


def test_predicted_quality(made: Made) -> None:
    found = made.table("scores.parquet").to_pylist()
    assert {row["router"] for row in found} == {"knn"}
    # Every query is in one fold's test part, and in another's validation part.
    for part in ("validation", "test"):
        here = sum(row["part"] == part for row in found)
        assert here == SEEDS * sum(
            len(made.setup.rows(fold, VALIDATION if part == "validation" else TEST))
            for fold in range(FOLDS)
        ) * 4  # fmt: skip
    quality: dict[Any, dict[str, float]] = {}
    for row in (row for row in found if row["part"] == "test"):
        quality.setdefault((row["seed"], row["query"]), {})[row["model"]] = row["quality"]
    for row in decisions(made, "knn"):
        predicted = quality[row["seed"], row["query"]]
        assert predicted[row["choice"]] == max(predicted.values())


def test_perturbed_queries(made: Made) -> None:
    found = made.table("perturbed.parquet").to_pylist()
    assert len(found) == 2 * SEEDS * PERTURBED * len(KINDS)
    own = {
        (row["router"], row["seed"], row["query"]): row["choice"]
        for router in ("knn", "random")
        for row in decisions(made, router)
    }
    for row in made.board.rows:
        same = [
            own[form["router"], form["seed"], form["query"]] == form["choice"]
            for form in found
            if form["router"] == row.router
        ]
        assert row.metrics["stability"].value == pytest.approx(np.mean(same))


def test_prices(made: Made, tmp_path: Path) -> None:
    from routebench.prices.apply import load_prices

    (tmp_path / "prices.toml").write_bytes(made.content["prices.toml"])
    again = load_prices(tmp_path / "prices.toml")
    assert again.fingerprint == made.prices.fingerprint
    unpriced = write_tables.tables(made.setup, replace(made.prices, snapshot={}), made.results)
    assert "prices.toml" not in unpriced


def test_the_order_in_which_jobs_ended_changes_no_byte(made: Made) -> None:
    backwards = dict(reversed(made.results.items()))
    assert list(backwards) != list(made.results)
    assert write_tables.tables(made.setup, made.prices, backwards) == made.content
    again = {job: stages.run_here(job, made.setup, lambda d, n="": None) for job in made.results
             if job.label == "knn"}  # fmt: skip
    own = {job: result for job, result in made.results.items() if job.label == "knn"}
    assert write_tables.tables(made.setup, made.prices, again) == write_tables.tables(
        made.setup, made.prices, own
    )


def test_a_router_that_failed_once_is_left_out(made: Made) -> None:
    job = next(job for job in made.results if job.label == "knn")
    results = made.results | {job: Result("failed", "fit: ValueError")}
    content = write_tables.tables(made.setup, made.prices, results)
    table = pq.read_table(io.BytesIO(content["decisions.parquet"]))
    assert set(table["router"].to_pylist()) == {"random"}
    assert "scores.parquet" not in content
    nothing = write_tables.tables(made.setup, made.prices, {})
    assert set(nothing) == {"cells.parquet", "prices.toml"}


def test_the_folder_holds_what_the_board_says(made: Made, tmp_path: Path) -> None:
    run = config.make({"suite": "table", "seeds": SEEDS, "out": str(tmp_path)})
    (tmp_path / "scores.parquet").write_bytes(b"of an earlier run")

    def written(results: dict[Job, Result]) -> Leaderboard:
        return write_run.write(
            tmp_path, run, made.setup, made.prices, made.board, results, started=0.0
        )

    board = written(made.results)
    assert set(board.files) == set(write_tables.NAMES) - OTHERS
    for name, digest in board.files.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    digest = hashlib.sha256((tmp_path / "run.toml").read_bytes()).hexdigest()
    assert board.environment["run_toml"] == digest
    kernels = {one["architecture"] for one in threadpool_info() if one.get("architecture")}
    named = " ".join(board.environment["blas"])
    assert kernels
    assert all(kernel in named for kernel in kernels)
    assert run_folder.read(tmp_path) == board
    assert run_folder.read(tmp_path / "leaderboard.json") == board
    random_only = {job: r for job, r in made.results.items() if job.label == "random"}
    assert "scores.parquet" not in written(random_only).files
    assert not (tmp_path / "scores.parquet").exists(), "a file of an earlier run is stale"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells.parquet", "decisions.parquet", "leaderboard.json", "perturbed.parquet",
        "prices.toml", "run.toml",
    ]  # fmt: skip
