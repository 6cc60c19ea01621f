"""Preparation of a base model: a small one built and pretrained here, or an existing one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench_routers.language import adjustments, bases
from routebench_routers.language.options import EMBEDDED, LanguageOptions
from routebench_routers.language.prompts import Template

END, PAD = "<|end|>", "<|pad|>"
_BATCH, _LENGTH, _RATE = 32, 192, 5e-3
_BARE = 0.75  # share of the passes without the head of the prompt
_STEPS = 600  # minimum number of pretraining steps: a small table has few in a pass
_WINDOW = 4  # batches that are sorted by length together; fewer cost accuracy on small tables


def prepare(
    options: LanguageOptions,
    template: Template,
    queries: Sequence[str],
    folder: Path,
    seed: int,
    told: Callable[[float, str], None],
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Write a tokenizer with the labels' tokens, and any embedded model, into `folder`.

    Returns facts to report: the base's name, where it was pretrained, and an embedded one's losses.
    """
    if options.base_model != EMBEDDED:
        tokenizer = bases.load_tokenizer(options.base_model, options.revision)
        facts = {"base_model": options.base_model, "pretrained": "elsewhere"}
        facts |= adjustments.complete(tokenizer, bases.configuration(options))
        tokenizer.add_tokens(bases.added(template))
        tokenizer.save_pretrained(folder)
        return facts
    tokenizer = build_tokenizer(template, [*queries, *also], options.vocabulary)
    model = build_model(options, tokenizer, seed)
    bases.spread_labels(model, len(template.labels))
    losses = pretrain(model, tokenizer, template, queries, also, options, seed, told)
    bases.untie(model)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return {
        "base_model": f"embedded Llama, {options.num_layers} layers of {options.hidden_size}",
        "pretrained": f"on the {len(queries):,} training queries, {len(losses)} epochs"
        if losses
        else "no",
        "pretrain_loss": losses,
    }


def build_tokenizer(template: Template, texts: Sequence[str], size: int) -> Any:
    """Train a byte-level BPE tokenizer on the texts and on the prompt around them."""
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
    # The prompt is repeated, so that it is encoded as few tokens.
    prompts = [template.prompt("")] * max(2, len(texts) // 4)
    bpe.train_from_iterator([*texts, *prompts], trainer)
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=bpe, pad_token=PAD, eos_token=END)
    tokenizer.add_tokens(bases.added(template))
    return tokenizer


def build_model(options: LanguageOptions, tokenizer: Any, seed: int) -> Any:
    """Build a Llama of the options' size with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width = options.hidden_size
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=options.num_layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=max(2048, options.max_length),
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.05,
    )
    with bases.seeded(seed):
        model: Any = LlamaForCausalLM(config)
    # The first layer starts as an average over its inputs, which training then sharpens. With
    # random weights it often took hundreds of steps until the query's words had any effect.
    first = model.model.layers[0].self_attn
    with torch.no_grad():
        first.q_proj.weight.zero_()
        first.v_proj.weight.copy_(torch.eye(width))
        first.o_proj.weight.copy_(torch.eye(width))
    return model.to(torch.float32)


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
    """Train an embedded model on the training queries; return the mean loss of each epoch.

    Two losses are added: of the next token throughout, and of the set of the query's tokens,
    predicted at the end of the prompt, where the label will be. The second makes the state there
    represent the query. Neither uses outcomes.
    """
    import torch

    # The head is long and the same in all prompts: only the last passes include it.
    heads = ("", template.head)
    starts = [tokenizer([head + q + template.tail for q in queries])["input_ids"] for head in heads]
    shared = [0, bases.common(starts[1])]
    ends = tokenizer([*also])["input_ids"] if also else [[] for _ in queries]
    own = tokenizer(list(queries), add_special_tokens=False)["input_ids"]
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.01)
    fixed = _hold_labels(model, len(template.labels))
    losses: list[float] = []
    passes = _passes(options.pretrain_epochs, len(own))
    telling = _telling(own, len(tokenizer))
    for epoch in range(passes):
        headed = epoch >= _BARE * passes
        # The texts that may follow are long: every other pass includes them.
        rows = [
            _Lesson.of(start, shared[headed], end if epoch % 2 else [], query)
            for start, end, query in zip(starts[headed], ends, own, strict=True)
        ]
        total = 0.0
        order = torch.randperm(len(rows), generator=generator).tolist()
        for batch in similar([len(row.tokens) for row in rows], order, _BATCH):
            loss = _pretraining_loss(model, tokenizer, telling, [rows[row] for row in batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / len(own))
        told((epoch + 1) / passes, f"pretraining, loss {losses[-1]:.3f}")
    fixed.remove()
    return losses


@dataclass(frozen=True)
class _Lesson:
    """A prompt that an embedded model is pretrained on, and the text that may follow it."""

    tokens: list[int]
    skipped: int
    """Number of first tokens that are the same in all prompts: they are not predicted."""
    place: int
    """Position of the prompt's last token."""
    own: list[int]
    """The tokens of the query."""

    @classmethod
    def of(cls, start: list[int], common: int, end: list[int], own: list[int]) -> _Lesson:
        cut = max(0, len(start) - _LENGTH)
        return cls([*start[cut:], *end], max(0, common - cut), len(start) - cut - 1, own)


