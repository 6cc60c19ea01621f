"""Public data fetched from its publisher: pinned, checked, and resumable.

What `sources.toml` pins is fetched at its revision and has its checksum, whatever the server says.
For the rest the first pull asks the hub for the present revision and for what it holds, and writes
both to `lock.toml` beside the data: every later pull is held to that.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import replace_file
from routebench.importers import Selection, download, import_files
from routebench.importers.download import Content
from routebench.importers.files import head_of

SOURCES = Path(__file__).with_name("sources.toml")
LOCK = "lock.toml"
_OUTCOMES = "outcomes.parquet"
_USERS = {"user_id", "query", "llm", "effect", "cost"}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DataSource:
    """A published data set: its place, files, licence and citation."""

    name: str
    title: str
    suite: str
    licence: str
    citation: str
    repo: str | None = None
    """On the hub; without one every file has an address."""
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    """Which files to take where none are named."""
    files: Mapping[str, Content] | None = None
    urls: Mapping[str, str] | None = None
    format: str | None = None
    """Of `importers`, where no suite reads the files as they are."""

    @property
    def pinned(self) -> bool:
        """Return whether the expected content of its files is known beforehand."""
        return bool(self.files)


@dataclass(frozen=True, slots=True)
class Pulled:
    """The result of a pull: the files in its folder and the next commands."""

    revision: str | None
    files: tuple[Path, ...]
    fetched: tuple[str, ...]
    """The names of those that came over the network this time."""
    commands: tuple[str, ...]
    """The commands to run next."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    revision: str | None
    files: Mapping[str, Content]


def read_sources() -> dict[str, DataSource]:
    """Return all sources that can be pulled, by name."""
    listed = tomllib.loads(SOURCES.read_text(encoding="utf-8"))
    return {name: _source(name, held) for name, held in listed.items()}


def find_source(name: str) -> DataSource:
    """Return the source of that name; raise `OptionError` with the known names."""
    known = read_sources()
    if name not in known:
        raise OptionError(f"there is no public data {name!r} to pull", did_you_mean(name, known))
    return known[name]


def pull(
    source: DataSource,
    folder: Path,
    *,
    update: bool = False,
    answers: bool = False,
    say: Say = print,
) -> Pulled:
    """Fetch the files of a source to `folder`, and convert them to a form that a suite reads.

    `update` takes the hub's present revision instead of the locked one; `answers` keeps the text
    of answers where an import writes an outcome table.

    Raises:
        DataError: naming what cannot be had, or is not what it should be.
    """
    try:
        return _pull(source, folder, update, answers, say)
    except OSError as error:
        raise DataError(f"{folder}: cannot be used: {error.strerror or error}") from error


def _pull(source: DataSource, folder: Path, update: bool, answers: bool, say: Say) -> Pulled:
    lock = _read_lock(folder)
    plan = _plan(source, lock, update)
    if lock and lock.get("revision") != plan.revision:
        say(f"{source.name}: from revision {lock.get('revision')} to {plan.revision}")
    fetched = [name for name in plan.files if _bring(source, plan, name, folder, say)]
    files = tuple(folder / name for name in plan.files)
    held = {
        name: {"sha256": download.hash_file(folder / name), "size": (folder / name).stat().st_size}
        for name in plan.files
    }
    where: dict[str, Any] = {"repo": source.repo, "revision": plan.revision}
    fresh = {key: value for key, value in where.items() if value} | {"files": held}
    wanted = {"answers": answers, "of": [each["sha256"] for each in held.values()]}
    notes: tuple[str, ...] = ()
    if source.format:
        if (lock or {}).get("imported") != wanted or not (folder / _OUTCOMES).exists():
            say(f"{source.name}: writing {_OUTCOMES}")
            wish = Selection(answers=answers)
            notes = import_files(source.format, files, folder / _OUTCOMES, wish).notes
        fresh["imported"] = wanted
    _write_lock(folder, fresh)
    return Pulled(plan.revision, files, tuple(fetched), _commands(source, folder, files), notes)


def _source(name: str, held: dict[str, Any]) -> DataSource:
    files = held.pop("files", [])
    more: dict[str, Any] = held | {"patterns": tuple(held.get("patterns", ()))}
    return DataSource(
        name,
        **more,
        files={f["name"]: Content("sha256", f["sha256"], f.get("size")) for f in files},
        urls={f["name"]: f["url"] for f in files if "url" in f},
    )


