"""The record of a finished shard: what run it is part of, and which of its jobs failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from routebench.board.run_folder import check_finished, shards_of
from routebench.errors import DataError, problem
from routebench.files import reason, replace_file
from routebench.schema import Fingerprints
from routebench.shard import Shard

FILE = "shard.json"
_DIFFER = "the shards are of different runs"


class FailedJob(BaseModel):
    """Why a job failed: of those that did not, the results lie in the folder."""

    message: str
    log: str = ""


class ShardRecord(BaseModel):
    """What is said of a shard whose jobs have ended."""

    shard: str
    run: str
    """The hash of the whole run's configuration, which names its folder."""
    fingerprints: Fingerprints
    versions: dict[str, str]
    """Of Python and of the packages that numbers depend on."""
    jobs: list[str]
    """The ids of all jobs of the run, in their order."""
    failed: dict[str, FailedJob] = {}
    """By id, those of this shard."""
    encoder: dict[str, Any] = {}
    """What encoding took, where texts were encoded beforehand."""
    seconds: float = 0.0

    @property
    def part(self) -> Shard:
        return Shard.parse(self.shard)


def write(folder: Path, record: ShardRecord) -> None:
    """Write a record; a shard without one has not ended."""
    replace_file(folder / FILE, record.model_dump_json(indent=2).encode())


def read(folder: Path) -> ShardRecord:
    """Return the record of a shard's folder; a `DataError` where there is none."""
    place = folder / FILE
    try:
        record = ShardRecord.model_validate_json(place.read_bytes())
        record.part  # noqa: B018
    except OSError as error:
        check_finished(folder)
        hint = f"the folder of a shard, such as {shards_of(Path('results'))}/0-of-3"
        raise DataError(f"{place}: {reason(error)}", hint) from error
    except ValidationError as error:
        raise DataError(f"{place}: not a shard: {problem(error.errors()[0])}") from error
    return record


def read_all(folders: Sequence[Path]) -> dict[Path, ShardRecord]:
    """Return the records of all shards of one run, in their order.

    Raises:
        DataError: one is missing, doubled, not finished, or of another run, which is named.
    """
    records = {folder: read(folder) for folder in folders}
    first, *others = records.items()
    for other in others:
        if why := different(first[1], other[1]):
            raise DataError(f"{other[0]}: {_DIFFER}: {why}, unlike in {first[0]}")
    by_index: dict[int, Path] = {}
    for folder, record in records.items():
        if (other_folder := by_index.setdefault(record.part.index, folder)) is not folder:
            raise DataError(f"shard {record.shard} is there twice: {other_folder} and {folder}")
    count = first[1].part.count
    if missing := [f"{i}/{count}" for i in range(count) if i not in by_index]:
        raise DataError(
            f"shard {', '.join(missing)} is missing",
            f"routebench run --shard {missing[0]} with the options of the others makes it",
        )
    return {by_index[index]: records[by_index[index]] for index in range(count)}


def different(one: ShardRecord, other: ShardRecord) -> str:
    """Return in which way a shard is of another run than one; empty where it is of the same."""
    if one.part.count != other.part.count:
        return f"it is one of {other.part.count} parts"
    for name, version in one.versions.items():
        if version != other.versions.get(name):
            return f"it has {name} {other.versions.get(name)}, not {version}"
    mine, its = one.fingerprints.model_dump(), other.fingerprints.model_dump()
    if changed := [name for name in mine if mine[name] != its[name]]:
        return f"other {', '.join(changed)}"
    if one.run != other.run:
        return "other routers, options or seeds"
    if one.jobs != other.jobs:
        return "other jobs: the code or the extras of a router differ"
    return ""
