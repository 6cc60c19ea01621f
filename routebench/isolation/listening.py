"""The run's side of a job's channel: what the job says, and answers to what it asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from routebench.isolation import lines
from routebench.isolation.forkserver import Process
from routebench.isolation.messages import (
    AnswersGiven,
    AnswersNeeded,
    Failed,
    FitGiven,
    FitNeeded,
    OutcomesGiven,
    OutcomesNeeded,
    ProgressUpdate,
    Report,
    Start,
    Used,
)

OnProgress = Callable[[float, str], None]
GiveAnswers = Callable[[AnswersNeeded], AnswersGiven]
RevealOutcomes = Callable[[OutcomesNeeded], OutcomesGiven]
_REPORT = '"is": "Report"'


def listen(
    process: Process,
    reports: list[Report],
    used: list[Used],
    progress: OnProgress,
    answer: Callable[[FitNeeded], str | None] | None,
    sell: GiveAnswers | None,
    reveal: RevealOutcomes | None,
) -> None:
    """Read what a job says until it ends, and answer it; `reports` and `used` take what it left."""
    assert process.stdout is not None
    # A router can find the channel and write to it: lines have an end, and messages a form.
    while line := process.stdout.readline(lines.LONGEST):
        try:
            message = lines.read(line)
        except ValueError as error:
            if _REPORT in line:
                reports.append(Report(Failed(f"gave a report that is refused: {error}")))
        else:
            if isinstance(message, ProgressUpdate):
                with contextlib.suppress(Exception):  # a terminal that has gone ends no job
                    progress(message.done, message.note)
            elif isinstance(message, Report):
                reports.append(message)
            elif isinstance(message, Used):
                used.append(message)
            elif isinstance(message, FitNeeded):
                send(process, FitGiven(_fit(message, answer)))
            elif isinstance(message, AnswersNeeded):
                send(process, _sold(message, sell))
            elif isinstance(message, OutcomesNeeded):
                send(process, _revealed(message, reveal))


def _fit(needed: FitNeeded, answer: Callable[[FitNeeded], str | None] | None) -> str | None:
    place = None
    if answer is not None:
        # On a full disk, or in a run that is being stopped, the job makes the fit itself: it
        # waits for an answer, and must get one.
        with contextlib.suppress(Exception, KeyboardInterrupt):
            place = answer(needed)
    return place


def _sold(needed: AnswersNeeded, sell: GiveAnswers | None) -> AnswersGiven:
    if sell is None:
        return AnswersGiven(None, "answers are for a router that steps")
    try:
        return sell(needed)
    except Exception as error:  # a full disk, or cells that are none: its row fails, and says why
        return AnswersGiven(None, f"{type(error).__name__}: {error}")


def _revealed(needed: OutcomesNeeded, reveal: RevealOutcomes | None) -> OutcomesGiven:
    if reveal is None:
        return OutcomesGiven(problem="outcomes are for a router that learns online")
    try:
        return reveal(needed)
    except Exception as error:  # numbers that are none: its row fails, and says why
        return OutcomesGiven(problem=f"{type(error).__name__}: {error}")


def send(process: Process, message: Start | FitGiven | AnswersGiven | OutcomesGiven) -> None:
    """Write a message to a job; one that has ended needs none."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(lines.write(message) + "\n")
        process.stdin.flush()
