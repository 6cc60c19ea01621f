"""`graph-router` does not stop while it is worse than the models' mean scores."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import long_table, noise
from libraries import needed

from routebench.data.long_table import from_long
from routebench.data.splits import TRAIN, VALIDATION, make_split
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin.discovery import find
from routebench.records import Floats

needed("torch", "torch_geometric")

pytestmark = pytest.mark.slow


def test_a_table_whose_models_are_seldom_right_is_learned_all_the_same() -> None:
    # Random weights begin at one half: the loss may rise before it falls.
    texts = list(dict.fromkeys(noise(400).column("query").to_pylist()))
    scores = np.random.default_rng(0).random((len(texts), 4)) < [0.4, 0.35, 0.1, 0.05]
    data = from_long(long_table(scores, texts), name="t", source="recorded", place="t")
    given = Setup(data, make_split(data), "tfidf-svd", {"dimension": 16})
    job = Job("graph-router", find("router", "graph-router"), {"patience": 1}, 0, 0, "")
    result = run_here(job, given, lambda done, note="": None)
    assert result.validation is not None
    assert result.validation.quality is not None
    right = data.outcomes.score[given.rows(0, VALIDATION)]
    means = data.outcomes.score[given.rows(0, TRAIN)].mean(axis=0)
    least = loss(np.broadcast_to(means, right.shape), right)
    assert loss(result.validation.quality, right) < 1.02 * least


def loss(chance: Floats, right: Floats) -> float:
    return float(-(right * np.log(chance) + (1 - right) * np.log(1 - chance)).mean())
