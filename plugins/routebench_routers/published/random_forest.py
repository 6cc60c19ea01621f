"""A random forest on query vectors, after RoRF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context
from routebench.records import Floats, Ints
from routebench_routers.neighbours import prior_scores
from routebench_routers.published.examples import Examples, VectorRouter

_BLOCK = 256


class RandomForest(VectorRouter):
    """One random forest for all models: a leaf holds the mean score of each on its queries.

    Source: RoRF of Not Diamond (github.com/Not-Diamond/RoRF): 100 trees of depth 20 that classify a
    query by which of two models answer it, and route by P(the large one is right alone). Preset
    `paper`: its trees, with leaves of single queries.

    Deviations: one forest for any number of models, whose leaves give the two models' chances as
    the source's four classes do; it splits by squared error summed over the models. The least
    number of queries in a leaf is chosen on validation. The source's threshold, calibrated to a
    share of calls, is the run's trade-off of expected score and cost.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        trees: int = Field(100, ge=1, le=2000, description="trees of the forest")
        depth: int = Field(20, ge=0, description="depth of a tree at most; 0 is a single leaf")
        leaf: int | None = Field(
            None, ge=1, description="queries in a leaf at least; 10 or 40 by validation if unset"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"leaf": 1}}

    libraries = ("encoder", "sklearn.ensemble")
    effort = 20
    options: Options
    roots: Ints
    """[trees] each tree's first node."""
    feature: Ints
    """[nodes] the number that a node looks at; -1 for a leaf."""
    threshold: Floats
    """[nodes] up to which a query goes left."""
    children: Ints
    """[nodes, 2] left and right."""
    leaves: Floats
    """[nodes, m] mean scores."""

    def candidates(self, train: Examples) -> Sequence[dict[str, float]]:
        given = self.options.leaf
        return [{"leaf": each} for each in ((10, 40) if given is None else (given,))]

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        from sklearn.ensemble import RandomForestRegressor

        # A missing score counts as the model's mean: it moves no split.
        scores = np.where(train.known, train.targets, prior_scores(train.scores))
        forest = RandomForestRegressor(
            self.options.trees,
            max_depth=max(1, self.options.depth),
            min_samples_leaf=int(self.chosen["leaf"]) if self.options.depth else len(train),
            max_features=0.3,
            random_state=context.seed,
        ).fit(train.vectors, scores)
        trees = [one.tree_ for one in forest.estimators_]
        sizes = [tree.node_count for tree in trees]
        self.roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        shifts = np.repeat(self.roots, sizes)
        self.feature = np.concatenate([np.maximum(tree.feature, -1) for tree in trees])
        self.threshold = np.concatenate([tree.threshold for tree in trees])
        left, right = (
            np.concatenate([getattr(tree, f"children_{side}") for tree in trees])
            for side in ("left", "right")
        )
        own = np.arange(len(shifts))
        ends = self.feature < 0  # a leaf leads to itself
        self.children = np.stack(
            [np.where(ends, own, left + shifts), np.where(ends, own, right + shifts)], axis=1
        )
        self.leaves = np.concatenate([tree.value[:, :, 0] for tree in trees])

    def expected(self, vectors: Floats) -> Floats:
        parts = [
            self.leaves[self._reached(vectors[start : start + _BLOCK])].mean(axis=1)
            for start in range(0, max(1, len(vectors)), _BLOCK)
        ]
        return np.concatenate(parts)

    def _reached(self, vectors: Floats) -> Ints:
        """Return [n, trees] the leaf that each vector comes to in each tree."""
        values = vectors.astype(np.float32)  # as scikit-learn compares them
        rows = np.arange(len(vectors))[:, None]
        node = np.broadcast_to(self.roots, (len(vectors), len(self.roots)))
        while True:
            feature = self.feature[node]
            if (feature < 0).all():
                return node
            right = values[rows, np.maximum(feature, 0)] > self.threshold[node]
            node = self.children[node, right.astype(np.int64)]
