"""The `routebench` command: one subcommand per file of `routebench.commands`, and plugins' own."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import shutil
import sys

import click

from routebench import __version__, commands
from routebench.errors import RoutebenchError, did_you_mean
from routebench.files import reason
from routebench.plugin import discovery
from routebench.report.plain_letters import use_plain_letters

_FULL = (errno.ENOSPC, errno.EDQUOT)  # no fault of the program's


class Commands(click.Group):
    """Find subcommands by file name or entry point, and import the one that is asked for.

    A distribution adds one as a click command under the entry-point group `routebench.commands`;
    none can take the name of a built-in.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        added = {info.name for info in discovery.installed("command")}
        return sorted(_built_in() | added)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _built_in():
            module = importlib.import_module(f"routebench.commands.{name}")
            command: click.Command = module.command
            return command
        if not any(info.name == name for info in discovery.installed("command")):
            return None
        try:
            added: click.Command = discovery.load(discovery.find("command", name))
        except RoutebenchError as error:
            return _broken(name, error)
        return added

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            hint = did_you_mean(args[0], known)
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


def _built_in() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commands.__path__)}


def _broken(name: str, error: RoutebenchError) -> click.Command:
    """Stand in for a command that cannot be used, so that the others still can be listed."""

    def fail(**_: object) -> None:
        raise error

    words = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(
        name, words, fail, help=f"Cannot be used: {error.message}", add_help_option=False
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="routebench")
def cli() -> None:
    """Benchmark LLM routers: accuracy, cost and usage, each with its confidence interval."""


def main() -> None:
    """Run the command; errors meant for the user become one line and an exit code."""
    use_plain_letters()
    try:
        cli(prog_name="routebench")
    except RoutebenchError as error:
        click.echo(f"error: {_line(error.message)}", err=True)
        if error.hint:
            click.echo(f"hint: {_line(error.hint)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _FULL and not isinstance(error, shutil.Error):
            raise
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {_line(place + reason(error))}", err=True)
        sys.exit(RoutebenchError.exit_code)


def _line(text: str) -> str:
    return " ".join(text.splitlines())


if __name__ == "__main__":
    main()
