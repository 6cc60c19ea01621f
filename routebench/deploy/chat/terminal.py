"""The chat in a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from rich.table import Table

from routebench.deploy.chat.conversation import Conversation, Message, Turn
from routebench.deploy.chat.panel import basis, money
from routebench.errors import OptionError, RoutebenchError
from routebench.report.terminal.console import SafeConsole

HELP = "/point NAME, /user NAME, /clear, /quit; anything else is a message"
_BAR = 20


def chat(
    conversation: Conversation,
    console: SafeConsole,
    read: Callable[[str], str] = input,
    user: str | None = None,
) -> None:
    """Read messages until the end of the input, and print what comes of each."""
    trained = conversation.trained
    point = trained.point or "most-accurate"
    before: list[Message] = []
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  edits lines
    console.print(f"{trained.label} at {point}. {HELP}", markup=False)
    while True:
        try:
            text = read("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        word, _, rest = text.partition(" ")
        try:
            if word == "/quit":
                return
            if word == "/clear":
                before = []
            elif word == "/point":
                point = trained.at(rest.strip() or "most-accurate").point or point
                console.print(f"at {point}", markup=False)
            elif word == "/user":
                user = rest.strip() or None
                console.print(_user(conversation, user), markup=False)
            elif word.startswith("/"):
                raise OptionError(f"no such command {word!r}", HELP)
            elif text:
                turn = conversation.say(text, before, user, point)
                show(turn, console)
                if turn.answer is not None:
                    before += [("user", text), ("assistant", turn.answer)]
        except RoutebenchError as error:
            console.print(f"error: {error.message}", markup=False)
            if error.hint:
                console.print(f"hint: {error.hint}", markup=False)


def _user(conversation: Conversation, user: str | None) -> str:
    if not conversation.users:
        return f"{conversation.trained.label} knows no users"
    if user is None:
        return "for a user never seen"
    return f"for {user}" + ("" if user in conversation.users else ", a user never seen")


def show(turn: Turn, console: SafeConsole) -> None:
    """Print the answer, the choice, the expected quality of every model, and the costs."""
    values = turn.values
    console.print(turn.answer if turn.answer is not None else f"({turn.why_none})", markup=False)
    console.print(f"— {values['model'] or 'no answer'} · {turn.rule}", markup=False)
    for name in ("policy", "reason"):
        if values.get(name):
            console.print(f"  {name}: {values[name]}", markup=False)
    if quality := values.get("quality"):
        console.print(_bars(quality, values["model"]))
    costs = [f"this turn {money(turn.usd)}"]
    costs += [
        f"{one.name} ({one.model}) {money(one.usd)}{'' if one.exact else ' (mean)'}"
        for one in turn.alternatives
    ]
    console.print("  " + " · ".join(costs), markup=False)
    if note := basis(turn):
        console.print(f"  {note}", markup=False, style="dim")


def _bars(quality: dict[str, float], chosen: str | None) -> Table:
    low, high = min(0.0, *quality.values()), max(quality.values())
    span = (high - low) or 1.0
    table = Table(box=None, show_header=False, padding=(0, 1))
    for model, value in sorted(quality.items(), key=lambda item: (-item[1], item[0])):
        bar = "█" * round(_BAR * (value - low) / span)
        mark = "→" if model == chosen else " "
        table.add_row(mark, _plain(model), f"{value:.3f}", bar)
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
