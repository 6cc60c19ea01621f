"""Replies checked against themselves: counts that cannot be true, and empty ones nobody counted."""

from __future__ import annotations

import math
from dataclasses import replace

from routebench.errors import CallError
from routebench.prices.apply import CHARS_PER_TOKEN
from routebench.records import Reply

ZERO, CONTRADICTORY = "zero", "contradictory"
"""Reasons to set counts aside: none used beside a text, and counts that exclude each other."""
_TOKENS = 1e8
"""Tokens of a call at most; a larger count is taken as wrong."""
_CHARACTERS = 128
"""Characters of a token at most; the longest of common vocabularies are runs of blanks."""


def checked(reply: Reply, prompt: str = "") -> Reply:
    """Return the reply, its counts unknown where they cannot be true.

    Raises:
        CallError: `malformed`, for an empty answer without counts: a server that is failing sends
            the same as a model that says nothing.
    """
    reply = plausible(reply, prompt)
    if not _said(reply) and reply.finish == "stop" and math.isnan(reply.input_tokens):
        raise CallError("malformed", "the answer is empty, and the server counts no tokens for it")
    return reply


def plausible(reply: Reply, prompt: str = "") -> Reply:
    """Return the reply with possible counts: where they contradict each other, none is known.

    One server's wrong counts must not prevent the other answers from being stored and read, and an
    answer that nobody counted is not free.
    """
    if reason := reply.miscounted or _wrong(reply, prompt):
        return replace(
            reply,
            input_tokens=math.nan,
            output_tokens=math.nan,
            cached_tokens=0.0,
            thinking_tokens=0.0,
            miscounted=reason,
        )
    cached, thinking = (
        count if count >= 0 else 0.0  # servers that do not say may write -1
        for count in (reply.cached_tokens, reply.thinking_tokens)
    )
    if (cached, thinking) == (reply.cached_tokens, reply.thinking_tokens):
        return reply
    return replace(reply, cached_tokens=cached, thinking_tokens=thinking)


def guessed_tokens(prompt: str, reply: Reply) -> tuple[float, float]:
    """Return prompt and answer tokens as the lengths of the texts suggest."""
    said = len(reply.text) + len(reply.reasoning)
    return float(math.ceil(len(prompt) / CHARS_PER_TOKEN)), float(math.ceil(said / CHARS_PER_TOKEN))


def _wrong(reply: Reply, prompt: str) -> str:
    """Return why the counts cannot be true; nothing where they can."""
    given, came, said = reply.input_tokens, reply.output_tokens, len(_said(reply))
    # Some prompt was sent. The words of a refusal may be the vendor's own, not the model's.
    if given == 0 or (came == 0 and said and reply.finish != "refused"):
        return ZERO
    counts = (given, came, reply.cached_tokens, reply.thinking_tokens)
    if given < 0 or came < 0 or any(count > _TOKENS for count in counts):
        return CONTRADICTORY
    parts = reply.cached_tokens > given or reply.thinking_tokens > came
    said = 0 if reply.finish == "refused" else said
    texts = len(prompt) > _CHARACTERS * given or said > _CHARACTERS * came
    return CONTRADICTORY if parts or texts else ""


def _said(reply: Reply) -> str:
    return (reply.text + reply.reasoning).strip()
