"""Routers that are given as classes or instances: the names by which a run finds them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from routebench.api import source
from routebench.api.inputs import stored
from routebench.errors import OptionError
from routebench.names import is_name
from routebench.plugin import discovery

Options = dict[str, dict[str, Any]]
"""Option values by router."""


def named(routers: Any) -> tuple[list[str], Options]:
    """Return routers as `--router` names them, and the options of those given as instances.

    Raises:
        OptionError: what is given is no router, or its code cannot be run by a process of its own.
    """
    if isinstance(routers, str):
        return [name.strip() for name in routers.split(",") if name.strip()], {}
    if isinstance(routers, type) or not isinstance(routers, Sequence):
        routers = [routers]
    names: list[str] = []
    options: Options = {}
    for router in routers:
        if isinstance(router, str):
            names.append(router)
            continue
        name = _name(router if isinstance(router, type) else type(router))
        label, count = name, 1
        while label in names:  # two of one class
            count += 1
            label = f"{name}@{count}"
        names.append(label)
        if not isinstance(router, type) and (values := _values(router)):
            options[label.rpartition(".py:")[2]] = values
    return names, options


def _name(router: type[Any]) -> str:
    """Return the name of an installed router, or the file and class of another one."""
    target = f"{router.__module__}:{router.__qualname__}"
    for info in discovery.installed("router"):
        if info.target == target:
            return info.name
    if not {"route", "step"} & set(dir(router)):
        raise OptionError(
            f"{router.__qualname__} is no router: it has no method `route`",
            "a router is a name such as 'knn', or a class with a method `route`, marked @hookimpl",
        )
    if router.__qualname__ != router.__name__ or not is_name(router.__name__):
        raise OptionError(
            f"router {router.__qualname__}: a process of its own cannot find a class that is "
            "made inside a function or another class",
            "define it at the top level",
        )
    module = sys.modules.get(router.__module__)
    place = None if module is None else inspect.getsourcefile(module) if _filed(module) else None
    if router.__module__ != "__main__" and place is not None:
        return f"{place}:{router.__name__}"
    content = source.standalone(router).encode()
    kept = stored("routers", "{}/" + f"{router.__name__}.py", content)
    return f"{kept}:{router.__name__}"


def _filed(module: Any) -> bool:
    return getattr(module, "__file__", None) is not None


def _values(router: Any) -> dict[str, Any]:
    """Return the options of an instance, as plain values."""
    options = getattr(router, "options", None)
    if isinstance(options, BaseModel):
        return options.model_dump(mode="json", exclude_unset=True)
    if vars(router):
        name = type(router).__name__
        raise OptionError(
            f"router {name}: an instance is made again in a process of its own, from its `options`,"
            " and this one has none",
            f"give the class, {name}, or put what it holds into a pydantic model `Options`",
        )
    return {}
