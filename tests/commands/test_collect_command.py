"""`routebench collect` as its users meet it; no key, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import Server

from routebench.commands import collect as command
from routebench.commands.collect import _concurrency, _rate
from routebench.config import make
from routebench.errors import OptionError
from routebench.loading import load_data
from routebench.prices.apply import load_prices, price
from routebench.store.store import AnswerStore

Main = Callable[..., tuple[int, str, str]]
POOL = "simulated:sim-flash,simulated:sim-pro"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "answers.sqlite"


@pytest.fixture
def collect(main: Main, store: Path) -> Main:
    def call(*words: Any, models: str = POOL) -> tuple[int, str, str]:
        return main("collect", "--suite", "simpleqa", "--models", models, "--store", store, *words)

    return call


def test_the_documented_example_from_questions_to_a_board(
    collect: Main, main: Main, store: Path, tmp_path: Path
) -> None:
    code, out, err = collect("--judge", "exact", "--limit", 200)
    assert code == 0, err
    assert "simulated:sim-pro" in out
    assert "graded 400 answers" in out
    assert out.splitlines()[-1] == f"next: routebench run --suite simpleqa --data {store}"
    words = ("--router", "best-single,cheapest", "--quiet", "--out", tmp_path / "run")
    code, out, err = main("run", "--suite", "simpleqa", "--data", store, *words)
    assert code == 0, err
    assert "simulated pool" in out
    assert "sim-pro" in out


def test_a_second_time_asks_and_spends_nothing(collect: Main, store: Path) -> None:
    first = json.loads(collect("--limit", 30, "--json")[1])
    again = json.loads(collect("--limit", 40, "--samples", 2, "--json")[1])
    assert [model["states"] for model in first["models"]] == [{"answered": 30}] * 2
    assert [model["states"] for model in again["models"]] == [{"answered": 80}] * 2
    assert first["usd"] + again["usd"] == pytest.approx(again["usd_in_all"])
    assert json.loads(collect("--limit", 40, "--json")[1])["usd"] == 0.0
    with AnswerStore(store) as opened:
        assert opened.counts()["answered"] == 160


def test_a_dry_run_asks_and_writes_nothing(collect: Main, store: Path) -> None:
    code, out, _ = collect("--limit", 50, "--dry-run", "--budget", 3)
    assert code == 0
    assert "50" in out
    assert "nothing was asked or written" in out
    assert "budget of the whole store: $3" in out
    assert not store.parent.exists()
    collect("--limit", 20, "--quiet")
    before = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    said = json.loads(collect("--limit", 50, "--dry-run", "--json")[1])
    assert {path.name: path.read_bytes() for path in store.parent.iterdir()} == before
    flash, pro = said["models"]
    assert (flash["calls"], flash["known"]) == (30, 20)
    assert 0 < flash["usd"] < pro["usd"] < pro["most_usd"]
    assert flash["output_tokens"] < 30 * 100  # as long as the answers that are there


def test_a_budget_stops_and_says_how_to_go_on(collect: Main) -> None:
    code, out, _ = collect("--limit", 100, "--budget", 0.03, models="simulated:sim-pro")
    assert code == 0
    said = " ".join(out.split())
    assert "the budget ended it" in said
    assert "calls are left" in said
    assert "a larger --budget goes on" in said


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--models", "sim-flash"), ["expected PROVIDER:MODEL", "simulated"]),
        (("--models", "simulated:sim-flsh"), ["simulated:sim-flsh", "did you mean sim-flash"]),
        (("--models", "simulatd:sim-flash"), ["no provider named 'simulatd'"]),
        (("--judge", "exat"), ["no judge named 'exat'", "did you mean exact"]),
        (
            ("--judge", "simpleqa-grader", "--set", "simpleqa-grader.model=gemni:m"),
            ["no provider named 'gemni'", "did you mean gemini"],
        ),
        (("--concurrency", "many"), ["--concurrency many"]),
        (("--concurrency", "0"), ["--concurrency 0"]),
        (("--rate", "fast"), ["--rate fast", "10/s"]),
        (("--rate", "0/s"), ["--rate 0/s"]),
        (("--prices", "no.toml"), ["no.toml", "no such file"]),
        (("--data", "no.csv"), ["no.csv"]),
        (("--set", "simulated.wrld=1"), ["no option 'wrld'", "world"]),
        (("--set", "gemini.seed=1"), ["--set gemini"]),
        pytest.param(
            ("--models", "openai:gpt-4o", "--set", "openai.temperature=nan"),
            ["--set openai: an option cannot be stored"],
            marks=pytest.mark.skipif(find_spec("openai") is None, reason="needs openai"),
        ),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_asked(
    main: Main, store: Path, words: tuple[str, ...], names: list[str]
) -> None:
    given = {"--suite": "simpleqa", "--models": POOL, "--store": str(store)}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    code, out, err = main("collect", *(word for pair in given.items() for word in pair))
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 2
    for name in names:
        assert name in err
    assert not store.exists()


def test_an_interrupted_one_says_what_it_has(
    collect: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = command._collect

    def interrupted(*given: Any) -> Any:
        done, *rest = real(*given)
        done.interrupted = True
        return done, *rest

    monkeypatch.setattr(command, "_collect", interrupted)
    code, out, _ = collect("--limit", 5, "--json")
    assert code == 130
    assert json.loads(out)["interrupted"] is True


def test_a_grader_that_does_not_reply_is_no_success(
    collect: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    words = ("--limit", 3, "--judge", "simpleqa-grader")
    words += ("--set", "simpleqa-grader.model=openai:gpt-4.1-mini")
    code, out, _ = collect(*words)
    assert code == 3
    assert "6 could not be graded" in out
    assert "OPENAI_API_KEY is not set" in out
    assert "grader: 0 replies" in out
    code, out, _ = collect(*words, "--json")
    assert code == 3
    assert json.loads(out)["judge"]["usage"]["calls"] == 0
    assert collect("--limit", 3, "--judge", "exact")[0] == 0


def test_a_model_without_a_price_is_named_and_nobody_is_asked(
    collect: Main, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    code, out, err = collect(models=f"{POOL},openai:my-own-model")
    assert code == 2
    assert "openai:my-own-model" in err
    assert "--prices" in err
    assert out == ""
    assert not store.exists()


def test_a_model_without_a_key_is_named_and_nobody_is_asked(
    collect: Main, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    models = f"{POOL},openai:gpt-4.1-mini"
    assert collect("--dry-run", models=models)[0] == 0
    code, out, err = collect(models=models)
    assert code == 2
    assert "OPENAI_API_KEY is not set" in err
    assert out == ""
    assert not store.exists()


def completion(content: Any = "Paris", finish: str = "stop", usage: Any = None, **more: Any) -> Any:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {"object": "chat.completion", "choices": [choice | more], "usage": usage}


def counts(given: int, came: int, total: int, cached: int = 0) -> dict[str, Any]:
    usage = {"prompt_tokens": given, "completion_tokens": came, "total_tokens": total}
    return usage | {"prompt_tokens_details": {"cached_tokens": cached}}


@pytest.fixture
def ask_server(
    main: Main, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Collect two questions from a server that always says the same."""
    pytest.importorskip("openai")
    questions = tmp_path / "q.csv"
    lines = [f"q{n},What is the capital {n}?,{m},1,Paris\n" for n in range(2) for m in "xy"]
    questions.write_text("query_id,query,model,score,reference\n" + "".join(lines))
    (tmp_path / "prices.toml").write_text(
        "m = {input_price = 1.0, output_price = 2.0}\nn = {input_price = 0.5, output_price = 1.0}\n"
    )

    def call(body: Any, *words: Any, status: int = 200) -> tuple[int, str, str]:
        with Server(script=lambda prompt, attempt: (status, body)) as server:
            monkeypatch.setenv("OPENAI_API_KEY", "key-abcdef")
            monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")
            given = (
                "--suite",
                f"table:{questions}",
                "--models",
                "openai:m,openai:n",
                "--attempts",
                2,
            )
            given += ("--prices", tmp_path / "prices.toml", "--store", store, "--judge", "exact")
            return main("collect", *given, *words)

    return call


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            completion("", "error", error={"code": 502, "message": "Upstream died"}),
            "2 server: HTTP 200 with an error 502: Upstream died",
        ),
        (completion("Par", "error", counts(12, 3, 15)), "2 malformed: the answer was broken off"),
        (completion(None), "2 malformed: the answer is empty"),
        (completion(None, usage=counts(0, 0, 0)), "2 malformed: the answer is empty"),
    ],
)
def test_failed_is_not_wrong(
    ask_server: Callable[..., Any], store: Path, body: Any, words: str
) -> None:
    code, out, _ = ask_server(body, "--quiet")
    assert code == 0
    assert words in " ".join(out.split())
    assert "graded 0 answers" in out
    assert "next:" not in out
    with AnswerStore(store) as opened:
        assert opened.counts() == {"pending": 0, "in_flight": 0, "answered": 0, "failed": 4}
        assert opened.table()["state"].to_pylist() == ["failed"] * 4


