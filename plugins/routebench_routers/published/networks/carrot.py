"""CARROT: quality and cost of every model predicted for a query, and the best of both chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from routebench.hookspecs import Context
from routebench.plugin.selection import best
from routebench.records import Decisions, Floats, Queries
from routebench_routers.neighbours import Neighbours
from routebench_routers.published.examples import Examples
from routebench_routers.published.networks.descent import (
    DescentOptions,
    DescentRouter,
    Parts,
    cross_entropy,
    linear,
    log_odds,
    sigmoid,
)

_KS = tuple(2**power for power in range(1, 10))


class Carrot(DescentRouter):
    """Two regressions per model, q of quality and c of cost: argmax (1 - mu) q - mu c.

    Both read the query's vector. With `predictor = "network"` one hidden layer has an output of
    each kind for every model; the loss is cross-entropy of scores and squared error of costs. With
    `"knn"` each is a mean over k neighbours, k chosen for every model by the area under the ROC
    curve (costs: R²) on validation.

    Source: CARROT (arXiv 2502.03261). Preset `paper`: its kNN, k out of 2, 4 … 512.

    Deviations: the network is a small one on fixed vectors, where the source tunes RoBERTa; mu is
    that of the run's objective unless it is set; costs are over the mean cost of the dearest model;
    for k the run's validation part takes the place of cross-validation. The run's curves trade q
    against mean cost.
    """

    family = "published"
    in_all = False

    class Options(DescentOptions):
        predictor: Literal["network", "knn"] = Field("network", description="what predicts")
        hidden: int = Field(64, ge=1, le=4096, description="width of the hidden layer")
        mu: float | None = Field(
            None, ge=0, le=1, description="weight of cost; the run's objective if unset"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"predictor": "knn"}}

    libraries = ("encoder", "torch")
    effort = 8
    options: Options
    parts: dict[str, Floats] = {}  # noqa: RUF012  state, copied for every fit
    points: Floats | None = None
    scores: Floats | None = None
    costs: Floats | None = None
    dearest: float = 1.0
    """USD, the mean cost of the dearest model."""

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        means = None if train.costs is None else _means(train.costs)
        self.dearest = 1.0 if means is None or not means.max() > 0 else float(means.max())
        if self.options.predictor == "network":
            super().build(train, held, context)
            return
        self.points, self.scores = train.vectors, train.scores
        self.costs = None if train.costs is None else train.costs / self.dearest
        if held is not None:
            self.chosen = self._neighbours(held)

    def _neighbours(self, held: Examples) -> dict[str, float]:
        """Return the k of each model for quality, `q0` and so on, and for cost."""
        assert self.points is not None
        assert self.scores is not None
        ks = sorted({min(k, len(self.points)) for k in _KS})
        found = Neighbours.of(self.points, self.scores).predict(held.vectors, ks)
        chosen = {}
        for model in range(self.scores.shape[1]):
            known = held.known[:, model]
            wanted = held.targets[known, model]
            values = [_auc(one[known, model], wanted) for one in found]
            chosen[f"q{model}"] = float(ks[_last_best(values)])
        if self.costs is not None and held.costs is not None:
            dear = Neighbours.of(self.points, self.costs).predict(held.vectors, ks)
            for model in range(self.scores.shape[1]):
                wanted = held.costs[:, model] / self.dearest
                known = np.isfinite(wanted)
                errors = [-float(((one[:, model] - wanted)[known] ** 2).sum()) for one in dear]
                chosen[f"c{model}"] = float(ks[_last_best(errors)])
        return chosen

    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        m, width, hidden = train.scores.shape[1], train.vectors.shape[1], self.options.hidden
        cost = np.zeros(m) if train.costs is None else _means(train.costs) / self.dearest
        # It begins with the models' means, whatever the query.
        return {
            "hidden": linear(rng, hidden, width),
            "shift": np.zeros(hidden),
            "output": np.zeros((2 * m, hidden)),
            "bias": np.concatenate([log_odds(train), cost]),
        }

    def arrays(self, examples: Examples, training: bool, seed: int) -> dict[str, Floats]:
        costs = np.full(examples.scores.shape, np.nan) if examples.costs is None else examples.costs
        priced = np.isfinite(costs)
        return {
            **super().arrays(examples, training, seed),
            "costs": np.where(priced, costs, 0.0) / self.dearest,
            "priced": priced.astype(np.float64),
        }

    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        m = batch["targets"].shape[1]
        both = outputs(parts, batch["vectors"])
        wrong = cross_entropy(both[:, :m], batch["targets"], batch["known"])
        off = ((both[:, m:] - batch["costs"]) ** 2 * batch["priced"]).sum()
        return wrong + off / batch["priced"].sum().clamp(min=1.0)

    def expected(self, vectors: Floats) -> Floats:
        if self.points is not None and self.scores is not None:
            return self._mean_near(vectors, self.scores, "q")
        return sigmoid(outputs(self.parts, vectors)[:, : len(self.columns)])

    def cost(self, vectors: Floats) -> Floats:
        """Return [n, m] the cost expected of every model, over the dearest one's mean."""
        if self.points is None:
            predicted: Floats = outputs(self.parts, vectors)[:, len(self.columns) :]
            return predicted
        if self.costs is None:
            return np.zeros((len(vectors), len(self.columns)))
        return self._mean_near(vectors, self.costs, "c")

    def decide(self, queries: Queries) -> Decisions:
        mu, objective = self.options.mu, self.chooser.objective
        if mu is None:
            total = objective.performance + objective.cost
            mu = objective.cost / total if total > 0 else 0.0
        vectors = self._vectors(list(queries.text))
        quality = self.expected(vectors)
        worth = quality if not mu else (1 - mu) * quality - mu * self.cost(vectors)
        return Decisions(
            best(self._spread(worth), self.chooser.cost), quality=self._spread(quality)
        )

    def _mean_near(self, vectors: Floats, values: Floats, kind: str) -> Floats:
        assert self.points is not None
        ks = [int(self.chosen[f"{kind}{model}"]) for model in range(values.shape[1])]
        several = sorted(set(ks))
        found = Neighbours.of(self.points, values).predict(vectors, several)
        return np.stack([found[several.index(k)][:, model] for model, k in enumerate(ks)], axis=1)


def outputs(parts: Parts, vectors: Any) -> Any:
    """Return [n, 2m] logits of quality, then costs, of arrays or tensors."""
    hidden = (vectors @ parts["hidden"].T + parts["shift"]).clip(0.0)
    return hidden @ parts["output"].T + parts["bias"]


def _means(costs: Floats) -> Floats:
    """Return [m] mean costs; the highest of all for a model without any."""
    counts = np.isfinite(costs).sum(axis=0)
    means: Floats = np.nansum(costs, axis=0) / np.maximum(counts, 1)
    return np.where(counts > 0, means, means.max(initial=0.0))


def _auc(predicted: Floats, wanted: Floats) -> float:
    """Return the area under the ROC curve; a half where one kind is missing."""
    from sklearn.metrics import roc_auc_score

    right = wanted >= 0.5
    if not len(right) or right.all() or not right.any():
        return 0.5
    return float(roc_auc_score(right, predicted))


def _last_best(values: list[float]) -> int:
    return max(range(len(values)), key=lambda at: (values[at], at))
