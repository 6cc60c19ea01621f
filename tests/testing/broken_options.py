"""What breaks a rule of every kind of plugin: `broken` names its check."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from pydantic import BaseModel

CLOCK = SimpleNamespace(seconds=0.0)
"""What the time is, to those who ask; it stands still while nobody moves it on."""


class Stored:
    broken = ""

    class Options(BaseModel):
        least: int = 1

    def __init__(self, options: Any) -> None:
        self.options = options


class ChangesOptions(Stored):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        options.least = 7
        self.options = options


class Slow(Stored):
    broken = "check_init_only_stores"

    def __init__(self, options: Any) -> None:
        CLOCK.seconds += 2
        self.options = options


class Optionless(Stored):
    broken = "check_options"
    Options: ClassVar[Any] = dict


class Demanding(Stored):
    broken = "check_options"

    class Options(BaseModel):
        needed: int


SHARED = (ChangesOptions, Slow, Optionless, Demanding)


def of_kind(sound: type[Any]) -> list[type[Any]]:
    """Return the faults that every kind may have, as classes of one."""
    return [type(each.__name__, (each, sound), {"broken": each.broken}) for each in SHARED]
