"""Comparing runs: paired differences, what flipped and what that cost, and what may not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import long_table, planted
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

from routebench.board.read_run import read_run
from routebench.comparison.gate import gate
from routebench.metrics.statistics import mcnemar

Main = Callable[..., tuple[int, str, str]]
WORSE = 12
TASKS = {"algebra equation", "poem verse", "python function", "river capital"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def options(home: Path) -> dict[str, Any]:
    return {
        "suite": put(home / "data", planted(200)),
        "folds": 3,
        "set": SMALL,
        "prices": price_list(home),
        "perturb": 0,
    }


@pytest.fixture(scope="module")
def old(home: Path, options: dict[str, Any]) -> Path:
    return finish(home / "old", **options, router=("linear", "cheapest", "random"))


@pytest.fixture(scope="module")
def new(home: Path, old: Path) -> Path:
    """The old run, but linear sends some queries that it had right to a model that has not."""
    folder = Path(shutil.copytree(old, home / "new"))
    run = read_run(old)
    spoilt = 0
    score = dict(zip(run.keys, run.outcomes.score, strict=True))

    def spoil(rows: list[dict[str, Any]]) -> None:
        nonlocal spoilt
        for row in rows:
            own = score[row["query"]]
            right = own[run.models.index(row["choice"])] == 1
            if row["router"] == "linear" and right and own.min() == 0 and spoilt < WORSE:
                row["choice"] = run.models[int(own.argmin())]
                spoilt += 1

    edit_table(folder, "decisions.parquet", spoil)
    assert spoilt == WORSE
    return folder


def compared(main: Main, *words: Any) -> dict[str, Any]:
    code, out, err = main("compare", *words, "--json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert isinstance(found, dict)
    return found


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pair["first"]: pair for pair in found["pairs"]}


def test_a_router_that_got_worse(old: Path, new: Path, main: Main) -> None:
    found = compared(main, old, new, "--flips", 100)
    assert found["runs"] == [str(old), str(new)]
    assert (found["queries"], found["left_out"]) == (200, 0)
    pairs = by_name(found)
    assert set(pairs) == {"linear", "cheapest", "random"}
    linear = pairs["linear"]
    delta = linear["delta"]["accuracy"]
    assert delta["value"] == pytest.approx(-WORSE / 200)
    assert delta["low"] < -WORSE / 200 < delta["high"] < 0
    assert delta["p_raw"] == pytest.approx(mcnemar(0, WORSE))
    assert delta["p"] == pytest.approx(3 * mcnemar(0, WORSE)), "Holm over three routers"
    assert delta["test"] == "mcnemar"
    before, after = linear["measured"]["accuracy"]
    assert after - before == pytest.approx(-WORSE / 200)
    assert linear["changed"]["worse"]["queries"] == WORSE == len(linear["flips"])
    assert linear["changed"]["better"] == {"queries": 0, "cost": 0.0}
    for flip in linear["flips"]:
        assert flip["score"] == [1.0, 0.0]
        assert flip["models"][0] != flip["models"][1]
        assert flip["task"] in (
            "algebra equation",
            "poem verse",
            "python function",
            "river capital",
        )
    spent = sum(flip["cost"][1] - flip["cost"][0] for flip in linear["flips"])
    assert linear["changed"]["worse"]["cost"] == pytest.approx(spent)
    paid = linear["measured"]["total_cost_per_1k"]
    assert 1000 * spent / 200 == pytest.approx(paid[1] - paid[0])
    for name in ("cheapest", "random"):
        assert pairs[name]["delta"]["accuracy"]["value"] == 0
        assert pairs[name]["delta"]["total_cost_per_1k"]["value"] == 0
        assert pairs[name]["flips"] == []


def test_values_are_those_of_the_boards(old: Path, new: Path, main: Main) -> None:
    found = by_name(compared(main, old, new))
    for row in json.loads((old / "leaderboard.json").read_text())["rows"]:
        for metric, (first, _) in found[row["router"]]["measured"].items():
            assert first == pytest.approx(row["metrics"][metric]["value"])


def test_the_gate_sees_the_same_differences(old: Path, new: Path, main: Main) -> None:
    pairs = by_name(compared(main, old, new))
    result = gate(old, new)
    assert len(result.comparisons) == 2 * len(pairs)
    for one in result.comparisons:
        metric = "accuracy" if one.metric == "accuracy" else "total_cost_per_1k"
        pair = pairs[one.router]
        assert [one.old, one.new] == pytest.approx(pair["measured"][metric])
        assert one.old is not None
        # A gate's costs are relative to the old one, and worse is negative.
        unit = 1 if metric == "accuracy" else -one.old
        assert one.difference == pytest.approx(pair["delta"][metric]["value"] / unit)
    (flips,) = result.flips
    changed = pairs[flips.router]["changed"]
    assert (flips.worse, flips.better) == (changed["worse"]["queries"], 0)


def test_the_table(old: Path, new: Path, main: Main) -> None:
    code, out, _ = main("compare", old, new, "--router", "linear", "--flips", 3)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{old} → {new}"
    assert lines[1] == "200 common test queries"
    assert all(len(line) <= 100 for line in lines[1:])
    assert any(line.startswith("linear") and "-6.0 [" in line for line in lines)
    assert "fewer than 3 seeds" in out
    assert out.count("1 → 0") == 3
    assert "cheapest" not in out


def test_two_routers_of_one_run(old: Path, main: Main) -> None:
    found = compared(main, old, "--router", "random,cheapest", "--flips", 6)
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"]) == ("random", "cheapest")
    run = read_run(old)
    at = np.arange(len(run.keys))
    one, other = (run.outcomes.score[at, run.choices(n)[0]] for n in ("random", "cheapest"))
    assert pair["delta"]["accuracy"]["value"] == pytest.approx((other - one).mean())
    assert pair["changed"]["better"]["queries"] == (other > one).sum()
    assert pair["changed"]["worse"]["queries"] == (other < one).sum()
    kinds = [flip["score"][1] - flip["score"][0] for flip in pair["flips"]]
    assert kinds == [-1, -1, -1, 1, 1, 1], "losses and gains alike"
    code, out, _ = main("compare", old, "--router", "random,cheapest")
    assert code == 0
    assert out.splitlines()[0] == str(old)
    assert "random → cheapest" in out


def test_flips_by_cost(old: Path, main: Main) -> None:
    found = compared(main, old, "--router", "cheapest,random", "--by", "cost", "--flips", 8)
    changes = [abs(f["cost"][1] - f["cost"][0]) for f in found["pairs"][0]["flips"]]
    assert len(changes) == 8
    assert changes == sorted(changes, reverse=True)
    run = read_run(old)
    at = np.arange(len(run.keys))
    assert run.outcomes.cost is not None
    paid = [run.outcomes.cost[at, run.choices(n)[0]] for n in ("cheapest", "random")]
    assert changes[0] == pytest.approx(np.abs(paid[1] - paid[0]).max())


def test_prices_that_differ(home: Path, old: Path, options: dict[str, Any], main: Main) -> None:
    dear = finish(
        home / "dear",
        **options | {"prices": price_list(home, 3.0)},
        router=("linear", "cheapest", "prompt-length"),
    )
    found = compared(main, old, dear)
    assert f"prices differ: both runs are priced as in {dear}" in found["notes"]
    cheapest = by_name(found)["cheapest"]
    board = json.loads((dear / "leaderboard.json").read_text())
    own = next(row for row in board["rows"] if row["router"] == "cheapest")
    costs = cheapest["measured"]["total_cost_per_1k"]
    assert costs[1] == pytest.approx(own["metrics"]["total_cost_per_1k"]["value"])
    assert costs[0] == costs[1] or cheapest["changed"]["same"]["queries"]
    assert found["alone"] == {str(old): ["random"], str(dear): ["prompt-length"]}
    back = compared(main, dear, old)
    assert f"prices differ: both runs are priced as in {old}" in back["notes"]
    _, out, _ = main("compare", old, dear)
    assert f"only in {old}: random\n" in out
    assert f"only in {dear}: prompt-length\n" in out


def test_an_unpriced_run_is_priced_by_the_other(
    home: Path, old: Path, options: dict[str, Any], main: Main
) -> None:
    plain = {name: value for name, value in options.items() if name != "prices"}
    unpriced = finish(home / "unpriced", **plain, router=("random",))
    found = compared(main, old, unpriced)
    assert f"prices differ: both runs are priced as in {old}" in found["notes"]
    assert by_name(found)["random"]["delta"]["total_cost_per_1k"]["value"] == 0
    found = compared(main, unpriced, unpriced)
    (pair,) = found["pairs"]
    assert pair["measured"]["total_cost_per_1k"] == [None, None]
    assert pair["delta"]["total_cost_per_1k"]["value"] is None
    assert pair["changed"]["worse"] == {"queries": 0, "cost": None}
    code, out, _ = main("compare", unpriced, unpriced)
    assert code == 0
    assert "–" in out


def test_options_that_changed_are_listed(
    home: Path, old: Path, options: dict[str, Any], main: Main
) -> None:
    words = options | {"set": SMALL | {"cheapest": {"model": "b"}}}
    other = finish(home / "options", **words, router=("cheapest",))
    notes = compared(main, old, other)["notes"]
    assert any("cheapest: model" in note and note.endswith("→ b") for note in notes)


def test_three_runs_and_three_seeds(home: Path, options: dict[str, Any], main: Main) -> None:
    words = {k: v for k, v in options.items() if k != "folds"} | {"seeds": 3}
    runs = [finish(home / f"seeds-{i}", **words, router=("random",)) for i in range(2)]
    code, out, err = main("compare", runs[0], runs[1], runs[0], "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [one["runs"][1] for one in found] == [str(runs[1]), str(runs[0])]
    assert all(one["seeds"] == 3 for one in found)
    assert found[0]["pairs"][0]["changed"]["same"]["queries"] == 0
    code, out, _ = main("compare", runs[0], runs[1])
    assert "fewer than 3 seeds" not in out


def test_means_that_differ_by_rounding_are_no_flips(home: Path, main: Main) -> None:
    """Seeds choose scores .1, .2, .3 in one run and .3, .2, .1 in the other: one mean, two sums."""
    assert (0.1 + 0.2 + 0.3) / 3 > (0.3 + 0.2 + 0.1) / 3
    table = long_table(np.tile([0.1, 0.2, 0.3], (90, 1)), [f"question {i}" for i in range(90)])
    rising = finish(
        home / "rising", suite=put(home / "thirds", table), router=("random",), seeds=3, perturb=0
    )
    falling = Path(shutil.copytree(rising, home / "falling"))
    models = read_run(rising).models
    for folder, order in ((rising, models), (falling, models[::-1])):

        def choose(rows: list[dict[str, Any]], order: tuple[str, ...] = order) -> None:
            for row in rows:
                row["choice"] = order[row["seed"]]

        edit_table(folder, "decisions.parquet", choose)
    (pair,) = compared(main, rising, falling)["pairs"]
    changed = {kind: one["queries"] for kind, one in pair["changed"].items()}
    (flips,) = gate(rising, falling).flips
    assert (flips.worse, flips.better) == (changed["worse"], changed["better"]) == (0, 0)
    assert changed["same"] == len(read_run(rising).keys)
    assert [abs(flip.new_score - flip.old_score) for flip in flips.largest] == pytest.approx(
        [0.2] * len(flips.largest)
    )


def test_users(home: Path, main: Main) -> None:
    path = write_csv(home / "router_user_data.csv", opposites(60))
    run = finish(
        home / "panel",
        suite="personaroute",
        data=str(path),
        router=("user-prior", "best-single"),
        folds=3,
        perturb=0,
    )
    found = compared(main, run, "--router", "best-single,user-prior")
    assert found["measure"] == "reward"
    assert found["queries"] == 120
    (pair,) = found["pairs"]
    board = json.loads((run / "leaderboard.json").read_text())
    rows = {row["router"]: row["metrics"]["reward"]["value"] for row in board["rows"]}
    assert pair["measured"]["reward"] == pytest.approx([rows["best-single"], rows["user-prior"]])
    assert {flip["user"] for flip in pair["flips"]} <= {"u0", "u1"}
    code, out, _ = main("compare", run, "--router", "best-single,user-prior")
    assert code == 0
    assert "120 common test asks" in out


def test_what_cannot_be_compared(home: Path, old: Path, main: Main) -> None:
    other = finish(home / "other", suite=put(home / "o", graded(60)), judge="exact",
                   router=("random",), perturb=0, max_missing=0.5)  # fmt: skip
    code, out, err = main("compare", old, other)
    assert (code, out) == (3, "")
    assert f"{old} and {other} cannot be compared" in err
    assert "they differ in suite, split, outcomes, judge" in err


def test_one_fingerprint_is_enough(old: Path, main: Main, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    edit_board(copy, lambda board: board["fingerprints"].update(judge="another"))
    code, _, err = main("compare", old, copy)
    assert code == 3
    assert "they differ in judge\n" in err


def test_an_invalid_run_is_said_to_be_one(old: Path, main: Main, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    edit_board(copy, lambda board: board.update(valid=False, invalid_reason="half is missing"))
    code, out, _ = main("compare", old, copy)
    assert code == 0
    assert f"{copy} is not a valid run: half is missing" in out


def test_wrong_words(old: Path, new: Path, main: Main, tmp_path: Path) -> None:
    code, _, err = main("compare", old)
    assert code == 2
    assert "one run: which two of its routers?" in err
    assert "hint: --router FIRST,SECOND" in err
    code, _, err = main("compare", old, new, "--router", "liner")
    assert code == 2
    assert "hint: did you mean linear?" in err
    code, _, err = main("compare", old, tmp_path / "nowhere")
    assert code == 2
    assert "No such file" in err
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    edit_table(copy, "decisions.parquet", lambda rows: rows.pop(), rehash=False)
    code, _, err = main("compare", old, copy)
    assert code == 2
    assert "decisions.parquet: not the file that the board was written with" in err


def test_nothing_in_common(home: Path, old: Path, options: dict[str, Any], main: Main) -> None:
    other = finish(home / "others", **options, router=("prompt-length",))
    code, out, _ = main("compare", old, other)
    assert code == 0
    assert "no router has finished in both" in out
    assert f"only in {other}: prompt-length\n" in out
