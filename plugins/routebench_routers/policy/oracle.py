"""Grades of two models on queries, and the policy of each pair of grades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routebench.data.texts import text_hash
from routebench.errors import DataError, OptionError
from routebench.plugin.selection import best, covered
from routebench.records import (
    Codes,
    Floats,
    Grade,
    Ints,
    Mask,
    Outcomes,
    Pool,
    Strings,
    SuiteData,
    Table,
)

if TYPE_CHECKING:
    import pyarrow as pa

POLICIES = ("standard", "complex", "ambiguous")
"""The medium model suffices; the large one is needed; neither is reliably right."""

GRADES = (Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED)
MATRIX: Mapping[tuple[Grade, Grade], str] = {
    (Grade.CORRECT, Grade.CORRECT): "standard",
    (Grade.CORRECT, Grade.INCORRECT): "standard",
    (Grade.CORRECT, Grade.NOT_ATTEMPTED): "standard",
    (Grade.INCORRECT, Grade.CORRECT): "complex",
    (Grade.INCORRECT, Grade.INCORRECT): "ambiguous",
    (Grade.INCORRECT, Grade.NOT_ATTEMPTED): "complex",
    (Grade.NOT_ATTEMPTED, Grade.CORRECT): "complex",
    (Grade.NOT_ATTEMPTED, Grade.INCORRECT): "ambiguous",
    (Grade.NOT_ATTEMPTED, Grade.NOT_ATTEMPTED): "ambiguous",
}
"""The policy of each cell (grade of the medium model, grade of the large one)."""

RIGHT = 0.5
"""Minimum score for an answer without a grade to count as correct."""
HALF = 0.5
"""Maximum cost of a medium model found in training, as a share of the large one's."""

_NAMING = "name both models of the pair: medium and large"


@dataclass(frozen=True)
class Oracle:
    """The policies of n queries, derived from the grades of two models."""

    rows: Ints
    """[n] row numbers in the table: the queries that both models have a usable answer to."""
    medium: int
    """Column of the medium model in the pool."""
    large: int
    """Column of the large model in the pool."""
    medium_grade: Codes
    """[n] a `Grade` each, never `NONE`."""
    large_grade: Codes
    """[n] a `Grade` each, never `NONE`."""
    policy: Strings
    """[n] out of `POLICIES`."""

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self) -> dict[tuple[str, str], int]:
        """Count the queries of each of the nine cells, by medium and large grade."""
        found = Counter(zip(self.medium_grade.tolist(), self.large_grade.tolist(), strict=True))
        return {(Grade(m).name, Grade(g).name): found[int(m), int(g)] for m, g in MATRIX}

    def distribution(self) -> dict[str, float]:
        """Return the share of the queries by policy; all 0 without a query."""
        found = Counter(self.policy.tolist())
        return {policy: found[policy] / max(len(self), 1) for policy in POLICIES}

    def accuracy(self) -> tuple[float, float]:
        """Return the shares that the medium and the large model answer correctly.

        Both are NaN without a query.
        """
        both = (self.medium_grade, self.large_grade)
        right = [float((g == Grade.CORRECT).mean()) if len(g) else float("nan") for g in both]
        return right[0], right[1]


def grades(outcomes: Outcomes, model: int) -> Codes:
    """Return [n] a `Grade` for every answer of a model; `NONE` for one that is not usable.

    Where an answer has a score only, .5 and more is correct and less is incorrect.
    """
    ok, score = outcomes.ok[:, model], outcomes.score[:, model]
    right = np.nan_to_num(score) >= RIGHT
    made = np.where(right, Grade.CORRECT, Grade.INCORRECT).astype(np.int8)
    if outcomes.grade is not None:
        given = outcomes.grade[:, model]
        made = np.where(given == Grade.NONE, made, given)
    found: Codes = np.where(ok, made, Grade.NONE).astype(np.int8)
    return found


def oracle(table: Table | SuiteData, medium: int, large: int) -> Oracle:
    """Determine the policy of every query that both models have a usable answer to."""
    both = grades(table.outcomes, medium), grades(table.outcomes, large)
    usable = (both[0] != Grade.NONE) & (both[1] != Grade.NONE)
    rows = np.flatnonzero(usable)
    cells = zip(both[0][rows], both[1][rows], strict=True)
    policy = np.array([MATRIX[Grade(m), Grade(g)] for m, g in cells], dtype=object)
    return Oracle(rows, medium, large, both[0][rows], both[1][rows], policy)


