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


def test_without_a_boundary_the_most_probable_policy_is_decided() -> None:
    assert Boundary().decide(SHARE).tolist() == [0, 1, 1, 1]
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
    assert Boundary.learn(SHARE, LARGE, samples([0] * 4, [1] * 4), 0.0).decide(SHARE).tolist() == [
        1, 1, 1, 1,
    ]  # fmt: skip
    assert 1 not in Boundary.learn(SHARE, LARGE, samples([1] * 4, [1] * 4), 0.0).decide(SHARE)


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
