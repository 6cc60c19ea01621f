"""Cross-fitted routers: who learns from which queries, and what the run says of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import runs
from conftest import noise, planted, read_board, rows
from rich.console import Console as RichConsole
from runs import SMALL, finish, price_list, put

from routebench import config
from routebench.board import run_folder
from routebench.board.read_run import read_run
from routebench.board.trained import TrainedRouter
from routebench.data.splits import TEST, TRAIN, VALIDATION, Split, inner_parts, make_split
from routebench.errors import OptionError
from routebench.isolation.messages import FitRequest, Report, Request, RouteRequest
from routebench.isolation.subprocesses import Workers
from routebench.jobs import arrow_io, cross_fit
from routebench.jobs.setup import Job, Setup
from routebench.plugin import discovery
from routebench.records import SuiteData
from routebench.report import summary
from routebench.report.terminal import leaderboard
from routebench.verify import recompute

K = 3
ROUTERS = ("knn", "prompt-length", "best-single")


def load(table: pa.Table, folder: Path) -> SuiteData:
    from routebench_suites.table import TableSuite

    path = Path(put(folder, table).removeprefix("table:"))
    return TableSuite(TableSuite.Options(data=path)).load()


def job(name: str = "knn", inner_folds: int = K, fold: int = 0) -> Job:
    plugin = discovery.find("router", name)
    return Job(name, plugin, {}, 0, fold, "", inner_folds=inner_folds)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    data = load(planted(300), tmp_path)
    split = make_split(data, folds=3)
    return Setup(data, split, "tfidf-svd", {}, inner=inner_parts(data, split, K, 0))


@pytest.mark.parametrize("fold", range(3))
def test_each_query_is_decided_once_by_a_fit_that_never_saw_it(setup: Setup, fold: int) -> None:
    one, texts = job(fold=fold), setup.data.queries.text
    decided = [cross_fit.decided_rows(setup, one, part) for part in range(K)]
    known = setup.deciding_rows(fold, K)
    assert np.array_equal(np.sort(np.concatenate(decided)), known)
    codes = setup.split.codes[fold]
    assert set(codes[known]) == {TRAIN, VALIDATION}
    for part, own in enumerate(decided):
        tables = cross_fit.inner_tables(setup, one, part)
        assert tables.both is not None
        learned, held_out = (set(table.queries.text) for table in (tables.train, tables.validation))
        assert not learned & held_out
        assert learned | held_out == set(tables.texts) == set(texts[known]) - set(texts[own])
        batch = cross_fit.inner_batch(setup, one, part)
        assert sorted(batch.queries.text) == sorted(texts[own])


def test_the_deployed_router_learns_from_all_and_is_asked_about_the_test_alone(
    setup: Setup,
) -> None:
    tables, texts = cross_fit.refitted_tables(setup, 1), setup.data.queries.text
    assert tables.both is not None
    known = np.isin(setup.split.codes[1], (TRAIN, VALIDATION))
    assert list(tables.both.queries.text) == list(texts[known])
    assert len(tables.train) + len(tables.validation) == len(tables.both)
    asked = setup.query_batch(job(fold=1)).queries.text
    assert sorted(asked) == sorted(texts[setup.split.codes[1] == TEST])


def test_decisions_come_back_in_the_order_of_the_suite(setup: Setup) -> None:
    from routebench.records import Decisions

    one = job()
    made = []
    for part in range(K):
        own = cross_fit.decided_rows(setup, one, part)
        quality = np.repeat(own[:, None].astype(float), 4, axis=1)
        quality[:, 3] = np.nan if part == 2 else quality[:, 3]  # not considered by this one
        made.append(Decisions(own % 3, quality=quality))
    joined = cross_fit.joined(setup, one, made)
    known = setup.deciding_rows(0, K)
    assert joined.quality is not None
    assert np.array_equal(joined.quality[:, 0], known)
    assert np.array_equal(joined.choice, known % 3)
    left_out = np.isin(known, cross_fit.decided_rows(setup, one, 2))
    assert np.array_equal(np.isnan(joined.quality[:, 3]), left_out)


def test_copies_are_in_one_inner_fold(tmp_path: Path) -> None:
    once = planted(240)
    texts = np.array(once["query"].to_pylist(), dtype=object)
    queries = np.array(once["query_id"].to_pylist(), dtype=object)
    # Every third query is asked once more, a letter of its long text changed.
    more = {}
    for name in sorted(set(queries))[::3]:
        at = np.flatnonzero(queries == name)
        long = f"{texts[at[0]]} {'and so on ' * 40}"
        texts[at] = long
        more[name] = long + "!"
    whole = once.set_column(1, "query", pa.array(texts)).to_pylist()
    copies = [
        row | {"query_id": f"{row['query_id']}-again", "query": more[row["query_id"]]}
        for row in whole
        if row["query_id"] in more
    ]
    data = load(pa.Table.from_pylist([*whole, *copies]), tmp_path)
    split = make_split(data)
    part = dict(zip(data.queries.text, inner_parts(data, split, 5, 0), strict=True))
    pairs = [(part[text.removesuffix("!")], part[text]) for text in more.values()]
    assert len(pairs) == 80
    assert all(one == other for one, other in pairs)
    assert len(set(part.values())) == 5
    counts = np.bincount(list(part.values()))
    assert counts.min() > len(part) / 5 / 2, counts


def test_inner_folds_depend_on_the_texts_alone(tmp_path: Path) -> None:
    few, many = (load(noise(n, seed=3), tmp_path / str(n)) for n in (100, 160))
    parts = [
        dict(zip(d.queries.text, inner_parts(d, make_split(d), 3, 7), strict=True))
        for d in (few, many)
    ]
    common = set(parts[0]) & set(parts[1])
    assert len(common) > 20
    assert all(parts[0][text] == parts[1][text] for text in common)


def test_too_few_queries_are_refused(tmp_path: Path) -> None:
    data = load(noise(12), tmp_path)
    split = make_split(data)
    with pytest.raises(OptionError, match="--inner-folds 20: too few queries, fold 0"):
        inner_parts(data, split, 20, 0)


def test_a_split_that_was_read_has_no_inner_folds(setup: Setup) -> None:
    made = setup.split
    read = Split(made.codes, 0, 0, made.fingerprint, made.kind)
    with pytest.raises(AssertionError, match="knows its duplicates"):
        inner_parts(setup.data, read, K, 0)


def table() -> pa.Table:
    made = planted(500, hit=0.9, miss=0.3)
    made = made.append_column("input_tokens", [[10] * made.num_rows])
    return made.append_column("output_tokens", [[100] * made.num_rows])


def spied(patch: pytest.MonkeyPatch) -> list[tuple[Request, dict[str, Any]]]:
    """Note the requests of a run with what lies in their folders; jobs run in this process."""
    noted: list[tuple[Request, dict[str, Any]]] = []
    here = runs._here

    def run(workers: Workers, request: Request, folder: Path, *words: Any, **named: Any) -> Report:
        if isinstance(request, FitRequest | RouteRequest):
            texts = {
                path.stem: list(
                    arrow_io.read_queries(path).text
                    if path.stem == "queries"
                    else arrow_io.read_table(path).queries.text
                )
                for path in folder.glob("*.arrow")
                if path.stem != "cross-fitted"
            }
            texts["cross-fitted"] = (folder / "cross-fitted.arrow").exists()
            texts["kept"] = words[0].kept
            noted.append((request, texts))
        return here(workers, request, folder, *words, **named)

    patch.setattr(runs, "_here", run)
    return noted


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the same run with inner folds and without, and the requests of the former."""
    home = tmp_path_factory.mktemp("inner")
    common: dict[str, Any] = {
        "suite": put(home, table()), "prices": price_list(home), "router": ROUTERS, "folds": 3,
        "perturb": 4, "set": SMALL,
    }  # fmt: skip
    plain = finish(home / "plain", **common)
    with pytest.MonkeyPatch.context() as patch:
        noted = spied(patch)
        inner = finish(home / "inner", inner_folds=K, **common)
    return {"plain": plain, "inner": inner, "requests": noted, "common": common}


