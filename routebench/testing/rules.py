"""Checks, and the errors that report broken rules to the author of a router."""

from __future__ import annotations

import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from routebench.errors import RoutebenchError
from routebench.testing.subject import Subject

Outcome = AssertionError | unittest.SkipTest | None


class RuleError(Exception):
    """A broken rule: what was expected, what was seen, and what to do about it."""

    def __init__(self, expected: str, seen: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.seen, self.hint = expected, seen, hint


def expect(fulfilled: bool, expected: str, seen: str, hint: str = "") -> None:
    """Raise a `RuleError` unless the rule is kept."""
    if not fulfilled:
        raise RuleError(expected, seen, hint)


@dataclass(frozen=True)
class Check:
    """A rule for routers; skipped where the one it builds on is already broken."""

    run: Callable[[Subject], None]
    after: Check | None = None

    @property
    def name(self) -> str:
        return self.run.__name__


def check(after: Check | None = None) -> Callable[[Callable[[Subject], None]], Check]:
    """Turn a function into a check that is meaningful only when `after` passes."""
    return lambda run: Check(run, after)


@dataclass(frozen=True, eq=False)
class RouterCheck:
    """One check bound to one router. Call it: it raises `AssertionError`, or `SkipTest`."""

    check: Check
    subject: Subject
    outcomes: dict[str, Outcome]
    """Of all checks of this router that have run so far."""

    @property
    def name(self) -> str:
        return self.check.name

    def __call__(self) -> None:
        outcome = self._outcome(self.check)
        if outcome is not None:
            raise outcome

    def _outcome(self, check: Check) -> Outcome:
        if check.name not in self.outcomes:
            self.outcomes[check.name] = self._run(check)
        return self.outcomes[check.name]

    def _run(self, check: Check) -> Outcome:
        if check.after is not None and self._outcome(check.after) is not None:
            first = check.after
            # Name the first check that failed, not the last one that depends on it.
            while first.after is not None and self.outcomes.get(first.after.name) is not None:
                first = first.after
            return unittest.SkipTest(f"means nothing until {first.name} passes")
        try:
            with threadpool_limits(1):  # as in a job
                check.run(self.subject)
        except unittest.SkipTest as skip:
            return skip
        except RuleError as finding:
            return _failure(self.subject, check, finding)
        except Exception as error:
            failure = _failure(self.subject, check, _crash(check, error))
            failure.__cause__ = error
            return failure
        return None


def _failure(subject: Subject, check: Check, finding: RuleError) -> AssertionError:
    lines = [f"{subject.name} breaks {check.name}"]
    lines += [f"  expected: {finding.expected}", f"  seen: {finding.seen}"]
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    return AssertionError("\n".join(lines))


def _crash(check: Check, error: Exception) -> RuleError:
    """Return the error for an exception, with its last place outside the harness."""
    own = str(Path(__file__).parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not f.filename.startswith(own) and "pluggy" not in f.filename]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    hint = error.hint if isinstance(error, RoutebenchError) else ""
    purpose = (check.run.__doc__ or "no exception").splitlines()[0]
    message = " ".join(str(error).split())
    return RuleError(purpose, f"{type(error).__name__}: {message}{place}", hint)
