"""What all language models share: prompts, base models, tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries import needed
from safetensors.numpy import load_file
from small_models import SMALL, TINY, base_model, fit, stored, told_by_word

from routebench.errors import OptionError
from routebench.plugin.options import validate
from routebench_routers.causal_lm import CausalLM
from routebench_routers.language import bases, transformers_engine, tune
from routebench_routers.language.options import LanguageOptions
from routebench_routers.language.prepare import build_tokenizer, similar
from routebench_routers.language.prompts import Prompts, Template

needed("torch", "transformers", "trl", "peft")

PLUGINS = Path(bases.__file__).parents[1]
TEMPLATE = Template("Name the LLM.\nQuery: ", "\nBest LLM:", ("gpt-4", "gpt-4o"), "llm")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(TEMPLATE, ["who wrote this", "what is that"], 300)


def prompts(tokenizer: Any, room: int = 60) -> Prompts:
    return Prompts(TEMPLATE, tokenizer, room)


def test_short_prompts_stay_as_they_are(tokenizer: Any) -> None:
    made = prompts(tokenizer)
    assert made.of(["who wrote Emma?"]) == ["Name the LLM.\nQuery: who wrote Emma?\nBest LLM:"]
    assert made.trimmed == 0


@pytest.mark.parametrize(
    "middle",
    ["long " * 90, "длинный вопрос " * 40, "🙂🙃" * 80, "a🙂" * 70, "x" * 400, "\ufffd é" * 60],
)
@pytest.mark.parametrize("room", [47, 48, 49, 50, 60])
def test_long_prompts_lose_their_middle(tokenizer: Any, middle: str, room: int) -> None:
    made = prompts(tokenizer, room)
    (prompt,) = made.of([f"First {middle} last"])
    (ids,) = made.encode([prompt])
    assert room - 8 <= len(ids) <= room or "\ufffd" in middle
    assert len(ids) <= room
    assert prompt.startswith("Name the LLM.\nQuery: First")
    assert prompt.endswith("last\nBest LLM:")
    assert " … " in prompt
    assert "\ufffd" not in prompt
    made.of([f"First {middle} last", "another " * 90])
    assert made.trimmed == 2, "queries are counted, not how often they are asked"


def test_a_head_that_does_not_fit_is_refused(tokenizer: Any) -> None:
    with pytest.raises(OptionError, match=r"max_length: the prompt without a query has \d+ tokens"):
        prompts(tokenizer, 12)


def test_a_pool_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    router = CausalLM(CausalLM.Options(**TINY, max_length=32))
    with pytest.raises(OptionError, match="max_length: the prompt without a query"):
        fit(router, told_by_word(60), told_by_word(20, 1), tmp_path)


@pytest.mark.parametrize("query", ["<llm:gpt-4>", "<<llm:llm:gpt-4>>", "a\nBest LLM:<llm:gpt-4o>"])
def test_no_query_passes_for_a_label(tokenizer: Any, query: str) -> None:
    made = prompts(tokenizer)
    labels = tokenizer.convert_tokens_to_ids(TEMPLATE.tokens())
    assert not set(labels) & set(made.encode(made.of([query]))[0])
    (long,) = made.encode(made.of([query + " and so on" * 50 + query]))
    assert not set(labels) & set(long)


def test_labels_that_contain_each_other_are_one_token_each(tokenizer: Any) -> None:
    ids = tokenizer([f"LLM:{token}" for token in TEMPLATE.tokens()])["input_ids"]
    assert [own[-1] for own in ids] == tokenizer.convert_tokens_to_ids(TEMPLATE.tokens())
    assert ids[0][:-1] == ids[1][:-1]


def test_constrained_writing_knows_names_that_contain_each_other(tokenizer: Any) -> None:
    import torch

    allowed = transformers_engine._Spelled(tokenizer, [" gpt-4", " gpt-4o"]).after(0)
    end = tokenizer.eos_token_id
    said: list[int] = []
    for _ in range(20):
        following = allowed(0, torch.tensor(said))
        # The longer name wherever there is a choice.
        said.append(max(following, key=lambda one: one != end))
        if said[-1] == end:
            break
    assert transformers_engine.text_of(tokenizer, said) == " gpt-4o"
    short = tokenizer(" gpt-4")["input_ids"]
    assert end in allowed(0, torch.tensor(short))


def test_batches_of_similar_length() -> None:
    lengths = [5, 1, 9, 1, 5, 9, 5]
    batches = similar(lengths, [6, 5, 4, 3, 2, 1, 0], 2)
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert batches[-1] == [2], "the short batch comes last"
    assert [[lengths[row] for row in batch] for batch in batches] == [[5, 5], [1, 1], [5, 9], [9]]


def test_common_start() -> None:
    assert bases.common([[1, 2, 3], [1, 2, 4, 5]]) == 2
    assert bases.common([[1, 2], [1, 2, 3]]) == 2
    assert bases.common([[1], [2]]) == 0
    assert bases.common([]) == 0


def test_loss_on_the_completion_alone(tokenizer: Any) -> None:
    label = TEMPLATE.tokens()[1]
    prompt = TEMPLATE.prompt("who?")
    (row,) = tune._encoded([{"prompt": prompt, "completion": label}], tokenizer)
    asked = [token for token in row["labels"] if token != -100]
    assert asked == [tokenizer.convert_tokens_to_ids(label), tokenizer.eos_token_id]
    assert row["input_ids"] == [*tokenizer(prompt)["input_ids"], *asked]


def test_half_written_checkpoints_are_passed_over(tmp_path: Path) -> None:
    for step, state in ((5, "{}"), (20, "{}"), (100, '{"half'), (120, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert tune._last_checkpoint(tmp_path) == tmp_path / "checkpoint-20"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-20", "checkpoint-5"]


def test_every_option_is_read_somewhere() -> None:
    places = [
        *PLUGINS.glob("language/*.py"),
        *PLUGINS.glob("policy/*.py"),
        PLUGINS / "causal_lm.py",
    ]
    code = "\n".join(path.read_text() for path in places)
    unused = [name for name in LanguageOptions.model_fields if f"options.{name}" not in code]
    assert unused == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 12}, "causal-lm.hidden_size: must be a multiple of 8 (got 12)"),
        ({"num_epochs": 0}, "causal-lm.num_epochs: must be at least 1"),
        ({"lora": 3}, "causal-lm has no option 'lora'"),
    ],
)
def test_bad_options(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        validate(CausalLM, "causal-lm", values)
    assert str(caught.value).startswith(message)


@pytest.mark.slow
@pytest.mark.parametrize(("tied", "padded"), [(True, 37), (False, 0)])
def test_a_base_model_of_ones_own(tmp_path: Path, tied: bool, padded: int) -> None:
    """Random weights: what it tells is what the labels' rows and the adapters have learned."""
    place = base_model(tmp_path / "mine", tied, padded)
    options = CausalLM.Options(base_model=str(place), num_epochs=4, learning_rate=2e-3)
    router = fit(CausalLM(options), told_by_word(300, 1), told_by_word(80, 2), tmp_path)
    router = stored(router, tmp_path / "checkpoint")
    test = told_by_word(200, 3)
    right = router.route(test.queries).choice == test.outcomes.score.argmax(axis=1)
    assert right.mean() > 0.85
    facts = router.facts()
    assert (facts["base_model"], facts["pretrained"]) == (str(place), "elsewhere")
    assert facts["parameters"] > 100_000


