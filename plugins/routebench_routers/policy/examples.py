"""Training examples of the policy model: labels, reasons and preferences, from an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from routebench.data.texts import text_hash
from routebench.records import Floats, Ints, Table
from routebench_routers.language.prompts import Prompts
from routebench_routers.policy.cues import reasoning
from routebench_routers.policy.oracle import Oracle

Balance = Literal["none", "sqrt", "full"]
REASONING = "\nReasoning:"
"""Text after a label that asks for the reason."""


@dataclass(frozen=True)
class Lessons:
    """Training queries with the labels of their policies, for policies that occur in training."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    """Policies that occur, in the order of the model's labels."""
    label: Ints
    """[n] index into `labels`."""

    @classmethod
    def of(cls, table: Table, oracle: Oracle, labels: Sequence[str]) -> Lessons:
        """Build from a table and its oracle, sorted by text to be independent of the row order."""
        known = [
            (str(table.queries.text[row]), labels.index(policy))
            for row, policy in zip(oracle.rows, oracle.policy, strict=True)
            if policy in labels
        ]
        known.sort()
        label = np.array([one for _, one in known], dtype=np.int64)
        return cls(tuple(text for text, _ in known), tuple(labels), label)

    def __len__(self) -> int:
        return len(self.texts)

    def shares(self) -> Floats:
        """Return [k] the share of each label."""
        found: Floats = np.bincount(self.label, minlength=len(self.labels)) / max(1, len(self))
        return found

    def weighted(self, balance: Balance) -> list[tuple[str, int, float]]:
        """Return every query with its label and weight."""
        weight = self._weight(balance) / np.maximum(self.shares(), 1e-9)
        return [
            (text, int(label), float(weight[label]))
            for text, label in zip(self.texts, self.label, strict=True)
        ]

    def _weight(self, balance: Balance) -> Floats:
        """Return [k] the share of each label among the examples taught."""
        power = {"none": 0.0, "sqrt": 0.5, "full": 1.0}[balance]
        shares = self.shares()
        with np.errstate(divide="ignore"):
            weight = np.where(shares > 0, shares ** (1 - power), 0.0)
        balanced: Floats = weight / weight.sum()
        return balanced

    def passes(self, count: int, balance: Balance, rng: np.random.Generator) -> list[Ints]:
        """Return row numbers of `count` passes of n rows each, with rarer labels more often.

        `sqrt` makes a label as frequent as the square root of its share, `full` all equally.
        """
        wanted = np.floor(len(self) * self._weight(balance)).astype(int)
        wanted[wanted.argmax()] += len(self) - wanted.sum()
        own = [np.flatnonzero(self.label == one) for one in range(len(self.labels))]
        found = []
        for _ in range(count):
            rows = [_draw(rows, n, rng) for rows, n in zip(own, wanted, strict=True) if n]
            found.append(rng.permutation(np.concatenate(rows)))
        return found


def supervised(
    lessons: Lessons,
    passes: Sequence[Ints],
    prompts: Prompts,
    answers: Sequence[str],
    reasons: bool,
) -> list[dict[str, str]]:
    """Return examples of prompt and label, and of label and reason for the first pass's rows.

    The reasons are spread over all passes, so that these have equal lengths.
    """
    first = passes[0] if reasons and passes else np.zeros(0, dtype=np.int64)
    parts = np.array_split(first, len(passes)) if passes else []
    size = min((len(part) for part in parts), default=0)
    rows = []
    for own, part in zip(passes, parts, strict=True):
        rows += [_labelled(lessons, int(row), prompts, answers) for row in own]
        rows += [_reasoned(lessons, int(row), prompts, answers) for row in part[:size]]
    return rows


def any_reasons(lessons: Lessons, answers: Sequence[str], seed: int) -> list[str]:
    """Return, for every query, a policy drawn at random with the reason for that policy.

    An embedded model is pretrained on these texts, which do not reveal the right policy.
    """
    drawn = np.random.default_rng([seed, 3]).integers(len(lessons.labels), size=len(lessons))
    return [
        f"{answers[one]}{REASONING} {reasoning(text, lessons.labels[one])}"
        for text, one in zip(lessons.texts, drawn, strict=True)
    ]


def preferences(
    lessons: Lessons,
    rows: Ints,
    prompts: Prompts,
    answers: Sequence[str],
    rng: np.random.Generator,
) -> list[dict[str, str]]:
    """Return examples of a prompt, the right label and a wrong one drawn among the others."""
    found = []
    for row in rows:
        right = int(lessons.label[row])
        wrong = (right + int(rng.integers(1, len(lessons.labels)))) % len(lessons.labels)
        found.append(
            _traced(lessons, int(row))
            | {
                "prompt": prompts.of([lessons.texts[row]])[0],
                "chosen": answers[right],
                "rejected": answers[wrong],
                "rejected_policy": lessons.labels[wrong],
            }
        )
    return found


def _labelled(
    lessons: Lessons, row: int, prompts: Prompts, answers: Sequence[str]
) -> dict[str, str]:
    prompt = prompts.of([lessons.texts[row]])[0]
    return _traced(lessons, row) | {"prompt": prompt, "completion": answers[lessons.label[row]]}


def _reasoned(
    lessons: Lessons, row: int, prompts: Prompts, answers: Sequence[str]
) -> dict[str, str]:
    own = _labelled(lessons, row, prompts, answers)
    said = reasoning(lessons.texts[row], own["policy"])
    return own | {"prompt": own["prompt"] + own["completion"] + REASONING, "completion": f" {said}"}


def _traced(lessons: Lessons, row: int) -> dict[str, str]:
    """Return the fields that identify the query of a row in a training file."""
    text = lessons.texts[row]
    policy = lessons.labels[lessons.label[row]]
    return {"text_sha256": text_hash(text), "query": text, "policy": policy}


def _draw(rows: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Draw n of the rows, each equally often except for the remainder."""
    whole = np.tile(rows, n // len(rows))
    rest: Ints = np.concatenate([whole, rng.choice(rows, n % len(rows), replace=False)])
    return rest
