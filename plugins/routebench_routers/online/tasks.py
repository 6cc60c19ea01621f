"""The task of a query: as it is told, as it is predicted, or one for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from routebench.hookspecs import Context, FittedEncoder
from routebench.records import Floats, Ints, Queries, Table
from routebench_routers.online.learner import OnlineLearner
from routebench_routers.tasks.classifier import TaskClassifier

_INVERSE_PENALTY = 10.0


class TaskLearner(OnlineLearner):
    """A learner that knows queries by their tasks, and the mean cost of each model by task.

    Where the run shows no tasks, a classifier predicts them from the text, if training queries
    have some; tasks never seen in training are one.
    """

    tasks: list[str]
    classifier: TaskClassifier | None = None
    encoder: FittedEncoder | None = None
    number: Floats
    """[tasks + 1, m] outcomes that count, with the prior's."""
    total: Floats
    """[tasks + 1, m] the sum of their rewards."""
    spent: Floats
    """[tasks + 1, m] the sum of known costs, in USD."""
    priced: Floats
    """[tasks + 1, m] outcomes with a known cost."""

    def prepare_tasks(self, train: Table, context: Context, by_task: bool) -> None:
        """Learn the names of the tasks, and to predict them where routing is not told them."""
        given = train.queries.task if by_task else None
        self.tasks = [] if given is None else sorted({str(t) for t in given if t is not None})
        if len(self.tasks) > 1 and "task" in context.training_only:
            assert given is not None
            self.encoder = context.encoder
            vectors = np.asarray(context.encoder.encode(list(train.queries.text)), np.float64)
            self.classifier = TaskClassifier.learn(vectors, given, _INVERSE_PENALTY)
        shape = (len(self.tasks) + 1, self.models)
        self.number, self.total = np.zeros(shape), np.zeros(shape)
        self.spent, self.priced = np.zeros(shape), np.zeros(shape)

    def tasks_of(self, queries: Queries) -> Ints:
        """Return [n] the number of each query's task."""
        other = len(self.tasks)
        if self.classifier is not None and self.encoder is not None:
            vectors = self.encoded(self.encoder, queries.text)
            names = [self.tasks.index(name) for name in self.classifier.names]
            likely = self.classifier.probabilities(vectors).argmax(axis=1)
            predicted: Ints = np.array(names, dtype=np.int64)[likely]
            return predicted
        if queries.task is None or not self.tasks:
            return np.full(len(queries), other, dtype=np.int64)
        place: dict[Any, int] = {name: at for at, name in enumerate(self.tasks)}
        return np.array([place.get(task, other) for task in queries.task], dtype=np.int64)
