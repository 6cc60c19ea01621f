"""Changes in the course of a log: another logger, drift, and rewards that are still to come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.records import Floats, Ints, Mask
from routebench.traffic import events
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.propensities import PERIODS, periods

_CUTS = 100
"""Places in time at which a change is looked for."""
_JUMP = 0.05
"""Half the sum of the changes of models' shares from which on a change is told."""
_SURE = 6.0
"""Standard errors."""


def logger_changes(path: Path, log: LoggedEvents) -> Iterator[str]:
    """Say when the policy that chose became another one, by its version or by its choices."""
    column = events.read(path, ["policy_version"])["policy_version"].take(pa.array(log.order))
    encoded = pc.dictionary_encode(column.combine_chunks())
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    if len(names) > 1:
        firsts = np.unique(codes[codes >= 0], return_index=True)[1]
        rows = np.flatnonzero(codes >= 0)[firsts]
        told = ", ".join(f"{names[codes[r]]} from {_date(log.time[r])}" for r in sorted(rows)[:5])
        yield f"{len(names)} versions of the policy: {told}"
        return
    at, jump = _largest_jump(_exploring(log) if _explores(log) else _taken(log))
    if jump > _JUMP:
        yield f"the models' shares change by {jump:.0%} at {_date(log.time[at])}: another policy?"


def _explores(log: LoggedEvents) -> bool:
    return not np.isnan(log.probability).any()


def _exploring(log: LoggedEvents) -> Floats:
    """Return [n, k] the sorted probabilities: how much is explored, whatever was asked."""
    return np.sort(log.probability, axis=1)[:, ::-1]


def _taken(log: LoggedEvents) -> Floats:
    taken = np.zeros((len(log), len(log.models)))
    taken[np.arange(len(log)), log.chosen] = 1.0
    return taken


def _largest_jump(values: Floats) -> tuple[int, float]:
    """Return where the means before and after differ most, and by how much in all; 0 by chance."""
    n = len(values)
    if n < 10 * _CUTS:
        return 0, 0.0
    cuts = np.linspace(0, n, _CUTS + 2)[6:-6].astype(int)
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    before = total[cuts] / cuts[:, None]
    after = (total[-1] - total[cuts]) / (n - cuts)[:, None]
    error = values.std(axis=0) * np.sqrt(1 / cuts + 1 / (n - cuts))[:, None]
    gap = np.abs(after - before)
    jump = gap.sum(axis=1) / 2
    sure = (gap > _SURE * np.maximum(error, 1e-12)).any(axis=1)
    best = int(np.where(sure, jump, 0).argmax())
    return int(cuts[best]), float(jump[best]) if sure[best] else 0.0


def delayed(log: LoggedEvents, given: Mask) -> Iterator[str]:
    """Say whether the last events lack rewards that earlier ones have: they may still come."""
    n = len(log)
    if n < 1000 or not given.any() or given.all():
        return
    when = periods(log)
    share = np.bincount(when, given, PERIODS) / np.maximum(np.bincount(when, minlength=PERIODS), 1)
    usual = float(np.median(share[:-1]))
    error = np.sqrt(max(usual * (1 - usual), 1e-6) / (n / PERIODS))
    if usual - share[-1] > max(_SURE * error, 0.2 * usual):
        first = _date(log.time[int(np.flatnonzero(when == PERIODS - 1)[0])])
        yield (
            f"{share[-1]:.0%} of the last tenth (from {first}) have rewards, {usual:.0%} of the"
            " others: some are still to come"
        )


def drifts(log: LoggedEvents) -> Iterator[str]:
    """Say what changed from the first half of the time to the second."""
    n = len(log)
    if n < 1000:
        return
    late = np.arange(n) >= n // 2
    for name, word in (("input_tokens", "the prompts"), ("output_tokens", "the outputs")):
        values = np.log1p(np.maximum(log.numbers[name], 0))
        gap, z = _gap(values, late)
        if abs(gap) > 0.1 and z > _SURE:
            yield f"{word} are {np.exp(gap) - 1:+.0%} longer in the second half"
    if len(log.tasks) > 2:
        mix = np.stack([np.bincount(log.task[rows], minlength=len(log.tasks)) / rows.sum()
                        for rows in (~late, late)])  # fmt: skip
        moved = float(np.abs(mix[1] - mix[0]).sum() / 2)
        if moved > 0.05 and moved > _SURE * np.sqrt(len(log.tasks) / n):
            yield f"{moved:.0%} of the tasks are others in the second half"
    yield from _rewards(log, late)


def _rewards(log: LoggedEvents, late: Mask) -> Iterator[str]:
    for at, model in enumerate(log.models):
        rows: Ints = np.flatnonzero(log.chosen == at)
        gap, z = _gap(log.numbers["reward"][rows], late[rows])
        if abs(gap) > 0.02 and z > _SURE:
            yield f"rewards of {model} change by {gap:+.3f} in the second half"


def _gap(values: Floats, late: Mask) -> tuple[float, float]:
    """Return the mean of the late values less that of the early, and its standard errors."""
    known = ~np.isnan(values)
    first, second = values[known & ~late], values[known & late]
    if min(len(first), len(second)) < 50:
        return 0.0, 0.0
    gap = float(second.mean() - first.mean())
    error = float(np.sqrt(first.var() / len(first) + second.var() / len(second)))
    return gap, abs(gap) / max(error, 1e-12)


def _date(seconds: float) -> str:
    if np.isnan(seconds):
        return "an unknown time"
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d %H:%M")
