"""The `routebench` command: one subcommand per file of `routebench.commands`, and plugins' own."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys

import click

from routebench import __version__, commands, printed
from routebench.errors import RoutebenchError, did_you_mean
from routebench.files import reason
from routebench.names import is_name
from routebench.plugin import discovery


class Commands(click.Group):
    """Find subcommands by file name or entry point, and import the one that is asked for.

    A distribution adds one as a click command under the entry-point group `routebench.commands`;
    none can take the name of a built-in.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        added = {info.name for info in discovery.installed("command") if is_name(info.name)}
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
        if args and not args[0].startswith("-") and args[0] not in _built_in():
            known = self.list_commands(ctx)
            if args[0] not in known:
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
    # By default imports alone make the collector go through everything several times.
    gc.set_threshold(200_000)
    printed.prepare()
    try:
        cli(prog_name="routebench")
    except RoutebenchError as error:
        printed.echo(f"error: {_line(error.message)}", err=True)
        if error.hint:
            printed.echo(f"hint: {_line(error.hint)}", err=True)
        sys.exit(error.exit_code)
    except (OSError, MemoryError, RecursionError) as error:
        printed.echo(f"error: {_line(_limit(error))}", err=True)
        sys.exit(RoutebenchError.exit_code)


def _limit(error: OSError | MemoryError | RecursionError) -> str:
    """Return what the system or the interpreter refused."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return place + reason(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return "what was given is nested too deeply"


def _line(text: str) -> str:
    return printed.visible(" ".join(text.splitlines()))


if __name__ == "__main__":
    main()
