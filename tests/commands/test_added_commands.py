"""Commands that other distributions add, beside the built-in ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Main = Callable[..., tuple[int, str, str]]
SOURCE = """
import click

SOURCE = "no command"

@click.command()
@click.argument("name")
def greet(name):
    "Greet somebody by NAME."
    click.echo(f"hello {name}")

@click.command()
def silent():
    click.echo("done")

@click.command()
def run():
    "Replace the built-in."
    click.echo("replaced")
"""


@pytest.fixture
def added(distribution: Callable[..., Path]) -> Callable[..., None]:
    """Make a distribution with the given lines under `routebench.commands`."""

    def make(lines: str, name: str = "more-commands") -> None:
        distribution(name, f"[routebench.commands]\n{lines}\n", SOURCE)

    return make


def test_a_command_is_listed_and_runs(main: Main, added: Callable[[str], None]) -> None:
    added("greet = more_commands:greet\nsilent = more_commands:silent")
    assert main("plugins", "silent")[0] == 0  # though it has no help
    code, out, _ = main("--help")
    assert code == 0
    assert "Greet somebody by NAME." in out
    assert main("greet", "Ada") == (0, "hello Ada\n", "")
    code, out, _ = main("plugins", "greet")
    assert code == 0
    assert "Greet somebody by NAME." in out
    code, _, err = main("gret", "Ada")
    assert code == 2
    assert "greet" in err


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("more_commands:nothing", "command 'broken': more_commands has nothing named 'nothing'"),
        ("more_commands:SOURCE", "command 'broken' is str, no click command"),
        ("nowhere:at_all", "command 'broken' cannot be imported: ModuleNotFoundError: No module"),
        ("leaver:command", "command 'broken' cannot be imported: SystemExit: 3"),
    ],
)
def test_a_broken_command_breaks_itself_only(
    main: Main,
    added: Callable[[str], None],
    distribution: Callable[..., Path],
    target: str,
    reason: str,
) -> None:
    distribution("leaver", "", "raise SystemExit(3)\n")
    added(f"broken = {target}\ngreet = more_commands:greet")
    code, out, _ = main("--help")
    assert code == 0
    assert "Cannot be used" in out
    assert "greet" in out
    for words in (("broken", "--any", "words"), ("broken", "--help"), ("plugins", "broken")):
        code, out, err = main(*words)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {reason}")
        assert len(err.splitlines()) <= 2


def test_a_command_whose_extra_is_missing_says_how_to_get_it(
    main: Main, distribution: Callable[..., Path]
) -> None:
    entry = "[routebench.commands]\ngreet = more_commands:greet\n"
    distribution("more-commands", entry, SOURCE, ["nosuch-package>=2; extra == 'greet'"])
    assert main("greet", "Ada") == (
        2,
        "",
        "error: command 'greet' needs nosuch-package>=2\n"
        "hint: pip install 'more-commands[greet]'\n",
    )


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
