"""The tuned model run by vLLM, with the same inputs and outputs as under transformers.

The engine runs in this process. Without a GPU it needs a vLLM built for CPUs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.records import Floats
from routebench_routers.language import bases
from routebench_routers.language.options import EMBEDDED, LanguageOptions
from routebench_routers.language.transformers_engine import PROSE, following, text_of

_CACHE = 1 << 30  # bytes for keys and values; by default vLLM takes most of the memory
_NEVER = -1e9
_BANNED = -100.0  # the lowest bias that vLLM accepts


class VLLMEngine:
    """An engine on vLLM's offline engine, in this process; vLLM forms the batches."""

    def __init__(self, folder: Path, options: LanguageOptions) -> None:
        self.tokenizer = bases.load_tokenizer(folder)
        self.options = options
        with _as_it_was(), tempfile.TemporaryDirectory() as place:
            self.model = _start(folder, options, Path(place))
        self.eager = self.model.llm_engine.model_config.enforce_eager

    def label_log_probs(self, prompts: Sequence[list[int]], labels: Sequence[int]) -> Floats:
        """Return [n, k] the labels' log-probabilities as the next token, normalised over them."""
        from vllm import SamplingParams

        asked = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprobs=len(labels),
            # By token, not by a grammar of texts, which misreads non-ASCII letters of added tokens.
            allowed_token_ids=list(labels),
            detokenize=False,
        )
        found = np.full((len(prompts), len(labels)), _NEVER)
        place = {label: column for column, label in enumerate(labels)}
        for row, made in enumerate(self._ask(prompts, asked)):
            for token, one in made.logprobs[0].items():
                if token in place and np.isfinite(one.logprob):
                    found[row, place[token]] = one.logprob
        return found - np.logaddexp.reduce(found, axis=1, keepdims=True)

    def generate(
        self,
        prompts: Sequence[list[int]],
        choices: Sequence[str] | None = None,
        without: Sequence[int] = (),
    ) -> list[str]:
        """Generate a continuation of each prompt: free, one of `choices`, or prose.

        Prose has none of the tokens in `without`, and at least `PROSE` tokens.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        only = None if choices is None else StructuredOutputsParams(choice=list(choices))
        asked = SamplingParams(
            temperature=self.options.temperature,
            max_tokens=self.options.max_new_tokens,
            structured_outputs=only,
            allowed_token_ids=None if choices is None else self._spelling(choices),
            logit_bias=dict.fromkeys(without, _BANNED) or None,
            min_tokens=PROSE if without else 0,
            detokenize=False,
            seed=0,
        )
        return [text_of(self.tokenizer, made.token_ids) for made in self._ask(prompts, asked)]

    def _spelling(self, choices: Sequence[str]) -> list[int]:
        """Return the tokens that encoded the texts in training, and the end token.

        Without this restriction vLLM would accept any tokens that spell the texts.
        """
        spelled = {token for text in choices for token in following(self.tokenizer, text)}
        return sorted(spelled | {self.tokenizer.eos_token_id})

    def _ask(self, prompts: Sequence[list[int]], asked: Any) -> list[Any]:
        import torch
        from vllm import TokensPrompt

        given = [TokensPrompt(prompt_token_ids=list(ids)) for ids in prompts]
        # Eager here too: ranking log-probabilities would otherwise start a C++ compiler.
        stance = "force_eager" if self.eager else "default"
        with torch.compiler.set_stance(stance):
            made = self.model.generate(given, asked, use_tqdm=False)
        return [one.outputs[0] for one in made]


def _start(folder: Path, options: LanguageOptions, place: Path) -> Any:
    # No separate process: it could outlive this one, with which the job must end.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM
    from vllm.platforms import current_platform

    small, cpu = options.base_model == EMBEDDED, current_platform.is_cpu()
    try:
        return LLM(
            str(widened(folder, place) if small and cpu else folder),
            dtype="float32" if small or cpu else "auto",
            # A small model answers in less time than compiling its kernels takes.
            enforce_eager=small or cpu,
            kv_cache_memory_bytes=_CACHE if small or cpu else None,
            max_model_len=options.max_length,
            tensor_parallel_size=options.tensor_parallel_size,
            seed=0,
            # Only the tokenizer's own end token ends an answer, not those of a generation config.
            generation_config="vllm",
            # Log-probabilities over the allowed labels, not over the whole vocabulary.
            logprobs_mode="processed_logprobs",
            max_logprobs=-1,
            disable_log_stats=True,
            use_tqdm_on_load=False,
        )
    except Exception as error:  # vLLM documents none of what it raises
        first = (str(error).strip().splitlines() or [""])[0]
        said = f"{type(error).__name__}: {first[:300]}".removesuffix(": ")
        raise DataError(f"engine: vLLM cannot load {folder.name}: {said}") from error


def widened(folder: Path, place: Path) -> Path:
    """Write the embedded model with heads of a width that vLLM has on a CPU: 32, 64, 128 …

    Heads are padded with zeros, which are not rotated. Attention scores are divided by the root of
    the width, so queries are multiplied by the root of the ratio of widths. Returns the folder.
    """
    from safetensors.torch import load_file, save_file
    from torch.nn.functional import pad

    config = json.loads((folder / "config.json").read_text())
    own = config["head_dim"]
    if own % 32 == 0:
        return folder
    wide = max(32, 1 << (own - 1).bit_length())
    weights: dict[str, Any] = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            grown = pad(weight.unflatten(0, (-1, own)), (0, 0, 0, wide - own)).flatten(0, 1)
            weights[name] = grown * (wide / own) ** 0.5 if "q_proj" in name else grown
        elif name.endswith("o_proj.weight"):
            weights[name] = pad(weight.unflatten(1, (-1, own)), (0, wide - own)).flatten(1, 2)
    shutil.copytree(folder, place, dirs_exist_ok=True)
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    config |= {"head_dim": wide}
    config["rope_parameters"] |= {"partial_rotary_factor": own / wide}
    (place / "config.json").write_text(json.dumps(config))
    return place


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Undo the changes that vLLM makes to a process, and ignore the warnings of its imports.

    On a CPU vLLM switches `torch.set_num_threads` off.
    """
    import torch

    setter = torch.set_num_threads
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads = setter
