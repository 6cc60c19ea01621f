"""The `routebench` command: one subcommand per file of `routebench.commands`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from routebench import __version__, commands
from routebench.errors import RoutebenchError, did_you_mean


class Commands(click.Group):
    """Finds subcommands by file name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"routebench.commands.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            hint = did_you_mean(args[0], known)
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="routebench")
def cli() -> None:
    """Benchmark LLM routers: accuracy, cost and usage, each with its confidence interval."""


def main() -> None:
    """Run the command; errors meant for the user become one line and an exit code."""
    try:
        cli(prog_name="routebench")
    except RoutebenchError as error:
        click.echo(f"error: {_line(error.message)}", err=True)
        if error.hint:
            click.echo(f"hint: {_line(error.hint)}", err=True)
        sys.exit(error.exit_code)


def _line(text: str) -> str:
    return " ".join(text.splitlines())


if __name__ == "__main__":
    main()
