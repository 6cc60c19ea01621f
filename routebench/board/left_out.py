"""Test queries that no row is scored on, as a model that somebody chose has no answer there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.metrics.setting import RouterChoices, Setting, scorable


def left_out(setting: Setting, routed: Sequence[RouterChoices]) -> str:
    """Return who chose models without a usable answer, and the best single model without that."""
    rows, ok = np.arange(len(setting.best_single)), setting.outcomes.ok
    kept = scorable(setting, list(routed))
    if kept.all():
        return ""
    choices = {f"reference {name.replace('_', ' ')}": c for name, c in setting.fixed.items()}
    choices |= {one.name: one.choice for one in routed}
    lost = {
        name: int((~np.atleast_2d(ok[rows, choice]).all(axis=0)).sum())
        for name, choice in choices.items()
    }
    most = sorted((name for name in lost if lost[name]), key=lambda name: (-lost[name], name))
    usable = ok[rows, setting.best_single]
    score = setting.outcomes.score[rows, setting.best_single]
    with_them, without = score[usable].mean(), score[kept].mean()
    form = "{:.3f}" if setting.measure == "reward" else "{:.1%}"
    reason = f"where a chosen model has no usable answer ({_counts(lost, most)})"
    if any(one.asked is not None for one in routed):
        reason = "which not every model answered, or whose text another one has"
    return (
        f"{int((~kept).sum()):,} of {len(kept):,} test queries are left out of all rows, {reason}:"
        f" best single has {form.format(without)} without them, {form.format(with_them)} on all"
        " that it answered"
    )


def _counts(lost: dict[str, int], names: Sequence[str]) -> str:
    return ", ".join(f"{name}: {lost[name]:,}" for name in names)
