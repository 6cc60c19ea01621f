"""Options of every router on a language model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from routebench.errors import OptionError

EMBEDDED = "embedded"


class LanguageOptions(BaseModel):
    """A base model, its tuning, and the engine that runs it."""

    base_model: str = Field(
        EMBEDDED,
        description="folder or Hugging Face id of a causal LM; embedded: a small one built and"
        " pretrained on the training queries",
    )
    revision: str | None = Field(None, description="commit or tag of a base model from the hub")
    use_lora: bool = Field(True, description="tune low-rank adapters; all weights otherwise")
    lora_r: int = Field(16, ge=1, description="rank of the adapters")
    lora_alpha: int = Field(32, ge=1, description="scale of the adapters, over their rank")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the adapters")
    merge_lora: bool = Field(
        True,
        description="merge the adapters into the weights when tuned; else they stay"
        " beside the base model, which a checkpoint then names",
    )
    quantization: Literal["none", "4bit"] = Field(
        "none", description="4bit: NF4 weights under the adapters (QLoRA); needs CUDA"
    )
    num_epochs: int = Field(3, ge=1, description="passes over the training queries")
    batch_size: int = Field(32, ge=1, description="examples per step and process")
    gradient_accumulation_steps: int = Field(1, ge=1, description="steps per update")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    max_length: int = Field(512, ge=32, description="tokens of prompt and answer at most")
    processes: int = Field(
        1, ge=1, description="training processes, one per GPU, started by accelerate"
    )
    save_steps: int = Field(
        100, ge=1, description="updates between checkpoints that a killed run goes on from"
    )
    engine: Literal["transformers", "vllm"] = Field(
        "transformers", description="what runs the tuned model"
    )
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that vLLM spreads a model over")
    max_new_tokens: int = Field(32, ge=1, description="tokens generated at most")
    temperature: float = Field(0.0, ge=0, description="of generated text; 0: the likeliest token")
    input_usd_per_mtok: float = Field(
        0.0, ge=0, description="what a million prompt tokens cost; 0 for a model of one's own"
    )
    output_usd_per_mtok: float = Field(
        0.0, ge=0, description="what a million generated tokens cost"
    )
    hidden_size: int = Field(96, ge=8, multiple_of=8, description="width of the embedded model")
    num_layers: int = Field(2, ge=1, description="layers of the embedded model")
    vocabulary: int = Field(2000, ge=300, description="BPE tokens of the embedded model")
    pretrain_epochs: int = Field(
        10, ge=0, description="passes over the training queries before the embedded model is tuned"
    )


def check_base(options: LanguageOptions) -> None:
    """Raise an `OptionError` where the base model is not on this machine or vLLM cannot serve it.

    A base model is embedded, a folder, or a downloaded hub model.
    """
    if options.engine == "vllm" and options.use_lora and not options.merge_lora:
        raise OptionError("engine: vllm runs merged models only", "merge_lora=true")
    if options.engine == "vllm" and find_spec("vllm") is None:
        raise OptionError("engine: vllm is not installed", "pip install 'routebench[vllm]'")
    name = options.base_model
    if name == EMBEDDED or (Path(name) / "config.json").is_file():
        return
    if Path(name).exists() or name.startswith((".", "/", "~")):
        raise OptionError(
            f"base_model: {name} has no config.json",
            "a folder as `save_pretrained` writes it, or a Hugging Face id",
        )
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=options.revision)
    except HFValidationError as error:
        raise OptionError(f"base_model: {name!r} is neither a folder nor a hub id") from error
    if not isinstance(found, str):
        raise OptionError(
            f"base_model: {name} is not on this machine, and a router downloads nothing",
            download(name, options.revision),
        )


def download(name: str, revision: str | None = None) -> str:
    """Return how a model of the hub comes onto this machine, a gated one too."""
    at = f" --revision {revision}" if revision else ""
    return (
        f"hf download {name}{at} (if it is gated: accept its terms at https://huggingface.co/{name},"
        " then hf auth login)"
    )


def paper(**values: Any) -> dict[str, Any]:
    """Return a preset of published hyperparameters: LoRA r 16, alpha 32, dropout 0.1, lr 2e-5."""
    return {
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "num_epochs": 3,
        "batch_size": 4,
        "learning_rate": 2e-5,
        "max_length": 512,
    } | values
