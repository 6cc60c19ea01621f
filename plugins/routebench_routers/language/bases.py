"""Base models: loading, and learning the vocabulary rows of the labels' tokens."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.records import Floats, Ints
from routebench_routers.language.adjustments import added_end, positions
from routebench_routers.language.options import EMBEDDED, LanguageOptions, download
from routebench_routers.language.prompts import Template

LABELS = "labels.safetensors"
ADAPTER = "adapter"
_BATCH_TOKENS = 16_384
_LIFT = 8.0  # nats
_PENALTIES = (0.001, 0.01, 0.1, 1.0)


def load_tokenizer(place: str | Path, revision: str | None = None) -> Any:
    """Load the tokenizer of a folder or a downloaded model; ensure that it has a padding token."""
    from transformers import AutoTokenizer

    with _found(place):
        tokenizer = AutoTokenizer.from_pretrained(str(place), revision=revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def configuration(options: LanguageOptions) -> Any:
    """Return the configuration of a base model of one's own."""
    from transformers import AutoConfig

    with _found(options.base_model):
        return AutoConfig.from_pretrained(options.base_model, revision=options.revision)


def limit_of(options: LanguageOptions) -> int | None:
    """Return the positions of the base model; None for an embedded one, which is made to fit."""
    return None if options.base_model == EMBEDDED else positions(configuration(options))


def load_model(
    place: str | Path,
    tokenizer: Any,
    options: LanguageOptions,
    device: str,
    labels: Path | None = None,
) -> Any:
    """Load the causal LM of a folder or a downloaded model, with a row for every token.

    `labels` is the folder of a base model that was given rows for its labels (`learn_labels`).
    """
    import torch
    import transformers

    cuda = device.startswith("cuda")
    extra: dict[str, Any] = {}
    if options.quantization == "4bit":
        quantized: Any = transformers.BitsAndBytesConfig
        extra["quantization_config"] = quantized(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        extra["device_map"] = {"": device}
    with _found(place):
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            str(place),
            revision=options.revision if str(place) == options.base_model else None,
            dtype=torch.bfloat16 if cuda and options.base_model != EMBEDDED else torch.float32,
            use_safetensors=True,
            **extra,
        )
    if str(place) == options.base_model:
        _make_room(model, tokenizer)
    if labels is not None and (labels / LABELS).exists():
        _set_labels(model, tokenizer, labels / LABELS)
    return model if extra else model.to(device)


def adapted(place: Path, tokenizer: Any, options: LanguageOptions, device: str) -> Any:
    """Load the base model with the adapters of a checkpoint's folder."""
    from peft import PeftModel

    source = place if options.base_model == EMBEDDED else options.base_model
    model = load_model(source, tokenizer, options, device, place)
    with old_names():
        return PeftModel.from_pretrained(model, str(place / ADAPTER))


