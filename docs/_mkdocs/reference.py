"""The parts of the reference that are made from the code, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from importlib.resources import files
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from routebench.__main__ import cli
from routebench.plugin import described, discovery, options

NAME = "routebench"
COLUMNS = ("option", "type", "default", "bounds", "help")
EXAMPLE = "\b"
"""What begins a paragraph of a command's help that is shown as it is written."""


def commands() -> str:
    """Return every command of RouteBench with its help, usage and options."""
    return "\n\n".join(_command(context) for context in walk(click.Context(cli, info_name=NAME)))


def walk(context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command below a group, by name."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=context)
        yield from walk(below) if isinstance(command, click.Group) else [below]


def _command(context: click.Context) -> str:
    command = context.command
    parts = [f"## {context.command_path}"]
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith(EXAMPLE):
            parts.append(f"```sh\n{paragraph.removeprefix(EXAMPLE).strip()}\n```")
        else:
            parts.append(_text(paragraph))
    usage = " ".join(command.collect_usage_pieces(context))
    parts.append(f"```text\n{context.command_path} {usage}\n```")
    rows = [
        [_names(option), _text(option.help or "") + _default(option, context)]
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    lines = ["| option | |", "|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n\n".join([*parts, "\n".join(lines)])


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(cli))}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _default(option: click.Option, context: click.Context) -> str:
    value = option.get_default(context)
    stated = isinstance(value, str | int | float | Path) and not option.is_flag
    told = "default" in (option.help or "")
    return f" Default: `{value}`." if stated and not told else ""


def plugins() -> str:
    """Return every installed plugin of RouteBench, by kind, with its options."""
    parts = []
    for kind in discovery.KINDS:
        installed = [i for i in discovery.installed(kind) if i.distribution == "routebench"]
        if not installed:
            continue
        parts.append(f"## {kind.capitalize()}s\n")
        ranked = sorted(installed, key=lambda info: (described.family(info), info.name))
        parts += ["\n".join(_plugin(info)) for info in ranked]
    return "\n\n".join(parts)


def _plugin(info: discovery.PluginInfo) -> Iterator[str]:
    yield f"### `{info.name}`\n"
    yield _text(described.about(info)) + "\n"
    if info.name in (metadata.metadata("routebench").get_all("Provides-Extra") or ()):
        yield f"`{info.pip}` installs what it needs.\n"
    if info.kind == "command":
        yield f"Its options: [routebench {info.name}](commands.md#routebench-{info.name}).\n"
        return
    module, _, name = info.target.partition(":")
    try:
        plugin = getattr(import_module(module), name)  # mostly without what it needs, too
    except ImportError:
        yield f"`routebench plugins {info.name}` prints its options where it is installed.\n"
        return
    stated = [] if info.kind == "executor" else options.describe(plugin)
    if not stated:
        yield "No options.\n"
        return
    yield _table(COLUMNS, [[option[column] for column in COLUMNS] for option in stated])
    for profile, values in getattr(plugin, "presets", {}).items():
        words = ", ".join(f"`{name}={_plain(value)}`" for name, value in values.items())
        yield f"\n`--profile {profile}`: {words}\n"


def board() -> str:
    """Return the records of `leaderboard.json`, from its JSON Schema."""
    text = (files("routebench") / "leaderboard.schema.json").read_text("utf-8")
    schema = json.loads(text)
    records = {"Leaderboard": schema} | schema["$defs"]
    return "\n\n".join(_record(name, records[name]) for name in _reached(records))


def _reached(records: dict[str, Any]) -> list[str]:
    """Return the records in the order in which the file leads to them."""
    found = ["Leaderboard"]
    for name in found:  # grows while it is gone through
        for other in re.findall(r'"#/\$defs/(\w+)"', json.dumps(records[name]["properties"])):
            if other not in found:
                found.append(other)
    return found


def _record(name: str, record: dict[str, Any]) -> str:
    required = record.get("required", [])
    rows = [
        [field, _type(kind), "" if field in required else "optional", kind.get("description", "")]
        for field, kind in record["properties"].items()
    ]
    about = record.get("description", "")
    return f"## {name}\n\n{_text(about)}\n\n" + _table(("field", "type", "", ""), rows)


def _type(kind: dict[str, Any]) -> str:
    """Return a JSON type in words, with links to the records that it is made of."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(_type(each) for each in kind["anyOf"])
    if "const" in kind or "enum" in kind:
        return ", ".join(f"`{json.dumps(v)}`" for v in kind.get("enum", [kind.get("const")]))
    if "prefixItems" in kind:
        return f"list of {len(kind['prefixItems'])}: " + _type(kind["prefixItems"][0])
    if kind.get("type") == "array":
        return f"list of {_type(kind.get('items', {}))}"
    if kind.get("type") == "object":
        inner = kind.get("additionalProperties")
        return f"by name: {_type(inner)}" if isinstance(inner, dict) else "object"
    return str(kind.get("type", "any"))


def _table(head: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head)]
    lines += [[f"`{row[0]}`", *(_cell(value) for value in row[1:])] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    text = _plain(value)
    return text.replace("|", "\\|").replace("\n", " ") if "](#" in text else _text(text)


def _plain(value: Any) -> str:
    return "unset" if value is None else str(value)


def _text(text: str) -> str:
    """Return plain text so that Markdown shows it as it is; options and backticks are code."""
    parts = re.sub(r"(?<![\w`-])--[a-z][\w-]*(?![\w`])", r"`\g<0>`", text).split("`")
    for at, part in enumerate(parts):
        parts[at] = f"`{part}`" if at % 2 else re.sub(r"([\\*_{}\[\]<>#|])", r"\\\1", part)
    return " ".join("".join(parts).split())


PARTS: dict[str, Callable[[], str]] = {"commands": commands, "plugins": plugins, "board": board}
