"""What policies come to: against plain counts, on the board, and verified from its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put
from worlds import NAN, big, router, run, setting

from routebench.metrics.policies import HOLES, policies
from routebench.metrics.setting import RouterChoices, Setting
from routebench.schema import Policies, Row, json_schema

Main = Callable[..., tuple[int, str, str]]
ROUTER = f"{Path(__file__).parents[1] / 'policied.py'}:Policied"
NAMES = np.array(["standard", "complex", "ambiguous"], dtype=object)


def named(given: Setting, seeds: int = 1, seed: int = 0, **changes: Any) -> RouterChoices:
    """Policies by chance; complex goes to the last model, all else to the first."""
    rng = np.random.default_rng(seed)
    n, m = given.outcomes.score.shape
    policy = NAMES[rng.integers(3, size=(seeds, n))]
    choice = np.where(policy == "complex", m - 1, 0)
    ends = np.zeros(n, dtype=np.int64), np.full(n, m - 1)
    return replace(router(choice), policy=policy, pair=ends, **changes)


def found(given: Setting, one: RouterChoices, resamples: int = 400) -> Policies:
    return policies(given, [one], resamples)[one.name]


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_use_is_what_counting_says(seeds: int) -> None:
    given = big()
    one = named(given, seeds)
    made = found(given, one).use
    assert list(made) == ["ambiguous", "complex", "standard"]
    assert one.policy is not None
    score, cost = given.outcomes.score, given.outcomes.cost
    assert cost is not None
    for name, own in made.items():
        s, q = np.nonzero(one.policy == name)
        at = q, one.choice[s, q]
        assert own.n == len(s)
        assert own.share.value == pytest.approx(len(s) / one.policy.size)
        assert own.accuracy is not None
        assert own.accuracy.value == pytest.approx(score[at].mean())
        assert own.cost_per_1k.value == pytest.approx(1000 * cost[at].mean())
        for each in (own.share, own.accuracy, own.cost_per_1k):
            assert each.low is not None
            assert each.high is not None
            assert each.value is not None
            assert each.low < each.value < each.high
    assert sum(own.share.value or 0 for own in made.values()) == pytest.approx(1)


def test_intervals_hold_what_they_claim() -> None:
    """The share of a coin, again and again: 95% of its intervals hold one half."""
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        given = setting(np.ones((150, 2)), np.ones((150, 2)))
        policy = NAMES[(rng.random((1, 150)) < 0.5).astype(int)]
        share = found(given, replace(router(np.zeros(150, int)), policy=policy)).use["standard"]
        low, high = share.share.low, share.share.high
        assert low is not None
        assert high is not None
        hits += low <= 0.5 <= high
    assert hits >= 52


def test_a_rare_policy_says_how_often_it_is_not_there() -> None:
    given = big(30)
    policy = np.full((1, 30), "standard", dtype=object)
    policy[0, 3] = "complex"
    one = replace(router(np.zeros(30, int)), policy=policy)
    use = found(given, one).use
    accuracy = use["complex"].accuracy
    assert use["complex"].n == 1
    assert accuracy is not None
    assert accuracy.undefined == pytest.approx(np.exp(-1), abs=0.1)
    # One query tells next to nothing, and the interval says so.
    assert (accuracy.high or 0) - (accuracy.low or 0) > 0.9
    alone = found(given, replace(one, policy=np.full((1, 30), "standard", dtype=object)))
    share = alone.use["standard"].share
    assert share.value == share.high == 1
    assert share.low == pytest.approx(0.025 ** (1 / 30))
    assert alone.medium is alone.large is None  # no pair: nothing to stand against


def test_against_either_model_alone() -> None:
    given = big(m=3)
    one = named(given, router_cost=np.full((1, 400), 1e-5))
    made = found(given, one)
    medium, large = made.medium, made.large
    assert medium is not None
    assert large is not None
    assert large.reference == "best-single"  # the board says it already
    assert large.accuracy is large.savings is None
    score, cost = given.outcomes.score, given.outcomes.cost
    assert cost is not None
    at = np.arange(400), one.choice[0]
    assert (medium.model, medium.reference, medium.n) == ("model-0", None, 400)
    assert medium.accuracy is not None
    assert medium.savings is not None
    assert medium.accuracy.value == pytest.approx(score[at].mean() - score[:, 0].mean())
    assert medium.accuracy.test == "mcnemar"
    assert medium.accuracy.p == medium.accuracy.p_raw
    paid = cost[at].mean() + 1e-5
    assert medium.savings.value == pytest.approx(1 - paid / cost[:, 0].mean())


def test_a_large_model_that_is_no_reference_is_compared_by_itself() -> None:
    given = replace(big(m=3), best_single=np.full(400, 1), most_expensive=np.full(400, 1))
    made = found(given, named(given))
    large = made.large
    assert large is not None
    assert large.reference is None
    assert large.savings is not None
    assert (large.savings.value or 0) > 0


def test_only_queries_that_both_models_answer_are_compared() -> None:
    given = big(m=3)
    score, cost = given.outcomes.score.copy(), given.outcomes.cost
    assert cost is not None
    one = named(given)
    gone = np.flatnonzero(one.choice[0] == 0)[:50]
    score[gone, 2] = NAN
    holes = replace(setting(score, cost, best=1), most_expensive=None)
    large = found(holes, one).large
    assert large is not None
    assert large.n == 350
    kept = np.setdiff1d(np.arange(400), gone)
    expected = score[kept, one.choice[0, kept]].mean() - score[kept, 2].mean()
    assert large.accuracy is not None
    assert large.accuracy.value == pytest.approx(expected)
    score[:, 2] = np.where(one.choice[0] == 0, NAN, score[:, 2])
    large = found(replace(setting(score, cost, best=1), most_expensive=None), one).large
    assert large is not None
    assert large.accuracy is not None
    assert (large.accuracy.value, large.accuracy.reason) == (None, HOLES)


def test_unpriced_runs_have_no_costs() -> None:
    given = setting(big(m=3).outcomes.score, None, best=1)
    made = found(given, named(given))
    assert made.use["complex"].cost_per_1k.reason == "unpriced"
    assert made.medium is not None
    assert made.medium.savings is not None
    assert made.medium.savings.reason == "unpriced"


def test_other_routers_have_none_of_it() -> None:
    given = big()
    evaluated = run(given, router(np.zeros(400, int), name="plain"), named(given))
    assert evaluated.routers["plain"].policies is None
    assert evaluated.routers["mine"].policies is not None
    rows = [
        Row(router=name, state="ok", plugin=name, **scores.as_row()).model_dump(mode="json")
        for name, scores in sorted(evaluated.routers.items())
    ]
    assert "policies" in rows[0]
    assert "policies" not in rows[1]  # boards without policies stay as they were
    assert "policies" in json.loads(json_schema())["$defs"]["Row"]["properties"]


def single(home: Path) -> dict[str, Any]:
    return {
        "suite": put(home, graded()),
        "judge": "exact",
        "prices": price_list(home),
        "router": (ROUTER, "random"),
        "max_missing": 0.3,
    }


def folds(home: Path) -> dict[str, Any]:
    return {"suite": put(home, planted(120)), "router": (ROUTER,), "folds": 3, "seeds": 3}


def users(home: Path) -> dict[str, Any]:
    home.mkdir(parents=True)
    path = write_csv(home / "router_user_data.csv", opposites(90))
    return {"suite": "personaroute", "data": str(path), "router": (ROUTER, "knn")}


MAKERS = {f.__name__: f for f in (single, folds, users)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            home = tmp_path_factory.mktemp(kind) / "home"
            made[kind] = finish(home / "run", **{"set": SMALL} | MAKERS[kind](home))
        return made[kind]

    return get


def row_of(folder: Path) -> dict[str, Any]:
    board = json.loads((folder / "leaderboard.json").read_text())
    rows: dict[str, dict[str, Any]] = {row["router"]: row for row in board["rows"]}
    assert ["policies" in row for name, row in rows.items() if name != "Policied"].count(True) == 0
    return rows["Policied"]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_board_with_policies_follows_from_its_files(
    kind: str, kept: Callable[[str], Path], main: Main, tmp_path: Path
) -> None:
    folder = kept(kind)
    code, out, err = main("verify", folder)
    assert (code, err) == (0, "")
    made = row_of(folder)["policies"]
    assert set(made["use"]) == set(NAMES)
    measure = "reward" if kind == "users" else "accuracy"
    assert made["use"]["standard"][measure]["value"] is not None
    assert (made["medium"] is None) == (kind == "users")
    # A changed number is found twice: made again, and independently.
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))

    def tamper(board: dict[str, Any]) -> None:
        (row,) = (row for row in board["rows"] if row["router"] == "Policied")
        row["policies"]["use"]["complex"]["share"]["value"] += 0.01

    edit_board(copied, tamper)
    code, out, _ = main("verify", copied)
    assert code == 1
    assert out.count("rows[Policied].policies.use.complex.share.value") == 2


def test_changed_policies_are_found(
    kept: Callable[[str], Path], main: Main, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(kept("single"), tmp_path / "copy"))

    def swap(rows: list[dict[str, Any]]) -> None:
        own = [row for row in rows if row["router"] == "Policied"]
        own[0]["policy"] = "complex" if own[0]["policy"] != "complex" else "standard"

    edit_table(copied, "decisions.parquet", swap)
    code, out, _ = main("verify", copied)
    assert code == 1
    assert "policies.use" in out


def test_the_terminal_and_the_page_show_them(
    kept: Callable[[str], Path], main: Main, tmp_path: Path
) -> None:
    code, out, _ = main("show", kept("single"), "--wide")
    assert code == 0
    assert "Policies" in out
    assert all(f" {name} " in out for name in NAMES)
    assert "medium: a" in out
    assert "large: d" in out
    assert max(map(len, out.splitlines())) <= 150
    code, out, _ = main("show", kept("single"))
    assert "Policies" not in out
    code, out, _ = main("show", kept("users"), "--wide")
    assert "Policies" in out
    pytest.importorskip("jinja2", reason="the report extra is not installed")
    pytest.importorskip("plotly", reason="the report extra is not installed")
    page = tmp_path / "page.html"
    assert main("report", kept("single"), "--out", page)[0] == 0
    assert "Policies: how often each was named" in page.read_text()
