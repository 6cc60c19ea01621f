"""Prompts of a language model, and the single tokens with which it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from routebench.errors import OptionError


@dataclass(frozen=True)
class Template:
    """A prompt around a query, with the labels that may answer it.

    Every label is one added token, so that the likeliest answer is one forward pass away and no
    label can be mistaken for another that it contains.
    """

    head: str
    """The text before the query."""
    tail: str
    """The text after the query."""
    labels: tuple[str, ...]
    kind: str
    """The kind of the labels, such as `llm`: part of their tokens."""

    def tokens(self) -> list[str]:
        """Return the added token of every label."""
        return [f"<{self.kind}:{label}>" for label in self.labels]

    def prompt(self, query: str) -> str:
        """Return the whole prompt; label tokens inside the query are broken up."""
        return self.head + query.replace(f"<{self.kind}:", f"< {self.kind}:") + self.tail


@dataclass
class Prompts:
    """Prompts that fit a model: a long query is cut in its middle, never at its ends."""

    template: Template
    tokenizer: Any
    room: int
    """Tokens that a prompt may have."""
    positions: int | None = None
    """Tokens that the base model can read, for messages."""
    _trimmed: dict[str, str] = field(default_factory=dict)
    """The queries that were too long so far, and the prompts they became."""

    def __post_init__(self) -> None:
        bare = self._length("")
        if bare + 8 > self.room:
            fit = f"{self.room} fit"
            if self.positions:
                fit += f" (the base model has {self.positions:,} positions)"
            raise OptionError(
                f"max_length: the prompt without a query has {bare} tokens, and {fit}",
                "a larger max_length, or fewer models",
            )

    @property
    def trimmed(self) -> int:
        """Return the number of queries so far that were too long."""
        return len(self._trimmed)

    def of(self, queries: Sequence[str]) -> list[str]:
        """Return the prompt of each query."""
        return [self._fitted(query) for query in queries]

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each prompt."""
        ids: list[list[int]] = self.tokenizer(list(prompts))["input_ids"] if prompts else []
        return ids

    def _fitted(self, query: str) -> str:
        prompt = self.template.prompt(query)
        # A token has at least one byte: a prompt of few bytes fits, and needs no counting.
        if len(prompt.encode()) <= self.room or self._length(query) <= self.room:
            return prompt
        if query not in self._trimmed:
            self._trimmed[query] = self._shortened(query)
        return self._trimmed[query]

    def _shortened(self, query: str) -> str:
        own = self.tokenizer(query, add_special_tokens=False)["input_ids"]
        keep = self.room - self._length(" … ")
        while keep > 0:
            text = self._without_middle(own, keep)
            over = self._length(text) - self.room
            if over <= 0:
                return self.template.prompt(text)
            keep -= over
        return self.template.prompt("")

    def _without_middle(self, ids: list[int], keep: int) -> str:
        first = (keep + 1) // 2
        start = self.tokenizer.decode(ids[:first])
        end = self.tokenizer.decode(ids[len(ids) - (keep - first) :]) if keep > first else ""
        # Drop characters that the cut has split.
        return f"{start} … {end}".replace("\ufffd", "")

    def _length(self, query: str) -> int:
        return len(self.tokenizer(self.template.prompt(query))["input_ids"])
