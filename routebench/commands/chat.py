"""`routebench chat`: try a trained router, on a page or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from routebench.arguments import RUN
from routebench.printed import echo


@click.command()
@click.argument("folder", type=RUN, metavar="CHECKPOINT|RUN")
@click.argument("router", required=False)
@click.option("--provider", "providers", multiple=True, metavar="NAME|MODEL=NAME:MODEL",
              help="Who answers; without one only the choice is shown.")  # fmt: skip
@click.option("--point", metavar="NAME", help="At this operating point first.")
@click.option("--user", metavar="NAME", help="For this user first.")
@click.option("--models", multiple=True, metavar="NAME,…", help="Choose among these only.")
@click.option("--set", "set_", multiple=True, metavar="NAME.OPTION=VALUE",
              help="Of the router (what counts in routing), a provider or a judge.")  # fmt: skip
@click.option("--prices", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="USD per million tokens; the dated lists are the default.")  # fmt: skip
@click.option("--answers-as", metavar="JUDGE", help="Which judge reads final answers.")
@click.option("--budget", type=float, metavar="USD", help="What all answers may cost.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              help="Time for one call (120).")  # fmt: skip
@click.option("--terminal", is_flag=True, help="In this terminal: no page, no gradio.")
@click.option("--host", default="127.0.0.1", help="Where the page is served (127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; a free one from 7860 on.")
@click.option("--share", is_flag=True, help="A public address too, through Gradio's servers.")
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
    allowed = [name.strip() for text in models for name in text.split(",") if name.strip()]
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
