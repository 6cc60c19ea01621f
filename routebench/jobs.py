"""One job is one router, one seed, one fold: fitted, saved, loaded elsewhere, asked."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench import encoders, options, panel, transfer
from routebench.asked import Asked
from routebench.discovery import PluginInfo, load
from routebench.encoding import Encoded
from routebench.errors import DataError, PluginError, RoutebenchError
from routebench.harness import SINGLES, Harness
from routebench.panel import Asks
from routebench.perturb import KINDS, perturb
from routebench.records import (
    Context,
    Decisions,
    Ints,
    Mask,
    Objective,
    Outcomes,
    Pool,
    Queries,
    State,
    SuiteData,
    Table,
)
from routebench.splits import TEST, TRAIN, VALIDATION, Split

Progress = Callable[[float, str], None]
_PARTS = ("decisions.arrow", "validation.arrow", "perturbed.arrow")


@dataclass(frozen=True, eq=False)  # a job is itself: usable as a key, never compared
class Job:
    """What is to be done, by name: the tables come from the `Setup` shared by all jobs."""

    label: str
    """Name on the board: the plugin's, or `plugin@label`."""
    plugin: PluginInfo
    options: dict[str, Any]
    seed: int
    fold: int
    fingerprint: str
    """Hash of all that can change the decisions; a finished job with another one is redone."""
    starts_processes: bool = False
    """Whether the router declares that it runs programs of its own."""
    personal: bool = False
    """Whether it declares that it learns from users, and is asked for each of them."""

    @property
    def path(self) -> Path:
        """Where its results live below the run folder's `routers`."""
        return Path(self.label) / f"seed-{self.seed}" / f"fold-{self.fold}"


