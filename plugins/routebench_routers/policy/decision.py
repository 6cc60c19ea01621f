"""From the policies' probabilities to a policy, at the point that validation supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from routebench.records import Floats, Ints, Strings, Table
from routebench_routers.hybrid.labels import Samples, threshold_for
from routebench_routers.policy.oracle import Oracle

_SPARE = 1.0
"""Standard errors of the drop that are kept to spare: what is chosen on validation looks better
there than it is."""


@dataclass(frozen=True)
class Drop:
    """The part of a threshold's options that `threshold_for` reads."""

    max_drop: float
    call_share: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Boundary:
    """The probability of policies for the medium model from which on one of them is decided.

    Below it one of those for the large model is; among each kind the most probable.
    """

    large: tuple[bool, ...] = ()
    """By label, whether its queries went to the large model when this was learned."""
    least: float | None = None

    @classmethod
    def learn(
        cls, share: Floats, large: Sequence[bool], samples: Samples, max_drop: float
    ) -> Boundary:
        """Return the boundary with the fewest queries for the large model that keeps the drop.

        `share` [n, k] are probabilities on the validation queries of `samples`, where both models'
        scores are known; `max_drop` is in percent of the large model's quality. No boundary where
        all labels go to one model.
        """
        if not len(share) or all(large) or not any(large):
            return cls()
        medium = share[:, ~np.array(large)].sum(axis=1)
        return cls(tuple(large), threshold_for(Drop(max_drop), medium, samples, _SPARE))

    def decide(self, share: Floats) -> Ints:
        """Return [n] the label decided for the policies' probabilities [n, k]."""
        assert self.least is not None
        large = np.array(self.large)
        for_medium = share[:, ~large].sum(axis=1) >= self.least
        among: Floats = np.where(for_medium[:, None] != large, share, -1.0)
        within: Ints = among.argmax(axis=1)
        return within

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any] | None) -> Boundary:
        """Return a boundary; of an older checkpoint, which has none, that of no boundary."""
        return cls(tuple(values["large"]), values["least"]) if values else cls()


def calibration(found: Floats, policy: Strings, labels: Sequence[str]) -> dict[str, Floats] | None:
    """Return weights and shifts that turn log-probabilities [n, k] into calibrated logits.

    It undoes the effect of `balance` on the probabilities. None where validation has one policy.
    """
    from sklearn.linear_model import LogisticRegression

    known = [label for label in labels if label in policy]
    if len(known) < 2:
        return None
    fitted = LogisticRegression(C=1.0).fit(found, policy)
    weight = np.zeros((len(labels), len(labels)))
    shift = np.full(len(labels), -30.0)
    rows = [list(labels).index(str(name)) for name in fitted.classes_]
    if len(known) == 2:  # sklearn has one row, of the second class against the first
        weight[rows[1]], shift[rows] = fitted.coef_[0], [0.0, fitted.intercept_[0]]
    else:
        weight[rows], shift[rows] = fitted.coef_, fitted.intercept_
    return {"weight": weight, "shift": shift}


def ceiling(
    table: Table, checked: Oracle, columns: dict[str, int], decided: dict[str, Ints]
) -> dict[str, str | float]:
    """Return mean scores on validation: of perfect labels, the pair alone, and what is decided.

    `columns` are the models of the policies; `decided` choices [rows of `checked`], by name.
    """
    perfect = np.array([columns[policy] for policy in checked.policy], dtype=np.int64)
    alone = {"medium_alone": checked.medium, "large_alone": checked.large}
    choices = {"perfect_labels": perfect, **decided}
    choices |= {name: np.full(len(checked), model) for name, model in alone.items()}
    score = table.outcomes.score
    values = {name: score[checked.rows, choice] for name, choice in choices.items()}
    return {
        f"validation_{name}": float(np.nanmean(reached))
        for name, reached in values.items()
        if np.isfinite(reached).any()
    }


def mean_scores(train: Table, found: Oracle, labels: Sequence[str]) -> Floats:
    """Return [k, 2] the mean scores of medium and large on training queries of each policy."""
    score = train.outcomes.score[found.rows][:, [found.medium, found.large]]
    rows = [score[found.policy == label].mean(axis=0) for label in labels]
    return np.array(rows if rows else [[0.0, 0.0]])
