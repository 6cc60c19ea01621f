"""A run with routers that see answers: on the board, in its files, and made again from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import noise, read_board, rows
from runs import edit_table, finish, put

from routebench import OptionError
from routebench.board.read_run import read_run
from routebench.comparison.paired import CommonQueries, RouterSide
from routebench.report.steps import asked as asked_in_words
from routebench.report.web.page import page as report_page
from routebench.verify.verify import verify

STEPPERS = Path(__file__).parents[1] / "steppers.py"
COST = np.array([0.001, 0.002, 0.02])
RIGHT = (0.6, 0.65, 0.85)


def sides(folder: Path, routers: tuple[str, ...]) -> list[RouterSide]:
    """Return routers' decisions as a gate sees them that compares a run with itself."""
    run = read_run(folder)
    return [CommonQueries.of(run, run).side(router, 1) for router in routers]


def agreeing(n: int = 300, seed: int = 0) -> pa.Table:
    """Three models whose wrong answers differ: where two agree, they are mostly right."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("ABCDEFGHIJ"))
    reference = rng.integers(10, size=n)
    right = rng.random((n, 3)) < RIGHT
    said = np.where(right, reference[:, None], rng.integers(10, size=(n, 3)))
    texts = np.array([f"question {rng.integers(10**9)} {rng.integers(10**9)}" for _ in range(n)])
    return pa.table(
        {
            "query_id": np.repeat([f"q{i}" for i in range(n)], 3),
            "query": np.repeat(texts, 3),
            "model": np.tile(list("abc"), n),
            "score": (said == reference[:, None]).astype(float).reshape(-1),
            "response": [f"The answer is ({letter})." for letter in letters[said].reshape(-1)],
            "cost_usd": np.tile(COST, n),
            "latency": np.tile([1.0, 2.0, 5.0], n),
        }
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    return finish(
        folder / "out",
        suite=put(folder, agreeing()),
        answers_as="multiple-choice",
        router=[f"{STEPPERS}:AskInTurn", f"{STEPPERS}:PairThenTop", "best-single"],
        perturb=0,
    )


@pytest.fixture(scope="module")
def board(done: Path) -> dict[str, Any]:
    return read_board(done)


def test_all_calls_are_billed(done: Path, board: dict[str, Any]) -> None:
    run = read_run(done)
    for name in ("AskInTurn", "PairThenTop"):
        asked = run.asked(name)
        assert asked is not None
        by_hand = ((asked[0] > 0) * COST).sum(axis=1).mean()
        row = rows(board)[name]
        assert row["metrics"]["total_cost_per_1k"]["value"] == pytest.approx(1000 * by_hand)
        assert row["metrics"]["calls"]["value"] == pytest.approx((asked[0] > 0).sum(axis=1).mean())
        saved = 1 - 1000 * by_hand / 20
        assert row["metrics"]["savings_vs_best_single"]["value"] == pytest.approx(saved)


def test_parallel_calls_wait_once_and_rounds_one_after_the_other(board: dict[str, Any]) -> None:
    pair, turns = (rows(board)[name]["metrics"] for name in ("PairThenTop", "AskInTurn"))
    assert pair["calls"]["value"] == turns["calls"]["value"], "they ask the same models"
    waiting = turns["answer_seconds"]["value"] - pair["answer_seconds"]["value"]
    assert waiting == pytest.approx(1.0), "one asks a and b at once"
    three = pair["calls"]["value"] - 2
    assert pair["answer_seconds"]["value"] == pytest.approx(2 + 5 * three)


def test_agreement_is_worth_more_than_the_best_single_model(board: dict[str, Any]) -> None:
    row = rows(board)["PairThenTop"]
    assert row["against"]["best-single"]["accuracy"]["value"] > 0
    assert row["metrics"]["savings_vs_best_single"]["value"] > 0.2
    reached, best = (row["metrics"][name]["value"] for name in ("accuracy", "oracle_of_asked"))
    assert reached < best < 1


def test_who_is_asked_and_what_stops(board: dict[str, Any]) -> None:
    use = rows(board)["PairThenTop"]["steps"]
    assert set(use["calls"]) == {"2", "3"}
    assert sum(use["calls"].values()) == pytest.approx(1.0)
    assert use["asked"]["a"] == use["asked"]["b"] == 1.0
    assert use["asked"]["c"] == use["calls"]["3"]
    first = use["paths"][0]
    assert first["asked"][0] == ["a", "b"]
    assert sum(path["share"] for path in use["paths"]) == pytest.approx(1.0)
    assert "steps" not in rows(board)["best-single"]


def test_the_report_shows_the_ways_to_an_answer(done: Path, board: dict[str, Any]) -> None:
    pytest.importorskip("jinja2")
    page = report_page([read_run(done)])
    assert "Who is asked, round by round, and where it stops" in page
    assert "a + b, then c" in page
    assert page.count('<svg class="flow"') == 2
    share = rows(board)["PairThenTop"]["steps"]["calls"]["3"]
    assert f"Then asked, round 2: {share:.1%} of queries" in page
    run = read_run(done)
    told = asked_in_words(run.board)
    assert told is not None
    assert "PairThenTop: 2." in told
    assert "a and b first" in told


def test_its_points_are_those_of_its_trade_offs(done: Path, board: dict[str, Any]) -> None:
    row = rows(board)["PairThenTop"]
    assert {"most-accurate", "same-accuracy", "within-1pp"} <= set(row["points"])
    assert row["verdict"]["point"] == "within-1pp"
    costs = [point["total_cost_per_1k"] for point in row["curve"]]
    assert costs[0] == pytest.approx(row["metrics"]["total_cost_per_1k"]["value"])
    assert np.diff(costs).max() < 1e-9
    assert costs[-1] == pytest.approx(3.0), "at last a and b alone"
    table = pq.read_table(done / "steps.parquet")
    assert set(table["router"].to_pylist()) == {"PairThenTop"}
    assert len(set(table["lambda"].to_pylist())) == len(row["curve"])
    # One that takes no trade-off is stepped at accuracy alone, and judged there.
    assert rows(board)["AskInTurn"]["verdict"]["point"] == "most-accurate"


def test_the_board_says_what_is_scored_and_who_reads_answers(board: dict[str, Any]) -> None:
    notes = " ".join(board["suite"]["notes"])
    assert "scored on the queries that every model answered" in notes
    assert "final answers are read by the judge multiple-choice: 900 of 900" in notes


def test_every_number_follows_from_the_files(done: Path) -> None:
    assert verify(done).mismatches == []


def test_a_call_that_is_left_out_is_found(done: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(done, copy)

    def hide(decisions: list[dict[str, Any]]) -> None:
        for row in decisions:
            for name in ("asked", "asked_in"):
                row[name] = row[name] and row[name][-1:]

    edit_table(copy, "decisions.parquet", hide)
    wrong = {mismatch.path for _, mismatch in verify(copy).mismatches}
    assert "rows[PairThenTop].metrics.total_cost_per_1k.value" in wrong


def test_queries_that_some_model_did_not_answer_are_not_scored(tmp_path: Path) -> None:
    table = agreeing()
    responses, scores = table["response"].to_pylist(), table["score"].to_pylist()
    for row in range(0, 90, 9):  # model a, on 10 queries
        responses[row] = scores[row] = None
    at = [table.column_names.index(name) for name in ("response", "score")]
    table = table.set_column(at[0], "response", pa.array(responses))
    table = table.set_column(at[1], "score", pa.array(scores))
    folder = finish(
        tmp_path / "out", suite=put(tmp_path, table), answers_as="multiple-choice", folds=3,
        router=[f"{STEPPERS}:AskInTurn", "best-single"], perturb=0, max_missing=1.0,
    )  # fmt: skip
    board = read_board(folder)
    assert rows(board)["AskInTurn"]["state"] == "ok"
    assert board["diagnostics"]["scored"] == 290
    assert verify(folder).mismatches == []


def test_of_equal_texts_one_is_stepped_and_scored(tmp_path: Path) -> None:
    table = agreeing()
    texts = table["query"].to_pylist()
    texts[300:600] = texts[:300]  # 100 queries are asked a second time, under another name
    at = table.column_names.index("query")
    folder = finish(
        tmp_path / "out", suite=put(tmp_path, table.set_column(at, "query", pa.array(texts))),
        answers_as="multiple-choice", folds=3, max_missing=1.0, perturb=0,
        router=[f"{STEPPERS}:AskInTurn", f"{STEPPERS}:PairThenTop", "best-single"],
    )  # fmt: skip
    board, run = read_board(folder), read_run(folder)
    hashes = run.setup.data.text_hash[run.rows]
    for name in ("AskInTurn", "PairThenTop"):
        asked = run.asked(name)
        assert asked is not None
        stepped = (asked[0] > 0).any(axis=1)
        assert sorted(hashes[stepped]) == sorted(set(hashes)), "no copy may tell another's answers"
    assert board["diagnostics"]["scored"] == 200
    assert "of equal texts one is scored" in " ".join(board["suite"]["notes"])
    assert verify(folder).mismatches == []
    missing = {side.missing for side in sides(folder, ("AskInTurn", "PairThenTop"))}
    assert missing == {0.0}, "copies are not missing answers"


def test_another_reading_of_answers_is_another_run(tmp_path: Path) -> None:
    suite, seen = put(tmp_path, agreeing(120)), []
    for reading in ("multiple-choice", "exact"):
        folder = finish(
            tmp_path / "out", suite=suite, answers_as=reading, perturb=0,
            router=[f"{STEPPERS}:AskInTurn", "best-single"],
        )  # fmt: skip
        seen.append(rows(read_board(folder)))
    prints = [[one[name]["fingerprint"] for one in seen] for name in ("AskInTurn", "best-single")]
    assert prints[0][0] != prints[0][1]
    assert prints[1][0] == prints[1][1], "nothing else depends on it"


def test_without_recorded_answers_it_is_not_applicable(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'AskInTurn' is not applicable: no recorded answers"):
        finish(tmp_path / "out", suite=put(tmp_path, noise()), router=[f"{STEPPERS}:AskInTurn"])


def test_a_judge_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no judge named 'no-such-judge'"):
        finish(
            tmp_path / "out", suite=put(tmp_path, agreeing()), answers_as="no-such-judge",
            router=[f"{STEPPERS}:AskInTurn"],
        )  # fmt: skip


def test_a_router_that_breaks_the_contract_fails_alone(tmp_path: Path) -> None:
    router = tmp_path / "twice.py"
    router.write_text(
        "import numpy as np\n"
        "from routebench import Steps, hookimpl\n"
        "class Twice:\n"
        "    @hookimpl\n"
        "    def step(self, queries, bought):\n"
        "        ask = np.zeros(bought.asked.shape, dtype=bool)\n"
        "        ask[:, 0] = True\n"
        "        return Steps(ask, np.full(len(queries), -1))\n"
    )
    folder = finish(
        tmp_path / "out", suite=put(tmp_path, agreeing()), answers_as="multiple-choice",
        router=[f"{router}:Twice", "best-single"],
    )  # fmt: skip
    found = rows(json.loads((folder / "leaderboard.json").read_text()))
    assert "asks 'a' twice for one query" in found["Twice"]["message"]
    assert found["best-single"]["state"] == "ok"


def test_a_step_that_depends_on_the_batch_fails_its_row(tmp_path: Path) -> None:
    router = tmp_path / "crowd.py"
    router.write_text(
        "import numpy as np\n"
        "from routebench import Steps, hookimpl\n"
        "class Crowd:\n"
        "    @hookimpl\n"
        "    def step(self, queries, bought):\n"
        "        stop = bought.asked.any(axis=1)\n"
        "        ask = np.zeros(bought.asked.shape, dtype=bool)\n"
        "        ask[~stop, int(len(queries) > 1)] = True\n"
        "        return Steps(ask, np.where(stop, bought.asked.argmax(axis=1), -1))\n"
    )
    folder = finish(
        tmp_path / "out", suite=put(tmp_path, agreeing()), answers_as="multiple-choice",
        router=[f"{router}:Crowd", "best-single"],
    )  # fmt: skip
    message = rows(read_board(folder))["Crowd"]["message"]
    assert "batch and single stepping disagree on 64 of 64 queries" in message


def test_what_routers_that_see_answers_decided_is_asked_again(done: Path) -> None:
    named = [f"{STEPPERS}:AskInTurn", f"{STEPPERS}:PairThenTop"]
    result = verify(done, reroute=True, routers=named)
    assert not result.mismatches
    tested = len(pq.read_table(done / "decisions.parquet"))
    assert result.checked["decisions, asked again"] == tested
