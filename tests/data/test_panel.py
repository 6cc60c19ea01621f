"""Suites with users: rewards, who learns and is asked what, and what the board makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rows
from panels import opposites, panel, write_csv

from routebench.board import build
from routebench.board.assemble import assemble_decisions
from routebench.data import users
from routebench.data.fingerprints import suite_fingerprint
from routebench.data.splits import TEST, TRAIN, VALIDATION, make_split
from routebench.errors import DataError, OptionError
from routebench.jobs.entrant import Entrant
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin.discovery import find
from routebench.records import State, SuiteData

RNG = np.random.default_rng(3)


def random_panel(n: int = 60, m: int = 3, u: int = 4, **more: Any) -> SuiteData:
    rng = np.random.default_rng(1)
    texts = [f"query {i} about {rng.integers(10**9)}" for i in range(n)]
    return panel(rng.random((n, m)), rng.random((n, m)), np.linspace(0.1, 0.9, u), texts, **more)


def setup(data: SuiteData, **options: Any) -> Setup:
    shots = options.get("shots", 0)
    return Setup(data, make_split(data, **options), "tfidf-svd", {}, shots=shots)


def evaluated(given: Setup, *names: str, seeds: int = 1) -> dict[str, Any]:
    results = {}
    entrants = []
    for name in names:
        info = find("router", name)
        personal = name.startswith(("user", "preference", "task-preference"))
        entrants.append(Entrant(name, info, {}, personal=personal))
        for seed in range(seeds):
            for fold in range(len(given.split.codes)):
                job = Job(name, info, {}, seed, fold, "x", personal=personal)
                results[job] = run_here(job, given, lambda done, note: None)
    found = build.score(given, entrants, results, resamples=200).evaluation
    return {**found.routers, **{f"reference {k}": v for k, v in found.references.items()}}


def value(found: Any, metric: str = "accuracy") -> float:
    metrics = found if isinstance(found, dict) else found.metrics
    assert metrics[metric].value is not None
    return float(metrics[metric].value)


def test_reward_by_hand() -> None:
    data = panel([[0.8, 0.5]], [[0.4, 0.1]], [0.25], ["q"])
    worth = users.reward(data.outcomes, 0.25)
    assert worth == pytest.approx(np.array([[0.25 * 0.8 - 0.75 * 0.4, 0.25 * 0.5 - 0.75 * 0.1]]))


def test_the_blind_learn_from_the_mean_reward_of_those_who_asked() -> None:
    asked = np.zeros((60, 4), dtype=np.bool_)
    asked[:, 1] = asked[:30, 3] = True
    data = random_panel(asked=asked)
    table = data.table(np.arange(60))
    weights = [0.1 + 0.8 * k / 3 for k in range(4)]
    assert data.users is not None
    learned = users.marginalise(table)
    assert learned.users is None
    assert learned.outcomes.relative_cost is None
    for row in range(60):
        mine = [weights[1], weights[3]] if row < 30 else [weights[1]]
        rewards = [users.reward(data.outcomes, w)[row] for w in mine]
        assert learned.outcomes.score[row] == pytest.approx(np.mean(rewards, axis=0))


def test_a_cell_without_cost_is_no_reward() -> None:
    data = random_panel()
    cost = data.outcomes.relative_cost
    assert cost is not None
    cost[5, 1] = np.nan
    worth = users.valued(data.outcomes, 0.5)
    assert worth.state[5, 1] == State.UNPRICED
    assert np.isnan(worth.score[5, 1])


def test_the_board_by_hand() -> None:
    data = random_panel()
    given = setup(data, folds=3)
    found = evaluated(given, "best-single", "user-prior")
    assert data.users is not None
    by_user = [users.reward(data.outcomes, w) for w in data.users.preference]
    everything = np.stack(by_user)  # [u, n, m]
    assert value(found["reference oracle"]) == pytest.approx(everything.max(axis=2).mean())
    blind = everything.mean(axis=0).max(axis=1).mean()
    assert value(found["reference blind_oracle"]) == pytest.approx(blind)
    assert value(found["reference random"]) == pytest.approx(everything.mean())
    got = []
    for fold in range(3):
        test = given.rows(fold, TEST)
        known = np.concatenate([given.rows(fold, TRAIN), given.rows(fold, VALIDATION)])
        best = everything[:, known].mean(axis=1).argmax(axis=1)
        got += [everything[u][test, best[u]] for u in range(4)]
    assert value(found["user-prior"]) == pytest.approx(np.concatenate(got).mean())
    worst = min(np.concatenate(got[u::4]).mean() for u in range(4))
    assert value(found["user-prior"], "worst_user") == pytest.approx(worst)
    mean = found["user-prior"].metrics
    effect, cost = mean["effect"].value, mean["relative_cost"].value
    assert 0 < effect < 1
    assert 0 < cost < 1


def test_intervals_are_those_of_queries_not_of_rows() -> None:
    """A hundred equal users say no more than one does."""
    rng = np.random.default_rng(5)
    texts = [f"query {i} of {rng.integers(10**9)}" for i in range(80)]
    effect, cost = rng.random((80, 3)), rng.random((80, 3))
    widths = []
    for count in (2, 100):
        given = setup(panel(effect, cost, np.full(count, 0.5), texts), folds=4)
        found = evaluated(given, "user-prior")["user-prior"].metrics["accuracy"]
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1], rel=1e-6)


def test_opposite_users_get_their_own_models() -> None:
    data = opposites()
    given = setup(data)
    found = evaluated(given, "preference-linear", "user-linear", "task-preference-prior", "linear")
    top = value(found["reference oracle"])
    for name in ("preference-linear", "user-linear", "task-preference-prior"):
        assert value(found[name], "best_llm_accuracy") >= 0.95, name
        assert value(found[name], "routed_differently") >= 0.95, name
        assert value(found[name]) == pytest.approx(top, abs=0.01)
    assert value(found["linear"], "routed_differently") == 0
    assert value(found["linear"]) < top - 0.1


@pytest.mark.parametrize("folds", [None, 3])
def test_new_users_are_unknown_to_training(folds: int | None) -> None:
    data = random_panel(u=6)
    given = setup(data, folds=folds, protocol="user")
    tested = set()
    for fold in range(len(given.split.codes)):
        for personal in (True, False):
            train, validation = given.tables(fold, personal)
            if personal:
                assert train.users is not None
                assert validation.users is not None
                known = set(train.users.name)
                assert set(validation.users.name) == known
                asked = {str(data.users.name[u]) for u in given.asks(fold).user}  # type: ignore[union-attr]
                assert asked
                assert not asked & known
                assert asked | known == {f"u{i}" for i in range(6)}
                tested |= asked
    if folds:
        assert tested == {f"u{i}" for i in range(6)}


def test_a_few_shots_are_all_that_is_known_of_a_new_user() -> None:
    data = random_panel(u=5)
    given = setup(data, protocol="user", shots=7)
    train, validation = given.tables(0, personal=True)
    assert train.users is not None
    assert train.users.asked is not None
    assert validation.users is not None
    new = given.held_out(0)
    count = train.users.asked.sum(axis=0)
    assert (count[new] == 7).all()
    assert (count[~new] == len(train)).all()
    assert len(validation.users) == (~new).sum()
    again = given.tables(0, personal=True)[0].users
    assert again is not None
    assert np.array_equal(again.asked, train.users.asked)


def test_new_models_are_unknown_to_training() -> None:
    data = random_panel(m=4)
    given = setup(data, folds=4, protocol="llm")
    for fold in range(4):
        away = given.held_out(fold)
        assert away.sum() == 1
        for table in (*given.tables(fold, True), *given.tables(fold, False)):
            assert (table.outcomes.state[:, away] == State.ABSENT).all()
            assert np.isnan(table.outcomes.score[:, away]).all()
            assert (table.outcomes.state[:, ~away] == State.OK).all()
    # The test still has their answers.
    assert not np.isnan(evaluated(given, "preference-linear")["preference-linear"].rank)


def test_protocols_that_cannot_be() -> None:
    plain = replace(random_panel(), users=None)
    with pytest.raises(OptionError, match="no users"):
        make_split(plain, protocol="user")
    with pytest.raises(OptionError, match="too few for 5 folds"):
        make_split(random_panel(u=3), folds=5, protocol="user")
    unseen = np.array([False, False, False, True])
    with pytest.raises(DataError, match="user 'u3' is in the test part only"):
        make_split(random_panel(unseen=unseen))
    split = make_split(random_panel(unseen=unseen), protocol="user")
    assert split.held_out is not None
    assert split.held_out.tolist() == [unseen.tolist()]


@pytest.mark.parametrize(
    "name",
    [
        *("user-prior", "user-linear", "preference-linear"),
        pytest.param("personalized", marks=pytest.mark.slow),
    ],
)
def test_outcomes_of_test_queries_decide_nothing(name: str) -> None:
    info = find("router", name)
    if not info.ready:
        pytest.skip(f"what {name} needs is not installed")
    data = random_panel()
    given = setup(data)
    test = given.rows(0, TEST)
    score, cost = data.outcomes.score.copy(), data.outcomes.relative_cost.copy()  # type: ignore[union-attr]
    score[test], cost[test] = RNG.random((2, *score[test].shape))
    other = replace(data, outcomes=replace(data.outcomes, score=score, relative_cost=cost))
    options = {"members": 1, "train_epoch": 2} if name == "personalized" else {}
    job = Job(name, info, options, 0, 0, "x", personal=True)
    one, two = (
        run_here(job, replace(given, data=each), lambda done, note: None).decisions
        for each in (data, other)
    )
    assert one is not None
    assert two is not None
    assert len(one.choice) == len(test) * 4
    assert np.array_equal(one.choice, two.choice)


def test_the_pair_is_named_by_training_costs() -> None:
    data = random_panel()
    given = setup(data)
    test, cost = given.rows(0, TEST), data.outcomes.relative_cost
    assert cost is not None
    before = given.tables(0)[0].pool
    assert None not in (before.small, before.large)
    cost[test] = 1 - cost[test]
    assert given.tables(0)[0].pool == before
    train = given.rows(0, TRAIN)
    cost[train] = 1 - cost[train]
    after = given.tables(0)[0].pool
    assert (after.small, after.large) == (before.large, before.small)


def test_a_withheld_model_is_no_end_of_the_pair() -> None:
    given = setup(random_panel(m=4), folds=4, protocol="llm")
    for fold in range(4):
        pool = given.tables(fold)[0].pool
        away = {pool.models[at] for at in np.flatnonzero(given.held_out(fold))}
        assert not {pool.small, pool.large} & away


@pytest.mark.parametrize("change", ["asked", "task", "preference"])
def test_what_decides_the_jobs_is_in_the_fingerprint(change: str) -> None:
    asked = np.zeros((60, 4), dtype=np.bool_)
    asked[:, :2] = True
    data = random_panel(asked=asked)
    before = suite_fingerprint(data)
    if change == "task":
        tasks = np.array(["t"] * 60, dtype=object)
        data = replace(data, queries=replace(data.queries, task=tasks))
    elif change == "asked":
        assert data.users is not None
        data = replace(data, users=replace(data.users, asked=asked[:, ::-1].copy()))
    else:
        assert data.users is not None
        data.users.preference[0] = 0.11
    assert suite_fingerprint(data) != before


def sparse(n: int = 60, u: int = 6) -> SuiteData:
    """Every query is asked by one user only."""
    asked = np.zeros((n, u), dtype=np.bool_)
    asked[np.arange(n), np.arange(n) % u] = True
    return random_panel(n, u=u, asked=asked)


@pytest.mark.parametrize("folds", [None, 6])
def test_queries_that_no_tested_user_asks(folds: int | None) -> None:
    given = replace(setup(sparse(), protocol="user", folds=folds), perturb=40)
    found = evaluated(given, "user-prior", "knn", "preference-linear")
    for name in ("user-prior", "knn", "preference-linear"):
        assert found[name].metrics["accuracy"].value is not None
        # Nobody shares a query with anybody: there is nothing to be routed differently.
        assert "routed_differently" not in found[name].metrics
    assert found["user-prior"].metrics["stability"].value == 1.0


def test_stability_belongs_to_the_query_it_was_asked_of() -> None:
    data = random_panel(u=3)
    info = find("router", "knn")
    given = replace(setup(data), perturb=60)
    job = Job("knn", info, {}, 0, 0, "x")
    result = run_here(job, given, lambda done, note: None)
    assert result.decisions is not None
    assert result.perturbed is not None
    sample = given.perturbed(0)
    forms = result.perturbed.choice.reshape(4, len(sample))
    expected = (forms == result.decisions.choice[: len(sample)]).mean(axis=0)
    routed = assemble_decisions(given, "knn", [(job, result)])
    assert routed.stable is not None
    stable = routed.stable[0]
    assert stable[~np.isnan(stable)] == pytest.approx(expected)
    assert (~np.isnan(stable)).sum() == len(sample)


def test_the_blind_oracle_tells_tasks_of_one_text_apart() -> None:
    """A text under two tasks is two queries; who sees the task can tell them apart."""
    rng = np.random.default_rng(2)
    texts = [f"query {i} of {rng.integers(10**9)}" for i in range(40)] * 2
    effect = np.repeat([[1.0, 0.0], [0.0, 1.0]], 40, axis=0)
    data = panel(effect, np.zeros((80, 2)), [1.0, 1.0], texts, ["s"] * 40 + ["t"] * 40)
    found = evaluated(setup(data), "task-prior")
    assert value(found["task-prior"]) == 1.0
    assert value(found["reference blind_oracle"]) == 1.0


def test_users_of_whom_nothing_is_known_are_new_users() -> None:
    rng = np.random.default_rng(0)
    texts = [f"query {i} of {rng.integers(10**9)}" for i in range(60)]
    effect = np.column_stack([np.zeros(60), np.full(60, 0.5), np.ones(60)])
    data = panel(effect, np.zeros((60, 3)), [1.0, 1.0], texts)
    assert data.users is not None
    given = setup(data)
    asked = np.ones((60, 2), dtype=np.bool_)
    asked[given.rows(0, TRAIN), 1] = asked[given.rows(0, VALIDATION), 1] = False
    lonely = replace(given, data=replace(data, users=replace(data.users, asked=asked)))
    found = evaluated(lonely, "user-prior", "user-linear")
    assert value(found["user-prior"]) == 1.0
    assert value(found["user-linear"]) == 1.0


def test_shots_that_are_not_there_are_said() -> None:
    data = sparse()
    split = make_split(data, protocol="user")
    assert users.short_of_shots(data, split, 1) == ()
    (note,) = users.short_of_shots(data, split, 50)
    assert "fewer than 50 training queries" in note


WITHOUT_TRAINING = (
    *("user-prior", "user-linear", "preference-linear", "task-preference-prior"),
    *("knn", "linear", "best-single", "task-prior"),
)


def words_for(folder: Path) -> tuple[Any, ...]:
    """Return the options of a run on two users of opposite tastes."""
    path = write_csv(folder / "router_user_data.csv", opposites(160))
    words = ("--suite", "personaroute", "--data", path, "--show", "task")
    return (*words, "--against", "user-prior")


def test_the_whole_command(board: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    routers = ("--router", ",".join(WITHOUT_TRAINING))
    check_users(board(*words_for(tmp_path), *routers))


@pytest.mark.slow
def test_the_whole_command_with_all_routers(
    board: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    words: tuple[str, ...] = ("--router", "all")
    for name in ("causal-lm", "policy"):  # hardly trained: here they must only run
        words += ("--set", f"{name}.pretrain_epochs=0", "--set", f"{name}.num_epochs=1")
    check_users(board(*words_for(tmp_path), *words))


def check_users(done: dict[str, Any]) -> None:
    """Compare a board with what is known of two users of opposite tastes."""
    assert done["suite"]["measure"] == "reward"
    assert done["suite"]["users"] == 2
    assert done["suite"]["source"] == "recorded"
    found = rows(done)
    ok = {name for name, row in found.items() if row["state"] == "ok"}
    assert set(WITHOUT_TRAINING) <= ok
    row = found["preference-linear"]
    assert row["rank"] == 1
    assert row["metrics"]["best_llm_accuracy"]["value"] >= 0.95
    assert row["against"]["user-prior"]["reward"]["low"] > 0
    assert set(row["by_user"]) == {"u0", "u1"}
    assert row["by_user"]["u0"]["reward"]["value"] is not None
    assert row["by_user"]["u0"]["accuracy"] is None
    assert "accuracy" not in row["metrics"]
    assert "users.parquet" in done["files"]
