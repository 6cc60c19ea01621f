"""The guards of the gate, through the command: what each says, and what its policy makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gates
import numpy as np
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


def test_collapse_fails_where_the_baseline_had_none(
    gate: Gate, candidate: Path, tmp_path: Path
) -> None:
    gates.decide(candidate, "random", lambda c, s, m: np.full_like(c, "d"))
    words = ("--metric", "accuracy")
    code, out = gate(*words)
    assert code == 1
    assert "FAIL collapse: random: collapse: 100.0% of queries go to d; it was 2" in out
    warned = gate(*words, "--rules", gates.rules(tmp_path, 'guards.collapse = "warn"'))
    assert warned[0] == 0
    assert "WARN collapse: random" in warned[1]
    assert "FAIL" not in gate(*words, old=candidate)[1]


def test_usage_drift_is_warned_of_failed_or_let_be(
    gate: Gate, candidate: Path, tmp_path: Path
) -> None:
    gates.decide(candidate, "random", lambda c, s, m: np.where(c <= "b", "d", c))
    words = ("--metric", "accuracy", "--inconclusive", "pass", "--rules")
    for policy, code in (("warn", 0), ("fail", 1), ("off", 0)):
        found, out = gate(*words, gates.rules(tmp_path, f'guards.drift = "{policy}"'))
        assert found == code
        assert (f"{policy.upper()} drift: random: usage drift 0." in out) is (policy != "off")


def test_failed_answers_fail_where_they_are_many(main: Main, tmp_path: Path) -> None:
    folders = [
        gates.lose_cells(gates.copied(tmp_path / name), "d", share)
        for name, share in (("a", 20), ("b", 20))
    ]
    code, out, _ = main("gate", *folders, "--router", "best-single")
    assert code == 1
    assert "FAIL missing: best-single: 5.3% of its decisions are for answers that failed" in out
    limit = gates.rules(tmp_path, "guards.missing.limit = 0.06")
    assert main("gate", *folders, "--router", "best-single", "--rules", limit)[0] == 0


def test_a_router_that_loses_to_an_easy_reference(
    gate: Gate, candidate: Path, tmp_path: Path
) -> None:
    def worst(choice: Any, scores: Any, models: Any) -> Any:
        return models[np.where(scores[:, 3] == 0, 3, scores.argmin(axis=1))]

    gates.decide(candidate, "random@other", worst)
    words = ("--metric", "cost", "--margin", "cost=10")
    code, out = gate(*words)
    assert code == 0
    assert "WARN references: random@other: loses to random: -0." in out
    assert "loses to best-single" not in out, "it is cheaper than that one"
    code, _ = gate(*words, "--rules", gates.rules(tmp_path, 'guards.references.policy = "fail"'))
    assert code == 1
    code, out = gate(*words, "--rules", gates.rules(tmp_path, 'guards.references = "off"'))
    assert "references" not in out


def test_references_are_known_without_their_rows(main: Main, tmp_path: Path) -> None:
    run = gates.copied(tmp_path / "run")
    gates.decide(run, "random@other", lambda c, s, m: m[3 - s[:, ::-1].argmin(axis=1)])

    def drop(board: dict[str, Any]) -> None:
        board["rows"] = [row for row in board["rows"] if row["router"] == "random@other"]

    gates.edit(run, drop)
    code, out, _ = main("gate", run, run)
    assert code == 0
    assert "loses to random" in out


def test_latency_is_only_warned_of(gate: Gate, candidate: Path) -> None:
    def slow(board: dict[str, Any]) -> None:
        board["timing"]["routers"]["random"]["latency_ms_p95"] = 50.0
        board["timing"]["routers"]["random@other"]["latency_ms_p95"] += 0.9
        board["environment"]["machine"] = "other"

    gates.edit(candidate, slow)
    code, out = gate()
    assert code == 0
    assert "WARN latency: random: p95 latency" in out
    assert "→ 50.0 ms (another machine)" in out
    assert "latency: random@other" not in out, "less than a millisecond"
