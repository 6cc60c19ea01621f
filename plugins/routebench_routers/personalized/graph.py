"""Training of `personalized`: a heterogeneous graph of users, queries, tasks and LLMs.

Only training needs torch-geometric; routing uses the resulting `head.Personalized`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from routebench_routers.personalized.head import Head, Member, Personalized, Propagation
from routebench_routers.personalized.interactions import (
    Interactions,
    Training,
    build,
    centroids,
    directed,
)
from routebench_routers.personalized.options import Settings

PENALTIES = (5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 300.0, 10_000.0)
SLACK = 0.1
"""Share of the text's gain given up for a stronger penalty, which makes choices more robust."""
Progress = Callable[[float, str], None]


class GraphNetwork(nn.Module):
    """The network that one training learns: graph attention over visible edges, and a head."""

    def __init__(
        self,
        options: Settings,
        width: int,
        tasks: int,
        llms: int,
        described: int,
        kinds: list[tuple[str, str, str]],
    ) -> None:
        from torch_geometric.nn import HeteroConv, TransformerConv

        super().__init__()
        hidden, edge = options.embedding_dim, options.edge_dim
        self.head = Head(width, hidden, options.dropout, options.product)
        self.user = nn.Linear(2, hidden)
        self.query = nn.Sequential(nn.Dropout(options.dropout / 2), nn.Linear(width, hidden))
        self.task = nn.Parameter(0.3 * torch.randn(tasks, hidden))
        self.llm = nn.Parameter(0.3 * torch.randn(llms, hidden))
        self.description = nn.Linear(described, hidden) if described else None
        self.attributes = nn.ModuleDict(
            {name: nn.Linear(2, edge) for name in ("answers", "summary", "prefers")}
        )
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        for _ in range(options.layers):
            convs = {}
            for kind in kinds:
                convs[kind] = TransformerConv(
                    hidden,
                    hidden // options.heads,
                    heads=options.heads,
                    edge_dim=edge if kind[1].removeprefix("rev_") in self.attributes else None,
                )
            self.layers.append(HeteroConv(convs, aggr="sum"))
            self.norms.append(
                nn.ModuleDict({k: nn.LayerNorm(hidden) for k in ("user", "query", "task", "llm")})
            )

    def forward(self, graph: Any, described: Tensor | None) -> dict[str, Tensor]:
        """Return the node states after all layers."""
        llm = self.llm
        if self.description is not None and described is not None:
            llm = llm + self.description(described)
        states = {
            "user": self.user(graph["user"].x),
            "query": self.query(graph["query"].x),
            "task": self.task,
            "llm": llm,
        }
        attributes = {}
        for kind in graph.edge_types:
            name = kind[1].removeprefix("rev_")
            if name in self.attributes:
                attributes[kind] = self.attributes[name](graph[kind].edge_attr)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            norms = dict(norm.named_children())
            told = layer(states, graph.edge_index_dict, edge_attr_dict=attributes)
            states = {
                kind: nn.functional.gelu(norms[kind](state + told[kind]))
                for kind, state in states.items()
            }
        return states


