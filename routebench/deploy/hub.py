"""Checkpoints on a model hub: sent there, and fetched from there, by huggingface_hub's client."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from routebench.board.checkpoint import description
from routebench.board.checkpoint.description import CheckpointDescription
from routebench.board.checkpoint.files import check_name
from routebench.errors import DataError, OptionError, RoutebenchError
from routebench.files import new_folder
from routebench.redact import one_line

LARGEST = 64 << 20
"""Bytes of a description or a card."""
_OWN = (description.FILE, description.CARD)
_BESIDE = (".gitattributes", ".gitignore")
"""What a hub adds, which is not fetched."""


def push(checkpoint: Path, repo: str, *, private: bool = False, message: str | None = None) -> str:
    """Send a checkpoint to a repository of models, made if need be; return its address.

    Raises:
        DataError: no whole checkpoint, or the hub refused.
        OptionError: huggingface_hub is not installed, or the name is none.
    """
    known = description.read(checkpoint)
    description.check_files(checkpoint, known.files)
    if not (checkpoint / description.CARD).is_file():
        raise DataError(f"{checkpoint / description.CARD}: the card is missing")
    hub = _library()
    _check_repo(repo)
    with _told(hub, f"push to {repo}"):
        api = hub.HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        said = message or f"{known.router} at {known.point}, trained on {known.suite}"
        operations = [
            hub.CommitOperationAdd(name, str(checkpoint / name)) for name in (*known.files, *_OWN)
        ]
        made = api.create_commit(repo, operations, commit_message=said)
    return str(made.commit_url)


def pull(
    repo: str, out: Path, *, revision: str | None = None, most: int | None = None
) -> CheckpointDescription:
    """Fetch a checkpoint into a new folder; return its description.

    Names and sizes are checked before anything is fetched, contents before anything is kept.
    `most` is the most bytes of all its files.

    Raises:
        DataError: what is there is no checkpoint, or is not as its description states.
    """
    if out.exists() or out.is_symlink():
        raise OptionError(f"{out}: is there already", "name a new folder")
    hub = _library()
    _check_repo(repo)
    with _told(hub, f"pull {repo}"):
        info = hub.HfApi().model_info(repo, revision=revision, files_metadata=True)
    sizes = {str(one.rfilename): int(one.size or 0) for one in info.siblings or []}
    _check_listing(repo, sizes)
    with tempfile.TemporaryDirectory(prefix="routebench-pull-") as scratch:

        def fetch(name: str) -> Path:
            with _told(hub, f"pull {repo}: {name}"):
                got = hub.hf_hub_download(
                    repo, name, revision=info.sha, local_dir=scratch, local_files_only=False
                )
            place = Path(got)
            if place.stat().st_size != sizes[name]:
                raise DataError(f"{repo}: {name}: has another size than the hub says")
            return place

        for name in _OWN:
            fetch(name)
        known = description.read(Path(scratch))
        _check_sizes(repo, known, sizes, most)
        for name in known.files:
            fetch(name)
        description.check_files(Path(scratch), known.files, whole=False)
        try:
            with new_folder(out) as folder:
                for name in (*_OWN, *known.files):
                    place = folder / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(Path(scratch) / name, place)
        except FileExistsError:
            raise OptionError(f"{out}: is there already", "name a new folder") from None
    return known


def _check_repo(repo: str) -> None:
    """Raise an `OptionError` for what names no repository, before the hub is asked."""
    owner, slash, name = repo.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise OptionError(f"{repo}: is no OWNER/NAME of a repository", "such as someone/mf-router")


def _check_listing(repo: str, sizes: dict[str, int]) -> None:
    """Raise a `DataError` for what no checkpoint has, before anything is fetched."""
    for name in sizes:
        if name not in _BESIDE:
            check_name(repo, name)
    for name in _OWN:
        if name not in sizes:
            hint = "routebench push sends one" if name == description.FILE else ""
            raise DataError(f"{repo}: holds no checkpoint: {name} is not there", hint)
        if sizes[name] > LARGEST:
            raise DataError(f"{repo}: {name} has {sizes[name]:,} bytes, {LARGEST:,} at most")


def _check_sizes(
    repo: str, known: CheckpointDescription, sizes: dict[str, int], most: int | None
) -> None:
    for name, stated in known.files.items():
        if name not in sizes:
            raise DataError(f"{repo}: {name} is not there: the checkpoint is not whole")
        if sizes[name] != stated.bytes:
            there = f"{repo}: {name} has {sizes[name]:,} bytes"
            raise DataError(f"{there}, {description.FILE} says {stated.bytes:,}")
    if extra := sorted(set(sizes) - set(known.files) - set(_OWN) - set(_BESIDE)):
        raise DataError(f"{repo}: {extra[0]} is no file of the checkpoint", "ask who pushed it")
    total = sum(one.bytes for one in known.files.values())
    if most is not None and total > most:
        raise DataError(f"{repo}: has {total:,} bytes", f"--max-size allows {most:,}")


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise OptionError("this needs huggingface-hub", "pip install 'routebench[hub]'") from error
    return huggingface_hub


@contextmanager
def _told(hub: Any, what: str) -> Iterator[None]:
    """Turn the client's errors into one line that says what could not be done."""
    hub.utils.disable_progress_bars()
    try:
        yield
    except RoutebenchError:
        raise
    except (hub.errors.HFValidationError, hub.errors.RepositoryNotFoundError) as error:
        raise OptionError(f"{what}: {one_line(str(error), 200)}", "OWNER/NAME, and HF_TOKEN where"
                          " it is not public") from error  # fmt: skip
    except Exception as error:  # of its transports, too
        causes = [one for one in (error, error.__cause__) if one is not None]
        status = {getattr(getattr(one, "response", None), "status_code", None) for one in causes}
        if status & {401, 403}:
            hint = "HF_TOKEN has to be one that may do this"
        elif status == {None}:  # no response at all
            hint = f"is {hub.constants.ENDPOINT} to be reached? HF_ENDPOINT names another hub"
        else:
            hint = ""
        said = ": ".join(dict.fromkeys(str(one) or repr(one) for one in causes))
        raise DataError(f"{what}: {one_line(said, 240)}", hint) from error
