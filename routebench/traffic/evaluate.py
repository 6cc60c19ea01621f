"""Evaluate a policy on a log at the highest tier that the log allows, and decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from routebench.comparison.schema import EXIT_CODES
from routebench.errors import DataError
from routebench.prices.lists import ModelPrice
from routebench.records import Floats, Ints, Mask
from routebench.traffic import estimators
from routebench.traffic.estimators import Estimated, OutcomeBounds, PolicyEstimate
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.propensities import NEAR_ZERO
from routebench.traffic.reprice import costs, reprice
from routebench.traffic.result import MONTH, Number, OffPolicyResult
from routebench.traffic.supported import LOGGED, MOVED, moved, refusal, support_of, supported
from routebench.traffic.target import TargetPolicy

REWARDED = 30
"""Fewer rewards than that say nothing."""
PAID = 150
"""Effective number of events, against the log's habit, that must say what the policy costs."""
SEEN, UNSEEN = 5, 0.001
"""At most this share of the policy's choices may be models matched fewer times than that."""
_USD, _SHARE = "USD per request", "reward in [0, 1]"


@dataclass
class Known:
    """What has been found out so far."""

    resamples: int = estimators.RESAMPLES
    beyond: float = estimators.BEYOND
    """Probability beyond each end of an estimate's interval."""
    share: Floats | None = None
    """[n] what each event counts for, where the log's chances moved; else one."""
    numbers: dict[str, Number] = field(default_factory=dict)
    support: dict[str, float] = field(default_factory=dict)
    clipped: tuple[dict[str, float], ...] = ()
    assumptions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, rows: Mask) -> Floats | None:
        """Return the shares of some of the events."""
        return None if self.share is None else self.share[rows]


def evaluate(
    log: LoggedEvents,
    policy: TargetPolicy,
    prices: Mapping[str, ModelPrice] | None = None,
    lengths: Mapping[str, float] | None = None,
    margin: float = 0.01,
    note: str = "",
    resamples: int = estimators.RESAMPLES,
) -> OffPolicyResult:
    """Say what a policy would have cost and reached on the log's requests.

    `note` says where the prices are from.

    Raises:
        DataError: rewards outside [0, 1], or no request of which the policy's choice is known.
    """
    decided = policy.choice >= 0
    if not decided.any():
        raise DataError(f"{policy.label}: of no request is known what it would have chosen")
    left_out = dict(log.left_out)
    if not decided.all():
        left_out["what the policy would have chosen is not known"] = int((~decided).sum())
    log, target = subset(log, decided), policy.choice[decided]
    reward = _rewards(log)
    cost = costs(log, prices or {})
    known = Known(resamples)
    rewards = int((~np.isnan(reward)).sum())
    if rewards < REWARDED:
        tier, verdict = "T0", "inconclusive"
        reason = f"cost only, quality unknown: {rewards:,} rewards, {REWARDED} are needed"
    elif (refused := refusal(log, target, reward)) is None:
        tier = "T1"
        difference = _with_propensities(log, target, reward, cost, known)
        verdict, reason = decide(difference, margin)
    else:
        tier = "T2"
        known.notes.append(refused)
        verdict, reason = decide(_without_propensities(log, target, reward, known), margin)
    if "cost_difference" not in known.numbers:
        _repriced(log, target, cost, prices or {}, lengths or {}, known)
    _saved(log, known)
    if note:
        known.notes.append(note)
    return OffPolicyResult(
        policy=policy.label,
        tier=tier,
        verdict=verdict,
        reason=reason,
        margin=margin,
        events=len(log),
        sessions=len(np.unique(log.session)),
        days=log.days,
        left_out=left_out,
        numbers=known.numbers,
        support=known.support,
        clipped=known.clipped,
        assumptions=tuple(known.assumptions),
        notes=tuple(known.notes),
    )


