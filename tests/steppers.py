"""Small routers that see answers, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from routebench import Bought, Context, Queries, Steps, Table, hookimpl
from routebench.plugin import checkpoint


class AskInTurn:
    """Asks one model after the other, cheapest first, until two of them agree."""

    @hookimpl
    def step(self, queries: Queries, bought: Bought) -> Steps:
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        answer = np.full(len(queries), -1)
        for row, finals in enumerate(bought.final):
            asked = np.flatnonzero(bought.asked[row])
            known = [model for model in asked if finals[model] is not None]
            pairs = [m for m in known if sum(finals[m] == finals[o] for o in known) > 1]
            if pairs or len(asked) == ask.shape[1]:
                answer[row] = (pairs or list(np.flatnonzero(bought.answered[row])))[-1]
            else:
                ask[row, len(asked)] = True
        return Steps(ask, answer, reason=np.array(["agreed"] * len(queries), dtype=object))


class PairThenTop:
    """Asks two models at once; where they differ the third, unless its answer is too dear."""

    class Options(BaseModel):
        pass

    def __init__(self, options: Any) -> None:
        self.options = options
        self.gain = 0.0
        self.price = 0.0

    @hookimpl
    def fit(self, train: Table, context: Context) -> None:
        answers = train.answers
        assert answers is not None
        differ = answers.final[:, 0] != answers.final[:, 1]
        score = train.outcomes.score[differ]
        self.gain = float(score[:, 2].mean() - score[:, 1].mean())
        self.price = float(answers.cost[differ, 2].mean())
        assert context.trade_offs[0] == 0.0

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        first = ~bought.asked.any(axis=1)
        ask[first, :2] = True
        top = self.gain > trade_off * self.price
        ask[:, 2] = ~first & (bought.final[:, 0] != bought.final[:, 1]) & ~bought.asked[:, 2] & top
        stop = ~ask.any(axis=1)
        last = np.where(bought.answered[:, 2], 2, np.where(bought.answered[:, 1], 1, 0))
        return Steps(ask, np.where(stop, last, -1))

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"gain": self.gain, "price": self.price})

    def load(self, folder: Path) -> None:
        state = checkpoint.load(folder)[0]
        self.gain, self.price = state["gain"], state["price"]
