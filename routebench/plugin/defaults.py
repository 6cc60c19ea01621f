"""Defaults for members that a router's class leaves out: no options, nothing learned or saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from routebench.hookspecs import Router, hookimpl

LEARNING = ("fit", "save", "load")
"""What a router that learns has to have; one without any of them learns nothing."""


class NoOptions(BaseModel):
    """Options without a field."""


class Defaults:
    """No options, and an `__init__` that stores them."""

    Options: ClassVar[type[BaseModel]] = NoOptions

    def __init__(self, options: Any) -> None:
        self.options = options


class Stateless(Defaults):
    """A router that decides by the query alone."""

    @hookimpl
    def fit(self) -> None:
        """Learn nothing."""

    def save(self, folder: Path) -> None:
        """Write nothing."""

    def load(self, folder: Path) -> None:
        """Read nothing."""


def complete(router: type[Any]) -> type[Any]:
    """Return the class with the defaults for what it lacks; the class itself if that is nothing.

    A class that has one of `fit`, `save` and `load` gets none of them: the others were forgotten.
    """
    learns = any(hasattr(router, name) for name in LEARNING)
    # A class that names the protocol as its base inherits an `__init__` that is none of its own.
    starts = router.__init__ not in (object.__init__, Router.__init__)
    if learns and starts and hasattr(router, "Options"):
        return router
    names = ("__module__", "__qualname__", "__doc__")
    inherited = {name: getattr(router, name) for name in names}
    # The router's own class comes first: the defaults only fill what it does not have.
    return type(router.__name__, (router, Defaults if learns else Stateless), inherited)
