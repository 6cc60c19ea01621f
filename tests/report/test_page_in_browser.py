"""The page in a browser: slider, explorer, themes, widths, and what assistive software needs.

Skipped where no Chromium is found; `CHROMIUM` names one, and `AXE` the file of axe-core, which is
otherwise fetched by npm.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries import needed
from pages import NASTY, evil_run, priced_run, unpacked_texts, users_run

from routebench.board.read_run import Stored, read_run
from routebench.report.verdict_card import verdict_card
from routebench.report.web.browse import browse
from routebench.report.web.page import page
from routebench.report.web.tradeoffs import tradeoffs

needed("jinja2", "plotly", "playwright")

pytestmark = pytest.mark.slow
AXE = "4.14.1"
KEPT = Path(__file__).parents[2] / "results" / "simpleqa"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def priced(home: Path) -> Path:
    return priced_run(home)


@pytest.fixture(scope="module")
def users(home: Path) -> Path:
    return users_run(home)


@pytest.fixture(scope="module")
def evil(home: Path) -> Path:
    return evil_run(home)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    named = os.environ.get("CHROMIUM")
    place = named or shutil.which("chromium") or shutil.which("google-chrome")
    if place is None:
        pytest.skip("no chromium is found")
    with sync_playwright() as running:
        made = running.chromium.launch(
            executable_path=place, args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    if place := os.environ.get("AXE"):
        return Path(place).read_text()
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch axe-core with")
    fetched = subprocess.run(
        [npm, "pack", f"axe-core@{AXE}"], cwd=folder, capture_output=True, timeout=120
    )
    if fetched.returncode:
        pytest.skip("axe-core cannot be fetched")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        content = archive.extractfile("package/axe.min.js")
        assert content is not None
        return content.read().decode()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A page from its file; at the end it must have been silent and asked for nothing."""
    said: list[str] = []
    asked: list[str] = []

    def load(*runs: Stored, width: int = 1280, dark: bool = False, csp: bool = True) -> Any:
        (tmp_path / "report.html").write_text(page(runs))
        tab = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            bypass_csp=not csp,
        )
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


def shown(tab: Any) -> dict[str, str]:
    """Return what the slider says of the setting it is at."""
    names = ("accuracy", "difference", "savings", "lambda", "cost", "month", "honest")
    return {name: tab.locator(f"[data-t={name}]").inner_text() for name in names}


def test_the_slider_says_what_the_board_says(opened: Callable[..., Any]) -> None:
    stored = read_run(KEPT)
    card = verdict_card(stored.board)
    made = tradeoffs(stored, card)
    assert made is not None
    tab = opened(stored)
    slider = tab.get_by_role("slider")
    stops = made["routers"][made["shown"]]["stops"]
    at = [stop.get("p") for stop in stops].index(card.point)
    assert slider.input_value() == str(at)
    told = shown(tab)
    assert told["accuracy"] == f"{100 * stops[at]['a']:.1f}%"
    assert told["honest"].startswith("Fixed before the test – proven")
    assert told["month"].split()[0] == tab.locator("[data-d=paid]").inner_text()

    slider.press("ArrowRight")
    slider.press("End")
    assert slider.input_value() == str(len(stops) - 1)
    slider.press("ArrowLeft")
    slider.press("Home")
    assert slider.input_value() == "0"
    last, told = stops[0], shown(tab)
    assert told["savings"] == f"{100 * last['s']:.0f}% cheaper"
    assert told["lambda"] == last["l"]
    assert told["honest"].startswith("Not fixed before the test")
    assert "--point savings=" in told["honest"]
    spoken = slider.get_attribute("aria-valuetext")
    assert f"accuracy {100 * last['a']:.1f}%" in spoken
    assert f"λ {last['l']}" in spoken

    tab.get_by_role("button", name="most-accurate").click()
    assert shown(tab)["honest"] == f"Fixed before the test – the verdict is on {card.point}."
    number = next(i for i, one in enumerate(made["routers"]) if one["name"] == "linear")
    tab.locator("[data-t=router]").select_option(label="linear")
    marked = [stop["p"] for stop in made["routers"][number]["stops"] if "p" in stop]
    buttons = tab.locator(".points button").all_inner_texts()
    assert sorted(text.removeprefix("◆ ") for text in buttons) == sorted(marked)
    assert tab.locator(".chart .point").count() == len(marked)


