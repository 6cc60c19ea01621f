"""A BERT classifier that reads the query's words."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from routebench.errors import OptionError
from routebench.hookspecs import Context
from routebench.records import Floats, Table
from routebench_routers.adam import Adam
from routebench_routers.published.examples import Examples, TableRouter
from routebench_routers.published.networks.descent import cross_entropy, log_odds, sigmoid

_WORD = re.compile(r"\w+|[^\w\s]")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_BATCH = 64


class Bert(TableRouter):
    """P(model is right) from a BERT sequence classifier with one output per model.

    The embedded profile builds a small BERT, with a vocabulary made of the training queries, and
    trains it from nothing. With `base` a pretrained one is tuned.

    Source: the BERT router of RouteLLM (arXiv 2406.18665), which tells win, tie and loss of two
    models. Preset `paper`: bert-base-uncased, lr 1e-5, batches of 16, 512 tokens, weight decay .01,
    3 epochs.

    Deviations: an output per model in place of three classes, so that a pool may have any number of
    models; cross-entropy of the scores; the epoch with the lowest loss on validation is kept.
    """

    family = "published"
    in_all = False

    class Options(BaseModel):
        base: str | None = Field(None, description="pretrained model; a small new one if unset")
        max_length: int = Field(48, ge=4, le=8192, description="tokens read of a query")
        vocabulary: int = Field(4000, ge=10, description="words known to a new model")
        hidden_size: int = Field(48, ge=4, le=4096, description="width of a new model")
        layers: int = Field(1, ge=1, le=64, description="layers of a new model")
        lr: float = Field(5e-4, gt=0, description="Adam's learning rate")
        weight_decay: float = Field(0.0, ge=0, description="L2 penalty")
        epochs: int = Field(8, ge=1, description="passes over the training queries at most")
        batch_size: int = Field(16, ge=1, description="queries per step")
        patience: int | None = Field(
            2, ge=1, description="epochs without a better one before it stops; never if unset"
        )

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "base": "bert-base-uncased",
            "max_length": 512,
            "lr": 1e-5,
            "weight_decay": 0.01,
            "epochs": 3,
            "batch_size": 16,
            "patience": None,
        }
    }

    libraries = ("torch", "transformers")
    effort = 60
    options: Options

    def _consider(self, train: Table, context: Context) -> None:
        super()._consider(train, context)
        self._tokenizer = self._new_tokenizer(list(train.queries.text))

    def _vectors(self, texts: list[str]) -> Floats:
        """Return [n, max_length] token numbers, padded; a text is cut at its end."""
        found = self._tokenizer(
            [text or " " for text in texts],
            truncation=True,
            max_length=self.options.max_length,
            padding="max_length",
        )
        return np.array(found["input_ids"], dtype=np.float64).reshape(len(texts), -1)

    def build(self, train: Examples, held: Examples | None, context: Context) -> None:
        import torch

        threads = torch.get_num_threads()
        if context.device == "cpu":
            torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(context.seed)
                self._train(train, held, context)
        finally:
            torch.set_num_threads(threads)

    def _train(self, train: Examples, held: Examples | None, context: Context) -> None:
        import torch

        options = self.options
        network = self._new_network(train).to(context.device)
        self._network = network
        adam = Adam(list(network.parameters()), options.lr, options.weight_decay)
        targets, known = (
            torch.tensor(values, dtype=torch.float32, device=context.device)
            for values in (train.targets, train.known)
        )
        last = options.epochs if held is not None else int(self.chosen["epoch"])
        lowest = np.inf if held is None else self._loss(held)
        kept, since = _copied(network), 0
        self.chosen["epoch"] = 0 if held is not None else last
        for epoch in range(1, last + 1):
            network.train()
            order: Any = torch.randperm(len(train))
            for rows in order.split(options.batch_size):
                logits = self._logits(train.vectors[rows.numpy()])
                cross_entropy(logits, targets[rows], known[rows]).backward()
                adam.step()
            if held is None:
                continue
            loss = self._loss(held)
            since = 0 if loss < lowest else since + 1
            if loss < lowest:
                lowest, kept, self.chosen["epoch"] = loss, _copied(network), epoch
            context.progress(epoch / (last + 1), f"epoch {epoch}, loss {loss:.4f}")
            if options.patience is not None and since >= options.patience:
                break
        if held is not None:
            network.load_state_dict(kept)
        network.eval()

    def expected(self, vectors: Floats) -> Floats:
        import torch

        self._network.eval()
        parts = [np.zeros((0, len(self.columns)))]
        with torch.no_grad():
            for start in range(0, len(vectors), _BATCH):
                found = self._logits(vectors[start : start + _BATCH])
                parts.append(found.double().cpu().numpy())
        return sigmoid(np.concatenate(parts))

    def save(self, folder: Path) -> None:
        _without_bars()
        super().save(folder)
        self._network.save_pretrained(folder / "bert")
        self._tokenizer.save_pretrained(folder / "bert")

    def load(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        _without_bars()
        super().load(folder)
        place = str(folder / "bert")
        self._network = AutoModelForSequenceClassification.from_pretrained(
            place, local_files_only=True
        ).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)

    def _logits(self, ids: Floats) -> Any:
        import torch

        tokens = torch.tensor(ids, dtype=torch.long, device=self._network.device)
        mask = tokens != self._tokenizer.pad_token_id
        longest = max(1, int(mask.sum(dim=1).max()))  # padding that no query needs is left out
        return self._network(
            input_ids=tokens[:, :longest], attention_mask=mask[:, :longest].long()
        ).logits

    def _loss(self, held: Examples) -> float:
        chance = np.clip(self.expected(held.vectors), 1e-7, 1 - 1e-7)
        losses = -held.targets * np.log(chance) - (1 - held.targets) * np.log(1 - chance)
        return float(losses[held.known].mean()) if held.known.any() else np.inf

    def _new_network(self, train: Examples) -> Any:
        import torch
        import transformers

        library: Any = transformers  # whose constructors are typed in part
        options, m = self.options, train.scores.shape[1]
        if options.base:
            network = library.AutoModelForSequenceClassification.from_pretrained(
                options.base,
                num_labels=m,
                ignore_mismatched_sizes=True,  # a head for other labels is left behind
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
            )
        else:
            network = library.BertForSequenceClassification(
                library.BertConfig(
                    vocab_size=len(self._tokenizer),
                    hidden_size=options.hidden_size,
                    num_hidden_layers=options.layers,
                    num_attention_heads=max(1, options.hidden_size // 16),
                    intermediate_size=2 * options.hidden_size,
                    max_position_embeddings=options.max_length,
                    num_labels=m,
                    pad_token_id=0,
                    initializer_range=0.1,  # .02 is for widths of hundreds
                )
            )
        with torch.no_grad():  # it begins with the models' means
            head = getattr(network.classifier, "out_proj", network.classifier)
            head.weight.mul_(0.1)
            head.bias.copy_(torch.tensor(log_odds(train), dtype=torch.float32))
        return network

    def _new_tokenizer(self, texts: list[str]) -> Any:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        fast: Any = PreTrainedTokenizerFast
        if self.options.base:
            try:
                return AutoTokenizer.from_pretrained(self.options.base, local_files_only=True)
            except OSError as error:
                raise OptionError(
                    f"bert.base: {self.options.base} is not on this machine",
                    f"hf download {self.options.base}, or name a folder",
                ) from error
        counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        words = [*_SPECIAL, *ranked[: self.options.vocabulary - len(_SPECIAL)]]
        pad, unknown, start, end = _SPECIAL
        numbers = {word: number for number, word in enumerate(words)}
        built = Tokenizer(models.WordLevel(numbers, unk_token=unknown))
        built.normalizer = normalizers.Lowercase()
        built.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.WhitespaceSplit(),
                pre_tokenizers.Split(Regex(_WORD.pattern), "isolated"),
            ]
        )
        built.post_processor = processors.TemplateProcessing(
            f"{start} $A {end}", special_tokens=[(start, 2), (end, 3)]
        )
        return fast(
            tokenizer_object=built,
            pad_token=pad,
            unk_token=unknown,
            cls_token=start,
            sep_token=end,
        )


def _without_bars() -> None:
    from transformers.utils import logging

    logs: Any = logging
    logs.disable_progress_bar()


def _copied(network: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
