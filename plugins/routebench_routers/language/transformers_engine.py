"""The tuned model run by transformers: forward passes and generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routebench.records import Floats
from routebench_routers.language import bases
from routebench_routers.language.adjustments import positions
from routebench_routers.language.options import LanguageOptions

PROSE = 6
"""Minimum number of tokens of prose."""


class TransformersEngine:
    """An engine on transformers that batches prompts of equal length, without padding."""

    def __init__(self, model: Any, tokenizer: Any, options: LanguageOptions) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.options = options

    def label_log_probs(self, prompts: Sequence[list[int]], labels: Sequence[int]) -> Floats:
        """Return [n, k] the labels' log-probabilities as the next token, normalised over them."""
        import torch

        found = np.zeros((len(prompts), len(labels)))
        wanted = torch.tensor(list(labels), device=self.model.device)
        with torch.inference_mode():
            for rows in bases.alike(prompts):
                tokens = torch.tensor([prompts[row] for row in rows], device=self.model.device)
                logits = self.model(input_ids=tokens, use_cache=False, logits_to_keep=1).logits
                own = logits[:, -1, wanted].double()
                found[rows] = torch.log_softmax(own, dim=-1).cpu().numpy()
        return found

    def generate(
        self,
        prompts: Sequence[list[int]],
        choices: Sequence[str] | None = None,
        without: Sequence[int] = (),
    ) -> list[str]:
        """Generate a continuation of each prompt: free, one of `choices`, or prose.

        Prose has none of the tokens in `without`, and at least `PROSE` tokens.
        """
        import torch

        allowed = None if choices is None else _Spelled(self.tokenizer, choices)
        sampled = self.options.temperature > 0
        texts = [""] * len(prompts)
        limit = positions(self.model.config)
        for rows in bases.alike(prompts):
            tokens = torch.tensor([prompts[row] for row in rows], device=self.model.device)
            width, new = tokens.shape[1], self.options.max_new_tokens
            if limit is not None:
                tokens = tokens[:, max(0, width - limit + 1) :]
                width = tokens.shape[1]
                new = min(new, limit - width)
            with torch.inference_mode():
                made = self.model.generate(
                    input_ids=tokens,
                    attention_mask=torch.ones_like(tokens),
                    max_new_tokens=new,
                    do_sample=sampled,
                    temperature=self.options.temperature if sampled else None,
                    top_p=None,
                    top_k=None,
                    pad_token_id=self.tokenizer.pad_token_id,
                    eos_token_id=self.tokenizer.eos_token_id,
                    prefix_allowed_tokens_fn=allowed and allowed.after(width),
                    suppress_tokens=list(without) or None,
                    min_new_tokens=PROSE if without else None,
                )
            for row, ids in zip(rows, made[:, width:].tolist(), strict=True):
                texts[row] = text_of(self.tokenizer, ids)
        return texts


class _Spelled:
    """The tokens that may come next where only given texts are allowed."""

    def __init__(self, tokenizer: Any, choices: Sequence[str]) -> None:
        self.end = tokenizer.eos_token_id
        self.spelled = [[*following(tokenizer, choice), self.end] for choice in choices]

    def after(self, width: int) -> Any:
        def allowed(_: int, ids: Any) -> list[int]:
            said = ids[width:].tolist()
            following = {way[len(said)] for way in self.spelled if way[: len(said)] == said != way}
            return sorted(following) or [self.end]

        return allowed


def following(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text as encoded after a prompt, which ends with a colon."""
    before, both = tokenizer([":", f":{text}"], add_special_tokens=False)["input_ids"]
    own: list[int] = both[bases.common([before, both]) :]
    return own


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """Decode generated tokens up to the end token."""
    end = tokenizer.eos_token_id
    own = list(ids)
    text: str = tokenizer.decode(own[: own.index(end)] if end in own else own)
    return text
