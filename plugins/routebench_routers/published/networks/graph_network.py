"""The network of `graph-router`: graph convolutions over queries and models, by torch-geometric."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class EdgePredictor(nn.Module):
    """Two convolutions over the edges between queries and models, and a product for a new edge.

    P(model is right) = σ(mean(x_query ⊙ z_model)): x_query is the query's vector aligned to the
    nodes' width, z_model the model's state after both convolutions.
    """

    def __init__(self, width: int, models: int, hidden: int) -> None:
        from torch_geometric.nn import GeneralConv

        super().__init__()
        self.align = nn.Linear(width, hidden)
        self.models = nn.Parameter(torch.randn(models, hidden))
        self.edge = nn.Linear(3, 3)
        self.first, self.second = (
            GeneralConv(hidden, hidden, in_edge_channels=3, aggr="mean") for _ in range(2)
        )
        # By the statistics of the graph at hand, which is always the whole of one.
        self.norms = nn.ModuleList(
            [nn.BatchNorm1d(hidden, track_running_stats=False) for _ in range(2)]
        )

    def states(self, vectors: Tensor, edges: Tensor, features: Tensor) -> Tensor:
        """Return [m, hidden] the models' states, given edges [2, e] from query to model.

        `features` [e, 3] are an edge's utility, cost and effect.
        """
        n = len(vectors)
        nodes = torch.cat([self.align(vectors), self.models])
        forth = torch.stack([edges[0], edges[1] + n])
        both = torch.cat([forth, forth.flip(0)], dim=1)
        said = torch.relu(self.edge(features)).repeat(2, 1)
        nodes = torch.relu(self.norms[0](self.first(nodes, both, said)))
        found: Tensor = self.norms[1](self.second(nodes, both, said))[n:]
        return found

    def logits(self, vectors: Tensor, states: Tensor) -> Tensor:
        """Return [k, m] the log odds that each model is right on queries [k, width]."""
        aligned: Tensor = self.align(vectors)
        return aligned @ states.T / states.shape[1]


def edges_of(known: Any, shown: Any) -> tuple[Tensor, Tensor]:
    """Return edges [2, e] of the known cells that are shown, and their places in the table."""
    places = (known & shown).nonzero()
    return places.T, places
