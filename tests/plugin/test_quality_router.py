"""The base of routers that predict quality, what it saves, and routers that learn nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from conftest import noise, planted, recovered, rows, small_table
from pydantic import BaseModel, Field

from routebench import (
    Context,
    DataError,
    Decisions,
    DeclaredState,
    FittedEncoder,
    Objective,
    PluginError,
    QualityRouter,
    Queries,
    Table,
    WordWeights,
    hookimpl,
)
from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Router
from routebench.jobs.harness import Harness
from routebench.plugin import checkpoint, discovery
from routebench.plugin.defaults import complete
from routebench.records import Floats
from routebench.routers import quality_router
from routebench.testing import check_router, synthetic_tables

NAN = np.nan
Main = Callable[..., tuple[int, str, str]]


class ByWord(QualityRouter):
    """The mean score of each model on the training queries that share a word."""

    known: dict[str, list[float]]

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        texts = [set(text.split()) for text in train.queries.text]
        words = [w for w in sorted(set[str]().union(*texts)) if not w.isdigit()]
        of = {w: train.outcomes.take(np.array([w in text for text in texts])) for w in words}
        everything = {"": train.outcomes, **of}
        self.known = {w: np.nan_to_num(o.mean_score()).tolist() for w, o in everything.items()}

    def predict(self, queries: Queries) -> Floats:
        found = [[self.known[w] for w in t.split() if w in self.known] for t in queries.text]
        return np.array([np.mean(one or [self.known[""]], axis=0) for one in found])


class Constant(QualityRouter):
    """What a test says, whatever the query."""

    value: Any = ((1.0, 0.0),)

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        pass

    def predict(self, queries: Queries) -> Any:
        return np.repeat(np.array(self.value), len(queries), axis=0)


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


def table(**columns: Any) -> Table:
    texts = [f"{word} number {i}" for i in range(20) for word in ("red", "blue")]
    return small_table([[1, 0], [0, 1]] * 20, texts, **columns)


def fitted(router: Any, train: Table, objective: tuple[float, float] = (1, 0)) -> Any:
    encoder = FittedOnUse("tfidf-svd", {"dimension": 4}, list(train.queries.text))
    Harness(router).fit(train, train, Context(0, encoder, Path(), objective=Objective(*objective)))
    return router


def new(cls: Any, **state: Any) -> Any:
    router = cls(cls.Options())
    vars(router).update(state)
    return router


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
        (int, np.int64(3), "Bad.state: input should be a valid integer"),
        (dict[str, int], {"a": "b"}, "Bad.state.a: input should be a valid integer (got 'b')"),
        (tuple[str, ...], ["a"], "Bad.state: input should be a valid tuple"),
        (Any, object(), "Bad.state: a object cannot be saved"),
        (Harness, None, "Bad.state: a Harness cannot be saved"),
        (Callable[[], int], len, "Bad.state"),
        (
            dict[str, np.ndarray],
            {"a": 1},
            "Bad.state['a'] is not as declared: int instead of array",
        ),
        (list[np.ndarray], [np.ones(2)], "Bad.state: a list cannot be saved"),
        (Curve, Curve(np.ones(1), 3), "Bad.state.name: input should be a valid string"),  # type: ignore[arg-type]
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
    with pytest.raises(DataError, match=r"known\.red: input should be a valid list") as caught:
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
        ({"kept": "half"}, "kept: input should be a valid number"),
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


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (((1.0, 0.0, 0.0),), "Constant.predict returned shape (40, 3), expected (40, 2)"),
        ((1.0, 0.0), "Constant.predict returned shape (80,), expected (40, 2)"),
        ((("a", "b"),), "Constant.predict returned ndarray, expected an array of numbers"),
    ],
)
def test_a_wrong_prediction_is_named(value: Any, message: str) -> None:
    router = new(type("Constant", (Constant,), {"value": value}))
    with pytest.raises(PluginError) as caught:
        fitted(router, table(cost=[1, 2]))
    assert message in str(caught.value)


def test_columns_of_nan_are_not_considered_and_others_refused() -> None:
    queries = Queries(np.array(["one", "two"], dtype=object))
    router = fitted(new(type("C", (Constant,), {"value": ((NAN, -1.0),)})), table())
    decisions = Harness(router).route(queries, 2)
    assert decisions.choice.tolist() == [1, 1]
    assert decisions.quality is not None
    assert np.isnan(decisions.quality[:, 0]).all()

    class Holes(Constant):
        def predict(self, queries: Queries) -> Any:
            return np.where([text == "one" for text in queries.text], NAN, 1.0)[:, None] * [1, 1]

    with pytest.raises(PluginError, match="quality has NaN"):
        Harness(fitted(new(Holes), table())).route(queries, 2)


def test_ties_go_to_the_cheaper_then_to_the_name() -> None:
    one = Queries(np.array(["red"], dtype=object))
    tied = type("Tied", (Constant,), {"value": ((0.5, 0.5),)})
    assert fitted(new(tied), table(cost=[2, 1])).route(one).choice.tolist() == [1]
    assert fitted(new(tied), table()).route(one).choice.tolist() == [0]


def test_the_objective_is_followed() -> None:
    one = Queries(np.array(["red"], dtype=object))
    better = type("Better", (Constant,), {"value": ((0.6, 0.8),)})
    chosen = [
        int(fitted(new(better), table(cost=[1, 3]), (1, weight)).route(one).choice[0])
        for weight in (0, 0.19, 0.21)
    ]
    assert chosen == [1, 1, 0]


def test_confidence_is_calibrated_on_validation() -> None:
    """It predicts .9 of a model that is right half of the time."""
    sure = type("Sure", (Constant,), {"value": ((0.9, 0.0),)})
    decisions = fitted(new(sure), table()).route(table().queries)
    np.testing.assert_allclose(decisions.confidence, 0.5, atol=0.05)


def test_confidence_is_calibrated_on_a_sample_of_a_large_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    class Counted(Constant):
        def predict(self, queries: Queries) -> Floats:
            asked.append(len(queries))
            return super().predict(queries)

    whole = fitted(new(Counted), table()).confidence
    monkeypatch.setattr(quality_router, "_CALIBRATION", 25)
    part = fitted(new(Counted), table()).confidence
    assert asked == [40, 25]
    assert part != whole


def test_confidence_that_decide_returns_is_kept() -> None:
    class Certain(Constant):
        def decide(self, queries: Queries) -> Decisions:
            return replace(super().decide(queries), confidence=np.full(len(queries), 0.25))

    router = fitted(new(Certain), table())
    assert router.confidence is None
    assert router.route(table().queries).confidence.tolist() == [0.25] * 40


def test_with_users_the_reward_decides_and_there_is_no_confidence(tmp_path: Path) -> None:
    from routebench.testing.tables import with_users

    class Mine(Constant):
        personal = True
        value: Any = ((0.1, 0.2, 0.2, NAN),)

    tables = synthetic_tables(30, 10, 10)
    train, test = with_users(tables.train), with_users(tables.test)
    router = fitted(new(Mine), train, (1, 1))
    decisions = router.route(test.queries)
    assert decisions.choice.tolist() == [1] * 10
    assert decisions.confidence is None
    router.save(tmp_path)
    again = new(Mine)
    again.load(tmp_path)
    assert again.route(test.queries).choice.tolist() == [1] * 10


def test_a_router_without_predict_cannot_be_made() -> None:
    class Half(QualityRouter):
        def learn(self, train: Table, validation: Table, context: Context) -> None: ...

    with pytest.raises(AssertionError, match=r"abstract class Half .*abstract method"):
        check_router(Half)


def test_ten_lines_conform() -> None:
    check_router(ByWord)


def test_the_planted_rule_is_found_and_noise_is_not_beaten() -> None:
    name = f"{__file__}:ByWord"
    data = from_long(planted(600), name="t", source="recorded", place="t")
    assert recovered(name, data) > 0.8
    shares = [
        recovered(name, from_long(noise(400, seed=s), name="t", source="recorded", place="t"))
        for s in range(3)
    ]
    assert abs(float(np.mean(shares))) < 0.15


class Rule:
    """Long queries to the third model, all others to the first."""

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.array([2 * (len(text) > 20) for text in queries.text]))


class WithOptions(Rule):
    """The same, with an option."""

    class Options(BaseModel):
        length: int = Field(20, ge=0, description="characters")

    options: Options

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        long = [len(text) > self.options.length for text in queries.text]
        return Decisions(np.where(long, 2, 0))


def test_a_router_that_learns_nothing_conforms() -> None:
    check_router(Rule)
    check_router(WithOptions, {"length": 3})


def test_a_router_that_learns_nothing_runs(
    tmp_path: Path, board: Any, main: Main, write: Callable[[pa.Table], Path]
) -> None:
    names = f"{__file__}:Rule,{__file__}:WithOptions"
    out = tmp_path / "run"
    suite = f"table:{write(planted(200))}"
    done = board("--suite", suite, "--router", names, "--set", "WithOptions.length=0", out=out)
    found = rows(done)
    assert found["Rule"]["state"] == found["WithOptions"]["state"] == "ok"
    assert found["WithOptions"]["options"] == {"length": 0}
    rc, text, _ = main("route", out, f"{__file__}:WithOptions", "any text")
    assert (rc, text.split()[0]) == (0, "c")
    rc, text, _ = main("plugins", f"{__file__}:Rule")
    assert rc == 0
    assert "Long queries to the third model, all others to the first.\n" in text
    assert "no options" in text
    rc, _, error = main("run", "--suite", suite, "--router", names, "--set", "Rule.length=0")
    assert rc == 2
    assert "Rule has no option 'length'" in error


def test_a_complete_class_is_left_alone() -> None:
    assert complete(ByWord) is ByWord
    whole = complete(Rule)
    assert (whole.__name__, whole.__doc__, whole.__module__) == ("Rule", Rule.__doc__, __name__)
    assert discovery.load(discovery.find("router", f"{__file__}:Rule")).__name__ == "Rule"


class Misnamed(Rule):
    @hookimpl
    def train(self, train: Table) -> None: ...


class Undecorated(Rule):
    def fit(self, train: Table) -> None: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class Forgets(Rule):
    @hookimpl
    def fit(self, train: Table) -> None: ...


class SavesOnly(Rule):
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class NoRoute:
    """Nothing at all."""


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (Misnamed, "unknown hook 'train'"),
        (Undecorated, "Undecorated has no fit hook"),
        (Forgets, "Forgets has no method save"),
        (SavesOnly, "SavesOnly has no fit hook"),
        (NoRoute, "NoRoute has no route hook"),
    ],
)
def test_hooks_that_are_missing_or_misnamed_are_errors(router: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_router(router)


def test_declared_state_serves_routers_with_hooks_of_their_own() -> None:
    class Best(DeclaredState):
        best: int

        @hookimpl
        def fit(self, train: Table) -> None:
            self.best = int(np.nan_to_num(train.outcomes.mean_score()).argmax())

        @hookimpl
        def route(self, queries: Queries) -> Decisions:
            return Decisions(np.full(len(queries), self.best))

    check_router(Best)


def test_a_router_may_name_the_protocol_as_its_base() -> None:
    class Named(Router):
        class Options(BaseModel):
            length: int = 20

        options: Options

        def save(self, folder: Path) -> None: ...
        def load(self, folder: Path) -> None: ...

    assert new(complete(Named)).options.length == 20


def test_older_checkpoints_of_word_weights_are_read(tmp_path: Path) -> None:
    """The vocabulary alone in the JSON, the weights under their own name."""

    class Words(Constant):
        words: WordWeights

    words, _ = WordWeights.learn(["red thing", "blue thing"])
    checkpoint.save(tmp_path, {"words": words.words}, {"idf": words.idf})
    router = new(Words)
    router.load(tmp_path)
    assert router.words.words == words.words
    np.testing.assert_array_equal(router.words.idf, words.idf)
    assert replace(words).transform(["red"]).nnz == 1


class Means(QualityRouter):
    """The models' mean scores, and how much it has learned from."""

    cheap_fit = True
    means: Floats
    seen: int

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.relearn(train, context)

    def relearn(self, table: Table, context: Context) -> None:
        self.means, self.seen = np.nan_to_num(table.outcomes.mean_score()), len(table)

    def predict(self, queries: Queries) -> Floats:
        return np.tile(self._derived, (len(queries), 1))

    @cached_property
    def _derived(self) -> Floats:
        return self.means * 1.0