def labelled(both: dict[str, Any], label: str, kind: type) -> Iterable[tuple[Any, dict[str, Any]]]:
    return [(r, t) for r, t in both["requests"] if isinstance(r, kind) and r.label == label]


def test_what_the_processes_of_a_run_are_given(both: dict[str, Any]) -> None:
    fits, routes = labelled(both, "knn", FitRequest), labelled(both, "knn", RouteRequest)
    fits, routes = list(fits), [one for one in routes if not one[0].singly]
    assert len(fits) == len(routes) == 3 * (K + 1)
    for number, ((fit, given), (_, asked)) in enumerate(zip(fits, routes, strict=True)):
        learned = {*given["train"], *given["validation"], *given["both"]}
        assert not learned & set(asked["queries"]), "an outcome of what it decides on"
        deployed = number % (K + 1) == K
        assert given["cross-fitted"] == deployed
        # Inner fits leave nothing for one another, nor for themselves after a restart.
        assert (fit.kept is not None, given["kept"] is not None) == (deployed, deployed)
        assert fit.refit
    for fit, given in labelled(both, "best-single", FitRequest):
        assert not fit.refit
        assert "both" not in given


def test_the_board_says_what_each_learned_from(both: dict[str, Any]) -> None:
    board = read_board(both["inner"])
    sizes, found = board["suite"]["queries"], rows(board)
    known = found["knn"]["learning"]["queries"]
    assert known == pytest.approx(sizes["train"] + sizes["validation"], abs=1)
    for name in ("knn", "prompt-length"):
        assert found[name]["learning"] == {"inner_folds": K, "queries": known, "chosen_on": known}
    assert found["best-single"]["learning"] == {
        "inner_folds": 0, "queries": sizes["train"], "chosen_on": sizes["validation"],
    }  # fmt: skip
    assert "inner_seconds" in board["timing"]["routers"]["knn"]
    assert all("learning" not in row for row in read_board(both["plain"])["rows"])


