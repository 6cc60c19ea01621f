"""What the checks of a plugin find."""

from __future__ import annotations

import unittest
from collections.abc import Iterable

from routebench.testing import PluginCheck


def failures(checks: Iterable[PluginCheck]) -> dict[str, str]:
    """Return the messages of the checks that fail, by name; those that skip themselves do not."""
    failed = {}
    for check in checks:
        try:
            check()
        except unittest.SkipTest:
            continue
        except AssertionError as error:
            failed[check.name] = str(error)
    return failed
