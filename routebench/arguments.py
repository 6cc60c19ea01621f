"""Arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class RunArgument(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A run: its folder or board, `latest`, its id, or a folder that holds one run."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from routebench.board.find_runs import locate

        return locate(Path(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from routebench.board.find_runs import LATEST, find
        from routebench.board.run_folder import RESULTS

        known = [LATEST, *map(str, find(RESULTS))]
        found = [CompletionItem(name) for name in known if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="dir")]


RUN = RunArgument()
