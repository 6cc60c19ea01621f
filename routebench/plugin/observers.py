"""Extensions that watch a run. One that breaks is named and passed over: never the run's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

from routebench import hookspecs
from routebench.errors import RoutebenchError
from routebench.plugin import discovery, options
from routebench.plugin.discovery import PluginInfo


class Observers:
    """The installed extensions; `note` is told of those that fail."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._hooks: dict[str, Any] = {}
        for info in discovery.installed("extension"):
            try:
                self._hooks[info.name] = _hooks(info)
            except (RoutebenchError, pluggy.PluginValidationError) as error:
                note(f"extension {info.name} is left out: {error}")

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a hook of every extension."""
        for name, hooks in self._hooks.items():
            try:
                getattr(hooks, hook)(**arguments)
            except Exception as error:
                self._note(f"extension {name} failed in {hook}: {type(error).__name__}: {error}")


def _hooks(info: PluginInfo) -> Any:
    # A manager each: pluggy stops at the first implementation that raises.
    manager = pluggy.PluginManager("routebench")
    manager.add_hookspecs(hookspecs)
    plugin = discovery.load(info)
    manager.register(plugin(options.validate(plugin, info.name, {})), info.name)
    manager.check_pending()
    return manager.hook
