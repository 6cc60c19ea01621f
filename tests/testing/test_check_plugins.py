"""The checks of suites, judges, providers and encoders: each catches its own mistake."""

from __future__ import annotations

import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from broken_judges import Hookless, InPercent
from broken_options import CLOCK, Demanding
from broken_plugins import BROKEN, SOUND
from failures import failures

from routebench.plugin.discovery import find, installed, load
from routebench.testing import (
    check_encoder,
    check_judge,
    check_provider,
    check_suite,
    plugin_checks,
)
from routebench.testing.kinds import confined, subject
from routebench.testing.rules import PluginCheck

CHECKERS = {
    "judge": check_judge,
    "suite": check_suite,
    "provider": check_provider,
    "encoder": check_encoder,
}
DATA = Path(__file__).parents[1] / "data"
OPTIONS = {
    "table": {"data": str(DATA / "outcomes.csv")},
    "simpleqa-grader": {"model": "simulated:sim-pro"},
}
# They need a model or a file of vectors, and have tests of their own.
NOT_ALONE = {"hf", "sentence-transformers", "precomputed"}
LARGE = {"simpleqa", "personaroute"}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock stand still but for plugins that move it on, and let there be a key."""
    monkeypatch.setattr(subject, "time", SimpleNamespace(perf_counter=lambda: CLOCK.seconds))
    monkeypatch.setenv("ACME_API_KEY", "secret-of-mine")


def failing(kind: Any, plugin: Any) -> list[str]:
    return list(failures(plugin_checks(kind, plugin, ask=True)))


@pytest.mark.parametrize(("kind", "plugin"), [(k, p) for k, some in SOUND.items() for p in some])
def test_sound_plugins_pass(kind: Any, plugin: Any) -> None:
    assert failing(kind, plugin) == []
    CHECKERS[kind](plugin)


@pytest.mark.parametrize(("kind", "plugin"), [(k, p) for k, some in BROKEN.items() for p in some])
def test_broken_plugin_fails_its_check_and_no_other(kind: Any, plugin: Any) -> None:
    assert failing(kind, plugin) == [plugin.broken]


@pytest.mark.parametrize("kind", BROKEN)
def test_no_check_is_without_a_plugin_that_breaks_it(kind: Any) -> None:
    checks = {check.name for check in plugin_checks(kind, SOUND[kind][0])}
    assert {plugin.broken for plugin in BROKEN[kind]} == checks


def test_message_says_what_was_expected_seen_and_to_do() -> None:
    with pytest.raises(AssertionError) as caught:
        check_judge(InPercent)
    assert str(caught.value).startswith("InPercent breaks check_grades\n  expected: ")
    with pytest.raises(AssertionError, match="decorate its method with @routebench"):
        check_judge(Hookless)


def test_options_that_are_needed_are_given() -> None:
    class Judge(Demanding, SOUND["judge"][0]):  # type: ignore[misc]
        pass

    check_judge(Judge, {"needed": 1})
    with pytest.raises(AssertionError, match="seen: needed: is missing"):
        check_judge(Judge)


def test_nobody_is_called_unless_allowed() -> None:
    """A check that would call a model is skipped, and so is what builds on it."""
    options = OPTIONS["simpleqa-grader"]
    grader = load(find("judge", "simpleqa-grader"))
    checks = {check.name: check for check in plugin_checks("judge", grader, options)}
    for name in ("check_grades", "check_repeatable"):
        with pytest.raises(unittest.SkipTest, match="it asks a model"):
            checks[name]()


BUILT_IN = [
    info
    for kind in CHECKERS
    for info in installed(kind)
    if info.distribution == "routebench" and info.ready and info.name not in NOT_ALONE
]


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(
            info,
            id=f"{info.kind}-{info.name}",
            marks=[pytest.mark.slow] if info.kind == "suite" and info.name in LARGE else [],
        )
        for info in BUILT_IN
    ],
)
def test_built_in_plugins_conform(info: Any) -> None:
    CHECKERS[info.kind](load(info), OPTIONS.get(info.name))


ROUTER = """
import numpy as np
from routebench import Decisions, hookimpl

class Online:
    @hookimpl
    def route(self, queries):
        import socket
        socket.socket().close()
        return Decisions(np.zeros(len(queries), dtype=int))

class Offline:
    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))
"""


@pytest.mark.parametrize("name", ["Online", "Offline"])
def test_a_run_finds_what_a_job_may_not_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ROUTER)
    place = f"{tmp_path / 'mine.py'}:{name}"
    router = confined.RunSubject(place, name, load(find("router", place)), {})
    (check,) = (PluginCheck(each, router, {}) for each in confined.CHECKS)
    if name == "Offline":
        check()
        return
    with pytest.raises(AssertionError, match=r"seen: the row failed: route: "):
        check()