def _plan(source: DataSource, lock: dict[str, Any] | None, update: bool) -> _Plan:
    """Return the expected files: as pinned, else as locked, else as the hub has them now."""
    if source.files:
        return _Plan(source.revision, source.files)
    if lock and not update:
        files = {
            name: Content("sha256", each["sha256"], each["size"])
            for name, each in lock["files"].items()
        }
        return _Plan(lock["revision"], files)
    hub = download.library()
    info = download.reach(
        f"{source.repo} on the hub",
        lambda: hub.HfApi(endpoint=_endpoint()).dataset_info(source.repo, files_metadata=True),
    )
    siblings = {each.rfilename: each for each in info.siblings or ()}
    chosen = [n for n in sorted(siblings) if any(fnmatchcase(n, p) for p in source.patterns)]
    if not chosen:
        raise DataError(
            f"{source.repo} on the hub has no file like {', '.join(source.patterns)}",
            "it has " + (", ".join(sorted(siblings)[:12]) or "none at all"),
        )
    return _Plan(info.sha, {name: _stated(name, siblings[name]) for name in chosen})


def _stated(name: str, sibling: Any) -> Content:
    """Return the content of a file as the hub states it."""
    _check_name(name, "the hub")
    if sibling.lfs is not None:
        return Content("sha256", sibling.lfs.sha256, sibling.size)
    return Content("git", sibling.blob_id, sibling.size)


def _check_name(name: str, who: str) -> None:
    """Refuse a name outside the folder, or that of one of our own files."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] in ((download.PIECES,), (LOCK,)):
        raise DataError(f"{who} names a file {name!r}, which is refused")


def _bring(source: DataSource, plan: _Plan, name: str, folder: Path, say: Say) -> bool:
    """Ensure that one file is there; return whether it had to be fetched."""
    path, content = folder / name, plan.files[name]
    if path.exists():
        if content.of(path):
            return False
        say(f"{name}: is not what it should be, and is fetched again")
        path.unlink()
    size = f" ({content.size / 1e6:,.1f} MB)" if content.size else ""
    say(f"{name}{size}: from {source.repo or (source.urls or {})[name]}")
    hub = download.library()
    if source.repo is None:
        url, headers = (source.urls or {})[name], dict[str, Any]()
    else:
        url = hub.hf_hub_url(
            source.repo, name, repo_type="dataset", revision=plan.revision, endpoint=_endpoint()
        )
        headers = hub.utils.build_hf_headers()
    _check_stated(source, plan, name, url)
    download.fetch(url, path, content, headers)
    return True


def _check_stated(source: DataSource, plan: _Plan, name: str, url: str) -> None:
    """Check before a download that the server answers, and means the same revision and file."""
    hub = download.library()
    where = f"{source.repo}/{name} at {plan.revision}" if source.repo else url
    stated = download.reach(
        where,
        # The hub's token is for the hub alone.
        lambda: hub.get_hf_file_metadata(url, timeout=20, token=None if source.repo else False),
        "what has been pulled before stays usable without a network",
    )
    if not source.repo:
        return
    if stated.commit_hash and stated.commit_hash != plan.revision:
        raise DataError(
            f"{name}: refused: asked for revision {plan.revision}, the hub answers with"
            f" {stated.commit_hash}"
        )
    wanted = plan.files[name]
    large = stated.etag if stated.etag and len(stated.etag) == 64 else None
    if wanted.algorithm == "sha256" and large and large != wanted.digest:
        raise DataError(
            f"{name}: refused: the hub states the sha256 {large}, not {wanted.digest}",
            "its content at this revision is not what it was",
        )


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _read_lock(folder: Path) -> dict[str, Any] | None:
    path = folder / LOCK
    if not path.exists():
        return None
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, each in held["files"].items():
            _check_name(name, str(path))  # it may be somebody else's
            _ = len(each["sha256"]) + each["size"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is no lock file: {error}", "remove it to pull anew") from error
    return held


def _write_lock(folder: Path, held: dict[str, Any]) -> None:
    replace_file(folder / LOCK, tomli_w.dumps(held).encode())


def _commands(source: DataSource, folder: Path, files: tuple[Path, ...]) -> tuple[str, ...]:
    if source.format:
        return (shlex.join(["routebench", "run", "--suite", f"table:{folder / _OUTCOMES}"]),)
    data = [path for path in files if ".csv" in path.suffixes]
    if source.suite == "personaroute":
        data = [path for path in data if set(head_of(path).names) >= _USERS] or data
    return tuple(
        shlex.join(["routebench", "run", "--suite", source.suite, "--data", str(path)])
        for path in data
    )
