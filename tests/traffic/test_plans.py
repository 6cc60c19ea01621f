"""Plans of what to buy: cells, sample sizes, intervals and verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from logged_worlds import World, events, write

from routebench.collect.planned_cells import read_plan
from routebench.collect.planning import make
from routebench.store.store import AnswerStore
from routebench.traffic.plans import design, sequence, stratified
from routebench.traffic.plans.answers import PlanResult, judge_plan

Main = Callable[..., tuple[int, str, str]]


def planned(main: Main, folder: Path, *words: Any, n: int = 2000) -> tuple[Path, dict[str, Any]]:
    """Plan against a log whose every third request the policy would send elsewhere."""
    records = World(n=n).records()
    models = ["small" if at % 3 == 0 else record["chosen"] for at, record in enumerate(records)]
    decisions = [{"event": f"e{at}", "model": model} for at, model in enumerate(models)]
    file, out = write(folder / "decisions.jsonl", decisions), folder / "plan.parquet"
    code, text, err = main("ope", events(folder, records), "--decisions", file,
                           "--plan", out, "--json", *words)  # fmt: skip
    assert code == 0, err
    made: dict[str, Any] = json.loads(text)
    return out, made


def answered(plan: Path, score: Callable[[int, dict[str, Any]], float | None]) -> pa.Table:
    rows = read_plan(plan).table.to_pylist()
    return pa.table({
        "query": [row["query"] for row in rows],
        "model": [row["model"] for row in rows],
        "score": pa.array([score(at, row) for at, row in enumerate(rows)], pa.float64()),
        "cost_usd": [0.002 if row["role"] == "baseline" else 0.001 for row in rows],
    })  # fmt: skip


def ends(result: PlanResult) -> tuple[float, float]:
    one = result.difference
    assert one.low is not None
    assert one.high is not None
    return one.low, one.high


def test_only_queries_on_which_the_policies_differ_are_planned(main: Main, tmp_path: Path) -> None:
    path, made = planned(main, tmp_path, "--margin", 0.05)
    rows = read_plan(path).table.to_pylist()
    assert made["differing_queries"] == len(
        {
            r["event"]
            for at, r in enumerate(World(n=2000).records())
            if at % 3 == 0 and r["chosen"] != "small"
        }
    )
    assert made["needed"] == made["planned"] == len(rows) / 2 < made["differing_queries"]
    assert {row["role"] for row in rows[::2]} == {"baseline"}
    assert all(int(row["query"].split()[1]) % 3 == 0 for row in rows)
    assert all(row["model"] == "small" for row in rows[1::2])
    assert "small" not in {row["model"] for row in rows[::2]}
    drawn = np.bincount([row["stratum"] for row in rows[::2]])
    sizes = [part["size"] for part in made["strata"]]
    chance = {row["stratum"]: row["probability"] for row in rows}
    assert [chance[h] for h in range(len(sizes))] == pytest.approx(list(drawn / sizes))
    assert made["usd"] == pytest.approx(sum(row["usd"] for row in rows))


def test_what_is_bought_whole_has_no_error(main: Main, tmp_path: Path) -> None:
    for words, sequential in ((("--margin", 0.001), False), (("--waves", 4), True)):
        path, made = planned(main, tmp_path, *words, n=900)
        assert made["planned"] == made["differing_queries"]
        rng = np.random.default_rng(0)
        score = (rng.random(2 * made["planned"]) < 0.6).astype(float)
        table = answered(path, lambda at, _, score=score: float(score[at]))  # type: ignore[misc]
        result = judge_plan(read_plan(path), table, "s")
        value = (score[1::2] - score[::2]).sum() / 900
        assert result.sequential is sequential
        assert result.difference.value == pytest.approx(value)
        assert result.difference.low == pytest.approx(value)
        assert result.difference.high == pytest.approx(value)
        assert result.cost_difference is not None
        assert result.cost_difference.value == pytest.approx(-0.001 * made["planned"] / 900)


def test_frequent_queries_stand_for_all_their_requests(main: Main, tmp_path: Path) -> None:
    records = World(n=300, probabilities=(1.0, 0.0, 0.0)).records()
    for at in range(100):  # one query is a third of the traffic
        records[at]["query"] = "question 0"
    plan, log = tmp_path / "plan.parquet", events(tmp_path, records)
    words = ("ope", log, "--model", "small", "--plan", plan, "--json")
    for more in ((), ("--waves", 4)):
        code, out, err = main(*words, *more)
        assert (code, err) == (0, "")
        made, rows = json.loads(out), read_plan(plan).table.to_pylist()
        assert made["differing_queries"] == 201
        assert [part["size"] for part in made["strata"] if part["label"].startswith("freq")] == [1]
        frequent = [row for row in rows if row["query"] == "question 0"]
        assert [(row["weight"], row["probability"]) for row in frequent] == [(100, 1), (100, 1)]
    assert (made["certain"], rows[0]["query"], made["largest"]) == (1, "question 0", 1)
    table = answered(plan, lambda _, row: float(row["role"] == "candidate")).slice(0, 2 * 101)
    result = judge_plan(read_plan(plan), table, "s")
    assert (result.answered, result.wave) == (101, 2)
    low, high = ends(result)
    assert low > (100 + 100 - 100) / 300  # were all others to the contrary
    assert high == pytest.approx(1.0)


def test_a_budget_buys_fewer_queries(main: Main, tmp_path: Path) -> None:
    _, whole = planned(main, tmp_path, "--waves", 5)
    path, made = planned(main, tmp_path, "--waves", 5, "--budget", whole["usd"] / 4)
    assert whole["usd"] / 4 - 0.01 < made["usd"] <= whole["usd"] / 4
    assert read_plan(path).waves == 5
    assert made["strata"] == whole["strata"]


def test_missing_answers_count_as_the_worst_and_later_ones_wait(main: Main, tmp_path: Path) -> None:
    path, made = planned(main, tmp_path, "--margin", 0.04)
    n = made["planned"]
    table = answered(path, lambda _, __: 1.0)
    whole = judge_plan(read_plan(path), table, "s")
    assert (whole.verdict, whole.answered, whole.lost) == ("pass", n, 0)
    failed = answered(path, lambda at, _: None if at == 7 else 1.0)
    lost = judge_plan(read_plan(path), failed, "s")
    assert (lost.answered, lost.lost) == (n, 1)
    low, high = ends(whole)
    assert ends(lost)[0] < low
    assert ends(lost)[1] > high
    part = judge_plan(read_plan(path), table.slice(0, 2 * 50), "s")
    assert (part.answered, part.verdict) == (50, "inconclusive")
    assert part.reason == f"one sample decides when it is whole: 50 of {n} are answered"
    assert ends(part)[0] < low


def test_a_stratified_sample_is_expanded_by_its_strata() -> None:
    outcome, stratum = np.array([1.0, 0, 0, 0, 0, -1, -1, 0, 0, 0]), np.repeat([0, 1], 5)
    sizes = np.array([50, 5])  # the second one is whole
    made = stratified.estimate(outcome, stratum, sizes, np.array([0.4, 0.4]), 1000)
    assert made.value == pytest.approx((50 * 0.2 - 2) / 1000)
    variance = (0.2 * 4 + 0.16) / 5  # Σ(y − y̅)² = .8, and one query's worth of .4²
    error = 50 * np.sqrt((1 - 0.1) * variance / 5) / 1000
    assert made.high - made.value == pytest.approx(2.776445 * error, rel=1e-5)


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_the_size_shows_a_true_zero(power: float) -> None:
    sizes, spread, usd = np.array([4000, 1000]), np.array([0.5, 0.3]), np.array([1.0, 9.0])
    n = design.needed(sizes, spread, usd, 10_000, 0.01, power)
    error = design.standard_error(n, sizes, spread, 10_000)
    wanted = 0.01 / (1.959964 + {0.8: 0.841621, 0.9: 1.281552}[power])
    assert wanted * 0.99 < error <= wanted
    assert n[0] / n[1] == pytest.approx(4 * (0.5 / 0.3) * 3, rel=0.02)


def _draws(rng: np.random.Generator, worlds: int, mean: float) -> sequence.Sequence:
    """Return 400 draws of 800 queries whose outcomes have exactly this mean, in 2,000 requests."""
    gains = round(800 * (0.2 + mean / 2))
    one = np.concatenate([np.ones(gains), -np.ones(gains - round(800 * mean))])
    one = np.concatenate([one, np.zeros(800 - len(one))])
    order = np.array([rng.permutation(800) for _ in range(worlds)])[:, :400]
    stratum = np.arange(800) % 3
    return sequence.Sequence(
        one[order], stratum[order], np.tile(np.bincount(stratum), (worlds, 1)),
        np.zeros((worlds, 3)), 0.6, 1.0, 2000,
    )  # fmt: skip


def test_a_confidence_sequence_is_valid_at_every_look() -> None:
    from scipy.stats import binomtest

    draws = _draws(np.random.default_rng(5), 600, mean=-0.05)
    at, truth = sequence.bets(draws), -0.05 * 800 / 2000
    for side in (1, -1):
        ever = sequence.log_wealth(draws, at, truth, side, 0.01)[:, -1] >= sequence.ENOUGH
        assert binomtest(int(ever.sum()), 600, 0.025, "greater").pvalue > 0.01
    wrong = sequence.log_wealth(draws, at, truth - 0.04, 1, 0.01)[:, -1] >= sequence.ENOUGH
    assert wrong.mean() > 0.8  # and it is not valid for want of power


def test_bets_do_not_look_ahead() -> None:
    draws = _draws(np.random.default_rng(1), 4, mean=0.0)
    whole = sequence.log_wealth(draws, sequence.bets(draws), 0.01, -1, 0.01)
    changed = draws.outcome.copy()
    changed[:, 200:] *= -1
    other = sequence.Sequence(changed, draws.stratum, draws.sizes, draws.predicted, 0.6, 1.0, 2000)
    again = sequence.log_wealth(other, sequence.bets(other), 0.01, -1, 0.01)
    assert np.array_equal(whole[:, :200], again[:, :200])
    assert not np.array_equal(whole, again)


def test_from_a_log_to_a_verdict(main: Main, tmp_path: Path) -> None:
    questions = make("simpleqa", ["simulated:sim-pro"]).questions[:240]
    records = [{"event": f"e{i}", "query": q.query, "chosen": "sim-pro", "cost_usd": 0.01,
                "input_tokens": 30, "output_tokens": 20}
               for i, q in enumerate(questions)]  # fmt: skip
    decisions = [{"event": f"e{i}", "model": "sim-pro" if i % 2 else "sim-flash"}
                 for i in range(240)]  # fmt: skip
    log, plan = events(tmp_path, records), tmp_path / "plan.parquet"
    file, store = write(tmp_path / "decisions.jsonl", decisions), tmp_path / "s.sqlite"
    code, out, err = main("ope", log, "--decisions", file, "--plan", plan, "--waves", 2)
    assert (code, err) == (0, "")
    assert "differs from the log on 50.0% of 240 requests: 120 distinct queries" in out
    collect = ("collect", "--suite", "simpleqa", "--plan", plan, "--store", store, "--quiet",
               "--models", "simulated:sim-pro,simulated:sim-flash", "--judge", "exact")  # fmt: skip
    assert main(*collect, "--wave", 1)[0] == 0
    judged = ("ope", "--plan", plan, "--answers", store, "--json")
    first = json.loads(main(*judged)[1])
    assert (first["wave"], first["answered"], first["cells"]) == (1, 60, 120)
    assert main(*collect)[0] == 0
    code, out, _ = main(*judged)
    made = json.loads(out)
    with AnswerStore(store, write=False) as kept:
        scores = {(r["query"], r["model"]): r["score"] for r in kept.table().to_pylist()}
    texts = [q.query for q in questions[::2]]
    value = sum(scores[t, "sim-flash"] - scores[t, "sim-pro"] for t in texts) / 240
    difference = made["difference"]
    assert difference["low"] == pytest.approx(value) == difference["high"]
    assert first["difference"]["low"] <= value <= first["difference"]["high"]
    assert (code, made["verdict"]) == ((1, "regression") if value <= -0.01 else (0, "pass"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "small", "--budget", 1), "--budget and --waves belong to --plan"),
        (("--model", "small", "--answers", "s.sqlite"), "a plan alone says what they are for"),
        (("--model", "small", "--judge", "exact"), "--judge belongs to --answers"),
        (("--model", "small", "--plan", "p.parquet", "--budget", 1e-9), "a query costs about $"),
        (
            ("--model", "new", "--plan", "p.parquet", "--budget", 1),
            "what large or new costs is not",
        ),
    ],
)
def test_wrong_usage_of_plans(
    main: Main, tmp_path: Path, words: tuple[Any, ...], message: str
) -> None:
    code, _, err = main("ope", events(tmp_path, World(n=50).records()), *words)
    assert code == 2
    assert message in err
