"""What a log holds, what is wrong with it, and which questions it can answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from routebench.records import Floats, Mask
from routebench.traffic import events
from routebench.traffic.changes import delayed, drifts, logger_changes
from routebench.traffic.evaluate import REWARDED
from routebench.traffic.event_log import LoggedEvents, read_log
from routebench.traffic.propensities import NEAR_ZERO, harmonic, misfits, near_zero
from routebench.traffic.supported import LOGGED

SHARES = {
    "text": "query", "query_hash": "query_hash", "session": "session", "time": "time",
    "task": "task", "chosen": "chosen", "candidates": "candidates", "propensity": "propensity",
    "reward": "reward", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    "cost": "cost_usd", "error": "error",
}  # fmt: skip
"""Columns whose known shares are told, by the word for them."""
_MOST_TOKENS = 1e7


@dataclass(frozen=True, slots=True)
class LogFinding:
    """Something of a log that one should know before one believes what it says."""

    code: str
    text: str
    trap: bool = True
    """Whether it makes estimates wrong, not only wide."""


@dataclass(frozen=True)
class Diagnosis:
    """What a log holds and allows."""

    events: int
    routed: int
    sessions: int
    models: dict[str, float]
    """Share of the routed events by model."""
    days: float | None
    shares: dict[str, float]
    rewarded: dict[str, float]
    """Share of known rewards by model."""
    findings: tuple[LogFinding, ...]
    tiers: dict[str, str]
    """By tier, `yes`, or why not."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema_version": 1, **asdict(self)}


def diagnose(path: Path) -> Diagnosis:
    """Read a table of events, and say what it can be used for."""
    shares, total, twice = _columns(path)
    log = read_log(path)
    given = ~np.isnan(log.numbers["reward"])
    size = len(log.models)
    n = np.maximum(np.bincount(log.chosen, minlength=size), 1)
    used = np.bincount(log.chosen, minlength=size) > 0
    rewarded = np.bincount(log.chosen, given, size) / n
    findings = [
        *_left_out(log, twice, total),
        *_usage(log),
        *_rewards(log, given, rewarded[used]),
        *_propensities(log),
        *(LogFinding("logger-changed", text, trap=False) for text in logger_changes(path, log)),
        *(LogFinding("delayed-rewards", text) for text in delayed(log, given)),
        *(LogFinding("drift", text, trap=False) for text in drifts(log)),
    ]
    return Diagnosis(
        events=total,
        routed=len(log),
        sessions=len(np.unique(log.session)),
        models=_by_model(log, np.bincount(log.chosen, minlength=size) / len(log), used),
        days=log.days,
        shares=shares,
        rewarded=_by_model(log, rewarded, used),
        findings=tuple(findings),
        tiers=_tiers(log, given, findings),
    )


def _by_model(log: LoggedEvents, values: Floats, used: Mask) -> dict[str, float]:
    return {m: float(v) for m, v, u in zip(log.models, values, used, strict=True) if u}


def _columns(path: Path) -> tuple[dict[str, float], int, int]:
    """Return the shares of known values, the events, and those whose query came before."""
    shares, total = {}, 0
    for word, name in SHARES.items():
        column = events.read(path, [name])[name]  # one at a time: texts are long
        total = len(column)
        shares[word] = 1.0 - column.null_count / max(total, 1)
        if name == "query_hash":
            again = total - column.null_count - pc.count_distinct(column).as_py()
    return shares, total, again


def _left_out(log: LoggedEvents, again: int, total: int) -> list[LogFinding]:
    found = []
    for why, n in log.left_out.items():
        code = {"the event is there twice": "duplicates"}.get(why, "left-out")
        found.append(LogFinding(code, f"{n:,} events are left out: {why}", trap=False))
    if again > 0.05 * total:
        text = f"{again:,} events ask what another one asked: cluster them by session"
        found.append(LogFinding("repeated-queries", text, trap=False))
    return found


