"""Every `--help` is in whole sentences, and every plugin says what it does in a list."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from routebench.__main__ import cli
from routebench.plugin import described, discovery
from routebench.plugin.discovery import PluginInfo

Main = Callable[..., tuple[int, str, str]]
# What a whole sentence on an option begins with: it says what the option does.
VERBS = {
    "Accept", "Add", "Append", "Ask", "Assume", "Buy", "Call", "Chat", "Check", "Choose", "Collect",
    "Compare", "Copy", "Count", "Cross-fit", "Decide", "Draw", "Encode", "End", "Exit", "Fetch",
    "Fork", "Gate", "Give", "Grade", "Judge", "Keep", "Leave", "Let", "List", "Listen", "Load",
    "Log", "Make", "Name", "Open", "Price", "Print", "Read", "Refuse", "Route", "Run", "Send",
    "Serve", "Set", "Show", "Sign", "Split", "Start", "Take", "Train", "Wait", "Write",
}  # fmt: skip


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from commands(below, f"{name} {each}")


def test_options_are_told_in_whole_sentences() -> None:
    odd = [
        f"{name} {option.opts[0]}: {option.help}"
        for name, command in commands(cli, "routebench")
        for option in command.params
        if isinstance(option, click.Option) and option.name != "version"
        if not _is_sentence(option.help or "")
    ]
    assert odd == []


def _is_sentence(text: str) -> bool:
    return text.endswith(".") and text.split()[0] in VERBS


def test_commands_are_told_in_whole_sentences() -> None:
    for name, command in commands(cli, "routebench"):
        assert command.help, name
        first = command.help.partition("\n\n")[0]
        assert first[0].isupper(), name
        assert first.endswith("."), name


def test_a_list_says_what_each_plugin_does(main: Main) -> None:
    code, out, _ = main("plugins")
    assert code == 0
    blocks = out.split("\n\n")
    groups = {lines[0]: lines[1:] for lines in (block.splitlines() for block in blocks)}
    assert "  knn" in "\n".join(groups["routers: learned from texts"])
    assert groups["routers: references"][1].startswith("  best-single     The model with the best")
    code, out, _ = main("plugins", "--json")
    for plugin in json.loads(out):
        if plugin["distribution"] == "routebench":
            assert plugin["about"].endswith("."), plugin["name"]
            assert bool(plugin["family"]) == (plugin["kind"] == "router"), plugin["name"]


def test_nothing_is_imported_for_a_list(distribution: Callable[..., Path], main: Main) -> None:
    source = 'class Alpha:\n    """Chooses\n    by itself.\n\n    More."""\n    family = "odd"\n'
    raising = 'raise SystemExit("imported")\n'
    plugins = "[routebench.routers]\nalpha = acme:Alpha\nbeta = acme:Beta\ngamma = gone:Gamma\n"
    distribution("acme", plugins, source + raising)
    code, out, _ = main("plugins", "routers")
    assert code == 0
    assert "routers: odd\n  alpha  Chooses by itself. (acme 1.2)\n" in out
    (others,) = [block for block in out.split("\n\n") if block.startswith("routers\n")]
    # What routers lack is told after the last block.
    assert others.partition("\nrouter ")[0].split() == [
        "routers",
        "beta",
        "(acme",
        "1.2)",
        "gamma",
        "(acme",
        "1.2)",
    ]


@pytest.mark.parametrize("content", ["class Alpha(:", "\0", "Alpha = 1"])
def test_sources_that_say_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(content)
    info = PluginInfo("router", "Alpha", f"{tmp_path / 'mine.py'}:Alpha", None, None)
    assert (described.about(info), described.family(info)) == ("", "")
    gone = PluginInfo("router", "Alpha", f"{tmp_path / 'gone.py'}:Alpha", None, None)
    assert described.about(gone) == ""


def test_descriptions_are_those_of_the_classes() -> None:
    for info in discovery.installed("judge"):
        doc = inspect.getdoc(discovery.load(info)) or ""
        assert described.about(info) == " ".join(doc.partition("\n\n")[0].split()) != ""
