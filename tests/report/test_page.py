"""The page: complete, self-contained, and nothing in it is taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from libraries import needed
from pages import EVIL, NASTY, Parsed, evil_run, priced_run, unpacked, unpacked_texts, users_run
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

from routebench.board.read_run import read_run
from routebench.data.splits import TEST
from routebench.errors import DataError
from routebench.report import summary
from routebench.report.web import colours
from routebench.report.web.browse import browse, packed_texts
from routebench.report.web.page import page
from routebench.report.web.plots import by_router, cost_quality
from routebench.report.web.templates import embedded_json

needed("jinja2", "plotly")

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def priced(home: Path) -> Path:
    return priced_run(home)


@pytest.fixture(scope="module")
def users(home: Path) -> Path:
    return users_run(home)


@pytest.fixture(scope="module")
def evil(home: Path) -> Path:
    return evil_run(home)


def parsed(*folders: Path) -> Parsed:
    return Parsed(page([read_run(folder) for folder in folders]))


def test_a_page_says_what_was_measured(priced: Path) -> None:
    found = parsed(priced)
    text = " ".join(" ".join(found.texts).split())
    for words in (
        "recorded answers", "queries, hash split",
        "Smallest detectable difference", "oracle", "knn", "sha256", "cells.parquet",
        "texts.parquet", "Provenance",
    ):  # fmt: skip
        assert words in text
    headed = [
        attrs for tag, attrs in found.tags if tag == "button" and attrs.get("class") == "sort"
    ]
    assert len(headed) > 8
    drawn = found.json("run0-plots")
    assert {"run0-plane", "run0-usage", "run0-headroom", "run0-stated", "run0-risk"} <= set(drawn)
    places = {attrs.get("id") for _, attrs in found.tags}
    assert set(drawn) <= places


def test_nothing_is_loaded_and_only_known_scripts_run(priced: Path) -> None:
    found = parsed(priced)
    for tag, attrs in found.tags:
        assert not {name for name in attrs if name.startswith("on")}, tag
        for name in ("src", "href", "action", "data"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,")), (tag, attrs)
    policy = next(attrs["content"] or "" for _, attrs in found.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    types = ("application/json",)
    run = [text for attrs, text in found.scripts if attrs.get("type") not in types]
    assert len(run) == 5, "the last one is Plotly, which runs when a plot comes near"
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_made_of_markup_show_as_text(evil: Path) -> None:
    found = parsed(evil)
    assert len(found.scripts) == 7
    assert not {"b", "img"} & {tag for tag, _ in found.tags}
    assert not any("onload" in attrs for _, attrs in found.tags)
    assert "".join(found.texts).count(NASTY) >= 3
    assert "49" not in "".join(t for t in found.texts if "7 * 7" in t or "{{" in t)
    data = found.json("run0-data")
    assert sorted(data["models"]) == sorted(EVIL)
    assert data["routers"] == [NASTY]
    assert all(name.startswith(NASTY) for name in unpacked_texts(data["ids"]))
    shown = json.dumps(found.json("run0-plots"))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_json_that_no_parser_ends() -> None:
    told = {"a": "</script><!--&\u2028", "ü": [1, None]}
    assert not set("<>&\u2028") & set(embedded_json(told))
    shown = "</script><!--&<2028>"
    assert json.loads(embedded_json(told)) == told | {"a": shown}, "control characters are shown"
    with pytest.raises(ValueError, match="JSON"):
        embedded_json(float("nan"))


def test_every_colour_that_is_named_is_defined_in_both_themes(priced: Path) -> None:
    text = page([read_run(priced)])
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    in_plots = set(re.findall(r'"@([a-z-]+)"', text))
    assert {"ink", "paper"} <= in_plots
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) | in_plots == set(colours.LIGHT)
    for theme in (colours.LIGHT, colours.DARK):
        assert all(f"--{name}: {value};" in style for name, value in theme.items())
    assert set(colours.PRINT) < set(colours.DARK) == set(colours.LIGHT)
    assert style.count(".heat .s") == len(colours.HEAT)


def test_the_data_are_the_decisions(priced: Path) -> None:
    run = read_run(priced)
    told, n, m = browse(run), len(run.rows), len(run.models)
    assert (told["n"], told["total"], told["wide"]) == (n, n, 1)
    choice = unpacked(told["choice"][told["routers"].index("knn")], "<u1")
    assert choice.tolist() == run.choices("knn")[0].tolist()
    score = unpacked(told["score"], "<f4").reshape(n, m)
    np.testing.assert_array_equal(np.isnan(score), ~run.outcomes.ok)
    np.testing.assert_allclose(score[run.outcomes.ok], run.outcomes.score[run.outcomes.ok])
    cost = unpacked(told["cost"], "<f4").reshape(n, m)
    np.testing.assert_allclose(cost, run.outcomes.cost, rtol=2e-5)
    task = told["columns"]["task"]
    codes = unpacked(task["codes"], "<u2")
    assert run.setup.data.queries.task is not None
    assert [task["names"][c] for c in codes] == list(run.setup.data.queries.task[run.rows])


def test_what_a_router_expected_is_in_the_data(priced: Path) -> None:
    run = read_run(priced)
    told = browse(run)
    at = told["routers"].index("linear")
    known = told["quality"][at]
    expected = np.concatenate([run.expected[("linear", 0, 0), TEST]])
    codes = unpacked(known["codes"], "<u1").reshape(expected.shape)
    shown = np.where(codes == 255, np.nan, known["low"] + known["step"] * codes)
    np.testing.assert_allclose(shown, expected, atol=known["step"] / 2 + 1e-9)
    assert np.array_equal(np.isnan(shown), np.isnan(expected))
    assert told["quality"][told["routers"].index("cheapest")] is None


def test_texts_are_there_where_they_were_kept(priced: Path, evil: Path) -> None:
    run = read_run(priced)
    told = unpacked_texts(browse(run)["texts"])
    assert run.texts is not None
    assert told == list(run.texts)
    assert len(set(told)) == len(told)
    assert any("--keep-texts" in note for note in run.board.suite.notes)
    assert "keep_texts = true" in (priced / "run.toml").read_text()
    assert "<textarea" not in page([run])
    without = read_run(evil)
    assert without.texts is None
    assert browse(without)["texts"] is None
    assert not (evil / "texts.parquet").exists()
    assert "this run folder keeps no texts" in " ".join(" ".join(parsed(evil).texts).split())


def test_texts_are_kept_as_long_as_they_are_asked_for(main: Main, home: Path) -> None:
    options = {"suite": put(home / "small", graded(60)), "judge": "exact", "perturb": 0,
               "router": ("random", "best-single"), "prices": price_list(home)}  # fmt: skip
    folder = finish(home / "small-run", **options, keep_texts=True)
    assert "texts.parquet" in read_run(folder, check=True).board.files
    assert main("verify", folder)[0] == 0
    edit_table(folder, "texts.parquet", lambda rows: rows.clear())
    with pytest.raises(DataError, match="a query of the test part has no text"):
        assert read_run(folder).texts is None
    board = read_run(finish(folder, **options)).board
    assert not (folder / "texts.parquet").exists()
    assert not any("--keep-texts" in note for note in board.suite.notes)


def test_more_than_a_page_can_carry(priced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_run(priced)
    whole = browse(run)
    size = len(json.dumps(whole))
    assert run.texts is not None
    cut = packed_texts([f"{text[:11]}…" for text in run.texts])
    room = size - len(whole["texts"]) + len(cut) + 100
    without = browse(run, room)
    assert set(without["quality"]) == {None}, "texts that are not long go before what was expected"
    assert "what routers expected of the models has no room" in without["left_out"]
    monkeypatch.setattr("routebench.report.web.browse.LETTERS", (4000, 12))
    shorter = browse(run, room)
    assert (shorter["texts"], shorter["quality"]) == (cut, whole["quality"])
    assert "left_out" not in shorter
    decisions = {k: v for k, v in whole.items() if k not in ("texts", "quality")}
    few = browse(run, room=len(json.dumps(decisions)) // 2)
    assert 1 <= few["n"] < few["total"] == len(run.rows)
    assert few["texts"] is None
    assert set(few["quality"]) == {None}
    assert "no room" in few["left_out"]
    assert len(unpacked(few["choice"][0], "<u1")) == few["n"]
    assert unpacked_texts(few["ids"])[-1] == unpacked_texts(whole["ids"])[-1]


def test_a_board_of_users(users: Path) -> None:
    found = parsed(users)
    text = " ".join(found.texts)
    assert "Reward, by user" in text
    assert "Worst user" in text
    data = found.json("run0-data")
    assert data["measure"] == "reward"
    assert data["cost_name"] == "relative cost"
    assert set(data["columns"]) >= {"task", "user"}


def test_without_prices_and_with_a_row_that_failed(home: Path) -> None:
    folder = finish(
        home / "unpriced", suite=put(home / "plain", planted(60)), router=("random", "knn"),
        perturb=0, set=SMALL,
    )  # fmt: skip

    def failed(board: dict[str, Any]) -> None:
        row = next(row for row in board["rows"] if row["router"] == "knn")
        row |= {"state": "failed", "message": "it broke", "rank": None, "metrics": {},
                "against": {}, "usage": {}, "by_task": {}, "curve": []}  # fmt: skip
        board["valid"], board["invalid_reason"] = False, "too many missing"

    edit_board(folder, failed)
    edit_table(folder, "decisions.parquet", lambda rows: rows.__setitem__(
        slice(None), [row for row in rows if row["router"] != "knn"]))  # fmt: skip
    text = " ".join(parsed(folder).texts)
    for words in ("no costs are known", "it broke", "INVALID: too many missing", "unpriced"):
        assert words.lower() in text.lower()


def test_a_tab_for_each_run(priced: Path, users: Path) -> None:
    found = parsed(priced, users)
    tabs = [attrs for _, attrs in found.tags if attrs.get("role") == "tab"]
    assert [tab["aria-controls"] for tab in tabs] == ["run0", "run1"]
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_hull_leaves_the_oracle_out() -> None:
    def point(name: str, x: float, y: float) -> dict[str, Any]:
        return {"mode": "markers", "name": name, "x": [x], "y": [y]}

    points = [point("a", 1, 1), point("b", 2, 1.2), point("c", 3, 3), point("d", 4, 2),
              point("oracle", 1, 9)]  # fmt: skip
    hull = cost_quality.pareto_hull(points)
    assert (hull["x"], hull["y"]) == ([1, 3], [1, 3])


def test_latency_where_it_was_measured(priced: Path) -> None:
    board = read_run(priced).board
    told = {"latency_ms_p50": 1.0, "latency_ms_p95": 2.0, "latency_ms_p99": 4.0}
    timed = board.model_copy(update={"timing": {"routers": {"knn": told}}})
    figure = by_router.latency(timed)
    assert figure is not None
    assert [trace["x"] for trace in figure["data"]] == [[1.0], [2.0], [4.0]]
    assert by_router.latency(board.model_copy(update={"timing": {}})) is None


def test_ties_are_marked(priced: Path) -> None:
    board = read_run(priced).board
    ranks = [row.rank for row in board.rows if row.state == "ok"]
    for row in summary.leaderboard(board).rows:
        rank = int(row[-2].text.rstrip("="))
        assert row[-2].text.endswith("=") == (ranks.count(rank) > 1)
