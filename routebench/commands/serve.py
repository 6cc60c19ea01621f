"""`routebench serve`: a trained router behind OpenAI's chat completions."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from routebench import router_options
from routebench.arguments import CHECKPOINT_OR_RUN
from routebench.printed import echo

KEYS = "ROUTEBENCH_API_KEYS"


@click.command()
@click.argument("path", type=CHECKPOINT_OR_RUN, metavar="CHECKPOINT|RUN")
@click.argument("router", required=False)
@router_options.seed
@router_options.fold
@router_options.point(
    "Let the model `routebench` decide at this operating point, such as within-1pp."
)
@router_options.providers(
    "Ask this provider for the router's models, or for one of them under another name."
)
@router_options.set_
@router_options.prices
@router_options.answers_as
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen at this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Listen on this port; 0 takes a free one.",
)
@click.option("--without-keys", is_flag=True, help="Let anybody in who reaches another address.")
@router_options.budget("Keep what all answers cost within this.")
@router_options.spent
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    metavar="SECONDS",
    help="Wait this long for one call, and between two events of a stream (default 120).",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 10),
    metavar="N",
    default=1,
    help="Ask a model that fails N more times before the next one (default 1).",
)
@click.option(
    "--explore",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="ε",
    help="Send this share of requests to a model at random (default 0).",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.jsonl",
    help="Write a line of JSON per request to this file, without its texts.",
)
@click.option("--log-texts", is_flag=True, help="Write messages and answers to the log too.")
@click.option(
    "--route-by",
    type=click.Choice(["conversation", "last"]),
    default="conversation",
    help="Decide by the text of all turns, or by the user's last one.",
)
@click.option(
    "--max-body",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    metavar="MIB",
    help="Refuse requests that are larger (default 20).",
)
def command(
    path: Path,
    router: str | None,
    seed: int,
    fold: int,
    point: str | None,
    set_: tuple[str, ...],
    host: str,
    port: int,
    without_keys: bool,
    max_body: float,
    route_by: Any,
    **given: Any,
) -> None:
    """Serve a checkpoint's router, or ROUTER of a run, on OpenAI's protocol.

    \b
    routebench serve my-router --provider gemini --budget 10
    routebench serve results/simpleqa/0123456789ab mf --point within-1pp --provider openai \\
      --set openai.base_url=http://localhost:8001/v1 --prices prices.toml
    curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json' \\
      -d '{"model": "routebench", "messages": [{"role": "user", "content": "Who …?"}]}'

    The model `routebench` is the router, `routebench@within-1pp` the router at that operating
    point; a model of its pool can be named too, and answers without it. What the client sends goes
    to the chosen model's server as it came; one that fails is asked again, then the next best is.

    Keys of providers are read from the environment. Clients need one of ROUTEBENCH_API_KEYS
    (separated by commas) where that is set. SIGTERM ends the server once it has answered.
    """
    from routebench.board.trained import open_router
    from routebench.errors import OptionError
    from routebench.plugin import options
    from routebench.serve import server

    server.check_installed()
    keys = client_keys(os.environ.get(KEYS, ""))
    if not (server.is_local(host) or keys or without_keys):
        raise OptionError(
            f"--host {host}: anybody who reaches it could spend your money",
            f"export {KEYS}=… with keys for your clients, or --without-keys",
        )
    if given["spent"] is not None and given["budget"] is None:
        raise OptionError("--spent is a part of a budget", "--budget USD")
    if given["log_texts"] and given["log"] is None:
        raise OptionError("--log-texts: there is no log", "--log FILE.jsonl")
    own, others = _parted(router, options.parse(set_))
    trained = open_router(path, router, seed=seed, fold=fold, changes=own, point=point)
    for note in trained.notes:
        echo(f"warning: {note}", err=True)

    from routebench.prices.listed import LIST, load_file
    from routebench.serve import app
    from routebench.serve.assembled import ServeOptions, assemble

    prices = given.pop("prices")
    listed = prices is None or str(prices) == LIST
    given["spent"] = given["spent"] or 0.0
    chosen = ServeOptions(
        **given, values=others, prices=None if listed else load_file(prices), client_keys=keys
    )
    gateway = assemble(trained, chosen)
    most = int(max_body * (1 << 20))
    pages = app.HttpOptions(keys, most, route_by, server.is_local(host))
    listening = server.bound(host, port)
    names = ", ".join(gateway.points)
    at = f" at {trained.point}" if trained.point is not None else ""
    echo(f"{trained.label}{at}: {server.address(listening)} · models {names}", err=True)
    server.serve(app.build(gateway, pages), listening, given["timeout"] + 5)


def client_keys(text: str) -> tuple[str, ...]:
    """Return the keys of clients, as they stand in the environment."""
    from routebench.errors import OptionError

    keys = tuple(dict.fromkeys(key for key in re.split(r"[,\s]+", text) if key))
    if any(len(key) < 8 for key in keys):
        raise OptionError(f"{KEYS}: a key has fewer than 8 characters", "make longer ones")
    return keys


def _parted(
    router: str | None, values: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the router's options, and those of providers and judges by name."""
    from routebench import files
    from routebench.plugin import discovery

    known = {info.name for kind in ("provider", "judge") for info in discovery.installed(kind)}
    own: dict[str, Any] = {}
    for name, each in values.items():
        if name not in known:
            own |= {key: files.absolute(value) for key, value in each.items()}
    return own, {name: each for name, each in values.items() if name in known}
