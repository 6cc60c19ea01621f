"""Invented answers for routers that see answers: letters, right where the score says so."""

from __future__ import annotations

import hashlib

import numpy as np

from routebench.bought import Bought
from routebench.records import Mask, State, Strings, Table

_RIGHT = "A"


def training_answers(table: Table) -> Bought:
    """Return the recorded answers of a table: `A` where an answer is right, else another letter."""
    right = np.nan_to_num(table.outcomes.score) >= 0.5
    answers = invented_answers(table.queries.text, table.pool.models, right)
    outcomes = table.outcomes
    asked = outcomes.state != State.ABSENT
    failed = outcomes.state == State.FAILED
    answers.answered[failed] = False
    answers.response[failed] = answers.final[failed] = None
    if outcomes.cost is None:
        answers.cost[:] = np.nan
    return answers.only(asked)


def invented_answers(texts: Strings, models: tuple[str, ...], right: Mask | None = None) -> Bought:
    """Return an answer of every model to every text, by the text and the model's name alone.

    `right` [n, m] says which of them are; without it one in two is.
    """
    n, m = len(texts), len(models)
    made = Bought.nothing(n, m)
    assert made.verification is not None
    made.asked[:] = made.answered[:] = True
    for row, text in enumerate(texts):
        for column, model in enumerate(models):
            drawn = hashlib.sha256(f"{model}\x1f{text}".encode("utf-8", "surrogatepass")).digest()
            good = drawn[0] % 2 == 0 if right is None else right[row, column]
            final = _RIGHT if good else "BCD"[drawn[1] % 3]
            made.final[row, column] = final
            made.response[row, column] = f"The answer is ({final})." + " Indeed." * (drawn[2] % 4)
            made.input_tokens[row, column] = 20
            made.output_tokens[row, column] = 6 + drawn[2] % 4
            made.latency[row, column] = 0.1 + drawn[3] / 256
            made.confidence[row, column] = -drawn[4] / 256
            made.verification[row, column] = drawn[6] % 9 / 8
            made.cost[row, column] = (26 + drawn[2] % 4) * 1e-6 * (1 + drawn[5] % 2)
    return made
