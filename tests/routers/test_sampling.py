from __future__ import annotations

import numpy as np
from conftest import small_table

from routebench.records import Table, Users
from routebench.routers.sampling import sample

TEXTS = [f"query {i}" for i in range(50)]


def test_a_small_table_is_kept_as_it_is() -> None:
    table = small_table(np.eye(50, 2), TEXTS)
    assert sample(table, 50) is table


def test_the_sample_depends_on_texts_alone() -> None:
    table = small_table(np.arange(50.0)[:, None], TEXTS)
    other = small_table(np.arange(50.0)[::-1, None], TEXTS[::-1])
    some, same = sample(table, 20), sample(other, 20)
    assert some.queries.text.tolist() == same.queries.text.tolist()[::-1]
    assert some.outcomes.score[:, 0].tolist() == same.outcomes.score[::-1, 0].tolist()
    assert some.queries.text.tolist() == [TEXTS[int(s)] for s in some.outcomes.score[:, 0]]
    assert set(sample(table, 10).queries.text) < set(some.queries.text)
    places = some.outcomes.score[:, 0]
    assert places.tolist() == sorted(places), "in the order of the table"
    assert places.max() > 25, "not the first ones"


def test_who_asked_goes_with_the_queries() -> None:
    table = small_table(np.arange(50.0)[:, None], TEXTS)
    asked = np.arange(50)[:, None] % 2 == [0, 1]
    users = Users(np.array(["a", "b"], dtype=object), np.array([0.2, 0.8]), asked)
    some = sample(Table(table.queries, table.outcomes, table.pool, users), 20)
    assert some.users is not None
    assert some.users.asked is not None
    rows = some.outcomes.score[:, 0].astype(int)
    np.testing.assert_array_equal(some.users.asked, asked[rows])
