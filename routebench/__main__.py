"""The `routebench` command: one subcommand per file of `routebench.commands`, and plugins' own."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import cache
from importlib import metadata

import click

from routebench import __version__, commands
from routebench.errors import PluginError, RoutebenchError, did_you_mean


class Commands(click.Group):
    """Find subcommands by file name or entry point, and import the one that is asked for.

    A distribution adds one as a click command under the entry-point group `routebench.commands`;
    none can take the name of a built-in.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_built_in() | set(_added().names))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _built_in():  # the metadata of all distributions is not read for these
            module = importlib.import_module(f"routebench.commands.{name}")
            command: click.Command = module.command
            return command
        if name not in _added().names:
            return None
        (entry, *others) = _added().select(name=name)
        if others:
            owners = " and ".join(sorted(e.dist.name for e in (entry, *others) if e.dist))
            raise PluginError(f"command {name!r} is offered by {owners}", "uninstall one of them")
        try:
            loaded: click.Command = entry.load()
        except Exception as error:
            return _broken(name, entry.value, error)
        return loaded

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


@cache
def _added() -> metadata.EntryPoints:
    return metadata.entry_points(group="routebench.commands")


def _broken(name: str, place: str, error: Exception) -> click.Command:
    """Stand in for a command that cannot be imported, so that the others still can be listed."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())

    def fail(**_: object) -> None:
        raise PluginError(f"command {name!r} cannot be imported: {reason}", f"from {place}")

    words = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, words, fail, help=f"Cannot be imported: {reason}")


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
