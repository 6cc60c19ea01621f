"""`routebench plugins`: the installed plugins, and the options of each."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from typing import Any

import click

from routebench.printed import echo, echo_json


@click.command()
@click.argument("what", required=False, metavar="[KIND|NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(what: str | None, as_json: bool) -> None:
    """List the installed plugins, those of one KIND, or the options of one by NAME.

    Kinds: router, suite, judge, provider, encoder, importer, reader, command, extension. Routers
    are listed by family. A list imports no plugin: what each does is read from its source.
    """
    from routebench.plugin import discovery

    kind = what.removesuffix("s") if what else None
    if kind is None or kind in discovery.KINDS:
        _list([_facts(info) for info in discovery.installed(kind)], as_json)
    else:
        assert what is not None
        _describe(what, as_json)


def _facts(info: Any) -> dict[str, Any]:
    from routebench.plugin import described

    status = "ready" if info.ready else f"needs {', '.join(info.missing)}: {info.pip}"
    words = {"about": described.about(info), "family": described.family(info)}
    return asdict(info) | {"ready": info.ready, "status": status} | words


def _list(plugins: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        echo_json(json.dumps(plugins, indent=2))
        return
    groups: dict[str, list[dict[str, Any]]] = {}
    for plugin in sorted(plugins, key=lambda plugin: (not plugin["family"], plugin["family"])):
        groups.setdefault(_group(plugin), []).append(plugin)
    order = {f"{plugin['kind']}s": None for plugin in plugins}  # of kinds
    ranked = sorted(groups.items(), key=lambda item: list(order).index(item[0].partition(":")[0]))
    for at, (group, members) in enumerate(ranked):
        echo(("\n" if at else "") + group)
        room = max(len(plugin["name"]) for plugin in members)
        for plugin in members:
            echo(_entry(plugin, room))
    for plugin in plugins:
        if not plugin["ready"]:  # on a line of its own, so that it can be copied
            echo(f"{plugin['kind']} {plugin['name']} {plugin['status']}")


def _group(plugin: dict[str, Any]) -> str:
    """Return the heading that a list shows a plugin under."""
    return f"{plugin['kind']}s" + (f": {plugin['family']}" if plugin["family"] else "")


def _entry(plugin: dict[str, Any], room: int) -> str:
    """Return one plugin on one line: its name, what it does, and whose it is or what it lacks."""
    about = plugin["about"]
    notes = [] if plugin["distribution"] == "routebench" else [_owner(plugin)]
    if not plugin["ready"]:
        notes.append(plugin["status"].partition(":")[0])
    note = f" ({'; '.join(notes)})" if notes else ""
    return f"  {plugin['name']:<{room}}  {about}{note}".rstrip()


def _owner(plugin: dict[str, Any]) -> str:
    return f"{plugin['distribution']} {plugin['version'] or ''}".strip()


def _describe(name: str, as_json: bool) -> None:
    from routebench.errors import OptionError, did_you_mean, nearest
    from routebench.plugin import discovery, options

    known = discovery.installed()
    found = [info for info in known if info.name == name]
    if not found and ".py:" in name:
        found = [discovery.find("router", name)]
    if not found:
        names = [*discovery.KINDS, *(info.name for info in known)]
        close = did_you_mean(name, names) if nearest(name, names) else ""
        hint = close or "`routebench plugins` lists all that are installed"
        raise OptionError(f"no plugin or kind named {name!r}", hint)
    described = []
    for info in found:
        plugin = discovery.load(info)
        if info.kind in ("command", "executor"):
            about = plugin.help if info.kind == "command" else inspect.getdoc(plugin)
            described.append(_facts(info) | {"about": about or "", "options": [], "presets": {}})
            continue
        # A public base class documents what several plugins share.
        shared = [c for c in plugin.__mro__[1:] if hasattr(c, "Options") and _is_public(c)]
        docs = dict.fromkeys(c.__doc__ or "" for c in (plugin, *shared))
        about = " ".join(" ".join(docs).split())
        described.append(
            _facts(info)
            | {"about": about, "options": options.describe(plugin)}
            | {"presets": getattr(plugin, "presets", {})}
        )
    if as_json:
        echo_json(json.dumps(described, indent=2))
        return
    for facts in described:
        echo(f"{facts['kind']} {facts['name']} {facts['version'] or ''} ({facts['status']})")
        echo(facts["about"] + "\n")
        if not facts["options"]:
            echo("no options")
            continue
        columns = ["option", "type", "default", "bounds", "help"]
        rows = [[_shown(option[column]) for column in columns] for option in facts["options"]]
        _table(columns, rows)
        for profile, values in facts["presets"].items():
            words = ", ".join(f"{name}={_shown(value)}" for name, value in values.items())
            echo(f"--profile {profile}: {words}")


def _is_public(base: type) -> bool:
    """Return whether the base class is public and the plugin's own, not RouteBench's."""
    return not base.__name__.startswith("_") and not base.__module__.startswith("routebench.")


def _shown(value: Any) -> str:
    return "unset" if value is None else str(value)


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from routebench.report.terminal import console

    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(escape(str(cell or "")) for cell in row))
    console.make().print(table)
