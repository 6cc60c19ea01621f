from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import long_table, noise, recovered, small_table

from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.errors import DataError, OptionError
from routebench.hookspecs import Context
from routebench.plugin.options import validate
from routebench.records import Decisions, Pool, Queries, Table
from routebench.testing import MODELS, PluginCheck, parametrize_with_checks
from routebench_routers.hybrid import router as hybrid_router
from routebench_routers.hybrid.router import (
    Hybrid,
    HybridDeterministic,
    HybridProbabilistic,
    HybridTransformed,
)

NAN = np.nan
CLASSES = [HybridDeterministic, HybridProbabilistic, HybridTransformed]
HURRIED: dict[str, Any] = {"max_iter": 60, "learning_rate_init": 0.01}
"""Options that learn what is easy in a few passes."""
SMALL_LARGE = {"small": MODELS[0], "large": MODELS[3]}


def fitted(
    cls: type[Hybrid],
    train: Table,
    validation: Table | None = None,
    seed: int = 0,
    notes: list[str] | None = None,
    encoder: FittedOnUse | None = None,
    **options: Any,
) -> Hybrid:
    router = cls(cls.Options(**(HURRIED | options)))
    encoder = encoder or FittedOnUse("tfidf-svd", {"dimension": 16}, list(train.queries.text))
    context = Context(
        seed,
        encoder,
        Path(),
        progress=lambda done, note="": None if notes is None else notes.append(note),
    )
    assert router.needs(train.pool, (), train.outcomes.cost is not None) is None
    router.fit(train, train if validation is None else validation, context)
    return router


def ask(router: Hybrid, *texts: str) -> Decisions:
    return router.route(Queries(np.array(texts, dtype=object)))


