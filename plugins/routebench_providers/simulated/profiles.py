"""The simulated models as `models.toml` describes them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from routebench.records import Pool

_TABLES = ("topics", "answer_types")


@dataclass(frozen=True, slots=True)
class Profile:
    """One model. `models.toml` says what each number does."""

    name: str
    description: str
    input_price: float
    output_price: float
    ability: float
    caution: float
    hedging: float
    chattiness: float
    first_token: float
    tokens_per_second: float
    size: float = float("nan")
    reasoning: float = 0.0
    topics: tuple[tuple[str, float], ...] = ()
    answer_types: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """Settings that hold for all models and all questions."""

    obscurity: float
    shared: float
    own: float
    again: float
    kind: float
    kind_own: float
    doubt: float
    doubt_shared: float
    doubt_own: float
    doubt_again: float
    unjudged: tuple[float, ...]
    prompt_overhead: int


@dataclass(frozen=True, slots=True)
class SimulatedPool:
    """`models.toml` as read: the world, the models, and the pair of a small and a large one."""

    world: World
    models: tuple[Profile, ...]
    small: str
    large: str

    def pool(self) -> Pool:
        """Return the models in name order, with their prices."""
        return Pool(
            tuple(model.name for model in self.models),
            np.array([model.input_price for model in self.models]),
            np.array([model.output_price for model in self.models]),
            np.array([model.size for model in self.models]),
            tuple(model.description for model in self.models),
            self.small,
            self.large,
        )


@cache
def setup() -> SimulatedPool:
    """Read `models.toml`."""
    path = Path(__file__).resolve().parent / "models.toml"
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    world = World(**{**read["world"], "unjudged": tuple(read["world"]["unjudged"])})
    models = []
    for name, fields in sorted(read["models"].items()):
        for table in _TABLES:
            fields[table] = tuple(fields.get(table, {}).items())
        models.append(Profile(name=name, **fields))
    return SimulatedPool(world, tuple(models), read["pair"]["small"], read["pair"]["large"])
