"""Gradient descent with torch for the published routers: batches, Adam, the best epoch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.adam import Adam
from routebench_routers.published.examples import Examples, VectorRouter

Parts = Mapping[str, Any]
"""Weights by name: arrays when a router routes, tensors when it learns."""


class DescentOptions(BaseModel):
    """How weights are learned."""

    lr: float = Field(3e-3, gt=0, description="Adam's learning rate")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty")
    epochs: int = Field(40, ge=1, description="passes over the training queries at most")
    batch_size: int = Field(128, ge=1, description="queries per step")
    patience: int | None = Field(
        4, ge=1, description="epochs without a better one before it stops; never if unset"
    )


class DescentRouter(VectorRouter):
    """A router of weights learned by descent; the epoch with the lowest loss on validation is kept.

    Epoch 0 is where it starts. A refit takes as many epochs as were kept.
    """

    parts: dict[str, Floats]

    @abstractmethod
    def start(self, train: Examples, rng: np.random.Generator) -> dict[str, Floats]:
        """Return the weights to begin with."""

    @abstractmethod
    def loss(self, parts: Parts, batch: Mapping[str, Any]) -> Any:
        """Return the mean loss, a tensor, of weights and of arrays with a row for each query."""

    def arrays(self, examples: Examples, training: bool, seed: int) -> dict[str, Floats]:
        """Return what the loss needs, each with a row for each query."""
        return {
            "vectors": examples.vectors,
            "targets": examples.targets,
            "known": examples.known.astype(np.float64),
        }

    def noise(self) -> float:
        """Return the spread of what is added to vectors in training."""
        return 0.0

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        options: Any = self.options
        checked = None
        if held is None:
            options = options.model_copy(update={"epochs": int(self.chosen["epoch"])})
        elif held.known.any():
            checked = self.arrays(held, False, context.seed)
        rng = np.random.default_rng(context.seed)
        self.parts, epoch = self._descend(
            self.start(train, rng),
            self.arrays(train, True, context.seed),
            checked,
            options,
            context,
        )
        if held is not None:
            self.chosen["epoch"] = epoch

    def _descend(
        self,
        start: dict[str, Floats],
        arrays: dict[str, Floats],
        checked: dict[str, Floats] | None,
        options: Any,
        context: Context,
    ) -> tuple[dict[str, Floats], int]:
        """Return the weights of the best epoch by the loss on `checked`, or of the last one."""
        import torch

        threads = torch.get_num_threads()
        if context.device == "cpu":
            torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(context.seed)
        weights = {name: _tensor(value, context.device) for name, value in start.items()}
        for value in weights.values():
            value.requires_grad_(True)
        batches = {name: _tensor(value, context.device) for name, value in arrays.items()}
        held = checked and {n: _tensor(value, context.device) for n, value in checked.items()}
        adam = Adam(list(weights.values()), options.lr, options.weight_decay)
        count = len(batches["vectors"])
        kept, best_epoch, since = _values(weights), 0, 0
        try:
            with torch.no_grad():
                lowest = float(self.loss(weights, held)) if held else np.inf
            for epoch in range(1, options.epochs + 1):
                order: Any = torch.randperm(count, generator=generator)
                for rows in order.split(options.batch_size):
                    batch = {name: value[rows] for name, value in batches.items()}
                    if self.noise():
                        drawn = torch.randn(batch["vectors"].shape, generator=generator)
                        batch["vectors"] = batch["vectors"] + self.noise() * drawn.to(
                            context.device
                        )
                    self.loss(weights, batch).backward()
                    adam.step()
                with torch.no_grad():
                    loss = float(self.loss(weights, held)) if held else -np.inf
                better = loss < lowest or not held
                since = 0 if better else since + 1
                if better:
                    kept, lowest, best_epoch = _values(weights), loss, epoch
                context.progress(epoch / (options.epochs + 1), f"epoch {epoch}, loss {loss:.4f}")
                if options.patience is not None and since >= options.patience:
                    break
        finally:
            torch.set_num_threads(threads)
        return kept, best_epoch


def cross_entropy(logits: Any, targets: Any, known: Any) -> Any:
    """Return the mean cross-entropy of scores in [0, 1] over the known cells, a tensor."""
    import torch

    losses = torch.nn.functional.softplus(logits) - targets * logits
    return (losses * known).sum() / known.sum().clamp(min=1.0)


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    rate: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -40.0, 40.0)))
    return rate


def softplus(values: Any) -> Any:
    """Return log(1 + exp(x)) of an array or a tensor."""
    if isinstance(values, np.ndarray):
        return np.logaddexp(0.0, values)
    import torch

    return torch.nn.functional.softplus(values)


def log_odds(examples: Examples) -> Floats:
    """Return [m] the log odds of the models' mean scores."""
    known = examples.known.sum(axis=0)
    rate = (examples.targets.sum(axis=0) + 0.5) / (known + 1.0)
    odds: Floats = np.log(rate / (1.0 - rate))
    return odds


def linear(rng: np.random.Generator, outputs: int, inputs: int) -> Floats:
    """Return weights [outputs, inputs] drawn as torch.nn.Linear draws them."""
    drawn: Floats = rng.uniform(-1.0, 1.0, (outputs, inputs)) / np.sqrt(inputs)
    return drawn


def _tensor(values: Floats, device: str) -> Any:
    import torch

    return torch.tensor(np.asarray(values), dtype=torch.float32, device=device)


def _values(weights: Mapping[str, Any]) -> dict[str, Floats]:
    return {n: one.detach().cpu().double().numpy().copy() for n, one in weights.items()}
