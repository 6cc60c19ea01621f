"""Routers that learn from tasks: the classifier, the posterior, and one router per task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted, recovered, small_table

from routebench.data.long_table import from_long
from routebench.encode.encoders import FittedOnUse
from routebench.errors import OptionError
from routebench.hookspecs import Context
from routebench.plugin.options import validate
from routebench.records import Pool, Queries, SuiteData, Table
from routebench_routers.knn import KNN
from routebench_routers.tasks.by_task import ByTask
from routebench_routers.tasks.classifier import TaskClassifier
from routebench_routers.tasks.posterior import TaskPosterior

WORDS = ("poem verse", "proof lemma", "river capital")


def kinds(n: int = 240, seed: int = 0, rate: float = 1.0) -> Table:
    """a is right on poems, b on proofs, c on rivers; what each gets elsewhere is noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=n)
    texts = [f"{WORDS[k]} {rng.integers(10**9)}" for k in kind]
    right = rng.random((n, 3)) < np.where(np.eye(3)[kind] == 1, rate, 0.2)
    table = small_table(right, texts, cost=[1, 2, 3])
    task = np.array([WORDS[k] for k in kind], dtype=object)
    return replace(table, queries=replace(table.queries, task=task))


def fitted(cls: Any, train: Table, validation: Table, **values: Any) -> Any:
    router = cls(validate(cls, cls.__name__, values))
    encoder = FittedOnUse("tfidf-svd", {"dimension": 16}, list(train.queries.text))
    hidden = frozenset({"task"})
    router.fit(train, validation, Context(0, encoder, Path(), training_only=hidden))
    return router


def ask(router: Any, *texts: str) -> Any:
    return router.route(Queries(np.array(texts, dtype=object)))


def shown(table: Table) -> Table:
    return replace(table, queries=replace(table.queries, task=None))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_classifier_is_scikit_learns(count: int) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    vectors, tasks = (
        rng.normal(size=(60, 4)),
        np.array([f"t{i % count}" for i in range(60)], object),
    )
    tasks[:6] = None
    vectors[:, 0] += [0 if task is None else 2 * int(task[1]) for task in tasks]
    found = TaskClassifier.learn(vectors, tasks, 10.0)
    assert found.names == [f"t{i}" for i in range(count)]
    share = found.probabilities(vectors)
    if count == 1:
        assert share.tolist() == [[1.0]] * 60
        return
    known = LogisticRegression(C=10.0, max_iter=2000).fit(vectors[6:], tasks[6:].astype(str))
    np.testing.assert_allclose(share, known.predict_proba(vectors), atol=1e-9)
    assert found.indicators(tasks)[:7].sum(axis=1).tolist() == [0] * 6 + [1]


def test_the_posterior_by_hand() -> None:
    train = kinds()
    router = fitted(TaskPosterior, train, kinds(90, 1), shrinkage=20)
    groups = np.array([[t == n for n in router.tasks.names] for t in train.queries.task], float)
    mean = train.outcomes.score.mean(axis=0)
    expected = (groups.T @ train.outcomes.score + 20 * mean) / (groups.sum(axis=0)[:, None] + 20)
    np.testing.assert_allclose(router.means, expected)
    vectors = np.asarray(router.encoder.encode(["proof lemma 5"]), dtype=np.float64)
    quality = router.tasks.probabilities(vectors) @ expected
    np.testing.assert_allclose(ask(router, "proof lemma 5").quality, quality)
    assert router.facts() == {"tasks": 3, "shrinkage": 20.0}


def test_where_tasks_tell_nothing_it_is_the_best_single_model() -> None:
    rng = np.random.default_rng(0)
    train, validation = kinds(600), kinds(300, 1)

    def better_c(table: Table) -> Table:
        score = (rng.random(table.outcomes.score.shape) < [0.3, 0.3, 0.7]).astype(float)
        return replace(table, outcomes=replace(table.outcomes, score=score))

    router = fitted(TaskPosterior, better_c(train), better_c(validation))
    assert set(router.route(kinds(60, 2).queries).choice) == {2}


@pytest.mark.parametrize("cls", [TaskPosterior, ByTask])
def test_the_task_of_a_query_is_never_looked_at(cls: Any, tmp_path: Path) -> None:
    router = fitted(cls, kinds(), kinds(90, 1))
    asked = kinds(60, 2)
    told, untold = router.route(asked.queries), router.route(shown(asked).queries)
    lied = np.array(["proof lemma"] * 60, dtype=object)
    np.testing.assert_array_equal(told.quality, untold.quality)
    np.testing.assert_array_equal(
        told.quality, router.route(replace(asked.queries, task=lied)).quality
    )
    router.save(tmp_path)
    again = cls(router.options)
    again.load(tmp_path)
    np.testing.assert_array_equal(again.route(asked.queries).quality, told.quality)


def learned(n: int = 600) -> SuiteData:
    """The planted world, its tasks known in training alone."""
    data = from_long(planted(n, hit=1.0), name="t", source="recorded", place="t")
    return replace(data, training_only=frozenset({"task"}))


@pytest.mark.parametrize("router", ["task-posterior", "by-task"])
def test_the_planted_rule_is_found(router: str) -> None:
    assert recovered(router, learned()) >= 0.95


def test_a_task_gets_its_own_router_where_that_leads() -> None:
    """Within a task the second word tells, but the same word means the opposite in the other."""
    rng = np.random.default_rng(0)

    def crossed(n: int, seed: int) -> Table:
        rng = np.random.default_rng(seed)
        kind, word = rng.integers(2, size=(2, n))
        names = (("algebra", "poetry"), ("red", "blue"))
        texts = [f"{names[0][k]} and {names[1][w]}" for k, w in zip(kind, word, strict=True)]
        table = small_table(np.eye(2)[kind ^ word], texts, cost=[1, 2])
        task = np.array([names[0][k] for k in kind], dtype=object)
        return replace(table, queries=replace(table.queries, task=task))

    train, validation, test = crossed(400, 1), crossed(200, 2), crossed(100, 3)
    options = {"router": "linear", "options": {"features": "encoder"}}
    router = fitted(ByTask, train, validation, **options)
    assert router.specialised == [0, 1]
    assert router.facts() == {"specialised": "2 of 2 tasks: algebra, poetry"}
    chosen = router.route(test.queries).choice
    assert test.outcomes.score[np.arange(100), chosen].mean() > 0.95
    general = router._routers[0].route(test.queries).choice
    assert test.outcomes.score[np.arange(100), general].mean() < 0.8
    few = fitted(ByTask, train, validation, **options, min_queries=401)
    assert few.specialised == []
    np.testing.assert_array_equal(few.route(test.queries).choice, general)
    noise = replace(
        validation,
        outcomes=replace(validation.outcomes, score=rng.integers(2, size=(200, 2)).astype(float)),
    )
    assert fitted(ByTask, train, noise, **options, margin=4).specialised == []


def test_which_routers_can_be_specialised() -> None:
    pool = Pool(("a", "b"))
    router = ByTask(validate(ByTask, "by-task", {"options": {"k": 3}}))
    assert router.needs(pool, frozenset(), True) is None
    assert isinstance(router._new(), KNN)
    assert router.deterministic
    for values, message in [
        ({"router": "random"}, "random cannot be trained by task"),
        ({"router": "by-task"}, "by-task cannot be trained by task"),
        ({"router": "kn"}, "no router named 'kn'"),
        ({"options": {"kk": 3}}, "knn has no option 'kk'"),
    ]:
        with pytest.raises(OptionError, match=message):
            ByTask(validate(ByTask, "by-task", values)).needs(pool, frozenset(), True)