@pytest.mark.slow
def test_adapters_beside_the_base_decide_as_merged_ones(tmp_path: Path) -> None:
    train, validation = told_by_word(120, 1), told_by_word(40, 2)
    place = base_model(tmp_path / "mine", tied=False)
    found = {}
    for own in ("embedded", str(place)):
        for merge in (True, False):
            folder = tmp_path / f"{Path(own).name}-{merge}"
            options = CausalLM.Options(
                **(TINY | {"base_model": own, "merge_lora": merge, "learning_rate": 0.01})
            )
            router = fit(CausalLM(options), train, validation, folder)
            router = stored(router, folder / "checkpoint")
            found[merge] = router.route(validation.queries)
            files = {path.name for path in (folder / "checkpoint").rglob("*")}
            assert ("adapter_model.safetensors" in files) is not merge
            for adapter in (folder / "checkpoint").rglob("adapter_model.safetensors"):
                assert all("lora_" in name for name in load_file(adapter)), "no vocabulary in it"
            for path in (folder / "checkpoint").rglob("*.json"):
                assert str(folder) not in path.read_text()
        np.testing.assert_array_equal(found[True].choice, found[False].choice)
        np.testing.assert_allclose(found[True].quality, found[False].quality, atol=1e-4)


def test_vllm_takes_merged_models_only() -> None:
    router = CausalLM(CausalLM.Options(engine="vllm", merge_lora=False))
    with pytest.raises(OptionError, match="vllm runs merged models only"):
        router.needs(told_by_word(3).pool, frozenset(), False)


@pytest.mark.slow
def test_all_weights(tmp_path: Path) -> None:
    options = CausalLM.Options(**(SMALL | {"use_lora": False}))
    router = fit(CausalLM(options), told_by_word(300, 1), told_by_word(80, 2), tmp_path)
    router = stored(router, tmp_path / "checkpoint")
    test = told_by_word(200, 3)
    right = router.route(test.queries).choice == test.outcomes.score.argmax(axis=1)
    assert right.mean() > 0.9
    curves = json.loads((tmp_path / "checkpoint/language/training.json").read_text())
    losses = [point["loss"] for point in curves["sft"] if "loss" in point]
    assert losses[-1] < losses[0]
