"""Engines that run a tuned model, transformers or vLLM, with the same interface.

`label_log_probs` scores the next token after a prompt, among the labels' tokens alone; `generate`
continues a prompt freely, or with one of several given texts only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from routebench.errors import OptionError
from routebench.records import Floats
from routebench_routers.language import bases
from routebench_routers.language.options import LanguageOptions
from routebench_routers.language.transformers_engine import TransformersEngine


class Engine(Protocol):
    """A loaded tuned model, as the routers use it."""

    tokenizer: Any

    def label_log_probs(self, prompts: Sequence[list[int]], labels: Sequence[int]) -> Floats: ...
    def generate(
        self,
        prompts: Sequence[list[int]],
        choices: Sequence[str] | None = None,
        without: Sequence[int] = (),
    ) -> list[str]: ...


def load(folder: Path, options: LanguageOptions, device: str) -> Engine:
    """Load the engine that the options name, with the model in a checkpoint's folder."""
    apart = (folder / bases.ADAPTER).is_dir()
    if options.engine == "vllm":
        if apart:
            raise OptionError("engine: vllm runs merged models only", "train with merge_lora=true")
        from routebench_routers.language.vllm_engine import VLLMEngine

        return VLLMEngine(folder, options)
    tokenizer = bases.load_tokenizer(folder)
    made = bases.adapted if apart else bases.load_model
    return TransformersEngine(made(folder, tokenizer, options, device), tokenizer, options)
