"""Ask cheap models until two of them agree; else the last of the list decides."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from routebench.bought import Bought, Steps
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Floats, Ints, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.answers import agreements, to_steps
from routebench_routers.steppers.lists import Lists, evaluate, rightness, useful
from routebench_routers.steppers.recorded import Recorded


class AgreementCascade(DeclaredState):
    """Agreement-based cascading (ABC, arXiv 2407.02348), on the answers' final values.

    Two models are asked at once. Where their answers agree, that of the one which is right more
    often when they do is given; else a third model may be asked, whose answer may agree with
    either; else the last model's answer stands. For each trade-off λ the list of models, or a
    single one, has the highest accuracy − λ · cost on training and validation answers, where a gain
    over the best single model counts by the share that stands above twice its error.

    Deviations: the source's tiers are ensembles of any size with a threshold on the share of votes;
    here two equal answers are enough, and lists have up to four models. Models and their order are
    chosen from recorded scores, where the source's ladder is given.
    """

    family = "see answers"

    class Options(BaseModel):
        models: int = Field(12, ge=2, description="models considered, by Pareto fronts")
        similarity: float | None = Field(
            None,
            gt=0,
            le=1,
            description="cosine from which texts agree, for long answers; final answers if unset",
        )

    libraries = ("encoder",)
    deterministic = True
    effort = 3
    options: Options
    models: Ints
    lists: Ints
    score: Floats
    cost: Floats
    last: Floats
    right: Floats
    order: Ints
    encoder: FittedEncoder | None = None

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        if self.options.similarity is not None:
            self.encoder = context.encoder
        recorded = Recorded.of(train, validation)
        self.order = recorded.order()
        known = useful(recorded.mean_score(), recorded.mean_cost(), self.options.models)
        agree = np.zeros((*recorded.ok.shape, recorded.ok.shape[1]), dtype=np.bool_)
        agree[np.ix_(np.arange(len(agree)), known, known)] = agreements(
            recorded.answers, known, self.options.similarity, self.encoder
        )
        self.right = rightness(recorded, agree)
        lists = evaluate(recorded, agree, self.right, known)
        kept = lists.take(np.unique([lists.best(trade_off) for trade_off in context.trade_offs]))
        self.models, self.lists, self.score, self.cost = known, kept.models, kept.score, kept.cost
        self.last = np.array([self._last_right(recorded, chosen) for chosen in kept.models])

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        at = Lists(self.lists, self.score, self.cost).best(trade_off)
        members = _members(self.lists[at])
        n, m = bought.asked.shape
        ask = np.zeros((n, m), dtype=np.bool_)
        answer = np.full(n, -1, dtype=np.int64)
        reason = np.full(n, "", dtype=object)
        asked = bought.asked[:, members]
        given, chance = self._agreed(bought, members, self.last[at])
        stops = asked[:, -1] | (given >= 0)
        answer[stops] = np.where(given >= 0, given, members[-1])[stops]
        reason[stops] = np.where(given >= 0, "agreed", "last")[stops]
        first = ~asked.any(axis=1)
        ask[np.ix_(first, members[:2] if len(members) > 2 else members)] = True
        going = ~stops & ~first
        ask[going, members[asked.argmin(axis=1)][going]] = True
        return to_steps(ask, answer, bought, self.order, chance, reason)

    def _agreed(self, bought: Bought, members: Ints, last: float) -> tuple[Ints, Floats]:
        """Return [n] the model to answer with where two agree, else −1, and how often it is right.

        The last of the list needs nobody's agreement: where no others agree, `last` is its chance.
        """
        first = members[:-1]
        given = np.full(len(bought), -1, dtype=np.int64)
        chance = np.full(len(bought), last)
        if len(first):
            agree = agreements(bought, first, self.options.similarity, self.encoder)
            right = np.where(agree, self.right[np.ix_(first, first)], -1.0).max(axis=2)
            found = right.max(axis=1) >= 0
            given[found] = first[right.argmax(axis=1)][found]
            chance[found] = right.max(axis=1)[found]
        return given, np.clip(chance, 0.0, 1.0)

    def _last_right(self, recorded: Recorded, chosen: Ints) -> float:
        """Return the mean score of a list's last model where no others of the list agree."""
        members = _members(chosen)
        given, _ = self._agreed(recorded.answers, members, 0.0)
        rows = (given < 0) & recorded.ok[:, members[-1]]
        return float(recorded.score[rows, members[-1]].mean()) if rows.any() else 0.5


def _members(chosen: Ints) -> Ints:
    return chosen[chosen >= 0]
