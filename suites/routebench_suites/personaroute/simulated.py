"""A simulated data set of PersonaRoute-Bench's shape: four tasks, ten models, any number of users.

Queries are written from templates, and models answer them by a simple law. A query's difficulty
has a part that its text shows (its kind, and how many facts it strings together) and a larger one
that nothing shows but that all models share. The chance of a right answer falls with it from the
model's skill at the task, a model being a little better or worse at each kind:

    logit p = logit skill(model, task) + taste(model, kind) − steady(model) · difficulty

Arithmetic and choice are right or wrong; of an answer of fact that is not right some words may
match; a summary is never all right or all wrong. Costs are prices times prompt and answer lengths,
min–max normalised per task. All of it is set so that what routers can gain here is what they can
gain on answers of real models, in the same order.

Users differ in preference alone, so that neither they nor their number change the outcomes.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from routebench.data.texts import normalise
from routebench.records import Floats, Ints, Strings
from routebench_suites.personaroute.files import UserPanel

_DATA = Path(__file__).resolve().parent / "simulated_data"
_SLOT = re.compile(r"\{([^{}:]+)(?::(\w+))?\}")
_TRIES = 200

# What the text shows of a query's difficulty, by its kind and by each of its extras, and what it
# does not: one draw for all models, one for each.
_VISIBLE, _EXTRA, _LATENT, _OWN, _TASTE = 0.8, 0.25, 2.2, 0.4, 0.35
_TOKENS = {"arithmetic": 180.0, "choice": 90.0, "summary": 120.0, "facts": 40.0}
_LENGTH_NOISE = 0.12


@dataclass(frozen=True, slots=True)
class _Written:
    """The queries of all tasks, and what their texts show."""

    text: Strings
    task: Ints
    kind: Ints
    difficulty: Floats


def simulate(users: int = 9, queries_per_task: int = 150, seed: int = 0) -> UserPanel:
    """Simulate a panel, always the same one; users' preferences lie evenly in [0.2, 1].

    Raises:
        ValueError: without users or queries, or for more queries than the templates can tell apart.
    """
    if users < 1 or queries_per_task < 1:
        raise ValueError("a panel needs a user and a query per task")
    tasks, models = _read("queries.toml")["tasks"], _read("models.toml")
    names, pool = tuple(sorted(tasks)), tuple(sorted(models))
    written = _write(names, queries_per_task, seed)
    rng = np.random.default_rng(seed)
    effect = _effect(written, names, pool, rng)
    cost = _cost(written, names, pool, rng)
    prices = np.array([models[model]["price"] for model in pool])
    return UserPanel(
        text=written.text,
        task=np.array(names, dtype=object)[written.task],
        task_description={name: tasks[name]["description"] for name in names},
        models=pool,
        model_description=tuple(models[model]["description"] for model in pool),
        effect=effect,
        cost=cost,
        cost_normalised=True,
        users=np.array([str(user + 1) for user in range(users)], dtype=object),
        preference=np.round(np.linspace(0.2, 1.0, users), 6) if users > 1 else np.array([0.6]),
        input_price=prices[:, 0].copy(),
        output_price=prices[:, 1].copy(),
        notes=("simulated: queries from templates, answers of models that do not exist",),
    )


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / name).read_text(encoding="utf-8"))


def _write(names: tuple[str, ...], count: int, seed: int) -> _Written:
    held = _read("queries.toml")
    texts: list[str] = []
    task, kind, difficulty = [], [], []
    known: set[str] = set()
    first = 0  # of the task's kinds among all
    for number, name in enumerate(names):
        kinds = held["tasks"][name]["kinds"]
        low, high = held["tasks"][name]["extras"]
        rng = random.Random(f"{seed} {name}")  # noqa: S311 - not for secrets
        for each in range(count):
            which = each % len(kinds)
            for _ in range(_TRIES):
                extras = rng.randint(low, high)
                text = _compose(rng, kinds[which], extras, held["words"])
                if (normal := normalise(text)) not in known:
                    break
            else:
                raise ValueError(f"the templates of {name} cannot tell {count} queries apart")
            known.add(normal)
            texts.append(text)
            task.append(number)
            kind.append(first + which)
            difficulty.append(
                _VISIBLE * kinds[which]["hard"] + _EXTRA * (extras - (low + high) / 2)
            )
        first += len(kinds)
    return _Written(
        np.array(texts, dtype=object), np.array(task), np.array(kind), np.array(difficulty)
    )


def _compose(
    rng: random.Random, kind: dict[str, Any], extras: int, words: dict[str, list[str]]
) -> str:
    parts = [
        rng.choice(kind["start"]),
        *rng.sample(kind["extra"], min(extras, len(kind["extra"]))),
        rng.choice(kind["ask"]),
    ]
    bound: dict[str, str] = {}
    used: set[str] = set()

    def fill(slot: re.Match[str]) -> str:
        what, label = slot.groups()
        if label is not None and (what + label) in bound:
            return bound[what + label]
        if what in words:
            # No word twice, so that the two ends of a journey are two places.
            word = rng.choice([each for each in words[what] if each not in used] or words[what])
            used.add(word)
        else:
            low, high = what.split("-")
            word = str(rng.randint(int(low), int(high)))
        if label is not None:
            bound[what + label] = word
        return word

    text = _SLOT.sub(fill, " ".join(part for part in parts if part))
    if "options" in kind:
        for letter, option in zip("ABCDE", rng.sample(kind["list"], kind["options"]), strict=False):
            text += f" ({letter}) {option}"
    return text


def _effect(
    written: _Written, names: tuple[str, ...], pool: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    models = _read("models.toml")
    n, m = len(written.text), len(pool)
    skill = np.array([[models[model]["skill"][name] for model in pool] for name in names])
    steady = np.array([models[model]["steady"] for model in pool])
    taste = _TASTE * rng.standard_normal((int(written.kind.max()) + 1, m))
    hard = written.difficulty + _LATENT * rng.standard_normal(n)
    # The spread of the difficulty pulls chances towards one half; a skill is a mean all the same.
    spread = 1 + np.pi / 8 * (_LATENT * steady) ** 2
    logit = np.log(skill / (1 - skill))[written.task] * np.sqrt(spread)
    logit = logit + taste[written.kind] - steady * hard[:, None]
    chance = 1 / (1 + np.exp(-logit - _OWN * rng.standard_normal((n, m))))
    right = rng.random((n, m)) < chance
    overlap = rng.random((n, m))
    effect: Floats = right.astype(np.float64)
    facts = (written.task == names.index("facts"))[:, None] & ~right & (overlap < 0.3)
    summary = (written.task == names.index("summary"))[:, None]
    effect = np.where(facts, 0.2 + overlap, effect)
    effect = np.where(summary, 0.15 + 0.7 * (0.75 * chance + 0.25 * overlap), effect)
    rounded: Floats = np.round(effect, 4)
    return rounded


def _cost(
    written: _Written, names: tuple[str, ...], pool: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    models = _read("models.toml")
    price = np.array([models[model]["price"] for model in pool])
    length = np.array([models[model]["length"] for model in pool])
    prompt = np.array([len(text) / 4 for text in written.text])[:, None]
    base = np.array([_TOKENS[name] for name in names])[written.task][:, None]
    noise = np.exp(_LENGTH_NOISE * rng.standard_normal((len(prompt), len(pool))))
    cost = price[:, 0] * prompt + price[:, 1] * length * base * noise
    for task in range(len(names)):
        rows = written.task == task
        low, high = cost[rows].min(), cost[rows].max()
        cost[rows] = (cost[rows] - low) / (high - low)
    rounded: Floats = np.round(cost, 6)
    return rounded
