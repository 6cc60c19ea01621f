"""Checks of router plugins, for their authors; only the last of them needs pytest.

`check_router(MyRouter)` holds a router to the contract of `routebench.hookspecs`;
`parametrize_with_checks([MyRouter])` does the same as one pytest test per check.
"""

from __future__ import annotations

from routebench.testing.conformance import check_router, parametrize_with_checks, router_checks
from routebench.testing.rules import RouterCheck
from routebench.testing.tables import MODELS, Tables, synthetic_tables

__all__ = [
    "MODELS",
    "RouterCheck",
    "Tables",
    "check_router",
    "parametrize_with_checks",
    "router_checks",
    "synthetic_tables",
]
