"""The `personalized` router: a heterogeneous graph of users, queries, tasks and LLMs.

After PersonalizedRouter (https://arxiv.org/abs/2511.16883), with these differences: every user is a
node, so that users can be distinguished; masks hide whole queries, for all users; and the heads
start from a closed-form prediction of the visible edges (`residual = false` leaves that out).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from routebench.errors import OptionError
from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.plugin import checkpoint
from routebench.plugin.selection import Chooser
from routebench.records import Decisions, Floats, Ints, Mask, Pool, Queries, Strings, Table, Users
from routebench.routers.confidence import Confidence
from routebench.routers.state import DeclaredState
from routebench_routers.personalized.options import Settings

if TYPE_CHECKING:
    from routebench_routers.personalized.head import Personalized


class PersonalizedRouter(DeclaredState):
    """A graph network with messages over which user asked what and the outcomes.

    One router serves all users. Without users it serves a single one, who only wants quality.
    """

    family = "by user"

    Options = Settings
    libraries = ("encoder", "torch", "torch_geometric.nn")
    effort = 18
    personal = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "weight_decay": 1e-4,
            "train_epoch": 100,
            "batch_size": 4,
            "residual": False,
            "dropout": 0.0,
            "heads": 1,
            "members": 1,
            "patience": None,
        }
    }

    options: Settings
    encoder: FittedEncoder
    config: dict[str, Any]
    weights: dict[str, npt.NDArray[Any]] = {}  # noqa: RUF012
    """The model's learned arrays, by name."""
    users: dict[str, int]
    """Numbers by name."""
    tasks: dict[str, int]
    chooser: Chooser | None = None
    """Set where the suite has no users."""
    confidence: Confidence = Confidence()

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return None: any run can use it. Raise an `OptionError` for invalid options.

        Invalid are unknown models in `llm_family`, and `heads` that do not divide `embedding_dim`.
        """
        for model in self.options.llm_family:
            pool.index(model, "llm_family")
        if self.options.embedding_dim % self.options.heads:
            raise OptionError("heads: they must divide embedding_dim")
        return None

    @hookimpl
    def fit(self, train: Table, validation: Table, context: Context) -> None:
        from routebench_routers.personalized import graph

        self.forget()
        self.encoder = context.encoder
        if train.users is None:
            self.chooser = Chooser.learn(train, context.objective)
            train, validation = (_for_one(table) for table in (train, validation))
        assert train.users is not None
        self._check_users(train.users)
        self.users = {str(name): at for at, name in enumerate(train.users.name)}
        tasks = None if "task" in context.training_only else train.queries.task
        known = [] if tasks is None else sorted({str(task) for task in tasks if task is not None})
        self.tasks = {task: at for at, task in enumerate(known)}
        seed = context.seed if self.options.random_state is None else self.options.random_state
        model = graph.fit(
            self._training(train, train.users),
            self._training(validation, train.users),
            self.options,
            seed,
            context.device,
            self._described(train.pool),
            context.progress,
        ).cpu()
        self.config = model.config
        self.weights = {name: value.numpy() for name, value in model.state_dict().items()}
        if self.chooser is not None:
            expected = self._quality(validation.queries)
            self.confidence = Confidence.learn(expected, self.chooser.choose(expected), validation)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        quality = self._quality(queries)
        if self.chooser is None:
            return Decisions(quality.argmax(axis=1), quality=quality)
        choice = self.chooser.choose(quality)
        return Decisions(choice, quality=quality, confidence=self.confidence(quality, choice))

    @cached_property
    def _model(self) -> Personalized:
        import torch

        from routebench_routers.personalized.head import Personalized

        model = Personalized(self.config)
        model.load_state_dict({k: torch.from_numpy(v) for k, v in self.weights.items()})
        model.eval()
        return model

    def load(self, folder: Path) -> None:
        super().load(folder)
        if not self.weights:  # older checkpoints: the only arrays there are
            _, self.weights = checkpoint.load(folder)

    def _quality(self, queries: Queries) -> Floats:
        """Return [n, m] the expected reward; without users the expected score.

        Without users, models without an answer in training are NaN.
        """
        import torch

        n = len(queries)
        user: Ints = np.full(n, -1, dtype=np.int64)
        stated: Floats = np.full(n, np.nan)
        if self.chooser is not None:
            user, stated = np.zeros(n, dtype=np.int64), np.ones(n)
        else:
            if queries.user is not None:
                user = np.array([self.users.get(str(name), -1) for name in queries.user])
            if queries.preference is not None:
                stated = queries.preference
        task = self._task_numbers(queries.task, n)
        said = self._model.utility(
            torch.from_numpy(self._vectors(queries.text)),
            None if task is None else torch.from_numpy(task),
            torch.from_numpy(user),
            torch.from_numpy(stated),
        )
        quality: Floats = said.double().numpy()
        if self.chooser is not None:
            quality[:, self._model.edges.answered.numpy() == 0] = np.nan
        return quality

    def _training(self, table: Table, users: Users) -> Any:
        """Return a table's data as a `Training`; training users it lacks asked nothing."""
        from routebench_routers.personalized.interactions import Training

        outcomes = table.outcomes
        assert outcomes.relative_cost is not None
        families = self.options.llm_family
        numbers = {name: at for at, name in enumerate(sorted(set(families.values())))}
        family = [
            numbers[families[model]] if model in families else -1 - at
            for at, model in enumerate(table.pool.models)
        ]
        return Training(
            self._vectors(table.queries.text),
            self._task_numbers(table.queries.task, len(table)) if self.tasks else None,
            np.where(outcomes.ok, outcomes.score, np.nan),
            np.where(outcomes.ok, outcomes.relative_cost, np.nan),
            users.preference,
            _seen(table, users),
            np.array(family) if families else None,
        )

    def _check_users(self, users: Users) -> None:
        if self.options.user_num not in (None, len(users)):
            raise OptionError(
                f"personalized.user_num is {self.options.user_num}, and {len(users)} users are"
                " in training"
            )

    def _task_numbers(self, tasks: Strings | None, n: int) -> Ints | None:
        if not self.tasks:
            return None
        if tasks is None:
            return np.full(n, -1, dtype=np.int64)
        return np.array([self.tasks.get(str(task), -1) for task in tasks], dtype=np.int64)

    def _vectors(self, texts: Strings) -> npt.NDArray[np.float32]:
        """Return [n, d] the vectors; a text that several users ask is encoded once."""
        unique, place = np.unique(texts.astype(str), return_inverse=True)
        vectors = np.asarray(self.encoder.encode(list(unique)), dtype=np.float32)
        return np.ascontiguousarray(vectors[place])

    def _described(self, pool: Pool) -> npt.NDArray[np.float32] | None:
        """Return [m, d'] features of models: encoded description and price; None without any."""
        if pool.description is None or not any(pool.description):
            return None
        parts = [np.asarray(self.encoder.encode(list(pool.description)), dtype=np.float32)]
        if pool.output_price is not None:
            price = np.log(np.maximum(pool.output_price, 1e-6))
            spread = price.std() or 1.0
            parts.append((0.5 * (price - price.mean()) / spread)[:, None].astype(np.float32))
        return np.hstack(parts)


def _for_one(table: Table) -> Table:
    """Return the table as asked by one user who only wants quality."""
    outcomes = replace(table.outcomes, relative_cost=np.zeros_like(table.outcomes.score))
    users = Users(np.array(["everybody"], dtype=object), np.ones(1))
    return replace(table, outcomes=outcomes, users=users)


def _seen(table: Table, users: Users) -> Mask | None:
    """Return [users, n] whether each user asked each query; None where all asked all."""
    own = table.users
    assert own is not None
    if own.asked is None and list(own.name) == list(users.name):
        return None
    place = {name: at for at, name in enumerate(own.name)}
    seen = np.zeros((len(users), len(table)), dtype=np.bool_)
    for row, name in enumerate(users.name):
        if name in place:
            seen[row] = True if own.asked is None else own.asked[:, place[name]]
    return seen