def test_dollars_follow_the_number_of_queries(opened: Callable[..., Any]) -> None:
    stored = read_run(KEPT)
    card = verdict_card(stored.board)
    assert card.usd_per_1k is not None
    tab = opened(stored)
    number = tab.get_by_label("at", exact=True)
    number.fill("3000000")
    tab.get_by_label("queries a").select_option("month")
    assert tab.locator("[data-d=paid]").inner_text() == f"${3000 * card.usd_per_1k:,.0f}"
    assert shown(tab)["month"] == f"${3000 * card.usd_per_1k:,.0f} a month"
    number.fill("")
    assert tab.locator("[data-d=paid]").inner_text() == "–"
    assert shown(tab)["month"] == "–"


def test_the_decisive_columns_need_no_scrolling_on_a_phone(opened: Callable[..., Any]) -> None:
    tab = opened(read_run(KEPT), width=390)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heads = tab.locator(".board thead th")
    names = ["Router", "Saves at within-1pp", "Δ, pp (worst)", "Verdict"]
    for i, name in enumerate(names):
        assert heads.nth(i).inner_text() == name
        box = heads.nth(i).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390, name
    cut = "e => e.scrollWidth > e.clientWidth + 1"
    assert not any(
        cell.evaluate(cut) for cell in tab.locator(".board tbody th[scope=row]").all()
    ), "names of routers are whole"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(opened: Callable[..., Any], axe: str, width: int, dark: bool) -> None:
    tab = opened(read_run(KEPT), width=width, dark=dark, csp=False)
    tab.locator(".list .open").first.click()
    tab.evaluate(axe)
    found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 20
    assert [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found["violations"]
    ] == []


def test_disagreement_why_and_texts(opened: Callable[..., Any], priced: Path) -> None:
    run = read_run(priced)
    tab, count = opened(run), None
    count = tab.locator(".browse .count")
    linear, knn = (run.choices(name)[0] for name in ("linear", "knn"))
    every = np.stack([run.choices(name)[0] for name in run.routers])
    tab.locator("[data-f=router]").select_option(label="linear")
    tab.locator("[data-f=differs]").select_option(label="not as knn")
    assert count.inner_text().startswith(f"{int((linear != knn).sum())} of ")
    tab.locator("[data-f=differs]").select_option("some")
    differ = (every != every[0]).any(axis=0)
    assert count.inner_text().startswith(f"{int(differ.sum())} of ")
    tab.locator("[data-f=differs]").select_option("none")
    assert count.inner_text().startswith(f"{int((~differ).sum())} of ")
    tab.locator("[data-f=differs]").select_option("")
    model = run.models[int(linear[0])]
    tab.locator("[data-f=model]").select_option(label=model)
    assert count.inner_text().startswith(f"{int((linear == linear[0]).sum())} of ")
    tab.locator("[data-f=model]").select_option("")

    assert run.texts is not None
    tab.locator("[data-f=search]").fill(str(run.texts[3]))
    assert tab.locator(".list tbody tr").count() == 1
    tab.locator(".list .open").click()
    why = tab.locator(".list .more")
    assert why.locator(".whole").inner_text() == run.texts[3]
    assert f"linear chose {run.models[int(linear[3])]}" in why.inner_text()
    assert "expected by linear" in why.inner_text()
    expected = run.expected[("linear", 0, 0), 2][3]
    cells = why.locator("tbody tr td:nth-child(2)").all_inner_texts()
    assert [float(text) for text in cells] == pytest.approx(list(expected), abs=0.02)


def test_sort_filter_search_and_theme(opened: Callable[..., Any], priced: Path) -> None:
    tab = opened(read_run(priced))
    head = tab.locator("#run0-s-board th", has_text="Accuracy").first
    names = tab.locator("#run0-s-board tbody").first.locator("th[scope=row]")
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
    tab.locator("[data-f=search]").fill(unpacked_texts(browse(run)["ids"])[0])
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
