"""Base models: a small one built on the spot, or a pretrained one from a folder or the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError
from routebench.records import Floats, Ints
from routebench_routers.language.options import EMBEDDED, LanguageOptions
from routebench_routers.language.prompts import Template

END, PAD = "<|end|>", "<|pad|>"
LABELS = "labels.safetensors"
_PRETRAIN_BATCH, _PRETRAIN_LENGTH, _PRETRAIN_RATE = 32, 192, 5e-3
_BATCH_TOKENS = 16_384
_LIFT = 8.0  # nats
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
_BARE = 0.75  # share of the passes without the head of the prompt


def prepare(
    options: LanguageOptions,
    template: Template,
    queries: Sequence[str],
    folder: Path,
    seed: int,
    told: Callable[[float, str], None],
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Put a tokenizer that knows the labels into `folder`, and the embedded model with it.

    Returns what there is to say of the base: name, parameters, and where it was pretrained.
    """
    if options.base_model != EMBEDDED:
        tokenizer = load_tokenizer(options.base_model, options.revision)
        tokenizer.add_tokens(_added(template))
        tokenizer.save_pretrained(folder)
        return {"base_model": options.base_model, "pretrained": "elsewhere"}
    tokenizer = build_tokenizer(template, [*queries, *also], options.vocabulary)
    model = build_model(options, tokenizer, seed)
    spread_labels(model, len(template.labels))
    losses = pretrain(model, tokenizer, template, queries, also, options, seed, told)
    _untie(model)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return {
        "base_model": f"embedded Llama, {options.num_layers} layers of {options.hidden_size}",
        "pretrained": f"on the {len(queries):,} training queries, {options.pretrain_epochs} epochs"
        if losses
        else "no",
        "pretrain_loss": losses,
    }


def build_tokenizer(template: Template, texts: Sequence[str], size: int) -> Any:
    """A byte-level BPE tokenizer of the texts and of the prompt around them."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The prompt often enough to become few tokens.
    prompts = [template.prompt("")] * max(2, len(texts) // 4)
    bpe.train_from_iterator([*texts, *prompts], trainer)
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=bpe, pad_token=PAD, eos_token=END)
    tokenizer.add_tokens(_added(template))
    return tokenizer


def build_model(options: LanguageOptions, tokenizer: Any, seed: int) -> Any:
    """A Llama of the options' size with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width = options.hidden_size
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=options.num_layers,
        # Heads of 32 are the narrowest that vLLM has on a CPU.
        num_attention_heads=max(1, width // 32),
        num_key_value_heads=max(1, width // 32),
        head_dim=32,
        max_position_embeddings=max(2048, options.max_length),
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.05,
    )
    with seeded(seed):
        model = LlamaForCausalLM(config)
    own: Any = model
    return own.to(torch.float32)


def pretrain(
    model: Any,
    tokenizer: Any,
    template: Template,
    queries: Sequence[str],
    also: Sequence[str],
    options: LanguageOptions,
    seed: int,
    told: Callable[[float, str], None],
) -> list[float]:
    """Teach an embedded model the training queries; the mean loss of each epoch.

    Two losses in one pass: the next token throughout, and at the end of the prompt, where the
    label will stand, which tokens the query had. The second is what makes the state there tell
    anything of the query; no outcome is used in either.
    """
    import torch

    # The head is long and the same everywhere: only the last passes have it.
    heads = ("", template.head)
    starts = [tokenizer([head + q + template.tail for q in queries])["input_ids"] for head in heads]
    ends = tokenizer([*also])["input_ids"] if also else [[] for _ in queries]
    own = tokenizer(list(queries), add_special_tokens=False)["input_ids"]
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(model.parameters(), lr=_PRETRAIN_RATE, weight_decay=0.01)
    fixed = _hold_labels(model, len(template.labels))
    losses: list[float] = []
    for epoch in range(options.pretrain_epochs if queries else 0):
        start = starts[epoch >= _BARE * options.pretrain_epochs]
        total = 0.0
        order: Any = torch.randperm(len(own), generator=generator)
        for rows in order.split(_PRETRAIN_BATCH):
            # What may follow is long: every other pass has it.
            batch = [(start[row], ends[row] if epoch % 2 else [], own[row]) for row in rows]
            loss = _pretraining_loss(model, tokenizer, batch)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(own))
        told((epoch + 1) / options.pretrain_epochs, f"pretraining, loss {losses[-1]:.3f}")
    fixed.remove()
    return losses


def _pretraining_loss(
    model: Any, tokenizer: Any, batch: list[tuple[list[int], list[int], list[int]]]
) -> Any:
    """Of rows of prompt, what follows it, and the query's own tokens."""
    import torch

    cut = [(start[-_PRETRAIN_LENGTH:], end, own) for start, end, own in batch]
    rows = [torch.tensor([*start, *end, tokenizer.eos_token_id]) for start, end, _ in cut]
    pad = torch.nn.utils.rnn.pad_sequence
    tokens, labels = pad(rows, True, tokenizer.pad_token_id), pad(rows, True, -100)
    logits = model(input_ids=tokens, attention_mask=labels != -100).logits
    words = torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100
    )
    had = torch.zeros(len(cut), logits.shape[-1])
    for row, (_, _, own) in enumerate(cut):
        had[row, own] = 1.0
    share = had / had.sum(dim=1, keepdim=True).clamp(min=1.0)
    places = torch.tensor([len(start) - 1 for start, _, _ in cut])
    recalled = torch.nn.functional.cross_entropy(logits[torch.arange(len(cut)), places], share)
    return words + recalled


