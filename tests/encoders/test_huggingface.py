from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries import Lazy, needed

from routebench.errors import DataError
from routebench.testing import check_encoder
from routebench_encoders.huggingface import HuggingFace, batches

needed("torch", "transformers")
os.environ["HF_HUB_OFFLINE"] = "1"  # before anything of the hub is imported
torch: Any = Lazy("torch")
transformers: Any = Lazy("transformers")

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "red", "green", "blue", "river", "poem", "capital"]
WORDS += ["of", "a", "the"]
TEXTS = ["red river", "", "a poem of the river", "blue", "zyx", "the " * 30, "green capital"] * 2


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def tokenizer(**options: Any) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<s>", 0), ("</s>", 2)]
    if options.pop("ends", True):
        words.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **names | options)


def save(folder: Path, kind: str, seed: int = 0, words: Any = None, **options: Any) -> Path:
    """A tiny random model of the given kind, with its tokenizer."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    if kind == "T5":
        shape = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
    if kind == "Longformer":
        options = {"attention_window": 8, "max_position_embeddings": 66} | options
    config = getattr(transformers, f"{kind}Config")(
        **{"vocab_size": len(WORDS), "intermediate_size": 64, "pad_token_id": 1}
        | {"bos_token_id": 0, "eos_token_id": 2, "initializer_range": 0.5}
        | shape
        | options
    )
    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    (tokenizer() if words is None else words).save_pretrained(folder)
    transformers.utils.logging.set_verbosity(level)
    transformers.utils.logging.enable_progress_bar()
    return folder


@pytest.fixture(scope="module")
def longformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("longformer"), "Longformer")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bert"), "Bert", max_position_embeddings=40)


def encoder(model: Any, **options: Any) -> HuggingFace:
    return HuggingFace(HuggingFace.Options(model=str(model), **options))


def by_hand(folder: Path, text: str, **masks: Any) -> Any:
    """The model's own hidden states [tokens, width] of a text that is padded by nobody."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = torch.tensor([tokenizer()(text)["input_ids"]])
    with torch.inference_mode():
        return model(ids, **{k: v[:, : ids.shape[1]] for k, v in masks.items()})[0][0].numpy()


def test_conformance(bert: Path, longformer: Path) -> None:
    for model in (bert, longformer):
        check_encoder(HuggingFace, {"model": str(model)})


def test_the_masked_mean_is_the_mean_over_the_text(bert: Path) -> None:
    vectors = encoder(bert).encode(["red river", "a poem of the river"])
    hidden = by_hand(bert, "red river")
    assert hidden.shape == (4, 32)
    np.testing.assert_allclose(vectors[0], hidden.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        encoder(bert, pooling="cls").encode(["red river"])[0], hidden[0], atol=1e-5
    )
    assert (vectors.dtype, vectors.shape) == (np.float32, (2, 32))


def test_longformer_attends_globally_from_the_first_token(longformer: Path) -> None:
    text = "red river of a poem " * 6
    mine = encoder(longformer).encode([text])[0]
    first = torch.zeros((1, 64), dtype=torch.long)
    first[0, 0] = 1
    own = by_hand(longformer, text, global_attention_mask=first).mean(axis=0)
    none = by_hand(longformer, text, global_attention_mask=first * 0).mean(axis=0)
    np.testing.assert_allclose(mine, own, atol=1e-5)
    assert np.abs(mine - none).max() > 1e-2


@pytest.mark.parametrize("kind", ["Longformer", "Roberta", "Bert", "T5", "GPT2"])
def test_a_batch_equals_single_texts_in_order(tmp_path: Path, kind: str) -> None:
    save(tmp_path, kind)
    model = encoder(tmp_path)
    together = model.encode(TEXTS)
    assert together.shape == (len(TEXTS), model.dimension) == (14, 32)
    assert np.isfinite(together).all()
    singly = np.concatenate([model.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, singly, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS[::-1])[::-1], together, atol=1e-5)
    np.testing.assert_allclose(together[:7], together[7:], atol=1e-5)
    assert len(np.unique(together.round(4), axis=0)) == 7


@pytest.mark.parametrize("kind", ["Longformer", "Roberta", "Bert"])
def test_padding_changes_nothing(tmp_path: Path, kind: str) -> None:
    model = encoder(save(tmp_path, kind))
    alone = model.encode(["red river"])
    tokens = [model._loaded[0](text)["input_ids"] for text in ("red river", "the " * 30)]
    padded = model._pooled(model._loaded[1], tokens, model._loaded[2])
    np.testing.assert_allclose(padded[:1], alone, atol=1e-5)


