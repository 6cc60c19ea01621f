"""Progress of a run on a terminal; plain lines where the output is not one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from routebench.board.run_folder import go_on
from routebench.config import RunConfig
from routebench.isolation.printing import PRINTED
from routebench.jobs.expected import TimeLeft, about
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.pipeline import RunListener
from routebench.redact import one_line

_LAST = 5  # lines of a failed router's output


class QuietProgress(RunListener):
    """Says nothing of a run but which extensions failed, a line each: no result would show it."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def note(self, text: str) -> None:
        self.console.print(one_line(text), markup=False, soft_wrap=True)


class RunProgress(RunListener):
    """Stages as lines, jobs as one bar; on Ctrl-C it says what is kept and how to go on."""

    def __init__(self, console: Console, config: RunConfig) -> None:
        self.console = console
        self._folds = config.folds or 1
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _TimeLeftColumn(self.time_left),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._total = self._done = 0
        self._folder: Path | None = None
        self._left: TimeLeft | None = None
        self._said: dict[Job, str] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if kind is KeyboardInterrupt and self._folder is not None:
            self.console.print(
                f"interrupted: {self._done} of {self._total} jobs are finished and kept in "
                f"{escape(str(self._folder))}; to go on, run the same command again, or "
                f"{escape(go_on(self._folder))}",
                soft_wrap=True,
            )

    def stage(self, text: str) -> None:
        self._stop()
        self.console.print(f"[dim]· {escape(text)}[/dim]")

    def note(self, text: str) -> None:
        self.console.print(f"[yellow]{escape(text)}[/yellow]", soft_wrap=True)

    def jobs(self, total: int, done: int, folder: Path) -> None:
        self._total, self._done, self._folder = total, done, folder
        kept = f", {done} of them finished earlier" if done else ""
        self.stage(f"{total} job{'s' if total != 1 else ''}{kept}")
        self._task = self._bars.add_task("fit and route", total=total, completed=done, note="")
        if self.console.is_terminal:
            self._bars.start()

    def planned(self, todo: Sequence[Job], at_a_time: int) -> None:
        self._left = TimeLeft(todo, at_a_time)

    def began(self, job: Job) -> None:
        if self._left is not None:
            self._left.began(job)
        self._bars.update(self._task, note=self.in_progress())

    def progress(self, job: Job, done: float, note: str) -> None:
        self._said[job] = f" {done:.0%} {note}".rstrip()
        self._bars.update(self._task, note=self.in_progress())

    def ended(self, job: Job, result: Result) -> None:
        self._done += 1
        if self._left is not None:
            self._left.ended(job)
        self._said.pop(job, None)
        self._bars.update(self._task, advance=1, note=self.in_progress())
        if result.state != "ok":
            self.console.print(
                f"[red]{escape(self._name(job))} failed:[/red] {escape(result.message)}",
                soft_wrap=True,
            )
            for line in _printed(result.log):
                self.console.print(f"  [dim]{escape(one_line(line))}[/dim]", soft_wrap=True)
        elif not self.console.is_terminal:
            note = f": {result.note}" if result.note else ""
            line = f"  {self._done}/{self._total} {self._name(job)}{note}"
            self.console.print(escape(line), soft_wrap=True)

    def interrupted(self, done: int) -> None:
        self._done = done

    def in_progress(self) -> str:
        """Return the jobs that run now, and how far each says that it is."""
        running = [] if self._left is None else self._left.running
        return " · ".join(f"{self._name(job)}{self._said.get(job, '')}" for job in running)[:60]

    def time_left(self) -> str:
        """Return the time until the last job has ended, in round words."""
        seconds = None if self._left is None else self._left.left()
        return f"about {about(seconds)} left" if seconds else ""

    def _stop(self) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def _name(self, job: Job) -> str:
        fold = f" fold {job.fold}" if self._folds > 1 else ""
        return f"{job.label} seed {job.seed}{fold}"


class _TimeLeftColumn(ProgressColumn):
    """The time that is left, told anew each time the bar is drawn."""

    def __init__(self, tell: Callable[[], str]) -> None:
        super().__init__()
        self._tell = tell

    def render(self, task: Task) -> Text:
        return Text(self._tell(), style="dim")


def _printed(log: str) -> list[str]:
    """Return the last lines that a failed router printed."""
    _, heading, text = log.partition(f"\n{PRINTED}\n")
    lines = [line for line in text.splitlines() if line.strip() and line != PRINTED]
    return lines[-_LAST:] if heading else []
