"""Both engines on one checkpoint. They need an environment with vLLM; without a GPU one whose vLLM
runs on CPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.errors import DataError, OptionError
from routebench_routers.language import engines
from routebench_routers.language.options import LanguageOptions, check_base
from routebench_routers.language.prompts import Prompts, Template

there = importlib.util.find_spec("vllm") is not None
needed = [
    pytest.mark.skipif(not there, reason="needs vllm"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]
NAMES = ("gpt-4", "gpt-4o", "gpt-4o-mini", "café/7b")
TEMPLATE = Template(
    f"Available LLMs: {', '.join(NAMES)}\nQuery: ", "\nBest LLM:", NAMES, kind="llm"
)
CHOICES = [f" {name}" for name in NAMES]
WORDS = ("river", "stone", "window", "paper", "garden", "music", "engine", "letter")


@pytest.mark.skipif(there, reason="vllm is here")
def test_an_engine_that_is_not_installed_is_said_before_training() -> None:
    with pytest.raises(OptionError, match="vllm is not installed") as caught:
        check_base(LanguageOptions(engine="vllm"))
    assert caught.value.hint == "pip install 'routebench[vllm]'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, so large that what it prefers differs from query to query."""
    import torch

    from routebench_routers.language import bases, prepare

    place = tmp_path_factory.mktemp("model")
    options = LanguageOptions(num_layers=1)
    tokenizer = prepare.build_tokenizer(TEMPLATE, queries(), options.vocabulary)
    model = prepare.build_model(options, tokenizer, seed=0)
    bases.spread_labels(model, len(NAMES))
    bases.untie(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "proj" in name:
                weight.mul_(6.0)
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def both(folder: Path) -> list[Any]:
    """transformers and vLLM."""
    found = []
    for name in ("transformers", "vllm"):
        options = LanguageOptions.model_validate({"engine": name})
        found.append(engines.load(folder, options, "cpu"))
    return found


def queries() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(60)]


def prompts(tokenizer: Any) -> list[list[int]]:
    found = Prompts(TEMPLATE, tokenizer, room=400)
    return found.encode(found.of(queries()))


class TestBothEngines:
    pytestmark = needed

    def test_labels_have_the_same_probabilities(self, both: list[Any]) -> None:
        labels = both[0].tokenizer.convert_tokens_to_ids(TEMPLATE.tokens())
        old, new = (engine.label_log_probs(prompts(engine.tokenizer), labels) for engine in both)
        assert len(set(old.argmax(axis=1))) > 1
        np.testing.assert_allclose(np.exp(new), np.exp(old), atol=1e-5)
        np.testing.assert_allclose(np.exp(new).sum(axis=1), 1.0)

    def test_nothing_but_the_names_is_written_and_the_same(self, both: list[Any]) -> None:
        old, new = (engine.generate(prompts(engine.tokenizer), CHOICES) for engine in both)
        assert set(new) <= set(CHOICES)
        assert len(set(new)) > 1
        assert new == old

    def test_free_text_is_the_same(self, both: list[Any]) -> None:
        old, new = (engine.generate(prompts(engine.tokenizer)) for engine in both)
        assert new == old

    def test_prose_names_no_label(self, both: list[Any]) -> None:
        labels = both[0].tokenizer.convert_tokens_to_ids(TEMPLATE.tokens())
        old, new = (engine.generate(prompts(engine.tokenizer), None, labels) for engine in both)
        assert new == old
        assert not any(token in text for token in TEMPLATE.tokens() for text in new)

    def test_a_query_alone_is_decided_as_in_a_batch(self, both: list[Any]) -> None:
        engine = both[1]
        labels = engine.tokenizer.convert_tokens_to_ids(TEMPLATE.tokens())
        given = prompts(engine.tokenizer)
        alone = np.concatenate([engine.label_log_probs([ids], labels) for ids in given[:8]])
        np.testing.assert_allclose(alone, engine.label_log_probs(given, labels)[:8], atol=1e-4)

    def test_threads_can_still_be_set(self, both: list[Any]) -> None:
        import torch

        assert both
        before = torch.get_num_threads()
        torch.set_num_threads(before + 1)
        assert torch.get_num_threads() == before + 1
        torch.set_num_threads(before)

    def test_a_damaged_checkpoint_is_one_line(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
        with pytest.raises(DataError) as caught:
            engines.load(tmp_path, LanguageOptions(engine="vllm"), "cpu")
        assert "\n" not in caught.value.message
