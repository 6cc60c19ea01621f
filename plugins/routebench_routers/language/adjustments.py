"""Adjust to base models of one's own: few positions, no end token, an end after prompts."""

from __future__ import annotations

import re
from typing import Any

from routebench.errors import OptionError
from routebench_routers.language.options import LanguageOptions

END = "<|end of answer|>"
"""The end token of a base model whose tokenizer has none."""


def positions(config: Any) -> int | None:
    """Return how many tokens a model can read at once; None where nothing limits them."""
    config = config.get_text_config(decoder=True)
    if getattr(config, "alibi", False) or getattr(config, "position_embedding_type", "") == "alibi":
        return None
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        number = getattr(config, name, None)
        if isinstance(number, int) and number > 0:
            # RoBERTa and its kin count positions from the padding token's.
            first = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
            return number - first
    return None


def fitted(options: LanguageOptions, limit: int | None) -> LanguageOptions:
    """Return the options with a `max_length` that a base model of `limit` positions can read."""
    if limit is None or options.max_length <= limit:
        return options
    return options.model_copy(update={"max_length": limit})


def complete(tokenizer: Any, config: Any) -> dict[str, str]:
    """Give a tokenizer an end token, and take it from its prompts; return what was changed.

    A missing end token is the model's own by its configuration, where that names a token, else a
    new one: its row is a random direction, as those of the labels are, which tuning turns the
    state towards. A tokenizer that ends every text would end the prompt before its answer.
    """
    said = {}
    if tokenizer.eos_token is None:
        said["end_token"] = _given_end(tokenizer, config)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if _ends_texts(tokenizer):
        _leave_open(tokenizer)
        if _ends_texts(tokenizer):
            raise OptionError("base_model: its tokenizer ends every text, and so every prompt")
        said["open_prompts"] = (
            f"without {tokenizer.eos_token}, which the tokenizer puts after texts"
        )
    return said


def _given_end(tokenizer: Any, config: Any) -> str:
    named = config.get_text_config(decoder=True).eos_token_id
    own = [_special(tokenizer, n) for n in (named if isinstance(named, list) else [named])]
    end = next((token for token in own if token is not None), None)
    tokenizer.add_special_tokens({"eos_token": end or END})
    return f"{end}, of the model's configuration" if end else f"{END}, a new one"


def _special(tokenizer: Any, number: Any) -> str | None:
    """Return the token of that number if it is no part of a text.

    Configurations have numbers by default, which are ordinary tokens of another vocabulary.
    """
    if not isinstance(number, int) or not 0 <= number < len(tokenizer):
        return None
    token = str(tokenizer.convert_ids_to_tokens(number))
    marked = token in tokenizer.get_added_vocab() or re.fullmatch(r"<\S+>|\[\S+\]", token)
    return token if marked else None


def _ends_texts(tokenizer: Any) -> bool:
    return bool(tokenizer("a")["input_ids"][-1:] == [tokenizer.eos_token_id])


def _leave_open(tokenizer: Any) -> None:
    """Keep what the tokenizer writes before a text, and nothing after it."""
    from tokenizers.processors import TemplateProcessing

    # Classes that make the template of such settings make it anew when they are loaded.
    if "add_eos_token" in tokenizer.init_kwargs:
        tokenizer.init_kwargs["add_eos_token"] = False
        tokenizer.add_eos_token = False
    whole = tokenizer("a")["input_ids"]
    text = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next((at for at in range(len(whole)) if whole[at : at + len(text)] == text), 0)
    first = [(tokenizer.convert_ids_to_tokens(number), number) for number in whole[:start]]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        single = [token for token, _ in first] + ["$A"]
        backend.post_processor = TemplateProcessing(
            single=single, pair=[*single, "$B:1"], special_tokens=first
        )


def added_end(tokenizer: Any) -> bool:
    """Return whether the tokenizer's end token is one that `complete` added."""
    return bool(tokenizer.eos_token == END)
