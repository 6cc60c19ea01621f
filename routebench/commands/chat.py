"""`routebench chat`: try a trained router, on a page or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench import router_options
from routebench.arguments import CHECKPOINT_OR_RUN
from routebench.printed import echo


@click.command()
@click.argument("folder", type=CHECKPOINT_OR_RUN, metavar="CHECKPOINT|RUN")
@click.argument("router", required=False)
@router_options.providers(
    "Ask this provider for the models, or for one of them; without one, show only the choice."
)
@router_options.point("Decide at this operating point first, such as within-1pp.")
@click.option("--user", metavar="NAME", help="Decide for this user first.")
@router_options.models
@router_options.set_
@router_options.prices
@router_options.answers_as
@router_options.budget("Keep what all answers cost within this.")
@router_options.timeout
@click.option(
    "--terminal", is_flag=True, help="Chat in this terminal: no page, and no gradio needed."
)
@click.option(
    "--host", default="127.0.0.1", help="Serve the page at this address (default 127.0.0.1)."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Serve it on this port; by default a free one from 7860 on.",
)
@click.option(
    "--share", is_flag=True, help="Give it a public address too, through Gradio's servers."
)
def command(
    folder: Path,
    router: str | None,
    point: str | None,
    user: str | None,
    models: tuple[str, ...],
    set_: tuple[str, ...],
    terminal: bool,
    host: str,
    port: int | None,
    share: bool,
    budget: float | None,
    **live: Any,
) -> None:
    """Ask a trained router: the answer, whom it chose, why, and what it cost.

    \b
    routebench chat mf-checkpoint --provider gemini --budget 2
    routebench chat results/simpleqa/0123456789ab agreement --provider gemini --terminal

    A message is routed by itself; models are asked with what was said before. Every call is
    billed. The cost is compared with always asking the best single model and the dearest one.
    Without --provider nobody is asked. Whoever reaches the page spends the budget.
    """
    from routebench.board.checkpoint import description
    from routebench.board.provenance import split_file
    from routebench.board.trained import open_router
    from routebench.deploy import answering
    from routebench.deploy.chat.conversation import Conversation
    from routebench.errors import OptionError
    from routebench.plugin import options

    asking = bool(live["providers"])
    if not asking and (budget is not None or live["prices"] or live["answers_as"]):
        raise OptionError("--budget, --prices and --answers-as: nobody is asked", "--provider NAME")
    if share and terminal:
        raise OptionError("--share is about the page", "leave out --terminal")
    if router is not None:
        label = split_file(router)[0]
    else:
        label = description.read(folder).router if description.is_checkpoint(folder) else ""
    own, others = answering.parted(label, options.parse(set_))
    changes = answering.changes(label, own)
    trained = open_router(folder, router, changes=changes, point=point)
    for note in trained.notes:
        echo(f"warning: {note}", err=True)
    allowed = router_options.allowed(models)
    if not asking:
        conversation = Conversation(trained, allowed)
        _talk(conversation, user, terminal, host, port, share)
        return
    with answering.source(trained, others, budget=budget, **live) as source:
        _talk(Conversation(trained, allowed, source), user, terminal, host, port, share)


def _talk(
    conversation: Any, user: str | None, terminal: bool, host: str, port: int | None, share: bool
) -> None:
    from routebench.report.terminal import console

    if terminal:
        from routebench.deploy.chat.terminal import chat

        chat(conversation, console.make(), user=user)
        return
    from routebench.deploy.chat import page

    made = page.page(conversation, user)
    address, shared = page.launch(made, host=host, port=port, share=share, wait=False)
    echo(f"{conversation.trained.label}: {address}" + (f"\nshared: {shared}" if shared else ""))
    made.block_thread()
