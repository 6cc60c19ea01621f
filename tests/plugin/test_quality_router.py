"""The base of routers that predict quality, what it saves, and routers that learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import noise, planted, recovered
from pydantic import BaseModel
from quality_routers import NAN, ByWord, Constant, fitted, new, table

from routebench import (
    Context,
    Decisions,
    DeclaredState,
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
from routebench.plugin import checkpoint
from routebench.plugin.defaults import complete
from routebench.records import Floats
from routebench.routers import quality_router
from routebench.testing import check_router, synthetic_tables

Main = Callable[..., tuple[int, str, str]]


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
