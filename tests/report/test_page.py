"""The page: complete, self-contained, and nothing in it is taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import planted
from libraries import needed
from panels import opposites, write_csv
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

from routebench.board.read_run import Stored, read_run
from routebench.report import summary
from routebench.report.web import colours, plots
from routebench.report.web.browse import browse
from routebench.report.web.page import page
from routebench.report.web.templates import embedded_json

needed("jinja2", "plotly")

CHROMIUM = Path("/usr/bin/chromium")
EVIL = ["<script>alert(1)</script>", "</script><b>x", 'a" onload="alert(2)', "{{ 7 * 7 }} $x$ @ink"]
NASTY = EVIL[0] + "</script>\"'{{ 7 * 7 }}"


class Parsed(HTMLParser):
    """Elements as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data
        else:
            self.texts.append(data)

    def json(self, name: str) -> Any:
        return next(json.loads(text) for attrs, text in self.scripts if attrs.get("id") == name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def priced(home: Path) -> Path:
    return finish(
        home / "priced", suite=put(home / "data", graded()), judge="exact",
        prices=price_list(home), router=("knn", "linear", "cheapest", "random"), seeds=2,
        set=SMALL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def users(home: Path) -> Path:
    path = write_csv(home / "router_user_data.csv", opposites(60))
    return finish(
        home / "users", suite="personaroute", data=str(path), perturb=0,
        router=("user-prior", "best-single"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def evil(home: Path) -> Path:
    """Names of models, queries, tasks and a router that try to be markup."""
    table = planted(80)
    model = dict(zip("abcd", EVIL, strict=True))
    columns = {
        "model": [model[name] for name in table["model"].to_pylist()],
        "query_id": [f"{NASTY}{name}" for name in table["query_id"].to_pylist()],
        "task": [f"{NASTY}{task[:4]}" for task in table["task"].to_pylist()],
    }
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    folder = finish(home / "evil", suite=put(home / "evils", table), router=("random",), perturb=0)
    edit_table(folder, "decisions.parquet", lambda rows: [r.update(router=NASTY) for r in rows])

    def renamed(board: dict[str, Any]) -> None:
        board["rows"][0]["router"] = NASTY
        board["rows"][0]["warnings"] = [NASTY]
        board["suite"]["notes"] = [NASTY]

    edit_board(folder, renamed)
    return folder


def parsed(*folders: Path) -> Parsed:
    return Parsed(page([read_run(folder) for folder in folders]))


def test_a_page_says_what_was_measured(priced: Path) -> None:
    found = parsed(priced)
    text = " ".join(" ".join(found.texts).split())
    for words in (
        "recorded answers", "queries, hash split",
        "Smallest detectable difference", "oracle", "knn", "sha256", "cells.parquet", "Provenance",
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
    run = [text for attrs, text in found.scripts if "type" not in attrs]
    assert len(run) == 3
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_made_of_markup_show_as_text(evil: Path) -> None:
    found = parsed(evil)
    assert len(found.scripts) == 5
    assert not {"b", "img"} & {tag for tag, _ in found.tags}
    assert not any("onload" in attrs for _, attrs in found.tags)
    assert "".join(found.texts).count(NASTY) >= 3
    assert "49" not in "".join(t for t in found.texts if "7 * 7" in t or "{{" in t)
    data = found.json("run0-data")
    assert sorted(data["models"]) == sorted(EVIL)
    assert data["routers"] == [NASTY]
    assert all(name.startswith(NASTY) for name in data["ids"])
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
    choice = base64.b64decode(told["choice"][told["routers"].index("knn")])
    assert list(choice) == run.choices("knn")[0].tolist()
    score = np.reshape(struct.unpack(f"<{n * m}f", base64.b64decode(told["score"])), (n, m))
    np.testing.assert_array_equal(np.isnan(score), ~run.outcomes.ok)
    np.testing.assert_allclose(score[run.outcomes.ok], run.outcomes.score[run.outcomes.ok])
    task = told["columns"]["task"]
    codes = np.frombuffer(base64.b64decode(task["codes"]), "<u2")
    assert run.setup.data.queries.task is not None
    assert [task["names"][c] for c in codes] == list(run.setup.data.queries.task[run.rows])


def test_more_rows_than_a_page_can_carry(priced: Path) -> None:
    run = read_run(priced)
    told = browse(run, room=7 * 96)
    assert (told["n"], told["total"]) == (7, len(run.rows))
    assert len(told["ids"]) == len(base64.b64decode(told["choice"][0])) == 7
    assert told["ids"][-1] == browse(run)["ids"][-1]


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
    hull = plots._hull(points)
    assert (hull["x"], hull["y"]) == ([1, 3], [1, 3])


def test_latency_where_it_was_measured(priced: Path) -> None:
    board = read_run(priced).board
    told = {"latency_ms_p50": 1.0, "latency_ms_p95": 2.0, "latency_ms_p99": 4.0}
    timed = board.model_copy(update={"timing": {"routers": {"knn": told}}})
    figure = plots.latency(timed)
    assert figure is not None
    assert [trace["x"] for trace in figure["data"]] == [[1.0], [2.0], [4.0]]
    assert plots.latency(board.model_copy(update={"timing": {}})) is None


def test_ties_are_marked(priced: Path) -> None:
    board = read_run(priced).board
    ranks = [row.rank for row in board.rows if row.state == "ok"]
    for row in summary.leaderboard(board).rows:
        rank = int(row[0].text.rstrip("="))
        assert row[0].text.endswith("=") == (ranks.count(rank) > 1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium")
    with api.sync_playwright() as running:
        made = running.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A page from its file; at the end it must have been silent and asked for nothing."""
    said: list[str] = []
    asked: list[str] = []

    def load(*runs: Stored) -> Any:
        (tmp_path / "report.html").write_text(page(runs))
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append("a dialog"))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        tab.locator(".browse:visible").scroll_into_view_if_needed()
        tab.wait_for_selector(".list tbody tr")
        return tab

    yield load
    assert said == []
    assert [url for url in asked if not re.match(r"(file:.*report\.html|data:)", url)] == []


def test_sort_filter_search_and_theme(opened: Callable[..., Any], priced: Path) -> None:
    tab = opened(read_run(priced))
    head = tab.locator("#run0-s-board th", has_text="Accuracy").first
    names = tab.locator("#run0-s-board tbody").first.locator("th")
    best = names.all_inner_texts()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() != best
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"

    run, count = read_run(priced), tab.locator(".browse .count")
    choice, outcomes = run.choices("random")[0], run.outcomes
    score = np.where(outcomes.ok, outcomes.score, np.nan)[np.arange(len(choice)), choice]
    tab.locator("[data-f=router]").select_option(label="random")
    tab.locator("[data-f=outcome]").select_option("wrong")
    assert count.inner_text().startswith(f"{int((score < 0.5).sum())} of ")
    tab.locator("[data-f=outcome]").select_option("")
    tab.locator("[data-f=search]").fill(browse(run)["ids"][0])
    assert tab.locator(".list tbody tr").count() >= 1
    tab.locator(".list .open").first.click()
    assert tab.locator(".list .more tbody tr").count() == 4

    tab.locator("#theme").click()
    tab.locator("#theme").click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = "rgb(20, 23, 26)"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_markup_in_names_in_a_browser(opened: Callable[..., Any], evil: Path) -> None:
    tab = opened(read_run(evil))
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert NASTY in tab.locator(".list .id").first.inner_text()
    legend = tab.locator("#run0-usage .legendtext").all_text_contents()
    assert any("<script>alert(1)" in text for text in legend)


def test_tabs_and_nothing_over_the_edge(
    opened: Callable[..., Any], priced: Path, users: Path
) -> None:
    tab = opened(read_run(priced), read_run(users))
    tab.get_by_role("tab").first.press("ArrowRight")
    assert tab.locator("#run1").is_visible()
    assert not tab.locator("#run0").is_visible()
    for width in (390, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_training_curves_in_both_themes(
    opened: Callable[..., Any], priced: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(priced, tmp_path / "run"))
    state = run / "routers" / "knn" / "seed-0" / "fold-0" / "checkpoint" / "state" / "language"
    state.mkdir(parents=True)
    name = f"{NASTY}@ink"
    points = [{"step": i, "loss": 1 / i, name: -1e11 * i} for i in range(1, 2000)]
    (state / "training.json").write_text(json.dumps({name: points}))
    tab = opened(read_run(run))
    place = tab.locator("#run0-s-training")
    for _ in ("light", "dark"):
        tab.locator("#theme").click()
        place.scroll_into_view_if_needed()
        tab.wait_for_selector("#run0-training-1 .main-svg")
        assert place.locator(".scatterlayer .trace").count() == 2
    assert name[:9] in place.locator("figcaption").first.inner_text()
    tab.set_viewport_size({"width": 390, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
