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
from routebench_encoders.sentence import SentenceTransformers

needed("torch", "sentence_transformers")
os.environ["HF_HUB_OFFLINE"] = "1"  # before anything of the hub is imported
torch: Any = Lazy("torch")
library: Any = Lazy("sentence_transformers")

WORDS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "red", "green", "blue", "river", "poem", "the"]
TEXTS = ["red river", "", "a poem of the river", "zyx", "the " * 30, "green \ud800 poem"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def bert(folder: Path, seed: int = 0) -> Path:
    """A tiny random BERT and its tokenizer."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(seed)
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 0), ("[SEP]", 2)]
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        intermediate_size=64,
        max_position_embeddings=40,
        pad_token_id=1,
        initializer_range=0.5,
        **shape,
    )
    transformers.utils.logging.disable_progress_bar()
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def build(folder: Path, seed: int = 0) -> Path:
    """The same as a sentence encoder: mean of the tokens, of length one."""
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    words = Transformer(str(bert(folder / "words", seed)), max_seq_length=20)
    parts = [words, Pooling(32, "mean"), Normalize()]
    model = library.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sentence"))


def encoder(model: Any, **options: Any) -> SentenceTransformers:
    return SentenceTransformers(SentenceTransformers.Options(model=str(model), **options))


def test_vectors_are_the_librarys_own(tiny: Path) -> None:
    vectors = encoder(tiny).encode(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (6, 32))
    own = library.SentenceTransformer(str(tiny), device="cpu").encode(TEXTS[:5])
    np.testing.assert_allclose(vectors[:5], own, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder(tiny).encode([]).shape == (0, 32)


def test_a_batch_equals_single_texts_in_order(tiny: Path) -> None:
    model = encoder(tiny)
    together = model.encode(TEXTS)
    singly = np.concatenate([model.encode([text]) for text in TEXTS])
    np.testing.assert_array_equal(together, singly)
    np.testing.assert_array_equal(model.encode(TEXTS[::-1])[::-1], together)
    assert len(np.unique(together.round(4), axis=0)) == 6


def test_a_plain_encoder_gets_the_mean_of_its_tokens(tiny: Path) -> None:
    plain = encoder(tiny.parent / "words").encode(["red river"])
    unit = plain / np.linalg.norm(plain)
    np.testing.assert_allclose(unit, encoder(tiny).encode(["red river"]), atol=1e-5)


def test_the_fingerprint_follows_the_files(tiny: Path, tmp_path: Path) -> None:
    first = encoder(tiny).fingerprint
    assert len(first) == 16
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    (copy / "README.md").write_text("What it is.")
    assert encoder(copy, batch_size=1).fingerprint == first
    (copy / "1_Pooling" / "config.json").write_text("{}")
    assert encoder(copy).fingerprint != first
    assert encoder(build(tmp_path / "other", seed=1)).fingerprint != first


def test_a_hub_model_is_known_by_its_commit(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--sentence-transformers--tiny"
    shutil.copytree(tiny, repository / "snapshots" / ("c" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c" * 40)
    model = encoder("tiny")  # as the library has it, a bare name is one of its own
    assert model._source.identity == f"sentence-transformers/tiny@{'c' * 40}"
    assert model.fingerprint == encoder("sentence-transformers/tiny").fingerprint
    np.testing.assert_array_equal(model.encode(TEXTS), encoder(tiny).encode(TEXTS))


def test_loading_says_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import transformers

    transformers.utils.logging.enable_progress_bar()
    encoder(tiny).encode(["red"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model", ["nobody/nothing", "nowhere", "/no/folder", "./a"])
def test_models_that_are_not_there_are_named(model: str) -> None:
    for use in (lambda e: e.fingerprint, lambda e: e.dimension, lambda e: e.encode(["a"])):
        with pytest.raises(DataError, match="no such folder") as error:
            use(encoder(model))
        assert model in error.value.message
        assert "\n" not in error.value.message


def test_models_that_are_broken_are_named(tiny: Path, tmp_path: Path) -> None:
    def foreign(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        modules[1]["type"] = "os.path.join"
        (folder / "modules.json").write_text(json.dumps(modules))

    changes = {
        "no weights": lambda f: (f / "model.safetensors").unlink(),
        "broken": lambda f: (f / "model.safetensors").write_bytes(b"no weights here"),
        "no module": lambda f: (f / "modules.json").write_text("{"),
        "foreign code": foreign,
    }
    for name, change in changes.items():
        copy = Path(shutil.copytree(tiny, tmp_path / name))
        change(copy)
        with pytest.raises(DataError, match="cannot be loaded: ") as error:
            encoder(copy).encode(["red"])
        assert "\n" not in error.value.message
    with pytest.raises(DataError, match=r"holds no model: there is no modules\.json or config"):
        encoder(tmp_path).encode(["red"])
