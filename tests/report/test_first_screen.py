"""The verdict card and the slider's data: their numbers are the board's."""

from __future__ import annotations

import json
import shlex
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from libraries import needed
from pages import NASTY, Parsed
from test_terminal import board, row
from test_verdict_table import judged

from routebench.board.read_run import Stored, read_run
from routebench.report.verdict_card import VerdictCard, verdict_card, volume_of
from routebench.report.volume import Volume
from routebench.report.web.plots import cost_quality
from routebench.report.web.tradeoffs import tradeoffs
from routebench.schema import Leaderboard

KEPT = Path(__file__).parents[2] / "results" / "simpleqa"
DAILY = Volume.parse("100000/day")
Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def kept() -> Stored:
    return read_run(KEPT)


def test_what_is_proven_is_deployed() -> None:
    made = board(judged("less", saved=0.2), judged("mf", saved=0.5), row("best-single"))
    card = verdict_card(made)
    assert card.title == "Deploy mf at within-1pp"
    assert card.words == "50% cheaper, +0.1 pp (at worst −0.9), proven"
    assert (card.kind, card.router, card.point) == ("proven", "mf", "within-1pp")
    assert card.usd_per_1k == 0.2
    assert card.best_single_usd_per_1k == pytest.approx(0.4)
    month = 100_000 * 365 / 12 / 1000
    assert card.dollars(DAILY) == (
        f"${0.2 * month:,.0f} a month in place of ${0.4 * month:,.0f}, at 100,000 queries a day"
    )


def test_what_is_not_proven_says_so() -> None:
    card = verdict_card(board(judged("mf", "not proven", verdict={"queries_needed": 4321})))
    assert card.title == "Not proven: mf at within-1pp"
    assert "a loss of 1 pp is not ruled out; 4,321 test queries would decide" in card.words


def test_where_nothing_is_saved_nobody_is_deployed() -> None:
    rows = (judged("mf", "same", 0.0), judged("knn", "worse", 0.6))
    card = verdict_card(board(*rows))
    assert card.title == "Nothing is saved at equal accuracy here"
    assert card.words == (
        "Of 2 learned routers, 1 is the best single model itself at the setting fixed before the "
        "test; 1 is sure to lose more than 1 pp."
    )
    assert (card.router, card.dollars(DAILY)) == (None, None)
    alone = verdict_card(board(judged("mf", "same", 0.0))).words
    assert alone.startswith("The learned router is the best single model itself")


def test_an_invalid_run_has_no_verdict() -> None:
    made = board(judged("mf"), valid=False, invalid_reason="too many missing")
    card = verdict_card(made)
    assert (card.kind, card.words, card.router) == ("invalid", "too many missing", None)


def test_no_verdict_says_why() -> None:
    unpriced = verdict_card(board(row("knn"), priced="unpriced"))
    assert "Costs are not known" in unpriced.words
    assert "made no verdicts" in verdict_card(_old(board(row("knn")))).words


def _old(made: Leaderboard) -> Leaderboard:
    curve = [{"accuracy": 0.5, "total_cost_per_1k": 1.0}]
    rows = [one.model_copy(update={"curve": curve}) for one in made.rows]
    return made.model_copy(update={"rows": rows})


def test_the_card_is_the_headline(kept: Stored) -> None:
    card = verdict_card(kept.board)
    assert kept.board.headline is not None
    assert card.router is not None
    assert kept.board.headline.startswith(f"{card.router}: ")
    point = next(r for r in kept.board.rows if r.router == card.router).points[str(card.point)]
    assert card.usd_per_1k == point.metrics["total_cost_per_1k"].value
    single = kept.board.references["best_single"]["cost_per_1k"].value
    assert card.best_single_usd_per_1k == pytest.approx(single)
    assert "simulated pool: no real model answered" in card.cautions


@pytest.mark.parametrize("sees_answers", [True, False])
def test_the_command_on_the_card_is_complete(kept: Stored, main: Main, sees_answers: bool) -> None:
    """It fails for want of a run only: no option that it needs is left out, none is unknown."""
    card = replace(verdict_card(kept.board), sees_answers=sees_answers)
    assert card.command is not None
    _, *words = shlex.split(card.command.replace("RUN", "nowhere").replace("NAME", "simulated"))
    code, _, error = main(*words)
    assert code == 2
    assert "nowhere" in error
    assert ("--answer" in words) == sees_answers
    assert replace(card, router=None).command is None


