"""A multilayer perceptron that names the best model for a query's vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.published.examples import Examples, RankingRouter, VectorRouter

_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
}


class MLP(VectorRouter, RankingRouter):
    """A multilayer perceptron that tells how probably each model is the best on a query.

    Source: the MLP router of LLMRouter (github.com/ulab-uiuc/LLMRouter). Preset `paper`: its hidden
    layers of 128 and 64, relu, learning rate .001, 100 epochs of batches of 32, L2 penalty .0001.

    Deviations: a query with several best models is an example for each, all together counting once;
    one on which all models tie teaches nothing. The epoch with the lowest log loss on validation is
    kept, epoch 0 being how often each model is best.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        hidden_layer_sizes: tuple[int, ...] = Field((64,), description="widths of hidden layers")
        activation: Literal["relu", "tanh"] = Field("relu", description="of the hidden layers")
        lr: float = Field(2e-3, gt=0, description="Adam's learning rate")
        epochs: int = Field(30, ge=1, description="passes over the training queries at most")
        batch_size: int = Field(128, ge=1, description="examples per step")
        alpha: float = Field(1e-3, ge=0, description="L2 penalty")
        patience: int | None = Field(
            4, ge=1, description="epochs without a better one before it stops; never if unset"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "hidden_layer_sizes": (128, 64),
            "lr": 1e-3,
            "epochs": 100,
            "batch_size": 32,
            "alpha": 1e-4,
            "patience": None,
        }
    }

    libraries = ("encoder", "sklearn.neural_network")
    effort = 10
    options: Options
    layers: dict[str, Floats]
    """`weight0`, `bias0` and so on; the last is the output."""

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        from sklearn.neural_network import MLPClassifier
        from sklearn.utils import check_random_state

        options, best = self.options, train.best()
        share = best.sum(axis=0) + 1.0
        self.layers = _constant(np.log(share / share.sum()), train.vectors.shape[1])
        row, model = np.nonzero(best)
        last = int(self.chosen.get("epoch", options.epochs))
        if len(set(model)) < 2:  # nothing to tell apart
            last = 0
        checked = None if held is None else held.best()
        network = MLPClassifier(
            options.hidden_layer_sizes,
            activation=options.activation,
            learning_rate_init=options.lr,
            batch_size=min(options.batch_size, max(1, len(row))),
            alpha=options.alpha,
            # A generator: given a number, partial_fit would reseed itself in every pass.
            random_state=check_random_state(context.seed),
        )
        lowest, since = self._loss(held, checked), 0
        if held is not None:
            self.chosen["epoch"] = 0
        for epoch in range(1, last + 1):
            network.partial_fit(
                train.vectors[row],
                model,
                classes=np.arange(best.shape[1]),
                sample_weight=best[row, model],
            )
            before, self.layers = self.layers, _arrays(network, best.shape[1])
            if held is None:
                continue
            loss = self._loss(held, checked)
            since = 0 if loss < lowest else since + 1
            if loss < lowest:
                lowest, self.chosen["epoch"] = loss, epoch
            else:
                self.layers = before
            if options.patience is not None and since >= options.patience:
                break

    def ranking(self, vectors: Floats) -> Floats:
        values = vectors
        last = len(self.layers) // 2 - 1
        for number in range(last + 1):
            values = values @ self.layers[f"weight{number}"] + self.layers[f"bias{number}"]
            if number < last:
                values = _ACTIVATIONS[self.options.activation](values)
        ranks: Floats = values - np.logaddexp.reduce(values, axis=1, keepdims=True)
        return ranks

    def _loss(self, held: Examples | None, best: Floats | None) -> float:
        if held is None or best is None or not best.any():
            return np.inf
        return float(-(best * self.ranking(held.vectors)).sum() / best.sum())


def _constant(bias: Floats, width: int) -> dict[str, Floats]:
    return {"weight0": np.zeros((width, len(bias))), "bias0": bias}


def _arrays(network: Any, models: int) -> dict[str, Floats]:
    """Return the layers; with two models scikit-learn has one output, for the second of them."""
    layers = {}
    for number, (weight, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        layers[f"weight{number}"], layers[f"bias{number}"] = np.array(weight), np.array(bias)
    last = len(network.coefs_) - 1
    if models == 2:
        weight, bias = layers[f"weight{last}"], layers[f"bias{last}"]
        layers[f"weight{last}"] = np.hstack([np.zeros_like(weight), weight])
        layers[f"bias{last}"] = np.concatenate([np.zeros_like(bias), bias])
    return layers
