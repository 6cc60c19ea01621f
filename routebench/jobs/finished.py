"""Results of jobs, and the folder that keeps the successful ones: a resumed run skips them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from routebench.errors import RoutebenchError
from routebench.files import file_sha256, new_folder, reason
from routebench.jobs import arrow_io
from routebench.jobs.setup import Job
from routebench.plugin import discovery
from routebench.plugin.optional import Facts
from routebench.records import Codes, Decisions, Ints

_STEPPED = ("stepped-validation.arrow", "stepped-test.arrow")
_PARTS = ("decisions.arrow", "validation.arrow", "perturbed.arrow")


@dataclass(frozen=True)
class SteppedPart:
    """Decisions on n queries at L trade-offs."""

    choice: Ints
    """[n, L] index of the model whose answer was given."""
    asked: Codes
    """[n, L, m] the round in which each model was asked, from 1; 0 where it was not."""


@dataclass(frozen=True)
class TradeOffs:
    """The decisions of a router that sees answers at every trade-off."""

    lambdas: tuple[float, ...]
    """[L] in score per USD, from 0 on."""
    validation: SteppedPart
    test: SteppedPart

    @classmethod
    def of(cls, lambdas: tuple[float, ...], results: Sequence[Result]) -> TradeOffs:
        """Return the decisions of the results of all trade-offs."""
        parts = []
        for name in ("validation", "decisions"):
            decided = [getattr(result, name) for result in results]
            parts.append(
                SteppedPart(
                    np.stack([one.choice for one in decided], axis=1),
                    np.stack([one.asked for one in decided], axis=1),
                )
            )
        return cls(lambdas, *parts)


@dataclass(frozen=True)
class Result:
    """The result of a job."""

    state: str
    """`ok` or `failed`."""
    message: str = ""
    decisions: Decisions | None = None
    """In the canonical order of the fold's test queries."""
    validation: Decisions | None = None
    """In the canonical order of the fold's validation queries; of a cross-fitted router, what its
    inner fits decided on those of train and validation."""
    perturbed: Decisions | None = None
    """On the test queries that were perturbed: by kind, then in canonical order."""
    timing: dict[str, Any] = field(default_factory=dict)
    """Seconds, latencies and memory: never part of what must be reproducible."""
    warnings: tuple[str, ...] = ()
    isolation: str = "none"
    """The layers that held it, `audit` for none else, or `none` for a job run in this process."""
    log: str = ""
    note: str = ""
    """The last thing the router said of its training."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the board says of the router: strings and numbers by name."""
    machine: dict[str, Any] = field(default_factory=dict)
    """Where it ran, with which versions; empty where that is not known."""
    trade_offs: TradeOffs | None = None
    """Of a router that sees answers: its decisions at every trade-off, the first the main ones."""


class _Record(BaseModel):
    """The part of a finished job's `job.json` that is read again."""

    fingerprint: str
    sha256: tuple[str, ...]
    timing: dict[str, Any]
    warnings: tuple[str, ...]
    isolation: str
    note: str
    facts: Facts
    machine: dict[str, Any] = {}
    trade_offs: dict[str, Any] | None = None


_RECORDED = ("timing", "isolation", "note", "facts", "machine")
_DONE, _BEGUN = "done", "begun"