def _usage(log: LoggedEvents) -> list[LogFinding]:
    given, came = log.numbers["input_tokens"], log.numbers["output_tokens"]
    cached, thinking = log.numbers["cached_tokens"], log.numbers["reasoning_tokens"]
    cost = log.numbers["cost_usd"]
    wrong = {
        "more cached tokens than the prompt has": cached > given,
        "more tokens of reasoning than the output has": thinking > came,
        "negative tokens": (given < 0) | (came < 0) | (cached < 0) | (thinking < 0),
        "a negative cost": cost < 0,
        "tokens, but a cost of 0": (cost == 0) & (given + came > 0) & ~(cached >= given),
        "over ten million tokens": (given > _MOST_TOKENS) | (came > _MOST_TOKENS),
        "an answer without a prompt": (given == 0) & (came > 0),
    }
    return [
        LogFinding("impossible-usage", f"{int(rows.sum()):,} events have {what}")
        for what, rows in wrong.items()
        if rows.any()
    ]


def _rewards(log: LoggedEvents, given: Mask, rewarded: Floats) -> list[LogFinding]:
    found, reward = [], log.numbers["reward"]
    out = int(((reward < 0) | (reward > 1)).sum())
    if out:
        found.append(LogFinding("reward-range", f"{out:,} rewards are outside [0, 1]"))
    if given.any() and not given.all():
        if given.sum() >= 100 and reward[given].min() > 0:
            text = "no known reward is 0, and some are missing: are zeros written at all?"
            found.append(LogFinding("no-zero-rewards", text))
        if len(rewarded) > 1 and np.ptp(rewarded) > 0.1:
            text = (
                f"rewards are known for {rewarded.min():.0%} of one model's events and"
                f" {rewarded.max():.0%} of another's: who gives them?"
            )
            found.append(LogFinding("uneven-rewards", text, trap=False))
    return found


def _propensities(log: LoggedEvents) -> list[LogFinding]:
    found = [
        LogFinding(
            "propensities-do-not-fit",
            f"{one.where}: {one.observed:.2%} of the events, expected {one.expected:.2%}",
        )
        for one in misfits(log)[:3]
    ]
    if (odd := harmonic(log)) is not None:
        text = f"{odd.where} is {odd.observed:.3g}, at most {odd.expected:g} can be"
        found.append(LogFinding("propensities-do-not-fit", text))
    near = near_zero(log)
    if near.any():
        share = float((1 / np.maximum(log.propensity[near], 1e-12)).sum() / len(log))
        text = (
            f"{int(near.sum()):,} events were chosen with a probability below {NEAR_ZERO:g};"
            f" they would speak for {share:.0%} of all"
        )
        found.append(LogFinding("near-zero-propensities", text))
    bad = (log.propensity <= 0) | (log.propensity > 1 + 1e-9)
    if bad.any():
        text = f"{int(bad.sum()):,} propensities are not in (0, 1]"
        found.append(LogFinding("propensities-do-not-fit", text))
    return found


def _tiers(log: LoggedEvents, given: Mask, findings: list[LogFinding]) -> dict[str, str]:
    """Return which questions can be answered, and why others cannot."""
    known = ~np.isnan(log.propensity)
    priced = ~np.isnan(log.numbers["input_tokens"]) & ~np.isnan(log.numbers["output_tokens"])
    rewards = int(given.sum())
    no_rewards = f"no: {rewards:,} rewards, {REWARDED} are needed"
    unfit = any(one.code == "propensities-do-not-fit" for one in findings)
    if rewards < REWARDED:
        first = no_rewards
    elif known.mean() < LOGGED:
        first = f"no: {known.mean():.1%} of the events have a propensity"
    elif (log.propensity[known] >= 1.0 - 1e-9).all():
        first = "no: the log never explores"
    elif unfit:
        first = "no: the propensities do not fit the choices"
    else:
        first = "yes, where the log did what the policy would: ope says how much that is"
    return {
        "T0": "yes" if priced.mean() > 0.5 else f"no: {priced.mean():.0%} have token counts",
        "T1": first,
        "T2": "yes: bounds" if rewards >= REWARDED else no_rewards,
    }
