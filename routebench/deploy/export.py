"""Write a checkpoint folder that stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from routebench.board import checkpoint_points
from routebench.board.checkpoint import description, of_run
from routebench.board.checkpoint.description import CheckpointDescription, CheckpointFile
from routebench.board.checkpoint.files import check_content, check_name
from routebench.deploy.card import card
from routebench.errors import OptionError
from routebench.files import check_writable, file_sha256, new_folder, reason
from routebench.jobs.left import only_files


def check_out(out: Path) -> None:
    """Raise an `OptionError` where a new checkpoint folder cannot be made."""
    if out.exists() or out.is_symlink():
        raise OptionError(f"--out {out}: is there already", "name a new folder")
    try:
        check_writable(out)
    except OSError as error:
        raise OptionError(
            f"--out {out}: cannot be written: {reason(error)}", "name another folder"
        ) from error


def export(
    run: Path,
    router: str,
    out: Path,
    *,
    seed: int = 0,
    fold: int = 0,
    point: str | None = None,
    license: str | None = None,  # noqa: A002
) -> CheckpointDescription:
    """Write the checkpoint of a run's router into a new folder; return its description."""
    check_out(out)
    found = of_run.find(run, router, seed, fold)
    known = of_run.describe(found)
    return write(found.checkpoint, known, out, point=point, license=license)


def write(
    checkpoint: Path, known: CheckpointDescription, out: Path, *, point: str | None, **changes: Any
) -> CheckpointDescription:
    """Copy a checkpoint with its points, and write description and card beside it.

    `point` is the operating point at which it will decide, `changes` other fields of the
    description.
    """
    points = checkpoint_points.read(checkpoint)
    name = points.name_of(point or known.point)
    only_files(checkpoint)
    try:
        with new_folder(out) as folder:
            shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
            known = known.model_copy(
                update={
                    "point": name,
                    "points": sorted(points.points),
                    "files": files_of(folder),
                    **changes,
                }
            )
            description.write(folder, known)
            (folder / description.CARD).write_text(card(known), encoding="utf-8")
    except FileExistsError:
        check_out(out)
        raise
    return known


def files_of(folder: Path) -> dict[str, CheckpointFile]:
    """Return the files of a checkpoint folder by their paths in it, with size and hash.

    Raises:
        DataError: one is a pickle, or has a name that no other system may take.
    """
    own = {description.FILE, description.CARD}
    for path in folder.rglob("*"):
        if path.is_file():
            check_name(str(folder), path.relative_to(folder).as_posix())
            check_content(path)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: CheckpointFile(sha256=file_sha256(path), bytes=path.stat().st_size)
        for name, path in names.items()
        if name not in own
    }
