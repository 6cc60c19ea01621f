"""Encoders that learn nothing, in whole runs: encoded once, cached, served to every job."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import planted

from routebench.encode import encoded, precompute, vectors
from routebench.encode.encoders import Served

Board = Callable[..., dict[str, Any]]
Put = Callable[..., Path]
Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROUTEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache" / "encoders"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Longformer."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "river",
        "capital",
        "poem",
        "verse",
        "sort",
        "code",
        "python",
        "number",
    ]
    vocabulary = {word: i for i, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    torch.manual_seed(0)
    config = transformers.LongformerConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, attention_window=8, max_position_embeddings=66, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, initializer_range=0.5,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "tiny-longformer"
    transformers.utils.logging.disable_progress_bar()
    transformers.LongformerModel(config).save_pretrained(folder)
    transformers.utils.logging.enable_progress_bar()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)
    return folder


def strict(board: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in board.items() if name not in ("environment", "timing")}


@pytest.mark.slow
def test_a_longformer_encodes_once_and_is_cached(
    board: Board, write: Put, model: Path, tmp_path: Path, cache: Path
) -> None:
    words = ("--suite", f"table:{write(planted(200))}", "--router", "knn", "--perturb", 5)
    words += ("--encoder", f"hf:{model}")
    first = board(*words, out=tmp_path / "one")
    assert first["encoder"] == "hf:tiny-longformer", "no path stands on the board"
    texts = first["timing"]["encoder"]["texts"]
    assert texts == 200 + 5 * 4
    assert first["timing"]["encoder"]["cached"] == 0
    assert len(list(cache.iterdir())) == 1
    second = board(*words, out=tmp_path / "two")
    assert second["timing"]["encoder"]["cached"] == texts
    assert strict(second) == strict(first)
    # Neighbours in a random model's space still share words: the signal is found.
    knn = first["rows"][0]
    assert knn["metrics"]["gap_recovered"]["value"] > 0.2
    # What a user would wait for: the encoding is part of the latency.
    alone = first["timing"]["encoder"]["latency_ms_p50"]
    assert first["timing"]["routers"]["knn"]["latency_ms_p50"] > alone > 0


def test_a_moved_model_is_the_same(board: Board, write: Put, model: Path, tmp_path: Path) -> None:
    import shutil

    words = ("--suite", f"table:{write(planted(120))}", "--router", "knn", "--perturb", 0)
    first = board(*words, "--encoder", f"hf:{model}", out=tmp_path / "one")
    moved = tmp_path / "elsewhere" / "tiny-longformer"
    shutil.copytree(model, moved)
    second = board(*words, "--encoder", f"hf:{moved}", out=tmp_path / "two")
    assert second["timing"]["encoder"]["cached"] == 120
    assert strict(second) == strict(first)


def test_what_was_encoded_before_a_failure_is_kept(
    main: Command, write: Put, distribution: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(
        "counting-encoder",
        "[routebench.encoders]\ncounting = counting_encoder:Plugin\n",
        textwrap.dedent("""
        import numpy as np
        from pydantic import BaseModel
        from routebench.errors import DataError

        class Plugin:
            stateless = True
            dimension, fingerprint, device = 2, "0123456789abcdef", "cpu"

            class Options(BaseModel):
                pass

            def __init__(self, options):
                self.options = options

            def encode(self, texts):
                if any("boom" in text for text in texts):
                    raise DataError("a text that cannot be encoded")
                return np.array([[len(t), t.count("e")] for t in texts], dtype=np.float32)
        """),
    )
    monkeypatch.setattr(precompute, "KEEP_SECONDS", 0)
    monkeypatch.setattr(precompute, "CHUNK", 10)
    table = planted(100)
    texts = table["query"].to_pylist()
    longest = {texts[0]: "boom " * 50}
    spoilt = pa.array([longest.get(text, text) for text in texts])
    place = table.column_names.index("query")
    words = ("--router", "knn", "--encoder", "counting", "--perturb", 0, "--jobs", 1)
    bad = write(table.set_column(place, "query", spoilt), "bad.parquet")
    code, _, error = main("run", "--suite", f"table:{bad}", *words)
    assert code == 2
    assert "a text that cannot be encoded" in error
    assert "encoded 90 of 100 texts" in error
    code, _, error = main("run", "--suite", f"table:{write(table)}", *words)
    assert code == 0, error
    assert "encoding 100 texts, 90 from the cache" in error


def test_a_fitted_encoder_is_never_cached(
    board: Board, write: Put, cache: Path, tmp_path: Path
) -> None:
    done = board("--suite", f"table:{write(planted(120))}", "--router", "knn", "--folds", 3)
    assert "encoder" not in done["timing"]
    assert not cache.exists()
    prints = {
        json.loads(path.read_text())["fingerprint"]
        for path in (tmp_path / "out").rglob("encoder.json")
    }
    assert len(prints) == 3, "each fold has fitted its own"


def test_a_job_is_served_the_vectors_of_its_own_texts_only(tmp_path: Path) -> None:
    from routebench.encode.encoded import Encoded, EncoderInfo

    vectors.write(tmp_path / "all", ["train", "test"], np.eye(2, dtype=np.float32))
    Encoded(EncoderInfo(None, {}), tmp_path / "all").write(tmp_path / "job", ["train"])  # type: ignore[arg-type]
    found, known = vectors.VectorStore.open(tmp_path / "job").find(["train", "test"])
    assert known.tolist() == [True, False]
    assert found[0].tolist() == [1, 0]


def embeddings(path: Path, ids: list[str], values: Any) -> Path:
    pq.write_table(pa.table({"query_id": ids, "embedding": list(values)}), path)
    return path


def separated(table: pa.Table) -> tuple[list[str], Any]:
    """Ids, and two-dimensional embeddings that tell the kinds of queries apart."""
    ids = list(dict.fromkeys(table["query_id"].to_pylist()))
    task = dict(zip(table["query_id"].to_pylist(), table["task"].to_pylist(), strict=True))
    kinds = sorted(set(task.values()))
    angle = [2 * np.pi * kinds.index(task[i]) / len(kinds) for i in ids]
    return ids, np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def test_precomputed_embeddings_are_used(board: Board, write: Put, tmp_path: Path) -> None:
    table = planted(300)
    path = embeddings(tmp_path / "vectors.parquet", *separated(table))
    words = ("--suite", f"table:{write(table)}", "--router", "knn,linear,best-single")
    words += ("--set", "linear.features=encoder", "--encoder", f"precomputed:{path}")
    done = board(*words)
    by_name = {row["router"]: row for row in done["rows"]}
    for name in ("knn", "linear"):
        assert by_name[name]["metrics"]["gap_recovered"]["value"] > 0.8
        assert by_name[name]["metrics"]["stability"]["value"] is None, "no other texts are known"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda ids, v: (ids[1:], v[1:]), "no vector"),
        (lambda ids, v: (ids, np.where(np.arange(len(v))[:, None] == 3, np.nan, v)), "NaN"),
        (lambda ids, v: ([ids[1], *ids[1:]], v), "twice"),
    ],
)
def test_bad_embeddings_are_one_line(
    main: Command, write: Put, tmp_path: Path, spoil: Any, says: str
) -> None:
    table = planted(60)
    path = embeddings(tmp_path / "vectors.parquet", *spoil(*separated(table)))
    words = ("--suite", f"table:{write(table)}", "--router", "knn")
    code, _, error = main("run", *words, "--encoder", f"precomputed:{path}")
    assert code == 2
    assert "vectors.parquet" in error
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ("hf:no/such-model", "no/such-model"),
        ("hf", "hf.model"),
        ("precomputed:absent.npy", "absent.npy"),
        ("tfidf-svd:1", "dimension"),
        ("tfidf", "tfidf-svd"),
    ],
)
def test_encoders_that_cannot_be_had(
    main: Command, write: Put, monkeypatch: pytest.MonkeyPatch, encoder: str, says: str
) -> None:
    if encoder.startswith("hf"):
        pytest.importorskip("transformers", reason="transformers is not installed")
        # It is read on import, which another test may have made: no host is waited for.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    words = ("--suite", f"table:{write(planted(60))}", "--router", "knn")
    code, _, error = main("run", *words, "--encoder", encoder)
    assert code == 2
    assert says in error
    assert "Traceback" not in error


def test_other_texts_are_encoded_on_the_spot(tmp_path: Path, model: Path) -> None:
    from routebench_encoders.huggingface import HuggingFace

    options = {"model": str(model)}
    live = HuggingFace(HuggingFace.Options(**options))
    known = np.full((1, 32), 7, dtype=np.float32)
    vectors.write(tmp_path / "store", ["river"], known)
    served = Served("hf", options, 32, live.fingerprint)
    Served.store = tmp_path / "store"
    try:
        found = served.encode(["poem", "river"])
    finally:
        Served.store, Served.used = None, False
    assert found[1].tolist() == known[0].tolist()
    assert np.allclose(found[0], live.encode(["poem"])[0])


@pytest.mark.parametrize("option", ["data", "dimension"])
def test_a_run_file_finds_the_vectors_from_anywhere(
    main: Command, write: Put, tmp_path: Path, option: str
) -> None:
    table = planted(60)
    here = tmp_path / "here"
    here.mkdir()
    embeddings(here / "vectors.parquet", *separated(table))
    words = ["--suite", f"table:{write(table)}", "--router", "best-single", "--out", tmp_path / "o"]
    given = {
        "data": ["precomputed", "--set", "precomputed.data=vectors.parquet"],
        "dimension": ["precomputed:vectors.parquet", "--set", "precomputed.dimension=2"],
    }
    assert main("run", *words, "--encoder", *given[option], cwd=here)[0] == 0
    again = ("run", "--file", tmp_path / "o" / "run.toml", "--out", tmp_path / "again")
    code, _, error = main(*again, cwd=tmp_path / "data")
    assert code == 0, error


def test_an_encoder_has_one_model(main: Command, write: Put) -> None:
    words = ("--suite", f"table:{write(planted(60))}", "--router", "best-single")
    twice = ("--encoder", "tfidf-svd:16", "--set", "tfidf-svd.dimension=32")
    code, _, error = main("run", *words, *twice)
    assert code == 2
    assert "tfidf-svd.dimension is given twice: 16 and 32" in error


def test_what_is_too_long_for_a_path_is_one_line(main: Command, write: Put) -> None:
    words = ("--suite", f"table:{write(planted(60))}", "--router", "best-single")
    code, _, error = main("run", *words, "--encoder", "tfidf-svd:" + "9" * 300)
    assert code == 2
    assert "Traceback" not in error


def test_changed_code_of_an_encoder_is_not_served_old_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from routebench.encode import precompute
    from routebench.plugin import discovery

    info = encoded.EncoderInfo(discovery.find("encoder", "hf"), {}, True, False, 2, "f" * 16)
    before = precompute._cache_key(info, "cpu")
    assert precompute._cache_key(info, "cpu") == before
    monkeypatch.setattr(discovery, "code_hash", lambda info: "other")
    assert precompute._cache_key(info, "cpu") != before
