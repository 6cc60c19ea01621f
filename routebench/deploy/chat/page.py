"""The chat as a Gradio page."""

from __future__ import annotations

import html
import os
from typing import Any

from routebench.deploy.chat.conversation import Conversation, Message
from routebench.deploy.chat.panel import STYLE, panel
from routebench.errors import OptionError, RoutebenchError
from routebench.printed import visible

NOBODY = "a user never seen"


def library() -> Any:
    """Import Gradio, which sends nothing to its makers."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        hint = "pip install 'routebench[chat]', or --terminal"
        raise OptionError("the chat page needs gradio", hint) from error
    return gradio


def page(conversation: Conversation, user: str | None = None) -> Any:
    """Return the page: what was said, whom the router chose and why, and what may be tried."""
    gradio = library()
    trained = conversation.trained
    known = trained.description
    title = f"{known.router}, trained on {known.suite}"

    def said(
        text: str, shown: list[Any], before: list[Message], who: str | None, point: str
    ) -> tuple[str, list[Any], list[Message], str]:
        """Take a turn; an error is told where the answer would be."""
        if not text.strip():
            return text, shown, before, panel(None)
        name = None if who in (None, "", NOBODY) else who
        turn = None
        try:
            turn = conversation.say(text, before, name, point)
        except RoutebenchError as error:
            answer = f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")
        else:
            answer = turn.answer or f"({turn.why_none})"
            if turn.answer is not None:
                before = [*before, ("user", text), ("assistant", turn.answer)]
        new = [_bubble("user", text), _bubble("assistant", answer)]
        return "", [*shown, *new], before, panel(turn)

    with gradio.Blocks(title=title, analytics_enabled=False) as made:
        gradio.HTML(f"<h2>{_escaped(title)}</h2>", elem_classes="rb")
        with gradio.Row():
            with gradio.Column(scale=3, min_width=320):
                # No Markdown; what it takes for HTML is escaped, whatever a model answers.
                chat = gradio.Chatbot(
                    label="conversation", render_markdown=False, height=430, buttons=[],
                    feedback_options=None, latex_delimiters=[], elem_id="conversation",
                )  # fmt: skip
                text = gradio.Textbox(
                    label="message",
                    placeholder="Who wrote Emma?",
                    lines=1,
                    max_lines=12,
                    elem_id="message",
                    info="Enter sends, Shift+Enter begins a line",
                )
                with gradio.Row():
                    send = gradio.Button("Send", variant="primary", elem_id="send")
                    clear = gradio.Button("Clear", elem_id="clear")
            with gradio.Column(scale=2, min_width=320):
                point = gradio.Dropdown(
                    conversation.points, value=trained.point or "most-accurate",
                    label="operating point", elem_id="point",
                )  # fmt: skip
                who = gradio.Dropdown(
                    [NOBODY, *conversation.users], value=user or NOBODY, label="user",
                    visible=bool(conversation.users), allow_custom_value=True, elem_id="user",
                )  # fmt: skip
                about = gradio.HTML(panel(None), elem_id="choice")
        kept = gradio.State([])
        given, changed = [text, chat, kept, who, point], [text, chat, kept, about]
        # Gradio asks one at a time of the function; so does the conversation.
        for event in (send.click, text.submit):
            event(said, given, changed, api_visibility="private", concurrency_limit=1)
        clear.click(
            lambda: ("", [], [], panel(None)), None, changed, api_visibility="private", queue=False
        )
    return made


def launch(
    made: Any, *, host: str, port: int | None, share: bool, wait: bool = True
) -> tuple[str, str | None]:
    """Serve the page; return its address, and the shared one."""
    gradio = library()
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    try:
        _, local, shared = made.launch(
            server_name=host, server_port=port, share=share, theme=theme, css=STYLE,
            prevent_thread_lock=True, quiet=True, footer_links=[], enable_monitoring=False,
            inbrowser=False, ssr_mode=False,
        )  # fmt: skip
    except OSError as error:
        raise OptionError(f"--port {port}: {error}", "another port") from error
    if wait:
        made.block_thread()
    return str(local), shared


def _bubble(role: str, text: str) -> dict[str, str]:
    """Return a message as it is shown: its characters, and line ends as such."""
    lines = [_escaped(line) for line in visible(text).split("\n")]
    return {"role": role, "content": "<br>".join(lines)}


def _escaped(text: str) -> str:
    return html.escape(visible(text))
