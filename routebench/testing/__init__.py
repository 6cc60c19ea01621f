"""Checks of plugins, for their authors; only `parametrize_with_checks` needs pytest.

`check_router(MyRouter)` holds a router to the contract of `routebench.hookspecs`, and
`check_suite`, `check_judge`, `check_provider` and `check_encoder` the other kinds;
`parametrize_with_checks([MyRouter])` does the same as one pytest test per check. On the command
line: `routebench check NAME`.
"""

from __future__ import annotations

from routebench.testing.conformance import (
    check_encoder,
    check_judge,
    check_provider,
    check_router,
    check_suite,
    parametrize_with_checks,
    plugin_checks,
    router_checks,
)
from routebench.testing.rules import PluginCheck
from routebench.testing.tables import MODELS, Tables, synthetic_tables

__all__ = [
    "MODELS",
    "PluginCheck",
    "Tables",
    "check_encoder",
    "check_judge",
    "check_provider",
    "check_router",
    "check_suite",
    "parametrize_with_checks",
    "plugin_checks",
    "router_checks",
    "synthetic_tables",
]
