from __future__ import annotations

import numpy as np
import pytest

from routebench.testing import MODELS, PluginCheck, parametrize_with_checks, synthetic_tables
from routebench_coinflip import CoinFlip


@parametrize_with_checks([CoinFlip, (CoinFlip, {"max_drop": 0.2})])
def test_conformance(check: PluginCheck) -> None:
    check()


def test_found_by_name() -> None:
    from routebench.plugin.discovery import find, load

    assert load(find("router", "coinflip")) is CoinFlip


@pytest.mark.parametrize("max_drop", [0.0, 0.1, 0.2])
def test_validation_loses_no_more_than_allowed(max_drop: float) -> None:
    tables = synthetic_tables()
    router = CoinFlip(CoinFlip.Options(max_drop=max_drop))
    # The synthetic model-c is best on the whole, and cheaper than the runner-up: swap them.
    router.best, router.other = MODELS.index("model-d"), MODELS.index("model-a")
    share = router._share(tables.train, tables.validation)
    means = tables.validation.outcomes.mean_score()
    drop = share * (means[router.best] - means[router.other])
    assert drop <= max_drop + 1e-12
    assert 0 <= share <= 1


def test_coin_lands_as_often_as_its_bias_says() -> None:
    router = CoinFlip(CoinFlip.Options())
    flips = np.array([router._flip(f"query {i}") for i in range(4000)])
    assert (flips < 0.3).mean() == pytest.approx(0.3, abs=0.03)
