"""Outcomes and users as tensors, and the graph of their visible part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from routebench_routers.personalized.head import Propagation

KINDS = (
    ("query", "answers", "llm"),
    ("query", "of", "task"),
    ("task", "summary", "llm"),
    ("user", "prefers", "llm"),
    ("llm", "family", "llm"),
)
"""Edges by their ends; all but the last are added in reverse too."""


@dataclass(frozen=True)
class Training:
    """Outcomes per (query, LLM) and users separately: no user × query × LLM array is stored."""

    text: npt.NDArray[np.float32]
    task: npt.NDArray[np.int64] | None
    effect: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]
    preference: npt.NDArray[np.float64]
    seen: npt.NDArray[np.bool_] | None = None
    """[users, queries] whether the user asked the query; all did if None."""
    family: npt.NDArray[np.int64] | None = None
    """[llms] numbers of families; LLMs of one family are joined by edges."""


class Interactions:
    """Tensors of a `Training`, with statistics of the interactions that are visible."""

    def __init__(self, data: Training, device: torch.device) -> None:
        effect, cost = (torch.as_tensor(x, dtype=torch.float32) for x in (data.effect, data.cost))
        missing = effect.isnan() | cost.isnan()
        both = torch.stack([effect, cost], 1).masked_fill(missing[:, None], math.nan)
        self.text = torch.as_tensor(data.text, dtype=torch.float32, device=device)
        self.task = None if data.task is None else torch.as_tensor(data.task, device=device)
        self.outcomes = both.to(device)  # [n, 2, llms]
        self.known = (~missing).to(device)
        preference = torch.as_tensor(data.preference, dtype=torch.float32, device=device)
        self.rewarded = torch.stack([preference, preference - 1], 1)
        """[users, 2] true weights of effect and cost; if hidden, used only to compute rewards."""
        self.family = torch.zeros(2, 0, dtype=torch.int64, device=device)
        if data.family is not None:
            same = torch.as_tensor(data.family[:, None] == data.family, device=device)
            self.family = same.fill_diagonal_(False).nonzero().T
        self.seen = None if data.seen is None else torch.as_tensor(data.seen, device=device)
        filled = self.outcomes.nan_to_num()
        self._filled = filled
        # Sums over LLMs of effect², effect·cost, cost²: rewards are linear in them.
        self._squares = torch.einsum("nam,nbm->nab", filled, filled)

    def asked(self, rows: Tensor, users: Tensor) -> Tensor:
        """Return [users, rows] 1 where a user asked a query, else 0."""
        if self.seen is None:
            return torch.ones(len(users), len(rows), device=rows.device)
        return self.seen[users][:, rows].float()

    def rewards(self, rows: Tensor, users: Tensor) -> Tensor:
        """Return [users, rows, llms] the rewards of a sample of users."""
        return torch.einsum("ua,nam->unm", self.rewarded[users], self._filled[rows])

    def worth(self, rows: Tensor, users: Tensor, ridge: float = 1e-2) -> Tensor:
        """Estimate [users, 2] the weights of effect and cost from the rewards in `rows`.

        The estimate is least squares, shrunk towards the pooled estimate by `ridge`.
        """
        asked = self.asked(rows, users)
        squares = torch.einsum("un,nab->uab", asked, self._squares[rows])
        rewarded = torch.einsum("uab,ub->ua", squares, self.rewarded[users])
        eye = ridge * torch.eye(2, device=rows.device)
        pooled = torch.linalg.solve(squares.sum(0) + eye, rewarded.sum(0))
        worth: Tensor = torch.linalg.solve(squares + eye, rewarded + ridge * pooled)
        return worth

    def preferred(self, rows: Tensor, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return [users, llms] the mean reward over visible interactions, and their number."""
        asked = self.asked(rows, users)
        sums = torch.einsum("un,nam->uam", asked, self._filled[rows])
        number = asked @ self.known[rows].float()
        total = torch.einsum("ua,uam->um", self.rewarded[users], sums)
        return total / number.clamp(min=1), number


def build(
    data: Interactions,
    edges: Propagation,
    member: Tensor,
    inputs: Tensor,
    rows: Tensor,
    users: Tensor,
    worth: Tensor,
) -> Any:
    """Build the graph of the visible queries `rows` and of `users`; it has no hidden queries."""
    from torch_geometric.data import HeteroData

    graph = HeteroData()
    graph["user"].x, graph["query"].x = worth, inputs[rows]
    tasks, llms = len(edges.table), data.known.shape[1]
    known = data.known[rows]
    table = edges.table.view(tasks, 2, llms).transpose(1, 2).reshape(-1, 2)
    reward, number = data.preferred(rows, users)
    pairs = {
        "answers": (known.nonzero().T, data.outcomes[rows].transpose(1, 2)[known]),
        "of": (nearest(member[rows], max(1, edges.clusterings)), None),
        "summary": (torch.ones_like(edges.table[:, :llms]).nonzero().T, table),
        "prefers": (
            (number > 0).nonzero().T,
            torch.stack([reward, number.log1p() / 10], 2)[number > 0],
        ),
        "family": (data.family, None),
    }
    for kind in directed(data.family):
        index, attributes = pairs[kind[1].removeprefix("rev_")]
        graph[kind].edge_index = index.flip(0) if kind[1].startswith("rev_") else index
        if attributes is not None:
            graph[kind].edge_attr = attributes
    return graph


def directed(family: Tensor) -> list[tuple[str, str, str]]:
    """Return the kinds of edges in both directions; `family` only if there are any."""
    kinds = []
    for source, name, target in KINDS:
        if source != target:
            kinds += [(source, name, target), (target, "rev_" + name, source)]
        elif family.shape[1]:
            kinds.append((source, name, target))
    return kinds


def nearest(member: Tensor, clusterings: int) -> Tensor:
    """Return [2, n · clusterings] edges from queries to their task, or topic per clustering."""
    each = member.view(len(member), clusterings, -1)
    first = each.shape[2] * torch.arange(clusterings, device=member.device)
    query = torch.arange(len(member), device=member.device).repeat_interleave(clusterings)
    return torch.stack([query, (each.argmax(2) + first).flatten()])


def centroids(text: Tensor, number: int, random: torch.Generator, passes: int = 25) -> Tensor:
    """Return [number, d] centroids of spherical k-means, started by k-means++."""
    unit = nn.functional.normalize(text, dim=1)
    first = int(torch.randint(len(unit), (1,), generator=random))
    chosen = [first]
    far = 1 - unit @ unit[first]
    for _ in range(number - 1):
        weights = far.clamp(min=1e-9).cpu()
        chosen.append(int(torch.multinomial(weights, 1, generator=random)))
        far = torch.minimum(far, 1 - unit @ unit[chosen[-1]])
    centres = unit[chosen]
    for _ in range(passes):
        nearest = (unit @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, unit)
        centres = torch.where(
            sums.norm(dim=1, keepdim=True) > 0, nn.functional.normalize(sums, dim=1), centres
        )
    return centres
