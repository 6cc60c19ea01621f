"""Sound plugins and broken ones, by kind."""

from __future__ import annotations

from typing import Any

from broken_encoders import ENCODERS, Encoder
from broken_judges import JUDGES, Judge
from broken_providers import PROVIDERS, Live, Provider
from broken_suites import SUITES, Suite

SOUND: dict[Any, list[type[Any]]] = {
    "judge": [Judge], "suite": [Suite], "provider": [Provider, Live], "encoder": [Encoder],
}  # fmt: skip
BROKEN: dict[Any, list[Any]] = {
    "judge": JUDGES, "suite": SUITES, "provider": PROVIDERS, "encoder": ENCODERS,
}  # fmt: skip
