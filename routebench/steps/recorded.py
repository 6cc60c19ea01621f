"""The recorded answers of a suite, as they are sold to a router that steps."""

from __future__ import annotations

import numpy as np

from routebench.bought import Bought
from routebench.records import Floats, Ints, State, Strings, SuiteData


def recorded_answers(data: SuiteData, rows: Ints) -> Bought:
    """Return all answers of the given queries; an absent cell was not asked.

    A failed call gave no answer, and cost what is recorded for it.
    """
    outcomes, models = data.outcomes, len(data.pool)
    state = outcomes.state[rows]
    shape = state.shape

    def numbers(values: Floats | None) -> Floats:
        return np.full(shape, np.nan) if values is None else values[rows].copy()

    def texts(values: object) -> Strings:
        found = np.full(shape, None, dtype=object)
        if values is not None:
            cells = (rows[:, None] * models + np.arange(models)).reshape(-1)
            found.reshape(-1)[:] = values.take(cells).to_pylist()  # type: ignore[attr-defined]
        return found

    response = texts(data.answers)
    answered = ~np.isin(state, (State.ABSENT, State.FAILED)) & (response != None)  # noqa: E711
    bought = Bought(
        asked=state != State.ABSENT,
        answered=answered,
        response=response,
        final=texts(data.finals),
        input_tokens=numbers(outcomes.input_tokens),
        output_tokens=numbers(outcomes.output_tokens),
        cost=numbers(outcomes.cost),
        latency=numbers(outcomes.latency),
        confidence=numbers(outcomes.confidence),
        finish_reason=texts(data.finish_reasons),
        verification=numbers(outcomes.verification),
    )
    bought.response[~answered] = bought.final[~answered] = None
    return bought