def exit_code(result: OffPolicyResult) -> int:
    """Return the exit code of the verdict, as the gate has it."""
    return EXIT_CODES[result.verdict]


def subset(log: LoggedEvents, rows: Mask) -> LoggedEvents:
    """Return the log with some of its events."""
    if rows.all():
        return log
    where = pa.array(np.flatnonzero(rows))
    return replace(
        log,
        chosen=log.chosen[rows],
        probability=log.probability[rows],
        session=np.unique(log.session[rows], return_inverse=True)[1],
        task=log.task[rows],
        time=log.time[rows],
        failed=log.failed[rows],
        order=log.order[rows],
        query_hash=log.query_hash.take(where),
        event=log.event.take(where),
        numbers={name: values[rows] for name, values in log.numbers.items()},
    )


def decide(difference: Number, margin: float) -> tuple[str, str]:
    """Return the verdict and why: as the gate's, on the policy's quality less the log's."""
    low, high = difference.low, difference.high
    best = difference.value if difference.highest is None else difference.highest
    what = "quality" if difference.lowest is None else "quality, whatever nobody saw,"
    if low is not None and low > -margin:
        return "pass", f"{what} falls by less than {margin:g}"
    if high is not None and best is not None and high < 0 and best <= -margin:
        return "regression", f"{what} falls by {margin:g} or more"
    words = "the data cannot say whether quality falls by more than"
    return "inconclusive", f"{words} {margin:g}"


def _rewards(log: LoggedEvents) -> Floats:
    reward = log.numbers["reward"]
    out = ~np.isnan(reward) & ((reward < 0) | (reward > 1))
    if out.any():
        value = float(reward[out][0])
        raise DataError(
            f"{int(out.sum()):,} rewards are outside [0, 1], the first one {value:g}",
            "logs import --reward-max N divides them",
        )
    return reward


def strata_of(log: LoggedEvents) -> Ints:
    """Return [n] the task and the fifth of the prompt's length."""
    length = log.numbers["input_tokens"]
    known = ~np.isnan(length)
    fifth = np.full(len(log), 5)
    if known.any():
        ends = np.quantile(length[known], [0.2, 0.4, 0.6, 0.8])
        fifth[known] = np.searchsorted(ends, length[known])
    return np.asarray(log.task * 6 + fifth)


def _estimated(
    log: LoggedEvents, target: Ints, outcome: Floats, rows: Mask, known: Known
) -> PolicyEstimate:
    chosen, aimed, session = log.chosen[rows], target[rows], log.session[rows]
    weight = estimators.weights(chosen, aimed, log.propensity[rows])
    own, other = estimators.predicted(
        outcome[rows], chosen, strata_of(log)[rows], session, len(log.models), aimed
    )
    return estimators.estimate(
        outcome[rows], weight, own, other, session, resamples=known.resamples,
        beyond=known.beyond, share=known.of(rows), skewed=known.share is not None,
    )  # fmt: skip


