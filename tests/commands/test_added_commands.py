"""Commands that other distributions add, beside the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import routebench.__main__ as entry

Main = Callable[..., tuple[int, str, str]]
SOURCE = """
import click

@click.command()
@click.argument("name")
def greet(name):
    "Greet somebody by NAME."
    click.echo(f"hello {name}")

@click.command()
def run():
    "Replace the built-in."
    click.echo("replaced")
"""


@pytest.fixture
def added(distribution: Callable[..., Path]) -> Iterator[Callable[[str], None]]:
    """Make a distribution with the given lines under `routebench.commands`."""

    def make(lines: str, name: str = "more-commands") -> None:
        distribution(name, f"[routebench.commands]\n{lines}\n", SOURCE)
        entry._added.cache_clear()

    entry._added.cache_clear()
    yield make
    entry._added.cache_clear()


def test_a_command_is_listed_and_runs(main: Main, added: Callable[[str], None]) -> None:
    added("greet = more_commands:greet")
    code, out, _ = main("--help")
    assert code == 0
    assert "Greet somebody by NAME." in out
    assert main("greet", "Ada") == (0, "hello Ada\n", "")
    code, _, err = main("gret", "Ada")
    assert code == 2
    assert "greet" in err


def test_a_broken_command_breaks_itself_only(main: Main, added: Callable[[str], None]) -> None:
    added("broken = more_commands:nothing\ngreet = more_commands:greet")
    code, out, _ = main("--help")
    assert code == 0
    assert "Cannot be imported" in out
    assert "greet" in out
    code, out, err = main("broken", "--any", "words")
    assert code != 0
    assert err.startswith("error: command 'broken' cannot be imported: AttributeError")
    assert "from more_commands:nothing" in err


def test_none_takes_the_name_of_a_built_in(main: Main, added: Callable[[str], None]) -> None:
    added("run = more_commands:run")
    code, out, _ = main("run", "--help")
    assert code == 0
    assert "Train routers on a suite" in out


def test_two_of_one_name_are_refused(main: Main, added: Callable[..., None]) -> None:
    added("greet = more_commands:greet")
    added("greet = other_commands:greet", "other-commands")
    code, _, err = main("greet", "Ada")
    assert code != 0
    assert "offered by more-commands and other-commands" in err
