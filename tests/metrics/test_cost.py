from __future__ import annotations

import numpy as np
import pytest

from routebench.metrics.cost import cost_per_1k, savings, total_cost


def test_cost_is_per_thousand_queries() -> None:
    assert cost_per_1k(0.0007) == pytest.approx(0.7)
    np.testing.assert_allclose(cost_per_1k(np.array([0.001, 0.002])), [1, 2])


def test_total_includes_the_routers_own() -> None:
    assert total_cost(0.0007, 0.0001) == pytest.approx(0.0008)


def test_savings() -> None:
    assert savings(0.3, 1.2) == pytest.approx(0.75)
    assert savings(2.4, 1.2) == pytest.approx(-1)
    assert savings(0.0, 1.2) == 1


def test_savings_against_a_free_model_are_undefined_never_infinite() -> None:
    np.testing.assert_allclose(
        savings(np.array([0.0, 1.0, 1.0]), [0.0, 0.0, 4.0]), [np.nan, np.nan, 0.75]
    )
