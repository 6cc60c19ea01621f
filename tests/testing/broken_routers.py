"""All routers that each break one rule: `broken` names the check that says so."""

from __future__ import annotations

from typing import Any

import broken_checkpoints
import broken_contracts
import broken_learning
import broken_routing

MODULES = (broken_contracts, broken_routing, broken_learning, broken_checkpoints)
BROKEN: list[Any] = [
    each for module in MODULES for each in vars(module).values() if hasattr(each, "broken")
]
