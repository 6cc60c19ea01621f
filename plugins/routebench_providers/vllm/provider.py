"""Models on this machine's own GPU, in batches through vLLM."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import DataError
from routebench.records import Answers, Request
from routebench_providers.live import sendable


class VLLMOffline:
    """Answers in batches with vLLM; a request's model is a folder or a name on the hub."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        temperature: float = Field(default=0.0, ge=0, description="of sampling; 0: the likeliest")
        max_tokens: int = Field(default=512, gt=0, description="of an answer")
        seed: int = Field(default=0, description="of a request's first sample; the next count up")
        system: str | None = Field(default=None, description="system message")
        chat: bool = Field(
            default=True, description="put the prompt into the model's chat template; else as it is"
        )
        template: dict[str, Any] = Field(
            default_factory=dict,
            description="arguments of the chat template, as a table: {enable_thinking = false}",
        )
        dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
            default="auto", description="numbers that the model is loaded as"
        )
        revision: str | None = Field(default=None, description="branch, tag or commit on the hub")
        max_model_len: int | None = Field(
            default=None, gt=0, description="tokens of prompt and answer; default: the model's"
        )
        tensor_parallel_size: int = Field(default=1, gt=0, description="GPUs that share a model")
        gpu_memory_utilization: float = Field(
            default=0.9, gt=0, le=1, description="share of a GPU's memory that vLLM takes"
        )
        enforce_eager: bool = Field(
            default=False, description="without CUDA graphs: starts sooner, runs slower"
        )

    def __init__(self, options: Options) -> None:
        self.options = options
        self._loaded: tuple[str, Any] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return all that an answer depends on besides model, prompt and sample."""
        away = {"tensor_parallel_size", "gpu_memory_utilization", "enforce_eager"}
        given = self.options.model_dump(mode="json", exclude_none=True, exclude=away)
        return {name: value for name, value in given.items() if value != {}}

    def answer(self, requests: Sequence[Request]) -> Answers:
        """Return the models' answers, one model after the other; no more than one is in memory.

        A prompt that is too long for its model has no answer. There are no latencies: within a
        batch a request waits for the others.

        Raises:
            DataError: where a model cannot be loaded, or vLLM fails.
        """
        texts: list[str | None] = [None] * len(requests)
        notes: list[str | None] = [None] * len(requests)
        used = np.full((len(requests), 2), np.nan)
        models = dict.fromkeys(request.model for request in requests)
        for model in sorted(models, key=lambda name: not self._has(name)):
            rows = [i for i, request in enumerate(requests) if request.model == model]
            engine = self._engine(model)
            prompts = {i: self._tokens(engine, model, requests[i].prompt) for i in rows}
            room = engine.llm_engine.model_config.max_model_len
            for i in [i for i in rows if len(prompts[i]) >= room]:
                notes[i] = f"the prompt has {len(prompts.pop(i))} tokens, the model takes {room}"
            for i, output in self._generate(engine, model, prompts, requests).items():
                texts[i] = output.outputs[0].text
                used[i] = len(prompts[i]), len(output.outputs[0].token_ids)
        return Answers(tuple(texts), used[:, 0].copy(), used[:, 1].copy(), note=tuple(notes))

    def close(self) -> None:
        """Release the model that is in memory."""
        if self._loaded is not None:
            engine = self._loaded[1].llm_engine.engine_core
            self._loaded = None
            engine.shutdown()

    def _has(self, model: str) -> bool:
        return self._loaded is not None and self._loaded[0] == model

    def _engine(self, model: str) -> Any:
        if not self._has(model):
            self.close()
            self._loaded = model, self._load(model)
        assert self._loaded is not None
        return self._loaded[1]

    def _load(self, model: str) -> Any:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        import vllm

        options = self.options
        try:
            return vllm.LLM(
                model=os.path.expanduser(model),
                dtype=options.dtype,
                revision=options.revision,
                max_model_len=options.max_model_len,
                tensor_parallel_size=options.tensor_parallel_size,
                gpu_memory_utilization=options.gpu_memory_utilization,
                enforce_eager=options.enforce_eager,
                seed=options.seed,
            )
        except Exception as error:  # vLLM documents none of what it raises
            raise DataError(f"{model}: vLLM cannot load it: {_line(error)}") from error

    def _tokens(self, engine: Any, model: str, prompt: str) -> list[int]:
        tokenizer, options = engine.get_tokenizer(), self.options
        prompt = sendable(prompt)
        if not options.chat:
            return list(tokenizer.encode(prompt))
        system = [] if options.system is None else [{"role": "system", "content": options.system}]
        try:
            given = tokenizer.apply_chat_template(
                [*system, {"role": "user", "content": prompt}],
                add_generation_prompt=True,
                tokenize=True,
                **options.template,
            )
        except Exception as error:  # the template is a program of the model's author
            hint = "--set vllm.chat=false asks without one"
            raise DataError(f"{model}: its chat template fails: {_line(error)}", hint) from error
        return list(given["input_ids"] if isinstance(given, Mapping) else given)

    def _generate(
        self, engine: Any, model: str, prompts: dict[int, list[int]], requests: Sequence[Request]
    ) -> dict[int, Any]:
        """Return vLLM's outputs by row."""
        if not prompts:
            return {}
        import vllm

        options = self.options
        settings = [
            vllm.SamplingParams(
                temperature=options.temperature,
                max_tokens=options.max_tokens,
                seed=options.seed + requests[i].sample,
            )
            for i in prompts
        ]
        given = [{"prompt_token_ids": tokens} for tokens in prompts.values()]
        try:
            outputs = engine.generate(given, settings, use_tqdm=False)
        except Exception as error:
            raise DataError(f"{model}: vLLM has failed: {_line(error)}") from error
        return dict(zip(prompts, outputs, strict=True))


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0].strip()[:200]}".removesuffix(": ")
