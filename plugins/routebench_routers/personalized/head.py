"""The fitted `personalized` router: node states, tables of the edges, and heads.

Routing needs neither torch-geometric nor the training data: messages are passed in fitting.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHUNK = 1 << 16
"""(query, LLM) pairs whose hidden layers are held at once."""


class Propagation(nn.Module):
    """Prediction from visible edges: the task's mean per LLM, and a ridge on the residuals.

    The ridge on residuals is label propagation over the text kernel in closed form. A query's task
    is as shown, else a soft topic of its text; an unknown task is the mixture of all.
    """

    def __init__(self, width: int, tasks: int, llms: int, topics: int, sharpness: float) -> None:
        super().__init__()
        self.clusterings, self.sharpness = topics, sharpness
        self.register_buffer("centroids", torch.zeros(tasks, width))
        self.register_buffer("shares", torch.full((tasks,), 1.0 / tasks))
        self.register_buffer("table", torch.zeros(tasks, 2 * llms))
        self.register_buffer("means", torch.zeros(tasks, width))
        self.register_buffer("weights", torch.zeros(width, 2 * llms))
        self.register_buffer("answered", torch.ones(llms))

    centroids: Tensor
    shares: Tensor
    table: Tensor
    means: Tensor
    weights: Tensor
    answered: Tensor

    def membership(self, text: Tensor, task: Tensor | None) -> Tensor:
        """Return [n, tasks] the degree to which each query belongs to each task."""
        if self.clusterings:
            each = len(self.shares) // self.clusterings
            near = (text @ self.centroids.T).view(len(text), self.clusterings, each)
            return torch.softmax(self.sharpness * near, dim=2).flatten(1) / self.clusterings
        if task is None:
            return self.shares.expand(len(text), -1)
        known = (task >= 0) & (task < len(self.shares))
        single = torch.zeros(len(text), len(self.shares), device=text.device)
        single.scatter_(1, (task * known)[:, None], 1.0)
        return torch.where(known[:, None], single, self.shares)

    def forward(self, text: Tensor, member: Tensor) -> Tensor:
        """Return [n, 2, llms] the predicted effect and cost."""
        said = member @ self.table + (text - member @ self.means) @ self.weights
        return said.view(len(text), 2, len(self.answered))

    @torch.no_grad()
    def learn(
        self,
        text: Tensor,
        member: Tensor,
        outcomes: Tensor,
        penalty: float,
        prior: float,
        kin: Tensor,
    ) -> None:
        """Learn tables and ridge from queries [n, ·] with outcomes [n, 2 llms], NaN if missing.

        An LLM without an outcome gets the mean of those with one, weighted by `kin` [llms, llms].
        """
        known = (~outcomes.isnan()).to(text.dtype)
        filled = outcomes.nan_to_num()
        overall = filled.sum(0) / known.sum(0).clamp(min=1)
        count = member.T @ known
        self.shares = member.mean(0)
        self.table = (member.T @ filled + prior * overall) / (count + prior).clamp(min=1e-6)
        total = member.sum(0)[:, None]
        self.means = (member.T @ text + prior * text.mean(0)) / (total + prior).clamp(min=1e-6)
        rest = (outcomes - member @ self.table).nan_to_num()
        inputs = text - member @ self.means
        ridge = penalty * torch.eye(inputs.shape[1], device=text.device)
        if bool(known.all()):
            self.weights = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ rest)
            self.answered = torch.ones_like(self.answered)
            return
        columns = []
        for column in range(rest.shape[1]):  # each LLM has its own answered queries
            some = inputs * known[:, column, None]
            columns.append(torch.linalg.solve(some.T @ some + ridge, some.T @ rest[:, column]))
        self.weights = torch.stack(columns, 1)
        self.answered = known.view(len(known), 2, -1).any(1).any(0).to(text.dtype)
        mix = kin * self.answered
        mix = torch.where(self.answered[:, None] > 0, torch.eye(len(kin), device=kin.device), mix)
        mix = mix / mix.sum(1, keepdim=True).clamp(min=1e-9)
        for name in ("table", "weights"):
            values: Tensor = getattr(self, name)
            setattr(self, name, (values.view(len(values), 2, -1) @ mix.T).flatten(1))


class Head(nn.Module):
    """A network from [user | query | task | LLM] to corrections of the propagated outcomes.

    The first layer is a sum of one part per node, each computed once for all combinations.
    """

    def __init__(self, width: int, hidden: int, dropout: float, product: bool) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Dropout(dropout / 2), nn.Linear(width, hidden), nn.GELU())
        self.from_user = nn.Linear(hidden, hidden, bias=False)
        self.from_preference = nn.Linear(2, hidden, bias=False)
        self.from_query = nn.Linear(hidden, hidden)
        self.from_task = nn.Linear(hidden, hidden, bias=False)
        self.from_llm = nn.Linear(hidden, hidden, bias=False)
        self.product = product
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def pairs(self, text: Tensor, task: Tensor, llm: Tensor) -> Tensor:
        """Return [n, llms, hidden] the queries' and LLMs' part of the first layer."""
        query = self.query(text)
        ours = self.from_query(query) + self.from_task(task)
        hidden: Tensor = ours[:, None] + self.from_llm(llm)
        if self.product:
            hidden = hidden + query[:, None] * llm
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def users(self, user: Tensor, weights: Tensor) -> Tensor:
        """Return [u, hidden] the users' part of the first layer, by state and weights."""
        hidden: Tensor = self.from_user(user) + self.from_preference(weights)
        return hidden

    def forward(self, pair: Tensor, user: Tensor) -> Tensor:
        """Return [..., 2] the corrections of effect and cost, from broadcast parts."""
        beyond: Tensor = self.out(nn.functional.gelu(pair + user))
        return beyond


