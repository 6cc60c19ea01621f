"""Results of jobs, and the folder that keeps the successful ones: a resumed run skips them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import RoutebenchError
from routebench.files import file_sha256, new_folder, reason
from routebench.jobs import arrow_io
from routebench.jobs.setup import Job
from routebench.plugin import discovery
from routebench.records import Decisions

_PARTS = ("decisions.arrow", "validation.arrow", "perturbed.arrow")


@dataclass(frozen=True)
class Result:
    """The result of a job."""

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


class Finished:
    """The stored results of jobs that ended well, which a resumed run skips."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        """In full: jobs work in folders of their own, and are told where they keep their state."""

    def load(self, job: Job) -> Result | None:
        """Return the stored result of this job with the same fingerprint, or None."""
        place = self.folder / job.path
        try:
            header = json.loads((place / "job.json").read_text())
            if header["fingerprint"] != job.fingerprint:
                return None
            parts = []
            for name, sha256 in zip(_PARTS, header["sha256"], strict=True):
                if sha256 != file_sha256(place / name):
                    return None
                parts.append(arrow_io.read_decisions(place / name))
            warnings = tuple(header["warnings"])
            one, two, three = parts
            known = {name: header[name] for name in ("timing", "isolation", "note", "facts")}
            return Result("ok", "", one, two, three, warnings=warnings, **known)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing or damaged: do it again

    def begun(self, job: Job) -> Path:
        """Return the folder in which a restarted job finds what it kept before it was killed."""
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
            with new_folder(place := self.folder / job.path) as part:
                _write(part, job, result, checkpoint)
                shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(self._begun(job), ignore_errors=True)
        except OSError as error:
            raise RoutebenchError(
                f"cannot keep results in {self.folder}: {reason(error)}"
            ) from error


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
        }
        (part / "job.json").write_text(json.dumps(header, indent=2, sort_keys=True))
    else:
        text = f"{result.message}\n\n{result.log}"
        (part / "error.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
