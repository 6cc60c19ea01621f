"""Base models of one's own that lack what a prompt needs: positions, an end token, a template."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries import needed
from small_models import fit, gpt2, graded, stored, table, told_by_word

from routebench.errors import DataError, OptionError
from routebench.records import Queries, Table
from routebench_routers.causal_lm import CausalLM
from routebench_routers.language import adjustments, bases
from routebench_routers.language.options import LanguageOptions, check_base
from routebench_routers.policy.router import PolicyRouter

needed("torch", "transformers", "trl", "peft")

QUICK: dict[str, Any] = {"num_epochs": 1, "batch_size": 8}


def queries(long: bool, n: int = 24) -> Table:
    """Texts of some ten or several hundred words; which of two models is right alternates."""
    texts = [f"number {i} " + "engine python window " * (133 if long else 3) for i in range(n)]
    score = np.stack([np.arange(n) % 2, 1 - np.arange(n) % 2], axis=1)
    return table(score, texts, ("alpha", "beta"))


def trained(
    folder: Path, place: Path, long: bool = False, **options: Any
) -> tuple[CausalLM, list[str]]:
    """A router on the base model, as another process has it, and what it warned of."""
    made = CausalLM(CausalLM.Options(**(QUICK | {"base_model": str(place)} | options)))
    data = queries(long)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        router = stored(fit(made, data, data, folder), folder / "checkpoint")
    return router, [str(one.message) for one in said if issubclass(one.category, UserWarning)]


def choices(router: CausalLM, long: bool = False) -> list[int]:
    found: list[int] = router.route(queries(long).queries).choice.tolist()
    return found


@pytest.mark.parametrize("decode", ["score", "generate"])
def test_prompts_are_cut_to_the_positions_of_the_base(tmp_path: Path, decode: str) -> None:
    place = gpt2(tmp_path / "base", room=256)
    router, said = trained(tmp_path, place, long=True, max_length=2048, decode=decode)
    assert len(choices(router, long=True)) == 24
    assert any("max_length 2,048 cut to 256" in text for text in said)
    facts = router.facts()
    assert facts["max_length"] == 256
    assert facts["trimmed_prompts"] == 24
    within, said = trained(tmp_path / "within", place, long=True, max_length=256, decode=decode)
    assert choices(within, long=True) == choices(router, long=True), "as if it had been asked for"
    assert not said
    assert "max_length" not in within.facts()


def test_too_few_positions_for_any_query_name_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        trained(tmp_path, gpt2(tmp_path / "base", room=40), max_length=2048)
    text = str(caught.value)
    assert text.startswith("max_length: the prompt without a query has ")
    assert "and 32 fit (the base model has 40 positions)" in text


@pytest.mark.slow
def test_reasons_are_written_within_the_positions(tmp_path: Path) -> None:
    options = PolicyRouter.Options(
        **(QUICK | {"base_model": str(gpt2(tmp_path / "base", room=240)), "max_length": 2048}),
        explain=True,
    )
    data = graded(60)
    with pytest.warns(UserWarning, match="cut to 240"):
        router = fit(PolicyRouter(options), data, graded(20, 1), tmp_path)
    router = stored(router, tmp_path / "checkpoint")
    long = Queries(np.array(["paper river " * 300], dtype=object))
    assert router.route(long).reason is not None


@pytest.mark.parametrize("decode", ["score", "generate"])
def test_a_tokenizer_without_an_end_is_given_one(tmp_path: Path, decode: str) -> None:
    place = gpt2(tmp_path / "base", end=None)
    assert bases.load_tokenizer(place).pad_token is None
    router, said = trained(tmp_path, place, decode=decode)
    assert len(choices(router)) == 24
    assert router.facts()["end_token"] == f"{adjustments.END}, a new one"
    assert any("end_token" in text for text in said)


def test_adapters_of_a_base_without_an_end_decide_as_merged_ones(tmp_path: Path) -> None:
    place = gpt2(tmp_path / "base", end=None)
    merged, _ = trained(tmp_path / "one", place)
    apart, _ = trained(tmp_path / "two", place, merge_lora=False)
    asked = queries(long=False).queries
    one, two = (router.route(asked).quality for router in (merged, apart))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_the_end_that_a_configuration_names_is_taken(tmp_path: Path) -> None:
    import transformers

    place = gpt2(tmp_path / "base")
    tokenizer = bases.load_tokenizer(place)
    config = transformers.AutoConfig.from_pretrained(place)
    size = len(tokenizer)
    assert adjustments.complete(tokenizer, config) == {}
    for named, said in ((0, "</s>, of the"), ([7, 0], "</s>, of the"), (7, "a new one"), (-1, "a")):
        lacking = bases.load_tokenizer(place)
        lacking.eos_token = lacking.pad_token = None
        config.eos_token_id = named
        assert said in adjustments.complete(lacking, config)["end_token"], named
        assert lacking.eos_token_id is not None
        assert lacking.pad_token_id is not None
        assert len(lacking) == size + (said[0] == "a")


def test_a_tokenizer_that_ends_every_text_leaves_prompts_open(tmp_path: Path) -> None:
    place = gpt2(tmp_path / "base", ends_texts=True)
    end = bases.load_tokenizer(place).eos_token_id
    assert bases.load_tokenizer(place)("a")["input_ids"][-1] == end
    router, said = trained(tmp_path, place)
    assert any("open_prompts" in text for text in said)
    model: Any = router._model
    (ids,) = model.prompts.encode(model.prompts.of(["who wrote Emma?"]))
    assert ids[0] == end, "what comes before a text stays"
    assert ids[-1] != end


@pytest.fixture(scope="module")
def without_a_template(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Choices on a base whose chat template is hardly one."""
    folder = tmp_path_factory.mktemp("plain")
    router, _ = trained(folder / "p", gpt2(folder / "base", template="{{ m }}"), max_length=128)
    return choices(router)


