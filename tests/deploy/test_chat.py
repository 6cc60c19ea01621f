"""`routebench chat`: a turn, the panel, the terminal, and the page in a browser."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chatted
import pytest
from chatted import EVIL, Echo, answering
from conftest import planted
from runs import SMALL, finish, price_list, put

from routebench.board.trained import open_router
from routebench.deploy.chat.conversation import Conversation, prompt
from routebench.deploy.chat.panel import panel
from routebench.deploy.export import export
from routebench.errors import OptionError
from routebench.records import Request

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("chatted")
    table = planted(160)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    run = finish(
        home / "run",
        suite=put(home, table),
        prices=price_list(home),
        router=("knn",),
        perturb=0,
        set=SMALL,
        point=("cost=0.001",),
    )
    export(run, "knn", home / "checkpoint")
    return home / "checkpoint"


def test_a_turn(checkpoint: Path) -> None:
    provider = Echo()
    trained = open_router(checkpoint)
    with answering(provider) as source:
        talk = Conversation(trained, source=source)
        turn = talk.say("poem verse number 7", [("user", "Hi."), ("assistant", "Hello.")])
        cheap = talk.say("poem verse number 7", point="cost=0.001")
    assert turn.values["model"] == "b", "the message alone decides"
    assert provider.asked[0].prompt == "User: Hi.\n\nAssistant: Hello.\n\nUser: poem verse number 7"
    assert turn.answer == provider.asked[0].prompt
    assert provider.asked[1] == Request("a", "poem verse number 7")
    # 10 tokens in, 100 out, at the prices of each.
    dollars = {m: (10 * (1 + i) + 100 * 3.5 * i) / 1e6 for i, m in enumerate("abcd")}
    assert turn.usd == pytest.approx(dollars["b"])
    facts = trained.description.facts
    assert facts is not None
    assert [(one.name, one.model, one.exact) for one in turn.alternatives] == [
        ("always best", facts.best_single, True),
        ("always dearest", "d", True),
    ]
    assert turn.alternatives[1].usd == pytest.approx(dollars["d"])
    assert cheap.values["model"] == "a"
    assert cheap.rule.startswith("cost=0.001: λ ")


def test_nobody_is_asked_without_a_provider(checkpoint: Path) -> None:
    trained = open_router(checkpoint)
    turn = Conversation(trained, models=["a", "c"]).say("poem verse number 7")
    assert turn.answer is None
    assert turn.values["model"] in "ac"
    assert turn.usd == trained.cost[turn.values["model"]]
    assert [one.exact for one in turn.alternatives] == [False, False]
    assert turn.alternatives[1].usd == trained.cost["d"]
    assert "nobody was asked" in panel(turn)
    with pytest.raises(OptionError, match="the message is empty"):
        Conversation(trained).say(" ")
    with pytest.raises(OptionError, match="knows no model 'z'"):
        Conversation(trained, models=["z"])


def test_no_answer_is_told(checkpoint: Path) -> None:
    with answering(Echo(lambda one: None)) as source:
        turn = Conversation(open_router(checkpoint), source=source).say("river capital")
    assert (turn.answer, turn.values["model"]) == (None, None)
    assert turn.why_none == "no answer"
    with answering(Echo(), budget=1e-9) as source:
        turn = Conversation(open_router(checkpoint), source=source).say("river capital")
    assert "left of the budget" in turn.why_none
    assert turn.usd == 0


def test_what_was_said_before_is_asked_along() -> None:
    assert prompt([], "<b>") == "<b>"
    assert prompt([("user", "a"), ("assistant", "b")], "c") == "User: a\n\nAssistant: b\n\nUser: c"


def test_the_panel_is_escaped(checkpoint: Path) -> None:
    trained = open_router(checkpoint)
    turn = Conversation(trained).say("poem verse")
    values = turn.values | {
        "model": "<a>",
        "reason": "<script>alert(1)</script>\x1b",
        "policy": '"><i>',
        "quality": {"<a>": 0.5, "b&": 0.1},
    }
    made = panel(type(turn)(**{**vars(turn), "values": values, "rule": "<u>"}))
    for tag in ("<script", "<a>", "<i>", "<u>", "\x1b"):
        assert tag not in made
    assert "&lt;script&gt;" in made
    assert "b&amp;" in made
    assert made.index("&lt;a&gt;</td>") < made.index("b&amp;</td>"), "best first"


def test_in_the_terminal(main: Main, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ("poem verse number 7", "/point cost=0.001", "[b]poem verse number 7", "/nope",
            "/point 5", "/user ann", "/clear", "", "/quit", "never")  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in said)))
    code, out, err = main("chat", checkpoint, "--terminal")
    assert (code, err) == (0, "")
    assert out.count("— b · most-accurate: its own choice") == 1
    assert "→  b  " in out
    assert "always dearest (d) $" in out
    assert "(nobody is asked: --provider NAME)" in out
    assert "at cost=0.001" in out
    assert out.count("— a · cost=0.001: λ ") == 1
    assert "error: no such command '/nope'" in out
    assert "error: --point 5: the router has" in out
    assert "knn knows no users" in out
    assert "never" not in out.replace("never seen", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "5"), "nobody is asked"),
        (("--terminal", "--share"), "--share is about the page"),
        (("--provider", "nobody"), "no provider named 'nobody'"),
        (("--models", "x", "--terminal"), "knows no model 'x'"),
        (("--set", "linear.x=1"), "--set linear: this is about knn"),
    ],
)
def test_bad_input(main: Main, checkpoint: Path, words: Any, said: str) -> None:
    code, out, err = main("chat", checkpoint, *words)
    assert (code, out) == (2, "")
    assert said in err


@contextmanager
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    place = Path("/usr/bin/chromium")
    with playwright.sync_playwright() as started:
        options = {"executable_path": str(place)} if place.exists() else {}
        try:
            opened = started.chromium.launch(args=["--no-sandbox"], **options)
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page(checkpoint: Path, width: int) -> None:
    pytest.importorskip("gradio")
    words = [sys.executable, str(Path(chatted.__file__)), str(checkpoint)]
    with (
        browser() as opened,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as it,
    ):
        try:
            assert it.stdout is not None
            address = it.stdout.readline().strip()
            drive(opened, address, width)
        finally:
            it.terminate()
        asked = [json.loads(line) for line in it.stdout]
    assert [one["model"] for one in asked] == ["b", "a"]
    assert asked[1]["prompt"].startswith("User: poem verse number 7 <img src=")
    assert "&lt;img" not in asked[1]["prompt"], "shown escaped, asked as it is"
    assert "poem verse\nnumber 7" in asked[1]["prompt"]


def drive(opened: Any, address: str, width: int) -> None:
    """Use the page as a person would, and look at what is on it."""
    shown = opened.new_page(viewport={"width": width, "height": 850})
    asked: list[str] = []
    dialogs: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    shown.goto(address)
    shown.fill("#message textarea", f"poem verse number 7 {EVIL}")
    shown.click("#send")
    shown.wait_for_selector("#choice tr.chosen")
    talk = shown.inner_text("#conversation")
    assert talk.count("<img src='http://evil.invalid/x.png' onerror=\"alert(1)\">") == 2
    assert talk.count("<b>b</b> **c** &lt;") == 2
    choice = shown.inner_text("#choice")
    assert choice.split("\n\n")[:2] == ["b", "most-accurate: its own choice"]
    assert "always dearest" in choice
    assert "$0.00037" in choice, "10 tokens in, 100 out"
    # Another point, and a second turn, which knows the first.
    shown.click("#point input")
    shown.get_by_role("option", name="cost=0.001").click()
    shown.fill("#message textarea", "poem verse")
    shown.press("#message textarea", "Shift+Enter")
    shown.keyboard.type("number 7")
    assert shown.input_value("#message textarea") == "poem verse\nnumber 7"
    shown.press("#message textarea", "Enter")
    shown.wait_for_function("document.querySelector('#choice').innerText.startsWith('a')")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.click("#clear")
    shown.wait_for_selector("#choice tr.chosen", state="detached")
    assert "evil" not in shown.inner_text("#conversation")
    assert dialogs == []
    assert {url.split("/")[2].partition(":")[0] for url in asked} == {"127.0.0.1"}
