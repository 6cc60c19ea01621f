"""Re-pricing against a case worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from logged_worlds import MODELS, World, events

from routebench.prices.lists import ModelPrice
from routebench.traffic.event_log import read_log
from routebench.traffic.reprice import costs, reprice
from routebench.traffic.target import constant

PRICES = {
    model: ModelPrice(input_price=each, output_price=10 * each)
    for model, each in zip(MODELS, (3.0, 2.0, 1.0), strict=True)
}


def test_outputs_are_scaled_by_the_ratio_of_lengths(tmp_path: Path) -> None:
    log = read_log(events(tmp_path, World().records()))
    log, policy = constant(log, "small")
    made = reprice(log, policy.choice, costs(log, {}), PRICES, {}, resamples=200)
    assert made is not None
    # Outputs are 50, 100 and 150 tokens: any request comes to 150 of the small model's.
    other = (100 * 1.0 + 150 * 10.0) / 1e6
    own = float((log.chosen == log.models.index("small")).mean())
    assert made.per_event.value == pytest.approx(own * 0.001 + (1 - own) * other)
    assert made.logged.value == pytest.approx(log.numbers["cost_usd"].mean())
    assert made.per_event.low < made.per_event.value < made.per_event.high
    assert made.unpriced == 0


def test_lengths_of_a_model_the_log_lacks_come_from_a_run(tmp_path: Path) -> None:
    log = read_log(events(tmp_path, World().records()))
    log, policy = constant(log, "tiny")
    prices = {"tiny": ModelPrice(input_price=0.0, output_price=1.0)}
    assert reprice(log, policy.choice, costs(log, {}), prices, {}, resamples=10) is None
    made = reprice(log, policy.choice, costs(log, {}), prices, {"tiny": 30.0}, resamples=10)
    assert made is not None
    assert made.per_event.value == pytest.approx(30 / 1e6, rel=1e-6)


def test_costs_that_were_not_logged_are_tokens_times_prices(tmp_path: Path) -> None:
    records = World(n=90).records()
    for record in records[:50]:
        record["cost_usd"] = None
    log = read_log(events(tmp_path, records))
    made = costs(log, PRICES)
    at = log.chosen[0]
    assert made[0] == pytest.approx((3.0 - at) * (100 + 10 * 50 * (at + 1)) / 1e6)
    np.testing.assert_array_equal(made[50:], log.numbers["cost_usd"][50:])
    assert np.isnan(costs(log, {})[:50]).all()
