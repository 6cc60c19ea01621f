from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import long_table, recovered, small_table

from routebench.data.long_table import from_long
from routebench.errors import OptionError
from routebench.records import Queries, Table
from routebench_routers.prompt_length import PromptLength

NAN = np.nan


def fitted(train: Table, validation: Table | None = None, **options: Any) -> PromptLength:
    router = PromptLength(PromptLength.Options(**options))
    router.fit(train, validation or train)
    return router


def chosen(router: PromptLength, *lengths: int) -> list[int]:
    texts = np.array(["x" * n for n in lengths], dtype=object)
    return [int(choice) for choice in router.route(Queries(texts)).choice]


def lengths(*n: int) -> list[str]:
    return ["x" * each for each in n]


def test_by_hand() -> None:
    """a is right on the short ones, b on the long ones, and on more of them."""
    train = small_table([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], lengths(2, 3, 5, 8, 9))
    assert chosen(fitted(train), 1, 3, 4, 5, 9) == [0, 0, 0, 1, 1]


def test_of_equal_thresholds_the_longest_which_spends_least() -> None:
    # At 5 both are right: sending it to the large one or not makes no difference.
    train = small_table([[1, 0], [1, 1], [0, 1], [0, 1]], lengths(2, 5, 7, 8))
    assert chosen(fitted(train), 5, 6, 7) == [0, 0, 1]
    # The large model never helps: nothing is sent to it.
    never = small_table([[1, 1], [1, 1]], lengths(2, 5), cost=[1, 2])
    assert chosen(fitted(never, large="b"), 2, 5, 99) == [0, 0, 1]


def test_train_and_validation_count_together() -> None:
    train = small_table([[1, 0], [0, 1], [0, 1]], lengths(2, 5, 6))
    validation = small_table([[1, 0], [0, 1], [0, 1]], lengths(5, 7, 7))
    assert chosen(fitted(train), 5) == [1]
    # At 5 it stands one against one now: of equals the longer threshold.
    assert chosen(fitted(train, validation), 5, 6) == [0, 1]


def test_the_pair() -> None:
    scores = [[0.2, 0.5, 0.9], [0.2, 0.5, 0.9]]
    assert chosen(fitted(small_table(scores), threshold=4), 3, 4) == [0, 2]  # the weakest
    priced = small_table(scores, cost=[2, 1, 3])
    assert chosen(fitted(priced, threshold=4), 3, 4) == [1, 2]  # the cheapest
    assert chosen(fitted(priced, threshold=4, small="c", large="a"), 3, 4) == [2, 0]
    assert chosen(fitted(priced, threshold=0), 0, 4) == [2, 2]
    for option in ("small", "large"):
        router = PromptLength(PromptLength.Options(**{option: "d"}))
        with pytest.raises(OptionError, match=f"{option}: no model 'd' in this pool"):
            router.needs(priced.pool, (), True)
        with pytest.raises(OptionError, match="no model 'd' in this pool"):
            router.fit(priced, priced)


def test_quality_follows_the_length() -> None:
    scores = [[0.2, 0.5, 0.9], [0.2, 0.5, 0.9]]
    router = fitted(small_table(scores, cost=[2, 1, 3]), threshold=4)
    decisions = router.route(Queries(np.array(["", "xx", "xxx", "xxxx", "x" * 40], dtype=object)))
    quality = decisions.quality
    assert quality is not None
    assert np.isnan(quality[:, 0]).all(), "a is not of the pair"
    # Length 2 against a cut of 3.5: at 4 characters the large model is just ahead.
    np.testing.assert_allclose(quality[1, 1:], [3.5 / 5.5, 2 / 5.5])
    np.testing.assert_array_equal(np.nanargmax(quality, axis=1), decisions.choice)
    assert decisions.choice.tolist() == [1, 1, 1, 2, 2]
    assert (np.diff(quality[:, 2]) > 0).all()
    always = fitted(small_table(scores, cost=[2, 1, 3]), threshold=0)
    flat = always.route(Queries(np.array(["", "xx"], dtype=object)))
    np.testing.assert_array_equal(flat.quality, [[NAN, 0, 1], [NAN, 0, 1]])
    assert flat.choice.tolist() == [2, 2]


def test_missing_cells_count_for_neither() -> None:
    scores = [[1, 0], [NAN, 1], [0, NAN], [0, 1], [0, 1]]
    train = small_table(scores, lengths(4, 1, 2, 6, 7))
    assert chosen(fitted(train, small="a", large="b"), 1, 4, 5, 6) == [0, 0, 0, 1]


def test_a_planted_threshold_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "small", "large", "old"])
    size = rng.integers(3, 40, 600)
    texts = [" ".join(rng.choice(words, n)) + f" {i}" for i, n in enumerate(size)]
    long = np.array([len(text) for text in texts]) >= 110
    right = np.where(np.stack([~long, long], axis=1), 0.95, 0.2)
    table = long_table(rng.random((600, 2)) < right, texts)
    assert isinstance(table, pa.Table)
    data = from_long(table, name="t", source="recorded", place="t")
    assert recovered("prompt-length", data) > 0.8
    router = fitted(data.table(np.arange(600)))
    router.save(tmp_path)
    again = PromptLength(PromptLength.Options())
    again.load(tmp_path)
    probes = (1, 90, 105, 115, 130, 500)
    assert chosen(again, *probes) == chosen(router, *probes)
    assert len(set(chosen(again, *probes))) == 2
