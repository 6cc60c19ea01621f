"""Arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class RunArgument(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A run: its folder or board, `latest`, its id, or a folder that holds one run.

    With `checkpoints` a checkpoint folder may stand in its place.
    """

    name = "run"

    def __init__(self, checkpoints: bool = False) -> None:
        self._checkpoints = checkpoints

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from routebench.board.find_runs import locate

        found = locate(Path(value))
        if not self._checkpoints:
            _check_run(found)
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from routebench.board.find_runs import LATEST, find
        from routebench.board.run_folder import RESULTS

        known = [LATEST, *map(str, find(RESULTS))]
        found = [CompletionItem(name) for name in known if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="dir")]


def _check_run(folder: Path) -> None:
    """Raise a `DataError` for a checkpoint folder, which has no board."""
    from routebench.board.checkpoint import description
    from routebench.errors import DataError

    if not description.is_checkpoint(folder):
        return
    results = description.read(folder).results
    of = "" if results is None else f" of the run {results.run}"
    raise DataError(
        f"{folder}: is a checkpoint folder, not a run",
        f"route, serve, chat and push take it; results{of} are in {folder / description.CARD}",
    )


RUN = RunArgument()
CHECKPOINT_OR_RUN = RunArgument(checkpoints=True)