def easy_and_hard(n: int = 120, cost: Any = (1, 2)) -> Table:
    """a, the small one, fails on what is hard; b is always right."""
    texts = [f"{word} {i}" for i in range(n // 2) for word in ("easy sum", "hard proof")]
    return small_table([[1, 1], [0, 1]] * (n // 2), texts, cost)


# At a fixed threshold: hardly trained, a network's predictions are close, and rounding moves the
# threshold that validation supports.
QUICK: dict[str, Any] = {"max_iter": 10, "hidden_layer_sizes": [8], "threshold": 0.5}
SQUARED = {"loss": "squared", "max_drop": 5, **SMALL_LARGE}
BY_SIZE = {"pair": "size", "solver": "lbfgs", "max_iter": 20}


@parametrize_with_checks(
    [
        (HybridTransformed, QUICK),
        (HybridProbabilistic, QUICK | SMALL_LARGE | {"loss": "squared"}),
        (HybridDeterministic, QUICK | BY_SIZE),
    ]
)
def test_conformance(check: PluginCheck) -> None:
    check()


# With their default options: tests/testing.
@pytest.mark.slow
@parametrize_with_checks([(HybridProbabilistic, SQUARED), (HybridDeterministic, BY_SIZE)])
def test_conformance_with_a_whole_network(check: PluginCheck) -> None:
    check()


@pytest.mark.parametrize("cls", CLASSES)
def test_small_for_easy_large_for_hard(cls: type[Hybrid]) -> None:
    decisions = ask(fitted(cls, easy_and_hard()), "easy sum 1001", "hard proof 1002")
    assert decisions.choice.tolist() == [0, 1]
    quality = decisions.quality
    assert quality is not None
    np.testing.assert_allclose(quality.sum(axis=1), 1)
    assert quality[0, 0] > quality[1, 0]
    assert quality[1, 0] < 0.5
    assert decisions.confidence is None


@pytest.mark.parametrize("loss", ["log", "squared"])
def test_soft_labels_are_reached(loss: str) -> None:
    """Ties are 1/2 under probabilistic labels: the network must learn 1/2, not 0 or 1."""
    router = fitted(HybridProbabilistic, easy_and_hard(400), loss=loss, patience=30)
    quality = ask(router, "easy sum 1001", "hard proof 1002").quality
    assert quality is not None
    np.testing.assert_allclose(quality[:, 0], [0.5, 0.0], atol=0.1)


def test_other_models_have_no_quality() -> None:
    scores = np.hstack([easy_and_hard().outcomes.score, np.ones((120, 1))])
    table = small_table(scores, list(easy_and_hard().queries.text), cost=[1, 2, 3])
    quality = ask(fitted(HybridDeterministic, table), "easy sum 7").quality
    assert np.isnan(quality).tolist() == [[False, False, True]]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(("small", "constant"), [(1.0, 1.0), (0.0, 0.0)])
def test_one_class_is_a_constant_router_that_says_so(
    cls: type[Hybrid], small: float, constant: float, tmp_path: Path
) -> None:
    notes: list[str] = []
    table = small_table(np.tile([small, 0.5], (30, 1)), cost=[1, 2])
    router = fitted(cls, table, notes=notes)
    assert "a constant router" in notes[-1]
    decisions = ask(router, "query 3", "anything")
    if cls is HybridTransformed and not constant:
        # With the margin of 1/2 all labels would be 1: of equals the least margin.
        assert "margin 0" in notes[-1]
    assert decisions.choice.tolist() == [1 - round(constant)] * 2
    router.save(tmp_path)
    assert not (tmp_path / "encoder").exists()
    again = cls(cls.Options())
    again.load(tmp_path)
    np.testing.assert_array_equal(ask(again, "x").quality, ask(router, "x").quality)


def test_it_says_when_transformed_labels_are_the_deterministic_ones() -> None:
    notes: list[str] = []
    table = easy_and_hard()
    one = fitted(HybridTransformed, table, notes=notes)
    assert "50% of the labels of 120 queries are for the small one" in notes[-1]
    assert "the labels are those of hybrid-deterministic" in notes[-1]
    other = fitted(HybridDeterministic, table, notes=notes)
    assert "those of hybrid-deterministic" not in notes[-1]
    np.testing.assert_array_equal(
        one.route(table.queries).quality, other.route(table.queries).quality
    )


def test_queries_without_both_scores_teach_nothing() -> None:
    table = easy_and_hard()
    scores = np.vstack([table.outcomes.score, [[NAN, 1], [0, NAN]] * 5])
    texts = [*table.queries.text, *(f"easy sum {i}" for i in range(1000, 1010))]
    notes: list[str] = []
    fitted(HybridDeterministic, small_table(scores, texts, cost=[1, 2]), notes=notes)
    assert "50% of the labels of 120 queries" in notes[-1]
    with pytest.raises(DataError, match="no training query has a score of both a and b"):
        fitted(HybridDeterministic, small_table([[1, NAN], [NAN, 1]], cost=[1, 2]))


def pair(table: Table, **options: Any) -> list[str]:
    router = fitted(HybridDeterministic, table, **options)
    state = router._state
    return [table.pool.models[state[name]] for name in ("small", "large")]


def test_the_pair() -> None:
    scores = [[0, 1, 1], [1, 1, 1]]
    priced = small_table(scores, cost=[2, 1, 3])
    assert pair(priced) == ["b", "c"]
    assert pair(priced, large="a") == ["b", "a"]
    best = small_table([[0, 0, 1], [1, 0, 1]], cost=[1, 3, 2])
    assert pair(best) == ["a", "c"], "the most accurate, though another is dearer"
    assert pair(best, pair="cost") == ["a", "b"]
    cheap = small_table([[1, 0, 0], [1, 1, 0]], cost=[1, 3, 2])
    assert pair(cheap) == ["a", "b"], "the best is the small one: the next best"
    declared = replace(priced, pool=replace(priced.pool, small="a", large="b"))
    assert pair(declared) == ["a", "b"]
    assert pair(declared, small="c") == ["c", "b"]
    sized = replace(declared, pool=replace(declared.pool, size=np.array([NAN, 70.0, 8.0])))
    assert pair(sized, pair="size") == ["c", "b"]
    assert pair(small_table(scores), small="c", large="a") == ["c", "a"]


def test_what_it_needs() -> None:
    pool = Pool(("a", "b"))
    router = HybridDeterministic(Hybrid.Options())
    names = "both models by name: --set NAME.small=MODEL --set NAME.large=MODEL"
    assert router.needs(pool, (), False) == f"needs prices, or {names}"
    assert router.needs(pool, (), True) is None
    assert router.needs(replace(pool, small="b", large="a"), (), False) is None
    by_size = HybridDeterministic(Hybrid.Options(pair="size"))
    assert by_size.needs(pool, (), True) == f"needs the sizes of two models, or {names}"
    assert by_size.needs(replace(pool, size=np.array([1.0, 2.0])), (), False) is None
    for option in ("small", "large"):
        unknown = HybridDeterministic(Hybrid.Options(**{option: "d"}))
        with pytest.raises(OptionError, match=f"{option}: no model 'd' in this pool"):
            unknown.needs(pool, (), True)
    same = HybridDeterministic(Hybrid.Options(small="a", large="a"))
    with pytest.raises(OptionError, match="small and large are the same model, a"):
        same.needs(pool, (), True)
    with pytest.raises(OptionError, match="small and large are the same model, a") as caught:
        fitted(HybridDeterministic, small_table([[1, 0]], cost=[1, 2]), large="a")
    assert "NAME.small=MODEL" in caught.value.hint


@pytest.mark.parametrize("cls", CLASSES)
def test_presets_are_valid_options(cls: type[Hybrid]) -> None:
    for values in cls.presets.values():
        validate(cls, "hybrid", values)
    paper: Any = validate(cls, "hybrid", cls.presets["paper"] | {"max_drop": 1.0})
    assert paper.hidden_layer_sizes == (128, 64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tau": 0}, "hybrid.tau: must be above 0 (got 0)"),
        ({"threshold": 1.5}, "hybrid.threshold: must be at most 1 (got 1.5)"),
        ({"max_drop": 1, "call_share": 0.5}, "max_drop and call_share each set the threshold"),
        ({"threshold": 0.4, "max_drop": 1}, "threshold and max_drop each set the threshold"),
        ({"hidden_layer_sizes": [8, 0]}, "hidden_layer_sizes must be at least 1 each"),
        ({"mode": "transformed"}, "hybrid has no option 'mode'"),
    ],
)
def test_bad_options(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        validate(Hybrid, "hybrid", values)
    assert message in str(caught.value)


def test_order_of_rows_changes_nothing() -> None:
    table = easy_and_hard()
    rows = np.random.default_rng(0).permutation(len(table))
    moved = Table(table.queries.take(rows), table.outcomes.take(rows), table.pool)
    encoder = FittedOnUse("tfidf-svd", {"dimension": 16}, list(table.queries.text))
    one, other = (
        fitted(HybridProbabilistic, each, encoder=encoder).route(table.queries).quality
        for each in (table, moved)
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_same_seed_same_router_other_seed_another() -> None:
    table = easy_and_hard()
    one, two, three = (
        fitted(HybridProbabilistic, table, seed=seed).route(table.queries).quality
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("loss", ["log", "squared"])
def test_no_warning_leaks(solver: str, loss: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(HybridProbabilistic, easy_and_hard(40), solver=solver, loss=loss, max_iter=2)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("loss", ["log", "squared"])
def test_prediction_is_that_of_the_library(activation: str, loss: str) -> None:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from routebench_routers.hybrid.network import _arrays

    rng = np.random.default_rng(0)
    vectors, target = rng.normal(size=(80, 5)), rng.integers(0, 2, 80)
    kind = MLPClassifier if loss == "log" else MLPRegressor
    model = kind(hidden_layer_sizes=(7, 4), activation=activation, random_state=0).partial_fit(
        vectors, target, **({"classes": [0, 1]} if loss == "log" else {})
    )
    expected = model.predict_proba(vectors)[:, 1] if loss == "log" else model.predict(vectors)
    np.testing.assert_allclose(_arrays(model)(vectors), np.clip(expected, 0, 1), atol=1e-12)


def test_checkpoint(tmp_path: Path) -> None:
    router = fitted(HybridDeterministic, easy_and_hard(), threshold=0.6)
    router.save(tmp_path)
    again = HybridDeterministic(Hybrid.Options())
    again.load(tmp_path)
    texts = ("easy sum 5", "hard proof 6", "neither", "")
    np.testing.assert_array_equal(ask(again, *texts).choice, ask(router, *texts).choice)
    whole = ask(again, *texts).quality
    np.testing.assert_array_equal(whole, ask(router, *texts).quality)
    assert whole is not None
    singles = [ask(again, text).quality for text in texts]
    np.testing.assert_allclose(np.concatenate([s for s in singles if s is not None]), whole)
    encoder = FittedOnUse("tfidf-svd", {"dimension": 8}, ["easy sum", "hard proof", "other"])
    encoder.save(tmp_path / "encoder")
    message = "the network reads vectors of 16 numbers, but the encoder makes 8"
    with pytest.raises(DataError, match=message):
        HybridDeterministic(Hybrid.Options()).load(tmp_path)


def two_kinds(n: int = 600) -> pa.Table:
    """a is right on poems, b on proofs; each seldom on the other kind."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=n)
    texts = [f"{('poem verse', 'proof lemma')[k]} number {rng.integers(10**9)}" for k in kind]
    right = np.where(kind[:, None] == np.arange(2), 0.95, 0.2)
    return long_table(rng.random((n, 2)) < right, texts)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_planted_rule_is_found(cls: type[Hybrid]) -> None:
    data = from_long(two_kinds(), name="t", source="recorded", place="t")
    name = f"{hybrid_router.__file__}:{cls.__name__}"
    # The default threshold takes as many small calls as cost no quality, not what is best.
    assert recovered(name, data, small="a", large="b", threshold=0.5) > 0.8


@pytest.mark.parametrize("cls", CLASSES)
def test_noise_is_not_beaten(cls: type[Hybrid]) -> None:
    shares = []
    for seed in range(3):
        data = from_long(noise(400, 2, seed), name="t", source="recorded", place="t")
        name = f"{hybrid_router.__file__}:{cls.__name__}"
        shares.append(recovered(name, data, small="a", large="b"))
    assert float(np.mean(shares)) < 0.2
