"""Declared state: all kinds come back, and what cannot be saved or read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import small_table
from pydantic import BaseModel, Field
from quality_routers import ByWord, Constant, fitted, new, table

from routebench import (
    Context,
    DataError,
    FittedEncoder,
    Objective,
    PluginError,
    QualityRouter,
    Queries,
    Table,
    WordWeights,
)
from routebench.jobs.harness import Harness
from routebench.plugin import checkpoint
from routebench.records import Floats


class Choose(BaseModel):
    depth: int = Field(3, ge=1)


@dataclass(frozen=True)
class Curve:
    knots: Floats
    name: str
    slopes: Floats | None = None


class Everything(QualityRouter):
    """One of all kinds of state."""

    options: Choose
    grid: np.ndarray[Any, Any]
    _codes: np.ndarray[Any, Any]
    layers: dict[str, np.ndarray[Any, Any]]
    count: int
    names: tuple[str, ...]
    nested: dict[str, list[float]]
    curve: Curve
    words: WordWeights
    encoder: FittedEncoder
    settings: Choose
    nothing: Curve | None = None
    kept: float = 0.5
    shared: ClassVar[list[int]] = []

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.grid = np.arange(6, dtype=np.float32).reshape(2, 3).T
        self._codes = np.array([1, -1], dtype=np.int8)
        self.layers = {"0.bias": np.ones(2), "1": np.zeros((2, 1))}
        self.count, self.names, self.nested = 3, ("a", "b"), {"x": [0.25, np.float64(0.5)]}
        self.curve = Curve(np.array([1.0, 2.0]), "c")
        self.words, _ = WordWeights.learn(list(train.queries.text))
        self.encoder = context.encoder
        self.settings = Choose(depth=7)
        self._scratch = object()

    @cached_property
    def total(self) -> float:
        return float(self.grid.sum())

    def predict(self, queries: Queries) -> Floats:
        weights = self.words.transform(list(queries.text)).sum(axis=1)
        length = np.linalg.norm(self.encoder.encode(list(queries.text)), axis=1)
        return np.column_stack([np.asarray(weights).ravel(), length * self.total])


def test_all_kinds_of_state_come_back(tmp_path: Path) -> None:
    router = fitted(Everything(Choose()), table(cost=[1, 2]), (1, 0.5))
    router.save(tmp_path)
    again = Everything(Choose())
    again.load(tmp_path)
    np.testing.assert_array_equal(again.grid, router.grid)
    assert (again.grid.dtype, again._codes.dtype) == (np.float32, np.int8)
    assert {k: v.tolist() for k, v in again.layers.items()} == {"0.bias": [1, 1], "1": [[0], [0]]}
    assert (again.count, again.names, again.nested) == (3, ("a", "b"), {"x": [0.25, 0.5]})
    assert (again.curve.name, again.curve.knots.tolist()) == ("c", [1, 2])
    assert (again.curve.slopes, again.nothing, again.kept) == (None, None, 0.5)
    assert again.settings == Choose(depth=7)
    assert again.words.words == router.words.words
    assert again.confidence == router.confidence
    assert again.chooser.objective == Objective(1, 0.5)
    texts = Queries(np.array(["red thing", "blue", ""], dtype=object))
    for one, other in zip(
        (router.route(texts).choice, router.route(texts).quality, router.route(texts).confidence),
        (again.route(texts).choice, again.route(texts).quality, again.route(texts).confidence),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_files_hold_what_is_declared_and_nothing_else(tmp_path: Path) -> None:
    fitted(Everything(Choose()), table()).save(tmp_path)
    meta, arrays = checkpoint.load(tmp_path)
    layers = {"layers.0.bias", "layers.1"}
    assert set(arrays) == {"grid", "codes", "curve.knots", "words.idf", *layers}
    assert meta["curve"] == {"name": "c", "slopes": None}
    assert not meta.keys() & {"scratch", "_scratch", "total", "shared", "options"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "state.json",
        "arrays.safetensors",
        "encoder",
    }


def test_a_second_fit_starts_from_nothing() -> None:
    router = fitted(Everything(Choose()), table())
    router.kept, router.grid = 0.75, router.grid + 100
    assert router.total > 0
    fitted(router, table())
    assert (router.kept, router.total) == (0.5, 15.0)


def bad_state(hint: Any, value: Any) -> Any:
    """A router that declares `state: hint` and sets the value."""
    body = {"__annotations__": {"state": hint}, "__module__": __name__}
    cls = type("Bad", (Constant,), body)
    return new(cls, state=value)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (np.ndarray, [1.0], "Bad.state is not as declared: list instead of array of numbers"),
        (np.ndarray, np.array(["a"], dtype=object), "array of object instead of array of numbers"),
        (int, np.int64(3), "Bad.state: must be a whole number"),
        (dict[str, int], {"a": "b"}, "Bad.state.a: must be a whole number (got 'b')"),
        (tuple[str, ...], ["a"], "Bad.state: must be a list"),
        (Any, object(), "Bad.state: a object cannot be saved"),
        (Harness, None, "Bad.state: a Harness cannot be saved"),
        (Callable[[], int], len, "Bad.state"),
        (
            dict[str, np.ndarray],
            {"a": 1},
            "Bad.state['a'] is not as declared: int instead of array",
        ),
        (list[np.ndarray], [np.ones(2)], "Bad.state: a list cannot be saved"),
        (Curve, Curve(np.ones(1), 3), "Bad.state.name: must be a text"),  # type: ignore[arg-type]
        (FittedEncoder, 3, "Bad.state is not as declared: int instead of encoder"),
        (Curve, 3, "Bad.state is not as declared: int instead of Curve"),
    ],
)
def test_state_that_cannot_be_saved_is_named(
    tmp_path: Path, hint: Any, value: Any, message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        bad_state(hint, value).save(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in caught.value.message


def test_a_kind_that_cannot_be_saved_is_found_before_training() -> None:
    with pytest.raises(PluginError, match=r"Bad\.state: a Harness cannot be saved"):
        fitted(bad_state(Harness, None), table())


def test_state_that_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"ByWord\.known is declared, but not set") as caught:
        ByWord(ByWord.Options()).save(tmp_path)
    assert "when the router learns" in caught.value.hint


def test_state_that_is_not_declared(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"Constant\.limit is set, but not declared") as caught:
        new(Constant, limit=3).save(tmp_path)
    assert "limit: …" in caught.value.hint
    new(Constant, _limit=3).save(tmp_path)
    again = new(Constant)
    again.load(tmp_path)
    assert not hasattr(again, "_limit")


def test_names_that_would_share_a_place() -> None:
    body = {"__annotations__": {"a": int, "_a": int}, "__module__": __name__}
    router = new(type("Twice", (Constant,), body), a=1, _a=2)
    with pytest.raises(PluginError, match="two names of its state differ in underscores only"):
        fitted(router, table())


def test_an_unknown_type_is_named() -> None:
    router = new(type("Bad", (Constant,), {"__annotations__": {"a": "Nowhere"}}))
    with pytest.raises(PluginError, match=r"a type of its state is unknown: .*'Nowhere'"):
        fitted(router, table())


def test_a_checkpoint_that_does_not_fit(tmp_path: Path) -> None:
    fitted(ByWord(ByWord.Options()), table()).save(tmp_path)
    meta, _ = checkpoint.load(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps(meta | {"known": {"red": "high"}}))
    with pytest.raises(DataError, match=r"known\.red: must be a list") as caught:
        new(ByWord).load(tmp_path)
    assert "train it again" in caught.value.hint
    del meta["known"]
    (tmp_path / "state.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="the checkpoint has no known"):
        new(ByWord).load(tmp_path)
    with pytest.raises(DataError, match="no checkpoint in"):
        new(ByWord).load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chooser": {"objective": {"performance": 1, "cost": 0}}}, "chooser is incomplete: no 'c"),
        ({"chooser": None}, "chooser cannot be read: 'NoneType' object is not subscriptable"),
        ({"chooser": {"cost": ["high"]}}, "chooser cannot be read: could not convert string"),
        ({"curve": {"slopes": None}}, "curve is incomplete: no 'name'"),
        ({"layers": 3}, "layers cannot be read: 'int' object is not iterable"),
        ({"layers": ["9"]}, "layers is incomplete: no 'layers.9'"),
        ({"kept": "half"}, "kept: must be a number"),
        ([], "not a JSON object"),
        (None, "not a JSON object"),
    ],
)
def test_damaged_state_is_named_and_never_replaced_by_the_default(
    tmp_path: Path, changed: Any, message: str
) -> None:
    fitted(Everything(Choose()), table()).save(tmp_path)
    place = tmp_path / "state.json"
    whole = json.loads(place.read_text())
    place.write_text(json.dumps(whole | changed if changed else changed))
    with pytest.raises(DataError) as caught:
        Everything(Choose()).load(tmp_path)
    assert f"{place}: {message}" in caught.value.message


def test_state_of_an_older_version_is_read(tmp_path: Path) -> None:
    """The number of models was saved as `width`; what is missing has the class's value."""
    fitted(new(Constant), table()).save(tmp_path)
    meta, _ = checkpoint.load(tmp_path)
    del meta["confidence"], meta["QualityRouter__width"]
    checkpoint.save(tmp_path, meta | {"width": 2})
    again = new(Constant)
    again.load(tmp_path)
    assert (again.confidence, again.route(table().queries).choice.tolist()) == (None, [0] * 40)


def test_a_router_may_have_a_width_of_its_own(tmp_path: Path) -> None:
    class Wide(Constant):
        width: int

        def learn(self, train: Table, validation: Table, context: Context) -> None:
            self.width = 7

    fitted(new(Wide), table()).save(tmp_path)
    again = new(Wide)
    again.load(tmp_path)
    assert again.width == 7


def test_values_of_the_class_are_not_shared() -> None:
    class Counts(Constant):
        counts: dict[str, int] = {}  # noqa: RUF012

        def learn(self, train: Table, validation: Table, context: Context) -> None:
            self.counts[str(len(train))] = 1

    router = fitted(fitted(new(Counts), table()), small_table([[1, 0]] * 3))
    assert (router.counts, Counts.counts) == ({"3": 1}, {})
