"""Boards and progress as HTML for notebooks; nothing from outside is markup."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from routebench.config import RunConfig
from routebench.jobs.expected import TimeLeft, about
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.pipeline import RunListener
from routebench.printed import one_visible_line, visible
from routebench.report import summary
from routebench.report.format import Cell
from routebench.schema import Leaderboard

_TONES = {"better": "color:#137333", "worse": "color:#b3261e"}
_NOTICES = 6


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook, which shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def board_html(board: Leaderboard, folder: Path) -> str:
    """Return title, headline, table and the first notices of a board."""
    table = summary.leaderboard(board)
    lines = [f"<p><b>{_text(summary.title(board))}</b>"]
    lines += [f"<br>{_text(board.headline)}" if board.headline is not None else ""]
    facts = " · ".join(f"{name.lower()}: {value}" for name, value in summary.facts(board))
    lines += [f"<br><small>{_text(facts)}</small></p>"]
    heads = "".join(f"<th>{_text(head)}</th>" for head in table.heads)
    rows = "".join(map(_row, [*table.rows, *table.foot]))
    style = 'style="white-space:nowrap"'
    lines += [f"<table {style}><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"]
    notices = [text for text in summary.notices(board) if text != board.headline][:_NOTICES]
    lines += [f"<p><small>{'<br>'.join(map(_text, [*notices, str(folder)]))}</small></p>"]
    return "\n".join(lines)


def text_html(text: str) -> str:
    """Return the text of a terminal as HTML."""
    return f"<pre>{html.escape(visible(text))}</pre>"


class NotebookProgress(RunListener):
    """Shows stages, a bar of jobs, those in progress and failures in one output of a cell."""

    def __init__(self, config: RunConfig, show: Callable[[str], Any] | None = None) -> None:
        self._folds = config.folds or 1
        self._show = show or _display()
        self._lines: list[str] = []
        self._total = self._done = 0
        self._note = ""
        self._left: TimeLeft | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is KeyboardInterrupt:
            self._lines.append("interrupted: finished jobs are kept; run the cell again to go on")
        self._note = ""
        self._update()

    def stage(self, text: str) -> None:
        self._note = text
        self._update()

    def note(self, text: str) -> None:
        self._lines.append(text)
        self._update()

    def jobs(self, total: int, done: int, folder: Path) -> None:
        self._total, self._done = total, done
        self._update()

    def planned(self, todo: Sequence[Job], at_a_time: int) -> None:
        self._left = TimeLeft(todo, at_a_time)

    def began(self, job: Job) -> None:
        if self._left is not None:
            self._left.began(job)
        self._note = self._name(job)
        self._update()

    def progress(self, job: Job, done: float, note: str) -> None:
        self._note = f"{self._name(job)} {done:.0%} {note}".strip()
        self._update()

    def ended(self, job: Job, result: Result) -> None:
        self._done += 1
        if self._left is not None:
            self._left.ended(job)
        self._note = ", ".join(map(self._name, self._left.running)) if self._left else ""
        if result.state != "ok":
            self._lines.append(f"{self._name(job)} failed: {result.message}")
        self._update()

    def interrupted(self, done: int) -> None:
        self._done = done

    def _name(self, job: Job) -> str:
        fold = f" fold {job.fold}" if self._folds > 1 else ""
        return f"{job.label} seed {job.seed}{fold}"

    def _update(self) -> None:
        parts = []
        if self._total:
            bar = f'<progress value="{self._done}" max="{self._total}"></progress>'
            left = None if self._left is None else self._left.left()
            time = f", about {about(left)} left" if left else ""
            done = f"{self._done} of {self._total} jobs{time}"
            parts.append(f"{bar} {done} {_text(self._note)}".rstrip())
        elif self._note:
            parts.append(_text(self._note))
        self._show("<br>".join([*map(_text, self._lines), *parts]))


def _display() -> Callable[[str], Any]:
    """Return a function that shows HTML in place of what it showed before."""
    ipython: Any = import_module("IPython.display")  # there is no notebook without it
    handle = ipython.display(ipython.HTML(""), display_id=True)
    return lambda text: handle.update(ipython.HTML(text))


def _row(cells: Iterable[Cell]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: Cell) -> str:
    style = f' style="{_TONES[cell.tone]}"' if cell.tone in _TONES else ""
    title = f' title="{_text(cell.note)}"' if cell.note else ""
    return f"<td{style}{title}>{_text(cell.text)}</td>"


def _text(text: str) -> str:
    return html.escape(one_visible_line(text))
