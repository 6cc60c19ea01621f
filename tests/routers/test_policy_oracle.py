"""The oracle: nine cells, the pair, and the table of what it was made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import small_table

from routebench.data.texts import text_hash
from routebench.errors import DataError, OptionError
from routebench.records import Grade, Outcomes, Pool, State, Table
from routebench_routers.policy.oracle import (
    GRADES,
    MATRIX,
    POLICIES,
    choose_pair,
    grades,
    lacks,
    oracle,
    to_table,
)

C, I, N = GRADES  # noqa: E741
NAN = float("nan")


def graded(*cells: tuple[int, int]) -> Table:
    """Two models with these grades; None for a cell that is not OK."""
    grade = np.array(cells, dtype=np.int8)
    table = small_table(np.where(grade == Grade.CORRECT, 1.0, 0.0), cost=[1.0, 3.0])
    outcomes = Outcomes(table.outcomes.score, table.outcomes.state, table.outcomes.cost, grade)
    return Table(table.queries, outcomes, table.pool)


@pytest.mark.parametrize(
    ("medium", "large", "policy"),
    [
        (C, C, "standard"),
        (C, I, "standard"),
        (C, N, "standard"),
        (I, C, "complex"),
        (I, I, "ambiguous"),
        (I, N, "complex"),
        (N, C, "complex"),
        (N, I, "ambiguous"),
        (N, N, "ambiguous"),
    ],
)
def test_every_cell_has_its_policy(medium: Grade, large: Grade, policy: str) -> None:
    found = oracle(graded((medium, large)), 0, 1)
    assert found.policy.tolist() == [policy]
    counts = found.counts()
    assert len(counts) == 9
    assert counts.pop((medium.name, large.name)) == 1
    assert set(counts.values()) == {0}
    # The two columns are not alike: swapped, the cell is another one.
    assert oracle(graded((large, medium)), 1, 0).policy.tolist() == [policy]


def test_the_matrix_is_whole() -> None:
    assert set(MATRIX) == {(m, g) for m in GRADES for g in GRADES}
    assert set(MATRIX.values()) == set(POLICIES)


def test_scores_stand_in_for_grades() -> None:
    table = small_table([[0.5, 0.49], [0.49, 0.5], [0.0, 0.0], [NAN, 1.0], [1.0, NAN]])
    assert grades(table.outcomes, 0).tolist() == [C, I, I, Grade.NONE, C]
    found = oracle(table, 0, 1)
    assert found.rows.tolist() == [0, 1, 2]
    assert found.policy.tolist() == ["standard", "complex", "ambiguous"]
    assert found.accuracy() == pytest.approx((1 / 3, 1 / 3))
    assert found.distribution() == pytest.approx(dict.fromkeys(POLICIES, 1 / 3))


def test_a_cell_that_is_not_ok_has_no_grade() -> None:
    table = graded((C, C), (I, C), (N, C))
    state = table.outcomes.state.copy()
    state[0, 1], state[1, 0] = State.FAILED, State.UNPRICED
    outcomes = Outcomes(table.outcomes.score, state, None, table.outcomes.grade)
    assert oracle(Table(table.queries, outcomes, table.pool), 0, 1).rows.tolist() == [2]


def test_an_empty_oracle_divides_by_nothing() -> None:
    found = oracle(small_table([[NAN, 1.0]]), 0, 1)
    assert len(found) == 0
    assert set(found.counts().values()) == {0}
    assert found.distribution() == dict.fromkeys(POLICIES, 0.0)
    assert np.isnan(found.accuracy()).all()
    assert to_table(found, small_table([[NAN, 1.0]])).num_rows == 0


def test_the_table_leads_back_to_the_queries() -> None:
    table = small_table([[1, 0], [NAN, 1], [0, 1]], ["one", "two", "Drei  "])
    made = to_table(oracle(table, 0, 1), table, ["k0", "k1", "k2"], ["i0", "i1", "i2"])
    assert made.to_pylist() == [
        {
            "query": "k0",
            "query_id": "i0",
            "text_sha256": text_hash("one"),
            "text": "one",
            "medium": "a",
            "large": "b",
            "medium_grade": "CORRECT",
            "large_grade": "INCORRECT",
            "cell": "CORRECT/INCORRECT",
            "policy": "standard",
        },
        {
            "query": "k2",
            "query_id": "i2",
            "text_sha256": text_hash("drei"),
            "text": "Drei  ",
            "medium": "a",
            "large": "b",
            "medium_grade": "INCORRECT",
            "large_grade": "CORRECT",
            "cell": "INCORRECT/CORRECT",
            "policy": "complex",
        },
    ]
    assert "query" not in to_table(oracle(table, 0, 1), table).column_names


def pair(accuracy: list[float], cost: list[float], **named: Any) -> tuple[str, str]:
    n = 20
    score = [[float(i < round(a * n)) for a in accuracy] for i in range(n)]
    small, large = named.pop("declared", (None, None))
    table = small_table(score, cost=cost, small=small, large=large)
    found = choose_pair(table.pool, table.outcomes, **named)
    return table.pool.models[found[0]], table.pool.models[found[1]]


@pytest.mark.parametrize(
    ("accuracy", "cost", "expected"),
    [
        ([0.2, 0.5, 0.9], [1, 5, 10], ("b", "c")),  # half the price still counts
        ([0.2, 0.5, 0.9], [1, 5.1, 10], ("a", "c")),  # a little more does not
        ([0.5, 0.5, 0.9], [2, 1, 10], ("b", "c")),  # of equals the cheaper is medium
        ([0.2, 0.9, 0.9], [1, 8, 10], ("a", "c")),  # of equals the dearer is large
        ([0.2, 0.9, 0.3], [1, 8, 10], ("a", "b")),  # the dearest need not be the best
        ([0.9, 0.5, 0.3], [1, 8, 10], ("a", "b")),  # the cheapest is the best of all
        ([0.9, 0.5], [6, 8], ("a", "b")),  # none costs half: the cheapest
        ([0.9, 0.5], [8, 8], ("a", "b")),  # all alike: the name
    ],
)
def test_the_pair_is_found_by_price_and_accuracy(
    accuracy: list[float], cost: list[float], expected: tuple[str, str]
) -> None:
    assert pair(accuracy, cost) == expected


def test_names_come_before_what_the_suite_declares() -> None:
    facts: tuple[list[float], list[float]] = [0.2, 0.5, 0.9], [1, 5, 10]
    assert pair(*facts, declared=("a", "b")) == ("a", "b")
    assert pair(*facts, declared=("a", "b"), large="c") == ("a", "c")
    assert pair(*facts, medium="c", large="a") == ("c", "a")
    assert pair(*facts, large="b") == ("a", "b")
    assert pair(*facts, medium="c") == ("c", "b")


def test_a_lucky_model_with_few_answers_is_not_taken() -> None:
    score = np.tile([0.0, 0.0, NAN], (20, 1))
    score[:12, 1], score[:3, 2] = 1.0, 1.0
    table = small_table(score, cost=[1, 10, 20])
    assert choose_pair(table.pool, table.outcomes) == (0, 1)


@pytest.mark.parametrize(
    ("named", "message", "hint"),
    [
        ({"medium": "z"}, "medium: no model 'z' in this pool", "known: a, b, c"),
        ({"large": "z"}, "large: no model 'z' in this pool", "known: a, b, c"),
        ({"medium": "b", "large": "b"}, "medium: b is the large model too", "name both"),
        ({"declared": ("b", None), "large": "b"}, "medium: b is the large model too", "name both"),
    ],
)
def test_a_pair_that_cannot_be(named: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(OptionError) as raised:
        pair([0.1, 0.2, 0.3], [1, 2, 3], **named)
    assert raised.value.message == message
    assert hint in raised.value.hint


def test_what_a_pool_must_have() -> None:
    one = small_table([[1.0]], cost=[1.0])
    with pytest.raises(OptionError, match="no second model beside a"):
        choose_pair(one.pool, one.outcomes)
    assert lacks(one.pool, True, None, None) == "needs two models: this pool has a only"
    unpriced = small_table([[1.0, 0.0]])
    with pytest.raises(OptionError, match=r"medium: not named, and without prices"):
        choose_pair(unpriced.pool, unpriced.outcomes)
    with pytest.raises(OptionError, match=r"large: not named, and without prices"):
        choose_pair(unpriced.pool, unpriced.outcomes, medium="a")
    assert choose_pair(unpriced.pool, unpriced.outcomes, "b", "a") == (1, 0)
    assert "NAME.medium=MODEL" in (lacks(unpriced.pool, False, "a", None) or "")
    assert lacks(unpriced.pool, False, "a", "b") is None
    assert lacks(Pool(("a", "b"), small="b", large="a"), False, None, None) is None
    with pytest.raises(OptionError, match="medium: b is the large model too"):
        lacks(unpriced.pool, True, "b", "b")
    empty = small_table([[1.0, NAN]], cost=[[1.0, NAN]])
    with pytest.raises(DataError, match="none of a, b can be taken"):
        choose_pair(empty.pool, empty.outcomes)
