"""The conformance suite: every check, for one router or as pytest tests."""

from __future__ import annotations

import unittest
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from routebench.testing import behaviour, checkpoints, contract, learning, stepping
from routebench.testing.rules import RouterCheck
from routebench.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

CHECKS = (
    *contract.CHECKS,
    *behaviour.CHECKS,
    *stepping.CHECKS,
    *learning.CHECKS,
    *checkpoints.CHECKS,
)


def router_checks(
    router_class: type[Any], options: dict[str, Any] | None = None
) -> list[RouterCheck]:
    """Return every check as a callable without arguments, with a `name`.

    Calling it raises `AssertionError` where the router breaks the rule, and `unittest.SkipTest`
    (a skipped test to pytest) where the rule does not apply. They share one fitted router.
    """
    subject = Subject(router_class, options)
    outcomes: dict[str, Any] = {}
    return [RouterCheck(check, subject, outcomes) for check in CHECKS]


def check_router(router_class: type[Any], options: dict[str, Any] | None = None) -> None:
    """Run every check; one `AssertionError` names each broken rule, what was expected and seen.

    `options` are values for the router's `Options`, such as the names of two of `MODELS`.
    """
    broken = []
    for check in router_checks(router_class, options):
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
    routers: Iterable[type[Any] | tuple[type[Any], dict[str, Any]]],
) -> pytest.MarkDecorator:
    """Return a pytest decorator: one test per router and check, as the argument `check`.

    ```python
    @parametrize_with_checks([MyRouter, (MyRouter, {"k": 5})])
    def test_conformance(check):
        check()
    ```
    """
    import pytest

    parameters = []
    for number, entry in enumerate(routers):
        router_class, options = entry if isinstance(entry, tuple) else (entry, None)
        label = router_class.__name__ if options is None else f"{router_class.__name__}{number}"
        parameters += [
            pytest.param(check, id=f"{label}-{check.name}")
            for check in router_checks(router_class, options)
        ]
    return pytest.mark.parametrize("check", parameters)
