"""After each answer ask the model that is worth its price by what is known, or stop."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pydantic import BaseModel, Field

from routebench.bought import Bought, Steps
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Floats, Ints, Mask, Queries, Table
from routebench.routers.state import DeclaredState
from routebench_routers.steppers.answers import agreements, said, to_steps
from routebench_routers.steppers.evidence import Regressions, features, known_columns, sets_of
from routebench_routers.steppers.lists import evaluate, near_best, rightness, useful
from routebench_routers.steppers.prior import KnownPriors, Prior
from routebench_routers.steppers.recorded import Recorded

_CONSIDERED = 12  # models among which the few that are asked are looked for


class CascadeRouting(DeclaredState):
    """Cascade routing (Dekoninck et al., arXiv 2410.10347): any model next, re-estimated each time.

    Before an answer is seen, scores are expected from the query's vector; with each set of bought
    answers they are estimated anew from which of these agree, how easy the query is expected to be,
    and which say nothing. A query stops where no further model is worth its cost by λ.

    Deviations: the source takes the set of models with the highest E[max quality] − λ · cost under
    a normal distribution, whose covariance it stores per bought subset, and prunes sets. That
    counts the whole set's cost, though a cascade often stops early, and two answers that agree or
    do not are far from normal. Here the value of going on is found backwards: with all models
    bought it is the best answer's expected score; before, a regression on what is known predicts
    what asking one more is worth, less its cost, if all later steps are the best ones. One λ holds
    for all steps, where the source tunes one for each. Models are asked one at a time.
    """

    family = "see answers"

    class Options(BaseModel):
        models: int = Field(4, ge=1, le=7, description="models that may be asked")

    libraries = ("encoder",)
    deterministic = True
    effort = 5
    options: Options
    encoder: FittedEncoder
    models: Ints
    order: Ints
    prior: Prior
    quality: Floats
    """[2^k, p, k] coefficients of each model's score by the set of bought ones."""
    going: Floats
    """[λ, 2^k, p, k] coefficients of what asking one more model is worth."""
    trade_offs: Floats

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        self.forget()
        self.encoder = context.encoder
        recorded = Recorded.of(train)
        self.order = recorded.order()
        self.trade_offs = np.array(context.trade_offs, dtype=np.float64)
        chosen = _chosen(recorded, self.trade_offs, self.options.models)
        self.models, recorded = recorded.complete(chosen)
        vectors = np.asarray(self.encoder.encode(recorded.texts), dtype=np.float64)
        score, cost = recorded.score[:, self.models], recorded.cost[:, self.models]
        self.prior, expected = Prior.learn(vectors, score, recorded.ok[:, self.models])
        rows = self._features(expected, recorded.answers)
        regressions = Regressions(rows, known_columns(len(self.models)))
        sets = range(1 << len(self.models))
        self.quality = np.array([regressions.fit(bought, score) for bought in sets])
        silent = ~recorded.answers.answered[:, self.models]
        stop = _stopping(rows, self.quality, silent)
        self.going = np.array(
            [_backwards(regressions, rows, stop, cost * price) for price in self.trade_offs]
        )

    @hookimpl
    def step(self, queries: Queries, bought: Bought, trade_off: float) -> Steps:
        n, k = len(queries), len(self.models)
        rows = self._features(self._expected([str(text) for text in queries.text]), bought)
        asked, answered = bought.asked[:, self.models], bought.answered[:, self.models]
        sets = sets_of(asked)
        going = self.going[np.abs(self.trade_offs - trade_off).argmin()]
        ask = np.zeros(bought.asked.shape, dtype=np.bool_)
        answer = np.full(n, -1, dtype=np.int64)
        chance = np.zeros(n)
        for number in np.unique(sets):
            at = np.flatnonzero(sets == number)
            # One by one: a matrix product over another number of rows may round differently.
            quality = np.einsum("np,pk->nk", rows[at], self.quality[number])
            quality[~answered[at]] = -np.inf
            value = np.einsum("np,pk->nk", rows[at], going[number])
            value[asked[at]] = -np.inf
            stops = (quality.max(axis=1) >= value.max(axis=1)) & asked[at].any(axis=1)
            answer[at[stops]] = self.models[quality.argmax(axis=1)[stops]]
            chance[at] = quality.max(axis=1)
            ask[at[~stops], self.models[value.argmax(axis=1)[~stops]]] = True
        confidence = np.clip(np.nan_to_num(chance, neginf=0.0), 0.0, 1.0)
        reason = np.array([_reason(count, k) for count in asked.sum(axis=1)], dtype=object)
        return to_steps(ask, answer, bought, self.order, confidence, reason)

    def _features(self, expected: Floats, bought: Bought) -> Floats:
        agree = agreements(bought, self.models)
        silent = bought.asked[:, self.models] & ~said(bought, self.models)
        return features(expected, self.prior.mean, agree, silent)

    @cached_property
    def _expected(self) -> KnownPriors:
        return KnownPriors(self.encoder, self.prior)


def _chosen(recorded: Recorded, trade_offs: Floats, most: int) -> Ints:
    """Return up to `most` models: those of the lists that agreement would use, by how often."""
    known = useful(recorded.mean_score(), recorded.mean_cost(), _CONSIDERED)
    if len(known) <= most:
        return known
    agree = np.zeros((*recorded.ok.shape, recorded.ok.shape[1]), dtype=np.bool_)
    agree[np.ix_(np.arange(len(agree)), known, known)] = agreements(recorded.answers, known)
    lists = evaluate(recorded, agree, rightness(recorded, agree), known)
    return near_best(lists, trade_offs, most)


def _stopping(rows: Floats, quality: Floats, lost: Mask) -> Floats:
    """Return [2^k, n] the expected score of the best bought answer; −inf where there is none."""
    k = quality.shape[2]
    stop = np.full((len(quality), len(rows)), -np.inf)
    for bought in range(1, len(quality)):
        members = [model for model in range(k) if bought >> model & 1]
        expected = rows @ quality[bought][:, members]
        stop[bought] = np.where(lost[:, members], -np.inf, expected).max(axis=1)
    return stop


def _backwards(regressions: Regressions, rows: Floats, stop: Floats, price: Floats) -> Floats:
    """Return [2^k, p, k] what asking one more is worth; 0 where the model is bought."""
    k = price.shape[1]
    value = np.where(np.isfinite(stop), stop, 0.0)
    going = np.zeros((len(stop), rows.shape[1], k))
    for bought in reversed(range(len(stop))):
        more = [model for model in range(k) if not bought >> model & 1]
        if not more:
            continue
        worth = np.stack([value[bought | 1 << model] - price[:, model] for model in more], axis=1)
        going[bought][:, more] = regressions.fit(bought, worth)
        best = (rows @ going[bought][:, more]).max(axis=1)
        value[bought] = np.maximum(best, stop[bought])
    return going


def _reason(asked: int, k: int) -> str:
    return "all asked" if asked == k else "worth no more"
