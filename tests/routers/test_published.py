"""The published routers: what each is made to find, conformance, noise, and an ablation of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import noise, planted, recovered, small_table

from routebench.board.build import score
from routebench.data.long_table import from_long
from routebench.data.splits import make_split
from routebench.encode.encoders import FittedOnUse
from routebench.hookspecs import Context
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin import described, discovery
from routebench.plugin.options import validate
from routebench.records import Objective, SuiteData, Table
from routebench.testing import PluginCheck, parametrize_with_checks
from routebench.testing.tables import synthetic_tables

NAMES = sorted(
    info.name for info in discovery.installed("router") if described.family(info) == "published"
)
READY = [info.name for info in discovery.installed("router") if info.ready and info.name in NAMES]
QUICK: dict[str, dict[str, Any]] = {
    "avengers-pro": {"clusters": 16, "starts": 1},
    "random-forest": {"trees": 20},
    "graph-router": {"steps": 60},
    "bert": {"hidden_size": 16, "epochs": 4, "max_length": 6},
}
"""Options for what is done many times."""


def loaded(name: str) -> Any:
    info = discovery.find("router", name)
    if not info.ready:
        pytest.skip(f"{name} needs {', '.join(info.missing)}")
    return discovery.load(info)


def fitted(
    name: str,
    train: Table,
    validation: Table,
    objective: tuple[float, float] = (1, 0),
    **values: Any,
) -> Any:
    cls = loaded(name)
    router = cls(validate(cls, name, values))
    encoder = FittedOnUse("tfidf-svd", {"dimension": 16}, list(train.queries.text))
    router.fit(train, validation, Context(0, encoder, Path(), objective=Objective(*objective)))
    return router


@pytest.fixture(scope="module")
def topics() -> SuiteData:
    """Each model is right on its own topic."""
    return from_long(planted(600, hit=1.0), name="t", source="recorded", place="t")


def test_which_there_are() -> None:
    assert (
        sorted(
            [
                *(
                    "avengers-pro",
                    "bert",
                    "carrot",
                    "elo",
                    "embedllm",
                    "graph-router",
                    "irt",
                    "mlp",
                ),
                *("p2l", "random-forest", "router-dc", "similarity-weighted", "svm", "uniroute"),
            ]
        )
        == NAMES
    )
    for name in NAMES:
        assert not described.in_all(discovery.find("router", name)), name


def test_each_has_its_papers_values() -> None:
    for name in READY:
        cls = loaded(name)
        cls.Options(**cls.presets["paper"])
        assert "paper" in cls.presets, name
        assert set(cls.presets["paper"]) <= set(cls.Options.model_fields), name


FEW: dict[str, dict[str, Any]] = {
    "avengers-pro": {"clusters": 8, "shrinkage": 10.0},
    "bert": {"hidden_size": 4, "epochs": 1, "max_length": 4},
    "graph-router": {"steps": 8, "hidden": 4},
    "mlp": {"epochs": 4},
    "random-forest": {"trees": 20, "leaf": 20},
    "svm": {"C": 1.0},
    "similarity-weighted": {"gamma": 100.0},
    "uniroute": {"clusters": 8},
    **{name: {"epochs": 2} for name in ("carrot", "embedllm", "irt", "p2l", "router-dc")},
}
"""Options for conformance, which fits some forty times."""


SLOW = {"bert", "graph-router"}
"""Their libraries alone take seconds to import."""
LONG = SLOW | {"random-forest", "router-dc", "uniroute"}
"""Fitted forty times these take seconds, too."""


def with_options(names: list[str]) -> list[tuple[type[Any], dict[str, Any]]]:
    return [(discovery.load(discovery.find("router", name)), FEW.get(name, {})) for name in names]


def each(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


# With their default options: tests/testing.
@parametrize_with_checks(with_options([name for name in READY if name not in LONG]))
def test_conformance(check: PluginCheck) -> None:
    check()


@pytest.mark.slow
@parametrize_with_checks(with_options([name for name in READY if name in LONG]))
def test_conformance_of_the_slow_ones(check: PluginCheck) -> None:
    check()


@pytest.mark.parametrize("name", each([name for name in NAMES if name != "elo"]))
def test_the_planted_rule_is_found(name: str, topics: SuiteData) -> None:
    loaded(name)
    assert recovered(name, topics) >= 0.9


def asked_for_hard_ones(n: int = 200) -> Table:
    """a is right wherever b is and on more, but is asked twice as many hard queries."""
    rng = np.random.default_rng(0)
    hard = np.arange(n) % 2 == 1
    scores = np.where(hard[:, None], [0.4, 0.1, 0.2], [0.95, 0.8, 0.7]) > rng.random((n, 3))
    known = scores.astype(float)
    known[~hard & (rng.random(n) < 0.8), 0] = np.nan  # a is hardly asked an easy one
    known[hard & (rng.random(n) < 0.8), 1] = np.nan  # b hardly a hard one
    return small_table(known)


def test_elo_is_fair_to_a_model_that_was_asked_harder_queries() -> None:
    table = asked_for_hard_ones()
    means = np.nanmean(table.outcomes.score, axis=0)
    assert means.argmax() == 1, "by its mean score b is the best"
    router = fitted("elo", table, table)
    assert set(router.route(table.queries).choice) == {0}
    # Of what a perfect rating would gain over the best mean score, on all cells: all.
    assert router.ratings.argmax() == 0
    assert router.ratings.mean() == pytest.approx(1000)


LEARNS = {"lr": 5e-3, "epochs": 8}
ABLATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "avengers-pro": ({"alpha": 1.0}, {"alpha": 0.3}),
    "svm": ({"gamma": 1.0}, {"gamma": 1e-6}),
    "mlp": ({"epochs": 30}, {"epochs": 1}),
    "random-forest": ({"depth": 20}, {"depth": 0}),
    "similarity-weighted": ({"gamma": 1e5}, {"gamma": 1.0}),
    "embedllm": ({"noise_alpha": 0.0}, {"noise_alpha": 3.0}),
    "irt": ({"discrimination": "query"}, {"discrimination": "constant"}),
    "carrot": ({"mu": 0.0}, {"mu": 0.9}),
    "uniroute": ({"map": "kmeans", "clusters": 20}, {"map": "kmeans", "clusters": 1}),
    "router-dc": ({"sample_weight": 0.0}, {"sample_weight": 30.0}),
    "p2l": ({"outcomes": "all"}, {"outcomes": "wins"}),
    "graph-router": ({"convolutions": True}, {"convolutions": False}),
    "bert": ({"max_length": 12, **LEARNS}, {"max_length": 4, **LEARNS}),
}


@pytest.fixture(scope="module")
def noisy() -> tuple[Table, Table, Table]:
    """Tasks with specialists, and a model that is fair at everything; all are wrong at times."""
    tables = synthetic_tables(400, 150, 160, seed=3)
    return tables.train, tables.validation, tables.test


@pytest.mark.parametrize("name", each(sorted(ABLATIONS)))
def test_an_ablation_changes_decisions(name: str, noisy: tuple[Table, Table, Table]) -> None:
    train, validation, test = noisy
    whole, less = (
        fitted(name, train, validation, **QUICK.get(name, {}) | values).route(test.queries)
        for values in ABLATIONS[name]
    )
    assert (whole.choice != less.choice).any()


def test_elos_ties_count() -> None:
    pairs = [(1, 0, None)] * 3 + [(1, 1, None)] * 12 + [(None, 1, 0)] * 5 + [(None, 0, 1)] * 4
    pairs += [(1, None, 0)] * 5 + [(0, None, 1)] * 6
    table = small_table([[np.nan if v is None else v for v in row] for row in pairs])
    half, dropped = (fitted("elo", table, table, ties=ties).ratings for ties in ("half", "dropped"))
    assert half[0] - half[1] != pytest.approx(dropped[0] - dropped[1], abs=1)


@pytest.mark.slow
def test_no_two_are_one_model(noisy: tuple[Table, Table, Table]) -> None:
    """Each expects something else of the models than any other does."""
    train, validation, test = noisy
    expected = {
        name: fitted(name, train, validation, **QUICK.get(name, {})).route(test.queries).quality
        for name in [*READY, "knn", "linear"]
    }
    for one in expected:
        for other in expected:
            if one < other:
                gap = np.abs(expected[one] - expected[other]).max()
                assert gap > 0.01, (one, other)


@pytest.mark.parametrize("name", each(NAMES))
def test_noise_is_not_beaten(name: str, worlds: Callable[[int], Setup]) -> None:
    """Called better than best single in one of three worlds at most: by chance two would be
    once in 500 times.
    """
    loaded(name)
    better = 0
    for seed in range(3):
        setup = worlds(seed)
        job = Job(name, discovery.find("router", name), QUICK.get(name, {}), seed, 0, "")
        result = run_here(job, setup, lambda done, note="": None)
        scores: Any = score(setup, [], {job: result}, 300).evaluation.routers[name]
        difference = scores.against["best-single"]["accuracy"]
        better += difference.value > 0 and difference.p_raw / 2 < 0.025
    assert better <= 1


@pytest.fixture(scope="module")
def worlds() -> Callable[[int], Setup]:
    made: dict[int, Setup] = {}

    def of(seed: int) -> Setup:
        if seed not in made:
            data = from_long(noise(300, seed=seed), name="t", source="recorded", place="t")
            made[seed] = Setup(data, make_split(data), "tfidf-svd", {"dimension": 16})
        return made[seed]

    return of
