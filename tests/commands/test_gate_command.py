"""Every verdict and guard of the gate, through the command: exit code and what it says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gates
import numpy as np
import pyarrow.parquet as pq
import pytest

Main = Callable[..., tuple[int, str, str]]
Gate = Callable[..., tuple[int, str]]


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    return gates.copied(tmp_path / "candidate")


@pytest.fixture
def gate(main: Main, candidate: Path) -> Gate:
    """Gate the candidate against the baseline; exit code and output."""

    def call(*words: Any, old: Path | None = None) -> tuple[int, str]:
        code, out, err = main("gate", old or gates.baseline(), candidate, *words)
        return code, out + err

    return call


# Verdicts


def test_the_same_decisions_pass(gate: Gate) -> None:
    code, out = gate("--margin", "accuracy=0", "--margin", "cost=0")
    assert code == 0
    assert out.startswith("PASS: table (recorded answers), 6 pass\n")
    assert set(gates.verdicts(out).values()) == {"PASS"}
    assert "family of 6: 3 routers × accuracy, cost" in out


def test_a_board_is_as_good_as_its_folder(main: Main) -> None:
    board = gates.baseline() / "leaderboard.json"
    assert main("gate", board, board)[0] == 0


def test_few_changes_pass(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", gates.flip(3, 3))
    code, out = gate("--metric", "accuracy")
    assert code == 0
    assert "random: 0.4% of decisions changed; 3 queries worse, 3 better" in out


def test_a_certain_loss_is_a_regression(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", gates.flip(60, 10))
    code, out = gate("--metric", "accuracy")
    assert code == 1
    assert out.startswith("REGRESSION: table (recorded answers), 2 pass, 1 regression\n")
    assert gates.verdicts(out)["random", "accuracy"] == "REGRESSION"
    assert "-3.3 pp" in out


def test_a_dearer_router_is_a_regression(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", lambda c, s, m: np.where(c == "a", "d", c))
    code, out = gate("--metric", "cost")
    assert code == 1
    assert gates.verdicts(out)["random", "cost"] == "REGRESSION"


def test_what_the_data_cannot_decide_is_inconclusive(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", gates.flip(50, 50))
    code, out = gate("--metric", "accuracy")
    assert code == 4
    assert out.startswith("INCONCLUSIVE")
    assert "random accuracy: about " in out
    assert "queries would decide, there are 1,500" in out


@pytest.mark.parametrize(("policy", "code"), [("pass", 0), ("fail", 1), ("report", 4)])
def test_what_becomes_of_the_inconclusive(
    gate: Gate, candidate: Path, tmp_path: Path, policy: str, code: int
) -> None:
    gates.decide(candidate, "random", gates.flip(50, 50))
    assert gate("--metric", "accuracy", "--inconclusive", policy)[0] == code
    file = gates.rules(tmp_path, f'inconclusive = "{policy}"\nmetrics = ["accuracy"]')
    assert gate("--rules", file)[0] == code


def test_a_loss_within_the_margin_passes_however_certain(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", gates.flip(15, 0))
    assert gate("--metric", "accuracy", "--margin", "accuracy=.02")[0] == 0


def test_auto_margins_are_what_can_be_detected(gate: Gate, candidate: Path) -> None:
    gates.decide(candidate, "random", gates.flip(50, 50))
    code, out = gate("--metric", "accuracy", "--margin", "auto")
    assert code == 0
    assert "pp auto" in out
    assert "margin auto (accuracy, cost, reward): each margin is what that comparison" in out


# Comparability


@pytest.mark.parametrize("name", ["suite", "split", "outcomes", "judge", "pool"])
def test_a_hard_fingerprint_makes_it_invalid(gate: Gate, candidate: Path, name: str) -> None:
    gates.edit(candidate, lambda board: board["fingerprints"].update({name: "other"}))
    code, out = gate()
    assert code == 3
    assert out.startswith("INVALID")
    assert f"{name} differs: baseline" in out


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_an_invalid_run_makes_it_invalid(
    main: Main, candidate: Path, tmp_path: Path, side: str
) -> None:
    gates.edit(candidate, lambda board: board.update(valid=False, invalid_reason="half failed"))
    pair = [gates.baseline(), candidate]
    code, out, _ = main("gate", *(pair if side == "candidate" else pair[::-1]))
    assert code == 3
    assert f"the {side} is not a valid run: half failed" in out


def test_what_changed_is_listed_and_no_reason_to_fail(gate: Gate, candidate: Path) -> None:
    def change(board: dict[str, Any]) -> None:
        board["environment"]["device"] = "cuda:0"
        board["environment"]["blas"] = ["openblas 0.0.1 Prescott"]
        board["environment"]["packages"]["numpy"] = "9.9"
        row = next(row for row in board["rows"] if row["router"] == "random")
        row["options"] = {"temperature": 2}
        row["seeds"] = [0, 1]
        board["rows"][0]["fingerprint"] = "other"

    gates.edit(candidate, change)
    code, out = gate()
    assert code == 0
    said = [line.removeprefix("changed: ") for line in out.splitlines() if "changed: " in line]
    assert "device: cpu → cuda:0" in said
    assert any(line.startswith("numpy: ") and line.endswith("→ 9.9") for line in said)
    assert "random: temperature: None → 2" in said
    assert "random: seeds: 0 → 0, 1" in said
    assert any(": code: " in line for line in said)


def test_prices_that_differ_price_both_sides(main: Main, tmp_path: Path) -> None:
    data = Path(gates.__file__).parent / "data"
    text = (data / "prices.toml").read_text()
    (tmp_path / "twice.toml").write_text(
        "\n".join(
            f"{name} = {2 * float(value)}" if name.endswith("mtok") else line
            for line in text.splitlines()
            for name, _, value in [line.replace(" ", "").partition("=")]
        )
    )
    for name, prices in (("old", data / "prices.toml"), ("new", tmp_path / "twice.toml")):
        words = ("--prices", prices)
        gates.run(data / "outcomes.csv", tmp_path / name, "best-single", *words)
    code, out, _ = main("gate", tmp_path / "old", tmp_path / "new", "--json", tmp_path / "g.json")
    assert code == 0
    assert "prices differ: both sides are priced as the candidate" in out
    cost = json.loads((tmp_path / "g.json").read_text())["comparisons"][1]
    new = json.loads((tmp_path / "new" / "leaderboard.json").read_text())
    shown = new["rows"][0]["metrics"]["total_cost_per_1k"]["value"]
    assert cost["old"] == cost["new"] == pytest.approx(shown)


# What is missing


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_missing_router_fails(main: Main, candidate: Path, side: str) -> None:
    def drop(board: dict[str, Any]) -> None:
        board["rows"] = [row for row in board["rows"] if row["router"] != "random"]

    gates.edit(candidate, drop)
    pair = [gates.baseline(), candidate]
    code, out, _ = main("gate", *(pair if side == "candidate" else pair[::-1]))
    assert code == 1
    assert f"random: accuracy: missing from the {side}" in out
    assert main("gate", *pair, "--router", "best-single,random@other")[0] == 0


def test_a_router_that_failed_fails(gate: Gate, candidate: Path) -> None:
    def fail(board: dict[str, Any]) -> None:
        board["rows"][0].update(state="failed", message="out of memory")

    gates.edit(candidate, fail)
    code, out = gate()
    assert code == 1
    assert "failed in the candidate: out of memory" in out


def test_a_router_that_both_skipped_is_only_mentioned(main: Main, tmp_path: Path) -> None:
    def skip(board: dict[str, Any]) -> None:
        board["rows"][0].update(state="skipped", message="needs torch")

    folders = [gates.edit(gates.copied(tmp_path / name), skip) for name in ("a", "b")]
    code, out, _ = main("gate", *folders)
    assert code == 0
    assert "note: skipped: " in out


def test_a_missing_metric_fails(gate: Gate, candidate: Path) -> None:
    code, out = gate("--metric", "reward")
    assert code == 1
    assert "reward: this suite is measured by accuracy" in out
    gates.edit(candidate, lambda board: board.update(priced="unpriced"))
    cells = pq.read_table(candidate / "cells.parquet")
    gates.rewrite(candidate / "cells.parquet", cells.drop_columns(["cost_usd"]))
    code, out = gate()
    assert code == 1
    assert "cost: the candidate is unpriced" in out


# The baseline


def test_the_baseline_is_updated_only_when_asked(
    main: Main, candidate: Path, tmp_path: Path
) -> None:
    old = gates.copied(tmp_path / "old")
    gates.decide(candidate, "random", gates.flip(60, 10))
    (old / "scores.parquet").write_bytes(b"left over from another version")
    before = (old / "leaderboard.json").read_bytes()
    assert main("gate", old, candidate)[0] == 1
    assert (old / "leaderboard.json").read_bytes() == before
    code, out, _ = main("gate", old, candidate, "--update-baseline")
    assert code == 0
    assert "REGRESSION" in out
    assert "baseline updated: " in out
    for name in ("leaderboard.json", "decisions.parquet", "cells.parquet", "run.toml"):
        assert (old / name).read_bytes() == (candidate / name).read_bytes()
    assert not (old / "scores.parquet").exists()
    assert not list(tmp_path.glob(".old-*"))
    assert main("gate", old, candidate)[0] == 0


def test_an_invalid_gate_updates_nothing(main: Main, candidate: Path, tmp_path: Path) -> None:
    old = gates.copied(tmp_path / "old")
    gates.edit(candidate, lambda board: board["fingerprints"].update(suite="other"))
    before = {path.name: path.read_bytes() for path in old.iterdir() if path.is_file()}
    code, _, err = main("gate", old, candidate, "--update-baseline")
    assert code == 3
    assert "baseline not updated" in err
    assert {path.name: path.read_bytes() for path in old.iterdir() if path.is_file()} == before


# What a user gets wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--router", "randon"), "router 'randon' is on neither board"),
        (("--metric", "speed"), "--metric speed: no such metric"),
        (("--margin", "0.01"), "expected METRIC=VALUE"),
        (("--margin", "cost=much"), "margins.cost"),
        (("--rules", "nowhere.toml"), "there is no such file"),
        (("--junit", "no/such/folder.xml"), "cannot write no/such/folder.xml"),
    ],
)
def test_usage(gate: Gate, words: tuple[str, ...], said: str) -> None:
    code, out = gate(*words)
    assert code == 2
    assert said in out
    assert "Traceback" not in out


def test_a_run_that_is_none_and_one_that_was_changed(
    main: Main, gate: Gate, candidate: Path, tmp_path: Path
) -> None:
    code, _, err = main("gate", tmp_path / "nowhere", candidate)
    assert code == 2
    assert "nowhere" in err
    (candidate / "decisions.parquet").write_bytes(b"")
    code, out = gate()
    assert code == 2
    assert "decisions.parquet: not the file that the board was written with" in out


def test_a_candidate_that_is_the_baseline_is_not_copied(main: Main, candidate: Path) -> None:
    code, _, err = main("gate", candidate, candidate / "leaderboard.json", "--update-baseline")
    assert code == 2
    assert "the candidate is the baseline" in err


# What it is for


def test_a_twentieth_of_decisions_at_random_is_reported_with_the_flips(
    gate: Gate, candidate: Path, tmp_path: Path
) -> None:
    def twentieth(choice: Any, scores: Any, models: Any) -> Any:
        rng = np.random.default_rng(5)
        moved = rng.permutation(len(choice)) < 0.05 * len(choice)
        column = np.searchsorted(models.astype(str), choice.astype(str))
        other = models[(column + rng.integers(1, 4, len(choice))) % 4]
        return np.where(moved, other, choice)

    gates.decide(candidate, "random", twentieth)
    code, out = gate("--json", tmp_path / "gate.json")
    assert code in (0, 4)
    assert "random: 5.0% of decisions changed; " in out
    flips = json.loads((tmp_path / "gate.json").read_text())["flips"]
    assert [one["router"] for one in flips] == ["random"]
    assert flips[0]["changed"] == pytest.approx(0.05)
    assert len(flips[0]["largest"]) == 10
    assert all(abs(one["new_score"] - one["old_score"]) == 1 for one in flips[0]["largest"])
    assert len({one["query"] for one in flips[0]["largest"]}) == 10


def test_several_seeds_and_seeds_that_differ(main: Main, tmp_path: Path) -> None:
    outcomes = gates.baseline().parent / "outcomes.parquet"
    three = gates.run(outcomes, tmp_path / "three", "random", "--seeds", "3")
    other = gates.decide(
        gates.copied(tmp_path / "other", three), "random", lambda c, s, m: np.roll(c, 1)
    )
    code, out, _ = main("gate", three, other, "--metric", "accuracy")
    assert code == 4
    assert "random accuracy: about" in out
    code, out, _ = main("gate", gates.baseline(), three, "--router", "random")
    assert code in (1, 4)
    assert "random: seeds: 0 → 0, 1, 2" in out


def test_rewards_are_gated_where_users_differ(main: Main, tmp_path: Path) -> None:
    old = gates.run_suite("personaroute:5", tmp_path / "old", "random")

    def worst(choice: Any, scores: Any, models: Any) -> Any:
        return models[np.nan_to_num(scores, nan=1).argmin(axis=1)]

    new = gates.decide(gates.copied(tmp_path / "new", old), "random", worst)
    code, out, _ = main("gate", old, new)
    assert code == 1
    assert gates.verdicts(out) == {("random", "reward"): "REGRESSION"}
    assert "note: unpriced: cost is not gated" in out
    assert re.search(r"\(\d\) · persona-", out), "a flip names who asked"


@pytest.mark.slow
def test_a_router_made_worse_on_purpose_fails_on_the_embedded_suite(
    main: Main, tmp_path: Path
) -> None:
    words = ("--set", "knn@worse.k=2")
    old = gates.run_suite("simpleqa", tmp_path / "old", "best-single,knn,knn@worse", *words)
    new = gates.copied(tmp_path / "new", old)
    worse = gates.choices(new, "knn@worse")
    gates.decide(new, "knn", lambda choice, scores, models: worse)
    code, out, _ = main("gate", old, new)
    assert code == 1
    assert gates.verdicts(out)["knn", "accuracy"] == "REGRESSION"
    assert gates.verdicts(out)["best-single", "accuracy"] == "PASS"
    assert "note: the answers are simulated" in out


def test_the_run_of_these_tests_is_left_as_it_was() -> None:
    folder = gates.baseline()
    board = json.loads((folder / "leaderboard.json").read_text())
    for name, sha256 in board["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