def refitted(
    router: Any, tmp_path: Path, cross_fitted: Decisions | None = None
) -> tuple[Any, Table, Table]:
    """Return a router that was fitted on half of a table and refitted on the whole of another."""
    tables = synthetic_tables()
    context = Context(0, FittedOnUse("tfidf-svd", {}, list(tables.train.queries.text)), tmp_path)
    harness = Harness(router)
    harness.fit(tables.train, tables.validation, context)
    harness.refit(tables.test, replace(context, cross_fitted=cross_fitted))
    return router, tables.validation, tables.test


def test_refit_learns_again_and_forgets_what_followed_from_before(tmp_path: Path) -> None:
    router, _, table = refitted(Means(Means.Options()), tmp_path)
    assert router.seen == len(table)
    expected = np.nan_to_num(table.outcomes.mean_score())
    np.testing.assert_array_equal(router.predict(table.queries)[0], expected)
    np.testing.assert_array_equal(router.chooser.cost, table.outcomes.mean_cost())


def test_confidence_comes_from_decisions_of_inner_fits(tmp_path: Path) -> None:
    table = synthetic_tables().test
    none, rows_of = np.zeros(len(table), dtype=np.int64), np.arange(len(table))
    sure = np.full((len(table), len(table.pool)), 0.999)
    informed, *_ = refitted(Means(Means.Options()), tmp_path, Decisions(none, quality=sure))
    # What inner fits were sure of was right as often as the first model is.
    right = table.outcomes.score[rows_of, none].mean()
    assert 0.1 < right < 0.9
    assert informed.confidence(sure, none)[0] == pytest.approx(right, abs=0.02)
    alone, *_ = refitted(Means(Means.Options()), tmp_path)
    assert alone.confidence(sure, none)[0] != pytest.approx(right, abs=0.02)


def test_a_cheap_fit_that_cannot_be_refitted_says_so(tmp_path: Path) -> None:
    class Forgot(ByWord):
        cheap_fit = True

    with pytest.raises(PluginError, match="Forgot declares cheap_fit, and has no relearn"):
        refitted(Forgot(Forgot.Options()), tmp_path)

    class Plain:
        cheap_fit = True

        @hookimpl
        def route(self, queries: Queries) -> Decisions:
            return Decisions(np.zeros(len(queries), dtype=np.int64))

    whole = complete(Plain)
    with pytest.raises(PluginError, match="Plain declares cheap_fit, and has no refit hook"):
        Harness(whole(whole.Options()))