def test_every_setting_on_the_slider_is_on_the_board(kept: Stored) -> None:
    card = verdict_card(kept.board)
    made = tradeoffs(kept, card)
    assert made is not None
    assert made["routers"][made["shown"]]["name"] == card.router
    single = kept.board.references["best_single"]
    rows = {one.router: one for one in kept.board.rows}
    assert len(made["routers"]) > 5
    for one in made["routers"]:
        on_board = rows[one["name"]]
        assert one["single"]["a"] == single["accuracy"].value
        named = {stop["p"]: stop for stop in one["stops"] if "p" in stop}
        assert set(named) == set(on_board.points)
        for name, stop in named.items():
            metrics = on_board.points[name].metrics
            assert stop["a"] == pytest.approx(metrics["accuracy"].value, abs=1e-6)
            assert stop["c"] == pytest.approx(metrics["total_cost_per_1k"].value, rel=1e-5)
            assert stop["s"] == pytest.approx(metrics["savings_vs_best_single"].value, abs=1e-6)
        free = [(s["a"], s["c"]) for s in one["stops"] if "p" not in s]
        curve = [(p.accuracy, p.total_cost_per_1k) for p in on_board.curve]
        for accuracy, cost in free:
            near = [(a, c) for a, c in curve if abs(a - accuracy) < 1e-6]
            assert any(c == pytest.approx(cost, rel=1e-5) for _, c in near)
        assert max(c for _, c in free) == pytest.approx(max(c for _, c in curve), rel=1e-5)


def test_at_its_lambda_a_setting_is_decided_so(kept: Stored) -> None:
    """λ of a step is that of the run: deciding by it again gives the step's accuracy."""
    at = next(r for r in kept.board.rows if r.router == "linear")
    made = tradeoffs(kept, verdict_card(kept.board))
    assert made is not None
    stops = next(r["stops"] for r in made["routers"] if r["name"] == "linear")
    free = [stop for stop in stops if "p" not in stop]
    assert len(free) > 20
    for stop in free[::8]:
        choice = kept._decided("linear", at.seeds[0], 0, float(stop["l"].replace(",", "")))
        score = kept.outcomes.score[range(len(choice)), choice]
        scored = kept.outcomes.ok.all(axis=1)
        assert score[scored].mean() == pytest.approx(stop["a"], abs=2e-3)


def test_where_the_verdict_stands_is_told(kept: Stored) -> None:
    card = verdict_card(kept.board)
    made = tradeoffs(kept, card)
    assert made is not None
    stops = made["routers"][made["shown"]]["stops"]
    told = {stop["p"]: stop["t"] for stop in stops if "p" in stop}
    assert told[str(card.point)].startswith("proven: ")
    assert told["most-accurate"] == f"the verdict is on {card.point}"


def test_dollars_are_for_the_number_that_the_run_was_made_with(tmp_path: Path) -> None:
    assert volume_of(tmp_path).written == "10,000 queries a day"
    (tmp_path / "run.toml").write_text('suite = "simpleqa"\nvolume = "2M/month"\n')
    assert volume_of(tmp_path).per_month == 2e6
    (tmp_path / "run.toml").write_text('suite = "simpleqa"\nvolume = "many"\n')
    assert volume_of(tmp_path).written == "10,000 queries a day"


def test_marks_on_the_plane_differ(kept: Stored) -> None:
    figure = cost_quality.plane(kept.board)
    assert figure is not None
    shown = [t for t in figure["data"] if t["mode"] == "markers" and t.get("showlegend", True)]
    marks = [(t["marker"]["symbol"], t["marker"]["color"]) for t in shown]
    assert len(marks) > 20
    assert len(set(marks)) == len(marks)
    routers = [symbol for symbol, colour in marks if colour != "@ink"]
    assert len(set(routers[:15])) == 15, "told apart without colours"
    names = {trace["name"] for trace in shown}
    assert {f"{model} alone" for model in kept.models} <= names
    many = {f"m{i}": next(iter(kept.board.diagnostics.pool.values())) for i in range(40)}
    diagnostics = kept.board.diagnostics.model_copy(update={"pool": many})
    crowded = cost_quality.plane(kept.board.model_copy(update={"diagnostics": diagnostics}))
    assert crowded is not None
    alone = [t for t in crowded["data"] if t["name"] == "single models"]
    assert len(alone) == 40
    assert sum(t["showlegend"] for t in alone) == 1


def test_no_run_makes_a_page_of_more_than_10_mb(kept: Stored) -> None:
    needed("jinja2", "plotly")
    from routebench.report.web.browse import ROOM
    from routebench.report.web.page import page

    text = page([kept])
    data = next(part for attrs, part in Parsed(text).scripts if attrs.get("id") == "run0-data")
    assert len(kept.routers) > 14
    assert len(text.encode()) - len(data) + ROOM < 10e6


