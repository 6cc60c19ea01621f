"""Matrix factorisation learned from pairs of models, after RouteLLM (arXiv 2406.18665)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from routebench.errors import DataError, OptionError
from routebench.hookspecs import Context, FittedEncoder
from routebench.plugin.selection import best, utility
from routebench.records import Decisions, Floats, Ints, Mask, Objective, Queries, Table
from routebench.routers.quality_router import QualityRouter
from routebench_routers.adam import Adam
from routebench_routers.pairing import (
    Calibration,
    Pairs,
    calibrate,
    known_enough,
    share_of_ties,
    strict_pairs,
    winner_pairs,
    worth,
)

Factors = dict[str, Floats]
"""projection W1 [k, d], output w2 [k], models V [m, k], bias [m]."""


class MF(QualityRouter):
    """A matrix factorisation: δ(m, q) = w2ᵀ(v_m ⊙ W1 v_q) + b_m, learned from pairs of models.

    The loss is logistic in δ_winner − δ_loser; v_m is a learned embedding of unit length, v_q the
    query's vector from the run's encoder. Source: RouteLLM, arXiv 2406.18665; preset `paper`:
    latent_dim 128, vectors of 768, Adam with lr 1e-3, 5 epochs of batches of 64, one winner per
    query, no bias.

    Deviations: all pairs of models whose scores differ, weighted by the difference, not only
    those of one winner (ties, and queries that every model fails, never make a pair); an
    intercept per model, as the vectors of some encoders have none; vectors brought to unit mean
    square length; L2 weight decay; the epoch with the lowest pair loss on validation is kept.
    Pairs are ordered by the run's objective, w_p · score − w_c · normalised cost.

    The choice is the highest δ: on validation halves of three recorded suites that is right
    more often than the highest score of a logistic calibration per model. Expected scores are
    calibrated on validation with one slope for all models and an ease per query, which keeps the
    order of δ (see `Calibration`). For two models, P(one beats the other) = σ(δ_one − δ_other)
    is `preference`. Models with hardly any known cell in training are not considered.
    """

    family = "learned from texts"

    libraries = ("encoder", "torch")
    cheap_fit = True
    effort = 7

    class Options(BaseModel):
        latent_dim: int = Field(128, ge=1, le=4096, description="length of the models' embeddings")
        text_dim: int | None = Field(
            None, ge=1, description="width the encoder must have; any if unset"
        )
        lr: float = Field(3e-3, gt=0, description="Adam's learning rate")
        epochs: int = Field(40, ge=1, description="passes over the pairs at most")
        batch_size: int = Field(256, ge=1, description="pairs per step")
        noise_alpha: float = Field(
            0.0, ge=0, description="noise added to query vectors in training, before projection"
        )
        pairs: Literal["strict", "winner"] = Field(
            "strict", description="all pairs that differ, or one winner against all worse ones"
        )
        bias: bool = Field(True, description="learn an intercept per model")
        rescale: bool = Field(True, description="bring vectors to unit mean square length")
        weight_decay: float = Field(3e-4, ge=0, description="L2 penalty on all factors")
        patience: int | None = Field(
            4, ge=1, description="epochs without a better one before it stops; never if unset"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "latent_dim": 128,
            "text_dim": 768,
            "lr": 1e-3,
            "epochs": 5,
            "batch_size": 64,
            "noise_alpha": 0.0,
            "pairs": "winner",
            "bias": False,
            "rescale": False,
            "weight_decay": 0.0,
            "patience": None,
        }
    }

    options: Options
    encoder: FittedEncoder
    projection: Floats
    output: Floats
    models: Floats
    bias: Floats
    """[m'], as the rows of `models`: m' models are considered."""
    considered: Mask
    scale: float
    """Divisor of the vectors."""
    calibration: Calibration

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.considered = known_enough(train.outcomes.ok)
        pairs, kept = self._learn_factors(train, validation, self.options, context)
        self._calibrate(self._encode(validation.queries), train, validation)
        ties = share_of_ties(self._utility(train)[:, self.considered])
        context.progress(1.0, f"{pairs:,} pairs, {ties:.0%} of model pairs tie; {kept}")

    def relearn(self, table: Table, context: Context) -> None:
        """Learn as many epochs as were kept; models considered and calibration stay."""
        options = self.options.model_copy(update={"epochs": self._epochs, "patience": None})
        none = np.zeros(0, dtype=np.int64)
        nothing = Table(table.queries.take(none), table.outcomes.take(none), table.pool)
        self._learn_factors(table, nothing, options, context)

    def _learn_factors(
        self, train: Table, validation: Table, options: MF.Options, context: Context
    ) -> tuple[int, str]:
        """Learn the factors of the models considered; return the number of pairs and a note."""
        self.encoder = context.encoder
        self._check_width()
        # Sorted by text and by name: what is learned depends on no order of rows or columns.
        rows = np.array(
            sorted(range(len(train)), key=train.queries.text.__getitem__), dtype=np.int64
        )
        names = np.array(train.pool.models)
        columns = np.flatnonzero(self.considered)
        columns = columns[np.argsort(names[columns])]
        vectors = self._encode(train.queries)[rows]
        self.scale = _mean_length(vectors) if self.options.rescale else 1.0
        learned = worth(self._utility(train), train.outcomes.score)[np.ix_(rows, columns)]
        checked = strict_pairs(
            worth(self._utility(validation), validation.outcomes.score)[:, columns]
        )
        pairs = self._pairs(learned, context.seed)
        self._epochs = options.epochs
        if len(pairs):
            fitted, self._epochs = train_factors(
                pairs,
                vectors / self.scale,
                self._encode(validation.queries) / self.scale,
                checked,
                len(columns),
                options,
                context,
            )
            kept = f"epoch {self._epochs} is kept"
        else:
            fitted = _without_pairs(train, columns, vectors.shape[1])
            kept = "means only, nothing to compare"
        back = np.argsort(columns)
        self.projection, self.output = fitted["projection"], fitted["output"]
        self.models, self.bias = fitted["models"][back], fitted["bias"][back]
        return len(pairs), kept

    def predict(self, queries: Queries) -> Floats:
        return self._quality(self._delta(self._encode(queries)))

    def decide(self, queries: Queries) -> Decisions:
        delta = self._delta(self._encode(queries))
        choice = best(self._spread(delta), self.chooser.cost)
        return Decisions(choice, quality=self._quality(delta))

    def preference(self, queries: Queries, one: int, other: int) -> Floats:
        """Return [n] the probability σ(δ_one − δ_other) that one model beats another."""
        delta = self._spread(self._delta(self._encode(queries)))
        probability: Floats = 1.0 / (1.0 + np.exp(delta[:, other] - delta[:, one]))
        return probability

    def load(self, folder: Path) -> None:
        super().load(folder)
        width = self.projection.shape[1]
        if self.encoder.dimension != width:
            raise DataError(
                f"{folder}: the factors are for vectors of {width} numbers, "
                f"but the encoder makes {self.encoder.dimension}"
            )

    def _check_width(self) -> None:
        wanted, width = self.options.text_dim, self.encoder.dimension
        if wanted is not None and wanted != width:
            raise OptionError(
                f"text_dim is {wanted}, but the encoder makes vectors of {width} numbers",
                "choose another encoder, set its dimension, or leave text_dim unset",
            )

    def _encode(self, queries: Queries) -> Floats:
        return np.asarray(self.encoder.encode(list(queries.text)), dtype=np.float64)

    def _utility(self, table: Table) -> Floats:
        return utility(table.outcomes.score, self.chooser.cost, self.chooser.objective)

    def _pairs(self, values: Floats, seed: int) -> Pairs:
        if self.options.pairs == "strict":
            return strict_pairs(values)
        return winner_pairs(values, np.random.default_rng(seed))

    @cached_property
    def _weights(self) -> Floats:
        """Return [d, m'] the product of the factors."""
        projection, output, models = (
            np.asarray(factor, np.float64) for factor in (self.projection, self.output, self.models)
        )
        weights: Floats = projection.T @ (_unit(models) * output).T / self.scale
        return weights

    def _delta(self, vectors: Floats) -> Floats:
        """Return [n, m'] the pair scores of the models considered."""
        delta: Floats = vectors @ self._weights + np.asarray(self.bias, np.float64)
        return delta

    def _calibrate(self, vectors: Floats, train: Table, validation: Table) -> None:
        cost = None
        if self.chooser.objective.cost:
            nothing = np.zeros((1, len(train.pool)))
            cost = -utility(nothing, self.chooser.cost, Objective(0.0, 1.0))[0]
            cost = np.nan_to_num(cost[self.considered])
        known = train.outcomes.score[train.outcomes.ok]
        bounds = np.array([known.min(), known.max()]) if known.size else np.zeros(2)
        score = np.where(validation.outcomes.ok, validation.outcomes.score, np.nan)
        self.calibration = calibrate(self._delta(vectors), score[:, self.considered], cost, bounds)

    def _quality(self, delta: Floats) -> Floats:
        return self._spread(self.calibration(delta))

    def _spread(self, values: Floats) -> Floats:
        """Return [n, m] the values by model; NaN for models not considered."""
        whole = np.full((len(values), len(self.considered)), np.nan)
        whole[:, self.considered] = values
        return whole


def train_factors(
    pairs: Pairs,
    vectors: Floats,
    held_out: Floats,
    checked: Pairs,
    models: int,
    options: MF.Options,
    context: Context,
) -> tuple[Factors, int]:
    """Return the factors of the best epoch by the pair loss on validation, and its number from 1.

    Without pairs in validation it is the last epoch.
    """
    import torch

    threads = torch.get_num_threads()
    if context.device == "cpu":
        torch.set_num_threads(1)
    try:
        learner = _Learner(pairs, vectors, models, options, context)
        known = learner.tensor(held_out)
        kept, lowest, since = learner.factors(), np.inf, 0
        epoch = best_epoch = 0
        while epoch < options.epochs and (options.patience is None or since < options.patience):
            learner.epoch()
            epoch += 1
            loss = checked.loss(learner.delta(known))
            better = loss < lowest or not len(checked)
            since = 0 if better else since + 1
            if better:
                kept, lowest, best_epoch = learner.factors(), loss, epoch
            context.progress(epoch / (options.epochs + 1), f"epoch {epoch}, pair loss {loss:.4f}")
    finally:
        torch.set_num_threads(threads)
    return kept, best_epoch


class _Learner:
    """Pairs and factors as tensors on a device, with the training steps."""

    def __init__(
        self, pairs: Pairs, vectors: Floats, models: int, options: MF.Options, context: Context
    ) -> None:
        import torch

        self.torch, self.options = torch, options
        self.device = torch.device(context.device)
        self.generator = torch.Generator().manual_seed(context.seed)
        self.vectors = self.tensor(vectors)
        self.weight = self.tensor(pairs.weight)
        self.query, self.winner, self.loser = (
            torch.as_tensor(column, device=self.device)
            for column in (pairs.query, pairs.winner, pairs.loser)
        )
        latent, width = options.latent_dim, vectors.shape[1]
        drawn = {
            # Initialised as torch.nn.Linear and torch.nn.Embedding are.
            "projection": (2 * self._draw(torch.rand, latent, width) - 1) / width**0.5,
            "output": (2 * self._draw(torch.rand, latent) - 1) / latent**0.5,
            "models": self._draw(torch.randn, models, latent),
            "bias": torch.zeros(models),
        }
        learned = set(drawn) - (set() if options.bias else {"bias"})
        self.parts = {
            name: value.to(self.device).requires_grad_(name in learned)
            for name, value in drawn.items()
        }
        self.adam = Adam(
            [self.parts[name] for name in drawn if name in learned],
            options.lr,
            options.weight_decay,
        )

    def tensor(self, values: Floats) -> Any:
        return self.torch.as_tensor(np.ascontiguousarray(values), dtype=self.torch.float32).to(
            self.device
        )

    def factors(self) -> Factors:
        """Return the current factors as arrays."""
        return {name: part.detach().cpu().numpy().copy() for name, part in self.parts.items()}

    def delta(self, vectors: Any) -> Floats:
        """Return [n, m] the current pair scores."""
        with self.torch.no_grad():
            delta: Floats = self._score(vectors).double().cpu().numpy()
        return delta

    def epoch(self) -> None:
        """Train on all pairs once, in a new random order."""
        order: Any = self.torch.randperm(len(self.query), generator=self.generator)
        for batch in order.to(self.device).split(self.options.batch_size):
            vectors = self.vectors[self.query[batch]]
            if self.options.noise_alpha:
                noise = self._draw(self.torch.randn, *vectors.shape).to(self.device)
                vectors = vectors + self.options.noise_alpha * noise
            delta = self._score(vectors)
            sides = self.torch.stack([self.winner[batch], self.loser[batch]], dim=1)
            won, lost = delta.gather(1, sides).unbind(1)
            losses = self.torch.nn.functional.softplus(lost - won)
            (losses * self.weight[batch]).mean().backward()
            self.adam.step()

    def _score(self, vectors: Any) -> Any:
        parts = self.parts
        normal = self.torch.nn.functional.normalize(parts["models"], dim=1)
        heads = normal * parts["output"]  # [m, k]
        if len(normal) < len(parts["output"]):
            # The same product, with the small factor first: ten models instead of 128 columns.
            return vectors @ (heads @ parts["projection"]).T + parts["bias"]
        return vectors @ parts["projection"].T @ heads.T + parts["bias"]

    def _draw(self, kind: Callable[..., Any], *shape: int) -> Any:
        # Drawn on the CPU whatever the device, so that a seed means the same everywhere.
        return kind(*shape, generator=self.generator)


def _without_pairs(train: Table, columns: Ints, width: int) -> Factors:
    """Return factors that predict the log odds of the models' mean scores for every query.

    They are used where there are no pairs to learn from.
    """
    ok: Mask = train.outcomes.ok[:, columns]
    scores = np.where(ok, np.clip(train.outcomes.score[:, columns], 0.0, 1.0), 0.0)
    rate = (scores.sum(axis=0) + 0.5) / (ok.sum(axis=0) + 1.0)
    zeros = np.zeros((1, width), dtype=np.float32)
    models = np.ones((len(columns), 1), dtype=np.float32)
    bias = np.log(rate / (1 - rate))
    return {"projection": zeros, "output": zeros[0, :1], "models": models, "bias": bias}


def _mean_length(vectors: Floats) -> float:
    length = float(np.sqrt((vectors**2).sum(axis=1).mean()))
    return length if length > 0 else 1.0


def _unit(embeddings: Floats) -> Floats:
    unit: Floats = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    return unit