def test_the_page_and_the_terminal_say_it_in_a_line(both: dict[str, Any]) -> None:
    board = run_folder.read(both["inner"])
    sizes = board.suite.queries
    total = next(row.learning.queries for row in board.rows if row.router == "knn" and row.learning)
    told = [text for text in summary.notices(board) if "learned from" in text]
    (line,) = told  # best-single is a reference
    names, _, rest = line.partition(": ")
    assert sorted(names.split(", ")) == ["knn", "prompt-length"]
    assert rest == (
        f"learned from {total} queries (train + validation); points chosen on the decisions of 3"
        " inner fits on these"
    )
    assert sizes["train"] + sizes["validation"] == pytest.approx(total, abs=1)
    out = io.StringIO()
    leaderboard.show(board, RichConsole(file=out, width=200))
    assert line in " ".join(out.getvalue().split())
    plain = run_folder.read(both["plain"])
    assert not [text for text in summary.notices(plain) if "learned from" in text]


def test_others_decide_as_they_do_without(both: dict[str, Any]) -> None:
    decided, expected = {}, {}
    for name in ("plain", "inner"):
        columns = pq.read_table(both[name] / "decisions.parquet").to_pylist()
        decided[name] = {
            (row["router"], row["fold"], row["query"]): row["choice"] for row in columns
        }
        scores = pq.read_table(both[name] / "scores.parquet").to_pylist()
        expected[name] = {
            (row["router"], row["fold"], row["query"], row["model"]): row["quality"]
            for row in scores
            if row["part"] == "test"
        }
    for stays in ("prompt-length", "best-single"):
        one, other = (
            {key: value for key, value in decided[name].items() if key[0] == stays}
            for name in ("plain", "inner")
        )
        assert one == other
    assert expected["plain"].keys() == expected["inner"].keys()
    differ = {key[0] for key, value in expected["plain"].items() if value != expected["inner"][key]}
    assert differ == {"knn"}, "it has learned from more"


def test_points_are_chosen_on_all_decisions_of_inner_fits(both: dict[str, Any]) -> None:
    scores = pq.read_table(both["inner"] / "scores.parquet").to_pylist()
    setup = read_run(both["inner"]).setup
    for fold in range(3):
        chosen_on = {
            row["query"]
            for row in scores
            if (row["router"], row["fold"], row["part"]) == ("knn", fold, "validation")
        }
        known = np.isin(setup.split.codes[fold], (TRAIN, VALIDATION))
        assert chosen_on == set(setup.data.keys[known])


def test_the_board_is_recomputed_and_a_point_routes_as_the_run(both: dict[str, Any]) -> None:
    stored = read_run(both["inner"])
    assert recompute.leaves(recompute.recompute(stored)) == recompute.leaves(stored.board)
    row = next(row for row in stored.board.rows if row.router == "knn")
    assert any(value is not None for value in row.points["within-1pp"].lambdas)
    texts = dict(zip(table()["query_id"].to_pylist(), table()["query"].to_pylist(), strict=True))
    cells = pq.read_table(both["inner"] / "cells.parquet", columns=["query", "query_id"])
    by_key = {cell["query"]: texts[cell["query_id"]] for cell in cells.to_pylist()}
    for fold in range(3):
        trained = TrainedRouter.load(both["inner"], "knn", fold=fold, point="within-1pp")
        at = stored.folds == fold
        for key, expected in zip(
            stored.keys[at][:20], stored.choices_at("knn", "within-1pp")[0][0, at], strict=False
        ):
            assert trained.route([by_key[key]]).choice[0] == expected


def test_the_run_file_repeats_it_and_no_job_is_repeated(both: dict[str, Any]) -> None:
    again = config.read(both["inner"] / "run.toml")
    assert again["inner_folds"] == K
    with pytest.MonkeyPatch.context() as patch:
        noted = spied(patch)
        finish(both["inner"], inner_folds=K, **both["common"])
    assert noted == []
    with pytest.raises(OptionError, match="it has 3 inner folds"):
        finish(both["inner"], inner_folds=4, **both["common"])
    with pytest.raises(OptionError, match="it was made with --inner-folds"):
        finish(both["inner"], **both["common"])
    with pytest.raises(OptionError, match="it was made without --inner-folds"):
        finish(both["plain"], inner_folds=K, **both["common"])


def test_a_changed_number_of_inner_folds_trains_cross_fitted_routers_anew(
    both: dict[str, Any],
) -> None:
    header = "routers/{}/seed-0/fold-0/job.json"
    made = {
        folder: {
            label: json.loads((both[folder] / header.format(label)).read_text())
            for label in ("knn", "best-single")
        }
        for folder in ("plain", "inner")
    }
    plain, inner = made["plain"], made["inner"]
    assert plain["knn"]["fingerprint"] != inner["knn"]["fingerprint"]
    assert plain["best-single"]["fingerprint"] == inner["best-single"]["fingerprint"]
    assert inner["knn"]["inner_folds"] == K
    assert "inner_folds" not in inner["best-single"]
