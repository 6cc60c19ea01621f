"""The point from which the policy router asks the large model, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import small_table

from routebench_routers.hybrid.labels import Samples
from routebench_routers.policy.decision import Boundary, calibration, ceiling
from routebench_routers.policy.oracle import POLICIES, oracle

LARGE = [False, True, False]
"""By policy, standard, complex and ambiguous, whether its queries go to the large model."""
SHARE = np.array([[0.5, 0.3, 0.2], [0.2, 0.45, 0.35], [0.1, 0.6, 0.3], [0.0, 0.9, 0.1]])


def samples(medium: list[float], large: list[float]) -> Samples:
    one, two = (np.array(scores)[:, None] for scores in (medium, large))
    return Samples(np.arange(len(one)), one, two)


def test_there_is_no_boundary_between_labels_of_one_model() -> None:
    pair = samples([1, 1, 1, 0], [1, 1, 1, 1])
    assert Boundary.learn(SHARE[:, :2], [False, False], pair, 1.0) == Boundary()
    assert Boundary.learn(SHARE[:0], LARGE, samples([], []), 1.0) == Boundary()


def test_the_medium_model_gets_what_costs_no_more_than_the_drop() -> None:
    # The medium model is right on the first three, the large one on all: 0.25 is between .1 and .4.
    found = Boundary.learn(SHARE, LARGE, samples([1, 1, 1, 0], [1, 1, 1, 1]), 0.0)
    assert found.least == pytest.approx(0.25)
    # Of the policies for the medium model the most probable, though complex is more so.
    assert found.decide(SHARE).tolist() == [0, 2, 2, 1]
    # Never right, the medium model gets nothing; always, everything.
    never = Boundary.learn(SHARE, LARGE, samples([0] * 4, [1] * 4), 0.0)
    assert never.decide(SHARE).tolist() == [1] * 4
    assert 1 not in Boundary.learn(SHARE, LARGE, samples([1] * 4, [1] * 4), 0.0).decide(SHARE)


def test_a_drop_within_noise_of_the_limit_is_not_taken() -> None:
    """Of 100 queries the medium model loses 3 and wins 2: 1% is kept, but with nothing to spare."""
    share = np.stack([np.linspace(0.9, 0.5, 100), np.linspace(0.1, 0.5, 100)], axis=1)
    medium, large = np.ones(100), np.ones(100)
    medium[[50, 60, 70]], large[[80, 90]] = 0.0, 0.0
    pair = samples(medium.tolist(), large.tolist())
    found = Boundary.learn(share, [False, True], pair, 100 / 98 + 1e-9)
    # One lost query costs one, and its standard error is nearly one: none is within one.
    assert found.decide(share).tolist() == [0] * 50 + [1] * 50
    # Four may be lost: three and their error of 1.7 are more, two and 1.4 are not.
    found = Boundary.learn(share, [False, True], pair, 400 / 98)
    assert found.decide(share).tolist() == [0] * 70 + [1] * 30


def test_a_checkpoint_keeps_the_boundary() -> None:
    found = Boundary((False, True), 0.25)
    assert Boundary.from_json(found.to_json()) == found
    assert Boundary.from_json(None) == Boundary()


def test_the_ceiling_of_the_labels() -> None:
    # Large, then medium: perfect labels ask the large model for the second query alone.
    table = small_table([[1, 1], [1, 0], [0, 0], [0, 1]])
    checked = oracle(table, 1, 0)
    assert checked.policy.tolist() == ["standard", "complex", "ambiguous", "standard"]
    columns = {"standard": 1, "complex": 0, "ambiguous": 1}
    facts = ceiling(table, checked, columns, {"decided": np.array([0, 0, 0, 1])})
    assert facts == {
        "validation_perfect_labels": 0.75,
        "validation_decided": 0.75,
        "validation_medium_alone": 0.5,
        "validation_large_alone": 0.5,
    }


def test_calibration_undoes_a_balance() -> None:
    rng = np.random.default_rng(0)
    policy = rng.choice(np.array(POLICIES, dtype=object), 3000, p=[0.7, 0.2, 0.1])
    flat = np.log(np.full((3000, 3), 1 / 3)) + rng.normal(0, 0.01, (3000, 3))
    scale = calibration(flat, policy.astype(str), POLICIES)
    assert scale is not None
    logit = flat @ scale["weight"].T + scale["shift"]
    share = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(share.mean(axis=0), [0.7, 0.2, 0.1], atol=0.03)
    assert calibration(flat[:3], np.array(["complex"] * 3), POLICIES) is None