class Finished:
    """The stored results of jobs that ended well, which a resumed run skips.

    Until the run has ended they lie in folders whose names no other job can guess: whether a file
    exists, and how large it is, may be asked for by its full path even where reading is refused.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        """In full: jobs work in folders of their own, and are told where they keep their state."""

    def load(self, job: Job) -> Result | None:
        """Return the stored result of this job with the same fingerprint, or None."""
        for place in (*self._kept_as(job, _DONE), self.folder / job.path):
            if (result := _read(place, job)) is not None:
                return result
        return None

    def begun(self, job: Job) -> Path:
        """Return the folder in which a restarted job finds what it kept before it was killed."""
        for place in self._kept_as(job, _BEGUN):
            of = place / "of"
            if of.is_file() and of.read_text() == job.fingerprint:
                return place / "kept"
            shutil.rmtree(place, ignore_errors=True)
        place = self._new(job, _BEGUN)
        (place / "kept").mkdir(parents=True)
        (place / "of").write_text(job.fingerprint)
        return place / "kept"

    def save(self, job: Job, result: Result, checkpoint: Path | None) -> None:
        """Keep a result; it appears whole or not at all."""
        try:
            before = self._kept_as(job, _DONE)
            with new_folder(self._new(job, _DONE)) as part:
                _write(part, job, result, checkpoint)
            for place in (*before, *self._kept_as(job, _BEGUN)):
                shutil.rmtree(place, ignore_errors=True)
        except OSError as error:
            raise RoutebenchError(
                f"cannot keep results in {self.folder}: {reason(error)}"
            ) from error

    def receive(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Keep the files of a result that another machine has made; `load` checks them."""
        before = self._kept_as(job, _DONE)
        try:
            with new_folder(self._new(job, _DONE)) as part:
                for name, content in files.items():
                    place = part / name
                    if not place.resolve().is_relative_to(part.resolve()):
                        raise RoutebenchError(f"{name!r} lies outside of its folder")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
        except OSError as error:
            raise RoutebenchError(
                f"cannot keep results in {self.folder}: {reason(error)}"
            ) from error
        for place in (*before, *self._kept_as(job, _BEGUN)):
            shutil.rmtree(place, ignore_errors=True)

    def publish(self) -> None:
        """Give all results their final names; call it when no job is running any more."""
        for place in self.folder.glob(f"*/*/.fold-*-{_DONE}-*"):
            final = place.with_name(place.name.removeprefix(".").partition(f"-{_DONE}-")[0])
            try:
                if final.is_dir():
                    shutil.rmtree(final)
                place.rename(final)
            except OSError as error:
                raise RoutebenchError(
                    f"cannot keep results in {self.folder}: {reason(error)}"
                ) from error

    def _kept_as(self, job: Job, kind: str) -> list[Path]:
        place = self.folder / job.path
        return sorted(place.parent.glob(f".{place.name}-{kind}-*"))

    def _new(self, job: Job, kind: str) -> Path:
        place = self.folder / job.path
        return place.with_name(f".{place.name}-{kind}-{os.urandom(12).hex()}")


def _read(place: Path, job: Job) -> Result | None:
    """Return the result in a folder; None where it is of another job, missing or damaged."""
    try:
        record = _Record.model_validate_json((place / "job.json").read_bytes())
        if record.fingerprint != job.fingerprint:
            return None
        parts = []
        for name, sha256 in zip(_PARTS, record.sha256, strict=True):
            if sha256 != file_sha256(place / name):
                return None
            parts.append(arrow_io.read_decisions(place / name))
        one, two, three = parts
        known = {n: getattr(record, n) for n in _RECORDED}
        known["trade_offs"] = _read_trade_offs(place, record.trade_offs)
        return Result("ok", "", one, two, three, warnings=record.warnings, **known)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_trade_offs(part: Path, trade_offs: TradeOffs) -> dict[str, Any]:
    hashes = []
    for name, one in zip(_STEPPED, (trade_offs.validation, trade_offs.test), strict=True):
        arrow_io.write_record(part / name, one)
        hashes.append(file_sha256(part / name))
    return {"lambdas": trade_offs.lambdas, "sha256": hashes}


def _read_trade_offs(place: Path, header: dict[str, Any] | None) -> TradeOffs | None:
    if header is None:
        return None
    parts = []
    for name, sha256 in zip(_STEPPED, header["sha256"], strict=True):
        if sha256 != file_sha256(place / name):
            raise ValueError(f"{name} is damaged")
        parts.append(arrow_io.read_record(place / name, SteppedPart))
    return TradeOffs(tuple(header["lambdas"]), *parts)


def _write(part: Path, job: Job, result: Result, checkpoint: Path | None) -> None:
    """Write the parts of a result, with their hashes, or the error, to a folder."""
    if checkpoint is not None:
        shutil.copytree(checkpoint, part / "checkpoint")
    if result.state == "ok":
        decided = (result.decisions, result.validation, result.perturbed)
        for name, decisions in zip(_PARTS, decided, strict=True):
            assert decisions is not None, "a job that ended well has decided everything"
            arrow_io.write_decisions(part / name, decisions)
        header = {
            "fingerprint": job.fingerprint,
            "plugin": asdict(job.plugin) | {"target": Path(job.plugin.target).name},
            "code": discovery.code_hash(job.plugin),
            "all_seeds": job.all_seeds,
            "options": job.options,
            "extensions": dict(job.extensions),
            "sha256": [file_sha256(part / name) for name in _PARTS],
            "timing": result.timing,
            "warnings": result.warnings,
            "isolation": result.isolation,
            "note": result.note,
            "facts": result.facts,
            "machine": result.machine,
        }
        if job.inner_folds:
            header["inner_folds"] = job.inner_folds
        if result.trade_offs is not None:
            header["trade_offs"] = _write_trade_offs(part, result.trade_offs)
        (part / "job.json").write_text(json.dumps(header, indent=2, sort_keys=True))
    else:
        text = f"{result.message}\n\n{result.log}"
        (part / "error.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