class Member(nn.Module):
    """One trained network: its head and the final node states."""

    def __init__(self, head: Head, users: int, tasks: int, llms: int, hidden: int) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("user", torch.zeros(users, hidden))
        self.register_buffer("stranger", torch.zeros(hidden))
        self.register_buffer("task", torch.zeros(tasks, hidden))
        self.register_buffer("llm", torch.zeros(llms, hidden))

    user: Tensor
    stranger: Tensor
    task: Tensor
    llm: Tensor

    def forward(self, text: Tensor, member: Tensor, user: Tensor, weights: Tensor) -> Tensor:
        """Return [n, 2, llms] corrections of the propagated effect and cost, a user per query."""
        if len(self.user):
            state = torch.where(user[:, None] >= 0, self.user[user.clamp(min=0)], self.stranger)
        else:
            state = self.stranger.expand(len(text), -1)
        pair = self.head.pairs(text, member @ self.task, self.llm)
        beyond: Tensor = self.head(pair, self.head.users(state, weights)[:, None])
        return beyond.transpose(1, 2)


class Personalized(nn.Module):
    """A fitted router, defined by its `state_dict` and `config`."""

    def __init__(self, config: dict[str, int | float | bool]) -> None:
        super().__init__()
        self.config = config
        width, hidden = int(config["width"]), int(config["hidden"])
        users, tasks, llms = int(config["users"]), int(config["tasks"]), int(config["llms"])
        self.stated = bool(config["stated"])
        self.start = float(config["residual"])  # 1 if heads start from the propagated outcomes
        self.edges = Propagation(
            width, tasks, llms, int(config["topics"]), float(config["sharpness"])
        )
        self.members = nn.ModuleList(
            Member(
                Head(width, hidden, float(config["dropout"]), bool(config["product"])),
                users,
                tasks,
                llms,
                hidden,
            )
            for _ in range(int(config["members"]))
        )
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        # Weights of effect and of cost in the reward: of each user, and of the mean user.
        self.register_buffer("worth", torch.zeros(users, 2))
        self.register_buffer("mean_worth", torch.zeros(2))

    centre: Tensor
    scale: Tensor
    worth: Tensor
    mean_worth: Tensor

    def weights(self, user: Tensor, preference: Tensor | None) -> Tensor:
        """Return [n, 2] the weights of effect and cost: as stated if shown, else as learned."""
        if self.stated and preference is not None:
            stated = torch.stack([preference, preference - 1], 1)
            return torch.where(stated.isnan(), self.mean_worth, stated)
        if not len(self.worth):
            return self.mean_worth.expand(len(user), -1)
        return torch.where(user[:, None] >= 0, self.worth[user.clamp(min=0)], self.mean_worth)

    @torch.no_grad()
    def outcomes(self, text: Tensor, task: Tensor | None, user: Tensor, weights: Tensor) -> Tensor:
        """Return [n, 2, llms] the expected effect and cost of each LLM for the user."""
        self.eval()
        member = self.edges.membership(text, task)
        said: Tensor = self.edges(text, member) * self.start
        if len(self.members):
            inputs = (text - self.centre) * self.scale
            beyond = [each(inputs, member, user, weights) for each in self.members]
            said = said + torch.stack(beyond).mean(0) * self.edges.answered
        return said

    @torch.no_grad()
    def utility(
        self, text: Tensor, task: Tensor | None, user: Tensor, preference: Tensor | None
    ) -> Tensor:
        """Return [n, llms] the expected reward of each LLM, within [-1, 1].

        `task` is -1 or None where unknown; `user` an index of training, or -1 for an unseen one;
        `preference` NaN or None where it is not stated.
        """
        text = text.to(self.centre)
        step = max(1, CHUNK // max(1, int(self.config["llms"])))
        parts = []
        for start in range(0, len(text), step):
            rows = slice(start, start + step)
            stated = None if preference is None else preference[rows].to(text)
            weights = self.weights(user[rows], stated)
            shown = None if task is None else task[rows]
            said = self.outcomes(text[rows], shown, user[rows], weights)
            parts.append((weights[:, :, None] * said).sum(1).clamp(-1, 1))
        return torch.cat(parts) if parts else text.new_zeros(0, int(self.config["llms"]))
