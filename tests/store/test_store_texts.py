"""Texts of a store: any comes back as it was, and keys are in none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import calls, filled, questions

from routebench.errors import PluginError
from routebench.records import Reply
from routebench.redact import telling
from routebench.store.store import AnswerStore, Call, StoredQuestion


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with AnswerStore(tmp_path / "s.sqlite") as opened:
        yield opened


TEXTS = [
    "",
    "nul \0 in it",
    "\0",
    "\ud800 lone \udfff surrogates",
    "\x1b[31mred\x1b[0m\x07\x9b",
    "<script>alert(1)</script>",
    "né \U0001f600 \u202e",
    "line\r\nline\n",
    "x" * (1 << 20),
    "é\0" * (1 << 19),
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_come_back_as_they_were(tmp_path: Path, text: str) -> None:
    asked = StoredQuestion("id " + text[:50], text, "ask: " + text, text, text[:99], text[:99])
    call = Call.of("p", "m", {}, asked.prompt)
    with AnswerStore(tmp_path / "s.sqlite") as store:
        store.add("simpleqa", [asked], [call])
        assert store.claim(1) == [call]
        store.settle(call.key, Reply(text), cost=0)
    with AnswerStore(tmp_path / "s.sqlite", write=False) as store:
        (answer,) = store.answers()
        assert (answer.query, answer.reference, answer.response) == (text, text, text)
        (shown,) = store.table()["response"].to_pylist()
        assert shown == text.encode("utf-8", "replace").decode()


@given(st.text(st.characters(), max_size=30), st.text(st.characters(), max_size=30))
@settings(max_examples=25, deadline=None)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, text: str
) -> None:
    call = Call.of("p", "m", {}, prompt)
    with AnswerStore(tmp_path_factory.mktemp("any") / "s.sqlite") as store:
        store.add("s", [StoredQuestion("q", prompt, prompt)], [call])
        assert store.claim(1) == [call]
        store.settle(call.key, Reply(text), cost=0)
        assert next(store.answers()).response == text


def test_keys_are_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-planted-0123456789")
    path = tmp_path / "s.sqlite"
    with AnswerStore(path) as store:
        bad = Call.of("p", "m", {"base_url": "http://sk-planted-0123456789@host"}, "Who?")
        with pytest.raises(PluginError, match="hold a key"):
            store.add("simpleqa", [StoredQuestion("q", "Who?", "Who?")], [bad])
        store.add("simpleqa", questions(1), calls(questions(1)))
        call, other = store.claim(2)
        store.fail(call.key, "denied", "no such key: sk-planted-0123456789")
        store.settle(other.key, Reply("x", version="m?key=sk-planted-0123456789"), cost=0)
        beside = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"no such key: [hidden]" in beside
        assert b"sk-planted" not in beside


def test_keys_in_answers_are_neither_stored_nor_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words that somebody has for a password stay as they are."""
    key = "sk-planted-0123456789"
    coded = base64.b64encode(key.encode()).decode()
    path, out = tmp_path / "s.sqlite", tmp_path / "t.jsonl"
    with filled(path, 2, answered=0) as store:
        before, after, word, plain = store.claim(4)
        store.settle(before.key, Reply(f"Yours is {key}.", reasoning=coded), cost=0)
        monkeypatch.setenv("SOME_API_KEY", key)
        monkeypatch.setenv("SOME_PASSWORD", "password")
    with AnswerStore(path) as store:
        told = Reply(f"Yours is {key}.", version=coded, reasoning=f"Hm, {coded}?")
        store.settle(after.key, told, cost=0)
        store.settle(word.key, Reply("A password."), cost=0)
        store.settle(plain.key, Reply("sk-planted, I think"), cost=0)
        said = [answer.response for answer in store.answers()]
        assert said.count("Yours is [hidden].") == 1
        store.export(out)
    lines = out.read_text(encoding="utf-8").splitlines()
    rows = {(row["query_id"], row["model"]): row for row in map(json.loads, lines)}
    assert [row["response"] for row in rows.values()] == [
        "Yours is [hidden].", "Yours is [hidden].", "A password.", "sk-planted, I think"
    ]  # fmt: skip
    assert rows["q0", "large"]["reasoning"] == "Hm, [hidden]?"
    assert key not in out.read_text()
    assert coded not in out.read_text()


@pytest.mark.parametrize(
    ("value", "used", "own"),
    [
        ("sk-planted-0123456789", True, True),
        ("key-abcdef", True, False),
        ("a-long-key-without-any-digit", True, True),
        ("abc123", False, False),
        ("password", False, False),
        ("12345678", False, False),
        ("well-known", True, False),
        ("/home/me/key-4711.json", True, False),
        ("http://localhost:8080", True, False),
    ],
)
def test_values_that_are_hidden_in_answers(value: str, used: bool, own: bool) -> None:
    """Of a key that was sent, and of any other variable of such a name."""
    assert telling([value], used=True) == [value] * used
    assert telling([value]) == [value] * own
