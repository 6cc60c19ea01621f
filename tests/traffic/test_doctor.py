"""`logs doctor`: traps are named, and a sound log has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_worlds import MODELS, World, events

from routebench.traffic.doctor import Diagnosis, diagnose

Record = dict[str, Any]


def found(tmp_path: Path, records: list[Record]) -> Diagnosis:
    return diagnose(events(tmp_path, records))


def codes(made: Diagnosis) -> set[str]:
    return {one.code for one in made.findings}


def test_a_sound_log(tmp_path: Path) -> None:
    made = found(tmp_path, World().records())
    assert made.findings == ()
    assert (made.events, made.routed, made.sessions) == (6000, 6000, 2000)
    assert made.days == pytest.approx(400 * 5999 / 86400)
    assert made.shares["reward"] == 1.0
    assert made.shares["error"] == 0.0
    assert made.models["large"] == pytest.approx(0.8, abs=0.02)
    assert made.tiers["T0"] == "yes"
    assert made.tiers["T1"].startswith("yes")
    assert made.tiers["T2"] == "yes: bounds"


def each(change: Callable[[int, Record], None]) -> list[Record]:
    records = World().records()
    for i, record in enumerate(records):
        change(i, record)
    return records


def as_uniform(i: int, record: Record) -> None:
    record |= {"propensity": 1 / 3, "probabilities": None}


def changed_unnoticed(i: int, record: Record) -> None:
    if i >= 3000:  # the second half is drawn from other probabilities than are logged
        record["chosen"] = MODELS[i % 3]
        record["propensity"] = (0.8, 0.1, 0.1)[i % 3]


def near_zero(i: int, record: Record) -> None:
    record["probabilities"] = [0.9998, 0.0001, 0.0001]
    record |= {"chosen": "mid", "propensity": 0.0001} if i == 7 else {
        "chosen": "large", "propensity": 0.9998}  # fmt: skip


def late(i: int, record: Record) -> None:
    if i > 5500:
        record["reward"] = None


def only_likes(i: int, record: Record) -> None:
    record["reward"] = record["reward"] or None


def cached(i: int, record: Record) -> None:
    record["cached_tokens"] = 101 if i == 5 else 0


def free(i: int, record: Record) -> None:
    if i == 5:
        record["cost_usd"] = 0.0


def percent(i: int, record: Record) -> None:
    record["reward"] *= 100


def too_much(i: int, record: Record) -> None:
    record["probabilities"] = [0.8, 0.1, 0.2]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (as_uniform, "propensities-do-not-fit"),
        (changed_unnoticed, "propensities-do-not-fit"),
        (too_much, "propensities-do-not-fit"),
        (near_zero, "near-zero-propensities"),
        (late, "delayed-rewards"),
        (only_likes, "no-zero-rewards"),
        (cached, "impossible-usage"),
        (free, "impossible-usage"),
        (percent, "reward-range"),
    ],
)
def test_traps_are_named(tmp_path: Path, change: Callable[[int, Record], None], code: str) -> None:
    made = found(tmp_path, each(change))
    assert code in {one.code for one in made.findings if one.trap}
    if code == "propensities-do-not-fit":
        assert made.tiers["T1"] == "no: the propensities do not fit the choices"


def test_a_logger_that_changed_is_named_with_its_time(tmp_path: Path) -> None:
    first, second = World().records(), World(probabilities=(0.5, 0.25, 0.25), seed=1).records()
    made = found(tmp_path, first[:3000] + second[3000:])
    (text,) = [one.text for one in made.findings if one.code == "logger-changed"]
    assert "2026-03-11" in text
    assert "propensities-do-not-fit" not in codes(made)  # each was logged as it was drawn
    versioned = each(lambda i, r: r.update(policy_version="v1" if i < 3000 else "v2"))
    (text,) = [one.text for one in found(tmp_path, versioned).findings]
    assert text == "2 versions of the policy: v1 from 2026-02-25 06:13, v2 from 2026-03-11 03:33"


def test_drift_is_told(tmp_path: Path) -> None:
    made = found(tmp_path, each(lambda i, r: r.update(input_tokens=100 if i < 3000 else 150)))
    assert [one.text for one in made.findings] == ["the prompts are +50% longer in the second half"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    records = World(n=3000).records()
    records += [dict(records[0]), records[1] | {"event": "n", "routed": "false"}]
    made = found(tmp_path, [*records, {"event": "z", "session": "s"}])
    assert (made.events, made.routed) == (3003, 3000)
    told = {one.text for one in made.findings}
    assert "1 events are left out: the event is there twice" in told
    assert "1 events are left out: a client named the model" in told
    assert "1 events are left out: the model is not known" in told


def test_what_a_log_without_rewards_or_exploration_can_answer(tmp_path: Path) -> None:
    bare = found(tmp_path, each(lambda i, r: r.update(reward=None)))
    assert bare.tiers["T1"] == bare.tiers["T2"] == "no: 0 rewards, 30 are needed"
    certain = each(lambda i, r: r.update(propensity=1.0, probabilities=None))
    assert found(tmp_path, certain).tiers["T1"] == "no: the log never explores"
    alone = each(lambda i, r: r.update(probabilities=None, candidates=None, propensity=0.01))
    assert "propensities-do-not-fit" in codes(found(tmp_path, alone))
    assert np.isclose(bare.shares["propensity"], 1.0)
