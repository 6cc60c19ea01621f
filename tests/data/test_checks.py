"""Tables are checked as imports are: failed calls that look like answers, and odd costs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from routebench.data.checks import check_answers
from routebench.data.failures import is_failure
from routebench.errors import DataError

FAILED = [
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o', 'type': 'tokens'}}",
    "Error code: 500",
    "API Error: Connection error.",
    "HTTP Error 503: Service Unavailable",
    "HTTP 502 Bad Gateway",
    "HTTP/1.1 504 Gateway Timeout",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Temporarily Unavailable",
    "Error: 429 Too Many Requests",
    "429 Client Error: Too Many Requests for url: https://api.example.com/v1/chat",
    "Internal Server Error",
    "openai.RateLimitError: Error code: 429",
    "litellm.exceptions.ContextWindowExceededError: too long",
    "anthropic.APIStatusError: overloaded",
    "ReadTimeout: HTTPSConnectionPool(host='x', port=443): Read timed out.",
    '{"error": {"message": "The server is overloaded", "type": "server_error"}}',
    '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
    "<html>\n<head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    "<!DOCTYPE html><html><title>403 Forbidden</title></html>",
    "upstream connect error or disconnect/reset before headers",
    "no healthy upstream",
    "Rate limit exceeded, retry in 20s",
    "You exceeded your current quota, please check your plan and billing details.",
    "Request timed out.",
    "Connection error.",
]
WITHOUT_TOKENS = [
    "ERROR: timeout after 60 s",
    "Generation failed: 'NoneType' object",
    "Processing failed: bad json",
    "Unexpected error: x",
    "TimeoutError: timed out",
]
ANSWERS = [
    "The error code 429 means that a client sends too many requests.",
    "429",
    "500 people",
    "503 is a prime number",
    "Error analysis shows that B is right.",
    "An internal server error is HTTP status 500.",
    "Internal server errors are the server's fault.",
    "Timeout: the job took too long, so the answer is C.",
    '{"error": "none", "answer": 3}',
    '{"errors": []}',
    "HTTP stands for Hypertext Transfer Protocol",
    "APIs",
    "Forbidden fruit",
    "Unauthorized access is what the law calls it.",
    "<html><title>My page</title></html>",
    "ValueError: invalid literal",
    "I'm sorry, the request timed out in the story because the server slept.",
    "",
]


@pytest.mark.parametrize("text", FAILED)
def test_texts_of_errors(text: str) -> None:
    assert is_failure(text)
    assert is_failure(f"  {text}\n", 12)


@pytest.mark.parametrize("text", WITHOUT_TOKENS)
def test_texts_of_errors_where_no_tokens_were_counted(text: str) -> None:
    assert is_failure(text)
    assert is_failure(text, 0)
    assert not is_failure(text, 7)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_about_errors(text: str) -> None:
    assert not is_failure(text)


def table(**columns: list[Any]) -> pa.Table:
    base = {"query_id": ["q", "q", "r", "r"], "query": ["x"] * 4, "model": ["a", "b"] * 2}
    return pa.table(base | columns)


def test_an_error_as_an_answer_is_a_failed_call() -> None:
    answers = ["so", FAILED[0], FAILED[1], WITHOUT_TOKENS[0]]
    given = table(response=answers, score=[1.0, 0.0, 1.0, 0.0], output_tokens=[1, 9, 9, 9])
    made, notes = check_answers(given, "t.csv")
    # One that scored is what was asked for; one with tokens, what a model wrote.
    assert made["state"].to_pylist() == [None, "failed", None, None]
    assert made["score"].to_pylist() == [1.0, None, 1.0, 0.0]
    assert made["response"].to_pylist() == ["so", None, *answers[2:]]
    assert notes == ("answers that are the text of an error, taken as failed calls: 1",)


@pytest.mark.parametrize("scores", [["no", "0%", "False", ""], [0, 0, 0, None], [False] * 4])
def test_scores_of_any_kind_beside_an_error(scores: list[Any]) -> None:
    made, _ = check_answers(table(response=[FAILED[3]] * 4, score=scores), "t.csv")
    assert made["state"].to_pylist() == ["failed"] * 4
    assert made["score"].to_pylist() == [None] * 4


def test_a_state_that_is_given_stands() -> None:
    given = table(response=[FAILED[0]] * 4, state=["ok", None, "ok", "failed"], score=[0.0] * 4)
    made, _ = check_answers(given, "t.csv")
    assert made["state"].to_pylist() == ["ok", "failed", "ok", "failed"]


def test_costs_that_are_sums() -> None:
    given = table(score=[1.0] * 4, cost_usd=[0.1, 30.0, 0.2, 40.0])
    with pytest.raises(DataError) as caught:
        check_answers(given, "t.csv")
    assert caught.value.message == "t.csv: rows 2, 4, column cost_usd: a call that costs 30 USD"
    assert "per million" in caught.value.hint
    assert "--set table.max_cost=100" in caught.value.hint
    assert check_answers(given, "t.csv", dearest=100) == (given, ())


@pytest.mark.parametrize(
    ("more", "cost", "notes"),
    [
        ({"score": [1.0, 0.0] * 2}, [0.1, 0.2, None, 0.3],
         ["costs of 0 beside an answer, taken as not recorded: 1"]),
        ({"response": ["x"] * 4}, [0.1, 0.2, None, 0.3],
         ["costs of 0 beside an answer, taken as not recorded: 1"]),
        ({"score": [1.0, 0.0, None, 1.0]}, [0.1, 0.2, 0.0, 0.3], []),
        ({"score": [1.0, 0.0, 1.0, 1.0], "state": ["ok", "ok", "failed", "ok"]},
         [0.1, 0.2, 0.0, 0.3], []),
    ],
)  # fmt: skip
def test_a_cost_of_nothing(more: dict[str, Any], cost: list[Any], notes: list[str]) -> None:
    made, said = check_answers(table(**more, cost_usd=[0.1, 0.2, 0.0, 0.3]), "t.csv")
    assert made["cost_usd"].to_pylist() == cost
    assert list(said) == notes


def test_a_model_that_costs_nothing_at_all() -> None:
    """It may be a local one: said, and believed."""
    given = table(score=[1.0] * 4, cost_usd=[0.0, 0.2, 0.0, 0.3])
    made, notes = check_answers(given, "t.csv")
    assert made == given
    (note,) = notes
    assert note.startswith("every answer of a costs $0, and is taken as free")


@pytest.mark.parametrize(("cost", "noted"), [(0.001, False), (0.02, False), (2.0, True)])
def test_costs_that_no_token_price_comes_to(cost: float, noted: bool) -> None:
    given = table(
        score=[1.0] * 4, cost_usd=[cost] * 4, input_tokens=[20] * 4, output_tokens=[30] * 4
    )
    notes = check_answers(given, "t.csv")[1]
    assert bool(notes) == noted
    assert all("$40,000 per million tokens" in note for note in notes)
