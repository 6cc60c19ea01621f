"""`routebench logs` and `routebench ope`: tiers, verdicts and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_worlds import World, events, write

Main = Callable[..., tuple[int, str, str]]


def evaluated(main: Main, file: Path, *words: Any) -> tuple[int, dict[str, Any]]:
    code, out, err = main("ope", file, "--json", *words)
    assert err == ""
    made: dict[str, Any] = json.loads(out)
    return code, made


def test_a_policy_with_support_is_estimated(main: Main, tmp_path: Path) -> None:
    file = events(tmp_path, World().records())
    code, made = evaluated(main, file, "--model", "small")
    assert (code, made["tier"], made["verdict"]) == (1, "T1", "regression")
    numbers = made["numbers"]
    assert {one["tier"] for one in numbers.values()} == {"T1"}
    assert numbers["quality"]["low"] < 0.6 < numbers["quality"]["high"]
    assert numbers["quality_snips"]["low"] < 0.6 < numbers["quality_snips"]["high"]
    assert numbers["cost"]["value"] == pytest.approx(0.001)
    logged = numbers["cost_logged"]["value"]
    saved = (logged - 0.001) * 6000 / made["days"] * 365.25 / 12
    assert numbers["saved_per_month"]["value"] == pytest.approx(saved)
    assert made["support"]["unsupported"] == 0
    assert made["support"]["largest_weight"] == pytest.approx(10)
    code, made = evaluated(main, file, "--model", "large")
    assert (code, made["verdict"]) == (0, "pass")
    code, made = evaluated(main, file, "--model", "mid", "--margin", "0.08")
    assert (code, made["verdict"]) == (4, "inconclusive")


def test_a_log_whose_chances_moved_has_its_times_shared_out(main: Main, tmp_path: Path) -> None:
    first, last = World(3000, (0.6, 0.3, 0.1)), World(3000, (0.9, 0.05, 0.05), seed=1)
    records = [*first.records(), *last.records()]
    for i, record in enumerate(records):
        record |= {"event": f"e{i}", "session": f"s{i}", "time": 1_772_000_000 + 400 * i}
    moved = evaluated(main, events(tmp_path, records), "--model", "mid")[1]
    (told,) = (note for note in moved["notes"] if "moved between" in note)
    assert re.search(r"moved between 5\.0% and 30\.0%.*root of that chance", told)
    assert any("are alike through the log" in one for one in moved["assumptions"])
    for record in records:
        del record["probabilities"]
    unknown = evaluated(main, events(tmp_path, records), "--model", "mid")[1]
    assert any("moved between" in note and "of 99.5%" in note for note in unknown["notes"])
    order = np.random.default_rng(0).permutation(len(records))
    for i, at in enumerate(order.tolist()):  # the same events, but no chance goes with the time
        records[at]["time"] = 1_772_000_000 + 400 * i
    plain = evaluated(main, events(tmp_path, records), "--model", "mid")[1]
    assert not any("moved between" in note for note in plain["notes"])

    def width(made: dict[str, Any]) -> float:
        quality = made["numbers"]["quality"]
        assert quality["low"] < 0.7 < quality["high"]
        return float(quality["high"] - quality["low"])

    # Normal quantiles of 99.5% and 95%; and √mean(1 / p) against 1 / mean(√p), p of .3 and .05.
    assert width(unknown) / width(plain) == pytest.approx(2.807 / 1.96, rel=0.12)
    assert width(moved) / width(plain) == pytest.approx(0.759, rel=0.12)


def test_another_mix_of_tasks_moves_no_chance(main: Main, tmp_path: Path) -> None:
    often, seldom = World(3000, (0.3, 0.6, 0.1)).records(), World(3000, (0.9, 0.05, 0.05)).records()
    records = [*often[:2700], *seldom[:300], *often[2700:], *seldom[300:]]
    for i, record in enumerate(records):
        task = "b" if record["probabilities"][0] == 0.9 else "a"
        record |= {"event": f"e{i}", "session": f"s{i}", "task": task}
        record["time"] = 1_772_000_000 + 400 * i
    made = evaluated(main, events(tmp_path, records), "--model", "mid")[1]
    assert made["tier"] == "T1"
    assert not any("moved between" in note for note in made["notes"])


def test_a_deterministic_logger_leaves_bounds(main: Main, tmp_path: Path) -> None:
    records = World(n=3000).records()
    for record in records:
        record |= {"propensity": None, "probabilities": None}
    code, made = evaluated(main, events(tmp_path, records), "--model", "large")
    assert (code, made["tier"]) == (4, "T2")
    quality, seen = made["numbers"]["quality"], [r["chosen"] == "large" for r in records]
    kept = sum(r["reward"] for r, same in zip(records, seen, strict=True) if same)
    assert quality["value"] is None
    assert quality["lowest"] == pytest.approx(kept / 3000)
    assert quality["highest"] == pytest.approx((kept + 3000 - sum(seen)) / 3000)
    difference = made["numbers"]["quality_difference"]
    lost = sum(r["reward"] for r, same in zip(records, seen, strict=True) if not same)
    assert difference["lowest"] == pytest.approx(-lost / 3000)
    assert made["numbers"]["quality_matched"]["value"] == pytest.approx(kept / sum(seen))
    assert made["numbers"]["quality_matched"]["tier"] == "T2"
    assert "T1 is refused: 0.0% of the events have a propensity" in made["notes"]


def test_propensities_that_do_not_fit_are_not_used(main: Main, tmp_path: Path) -> None:
    records = World(n=3000).records()
    for record in records:
        record |= {"propensity": 1 / 3, "probabilities": [1 / 3] * 3}
    _, made = evaluated(main, events(tmp_path, records), "--model", "small")
    assert made["tier"] == "T2"
    assert any("the propensities do not fit the choices" in note for note in made["notes"])


def test_too_few_events_against_the_habit_are_refused(main: Main, tmp_path: Path) -> None:
    records = World(n=1000, probabilities=(0.98, 0.01, 0.01)).records()
    _, made = evaluated(main, events(tmp_path, records), "--model", "small")
    assert made["tier"] == "T2"
    assert any("30 are needed" in note for note in made["notes"])


def test_choices_without_support_are_bounded(main: Main, tmp_path: Path) -> None:
    records = World().records()
    decisions = [{"event": r["event"], "model": "small"} for r in records]
    for at in range(0, 6000, 10):  # a tenth goes where the log could not
        decisions[at]["model"] = "unseen"
    file = write(tmp_path / "decisions.jsonl", decisions)
    _, made = evaluated(main, events(tmp_path, records), "--decisions", file)
    assert made["tier"] == "T1"
    quality = made["numbers"]["quality"]
    assert made["support"]["unsupported"] == pytest.approx(0.1)
    assert quality["highest"] - quality["lowest"] == pytest.approx(0.1)
    assert quality["lowest"] == pytest.approx(0.54, abs=0.04)


def test_a_few_choices_against_the_habit_are_bounded(main: Main, tmp_path: Path) -> None:
    records = World(n=2000, probabilities=(0.98, 0.01, 0.01)).records()
    models = ["small" if at % 20 == 0 else "large" for at in range(2000)]
    decisions = [{"event": f"e{at}", "model": model} for at, model in enumerate(models)]
    file = write(tmp_path / "decisions.jsonl", decisions)
    _, made = evaluated(main, events(tmp_path, records), "--decisions", file)
    assert made["tier"] == "T1"
    quality = made["numbers"]["quality"]
    assert quality["value"] is None
    assert quality["highest"] - quality["lowest"] == pytest.approx(0.05)
    assert quality["lowest"] == pytest.approx(0.76, abs=0.03)
    assert any("from the log's habit (5.0%)" in note for note in made["notes"])


def test_weights_that_do_not_reach_one_show_that_support_is_missing(
    main: Main, tmp_path: Path
) -> None:
    records = World().records()
    for at, record in enumerate(records):  # on every other request the large model alone
        record |= {"candidates": None, "probabilities": None}
        if at % 2:
            record |= {"chosen": "large", "propensity": 0.97}
    _, made = evaluated(main, events(tmp_path, records), "--model", "small")
    assert made["tier"] == "T2"
    wanted = (
        r"T1 is refused: the log could have chosen as the policy in (4|5)\d% of the events only"
    )
    assert any(re.fullmatch(wanted, note) for note in made["notes"]), made["notes"]


def test_missing_rewards_are_an_assumption_with_bounds(main: Main, tmp_path: Path) -> None:
    records = World().records()
    for record in records[::5]:
        record["reward"] = None
    _, made = evaluated(main, events(tmp_path, records), "--model", "large")
    assert any(text.startswith("20.0% of the rewards are missing") for text in made["assumptions"])
    worst, given = (made["numbers"][f"quality_difference{n}"] for n in ("_any_missing", ""))
    assert worst["low"] < given["low"] < given["high"] < worst["high"]


def test_without_rewards_there_is_the_cost_alone(main: Main, tmp_path: Path) -> None:
    records = World().records()
    for record in records:
        record |= {"reward": None}
    prices = tmp_path / "prices.toml"
    prices.write_text("[small]\ninput_usd_per_mtok = 1.0\noutput_usd_per_mtok = 1.0\n")
    file = events(tmp_path, records)
    code, made = evaluated(main, file, "--model", "small", "--prices", prices)
    assert (code, made["tier"]) == (4, "T0")
    assert made["reason"].startswith("cost only, quality unknown")
    assert {name for name in made["numbers"] if name.startswith("quality")} == set()
    assert {one["tier"] for one in made["numbers"].values()} == {"T0"}
    code, out, err = main("ope", file, "--model", "small", "--prices", prices)
    assert (code, err) == (4, "")
    assert "T0  saved a month" in out
    assert "INCONCLUSIVE (T0): cost only, quality unknown" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no policy: one policy is evaluated at a time"),
        (("--model", "a", "--decisions", "x"), "one policy is evaluated at a time"),
        (("--model", "a", "--point", "p"), "belong to --run"),
        (("--decisions", "none.csv"), "cannot be read"),
    ],
)
def test_wrong_usage(main: Main, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, _, err = main("ope", events(tmp_path, World(n=50).records()), *words)
    assert code == 2
    assert message in err


def test_rewards_of_another_scale_are_refused(main: Main, tmp_path: Path) -> None:
    records = World(n=100).records()
    for record in records:
        record["reward"] *= 5
    code, _, err = main("ope", events(tmp_path, records), "--model", "small")
    assert code == 2
    assert "rewards are outside [0, 1], the first one 5" in err
    assert "--reward-max" in err


def test_a_table_of_something_else_is_named(main: Main, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(b"PAR1 no")
    for words in (("logs", "doctor", other), ("ope", other, "--model", "a")):
        code, _, err = main(*words)
        assert code == 2
        assert "no Parquet file of events" in err


def test_the_doctor_prints_what_it_found(main: Main, tmp_path: Path) -> None:
    file = events(tmp_path, World(n=1200).records())
    code, out, err = main("logs", "doctor", file)
    assert (code, err) == (0, "")
    assert out.startswith("1,200 events, 1,200 of which a router chose, 400 sessions, 5.6 days\n")
    code, out, _ = main("logs", "doctor", file, "--json")
    assert json.loads(out)["tiers"]["T2"] == "yes: bounds"
