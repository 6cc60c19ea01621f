"""A provider that answers as it is told, and the chat page with it in a process of its own.

python chatted.py CHECKPOINT    prints the page's address, then what is asked, as JSON lines
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from routebench.board.steps.live import live_answers
from routebench.board.trained import open_router
from routebench.collect.live_answers import LiveAnswers
from routebench.collect.planning import TargetModel
from routebench.deploy.chat.conversation import Conversation
from routebench.prices.lists import ModelPrice
from routebench.records import Answers, Request

EVIL = "<img src='http://evil.invalid/x.png' onerror=\"alert(1)\">\n<b>b</b> **c** &lt;"


class Echo:
    """A provider that answers with what it was asked, and as it is told."""

    def __init__(self, say: Callable[[Request], str | None] = lambda one: one.prompt) -> None:
        self.say = say
        self.asked: list[Request] = []

    def answer(self, requests: Sequence[Request]) -> Answers:
        self.asked += requests
        n = len(requests)
        texts = tuple(map(self.say, requests))
        return Answers(texts, np.full(n, 10.0), np.full(n, 100.0))


def answering(provider: Echo, budget: float | None = None) -> LiveAnswers:
    prices = {
        model: ModelPrice(input_usd_per_mtok=1.0 + i, output_usd_per_mtok=3.5 * i)
        for i, model in enumerate("abcd")
    }
    asked = {
        model: TargetModel("echo", model, provider, {"max_tokens": 100}, price, "test")
        for model, price in prices.items()
    }
    return live_answers(asked, tuple("abcd"), lambda q, t: [None] * len(t), budget, 0.0, 10.0)


def main() -> None:
    """Serve the page until the process is ended."""
    from routebench.deploy.chat.page import launch, page

    def say(request: Request) -> str:
        print(json.dumps({"model": request.model, "prompt": request.prompt}), flush=True)
        return EVIL

    with answering(Echo(say)) as source:
        made = page(Conversation(open_router(Path(sys.argv[1])), source=source))
        print(launch(made, host="127.0.0.1", port=None, share=False, wait=False)[0], flush=True)
        made.block_thread()


if __name__ == "__main__":
    main()
