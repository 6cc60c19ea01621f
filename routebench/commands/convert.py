"""`routebench convert`: write a finished run in a form that another project reads."""

from __future__ import annotations

from pathlib import Path

import click

from routebench.arguments import RUN
from routebench.printed import echo

FORMS = ("every-eval-ever", "routerarena", "eval-results")


@click.command()
@click.argument("run", type=RUN)
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="Write this form.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Write below this folder; eval-results to this .yaml.",
)
@click.option(
    "--router", "routers", multiple=True, metavar="NAME", help="Write these routers; else all."
)
@click.option(
    "--organization", default="unknown", metavar="NAME", help="Name who ran it (every-eval-ever)."
)
@click.option("--dataset", metavar="ID", help="Name the hub's benchmark (eval-results).")
@click.option("--task", metavar="ID", help="Name the benchmark's task (eval-results).")
def command(
    run: Path,
    form: str,
    out: Path,
    routers: tuple[str, ...],
    organization: str,
    dataset: str | None,
    task: str | None,
) -> None:
    """Write RUN as Every Eval Ever's records, RouterArena's predictions, or a file for
    .eval_results on the Hugging Face Hub.

    \b
    routebench run --suite table:outcomes.parquet --keep-texts --out run
    routebench convert run --to every-eval-ever --out eee
    routebench convert run --to eval-results --router knn --dataset openai/gsm8k --task gsm8k \\
      --out .eval_results/gsm8k.yaml

    The first two need the queries' texts: run with --keep-texts.
    """
    from routebench.errors import OptionError

    if form == "eval-results":
        from routebench.report.results import eval_results

        if len(routers) != 1 or dataset is None or task is None:
            raise OptionError(
                "--to eval-results: needs one --router, --dataset and --task",
                "such as --router knn --dataset openai/gsm8k --task gsm8k",
            )
        eval_results.write(run, routers[0], out, dataset, task)
        echo(f"{out}: 1 entry")
        return
    from routebench.report.results import every_eval_ever, router_arena
    from routebench.report.results.per_query import Results

    results = Results.of(run, routers)
    if form == "routerarena":
        count = router_arena.write(results, out)
    else:
        count = every_eval_ever.write(results, out, organization)
    echo(f"{out}: {len(results.rows)} routers, {count:,} rows")