def test_the_first_screen_comes_first(main: Main, tmp_path: Path) -> None:
    needed("jinja2", "plotly")
    place = tmp_path / "page.html"
    assert main("report", KEPT, "--out", place, "--volume", "5000/week")[0] == 0
    text = place.read_text()
    parts = ['class="verdict proven"', 'class="tradeoffs"', 'id="run0-s-plane"',
             'id="run0-s-board"', 'id="run0-s-notes"', 'id="run0-s-browse"']  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    found = Parsed(text)
    number = next(attrs for tag, attrs in found.tags if tag == "input")
    assert number["value"] == "5000"
    chosen = [attrs for tag, attrs in found.tags if tag == "option" and "selected" in attrs]
    assert len(chosen) == 1
    stored = read_run(KEPT)
    assert found.json("run0-tradeoffs") == tradeoffs(stored, verdict_card(stored.board))
    code, _, err = main("report", KEPT, "--volume", "some")
    assert (code, "--volume" in err) == (2, True)


def test_names_made_of_markup_are_text_on_the_first_screen(kept: Stored) -> None:
    needed("jinja2", "plotly")
    from routebench.report.web.page import page

    old = verdict_card(kept.board).router
    rows = [
        row.model_copy(update={"router": NASTY}) if row.router == old else row
        for row in kept.board.rows
    ]
    decisions = {
        (NASTY if key[0] == old else key[0], *key[1:]): one for key, one in kept.decisions.items()
    }
    renamed = replace(kept, board=kept.board.model_copy(update={"rows": rows}), decisions=decisions)
    found, plain = (Parsed(page([run])) for run in (renamed, kept))
    assert verdict_card(renamed.board).router == NASTY
    assert len(found.scripts) == len(plain.scripts)
    assert f"Deploy {NASTY} at" in " ".join("".join(found.texts).split())
    made = found.json("run0-tradeoffs")
    assert made["routers"][made["shown"]]["name"] == NASTY


@pytest.mark.parametrize("name", ["mf", NASTY, "$x_1$ " + "long " * 40])
def test_a_card_to_share(name: str) -> None:
    needed("matplotlib")
    from routebench.report.web.card import png

    made = board(judged(name), row("best-single"))
    pictures = [png(verdict_card(made), DAILY) for _ in range(2)]
    assert pictures[0] == pictures[1]
    assert pictures[0][:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", pictures[0][16:24]) == (1200, 630)


def test_the_card_has_the_words_of_the_page(kept: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("matplotlib")
    from matplotlib.figure import Figure

    from routebench.report.web.card import png

    written: list[str] = []
    real = Figure.text

    def text(figure: Any, x: float, y: float, words: str, **more: Any) -> Any:
        written.append(words.replace("\n", " "))
        return real(figure, x, y, words, **more)

    monkeypatch.setattr(Figure, "text", text)
    card: VerdictCard = verdict_card(kept.board)
    png(card, DAILY)
    for words in (card.title, card.words, card.dollars(DAILY), card.suite, *card.cautions):
        assert words in written


def test_a_card_on_the_command_line(main: Main, tmp_path: Path) -> None:
    needed("matplotlib")
    place = tmp_path / "new" / "card.png"
    code, out, err = main("report", KEPT, "--card", place)
    assert (code, out, "card.png" in err) == (0, "", True)
    assert place.stat().st_size > 10_000
    assert not (KEPT / "report.html").exists()
    code, _, err = main("report", KEPT, "--card", tmp_path / "card.jpg")
    assert code == 2
    assert "a PNG is written" in err
    code, _, err = main("report", KEPT, KEPT, "--card", place)
    assert code == 2
    assert "--card is of one run" in err


def test_a_board_of_schema_1_is_drawn(main: Main, tmp_path: Path) -> None:
    """Without λ, points but those it has, and verdicts."""
    needed("jinja2", "plotly")
    stored = read_run(KEPT)
    rows = [one.model_copy(update={"verdict": None, "pair": None}) for one in stored.board.rows]
    diagnostics = stored.board.diagnostics.model_copy(update={"folds": []})
    old = stored.board.model_copy(
        update={"rows": rows, "headline": None, "diagnostics": diagnostics}
    )
    run = Stored(stored.folder, old, stored.setup, stored.decisions, stored.prices, stored.tokens)
    made = tradeoffs(run, verdict_card(old))
    assert made is not None
    linear = next(one for one in made["routers"] if one["name"] == "linear")
    assert {stop["l"] for stop in linear["stops"] if "p" not in stop} == {None}
    assert verdict_card(old).kind == "no verdict"
    from routebench.report.web.page import page

    text = page([run])
    assert "made no verdicts" in text
    assert json.loads(Parsed(text).scripts[0][1])["routers"]
