from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.usage import top_model_share, usage, usage_entropy


def test_usage_counts_seeds_and_models_never_chosen() -> None:
    choice = np.array([[0, 0, 2, 2], [0, 2, 2, 2]])
    np.testing.assert_allclose(usage(choice, 4), [0.375, 0, 0.625, 0])


@pytest.mark.parametrize(
    ("shares", "bits"),
    [([1, 0, 0], 0.0), ([0.5, 0.5, 0], 1.0), ([0.25] * 4, 2.0), ([0.5, 0.25, 0.25], 1.5)],
)
def test_entropy_in_bits(shares: list[float], bits: float) -> None:
    assert usage_entropy(shares) == pytest.approx(bits)


def test_entropy_of_one_model_is_not_minus_zero() -> None:
    assert not np.signbit(usage_entropy([1.0, 0.0]))


def test_resamples_are_rows() -> None:
    shares = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert usage_entropy(shares).shape == (2,)
    np.testing.assert_allclose(top_model_share(shares), [0.5, 0.9])
