"""The command `routebench oracle`, which writes the training labels of the policy router."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from routebench.printed import echo

if TYPE_CHECKING:
    from rich.console import Console

    from routebench.records import Pool
    from routebench_routers.policy.oracle import Oracle

_ENDINGS = (".parquet", ".jsonl")


@click.command()
@click.option(
    "--suite",
    metavar="NAME[:FILE]",
    help="Take this suite, such as simpleqa or table:outcomes.csv.",
)
@click.option("--data", metavar="FILE", help="Let the suite read this file, as after the colon.")
@click.option("--source", metavar="NAME", help="Take the suite's embedded or its recorded data.")
@click.option(
    "--medium", metavar="MODEL", help="Take this medium model; by default the pair of training."
)
@click.option(
    "--large", metavar="MODEL", help="Take this large model; by default the pair of training."
)
@click.option(
    "--prices",
    metavar="FILE|list",
    help="Price tokens by a JSON or TOML file of USD per million, or vendors' dated lists: list.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "given", "hash"]),
    help="Split as `routebench run --split` does.",
)
@click.option("--split-seed", type=int, help="Draw another hash split with another seed.")
@click.option("--folds", type=int, metavar="K", help="Split as a cross-fit with K folds does.")
@click.option(
    "--fold", type=click.IntRange(0), default=0, help="Take this one of the folds (default 0)."
)
@click.option("--judge", metavar="NAME", help="Grade answers that have no score.")
@click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of the suite or the judge.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the set here, as .parquet or .jsonl.",
)
def command(
    medium: str | None,
    large: str | None,
    fold: int,
    set_: tuple[str, ...],
    out: Path,
    **given: Any,
) -> None:
    """Grade a medium and a large model's answers against each other, on the train part.

    \b
    routebench oracle --suite simpleqa --out oracle.parquet
    routebench oracle --suite simpleqa --data outcomes.parquet --prices prices.json \\
        --medium gpt-4o-mini --large gpt-4o --out oracle.jsonl

    The part is that of `run` with the same suite, split and folds: no test or validation query
    is in it. One row per query that both models have a usable answer to.
    """
    from routebench import config
    from routebench.data.splits import TRAIN, make_split
    from routebench.errors import OptionError
    from routebench.files import replace_file
    from routebench.jobs.setup import Setup
    from routebench.loading import load_data
    from routebench.plugin import options
    from routebench.prices import listed
    from routebench.prices.apply import price
    from routebench.report.terminal import console
    from routebench_routers.policy.oracle import choose_pair, oracle, to_table

    _check(out)
    values = {name: value for name, value in given.items() if value is not None}
    chosen = config.make(values | {"set": options.parse(set_)})
    if fold >= (chosen.folds or 1):
        raise OptionError(f"--fold {fold}: there are {chosen.folds or 1}", "they count from 0")
    recorded = load_data(chosen)
    prices, _ = listed.for_run(chosen.prices, recorded)
    data, _ = price(recorded, prices, chosen.assume_output_tokens)
    split = make_split(data, chosen.split, chosen.folds, chosen.split_seed, data.shares)
    setup = Setup(data, split, "", {})
    table, rows = setup.table(fold, TRAIN), setup.rows(fold, TRAIN)
    pair = choose_pair(table.pool, table.outcomes, medium, large)
    found = oracle(table, *pair)
    made = to_table(found, table, data.keys[rows], data.ids[rows])
    try:
        replace_file(out, _encoded(made, out.suffix))
    except OSError as error:
        raise OptionError(f"--out {out}: {error.strerror or error}") from error
    _show(found, len(table), data.pool, console.make())
    echo(f"written to {out}")


def _check(out: Path) -> None:
    """Check, before anything is loaded, that the output file can be written."""
    from routebench.errors import OptionError

    if out.suffix not in _ENDINGS:
        raise OptionError(f"--out {out}: it must end in {' or '.join(_ENDINGS)}")
    if out.is_dir() or not out.resolve().parent.is_dir():
        reason = "is a folder" if out.is_dir() else "its folder does not exist"
        raise OptionError(f"--out {out}: {reason}", "name a file in a folder that exists")


def _encoded(table: Any, suffix: str) -> bytes:
    import io
    import json

    import pyarrow.parquet as pq

    if suffix == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _show(found: Oracle, asked: int, pool: Pool, out: Console) -> None:
    """Print the counts of the nine cells, the policies' shares and both models' accuracy."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from routebench_routers.policy.oracle import GRADES, MATRIX

    names = [escape(pool.models[at]) for at in (found.medium, found.large)]
    out.print(f"{len(found):,} of {asked:,} training queries with a usable answer of both models")
    out.print(f"medium [bold]{names[0]}[/bold] (down), large [bold]{names[1]}[/bold] (across)\n")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for grade in GRADES:
        table.add_column(grade.name, justify="right", no_wrap=True)
    counts = found.counts()
    for medium in GRADES:
        cells = [
            f"{counts[medium.name, large.name]:,} [dim]{MATRIX[medium, large]}[/dim]"
            for large in GRADES
        ]
        table.add_row(medium.name, *cells)
    out.print(table)
    out.print()
    shares = found.distribution()
    out.print(" · ".join(f"{policy} {share:.1%}" for policy, share in shares.items()))
    right = zip(names, found.accuracy(), strict=True)
    out.print(" · ".join(f"{name} {share:.1%} correct" for name, share in right))
    for policy, share in shares.items():
        if not share:
            out.print(f"[yellow]no training query is {policy}: it cannot be learned[/yellow]")
