"""Transformer encoders from the Hugging Face hub or a local folder, pooled to one vector a text."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from routebench.errors import DataError
from routebench.files import file_sha256, sha256

Vectors = npt.NDArray[np.float32]

_LONGEST = 4096  # tokens, where neither the options nor the model set a lower limit
_WHERE = "give a folder with a model, or a hub model that can be downloaded or is in the cache"


class HuggingFace:
    """A transformer encoder, such as Longformer (Beltagy et al. 2020), pooled over its tokens.

    Nothing is learned from the texts. Code that comes with a model is never run, and weights are
    read as tensors only: no pickle in them is run.
    """

    stateless = True

    class Options(BaseModel):
        model: str = Field(description="hub name or local folder")
        revision: str | None = Field(None, description="branch, tag or commit of a hub model")
        pooling: Literal["mean", "cls"] = Field(
            "mean", description="mean over the tokens, or the first token's vector"
        )
        max_length: int | None = Field(
            None, ge=8, description="tokens kept of a text; default: what the model takes, to 4096"
        )
        batch_tokens: int = Field(16384, ge=1, description="tokens per batch, padding included")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = "cpu"

    @property
    def dimension(self) -> int:
        width = getattr(self._config.get_text_config(), "hidden_size", None)
        if width is None:
            width = getattr(self._config, "d_model", None)
        if not isinstance(width, int):
            raise DataError(f"{self.options.model}: is no text encoder: it states no hidden_size")
        return width

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of the weights and of the options that change vectors."""
        options = self.options
        return fingerprint("hf-1", self._source.identity, options.pooling, options.max_length)

    def fit(self, texts: Sequence[str]) -> None:
        """Learn nothing: the weights are fixed."""

    def save(self, folder: Path) -> None:
        """Save nothing: the options name the model."""

    def load(self, folder: Path) -> None:
        """Load nothing: the options name the model."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return [n, dimension] one vector per text; zeros for a text without tokens."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        tokenizer, model, step = self._loaded
        tokens = tokenizer(
            [well_formed(text) for text in texts], truncation=True, max_length=self._limit
        )["input_ids"]
        # A CPU gains nothing from padding. Without it, no vector depends on its batch.
        mixed = self.device != "cpu"
        for batch in batches([len(t) for t in tokens], self.options.batch_tokens, step, mixed):
            pooled = self._pooled(model, [tokens[i] for i in batch], step)
            if pooled.shape != (len(batch), vectors.shape[1]):
                raise DataError(
                    f"{self.options.model}: vectors are {pooled.shape[1]} wide, but its"
                    f" configuration says {vectors.shape[1]}"
                )
            vectors[batch] = pooled
        if not np.isfinite(vectors).all():
            text = texts[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
            raise DataError(f"{self.options.model}: no finite vector for {text[:40]!r}")
        return vectors

    def _pooled(self, model: Any, tokens: list[list[int]], step: int) -> Vectors:
        """Return [n, width] the pooled vectors of token lists.

        The lists are padded to one length that is a multiple of `step`.
        """
        import torch

        width = -(-max(len(t) for t in tokens) // step) * step
        ids = torch.full((len(tokens), width), self._pad)
        mask = torch.zeros((len(tokens), width), dtype=torch.long)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = torch.tensor(each)
            mask[row, : len(each)] = 1
        if int(ids.max()) >= model.get_input_embeddings().num_embeddings:  # a crash on CUDA
            raise DataError(f"{self.options.model}: the tokenizer has more tokens than the model")
        given = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        if "global_attention_mask" in inspect.signature(model.forward).parameters:
            given["global_attention_mask"] = torch.zeros_like(given["attention_mask"])
            given["global_attention_mask"][:, 0] = 1
        try:
            with torch.inference_mode():
                hidden = model.to(self.device)(**given).last_hidden_state
        except torch.cuda.OutOfMemoryError as error:
            hint = f"set batch_tokens below {self.options.batch_tokens}"
            raise DataError(f"{self.options.model}: the GPU's memory is full", hint) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            text = f"{self.options.model}: is no text encoder: {first_line(error)}"
            raise DataError(text) from error
        if self.options.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            weights = given["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
        vectors: Vectors = pooled.cpu().numpy()
        return vectors

    @cached_property
    def _source(self) -> Source:
        return locate(self.options.model, self.options.revision)

    @cached_property
    def _config(self) -> Any:
        import transformers

        auto: Any = transformers.AutoConfig
        with loading(self.options.model):
            return auto.from_pretrained(self._source.place, **self._source.pinned)

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        """Return tokenizer, model, and the number that input lengths must be a multiple of."""
        import torch
        import transformers

        source = self._source
        tokenizers: Any = transformers.AutoTokenizer
        models: Any = transformers.AutoModel
        with loading(self.options.model):
            tokenizer = tokenizers.from_pretrained(source.place, **source.pinned)
            model, report = models.from_pretrained(
                source.place,
                **source.pinned,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below
            )
        # transformers makes an empty tokenizer where the files are missing.
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            raise DataError(f"{self.options.model}: there is no tokenizer with the model")
        unused = ["pooler"]
        if self._config.is_encoder_decoder:
            model = model.get_encoder()
            unused.append("decoder")
        check_complete(self.options.model, report, unused)
        if not isinstance(model.get_input_embeddings(), torch.nn.Embedding):
            raise DataError(f"{self.options.model}: is no text encoder: it embeds no words")
        window = getattr(self._config, "attention_window", 1)
        step = max(window) if isinstance(window, list | tuple) else window
        return tokenizer, model.eval(), int(step)

    @cached_property
    def _pad(self) -> int:
        known = (self._loaded[0].pad_token_id, getattr(self._config, "pad_token_id", None), 0)
        return next(int(each) for each in known if each is not None)

    @cached_property
    def _limit(self) -> int:
        """Return the number of tokens kept of a text.

        Raises a `DataError` where the option asks for more tokens than the model has positions for.
        """
        tokenizer, model, _ = self._loaded
        limits = [_LONGEST, tokenizer.model_max_length, positions(model)]
        if self.options.max_length is None:
            return int(min(limits))
        if self.options.max_length > limits[2]:
            raise DataError(
                f"{self.options.model}: max_length {self.options.max_length} is more than the"
                f" {limits[2]} tokens that the model takes"
            )
        return self.options.max_length


@dataclass(frozen=True)
class Source:
    """Location and identity of a model's files."""

    place: str
    """A folder, or the name on the hub."""
    commit: str | None
    """The hub's commit; None for a folder."""
    identity: str
    """Hash of the folder's files, or the hub's name and commit."""

    @property
    def pinned(self) -> dict[str, str]:
        """Return the arguments that make the library load the files that `identity` describes."""
        return {"revision": self.commit} if self.commit else {}