def lacks(pool: Pool, priced: bool, medium: str | None, large: str | None) -> str | None:
    """Return why a run cannot have a medium and a large model, or None.

    Raises:
        OptionError: a named model that is not in the pool, or the same one twice.
    """
    if len(pool) < 2:
        return f"needs two models: this pool has {pool.models[0]} only"
    named = _named(pool, medium, large)
    if None in named and not priced:
        names = "--set NAME.medium=MODEL --set NAME.large=MODEL"
        return f"needs prices, or both models by name: {names}"
    return None


def choose_pair(
    pool: Pool, outcomes: Outcomes, medium: str | None = None, large: str | None = None
) -> tuple[int, int]:
    """Return the columns of the medium and the large model.

    Each is the named one, else the one that the suite declares (small, large), else found in
    training. Large is then the most accurate model but for the cheapest, the dearer of equals.
    Medium is the most accurate of those that cost at most half of it, the cheaper of equals; the
    cheapest where none does. Models without a score on half of the queries are not considered.

    Raises:
        OptionError: one model only, an unknown one, the same one twice, or neither prices nor
            names.
    """
    if len(pool) < 2:
        raise OptionError(f"medium: there is no second model beside {pool.models[0]}", _NAMING)
    first, second = _named(pool, medium, large)
    if first is not None and second is not None:
        return first, second
    cost, accuracy = outcomes.mean_cost(), outcomes.mean_score()
    if cost is None:
        lost = "medium" if first is None else "large"
        raise OptionError(f"{lost}: not named, and without prices it cannot be found", _NAMING)
    known = covered(outcomes.ok) & np.isfinite(cost) & np.isfinite(accuracy)
    if second is None:
        second = _large(pool, cost, accuracy, known, first)
    if first is None:
        first = _medium(pool, cost, accuracy, known, second)
    return first, second


def to_table(
    found: Oracle,
    table: Table | SuiteData,
    keys: Sequence[str] | Strings | None = None,
    ids: Sequence[str] | Strings | None = None,
) -> pa.Table:
    """Return a table with one row per query of an oracle: texts, models, grades, policy.

    `keys` and `ids` [n] are the suite's, of all rows of `table`. Without them a query is
    identified by the hash of its text, as in a run's `cells.parquet`.
    """
    import pyarrow as pa

    rows, pool = found.rows, table.pool
    texts = [str(text) for text in table.queries.text[rows]]
    names = [[Grade(g).name for g in own] for own in (found.medium_grade, found.large_grade)]
    known = {"query": keys, "query_id": ids}
    columns: dict[str, list[str]] = {
        name: [str(values[row]) for row in rows]
        for name, values in known.items()
        if values is not None
    }
    columns |= {
        "text_sha256": [text_hash(text) for text in texts],
        "text": texts,
        "medium": [pool.models[found.medium]] * len(rows),
        "large": [pool.models[found.large]] * len(rows),
        "medium_grade": names[0],
        "large_grade": names[1],
        "cell": [f"{m}/{g}" for m, g in zip(*names, strict=True)],
        "policy": found.policy.tolist(),
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _named(pool: Pool, medium: str | None, large: str | None) -> tuple[int | None, int | None]:
    """Return the columns of the models that options name or, without them, the suite declares."""
    found: list[int | None] = []
    for option, named, declared in (
        ("medium", medium, pool.small),
        ("large", large, pool.large),
    ):
        name = named or declared
        found.append(None if name is None else pool.index(name, option))
    if found[0] is not None and found[0] == found[1]:
        raise OptionError(f"medium: {pool.models[found[0]]} is the large model too", _NAMING)
    return found[0], found[1]


def _large(pool: Pool, cost: Floats, accuracy: Floats, known: Mask, medium: int | None) -> int:
    # The cheapest model cannot be the large one: no model would be cheaper.
    known = known.copy()
    known[_cheapest(cost, known, pool) if medium is None else medium] = False
    _some(known, "large", pool)
    return int(best(np.where(known, accuracy, np.nan)[None, :], -cost)[0])


def _medium(pool: Pool, cost: Floats, accuracy: Floats, known: Mask, large: int) -> int:
    others = known.copy()
    others[large] = False
    _some(others, "medium", pool)
    with np.errstate(invalid="ignore"):
        affordable = others & (cost <= HALF * cost[large])
    if not affordable.any():
        return _cheapest(cost, others, pool)
    return int(best(np.where(affordable, accuracy, np.nan)[None, :], cost)[0])


def _cheapest(cost: Floats, known: Mask, pool: Pool) -> int:
    _some(known, "medium", pool)
    return int(best(np.where(known, -cost, np.nan)[None, :], None)[0])


def _some(known: Mask, option: str, pool: Pool) -> None:
    if not known.any():
        models = ", ".join(pool.models)
        raise DataError(
            f"{option}: none of {models} can be taken: too few training queries with score and "
            "cost",
            _NAMING,
        )
