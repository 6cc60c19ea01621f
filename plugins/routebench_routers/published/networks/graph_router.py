"""GraphRouter: queries and models as nodes of a graph, outcomes as its edges."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats
from routebench_routers.adam import Adam
from routebench_routers.published.examples import Examples, VectorRouter
from routebench_routers.published.networks.descent import cross_entropy, log_odds, sigmoid


class GraphRouter(VectorRouter):
    """Edge prediction on a graph of queries and models, whose edges are training outcomes.

    Two graph convolutions with batch normalisation; in every step a share of the edges is hidden
    and predicted from the others. Edge features: the run's utility, cost, and score.

    Source: GraphRouter (arXiv 2410.03834). Preset `paper`: nodes of 16, half of the edges hidden,
    lr 3e-4, weight decay 1e-4, 2,000 steps.

    Deviations: no task nodes, as tasks are not seen in routing; a model is a free vector, where the
    source embeds its description; messages are averaged, not summed, as a model has thousands of
    edges and a query a few; the prediction is learned from scores, not from which model is best;
    the step with the lowest loss on validation is kept, where one copy of the code takes test, and
    it does not stop before that loss is below the models' mean scores'.
    With `convolutions = false` the models' vectors are used as they are, which is a factorisation.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        hidden: int = Field(32, ge=1, le=1024, description="width of the nodes")
        hide: float = Field(0.5, gt=0, lt=1, description="share of the edges hidden in a step")
        convolutions: bool = Field(True, description="use the graph")
        lr: float = Field(2e-2, gt=0, description="Adam's learning rate")
        weight_decay: float = Field(1e-3, ge=0, description="L2 penalty")
        steps: int = Field(200, ge=1, description="steps at most")
        patience: int | None = Field(
            30,
            ge=1,
            description="steps without a better one before it stops, once it is better than the"
            " models' means; never if unset",
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"lr": 3e-4, "weight_decay": 1e-4, "hidden": 16, "steps": 2000, "patience": None}
    }

    libraries = ("encoder", "torch", "torch_geometric")
    effort = 15
    options: Options
    align: Floats
    """[hidden, d]"""
    shift: Floats
    """[hidden]"""
    states: Floats
    """[m, hidden] of the models, after the convolutions."""

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        import torch

        threads = torch.get_num_threads()
        if context.device == "cpu":
            torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(context.seed)
                self._train(train, held, context)
        finally:
            torch.set_num_threads(threads)

    def _train(self, train: Examples, held: Examples | None, context: Context) -> None:
        import torch

        from routebench_routers.published.networks.graph_network import EdgePredictor, edges_of

        def tensor(values: Any) -> Any:
            return torch.tensor(values, dtype=torch.float32, device=context.device)

        options = self.options
        vectors, targets = tensor(train.vectors), tensor(train.targets)
        known, features = tensor(train.known) > 0, tensor(self._features(train))
        checked = None if held is None or not held.known.any() else held
        network = EdgePredictor(vectors.shape[1], targets.shape[1], options.hidden)
        network.to(context.device)
        adam = Adam(list(network.parameters()), options.lr, options.weight_decay)

        def states(shown: Any) -> Any:
            if not options.convolutions:
                # All parameters keep a gradient, if one of zero.
                return network.models + 0.0 * sum(each.sum() for each in network.parameters())
            edges, places = edges_of(known, shown)
            return network.states(vectors, edges, features[places[:, 0], places[:, 1]])

        everything = torch.ones_like(known)
        lowest, since = np.inf, 0
        # Loss may rise at first, where models are seldom right: no reason yet to stop.
        means = np.inf if checked is None else _loss_of(log_odds(train), checked)
        last = int(self.chosen.get("step", options.steps)) if held is None else options.steps
        for step in range(1, last + 1):
            shown = (torch.rand(known.shape) >= options.hide).to(context.device)
            logits = network.logits(vectors, states(shown))
            cross_entropy(logits, targets, (known & ~shown).float()).backward()
            adam.step()
            if checked is None and step < last:
                continue
            with torch.no_grad():
                found = states(everything)
            kept = _arrays(network.align.weight, network.align.bias, found)
            if checked is None:
                self.align, self.shift, self.states = kept
                self.chosen["step"] = step
                continue
            loss = _loss(kept, checked)
            since = 0 if loss < lowest else since + 1
            if loss < lowest:
                lowest, (self.align, self.shift, self.states) = loss, kept
                self.chosen["step"] = step
            context.progress(step / (last + 1), f"step {step}, loss {loss:.4f}")
            if options.patience is not None and lowest < means and since >= options.patience:
                break

    def _features(self, train: Examples) -> Floats:
        """Return [n, m, 3] utility, cost over the highest, and score of every cell."""
        cost = np.zeros(train.scores.shape)
        if train.costs is not None:
            cost = np.nan_to_num(train.costs)
            cost = cost / max(float(cost.max(initial=0.0)), 1e-12)
        objective = self.chooser.objective
        utility = objective.performance * train.targets - objective.cost * cost
        return np.stack([utility, cost, train.targets], axis=2)

    def expected(self, vectors: Floats) -> Floats:
        return sigmoid(_logits((self.align, self.shift, self.states), vectors))


def _logits(parts: tuple[Floats, Floats, Floats], vectors: Floats) -> Floats:
    align, shift, states = parts
    logits: Floats = (vectors @ align.T + shift) @ states.T / states.shape[1]
    return logits


def _loss(parts: tuple[Floats, Floats, Floats], held: Examples) -> float:
    return _loss_of(_logits(parts, held.vectors), held)


def _loss_of(logits: Floats, held: Examples) -> float:
    losses = np.logaddexp(0.0, logits) - held.targets * logits
    return float(losses[held.known].mean())


def _arrays(align: Any, shift: Any, states: Any) -> tuple[Floats, Floats, Floats]:
    def array(tensor: Any) -> Floats:
        values: Floats = tensor.detach().cpu().double().numpy().copy()
        return values

    return array(align), array(shift), array(states)
