"""The cost of one call: each kind of token at its price, and a fee."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.prices.apply import ModelPrice
from routebench.prices.lists import as_written

IN, OUT = "input_usd_per_mtok", "output_usd_per_mtok"


FULL = ModelPrice(
    input_usd_per_mtok=2.0,
    output_usd_per_mtok=8.0,
    cached_usd_per_mtok=0.5,
    thinking_usd_per_mtok=6.0,
    usd_per_request=0.01,
)
PLAIN = ModelPrice(input_usd_per_mtok=2.0, output_usd_per_mtok=8.0)
rates = st.floats(0, 1e3)
counts = st.integers(0, 10**7).map(float)


@st.composite
def calls(draw: st.DrawFn) -> tuple[ModelPrice, list[float]]:
    """A price with whatever it may have, and a call's tokens."""
    entry = ModelPrice(
        input_usd_per_mtok=draw(rates),
        output_usd_per_mtok=draw(rates),
        cached_usd_per_mtok=draw(st.none() | rates),
        thinking_usd_per_mtok=draw(st.none() | rates),
        usd_per_request=draw(st.floats(0, 1)),
    )
    whole = draw(counts), draw(counts)
    return entry, [*whole, *(draw(st.integers(0, int(n)).map(float)) for n in whole)]


def test_each_kind_of_token_at_its_price() -> None:
    assert FULL.usd(1e6, 1e6) == pytest.approx(2 + 8 + 0.01)
    assert FULL.usd(1e6, 1e6, cached_tokens=4e5) == pytest.approx(1.2 + 0.2 + 8 + 0.01)
    assert FULL.usd(1e6, 1e6, thinking_tokens=5e5) == pytest.approx(2 + 4 + 3 + 0.01)
    assert PLAIN.usd(1e6, 1e6, 4e5, 5e5) == PLAIN.usd(1e6, 1e6) == 10.0
    assert FULL.usd(0.0, 0.0) == 0.01, "a call has its fee, whatever it says"
    assert math.isnan(FULL.usd(math.nan, 1.0)), "what is not known is not free"
    assert FULL.usd(1e6, 0.0, math.nan) == FULL.usd(1e6, 0.0), "no cached ones known: none"
    assert FULL.usd(10.0, 0.0, 1e9) == FULL.usd(10.0, 0.0, 10.0), "no more than there are"
    assert type(FULL.usd(1, 1, 1, 1)) is float


@given(calls())
def test_a_cost_is_never_negative_nor_outside_its_rates(
    call: tuple[ModelPrice, list[float]],
) -> None:
    entry, tokens = call
    cost = entry.usd(*tokens)
    said = [entry.input_usd_per_mtok, entry.output_usd_per_mtok]
    own = [entry.cached_usd_per_mtok, entry.thinking_usd_per_mtok]
    least, most = (
        sum(n * pick(r, r if o is None else o) for n, r, o in zip(tokens, said, own, strict=False))
        / 1e6
        + entry.usd_per_request
        for pick in (min, max)
    )
    assert cost >= 0
    assert least * (1 - 1e-12) <= cost <= most * (1 + 1e-12)


@given(calls())
def test_an_array_of_calls_costs_what_each_does(call: tuple[ModelPrice, list[float]]) -> None:
    entry, tokens = call
    several = [np.array([n, 0.0, 2 * n]) for n in tokens]
    each = [entry.usd(*(float(column[i]) for column in several)) for i in range(3)]
    assert entry.usd(*several).tolist() == each
    doubled = entry.usd(*(2 * n for n in tokens)) - entry.usd_per_request
    assert doubled == pytest.approx(2 * (entry.usd(*tokens) - entry.usd_per_request), abs=1e-9)


@given(calls())
def test_a_price_without_extras_costs_to_the_last_bit_as_before(
    call: tuple[ModelPrice, list[float]],
) -> None:
    entry, (prompt, answer, cached, thinking) = call
    plain = ModelPrice(
        input_usd_per_mtok=entry.input_usd_per_mtok, output_usd_per_mtok=entry.output_usd_per_mtok
    )
    two = (prompt * entry.input_usd_per_mtok + answer * entry.output_usd_per_mtok) / 1e6
    assert plain.usd(prompt, answer, cached, thinking) == two


def test_prices_are_written_as_they_were_set() -> None:
    assert as_written(PLAIN) == {IN: 2.0, OUT: 8.0}
    assert ModelPrice.model_validate(as_written(FULL)) == FULL
