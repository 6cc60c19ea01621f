"""The run folder: its place, its lock, and its board."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from routebench.board.old_boards import OLD_SCHEMA, upgraded
from routebench.config import RunConfig
from routebench.errors import DataError, OptionError, problem
from routebench.files import check_writable, lock_file, reason, replace_file, sha256
from routebench.names import below, is_name
from routebench.redact import one_line
from routebench.schema import Fingerprints, Leaderboard
from routebench.shard import Shard

BOARD, RUN_FILE, CHECKPOINTS, LOCK = "leaderboard.json", "run.toml", "routers", ".lock"
UNFINISHED = "unfinished.toml"
DIGEST = "board_sha256"
RESULTS = Path("results")
SHARDS = ".shards"


def place(config: RunConfig, run_hash: str) -> Path:
    """Return the folder of a run, or of the shard of one; it need not exist."""
    whole = Path(config.out) if config.out else below(RESULTS, config.suite_name) / run_hash
    return whole if config.shard is None else shards_of(whole) / Shard.parse(config.shard).folder


def shards_of(whole: Path) -> Path:
    """Return the folder of all shards of a run, beside the run's own."""
    return whole.with_name(f"{whole.name}{SHARDS}")


@contextlib.contextmanager
def run_folder(config: RunConfig, run_hash: str) -> Iterator[Path]:
    """Make the folder of a run, and lock it against a second run of the same.

    Raises:
        OptionError: it cannot be written, is in use, or holds anything but a run.
    """
    folder = place(config, run_hash)
    try:
        _check_content(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with lock:
        try:
            lock_file(lock)
        except OSError as error:
            raise OptionError(
                f"another run is writing to {folder}", "wait for it, or use --out"
            ) from error
        if config.fresh:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        yield folder


def check_place(config: RunConfig) -> None:
    """Raise an `OptionError` where `--out` cannot hold this run, before any data is read.

    It holds something else than a run, a run of another suite, or cannot be written.
    """
    if not config.out:
        return
    folder = place(config, "")
    try:
        _check_content(folder)
        check_writable(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if config.fresh:
        return
    if (folder / BOARD).is_file():
        there = _board_there(folder).suite.name
        if there != config.suite_name:
            raise _another(folder, f"of the suite {there}")
    elif (begun := _interrupted_suite(folder)) not in (None, config.suite_name):
        raise OptionError(
            f"--out {folder}: an interrupted run of the suite {begun} stands there",
            f"name another folder; --fresh replaces it; {go_on(folder)} finishes it",
        )


def check_same(
    config: RunConfig, folder: Path, prints: Fingerprints, options: Mapping[str, dict[str, Any]]
) -> None:
    """Raise an `OptionError` where the folder holds the board of another run.

    A run that has all of its routers, with the same options and data, goes on from it. `options`
    are those of the run's routers by label.
    """
    if config.fresh or not (folder / BOARD).is_file():
        return
    board = _board_there(folder)
    old, new = board.fingerprints.model_dump(), prints.model_dump()
    changed = [name for name in old if old[name] != new[name]]
    rows = [row for row in board.rows if row.state == "ok"]
    gone = [row.router for row in rows if row.router not in options]
    other = [r.router for r in rows if r.router in options and options[r.router] != r.options]
    seeds = max((len(row.seeds) for row in rows), default=0)
    learning = [row.learning for row in rows if row.learning]
    inner = {one.inner_folds for one in learning if one.inner_folds}
    if changed:
        why = f"of other data ({', '.join(changed)})"
    elif gone:
        why = f"it has {', '.join(gone)}, which this one has not"
    elif other:
        why = f"the options of {', '.join(other)} differ"
    elif rows and bool(learning) != (config.inner_folds is not None):
        why = f"it was made {'with' if learning else 'without'} --inner-folds"
    elif inner - {config.inner_folds}:
        why = f"it has {min(inner)} inner folds"
    elif seeds > config.seeds:
        why = f"it has {seeds} seeds"
    else:
        return
    raise _another(folder, why)


def _another(folder: Path, why: str) -> OptionError:
    return OptionError(
        f"--out {folder}: the board of another run stands there: {why}",
        "name another folder; --fresh replaces it",
    )


def _board_there(folder: Path) -> Leaderboard:
    try:
        return read(folder)
    except DataError as error:
        raise OptionError(
            f"--out {folder}: a board stands there that cannot be read: {error.message}",
            "name another folder; --fresh replaces it",
        ) from error


def _check_content(folder: Path) -> None:
    content = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if content and not content & {LOCK, BOARD}:
        raise OptionError(f"--out {folder}: not empty, and not a run folder", "name a new one")


def _cannot_write(folder: Path, error: OSError) -> OptionError:
    return OptionError(f"cannot write to {folder}: {reason(error)}", "name another with --out DIR")


def protected(config: RunConfig, outcomes: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that routers must not read: outcomes, and folders of this or other runs."""
    results = [RESULTS.resolve(), *([Path(config.out).resolve()] if config.out else [])]
    if config.out and config.shard:
        results.append(shards_of(results[-1]))
    routers = [Path(name.rpartition(":")[0]) for name in config.router if ".py:" in name]
    near = {path.resolve().parent for path in (*results, *routers, *outcomes)} | {Path.cwd()}
    runs = {board.parent for folder in near for board in folder.glob(f"*/{BOARD}")}
    return (*outcomes, *results, *sorted(runs))


def to_json(board: Leaderboard) -> str:
    """Return the content of the board's file."""
    values = board.model_dump(mode="json", exclude_none=False)
    return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"


def board_digest(board: Leaderboard) -> str:
    """Return the SHA-256 of a board without the `DIGEST` in its environment."""
    rest = {name: value for name, value in board.environment.items() if name != DIGEST}
    return sha256(to_json(board.model_copy(update={"environment": rest})).encode())


def with_digest(board: Leaderboard) -> Leaderboard:
    """Return a board that states its own `DIGEST`: a value that is changed by hand is noticed."""
    about = {**board.environment, DIGEST: board_digest(board)}
    return board.model_copy(update={"environment": about})


def read(path: Path) -> Leaderboard:
    """Read the board of a run folder, or of a `leaderboard.json`.

    Raises:
        DataError: there is none.
    """
    place = path / BOARD if path.is_dir() else path
    try:
        text = place.read_text(encoding="utf-8")
    except OSError as error:
        if path.is_dir():
            check_finished(path)
        hint = "name a run folder, or its leaderboard.json"
        raise DataError(f"{place}: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not a leaderboard: it is no text") from error
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not a leaderboard: it is no JSON") from error
    try:
        if isinstance(held, dict) and held.get("schema_version") == OLD_SCHEMA:
            board = Leaderboard.model_validate(upgraded(held))
        else:
            board = Leaderboard.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{place}: {_not_a_board(held, error)}") from error
    if odd := [name for name in board.files if not is_name(name)]:
        raise DataError(f"{place}: not a leaderboard: files: {odd[0]!r} is no file of a run folder")
    return board


def schema_version(path: Path) -> int:
    """Return the schema version of a board's file, which `read` can read."""
    place = path / BOARD if path.is_dir() else path
    return int(json.loads(place.read_text(encoding="utf-8"))["schema_version"])


def _not_a_board(held: Any, error: ValidationError) -> str:
    """Return in a few words why the content of a file is no board of this version."""
    if not isinstance(held, dict) or "schema_version" not in held:
        return "not a leaderboard of RouteBench"
    known = Leaderboard.model_fields["schema_version"].default
    if (version := held["schema_version"]) not in (OLD_SCHEMA, known):
        return (
            f"not a leaderboard: schema_version does not fit: schema {version!r}, this is {known}"
        )
    first = error.errors()[0]
    at = ".".join(map(str, first["loc"]))
    return one_line(f"not a leaderboard: {at}: {problem(first)}", 200)


def begin(folder: Path, run_file: str, jobs: int) -> None:
    """Note in a run's folder what the run is, so that one that is interrupted can be told.

    It is there until the board is.
    """
    replace_file(folder / UNFINISHED, f"# {jobs} jobs\n{run_file}".encode())


def end(folder: Path) -> None:
    """Take the note away: the board is there."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def check_finished(folder: Path) -> None:
    """Raise a `DataError` for a run that was interrupted: how far it came, and how it goes on."""
    try:
        first = (folder / UNFINISHED).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return
    done = sum(1 for _ in (folder / CHECKPOINTS).glob("**/job.json"))
    raise DataError(
        f"{folder}: the run is not finished: {done} of {first.strip('# ')} are done",
        go_on(folder),
    )


def go_on(folder: Path) -> str:
    """Return the command that finishes an interrupted run."""
    out = folder
    if folder.parent.name.endswith(SHARDS):  # the run file says which shard it is
        out = folder.parent.with_name(folder.parent.name.removesuffix(SHARDS))
    words = ["routebench", "run", "--file", str(folder / UNFINISHED), "--out", str(out)]
    return shlex.join(words)


def _interrupted_suite(folder: Path) -> str | None:
    """Return the suite of the interrupted run in a folder; None where there is none."""
    try:
        values = tomllib.loads((folder / UNFINISHED).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    return str(values.get("suite", "")).partition(":")[0]