@dataclass(frozen=True)
class Setup:
    """What all jobs of a run share."""

    data: SuiteData
    split: Split
    encoder: str
    encoder_options: dict[str, Any]
    device: str = "cpu"
    objective: Objective = field(default_factory=Objective)
    timeout: float | None = None
    """Seconds for fit and route together; None waits for ever."""
    encoded: Encoded | None = None
    """Vectors of all texts, where the encoder is stateless."""
    perturb: int = 0
    """Test queries, over all folds, that are also asked in perturbed form."""

    shots: int = 0
    """Training queries by which users unseen in training are known, under that protocol."""

    def rows(self, fold: int, code: int) -> Ints:
        """Row numbers of one part of a fold's split."""
        return np.flatnonzero(self.split.codes[fold] == code)

    def tables(self, fold: int, personal: bool = False) -> tuple[Table, Table]:
        """Train and validation, as fresh tables of the visible columns."""
        return self.table(fold, TRAIN, personal), self.table(fold, VALIDATION, personal)

    def table(self, fold: int, code: int, personal: bool = False) -> Table:
        """What a router learns from in a fold; without users for one that knows none."""
        table = self.data.table(self.rows(fold, code))
        if self.split.protocol == "llm":
            away = self.held_out(fold)
            pool = table.pool.without_pair(np.array(table.pool.models, dtype=object)[away])
            table = replace(table, outcomes=_without(table.outcomes, away), pool=pool)
        if table.users is None:
            return table
        pool, users = self._pair(fold, table), table.users
        newcomers = np.zeros(len(users), dtype=np.bool_)
        if self.split.protocol == "user":
            newcomers = self.held_out(fold)
        if not personal:
            return panel.blind(replace(table, pool=pool, users=users.only(~newcomers)))
        shots = self.shots if code == TRAIN else 0
        known = panel.few(users, newcomers, len(table), shots, fold)
        return replace(table, pool=pool, users=known)

    def _pair(self, fold: int, table: Table) -> Pool:
        """The pool with its cheapest and dearest model by what training calls cost users."""
        pool, outcomes = table.pool, self.data.outcomes.take(self.rows(fold, TRAIN))
        if self.split.protocol == "llm":
            outcomes = _without(outcomes, self.held_out(fold))
        cost = outcomes.mean_relative_cost()
        known = np.flatnonzero(~np.isnan(cost))
        if not len(known):
            return pool
        low, high = known[cost[known].argmin()], known[cost[known].argmax()]
        return replace(
            pool, small=pool.small or pool.models[low], large=pool.large or pool.models[high]
        )

    def held_out(self, fold: int) -> Mask:
        """Users or models that a fold keeps from training."""
        assert self.split.held_out is not None
        apart: Mask = self.split.held_out[fold]
        return apart

    def asks(self, fold: int) -> Asks:
        """Who asks what in the test of a fold, in a suite with users."""
        users = self.data.users
        assert users is not None
        who = np.arange(len(users))
        if self.split.protocol == "user":
            who = who[self.held_out(fold)]
        return Asks.of(self.rows(fold, TEST), who, users.asked)

    def perturbed(self, fold: int) -> Ints:
        """Test rows of a fold that are also asked in perturbed form."""
        # Rows are sorted by the hash of their text, so the first ones are a random sample.
        return self.rows(fold, TEST)[: -(-self.perturb // len(self.split.codes))]

    def perturbed_texts(self) -> list[str]:
        """All perturbed forms that are asked in any fold."""
        rows = np.concatenate([self.perturbed(f) for f in range(len(self.split.codes))])
        return [perturb(self.data.queries.text[row], kind) for row in rows for kind in KINDS]

    def asked(self, job: Job) -> Asked:
        """Bare queries in an order shuffled by the seed."""
        if job.personal and self.data.users is not None:
            asks = self.asks(job.fold)
            everything = asks.queries(self.data.queries.show(self.data.visible), self.data.users)
            sample = asks.one_each(self.perturbed(job.fold))
            none = np.zeros(0, dtype=np.int64)
            return Asked.of(everything, none, np.arange(len(asks)), sample, [job.seed, job.fold])
        return Asked.of(
            self.data.queries.show(self.data.visible),
            self.rows(job.fold, VALIDATION),
            self.rows(job.fold, TEST),
            self.perturbed(job.fold),
            [job.seed, job.fold],
        )


@dataclass(frozen=True)
class Result:
    """How a job ended."""

    state: str
    """`ok` or `failed`."""
    message: str = ""
    decisions: Decisions | None = None
    """In the canonical order of the fold's test queries."""
    validation: Decisions | None = None
    """In the canonical order of the fold's validation queries."""
    perturbed: Decisions | None = None
    """On the test queries that were perturbed: by kind, then in canonical order."""
    timing: dict[str, Any] = field(default_factory=dict)
    """Seconds, latencies and memory: never part of what must be reproducible."""
    warnings: tuple[str, ...] = ()
    isolation: str = "none"
    """`landlock`, `audit`, or `none` for a job run in this process."""
    log: str = ""
    note: str = ""
    """The last thing the router said of its training."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the board says of the router: strings and numbers by name."""


def _without(outcomes: Outcomes, models: Mask) -> Outcomes:
    """The outcomes as if the given models had never been asked."""
    changed: dict[str, Any] = {
        f.name: np.where(models[:, None] if value.ndim == 3 else models, np.nan, value)
        for f in fields(outcomes)
        if (value := getattr(outcomes, f.name)) is not None and value.dtype.kind == "f"
    }
    changed["state"] = np.where(models, State.ABSENT, outcomes.state).astype(np.int8)
    if outcomes.grade is not None:
        changed["grade"] = np.where(models, -1, outcomes.grade).astype(np.int8)
    return Outcomes(**changed)


def create(plugin: PluginInfo, values: dict[str, Any], label: str) -> Any:
    """The router object: its class imported, its options checked."""
    cls = load(plugin)
    return cls(options.validate(cls, label, values))


def facts(router: Any) -> dict[str, Any]:
    """What a router says of itself, as the board will hold it; nothing for one that says nothing.

    Raises:
        PluginError: for anything but strings and finite numbers by name.
    """
    told = router.facts() if hasattr(router, "facts") else {}
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        raise PluginError(f"facts returned {type(told).__name__}, expected values by name")
    for name, value in told.items():
        if not isinstance(value, str) and not (
            isinstance(value, int | float) and math.isfinite(value)
        ):
            raise PluginError(f"facts: {name} is {value!r}, expected a string or a finite number")
    return told


def fit_and_save(
    harness: Harness, train: Table, validation: Table, context: Context, folder: Path
) -> None:
    """Train, then write the checkpoint with a header that says what it was made for."""
    harness.fit(train, validation, context)
    state = folder / "state"
    state.mkdir(parents=True)
    harness.router.save(state)
    header = {"models": list(train.pool.models), "router": type(harness.router).__name__}
    (folder / "router.json").write_text(json.dumps(header, indent=2, sort_keys=True))


def load_and_route(
    harness: Harness, folder: Path, queries: Queries, models: tuple[str, ...]
) -> Decisions:
    """Read the checkpoint, route everything, and re-route some queries one by one."""
    header = json.loads((folder / "router.json").read_text())
    if tuple(header["models"]) != models:
        raise DataError(
            f"checkpoint of another pool: it knows {', '.join(header['models'])}; "
            f"this run has {', '.join(models)}"
        )
    harness.router.load(folder / "state")
    decisions = harness.route(queries, len(models))
    differing = harness.disagreements(queries, decisions, len(models))
    if differing:
        asked = min(SINGLES, len(queries))
        raise PluginError(
            f"batch and single routing disagree on {differing} of {asked} queries",
            "a decision must depend on its own query only",
        )
    return decisions


def run_here(job: Job, setup: Setup, progress: Progress, keep: Path | None = None) -> Result:
    """Run a job in this process, without isolation: for simulations and debugging."""
    with tempfile.TemporaryDirectory(prefix="routebench-") as folder:
        checkpoint = Path(folder) / "checkpoint"
        work = Path(folder) / "work"
        work.mkdir()
        train, validation = setup.tables(job.fold, job.personal)
        encoder = encoders.FittedOnUse(
            setup.encoder, setup.encoder_options, list(train.queries.text)
        )
        kept = Path(folder) / "kept"
        kept.mkdir()
        context = Context(job.seed, encoder, work, setup.device, setup.objective, progress, kept)
        harness = Harness(create(job.plugin, job.options, job.label))
        fit_and_save(harness, train, validation, context, checkpoint)
        told = facts(harness.router)
        asked = setup.asked(job)
        harness = Harness(create(job.plugin, job.options, job.label))
        decisions = load_and_route(harness, checkpoint, asked.queries, train.pool.models)
        if keep:
            shutil.copytree(checkpoint, keep)
    parts = asked.parts(decisions)
    told |= facts(harness.router)
    return Result("ok", "", parts.test, parts.validation, parts.perturbed, facts=told)


class Finished:
    """Results of jobs that ended well, on disk: what a resumed run need not do again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, job: Job) -> Result | None:
        """The stored result of this very job, or None."""
        place = self.folder / job.path
        try:
            header = json.loads((place / "job.json").read_text())
            if header["fingerprint"] != job.fingerprint:
                return None
            parts = []
            for name, sha256 in zip(_PARTS, header["sha256"], strict=True):
                if sha256 != _sha256(place / name):
                    return None
                parts.append(transfer.read_decisions(place / name))
            warnings = tuple(header["warnings"])
            one, two, three = parts
            known = {name: header[name] for name in ("timing", "isolation", "note", "facts")}
            return Result("ok", "", one, two, three, warnings=warnings, **known)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing or damaged: do it again

    def begun(self, job: Job) -> Path:
        """The folder in which this very job, started again, finds what it left when killed."""
        place = self._begun(job)
        of = place / "of"
        if not of.is_file() or of.read_text() != job.fingerprint:
            shutil.rmtree(place, ignore_errors=True)
            (place / "kept").mkdir(parents=True)
            of.write_text(job.fingerprint)
        return place / "kept"

    def _begun(self, job: Job) -> Path:
        place = self.folder / job.path
        return place.with_name(f".{place.name}-begun")

    def save(self, job: Job, result: Result, checkpoint: Path | None) -> None:
        """Keep a result; it appears whole or not at all."""
        try:
            self._save(job, result, checkpoint)
            shutil.rmtree(self._begun(job), ignore_errors=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RoutebenchError(f"cannot keep results in {self.folder}: {reason}") from error

    def _save(self, job: Job, result: Result, checkpoint: Path | None) -> None:
        place = self.folder / job.path
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}-{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        if checkpoint is not None:
            shutil.copytree(checkpoint, part / "checkpoint")
        if result.state == "ok":
            decided = (result.decisions, result.validation, result.perturbed)
            for name, decisions in zip(_PARTS, decided, strict=True):
                assert decisions is not None, "a job that ended well has decided everything"
                transfer.write_decisions(part / name, decisions)
            header = {
                "fingerprint": job.fingerprint,
                "plugin": asdict(job.plugin) | {"target": Path(job.plugin.target).name},
                "options": job.options,
                "sha256": [_sha256(part / name) for name in _PARTS],
                "timing": result.timing,
                "warnings": result.warnings,
                "isolation": result.isolation,
                "note": result.note,
                "facts": result.facts,
            }
            (part / "job.json").write_text(json.dumps(header, indent=2, sort_keys=True))
        else:
            text = f"{result.message}\n\n{result.log}"
            (part / "error.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
        shutil.rmtree(place, ignore_errors=True)
        part.replace(place)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
