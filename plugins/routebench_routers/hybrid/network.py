"""A small multilayer perceptron, trained by scikit-learn and evaluated with NumPy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.hookspecs import Context
from routebench.records import Floats, Ints
from routebench_routers.hybrid.options import HybridOptions

# Activation functions as scikit-learn computes them.
_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "logistic": lambda x: 1.0 / (1.0 + np.exp(-np.clip(x, -500.0, 500.0))),
}


@dataclass(frozen=True)
class Network:
    """A trained network as plain arrays; without layers it is the constant `otherwise`."""

    weights: list[Floats]
    biases: list[Floats]
    activation: str
    output: str
    """`logistic`, or `identity` for a regression, which is clipped to [0, 1]."""
    otherwise: float = 0.5

    def __call__(self, vectors: Floats) -> Floats:
        """Return [n] the predicted label of each vector [n, d]."""
        if not self.weights:
            return np.full(len(vectors), self.otherwise)
        values = vectors
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            last = number == len(self.weights) - 1
            values = _ACTIVATIONS[self.output if last else self.activation](values @ weight + bias)
        predicted: Floats = np.clip(values[:, 0], 0.0, 1.0)
        return predicted


def train_network(
    vectors: Floats,
    wanted: Floats,
    held_out: Floats,
    checked: Floats,
    options: HybridOptions,
    context: Context,
) -> tuple[Network, int]:
    """Return the network of the pass with the lowest loss on validation, and its number from 1.

    The mean label is pass 0. Without a validation query it is the last pass.
    """
    network, estimator = Network([], [], "", "", float(wanted.mean())), _estimator(options, context)
    rows, targets, weights = _examples(wanted, options.loss)
    chosen, lowest, since = 0, _loss(network(held_out), checked, options.loss), 0
    inputs = vectors[rows].astype(np.float32)
    if options.solver == "lbfgs":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning of no convergence by max_iter
            estimator.fit(inputs, targets, sample_weight=weights)
        return _arrays(estimator), estimator.n_iter_
    extra = {"classes": [0, 1]} if options.loss == "log" else {}
    for epoch in range(1, options.max_iter + 1):
        estimator.partial_fit(inputs, targets, sample_weight=weights, **extra)
        trained = _arrays(estimator)
        loss = _loss(trained(held_out), checked, options.loss)
        better = loss < lowest or not len(checked)
        since = 0 if better else since + 1
        if better:
            network, chosen, lowest = trained, epoch, loss
        context.progress(epoch / (options.max_iter + 1), f"pass {epoch}, loss {loss:.4f}")
        if options.patience is not None and since >= options.patience:
            break
    return network, chosen


def _estimator(options: HybridOptions, context: Context) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils import check_random_state

    kind = MLPClassifier if options.loss == "log" else MLPRegressor
    return kind(
        hidden_layer_sizes=options.hidden_layer_sizes,
        activation=options.activation,
        solver=options.solver,
        max_iter=options.max_iter,
        learning_rate_init=options.learning_rate_init,
        alpha=options.alpha,
        # A generator: given a number, partial_fit would reseed itself in every pass.
        random_state=check_random_state(context.seed),
    )


def _examples(wanted: Floats, loss: str) -> tuple[Ints, Any, Floats]:
    """Return rows, targets and weights; for cross-entropy a soft label becomes both classes."""
    everyone = np.arange(len(wanted))
    # The two classes of a soft label y are weighted y and 1 - y.
    if loss == "squared":
        return everyone, wanted, np.ones(len(wanted))
    one, zero = np.flatnonzero(wanted > 0), np.flatnonzero(wanted < 1)
    targets = np.repeat([1, 0], [len(one), len(zero)])
    return np.concatenate([one, zero]), targets, np.concatenate([wanted[one], 1 - wanted[zero]])


def _arrays(estimator: Any) -> Network:
    weights, biases = (
        [np.array(layer, dtype=np.float64) for layer in layers]
        for layers in (estimator.coefs_, estimator.intercepts_)
    )
    return Network(weights, biases, estimator.activation, estimator.out_activation_)


def _loss(predicted: Floats, wanted: Floats, loss: str) -> float:
    """Return the mean log loss against soft labels, or mean squared error; 0 without labels."""
    if not len(wanted):
        return 0.0
    if loss == "squared":
        return float(((predicted - wanted) ** 2).mean())
    p = np.clip(predicted, 1e-9, 1 - 1e-9)
    return float(-(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).mean())