def _with_propensities(
    log: LoggedEvents, target: Ints, reward: Floats, cost: Floats, known: Known
) -> Number:
    rows = ~np.isnan(log.propensity) & ~np.isnan(reward)
    reached, why, known.share = supported(log, target, rows)
    seen = support_of(log, target, rows, known.share)
    known.support = {
        "matched": seen.matched,
        "matched_rare": seen.rare,
        "effective": seen.effective,
        "effective_rare": seen.effective_rare,
        "largest_weight": seen.largest_weight,
        "largest_share": seen.largest_share,
        "unsupported": seen.unsupported,
    }
    if known.share is not None:
        known.assumptions.append(
            "requests of a task, and what models reach on them, are alike through the log"
        )
        known.notes.append(f"{moved(log, target)}: its times count by the root of that chance")
    elif (shifted := moved(log, target)) is not None:
        known.beyond = MOVED
        known.notes.append(f"{shifted}: intervals are of 99.5%")
    made = _estimated(log, target, reward, rows, known)
    add = known.numbers.__setitem__
    add("quality_logged", _number("T1", _SHARE, made.logged))
    add("quality_snips", _number("T1", _SHARE, made.snips))
    known.clipped = tuple(
        {"clip": clip, "value": one.value, "low": one.low, "high": one.high}
        for clip, one in made.clipped
    )
    if near := int((log.propensity[rows & (log.chosen == target)] < NEAR_ZERO).sum()):
        known.notes.append(f"{near:,} events that count had a propensity below {NEAR_ZERO:g}")
    known.support["unsupported"] = float((~reached[rows]).mean())
    if why:
        known.notes.append(why)
    if not reached[rows].all():
        difference = _partly(log, target, reward, rows, reached, known)
    else:
        add("quality", _number("T1", _SHARE, made.policy))
        difference = _number("T1", _SHARE, made.difference)
    add("quality_difference", difference)
    if reached[rows].all():
        estimate_cost(log, target, cost, rows, known)
    known.assumptions.append("the logged propensities are those the choices were drawn with")
    _missing(log, target, reward, rows, known)
    return difference


def estimate_cost(log: LoggedEvents, target: Ints, cost: Floats, rows: Mask, known: Known) -> None:
    """Estimate the policy's cost, where enough requests say what it would be."""
    priced = rows & ~np.isnan(cost)
    if priced.sum() < LOGGED * rows.sum():
        return
    chosen, aimed, session = log.chosen[priced], target[priced], log.session[priced]
    weight = estimators.weights(chosen, aimed, log.propensity[priced])
    own, other = estimators.predicted(
        cost[priced], chosen, strata_of(log)[priced], session, len(log.models), aimed
    )
    share = known.of(priced)
    worth = estimators.cost_support(cost[priced], weight, own, share)
    seen = np.bincount(aimed[weight > 0], minlength=len(log.models))
    unseen = float((seen < SEEN)[aimed].mean())
    if unseen > UNSEEN:
        few = f"models of {unseen:.1%} of the policy's choices were hardly seen"
        known.notes.append(f"{few}: the cost is re-priced")
        return
    if worth < PAID:
        short = f"the policy's cost hangs on {worth:.0f} effective events ({PAID} are needed)"
        known.notes.append(f"{short}: re-priced")
        return
    paid = estimators.estimate(
        cost[priced], weight, own, other, session, resamples=known.resamples, skewed=True,
        beyond=known.beyond, share=share,
    )  # fmt: skip
    add = known.numbers.__setitem__
    add("cost_logged", _number("T1", _USD, paid.logged))
    add("cost", _number("T1", _USD, paid.policy))
    add("cost_difference", _number("T1", _USD, paid.difference))
    add("cost_snips", _number("T1", _USD, paid.snips))


def _partly(
    log: LoggedEvents, target: Ints, reward: Floats, rows: Mask, reached: Mask, known: Known
) -> Number:
    """Return bounds: estimated where the log reaches the policy, [0, 1] where it does not."""
    chosen, aimed, y = log.chosen[rows], target[rows], reward[rows]
    session, reached = log.session[rows], reached[rows]
    weight = estimators.weights(chosen, aimed, log.propensity[rows])
    own, other = estimators.predicted(
        y, chosen, strata_of(log)[rows], session, len(log.models), aimed
    )
    term = other + weight * (y - own)
    if known.share is not None:
        term *= known.share[rows]
    lower, upper = np.where(reached, term, 0.0), np.where(reached, term, 1.0)
    known.numbers["quality"] = _bounded(
        "T1", estimators.bounds(lower, upper, session, known.resamples)
    )
    known.notes.append(
        f"{1 - reached.mean():.1%} of the policy's choices have no support: bounds, no estimate"
    )
    return _bounded("T1", estimators.bounds(lower - y, upper - y, session, known.resamples))


