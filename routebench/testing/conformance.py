"""The conformance suites: every check of a kind of plugin, for one class or as pytest tests."""

from __future__ import annotations

import unittest
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from routebench.testing import behaviour, checkpoints, contract, learning, online, stepping
from routebench.testing.kinds import encoders, judges, providers, suites
from routebench.testing.kinds.subject import PluginSubject
from routebench.testing.rules import Check, PluginCheck
from routebench.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

Kind = Literal["router", "suite", "judge", "provider", "encoder"]

CHECKS = (
    *contract.CHECKS,
    *behaviour.CHECKS,
    *stepping.CHECKS,
    *learning.CHECKS,
    *checkpoints.CHECKS,
    *online.CHECKS,
)
_OTHERS: dict[str, tuple[type[PluginSubject], tuple[Check, ...]]] = {
    "suite": (suites.SuiteSubject, suites.CHECKS),
    "judge": (PluginSubject, judges.CHECKS),
    "provider": (PluginSubject, providers.CHECKS),
    "encoder": (encoders.EncoderSubject, encoders.CHECKS),
}
KINDS = ("router", *_OTHERS)
"""The kinds of plugin that there are checks for."""


def plugin_checks(
    kind: Kind, plugin: type[Any], options: dict[str, Any] | None = None, *, ask: bool = False
) -> list[PluginCheck]:
    """Return every check of a kind as a callable without arguments, with `name` and `promise`.

    Calling it raises `AssertionError` where the plugin breaks the rule, and `unittest.SkipTest`
    (a skipped test to pytest) where the rule does not apply. They share one object or more of
    the plugin. Only with `ask` is a judge or provider that calls a model let do so.
    """
    outcomes: dict[str, Any] = {}
    if kind == "router":
        router = Subject(plugin, options)
        return [PluginCheck(check, router, outcomes) for check in CHECKS]
    make, checks = _OTHERS[kind]
    subject = make(plugin, options, ask)
    return [PluginCheck(check, subject, outcomes) for check in checks]


def router_checks(
    router_class: type[Any], options: dict[str, Any] | None = None
) -> list[PluginCheck]:
    """Return the checks of a router: see `plugin_checks`. They share one fitted router."""
    return plugin_checks("router", router_class, options)


def check_router(router_class: type[Any], options: dict[str, Any] | None = None) -> None:
    """Run every check; one `AssertionError` names each broken rule, what was expected and seen.

    `options` are values for the router's `Options`, such as the names of two of `MODELS`.
    """
    _run(router_checks(router_class, options))


def check_suite(suite: type[Any], options: dict[str, Any] | None = None) -> None:
    """Run every check of a suite, as `check_router` does of a router."""
    _run(plugin_checks("suite", suite, options))


def check_judge(
    judge: type[Any], options: dict[str, Any] | None = None, *, ask: bool = False
) -> None:
    """Run every check of a judge; with `ask` one that asks a model grades some 150 answers."""
    _run(plugin_checks("judge", judge, options, ask=ask))


def check_provider(
    provider: type[Any], options: dict[str, Any] | None = None, *, ask: bool = False
) -> None:
    """Run every check of a provider; with `ask` one that is called over a network, once."""
    _run(plugin_checks("provider", provider, options, ask=ask))


def check_encoder(encoder: type[Any], options: dict[str, Any] | None = None) -> None:
    """Run every check of an encoder, as `check_router` does of a router."""
    _run(plugin_checks("encoder", encoder, options))


def _run(checks: Iterable[PluginCheck]) -> None:
    broken = []
    for check in checks:
        try:
            check()
        except unittest.SkipTest:
            continue
        except AssertionError as failure:
            broken.append(failure)
    if len(broken) == 1:
        raise broken[0]
    if broken:
        raise AssertionError("\n".join(map(str, broken))) from broken[0]


def parametrize_with_checks(
    plugins: Iterable[type[Any] | tuple[type[Any], dict[str, Any]]], kind: Kind = "router"
) -> pytest.MarkDecorator:
    """Return a pytest decorator: one test per plugin and check, as the argument `check`.

    ```python
    @parametrize_with_checks([MyRouter, (MyRouter, {"k": 5})])
    def test_conformance(check):
        check()
    ```
    """
    import pytest

    parameters = []
    for number, entry in enumerate(plugins):
        plugin, options = entry if isinstance(entry, tuple) else (entry, None)
        label = plugin.__name__ if options is None else f"{plugin.__name__}{number}"
        parameters += [
            pytest.param(check, id=f"{label}-{check.name}")
            for check in plugin_checks(kind, plugin, options)
        ]
    return pytest.mark.parametrize("check", parameters)
