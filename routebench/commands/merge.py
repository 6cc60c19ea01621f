"""`routebench merge`: make one run of its shards, or one store of several."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.printed import echo, echo_json

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER…|STORE…", type=_PATH)
@click.option(
    "--out", required=True, metavar="DIR|STORE", help="Write the run folder, or the store, here."
)
@click.option("--fresh", is_flag=True, help="Start over, and replace another run's board.")
@click.option("--quiet", is_flag=True, help="Print no progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    paths: tuple[Path, ...],
    out: str,
    fresh: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make one run of all its shards, or one store of several.

    \b
    routebench run --suite simpleqa --out whole --shard 0/2      on one machine
    routebench run --suite simpleqa --out whole --shard 1/2      on another
    routebench merge whole.shards/* --out whole
    routebench merge part-0.sqlite part-1.sqlite --out all.sqlite

    The board is that of the run in one piece. It is made where the data and the routers are; no
    router runs again. A shard that is missing, doubled or of another run is named (exit code 2).
    Of stores, what both have is kept once, and what both have paid is counted twice.
    """
    if all(path.is_file() for path in paths):
        _merge_stores(paths, Path(out), as_json)
        return
    from routebench.board.run_folder import to_json
    from routebench.commands.run import exit_code
    from routebench.pipeline import RunListener
    from routebench.report.format import BASELINE
    from routebench.report.terminal import console, leaderboard
    from routebench.report.terminal.progress import QuietProgress
    from routebench.shards.merge import merge

    errors = console.make(error=True)

    class Stages(RunListener):
        def stage(self, text: str) -> None:
            errors.print(f"· {text}", style="dim", markup=False, soft_wrap=True)

        def note(self, text: str) -> None:
            errors.print(text, style="yellow", markup=False, soft_wrap=True)

    done = merge(paths, out, QuietProgress(errors) if quiet or as_json else Stages(), fresh)
    if as_json:
        echo_json(to_json(done.board), nl=False)
    else:
        leaderboard.show(done.board, console.make(), folder=done.folder, baseline=BASELINE)
    ctx.exit(exit_code(done.board))


def _merge_stores(paths: tuple[Path, ...], out: Path, as_json: bool) -> None:
    import json

    from routebench.store.merging import merge_stores
    from routebench.store.store import AnswerStore

    merge_stores(paths, out)
    with AnswerStore(out, write=False) as store:
        counts, spent = store.counts(), store.spent()
    if as_json:
        echo_json(json.dumps({"store": str(out), "calls": counts, "usd": spent}, indent=2))
        return
    rest = counts["pending"] + counts["in_flight"]
    echo(
        f"{out}: {counts['answered']:,} answers, {counts['failed']:,} failed, {rest:,} to be asked,"
        f" {spent:.4f} USD paid"
    )