def _missing(log: LoggedEvents, target: Ints, reward: Floats, rows: Mask, known: Known) -> None:
    """Say what is assumed of missing rewards, and how far they might move the difference."""
    share = float(np.isnan(reward).mean())
    if share == 0:
        return
    known.assumptions.append(
        f"{share:.1%} of the rewards are missing, and those are like the others of the same"
        " model: a log cannot show that they are not"
    )
    asked = ~np.isnan(log.propensity)
    gain = estimators.weights(log.chosen, target, log.propensity)[asked] - 1.0
    y = reward[asked]
    lower = np.where(np.isnan(y), np.minimum(gain, 0.0), gain * np.nan_to_num(y))
    upper = np.where(np.isnan(y), np.maximum(gain, 0.0), gain * np.nan_to_num(y))
    made = estimators.bounds(lower, upper, log.session[asked], known.resamples)
    known.numbers["quality_difference_any_missing"] = _bounded("T1", made)


def _without_propensities(log: LoggedEvents, target: Ints, reward: Floats, known: Known) -> Number:
    same, given = log.chosen == target, ~np.isnan(reward)
    filled = np.nan_to_num(reward)
    seen = same & given
    add = known.numbers.__setitem__
    logged = estimators.bounds(filled[given], filled[given], log.session[given])
    add("quality_logged", Number("T2", _SHARE, logged.lowest, logged.low, logged.high))
    if seen.any():
        part = estimators.bounds(filled[seen], filled[seen], log.session[seen])
        add("quality_matched", Number("T2", _SHARE, part.lowest, part.low, part.high))
    known.support = {
        "matched": float(same.sum()),
        "unsupported": float((~same).mean()),
    }
    lower, upper = np.where(seen, filled, 0.0), np.where(seen, filled, 1.0)
    add("quality", _bounded("T2", estimators.bounds(lower, upper, log.session, known.resamples)))
    least = np.where(same, 0.0, np.where(given, -filled, -1.0))
    most = np.where(same, 0.0, np.where(given, 1.0 - filled, 1.0))
    difference = _bounded("T2", estimators.bounds(least, most, log.session, known.resamples))
    add("quality_difference", difference)
    known.assumptions.append(
        "rewards lie in [0, 1]; the same model on the same request has the same"
    )
    return difference


def _repriced(
    log: LoggedEvents,
    target: Ints,
    cost: Floats,
    prices: Mapping[str, ModelPrice],
    lengths: Mapping[str, float],
    known: Known,
) -> None:
    made = reprice(log, target, cost, prices, lengths)
    if made is None:
        known.notes.append(
            "cost unknown: it needs prices, tokens, and the lengths of the policy's models"
            " (--prices FILE, --lengths RUN)"
        )
        return
    add = known.numbers.__setitem__
    add("cost_logged", _number("T0", _USD, made.logged))
    add("cost", _number("T0", _USD, made.per_event))
    add("cost_difference", _number("T0", _USD, made.difference))
    if made.unpriced > 0:
        known.notes.append(f"{made.unpriced:.1%} of the requests could not be priced: left out")
    known.assumptions.append(
        "re-pricing: a request's output has the length it had times the ratio of the models' mean"
        " lengths, its prompt as many tokens"
    )


def _saved(log: LoggedEvents, known: Known) -> None:
    change = known.numbers.get("cost_difference")
    if change is None or log.days is None:
        return
    a_month = len(log) / log.days * MONTH
    known.numbers["saved_per_month"] = Number(
        change.tier,
        "USD per month",
        *(None if v is None else -v * a_month for v in (change.value, change.high, change.low)),
    )
    if log.days < 7:
        known.notes.append(f"the log spans {log.days:.1f} days: a month may be otherwise")


def _number(tier: str, unit: str, made: Estimated) -> Number:
    return Number(tier, unit, made.value, made.low, made.high)


def _bounded(tier: str, made: OutcomeBounds) -> Number:
    return Number(tier, _SHARE, None, made.low, made.high, made.lowest, made.highest)
