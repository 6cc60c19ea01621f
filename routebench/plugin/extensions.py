"""Extensions, which observe a run, and may wrap `fit`, `route` and `judge`.

An observer that breaks is named and passed over: never the run's end. A wrapper that breaks fails
what it wraps, by its name: the decisions or grades without it would be other ones.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pluggy

from routebench import hookspecs
from routebench.errors import PluginError, RoutebenchError
from routebench.files import absolute
from routebench.plugin import discovery, options
from routebench.plugin.discovery import PluginInfo

WRAPPABLE = ("fit", "refit", "route", "step", "update", "judge")
Values = Mapping[str, dict[str, Any]]
"""Options of plugins by name, as `--set` gives them."""


@dataclass(frozen=True)
class Extension:
    """An extension of this environment, loaded."""

    info: PluginInfo
    options: dict[str, Any]
    """All options with their values, defaults included."""
    plugin: Any
    hook: Any
    """Its hooks alone: pluggy stops at the first implementation that raises."""
    wraps: tuple[str, ...]
    """Which of the hooks of routers and judges it wraps."""


class Extensions:
    """The installed extensions with their options; `note` receives those that cannot be used."""

    def __init__(self, values: Values, note: Callable[[str], None] = lambda text: None) -> None:
        self._note = note
        self._loaded: dict[str, Extension] = {}
        for info in discovery.installed("extension"):
            # A wrapper's process has a working folder of its own.
            given = {key: absolute(value) for key, value in values.get(info.name, {}).items()}
            try:
                self._loaded[info.name] = load(info.name, given)
            except RoutebenchError as error:
                if given:
                    raise  # what the user asked for
                note(f"extension {info.name} is left out: {error}")

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call an observer hook of every extension."""
        for name, extension in self._loaded.items():
            try:
                getattr(extension.hook, hook)(**arguments)
            except Exception as error:
                self._note(f"extension {name} failed in {hook}: {type(error).__name__}: {error}")

    def around(self, *hooks: str) -> dict[str, Extension]:
        """Return the extensions that wrap any of the hooks, by name."""
        return {n: one for n, one in self._loaded.items() if set(hooks) & set(one.wraps)}

    def summary(self) -> dict[str, Any]:
        """Return the extensions' entries on the board: distribution, version and hooks.

        Options are told of those that wrap, for results depend on them; an observer's may hold an
        address that is nobody's business.
        """
        return {
            name: {
                "distribution": one.info.distribution,
                "version": one.info.version,
                "wraps": list(one.wraps),
                "options": one.options if one.wraps else {},
            }
            for name, one in self._loaded.items()
        }


def load(name: str, values: dict[str, Any]) -> Extension:
    """Load an extension by name.

    Raises:
        RoutebenchError: where it cannot be imported, an option is wrong, or a hook is misnamed.
    """
    info = discovery.find("extension", name)
    cls = discovery.load(info)
    checked = options.validate(cls, name, values)
    try:
        plugin = cls(checked)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"extension {name!r} cannot be made: {text}") from error
    manager = pluggy.PluginManager("routebench")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(" ".join(str(error).split()), f"from {info.target}") from error
    wraps = []
    for hook in WRAPPABLE:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if not implementation.wrapper:
                raise PluginError(
                    f"extension {name!r} would answer {hook} itself",
                    f"decorate its {hook} with @routebench.hookimpl(wrapper=True)",
                )
            wraps.append(hook)
    return Extension(info, checked.model_dump(mode="json"), plugin, manager.hook, tuple(wraps))


def load_all(extensions: Values) -> dict[str, Any]:
    """Return the plugin objects of wrappers, by name, to be registered around a router.

    Raises:
        PluginError: naming the extension that cannot be loaded.
    """
    loaded = {}
    for name, values in extensions.items():
        try:
            loaded[name] = load(name, values).plugin
        except RoutebenchError as error:
            raise PluginError(f"extension {name!r}, which wraps this: {error}") from error
    return loaded


@contextmanager
def attributed(hook: pluggy.HookCaller, extensions: Collection[str]) -> Iterator[None]:
    """Name the extension at fault where a wrapped hook raises."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if not extensions or not (name := _culprit(hook, extensions, error)):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"extension {name} failed in {hook.name}: {text}") from error


def _culprit(hook: pluggy.HookCaller, extensions: Collection[str], error: BaseException) -> str:
    """Return the plugin whose code raised: the innermost hook implementation under way.

    Where none was, a wrapper broke pluggy's rules (it yielded twice, say).
    """
    code = {
        implementation.function.__code__: implementation.plugin_name
        for implementation in hook.get_hookimpls()
        if hasattr(implementation.function, "__code__")
    }
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if (owner := code.get(frame.f_code)) is not None:
            return owner if owner in extensions else ""
    return " or ".join(extensions)