def _hold_labels(model: Any, count: int) -> Any:
    """Keep the labels' rows as they are: they are the last ones of a tied vocabulary."""

    def held(gradient: Any) -> Any:
        gradient = gradient.clone()
        gradient[-count:] = 0.0
        return gradient

    return model.get_input_embeddings().weight.register_hook(held)


def load_tokenizer(place: str | Path, revision: str | None = None) -> Any:
    """The tokenizer of a folder or a downloaded model, with a token to pad with."""
    from transformers import AutoTokenizer

    with _found(place):
        tokenizer = AutoTokenizer.from_pretrained(str(place), revision=revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    place: str | Path,
    tokenizer: Any,
    options: LanguageOptions,
    device: str,
    labels: Path | None = None,
) -> Any:
    """The causal LM of a folder or a downloaded model, with a row for every token.

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


def spread_labels(model: Any, count: int, last: int | None = None) -> None:
    """Give the labels' tokens rows of their own: random directions of the usual length.

    They are the same for one model whenever it is loaded, and stay fixed: tuning turns the hidden
    state towards them. Rows as a model is extended with are alike, and could not be told apart.
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
    model: Any, prompts: list[list[int]], label: Ints, weight: Floats, checked: int, place: Path
) -> float:
    """Rows for the labels by logistic regression on a base model's state after each prompt.

    Tuning then starts from a head that is right for the base, not from a random one (linear
    probing before fine-tuning, arXiv 2202.10054). The last `checked` prompts choose the penalty.
    Writes the rows into the folder `place`; returns the loss on those prompts.
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
    if len(labels) == 2:  # one row there: the second class against the first
        kept = np.concatenate([-kept / 2, kept / 2])
    rows = np.zeros((int(label.max()) + 1, state.shape[1]), dtype=np.float32)
    rows[labels] = kept
    rows += _above_all_others(model, state, len(rows))
    save_file({"rows": rows}, place / LABELS)
    return float(best) if np.isfinite(best) else float("nan")


def _above_all_others(model: Any, state: Floats, count: int) -> Floats:
    """[d] what lifts all labels alike over the rest of the vocabulary, in the mean state.

    Among the labels it changes nothing; without it tuning would first have to learn that a label
    comes next, at the cost of what the labels' rows have learned.
    """
    mean = state.mean(axis=0)
    head = model.get_output_embeddings().weight[:-count].detach().float().cpu().numpy()
    highest = float((head @ mean).max())
    lifted: Floats = (max(0.0, highest) + _LIFT) * mean / max(1e-9, float(mean @ mean))
    return lifted


def states(model: Any, prompts: list[list[int]]) -> Floats:
    """[n, d] what the model holds after each prompt: what scores the next token."""
    import torch

    found = np.zeros((len(prompts), model.config.hidden_size))
    with torch.inference_mode():
        for rows in alike(prompts):
            tokens = torch.tensor([prompts[row] for row in rows], device=model.device)
            made = model(
                input_ids=tokens, use_cache=False, logits_to_keep=1, output_hidden_states=True
            )
            found[rows] = made.hidden_states[-1][:, -1].float().cpu().numpy()
    return found


def alike(prompts: Sequence[list[int]]) -> Iterator[list[int]]:
    """Rows of prompts of equal length, in batches."""
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
    weight = model.get_output_embeddings().weight
    last = len(tokenizer)
    with torch.no_grad():
        weight[last - len(rows) : last] = rows.to(weight)


def _untie(model: Any) -> None:
    """A head of its own, which the labels' rows can be learned in."""
    import torch

    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = False


def _make_room(model: Any, tokenizer: Any) -> None:
    """Rows for the labels' tokens in a pretrained model, which knows nothing of them."""
    labels = len(tokenizer.get_added_vocab()) and len(_labels(tokenizer))
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if labels:
        spread_labels(model, labels, len(tokenizer))


def _labels(tokenizer: Any) -> list[str]:
    import re

    kind = re.compile(r"<(?:llm|policy):.*>", re.DOTALL)
    return [token for token in tokenizer.get_added_vocab() if kind.fullmatch(token)]


def _ends(model: Any) -> list[Any]:
    """What reads tokens in, and what scores them at the end."""
    return [model.get_input_embeddings(), model.get_output_embeddings()]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws of torch from a seed, leaving those of others as they were."""
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
        raise DataError(f"base_model: {place} cannot be loaded: {first}") from error


def _added(template: Template) -> list[Any]:
    """The labels' tokens: text like any other, so that they can be generated and read back."""
    from tokenizers import AddedToken

    return [
        AddedToken(token, special=False, normalized=False, single_word=False)
        for token in template.tokens()
    ]