def locate(model: str, revision: str | None, markers: Sequence[str] = ("config.json",)) -> Source:
    """Find a model by folder or hub name, by the first of the `markers` that is among its files.

    Needs no weights; the revision of a hub model is resolved to its commit.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in markers):
            raise DataError(f"{model}: holds no model: there is no {' or '.join(markers)}", _WHERE)
        return Source(str(folder), None, hash_folder(folder))
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise DataError(f"{model}: there is no such folder", _WHERE)
    commit = _commit(model, revision, markers)
    return Source(model, commit, f"{model}@{commit}")


def _commit(model: str, revision: str | None, markers: Sequence[str]) -> str:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    problem: Exception | None = None
    for name in markers:
        try:
            path = huggingface_hub.hf_hub_download(model, name, revision=revision)
            return Path(path).parent.name  # …/snapshots/<commit>/<name>
        except EntryNotFoundError as error:
            problem = error
        except (OSError, ValueError) as error:
            raise _no_model(model, revision, error) from error
    raise _no_model(model, revision, problem) from problem


def _no_model(model: str, revision: str | None, error: Exception | None) -> DataError:
    name = f"{model} ({revision})" if revision else model
    said = first_line(error) if error else ""
    return DataError(f"{name}: no such folder, and not to be had from the hub: {said}", _WHERE)


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of the files' names and contents, hidden and Markdown files left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or path.suffix == ".md" or not path.is_file():
            continue
        digest.update(os.fsencode(name.as_posix()) + b"\0")
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits that change with any of the parts."""
    return sha256(repr(parts).encode("utf-8", "backslashreplace"))[:16]


def batches(lengths: Sequence[int], budget: int, step: int, mixed: bool) -> Iterator[list[int]]:
    """Yield the positions of texts encoded together, the longest first; none without tokens.

    Lengths count as the next multiple of `step`, and a batch fills at most `budget` tokens. Only
    a `mixed` batch holds texts of different lengths, padded to the longest.
    """
    widths = [-(-length // step) * step for length in lengths]
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -widths[i]):
        if not lengths[i]:
            continue
        longest = widths[batch[0]] if batch else widths[i]
        if (len(batch) + 1) * longest > budget or (not mixed and widths[i] != longest):
            if batch:
                yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def positions(model: Any) -> int:
    """Return the number of token positions a model has; 2^60 where it has no limit."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from the padding token's.
        if (
            name.endswith("position_embeddings")
            and getattr(module, "padding_idx", None) is not None
        ):
            return int(module.num_embeddings) - int(module.padding_idx) - 1
    return int(limit) if isinstance(limit, int) and limit > 0 else 1 << 60


def check_complete(model: str, report: dict[str, Any], unused: Sequence[str]) -> None:
    """Raise a `DataError` where weights are missing from the file or have another shape.

    Such weights would be random. Modules named in `unused` are not checked.
    """
    for kind, problem in (("missing", "are not in its file"), ("mismatched", "have another shape")):
        keys = [key if isinstance(key, str) else key[0] for key in report[f"{kind}_keys"]]
        names = sorted(key for key in keys if key.partition(".")[0] not in unused)
        if names:
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise DataError(f"{model}: {len(names)} of the weights {problem}: {shown}")


def well_formed(text: str) -> str:
    """Replace lone surrogates in a text, as tokenizers refuse text that is not valid UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def first_line(error: Exception) -> str:
    """Return the first line of a library's error message."""
    kind = type(error).__name__
    lines = str(error).strip().splitlines() or [kind]
    first = lines[0].strip()[:200]
    return first if " " in first else f"{kind}: {first}"  # a bare number or key says nothing


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Run a block without the library's progress bars and reports; turn errors into `DataError`."""
    import transformers

    logging: Any = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # what damaged files raise is not documented
        raise DataError(f"{model}: cannot be loaded: {first_line(error)}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
