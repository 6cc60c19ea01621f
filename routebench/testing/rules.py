"""Checks, and the errors that report broken rules to the author of a plugin."""

from __future__ import annotations

import functools
import sys
import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import ThreadpoolController

from routebench.errors import RoutebenchError

Outcome = AssertionError | unittest.SkipTest | None


class Named(Protocol):
    """What is under test: a plugin class with its options, as its checks need it."""

    @property
    def name(self) -> str: ...


class RuleError(Exception):
    """A broken rule: what was expected, what was seen, and what to do about it."""

    def __init__(self, expected: str, seen: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.seen, self.hint = expected, seen, hint


class BrokenRuleError(AssertionError):
    """The failure of a check, for people; `finding` has its parts."""

    def __init__(self, message: str, finding: RuleError) -> None:
        super().__init__(message)
        self.finding = finding


def expect(fulfilled: bool, expected: str, seen: str, hint: str = "") -> None:
    """Raise a `RuleError` unless the rule is kept."""
    if not fulfilled:
        raise RuleError(expected, seen, hint)


@dataclass(frozen=True)
class Check:
    """A rule for plugins; skipped where the one it builds on is already broken."""

    run: Callable[[Any], None]
    after: Check | None = None

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def promise(self) -> str:
        """Return what is checked, in one sentence."""
        return " ".join((self.run.__doc__ or self.name).partition("\n\n")[0].split())


def check(after: Check | None = None) -> Callable[[Callable[[Any], None]], Check]:
    """Turn a function into a check that is meaningful only when `after` passes."""
    return lambda run: Check(run, after)


@dataclass(frozen=True, eq=False)
class PluginCheck:
    """One check bound to one plugin. Call it: it raises `AssertionError`, or `SkipTest`."""

    check: Check
    subject: Named
    outcomes: dict[str, Outcome]
    """Of all checks of this plugin that have run so far."""

    @property
    def name(self) -> str:
        return self.check.name

    @property
    def promise(self) -> str:
        return self.check.promise

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
            before = self._outcome(check.after)
            if isinstance(before, unittest.SkipTest):  # it names the first check that failed
                return unittest.SkipTest(str(before))
            return unittest.SkipTest(f"means nothing until {check.after.name} passes")
        try:
            with _thread_pools(len(sys.modules)).limit(limits=1):  # as in a job
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


@functools.lru_cache(1)
def _thread_pools(modules: int) -> ThreadpoolController:
    """Return the libraries that have threads, looked for again once `modules` have been imported.

    Looking takes longer than most checks.
    """
    return ThreadpoolController()


def _failure(subject: Named, check: Check, finding: RuleError) -> AssertionError:
    lines = [f"{subject.name} breaks {check.name}"]
    lines += [f"  expected: {finding.expected}", f"  seen: {finding.seen}"]
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    return BrokenRuleError("\n".join(lines), finding)


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