@pytest.mark.parametrize(
    "template", [None, "{{ raise_exception('accept the licence first') }}", "{% broken"]
)
def test_no_chat_template_is_needed_or_asked(
    tmp_path: Path, template: str | None, without_a_template: list[int]
) -> None:
    router, said = trained(tmp_path, gpt2(tmp_path / "base", template=template), max_length=128)
    assert choices(router) == without_a_template
    assert not said


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ({"n_positions": 1024}, 1024),
        ({"max_position_embeddings": 2048}, 2048),
        ({"max_seq_len": 512}, 512),
        ({"max_seq_len": 512, "alibi": True}, None),
        ({"max_position_embeddings": -1}, None),
        ({}, None),
    ],
)
def test_positions_of_configurations(values: dict[str, Any], limit: int | None) -> None:
    import transformers

    config = transformers.PretrainedConfig(**values)
    assert adjustments.positions(config) == limit
    asked = LanguageOptions(max_length=1500)  # type: ignore[call-arg]
    assert adjustments.fitted(asked, limit).max_length == min(1500, limit or 1500)


def test_positions_after_the_padding_token() -> None:
    import transformers

    config = transformers.RobertaConfig(max_position_embeddings=514, pad_token_id=1)
    assert adjustments.positions(config) == 512


def test_a_base_that_is_not_here_says_how_a_gated_one_is_had(tmp_path: Path) -> None:
    options = LanguageOptions(base_model="acme/gated-7b")  # type: ignore[call-arg]
    with pytest.raises(OptionError) as caught:
        check_base(options)
    assert caught.value.hint.startswith("hf download acme/gated-7b (if it is gated: accept its")
    (tmp_path / "config.json").write_text('{"model_type": "nothing known"}')
    broken = CausalLM(CausalLM.Options(base_model=str(tmp_path)))
    with pytest.raises(DataError, match=r"base_model: .* cannot be loaded"):
        fit(broken, told_by_word(30), told_by_word(9), tmp_path / "run")