def test_why_a_model_is_left_out_is_said_quietly_too(ask_server: Callable[..., Any]) -> None:
    error = {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}
    code, out, _ = ask_server(error, "--quiet", status=404)
    assert code == 1
    assert "HTTP 404: The model `x` does not exist" in out


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (counts(0, 0, 0), "the server counted no tokens for 4 answers"),
        (counts(12, 3, 2015, 2000), "the server's counts for 4 answers contradict themselves"),
        (None, "the server did not say what 4 answers used"),
    ],
)
def test_unknown_is_not_free(
    ask_server: Callable[..., Any], main: Main, store: Path, tmp_path: Path, usage: Any, words: str
) -> None:
    code, out, _ = ask_server(completion(usage=usage))
    assert code == 0
    said = " ".join(out.split())
    assert "openai:m 2 0 0 ?" in said
    assert "without 4 answers of unknown cost" in said
    # 23 characters of a prompt are six tokens, five of an answer two.
    assert f"{words}: their cost is not known and not in the sum, about $3e-05 now" in said
    assert out.splitlines()[-1].endswith(f"--data {store} --prices {tmp_path / 'prices.toml'}")
    export = tmp_path / "t.jsonl"
    assert main("data", "export", store, "--out", export)[0] == 0
    rows = [json.loads(line) for line in export.read_text().splitlines()]
    for row in rows:
        assert (row["response"], row["grade"]) == ("Paris", "CORRECT")
        assert row["input_tokens"] is row["output_tokens"] is row["cost_usd"] is None
    data = load_data(make({"suite": f"table:{store}"}))
    assert "4 answers of unknown cost: --prices FILE estimates it from their texts" in data.notes
    priced, info = price(data, load_prices(tmp_path / "prices.toml"))
    assert info.label == "estimated"
    assert priced.outcomes.cost == pytest.approx(np.array([[1e-05, 5e-06]] * 2))


