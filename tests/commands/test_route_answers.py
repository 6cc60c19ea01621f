"""`routebench route --answer`: a router that sees answers asks models, and every call is billed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from runs import finish

from routebench import OptionError
from routebench.board.steps.live import providers_of
from routebench_suites.questions import EMBEDDED, read_questions

Main = Callable[..., tuple[int, str, str]]
ASK = ("--answer", "--provider", "simulated")
STEPPERS = f"{Path(__file__).parents[1] / 'steppers.py'}:AskInTurn"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the simulated pool, which answers now as it did then."""
    home = tmp_path_factory.mktemp("answers")
    router = ("agreement", STEPPERS, "best-single")
    return finish(home / "run", suite="simpleqa", router=router, perturb=0)


@pytest.fixture(scope="module")
def cells(done: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (cell["query"], cell["model"]): cell
        for cell in pq.read_table(done / "cells.parquet").to_pylist()
    }


@pytest.fixture(scope="module")
def texts(cells: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    known = {question.query_id: question.query for question in read_questions(EMBEDDED)}
    return {query: known[cell["query_id"]] for (query, _), cell in cells.items()}


def answered(main: Main, *words: Any, code: int = 0) -> list[dict[str, Any]]:
    found, out, err = main("route", *words, "--json")
    assert (found, err) == (code, "")
    return [json.loads(line) for line in out.splitlines()]


def decided(run: Path, router: str, n: int) -> list[dict[str, Any]]:
    rows = pq.read_table(run / "decisions.parquet").to_pylist()
    return [row for row in rows if row["router"] == router][:n]


@pytest.mark.parametrize("router", ["agreement", "AskInTurn"])
def test_live_it_asks_stops_and_pays_as_the_run_did(
    main: Main, done: Path, router: str, cells: Any, texts: dict[str, str]
) -> None:
    rows = decided(done, router, 25)
    named = STEPPERS if router == "AskInTurn" else router
    found = answered(main, done, named, *ASK, *(texts[row["query"]] for row in rows))
    assert [one["model"] for one in found] == [row["choice"] for row in rows]
    for one, row in zip(found, rows, strict=True):
        then = dict(zip(row["asked"], row["asked_in"], strict=True))
        assert {call["model"]: call["round"] for call in one["asked"]} == then
        paid = [cells[row["query"], model]["cost_usd"] for model in then]
        assert one["usd"] == pytest.approx(sum(paid))
        assert one["usd"] == pytest.approx(sum(call["usd"] for call in one["asked"]))
        assert one["answer"]
        assert one.get("confidence") == pytest.approx(row["confidence"])
        seconds = dict.fromkeys(then.values(), 0.0)
        for model, each in then.items():
            seconds[each] = max(seconds[each], cells[row["query"], model]["latency"])
        assert one["seconds"] == pytest.approx(sum(seconds.values()))
    assert len({len(one["asked"]) for one in found}) > 1, "some stop sooner than others"


def test_at_a_point_by_its_trade_off_or_the_model_that_stands_in(
    main: Main, done: Path, texts: dict[str, str]
) -> None:
    board = json.loads((done / "leaderboard.json").read_text())
    row = next(row for row in board["rows"] if row["router"] == "agreement")
    best = board["diagnostics"]["folds"][0]["best_single"]
    steps = pq.read_table(done / "steps.parquet").to_pylist()
    kinds = set()
    for name in ("same-accuracy", "within-1pp"):
        (slope,) = row["points"][name]["lambdas"]
        queries = [one["query"] for one in decided(done, "agreement", 6)]
        then = {
            one["query"]: (one["choice"], set(one["asked"]))
            for one in steps
            if one["router"] == "agreement" and one["part"] == "test" and one["lambda"] == slope
        }
        code, out, err = main(
            "route", done, "agreement", *ASK, "--point", name, "--json",
            *(texts[query] for query in queries),
        )  # fmt: skip
        assert code == 0
        assert f"agreement at {name}: {best if slope is None else 'λ'}" in err
        for query, line in zip(queries, out.splitlines(), strict=True):
            one = json.loads(line)
            expected = (best, {best}) if slope is None else then[query]
            assert (one["model"], {call["model"] for call in one["asked"]}) == expected
            assert one["point"] == name
        kinds.add(slope is None)
    assert kinds == {True, False}, "one has a trade-off, at the other a model stands in"


def test_a_router_that_sees_no_answers_has_its_choice_asked(
    main: Main, done: Path, cells: Any, texts: dict[str, str]
) -> None:
    rows = decided(done, "best-single", 5)
    found = answered(main, done, "best-single", *ASK, *(texts[row["query"]] for row in rows))
    for one, row in zip(found, rows, strict=True):
        assert one["model"] == row["choice"]
        (call,) = one["asked"]
        assert (call["model"], call["round"], call["answered"]) == (row["choice"], 1, True)
        assert one["usd"] == pytest.approx(cells[row["query"], row["choice"]]["cost_usd"])
        assert one["answer"]
        assert one["expected_usd"] > 0


def test_a_file_of_queries_is_answered(
    main: Main, done: Path, texts: dict[str, str], tmp_path: Path
) -> None:
    rows = decided(done, "agreement", 6)
    asked = [texts[row["query"]] for row in rows]
    place, out = tmp_path / "queries.jsonl", tmp_path / "answers.jsonl"
    place.write_text("".join(json.dumps({"query": text}) + "\n" for text in [*asked, asked[0]]))
    code, printed, err = main("route", done, "agreement", *ASK, "--input", place, "--output", out)
    assert (code, printed) == (0, "")
    made = [json.loads(line)["decision"] for line in out.read_text().splitlines()]
    assert [one["model"] for one in made[:6]] == [row["choice"] for row in rows]
    assert made[6] == made[0], "asked again, and paid again"
    assert all(one["answer"] and one["usd"] > 0 for one in made)
    assert err.startswith("7 queries: ")
    assert f"; ${sum(one['usd'] for one in made):.4g}" in err
    tight = ("--budget", 5, "--spent", 4.999999)
    code, _, err = main("route", done, "agreement", *ASK, "--input", place, *tight)
    assert (code, err) == (1, "7 queries: 7 no answer; $0\n")


def test_within_the_budget_a_call_that_does_not_fit_is_not_made(
    main: Main, done: Path, texts: dict[str, str]
) -> None:
    asked = [texts[row["query"]] for row in decided(done, "agreement", 5)]
    found = answered(main, done, "agreement", *ASK, "--budget", 5, "--spent", 4.98, *asked)
    paid = 0.0
    for one in found:
        for call in one["asked"]:
            assert call["answered"] == ("error" not in call)
            assert call["answered"] or (call["usd"] == 0 and "left of the budget" in call["error"])
        assert one["answer"] is not None, "of those who could be paid"
        assert one["usd"] == sum(call["usd"] for call in one["asked"])
        paid += one["usd"]
        assert one["budget"] == {"limit": 5, "spent": pytest.approx(4.98 + paid)}
    refused = {call["model"] for one in found for call in one["asked"] if not call["answered"]}
    assert "sim-pro" in refused, "8,192 tokens of it are dearer than two cents"
    assert paid < 0.02


def test_nothing_left_is_no_answer(main: Main, done: Path) -> None:
    tight = ("--budget", 5, "--spent", 4.999999)
    (one,) = answered(main, done, "agreement", *ASK, *tight, "Who wrote Emma?", code=1)
    assert one["model"] is one["answer"] is one["final"] is None
    assert one["usd"] == 0
    assert not any(call["answered"] for call in one["asked"])
    code, out, _ = main("route", done, "agreement", *ASK, *tight, "Who wrote Emma?")
    assert code == 1
    assert out.startswith("no answer  Who wrote Emma?\n")
    assert out.count("not asked: it may cost more than is left of the budget") == 1


def test_what_a_person_reads(main: Main, done: Path, texts: dict[str, str]) -> None:
    text = texts[decided(done, "agreement", 1)[0]["query"]]
    (one,) = answered(main, done, "agreement", *ASK, text)
    code, out, err = main("route", done, "agreement", *ASK, "--budget", 2, text)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{one['model']}  {text}"
    assert lines[1] == f"  | {one['answer']}".splitlines()[0]
    assert lines[-2].startswith(f"  asked {one['asked'][0]['model']} (")
    assert f"stopped: {one['reason']}" in lines[-1]
    assert f"${one['usd']:.4g}" in lines[-1]
    assert "of $2 spent" in lines[-1]


def test_lines_of_standard_input(main: Main, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Who wrote Emma?\n\nWho wrote Babička?\n"))
    found = answered(main, done, "agreement", *ASK)
    assert [one["query"] for one in found] == ["Who wrote Emma?", "Who wrote Babička?"]


def test_one_model_of_another_name_or_provider(main: Main, done: Path) -> None:
    board = json.loads((done / "leaderboard.json").read_text())
    named = [word for m in board["suite"]["models"]
             for word in ("--provider", f"{m}=simulated:sim-nano")]  # fmt: skip
    (one,) = answered(main, done, STEPPERS, "--answer", *named, "Who wrote Emma?")
    assert one["usd"] == pytest.approx(len(one["asked"]) * one["asked"][0]["usd"])


def test_nobody_is_asked_whom_the_user_does_not_name() -> None:
    models = ("a", "gemini:b", "openai:c")
    assert providers_of(models, ("gemini", "a=simulated:x", "openai:c=openai:d")) == {
        "a": ("simulated", "x"), "gemini:b": ("gemini", "b"), "openai:c": ("openai", "d"),
    }  # fmt: skip
    assert providers_of(models[:2], ("gemini",))["a"] == ("gemini", "a")
    assert providers_of(models[1:], ("gemini", "openai"))["openai:c"] == ("openai", "c")
    for lost in (("gemini", "openai"), ("a=gemini",), ()):
        with pytest.raises(OptionError, match="no provider is named for"):
            providers_of(models, lost)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("agreement",), "--answer --provider NAME asks them"),
        (
            ("best-single", "--provider", "simulated"),
            "--provider: nobody is asked without --answer",
        ),
        (("agreement", "--answers-as", "exact"), "--answers-as: nobody is asked without --answer"),
        (("agreement", "--answer"), "no provider is named for sim-flash"),
        (("agreement", "--answer", "--provider", "sim"), "no provider named 'sim'"),
        (("agreement", *ASK, "--provider", "openai"), "no provider is named for sim-flash"),
        (("agreement", *ASK, "--provider", "sim=openai:x"), "the run has no model 'sim'"),
        (("agreement", *ASK, "--provider", "sim-pro=simulated:x"), "has no such model"),
        (("agreement", *ASK, "--answers-as", "nobody"), "no judge named 'nobody'"),
        (("agreement", *ASK, "--set", "simulated.wrong=1"), "simulated has no option 'wrong'"),
        (("agreement", *ASK, "--set", "knn.k=1"), "--set knn: this is about agreement"),
        (("agreement", *ASK, "--set", "openai.timeout=1"), "--set openai: it is not asked here"),
        (("agreement", *ASK, "--budget", 0), "--budget 0.0: is no amount of money above 0"),
        (("agreement", *ASK, "--budget", 1, "--spent", -1), "--spent -1.0"),
        (("agreement", *ASK, "--point", "no-such"), "--point no-such: the router has"),
    ],
)
def test_bad_input_is_one_line(main: Main, done: Path, words: Any, said: str) -> None:
    code, out, err = main("route", done, *words, "Who wrote Emma?")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_options_of_the_provider(main: Main, done: Path, texts: dict[str, str]) -> None:
    asked = [texts[row["query"]] for row in decided(done, "agreement", 8)]
    here = answered(main, done, "agreement", *ASK, *asked)
    other = answered(main, done, "agreement", *ASK, "--set", "simulated.world=7", *asked)
    assert [one["answer"] for one in here] != [one["answer"] for one in other]