@contextlib.contextmanager
def old_names() -> Iterator[None]:
    """Ignore peft's and TRL's warnings: of an attribute's old name, and of a layer they handle."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to", UserWarning)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is depr", FutureWarning)
        yield


def spread_labels(model: Any, count: int, last: int | None = None) -> None:
    """Give the labels' tokens rows of their own: random directions of the mean row length.

    They are the same whenever the model is loaded, and stay fixed: tuning turns the hidden state
    towards them. The default rows of added tokens are nearly equal and could not be distinguished.
    """
    import torch

    ends = {id(end.weight): end.weight for end in _ends(model)}
    for weight in ends.values():
        stop = len(weight) if last is None else last
        with torch.no_grad(), seeded(0):
            usual = weight[: stop - count].float().norm(dim=1).mean()
            drawn = torch.randn(count, weight.shape[1])
            rows = usual.cpu() * drawn / drawn.norm(dim=1, keepdim=True)
            weight[stop - count : stop] = rows.to(weight)


def learn_labels(
    model: Any,
    prompts: list[list[int]],
    label: Ints,
    weight: Floats,
    checked: int,
    last: int,
    place: Path,
) -> float:
    """Learn the labels' rows by logistic regression on a base model's state after each prompt.

    Tuning then starts from a head that is right for the base, not from a random one (linear
    probing before fine-tuning, arXiv 2202.10054). The last `checked` prompts choose the penalty;
    the labels' tokens end before token `last`. Writes the rows into the folder `place`; returns
    the loss on those prompts.
    """
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    state = states(model, prompts)
    scale = float(np.sqrt((state**2).mean()))
    fitted, held = slice(None, len(state) - checked), slice(len(state) - checked, None)
    labels = np.unique(label[fitted])
    best = np.inf
    kept: Any = None
    for penalty in _PENALTIES:
        head = LogisticRegression(C=penalty, fit_intercept=False, max_iter=300)
        head.fit(state[fitted] / scale, label[fitted], sample_weight=weight[fitted])
        known = np.isin(label[held], labels) if checked else np.zeros(0, dtype=bool)
        loss = np.inf
        if known.any():
            share = head.predict_proba(state[held][known] / scale)
            loss = log_loss(
                label[held][known], share, sample_weight=weight[held][known], labels=labels
            )
        if kept is None or loss < best:
            best, kept = loss, head.coef_ / scale
    if len(labels) == 2:  # scikit-learn has one row, of the second class against the first
        kept = np.concatenate([-kept / 2, kept / 2])
    rows = np.zeros((int(label.max()) + 1, state.shape[1]), dtype=np.float32)
    rows[labels] = kept
    rows += _above_all_others(model, state, len(rows), last)
    save_file({"rows": rows}, place / f"{LABELS}.new")
    (place / f"{LABELS}.new").rename(place / LABELS)
    return float(best) if np.isfinite(best) else float("nan")


def _above_all_others(model: Any, state: Floats, count: int, last: int) -> Floats:
    """Return [d] the vector that, added to every label's row, lifts all above other tokens.

    It is computed for the mean state. The labels' order is unchanged; without it tuning would
    first have to learn that a label comes next, and would spoil what the rows have learned.
    """
    mean = state.mean(axis=0)
    head = model.get_output_embeddings().weight.detach().float().cpu().numpy()
    # The labels are the last tokens, except for the padding of the vocabulary.
    highest = float(np.delete(head @ mean, np.arange(last - count, last)).max())
    lifted: Floats = (max(0.0, highest) + _LIFT) * mean / max(1e-9, float(mean @ mean))
    return lifted


def states(model: Any, prompts: list[list[int]]) -> Floats:
    """Return [n, d] the hidden state after each prompt, which scores the next token."""
    import torch

    # A query with several right labels occurs once for each of them.
    places: dict[tuple[int, ...], int] = {}
    where = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    distinct = [list(prompt) for prompt in places]
    found = np.zeros((len(distinct), model.config.hidden_size))
    with torch.inference_mode():
        for rows in alike(distinct):
            tokens = torch.tensor([distinct[row] for row in rows], device=model.device)
            made = model(
                input_ids=tokens, use_cache=False, logits_to_keep=1, output_hidden_states=True
            )
            found[rows] = made.hidden_states[-1][:, -1].float().cpu().numpy()
    whole: Floats = found[where]
    return whole


def common(rows: Sequence[list[int]]) -> int:
    """Return the number of tokens that all rows begin with."""
    if not rows:
        return 0
    low, high = min(rows), max(rows)
    pairs = zip(low, high, strict=False)
    return next((i for i, (one, two) in enumerate(pairs) if one != two), min(len(low), len(high)))


def alike(prompts: Sequence[list[int]]) -> Iterator[list[int]]:
    """Yield batches of row numbers of prompts of equal length."""
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        size = max(1, _BATCH_TOKENS // max(1, int(length)))
        for start in range(0, len(rows), size):
            yield rows[start : start + size].tolist()


def _set_labels(model: Any, tokenizer: Any, place: Path) -> None:
    import torch
    from safetensors.torch import load_file

    rows = load_file(place)["rows"]
    if model.config.tie_word_embeddings:
        # The labels' rows outscore all others: as input embeddings they would dominate.
        untie(model)
    weight = model.get_output_embeddings().weight
    last = len(tokenizer)
    with torch.no_grad():
        weight[last - len(rows) : last] = rows.to(weight)


def untie(model: Any) -> None:
    """Separate the output head from the embeddings, so that the labels' rows can be learned."""
    import torch

    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = False


def _make_room(model: Any, tokenizer: Any) -> None:
    """Set rows for the labels' tokens in a pretrained model, resizing it if necessary."""
    labels = len(tokenizer.get_added_vocab()) and len(_labels(tokenizer))
    if added_end(tokenizer):
        labels += 1  # its row is right before theirs
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if labels:
        spread_labels(model, labels, len(tokenizer))


def _labels(tokenizer: Any) -> list[str]:
    import re

    kind = re.compile(r"<(?:llm|policy):.*>", re.DOTALL)
    return [token for token in tokenizer.get_added_vocab() if kind.fullmatch(token)]


def _ends(model: Any) -> list[Any]:
    """Return the input embeddings and the output head."""
    return [model.get_input_embeddings(), model.get_output_embeddings()]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch seeded; restore the random state of other code afterwards."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _found(place: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        hint = "" if Path(place).exists() else download(str(place))
        raise DataError(f"base_model: {place} cannot be loaded: {first}", hint) from error


def added(template: Template) -> list[Any]:
    """Return the labels' tokens, as ordinary text that can be generated and decoded."""
    from tokenizers import AddedToken

    return [
        AddedToken(token, special=False, normalized=False, single_word=False)
        for token in template.tokens()
    ]