def test_mixed_batches_give_the_same(longformer: Path, bert: Path) -> None:
    for folder in (longformer, bert):
        model = encoder(folder, batch_tokens=64)
        model.device = "cpu:0"  # padded as on a GPU
        np.testing.assert_allclose(model.encode(TEXTS), encoder(folder).encode(TEXTS), atol=1e-5)


def test_batches_fill_the_budget_longest_first() -> None:
    lengths = [3, 9, 3, 0, 8, 1, 3]
    assert list(batches(lengths, 18, 1, mixed=True)) == [[1, 4], [0, 2, 6, 5]]
    assert list(batches(lengths, 6, 1, mixed=False)) == [[1], [4], [0, 2], [6], [5]]
    assert list(batches(lengths, 16, 8, mixed=False)) == [[1], [0, 2], [4, 5], [6]]
    assert list(batches([0, 0], 6, 1, mixed=True)) == []


def test_a_cpu_pads_to_what_the_model_needs_and_no_further() -> None:
    lengths = list(np.random.default_rng(0).integers(1, 40, 200))
    for step in (1, 8):
        for batch in batches(lengths, 300, step, mixed=False):
            assert len({-(-lengths[i] // step) for i in batch}) == 1
    flat = [i for batch in batches(lengths, 300, 1, mixed=False) for i in batch]
    assert sorted(flat) == list(range(200))


def test_long_texts_are_cut(longformer: Path, bert: Path, tmp_path: Path) -> None:
    cut = encoder(bert, max_length=8)
    np.testing.assert_allclose(
        cut.encode(["the " * 30]), encoder(bert).encode(["the " * 6]), atol=1e-5
    )
    for folder, most in ((bert, 40), (longformer, 64)):  # RoBERTa's kin lose two positions
        default, same = encoder(folder), encoder(folder, max_length=most)
        long = ["red river " * 60]
        np.testing.assert_array_equal(default.encode(long), same.encode(long))
        with pytest.raises(DataError, match=rf"max_length {most + 1} is more than the {most} tok"):
            encoder(folder, max_length=most + 1).encode(long)
    short = save(tmp_path, "Bert", words=tokenizer(model_max_length=8))
    np.testing.assert_allclose(
        encoder(short).encode(["the " * 30]), encoder(short).encode(["the " * 6]), atol=1e-5
    )


def test_a_text_without_tokens_is_zero(tmp_path: Path) -> None:
    model = encoder(save(tmp_path, "Bert", words=tokenizer(ends=False)))
    vectors = model.encode(["", "red"])
    assert not vectors[0].any()
    assert vectors[1].any()
    assert not model.encode([""]).any()
    assert model.encode([]).shape == (0, 32)


def test_broken_unicode_is_encoded(bert: Path) -> None:
    vectors = encoder(bert).encode(["red \ud800", "red \ufffd", "\ud83d\ude00"])
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_the_fingerprint_follows_weights_and_options(bert: Path, tmp_path: Path) -> None:
    prints = {
        encoder(bert).fingerprint,
        encoder(bert, pooling="cls").fingerprint,
        encoder(bert, max_length=8).fingerprint,
        encoder(save(tmp_path / "b", "Bert", seed=1, max_position_embeddings=40)).fingerprint,
    }
    assert len(prints) == 4
    shutil.copytree(bert, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("What it is.")
    (tmp_path / "copy" / ".git").mkdir()
    (tmp_path / "copy" / ".git" / "HEAD").write_text("ref")
    same = encoder(tmp_path / "copy", batch_tokens=64)
    same.device = "cuda"
    assert same.fingerprint == encoder(bert).fingerprint
    assert len(same.fingerprint) == 16
    words = json.loads((tmp_path / "copy" / "tokenizer.json").read_text())
    (tmp_path / "copy" / "tokenizer.json").write_text(json.dumps(words))
    assert encoder(tmp_path / "copy").fingerprint not in prints


def test_width_and_fingerprint_need_no_weights(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", refuse)
    model = encoder(bert)
    model.fit(["a"])
    assert (model.dimension, len(model.fingerprint)) == (32, 16)


def cached(root: Path, folder: Path, commit: str) -> None:
    """Put a model into a hub cache as `org/tiny`."""
    repository = root / "models--org--tiny"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)


def test_a_hub_model_is_known_by_its_commit(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached(tmp_path, bert, "a" * 40)
    first = encoder("org/tiny")
    assert first._source.identity == f"org/tiny@{'a' * 40}"
    np.testing.assert_array_equal(first.encode(TEXTS), encoder(bert).encode(TEXTS))
    assert first.fingerprint == encoder("org/tiny", revision="a" * 40).fingerprint
    cached(tmp_path, bert, "b" * 40)
    assert encoder("org/tiny").fingerprint != first.fingerprint
    assert encoder("org/tiny", revision="a" * 40).fingerprint == first.fingerprint
    with pytest.raises(DataError, match=r"org/tiny \(v2\): no such folder, and not to be had"):
        encoder("org/tiny", revision="v2").encode(["a"])


def test_loading_says_nothing(bert: Path, capfd: pytest.CaptureFixture[str]) -> None:
    encoder(bert).encode(["red"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model", ["nobody/nothing", "bert-base-nowhere", "/no/folder", "./a", "!"])
def test_models_that_are_not_there_are_named(model: str) -> None:
    for use in (lambda e: e.fingerprint, lambda e: e.dimension, lambda e: e.encode(["a"])):
        with pytest.raises(DataError) as error:
            use(encoder(model))
        assert error.value.message.startswith(f"{model}: ")
        assert "no such folder" in error.value.message
        assert "\n" not in error.value.message


class Dangerous:
    """Runs code where a pickle of it is read without care."""

    def __reduce__(self) -> Any:
        return os.system, ("touch pickle-was-run",)


def pickled(folder: Path, weights: Any) -> None:
    torch.save(weights, folder / "pytorch_model.bin")


def test_older_models_keep_their_weights_in_a_file_of_tensors(bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    old = shutil.copytree(bert, tmp_path / "old")
    pickled(old, load_file(old / "model.safetensors"))
    (old / "model.safetensors").unlink()
    assert np.array_equal(encoder(old).encode(TEXTS), encoder(bert).encode(TEXTS))


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def weights(folder: Path, **changes: Any) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    held = {k: v for k, v in (load_file(path) | changes).items() if v is not None}
    save_file(held, path, {"format": "pt"})


BREAKS: dict[str, tuple[Any, str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), r"holds no model: there is no config"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), "cannot be loaded: "),
    "unknown kind": (
        lambda f: (f / "config.json").write_text('{"model_type": "nosuch"}'),
        "cannot be loaded: .*model type `nosuch`",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded: .*safetensors"),
    "weights that are no pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "cannot be loaded: .*Error: ",
    ),
    "weights that run code": (
        lambda f: (pickled(f, Dangerous()), (f / "model.safetensors").unlink()),
        "cannot be loaded: .*Weights only load failed",
    ),
    "broken weights": (
        lambda f: (f / "model.safetensors").write_bytes(b"no weights here"),
        "cannot be loaded: .*header",
    ),
    "weights lacking": (
        lambda f: weights(f, **{"encoder.layer.1.output.dense.bias": None}),
        r"1 of the weights are not in its file: encoder\.layer\.1\.output\.dense\.bias",
    ),
    "weights of another shape": (
        lambda f: weights(f, **{"encoder.layer.1.output.dense.bias": torch.zeros(5)}),
        "1 of the weights have another shape: encoder",
    ),
    "weights that are NaN": (
        lambda f: weights(f, **{"encoder.layer.1.output.dense.bias": torch.full((32,), torch.nan)}),
        "no finite vector for 'red'",
    ),
    "no tokenizer": (no_tokenizer, "cannot be loaded|no tokenizer"),
    "another tokenizer": (
        lambda f: (f / "tokenizer.json").write_text(
            (f / "tokenizer.json").read_text().replace('"red": 4', '"red": 400')
        ),
        "the tokenizer has more tokens than the model",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_models_that_are_broken_are_named(bert: Path, tmp_path: Path, name: str) -> None:
    change, expected = BREAKS[name]
    shutil.copytree(bert, tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(DataError, match=expected) as error:
        encoder(tmp_path / "model").encode(["red"])
    assert error.value.message.startswith(str(tmp_path / "model"))
    assert "\n" not in error.value.message


def test_a_model_of_pictures_is_refused(tmp_path: Path) -> None:
    shape = {"image_size": 8, "patch_size": 4, "vocab_size": None, "pad_token_id": None}
    save(tmp_path, "ViT", **shape)
    with pytest.raises(DataError, match="is no text encoder"):
        encoder(tmp_path).encode(["red"])


def test_a_pooler_that_is_not_used_may_lack(bert: Path, tmp_path: Path) -> None:
    shutil.copytree(bert, tmp_path / "model")
    weights(tmp_path / "model", **{"pooler.dense.weight": None, "pooler.dense.bias": None})
    np.testing.assert_array_equal(
        encoder(tmp_path / "model").encode(TEXTS), encoder(bert).encode(TEXTS)
    )
