"""Tables that small language models learn from in seconds, and base models to learn with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from once import once

from routebench.hookspecs import Context
from routebench.records import Decisions, Ints, Outcomes, Pool, Queries, Table

NAMES = ("gpt-4", "gpt-4o", "gpt-4o-mini")
"""Names that contain each other."""
KEYS = ("poem", "integral", "python")
WORDS = ("river", "stone", "window", "paper", "garden", "music", "engine", "letter", "market")

SMALL: dict[str, Any] = {"num_epochs": 3, "pretrain_epochs": 6, "hidden_size": 64}
"""Options that find a rule that one word tells."""
TINY: dict[str, Any] = {
    "num_epochs": 2,
    "pretrain_epochs": 0,
    "hidden_size": 16,
    "num_layers": 1,
    "vocabulary": 300,
}
"""Options that learn next to nothing, at once."""


def texts(kind: Ints, seed: int = 0) -> list[str]:
    """Random words, and among them the one of the kind."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(
            [
                *rng.choice(WORDS, rng.integers(3, 9)),
                KEYS[k],
                *rng.choice(WORDS, rng.integers(2, 7)),
            ]
        )
        for k in kind
    ]


def kinds(n: int, seed: int = 0, share: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> Ints:
    """[n] kinds of queries, drawn."""
    drawn: Ints = np.random.default_rng([seed, 1]).choice(3, size=n, p=share)
    return drawn


def table(score: Any, queries: list[str], models: tuple[str, ...], cost: Any = None) -> Table:
    """What a router learns from."""
    values = np.array(score, dtype=float)
    costs = None if cost is None else np.tile(np.array(cost, dtype=float), (len(values), 1))
    state = np.where(np.isnan(values), 2, 0).astype(np.int8)
    outcomes = Outcomes(values, state, costs)
    return Table(Queries(np.array(queries, dtype=object)), outcomes, Pool(models))


def some(given: Table, rows: Ints) -> Table:
    """Some rows of a table."""
    return replace(given, queries=given.queries.take(rows), outcomes=given.outcomes.take(rows))


def told_by_word(n: int, seed: int = 0) -> Table:
    """Model j is right where word j is in the text, and nowhere else."""
    kind = kinds(n, seed)
    return table(kind[:, None] == np.arange(3), texts(kind, seed), NAMES)


def coins(n: int, seed: int = 0) -> Table:
    """Nothing in the text tells which model is right."""
    score = np.random.default_rng([seed, 2]).random((n, 3)) < 0.5
    return table(score, texts(kinds(n, seed), seed), NAMES)


def graded(n: int, seed: int = 0, noise: bool = False) -> Table:
    """A medium model that is right on poems, a large one also on integrals; none on python."""
    kind = kinds(n, seed, (0.5, 0.3, 0.2))
    words = texts(kind, seed)
    rng = np.random.default_rng([seed, 3])
    if noise:
        kind = rng.permutation(kind)
    large = np.where(kind == 0, rng.random(n) < 0.8, kind == 1)
    return table(np.stack([large, kind == 0], axis=1), words, ("large", "medium"), [10.0, 1.0])


def mixed(n: int = 60, seed: int = 4) -> Table:
    """Ties of two, ties of all, and queries that all models fail."""
    score = np.random.default_rng(seed).choice([0.0, 1.0], size=(n, 3), p=[0.4, 0.6])
    score[:10], score[10:20] = 0.0, 1.0
    return table(score, texts(kinds(n, seed), seed), NAMES)


def tiny_causal_lm(factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint of a `causal-lm` with options `TINY`, trained on `mixed()`."""
    from routebench_routers.causal_lm import CausalLM

    def make(folder: Path) -> None:
        router = CausalLM(CausalLM.Options(**TINY))
        fit(router, mixed(), mixed(30, 5), folder).save(folder / "checkpoint")

    return once(factory, "tiny causal-lm", make) / "checkpoint"


def fit(
    router: Any, train: Table, validation: Table, folder: Path, seed: int = 0, **also: Any
) -> Any:
    """The router, trained; and what it said of that in `folder / notes`."""
    for name in ("work", "kept"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    context = Context(
        seed,
        None,  # type: ignore[arg-type]  # language models read texts
        folder / "work",
        progress=also.pop("progress", lambda done, note="": notes.append(note)),
        kept=folder / "kept",
        **also,
    )
    router.fit(train, validation, context)
    (folder / "notes").write_text("\n".join(notes))
    return router


def stored(router: Any, folder: Path) -> Any:
    """The router as another process has it: by its checkpoint alone."""
    router.save(folder)
    again = type(router)(router.options)
    again.load(folder)
    return again


def ask(router: Any, *queries: str) -> Decisions:
    found: Decisions = router.route(Queries(np.array(queries, dtype=object)))
    return found


def base_model(folder: Path, tied: bool, padded: int = 0) -> Path:
    """A Llama of random weights with a BPE tokenizer, as one from a hub would lie there."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([f"{word} {key}" for word in WORDS for key in KEYS] * 3, trainer)
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=bpe, eos_token="</s>")
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer) + padded,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.05,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def gpt2(
    folder: Path,
    room: int = 1024,
    end: str | None = "</s>",
    template: str | None = None,
    ends_texts: bool = False,
) -> Path:
    """A GPT-2 of random weights, with learned positions: it cannot read more than `room` tokens.

    Without `end` its tokenizer has no special token at all; with `ends_texts` it writes it after
    every text.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[end] if end else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([f"{word} {key}" for word in WORDS for key in KEYS] * 3, trainer)
    if ends_texts:
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{end} $A {end}", special_tokens=[(end, 0)]
        )
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=bpe, **({"eos_token": end} if end else {}))
    tokenizer.chat_template = template
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=room,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