class Fit:
    """One fit: its data, the quantities that are constant in training, and the trained members."""

    def __init__(
        self,
        train: Training,
        validation: Training,
        options: Settings,
        seed: int,
        device: str,
        llm_text: npt.NDArray[np.float32] | None,
        progress: Progress | None,
    ) -> None:
        self.options, self.seed, self.progress = options, seed, progress
        self.device = torch.device(device)
        self.data = Interactions(train, self.device)
        self.held = Interactions(validation, self.device)
        self.described = None
        if llm_text is not None:
            self.described = torch.as_tensor(llm_text, dtype=torch.float32, device=self.device)
        self.penalty = 30.0
        self.users, self.llms = len(train.preference), train.effect.shape[1]
        self.kin = torch.ones(self.llms, self.llms, device=self.device)
        if self.described is not None:
            near = nn.functional.normalize(self.described, dim=1)
            self.kin = torch.softmax(10 * near @ near.T, dim=1)
        self.random = torch.Generator().manual_seed(seed)
        width = train.text.shape[1]
        topics = train.task is None
        if train.task is None:
            tasks = options.clusterings * min(options.num_task, len(train.text))
        else:
            tasks = int(train.task.max()) + 1
        config: dict[str, int | float | bool] = {
            "width": width,
            "hidden": options.embedding_dim,
            "users": self.users,
            "tasks": tasks,
            "llms": self.llms,
            "members": options.members,
            "topics": options.clusterings if topics else 0,
            "sharpness": options.sharpness,
            "stated": options.preference == "shown",
            "dropout": options.dropout,
            "product": options.product,
            "residual": options.residual,
        }
        self.model = Personalized(config).to(self.device)
        self.everything = torch.arange(len(train.text), device=self.device)
        self.everyone = torch.arange(self.users, device=self.device)
        text = self.data.text
        if topics:
            each = tasks // options.clusterings
            several = [centroids(text, each, self.random) for _ in range(options.clusterings)]
            self.model.edges.centroids = torch.cat(several)
        self.model.centre = text.mean(0)
        self.model.scale = 1 / (text - self.model.centre).std().clamp(min=1e-6)
        self.inputs = (text - self.model.centre) * self.model.scale
        self.member = self.model.edges.membership(text, self.data.task)
        self.held_member = self.model.edges.membership(self.held.text, self.held.task)

    def run(self) -> Personalized:
        model, options = self.model, self.options
        worth = self._worth(self.everything, self.everyone)
        model.worth, model.mean_worth = worth, worth.mean(0)
        self._tune()
        devices = [self.device] if self.device.type == "cuda" else []
        for number, each in enumerate(model.members):
            with torch.random.fork_rng(devices):
                torch.manual_seed(self.seed * 1000 + number)
                self._train(cast(Member, each), number / options.members)
        return model.eval()

    def _tune(self) -> None:
        """Fit the propagation to all training queries, with the penalty chosen on validation."""
        held, options, edges = self.held, self.options, self.model.edges
        self.penalty = options.penalty or 30.0
        rows = torch.arange(len(held.text), device=self.device)
        if options.penalty is None and len(rows):
            users = self._some()
            rewards = held.rewards(rows, users)
            weight = held.asked(rows, users)[:, :, None] * held.known.float()
            errors = []
            for self.penalty in PENALTIES:
                self._propagate(edges, self.everything)
                said = edges(held.text, self.held_member)
                utility = torch.einsum("ua,nam->unm", self.model.worth[users], said)
                errors.append(float(regression(utility, rewards, weight)))
            limit = min(errors) + SLACK * (errors[-1] - min(errors))
            self.penalty = max(p for p, e in zip(PENALTIES, errors, strict=True) if e <= limit)
        self._propagate(edges, self.everything)

    def _some(self) -> Tensor:
        """Return a sample of users for validation, evenly spaced over their order."""
        number = min(self.users, 4 * self.options.user_sample)
        return torch.linspace(0, self.users - 1, number, device=self.device).round().long()

    def _worth(self, rows: Tensor, users: Tensor) -> Tensor:
        if self.options.preference == "shown":
            return self.data.rewarded[users]
        return self.data.worth(rows, users)

    def _propagate(self, edges: Propagation, rows: Tensor) -> None:
        options = self.options
        edges.learn(
            self.data.text[rows],
            self.member[rows],
            self.data.outcomes[rows].flatten(1),
            self.penalty,
            options.prior,
            self.kin,
        )

    def _train(self, into: Member, before: float) -> None:
        """Train one member; leave in `into` the best epoch's head and node states."""
        options, device = self.options, self.device
        described = 0 if self.described is None else self.described.shape[1]
        width, tasks = self.inputs.shape[1], len(self.model.edges.table)
        kinds = directed(self.data.family)
        network = GraphNetwork(options, width, tasks, self.llms, described, kinds).to(device)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        said = self.model.start * self.model.edges(self.held.text, self.held_member)
        best, since, score = -math.inf, 0, 0.0
        for epoch in range(options.train_epoch + 1):
            if epoch:
                self._epoch(network, optimiser)
            score = self._validate(network, into, said)
            if score > best + 1e-9 or not len(self.held.text):  # without validation the last
                best, since = score, 0
                kept = {name: value.clone() for name, value in into.state_dict().items()}
            else:
                since += 1
            if self.progress is not None:
                done = before + epoch / options.train_epoch / options.members
                self.progress(min(done, 1.0), f"epoch {epoch}, validation reward {score:.4f}")
            if options.patience is not None and since >= options.patience:
                break
        into.load_state_dict(kept)

    def _epoch(self, network: GraphNetwork, optimiser: torch.optim.Optimizer) -> None:
        """Train on enough random masks to hide each training query once on average."""
        options = self.options
        masks = max(1, round(1 / options.train_mask_rate))
        network.train()
        waiting = 0
        for number in range(masks):
            order = torch.randperm(len(self.everything), generator=self.random).to(self.device)
            hidden = max(1, int(options.train_mask_rate * len(order)))
            loss = self._loss(network, order[hidden:], order[:hidden])
            (loss / options.batch_size).backward()  # type: ignore[no-untyped-call]
            waiting += 1
            if waiting == options.batch_size or number == masks - 1:
                optimiser.step()
                optimiser.zero_grad()
                waiting = 0

    def _loss(self, network: GraphNetwork, visible: Tensor, hidden: Tensor) -> Tensor:
        data, users = self.data, self.everyone
        if self.users > self.options.user_sample:
            some = torch.randperm(self.users, generator=self.random)[: self.options.user_sample]
            users = some.to(self.device)
        hidden = hidden[: self.options.query_sample]
        utility = self.predicted(network, visible, hidden, users)
        weight = data.asked(hidden, users)[:, :, None] * data.known[hidden].float()
        rewards = data.rewards(hidden, users)
        loss = regression(utility, rewards, weight)
        if self.options.loss == "listwise":
            loss = loss - 3 * soft_reward(utility, rewards, weight, self.options.temperature)
        return loss

    def predicted(
        self, network: GraphNetwork, visible: Tensor, hidden: Tensor, users: Tensor
    ) -> Tensor:
        """Return [users, hidden, llms] predicted rewards; hidden queries' outcomes are not read."""
        data, options = self.data, self.options
        edges = copy.deepcopy(self.model.edges)
        self._propagate(edges, visible)
        worth = self._worth(visible, users)
        graph = build(data, edges, self.member, self.inputs, visible, users, worth)
        states = network(graph, self.described)
        # A tenth of the users get the mean state, as users unseen in training will.
        strange = (torch.rand(len(users), 1, generator=self.random) < 0.1).to(self.device)
        user = torch.where(strange, states["user"].mean(0), states["user"])
        head, member = network.head, self.member[hidden]
        pair = head.pairs(self.inputs[hidden], member @ states["task"], states["llm"])
        beyond = head(pair, head.users(user, worth)[:, None, None])  # [users, hidden, llms, 2]
        said = options.residual * edges(data.text[hidden], member).transpose(1, 2)
        utility: Tensor = ((said + beyond) * worth[:, None, None]).sum(-1)
        return utility

    @torch.no_grad()
    def _validate(self, network: GraphNetwork, into: Member, said: Tensor) -> float:
        """Return the mean reward on validation; store the states used for routing in `into`."""
        network.eval()
        model, held = self.model, self.held
        graph = build(
            self.data,
            model.edges,
            self.member,
            self.inputs,
            self.everything,
            self.everyone,
            model.worth,
        )
        states = network(graph, self.described)
        into.head.load_state_dict(network.head.state_dict())
        into.user, into.stranger = states["user"], states["user"].mean(0)
        into.task, into.llm = states["task"], states["llm"]
        if not len(held.text):
            return 0.0
        users = self._some()
        rows = torch.arange(len(held.text), device=self.device)
        inputs = (held.text - model.centre) * model.scale
        pair = network.head.pairs(inputs, self.held_member @ into.task, into.llm)
        parts = network.head.users(into.user[users], model.worth[users])
        total, number = 0.0, 0.0
        for user, part in zip(users[:, None], parts, strict=True):
            beyond = network.head(pair, part)
            beyond = beyond * model.edges.answered[:, None]
            utility = ((said.transpose(1, 2) + beyond) * model.worth[user]).sum(-1)
            utility = utility.masked_fill(~held.known, -math.inf)
            asked = held.asked(rows, user)[0] * held.known.any(1)
            gained = held.rewards(rows, user)[0].gather(1, utility.argmax(1, keepdim=True))[:, 0]
            total += float((gained * asked).sum())
            number += float(asked.sum())
        return total / max(number, 1.0)


def regression(utility: Tensor, reward: Tensor, weight: Tensor) -> Tensor:
    """Return the squared error over [users, queries, llms], mostly of differences.

    Only differences between LLMs affect routing; an error common to all has weight 0.1.
    """
    count = weight.sum(-1, keepdim=True).clamp(min=1)
    error = (utility - reward) * weight
    middle = error.sum(-1, keepdim=True) / count
    both = ((error - middle * weight) ** 2).sum() + 0.1 * (error**2).sum()
    return 10 * both / weight.sum().clamp(min=1)


def soft_reward(utility: Tensor, reward: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Return the mean reward when an LLM is drawn by the softmax of its utility."""
    choice = torch.softmax((utility / temperature).masked_fill(weight == 0, -1e9), -1)
    some = (weight.sum(-1) > 0).sum().clamp(min=1)
    return (choice * reward * weight).sum() / some


def fit(
    train: Training,
    validation: Training,
    options: Settings,
    seed: int = 0,
    device: str = "cpu",
    llm_text: npt.NDArray[np.float32] | None = None,
    progress: Progress | None = None,
) -> Personalized:
    """Train the members; return the heads and states needed to route."""
    return Fit(train, validation, options, seed, device, llm_text, progress).run()
