"""Logs of a logger that learns from rewards: its times are shared out, and all worlds count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from routebench.traffic.evaluate import evaluate
from routebench.traffic.event_log import NUMBERS, LoggedEvents
from routebench.traffic.supported import moved, steadied
from routebench.traffic.target import TargetPolicy

MODELS = ("large", "mid", "small")
WORTH = np.array([[0.75, 0.6, 0.3], [0.5, 0.55, 0.2]])
"""Mean reward by task and model."""


def a_log(chance: np.ndarray, rng: np.random.Generator, task: np.ndarray) -> LoggedEvents:
    """Return a log whose models were drawn with chances [n, 3]."""
    n = len(task)
    chosen = (rng.random((n, 1)) > chance.cumsum(axis=1)).sum(axis=1).clip(max=2)
    reward = (rng.random(n) < WORTH[task, chosen]).astype(float)
    return LoggedEvents(
        models=MODELS, chosen=chosen, probability=chance, session=np.arange(n), task=task,
        tasks=("a", "b"), time=1_772_000_000.0 + 400 * np.arange(n),
        query_hash=pa.nulls(n, pa.string()), event=pa.nulls(n, pa.string()),
        failed=np.zeros(n, bool), order=np.arange(n),
        numbers=dict.fromkeys(NUMBERS, np.full(n, np.nan))
        | {"reward": reward, "propensity": chance[np.arange(n), chosen]},
    )  # fmt: skip


def learned(n: int, rng: np.random.Generator) -> LoggedEvents:
    """Return a log of Thompson sampling by task, which learns every 150 requests."""
    task = rng.integers(0, 2, n)
    won, lost = np.ones((2, 3)), np.ones((2, 3))
    parts = []
    for start in range(0, n, 150):
        of = task[start : start + 150]
        best = rng.beta(won, lost, (500, 2, 3)).argmax(axis=2)
        chance = np.stack([np.bincount(best[:, t], minlength=3) / 500 for t in (0, 1)])
        parts.append(a_log(chance[of], rng, of))
        at, y = (of, parts[-1].chosen), parts[-1].numbers["reward"]
        np.add.at(won, at, y)
        np.add.at(lost, at, 1 - y)
    whole = a_log(np.concatenate([one.probability for one in parts]), rng, task)
    whole.chosen[:] = np.concatenate([one.chosen for one in parts])
    for name in ("reward", "propensity"):
        whole.numbers[name][:] = np.concatenate([one.numbers[name] for one in parts])
    return whole


def test_times_count_by_the_root_of_the_chance() -> None:
    chance = np.repeat([[0.5, 0.25, 0.25], [0.9, 0.0625, 0.0375], [1.0, 0.0, 0.0]], 640, axis=0)
    log = a_log(chance, np.random.default_rng(0), np.zeros(1920, np.int64))
    share = steadied(log, np.full(1920, 1), np.ones(1920, bool))
    assert share is not None
    # 64 windows of 30: the one of both chances has their harmonic mean.
    assert share[:630] == pytest.approx(share[0])
    assert share[0] / share[700] == pytest.approx(2.0)
    assert (share[1290:] == 0).all()
    assert share.mean() == pytest.approx(1.0)
    never = steadied(log, np.where(np.arange(1920) < 1280, 1, 2), np.arange(1920) >= 1280)
    assert never is not None
    assert np.isnan(never[1280:]).all()
    log.probability[5, 1] = np.nan
    assert steadied(log, np.full(1920, 1), np.ones(1920, bool)) is None


def test_a_habit_that_stays_has_not_moved() -> None:
    rng = np.random.default_rng(1)
    chance = np.where(rng.random((6000, 1)) < 0.02, [[0.02, 0.96, 0.02]], [[0.96, 0.02, 0.02]])
    log = a_log(chance, rng, rng.integers(0, 2, 6000))
    assert all(moved(log, np.full(6000, model)) is None for model in range(3))


@pytest.mark.slow
def test_intervals_hold_the_truth_in_all_worlds_of_a_logger_that_learns() -> None:
    held: list[bool] = []
    width: list[float] = []
    truth, worlds = WORTH[:, 1].mean(), 200
    for seed in range(worlds):
        log = learned(3000, np.random.default_rng(seed))
        made = evaluate(log, TargetPolicy("mid", np.full(3000, 1), 0), resamples=400)
        quality = made.numbers["quality"]
        if quality.value is not None:
            assert quality.low is not None
            assert quality.high is not None
            held.append(quality.low <= truth <= quality.high)
            width.append(quality.high - quality.low)
    # Given in most worlds; were all events alike, in one of ten: those where the model was lucky.
    assert len(held) >= 0.6 * worlds
    assert np.mean(held) >= 0.89  # 95% less three standard errors
    assert np.mean(width) < 0.2
