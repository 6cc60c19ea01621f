"""Reading PersonaRoute-Bench's CSV files: one row per user, query and model, kept apart.

A file repeats every query, its embedding and its outcomes for each user. It is read in blocks, in
which what repeats is one entry; effect and cost are kept once per query and model, checked to be
the same for all users, and users are kept beside them: nothing here has a cell for every user,
query and model but one bit that says the row was there.

Rows are counted from 1, the header not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.records import Floats, Mask, Strings, Vectors
from routebench_suites.personaroute.models import (
    find_descriptions,
    read_descriptions,
    read_embeddings,
)
from routebench_suites.personaroute.rows import REWARD_TOLERANCE, Gathered, gather

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
_ORDER = ("train", "validation", "test")
_FILES = "a .csv or .csv.gz, or a folder of three with train, val and test in their names"


@dataclass(frozen=True)
class UserPanel:
    """Users, queries and models with the outcomes of the latter two: n queries, m models, u users.

    The reward of user i for model k on query j is w·effect[j, k] − (1 − w)·cost[j, k], where
    w = preference[i].
    """

    text: Strings
    """[n] the queries; a text that two tasks have is two queries."""
    task: Strings
    """[n] the task a query belongs to."""
    task_description: dict[str, str]
    """By task; without those that have none."""
    models: tuple[str, ...]
    """[m] in name order."""
    model_description: tuple[str, ...] | None
    """[m] what is said of each model."""
    effect: Floats
    """[n, m] in [0, 1]; NaN where a query has no row for a model."""
    cost: Floats
    """[n, m] as in the file; NaN where `effect` is."""
    cost_normalised: bool
    """Whether all costs lie in [0, 1] already."""
    users: Strings
    """[u] in natural order: user 10 after user 9."""
    preference: Floats
    """[u] weight of effect against cost, in [0, 1]."""
    asked: Mask | None = None
    """[u, n] who asked what; None if every user asked every query."""
    split: Strings | None = None
    """[n] train, validation or test, where the files are one per part."""
    user_split: Strings | None = None
    """[u] the part a user belongs to, if some users are not in the training file."""
    embedding: Vectors | None = None
    """[n, d]"""
    task_embedding: Vectors | None = None
    """[t, d] by task, in name order."""
    model_embedding: Vectors | None = None
    """[m, d]"""
    reference: Strings | None = None
    """[n] right answers; None for a query that has none."""
    notes: tuple[str, ...] = ()
    """What a reader of results should know of this data."""
    input_price: Floats | None = None
    """[m] USD per million prompt tokens."""
    output_price: Floats | None = None
    """[m] USD per million answer tokens."""


def read_panel(
    path: Path, descriptions: Path | None = None, embeddings: Path | None = None
) -> UserPanel:
    """Read a data set from one CSV, or from a folder with a file for each part.

    `descriptions` is looked for beside the data (`LLM_Descriptions*.json`) unless it is given;
    `embeddings` are those of the models (.safetensors, .npy or .pkl).

    Raises:
        DataError: naming the file and, where they are known, rows and column.
    """
    parts = _files(path)
    gathered = gather([file for _, file in parts])
    models = tuple(sorted(gathered.models))
    columns = np.array([gathered.models[model] for model in models], dtype=np.int64)
    users = sorted(gathered.users, key=_natural)
    lines = np.array([gathered.users[user] for user in users], dtype=np.int64)
    tasks = sorted(gathered.tasks)
    asked = gathered.asked[lines]
    split, user_split, notes = _split([part for part, _ in parts], gathered, lines)
    notes += _notes(gathered)

    folder = path if path.is_dir() else path.parent
    file = descriptions or find_descriptions(folder, models)
    described = read_descriptions(file, models) if file else None
    return UserPanel(
        text=_objects([text for _, text in gathered.queries]),
        task=_objects([task for task, _ in gathered.queries]),
        task_description={
            task: text
            for task in tasks
            if (text := gathered.description.get(gathered.tasks[task])) is not None
        },
        models=models,
        model_description=described.description if described else None,
        effect=gathered.effect[:, columns],
        cost=gathered.cost[:, columns],
        cost_normalised=gathered.cost_normalised,
        users=_objects(users),
        preference=gathered.preference[lines],
        asked=None if asked.all() else asked,
        split=split,
        user_split=user_split,
        embedding=gathered.embedding.stacked(range(len(gathered.queries))),
        task_embedding=gathered.task_embedding.stacked([gathered.tasks[task] for task in tasks]),
        model_embedding=(
            read_embeddings(embeddings, models, described.order if described else None)
            if embeddings
            else None
        ),
        reference=(
            _objects([gathered.reference.get(query) for query in range(len(gathered.queries))])
            if gathered.reference.values
            else None
        ),
        notes=notes,
        input_price=described.input_price if described else None,
        output_price=described.output_price if described else None,
    )


def _files(path: Path) -> list[tuple[str | None, Path]]:
    """Return the files to read with the part each is, in the order train, validation, test."""
    if path.is_file():
        if not _is_csv(path):
            raise DataError(f"{path.name}: not a kind of file that can be read", f"give {_FILES}")
        return [(None, path)]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder", f"give {_FILES}")
    tables = sorted(each for each in path.iterdir() if each.is_file() and _is_csv(each))
    parts: dict[str, Path] = {}
    for table in tables:
        words = re.split(r"[^a-z]+", table.name.lower())
        named = {_PARTS[word] for word in words if word in _PARTS}
        if len(named) > 1:
            raise DataError(f"{table.name}: the name says {' and '.join(sorted(named))}")
        for part in named:
            if part in parts:
                raise DataError(
                    f"{path}: two files are the {part} part: {parts[part].name} and {table.name}",
                    "give one of them, or a folder without the other",
                )
            parts[part] = table
    if not parts and len(tables) == 1:
        return [(None, tables[0])]
    if "train" not in parts or len(parts) < 2:
        names = ", ".join(each.name for each in tables[:6]) or "none"
        raise DataError(
            f"{path}: no train and test files are here; its CSV files: {names}", f"give {_FILES}"
        )
    return [(part, parts[part]) for part in _ORDER if part in parts]


def _is_csv(path: Path) -> bool:
    return path.name.lower().endswith((".csv", ".csv.gz"))


def _split(
    parts: list[str | None], gathered: Gathered, lines: Any
) -> tuple[Strings | None, Strings | None, tuple[str, ...]]:
    """Return the parts of the queries and, where they differ, of the users; a note on overlaps."""
    if parts == [None]:
        return None, None, ()
    names = _objects(parts)
    in_part, users = gathered.query_in, gathered.user_in[lines]
    notes: tuple[str, ...] = ()
    split = None
    shared = int((in_part.sum(axis=1) > 1).sum())
    if shared:
        notes += (
            f"{shared} of {len(in_part)} queries are in more than one file, so the files give no"
            " split by query",
        )
    else:
        split = names[in_part.argmax(axis=1)]
    user_split = None
    strangers = int((~users[:, 0]).sum())
    if strangers:
        user_split = names[users.argmax(axis=1)]
        notes += (f"{strangers} of {len(users)} users are not in the training file",)
    return split, user_split, notes


def _notes(gathered: Gathered) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    partial = int(np.isnan(gathered.effect).any(axis=1).sum())
    if partial:
        notes += (f"{partial} of {len(gathered.effect)} queries lack rows of some models",)
    if gathered.cost_normalised and not _spans(gathered):
        notes += (
            "costs are taken as normalised, since all lie in [0, 1], though in no task they reach"
            " from 0 to 1",
        )
    if not gathered.has_reward:
        return notes
    mismatch = gathered.reward_mismatch
    if mismatch is None:
        return (*notes, "the file's reward is w·effect − (1 − w)·cost throughout")
    place, value, expected = mismatch
    if not gathered.cost_normalised:
        return (*notes, "the file's reward was not checked: its costs are not normalised")
    raise DataError(
        f"{place}, column reward: is {value:.10g}, but w·effect − (1 − w)·cost is {expected:.10g}",
        f"they may differ by {REWARD_TOLERANCE:g}; leave the column out to do without it",
    )


def _spans(gathered: Gathered) -> bool:
    """Return whether any task's costs reach from 0 to 1, as a min–max normalisation leaves them."""
    tasks = np.array([gathered.tasks[task] for task, _ in gathered.queries])
    for task in range(len(gathered.tasks)):
        costs = gathered.cost[tasks == task]
        if np.nanmin(costs) <= 1e-9 and np.nanmax(costs) >= 1 - 1e-9:
            return True
    return False


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(piece), piece) if piece.isdecimal() else (1, 0, piece)
        for piece in re.split(r"(\d+)", name)
        if piece
    ]


def _objects(values: Any) -> Strings:
    array: Strings = np.empty(len(values), dtype=object)
    array[:] = values
    return array
