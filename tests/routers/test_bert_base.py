"""`bert` on a pretrained base, as its preset `paper` takes one: here a small one in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from libraries import needed

from routebench.data.long_table import from_long
from routebench.data.splits import TEST, make_split
from routebench.hookspecs import Context
from routebench.jobs.setup import Job, Setup
from routebench.jobs.stages import run_here
from routebench.plugin.discovery import find

needed("torch", "transformers")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["Bert", "Roberta"])
def base(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A base with a head for two labels, saved as one on the hub is."""
    import torch
    import transformers

    from routebench_routers.published.networks.bert import Bert

    made: Any = transformers
    folder = tmp_path_factory.mktemp(request.param)
    words = Bert(Bert.Options(vocabulary=60))._new_tokenizer(
        ["algebra equation number", "poem verse", "python function", "river capital"]
    )
    words.save_pretrained(folder)
    torch.manual_seed(0)
    config = getattr(made, f"{request.param}Config")(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=520,
        pad_token_id=0,
        num_labels=2,
        initializer_range=0.2,
    )
    getattr(made, f"{request.param}ForSequenceClassification")(config).save_pretrained(folder)
    return folder


def test_the_preset_tunes_the_base_that_is_named(base: Path) -> None:
    from routebench_routers.published.networks.bert import Bert

    data = from_long(planted(240), name="t", source="recorded", place="t")
    given = Setup(data, make_split(data), "tfidf-svd", {"dimension": 4})
    options = Bert.presets["paper"] | {"base": str(base), "lr": 1e-3}
    losses: list[float] = []

    def heard(done: float, note: str = "") -> None:
        if "loss" in note:
            losses.append(float(note.split()[-1]))

    result = run_here(Job("bert", find("router", "bert"), options, 0, 0, ""), given, heard)
    assert len(losses) == 3  # the preset's epochs
    assert losses[-1] < losses[0]
    assert result.decisions is not None
    assert result.decisions.quality is not None
    assert result.decisions.quality.shape == (len(given.rows(0, TEST)), 4)


def test_tuning_begins_at_the_weights_of_the_base(base: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from routebench_routers.published.networks.bert import Bert

    data = from_long(planted(40), name="t", source="recorded", place="t")
    train, validation = Setup(data, make_split(data), "tfidf-svd", {}).tables(0)
    options = Bert.presets["paper"] | {"base": str(base), "lr": 1e-12, "weight_decay": 0.0}
    router = Bert(Bert.Options(**options | {"epochs": 1}))
    context = Context(0, None, tmp_path)  # type: ignore[arg-type]
    router.fit(train, validation, context)
    kept = load_file(base / "model.safetensors")
    tuned = {name: value.numpy() for name, value in router._network.state_dict().items()}
    body = [name for name in kept if not name.startswith("classifier")]
    assert len(body) > 5
    for name in body:
        assert np.allclose(kept[name], tuned[name], atol=1e-9), name


def test_a_base_that_is_not_there() -> None:
    from routebench.errors import OptionError
    from routebench_routers.published.networks.bert import Bert

    with pytest.raises(OptionError) as caught:
        Bert(Bert.Options(**Bert.presets["paper"]))._new_tokenizer([])
    assert caught.value.hint == "hf download bert-base-uncased, or name a folder"
