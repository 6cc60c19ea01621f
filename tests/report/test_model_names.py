"""Names of models in few columns: no two look alike."""

from __future__ import annotations

import pytest

from routebench.report.format import without_vendors
from routebench.report.terminal.console import model_names

POOL = (
    "llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct", "llama3-70b-instruct",
    "mixtral-8x7b-instruct-v0.1", "mixtral-8x22b-instruct-v0.1", "qwen2-7b-instruct", "gemma-7b",
)  # fmt: skip


@pytest.mark.parametrize("room", [4, 6, 8, 9, 11, 14, 40])
@pytest.mark.parametrize(
    "models",
    [
        POOL,
        ("openai/gpt-4o", "azure/gpt-4o", "openai/gpt-4o-mini"),
        ("a", "a/a", "b/a"),
        tuple(f"model-{number:02}-of-many" for number in range(30)),
    ],
)
def test_names_stay_distinct(models: tuple[str, ...], room: int) -> None:
    made = model_names(models, room)
    assert list(made) == list(models)
    assert len(set(made.values())) == len(models)
    assert max(map(len, made.values())) <= room


def test_what_is_told() -> None:
    made = model_names(POOL, 9)
    assert made["llama3-70b-instruct"] == "ll…3-70b-"
    assert made["llama-3.1-8b-instruct"] == "ll…8b-ins"
    assert made["gemma-7b"] == "gemma-7b"
    assert model_names(["openai/gpt-4o", "azure/gpt-4o"], 9) == {
        "openai/gpt-4o": "open…t-4o",
        "azure/gpt-4o": "azur…t-4o",
    }
    assert without_vendors(["openai/gpt-4o", "meta/llama"]) == {
        "openai/gpt-4o": "gpt-4o",
        "meta/llama": "llama",
    }