def test_an_answer_that_is_empty_after_reasoning_is_noted(
    ask_server: Callable[..., Any], main: Main, store: Path, tmp_path: Path
) -> None:
    body = completion("", usage=counts(12, 30, 42))
    body["choices"][0]["message"]["reasoning_content"] = "Paris, or Lyon?"
    code, out, _ = ask_server(body)
    assert code == 0
    assert "4 answers have no text" in " ".join(out.split())
    assert main("data", "export", store, "--out", tmp_path / "t.jsonl")[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [(row["response"], row["reasoning"]) for row in rows] == [("", "Paris, or Lyon?")] * 4


def test_a_trace_within_an_answer_is_kept_as_it_came(
    ask_server: Callable[..., Any], store: Path
) -> None:
    text = "<think>Is it Lyon or Paris?</think>\n\nParis"
    ask_server(completion(text, usage=counts(12, 30, 42)))
    with AnswerStore(store) as opened:
        assert [answer.response for answer in opened.answers()] == [text] * 4


def test_a_file_that_is_no_store_is_left_alone(collect: Main, store: Path) -> None:
    store.parent.mkdir()
    store.write_text("my notes")
    code, _, err = collect("--limit", 5)
    assert code == 2
    assert "is not a store of answers" in err
    assert store.read_text() == "my notes"


def test_rates_and_numbers_of_calls() -> None:
    assert _rate(None) is None
    assert _rate("10/s") == _rate("10") == _rate("600/min") == _rate("36000/h") == 10.0
    assert _rate("0.5/s") == 0.5
    assert (_concurrency("auto"), _concurrency("8")) == (None, 8)
    for wrong in ("-1", "1e3", ""):
        with pytest.raises(OptionError):
            _concurrency(wrong)