def _passes(asked: int, queries: int) -> int:
    """Return the number of passes: as requested, or more to reach `_STEPS` steps; 0 for 0."""
    return max(asked, -(-_STEPS * _BATCH // queries)) if asked and queries else 0


def _telling(queries: Sequence[Sequence[int]], size: int) -> Any:
    """Return [v] how informative each token is of its query: rare ones more, as in TF-IDF."""
    import torch

    having = torch.zeros(size)
    for own in queries:
        having[list(set(own))] += 1.0
    return torch.sqrt(torch.log((1.0 + len(queries)) / (1.0 + having)) + 0.1)


def similar(lengths: Sequence[int], order: Sequence[int], size: int) -> list[list[int]]:
    """Split an order of rows into batches of similar length, which need little padding.

    Rows move within windows of `_WINDOW` batches only; the batches of a window are ordered by
    their first rows.
    """
    batches = []
    for start in range(0, len(order), size * _WINDOW):
        window = list(order[start : start + size * _WINDOW])
        ranked = sorted(window, key=lengths.__getitem__)
        own = [ranked[at : at + size] for at in range(0, len(ranked), size)]
        place = {row: at for at, row in enumerate(window)}
        # A batch of fewer than `size` rows comes last.
        batches += sorted(own, key=lambda rows: (len(rows) < size, place[rows[0]]))
    return batches


def _pretraining_loss(model: Any, tokenizer: Any, telling: Any, batch: list[_Lesson]) -> Any:
    """Return the loss of the next tokens plus that of the query's tokens at the prompt's end.

    The tokens that all prompts begin with are not scored.
    """
    import torch

    entropy = torch.nn.functional.cross_entropy
    rows = [torch.tensor([*row.tokens, tokenizer.eos_token_id]) for row in batch]
    pad = torch.nn.utils.rnn.pad_sequence
    tokens, labels = pad(rows, True, tokenizer.pad_token_id), pad(rows, True, -100)
    held = model.model(input_ids=tokens, attention_mask=labels != -100).last_hidden_state
    asked = labels[:, 1:] != -100
    for at, row in enumerate(batch):
        asked[at, : row.skipped] = False
    words = entropy(model.lm_head(held[:, :-1][asked]), labels[:, 1:][asked])
    had = torch.zeros(len(batch), len(tokenizer))
    for at, row in enumerate(batch):
        had[at, row.own] = telling[row.own]
    share = had / had.sum(dim=1, keepdim=True).clamp(min=1e-6)
    places = torch.tensor([row.place for row in batch])
    return words + entropy(model.lm_head(held[torch.arange(len(batch)), places]), share)


def _hold_labels(model: Any, count: int) -> Any:
    """Keep the labels' rows fixed; they are the last rows of a tied vocabulary."""

    def held(gradient: Any) -> Any:
        gradient = gradient.clone()
        gradient[-count:] = 0.0
        return gradient

    return model.get_input_embeddings().weight.register_hook(held)
