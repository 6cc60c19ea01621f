"""`routebench grid`: suites with all routers, kept boards, and one page of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import planted
from libraries import needed
from router_sources import ROUTER
from runs import finish

from routebench import pipeline
from routebench.grid.schema import GridResult
from routebench.isolation.messages import FitRequest
from routebench.isolation.subprocesses import Workers

needed("jinja2")

Main = Callable[..., tuple[int, str, str]]
FILE = """
router = ["knn", "best-single", "random", "mine.py:Alpha"]
perturb = 0
[set.tfidf-svd]
dimension = 8
[suites.one]
suite = "table:one.parquet"
prices = "prices.json"
[suites.two]
suite = "table:two.parquet"
"""
PRICES = {
    name: {"input_usd_per_mtok": 1.0 + at, "output_usd_per_mtok": 3.0 + at}
    for at, name in enumerate("abcd")
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a grid of two tables, and a router of one's own."""
    folder = tmp_path / "here"
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        pq.write_table(planted(150, seed), folder / f"{name}.parquet")
    (folder / "mine.py").write_text(ROUTER)
    (folder / "prices.json").write_text(json.dumps(PRICES))
    (folder / "field.toml").write_text(FILE)
    return folder


def board(folder: Path, suite: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / suite / "leaderboard.json").read_text())
    return content


def test_a_grid_is_interrupted_goes_on_and_says_what_its_boards_say(
    main: Main, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[tuple[Path, str]] = []
    carried_out, out = Workers.run, here / "results" / "grid" / "field"

    def run(workers: Workers, request: Any, place: Path, *words: Any, **named: Any) -> Any:
        if isinstance(request, FitRequest):
            fitted.append((place, request.label))
            if len(fitted) == 6 and not (out / "two" / "leaderboard.json").exists():
                raise KeyboardInterrupt
        return carried_out(workers, request, place, *words, **named)

    monkeypatch.setattr(Workers, "run", run)
    code, _, said = main("grid", "field.toml")
    assert code == 130, said
    assert "to go on, run the same command again" in said
    first = (out / "one" / "leaderboard.json").read_bytes()
    assert not (out / "grid.json").exists()
    begun = len(fitted)

    code, printed, said = main("grid", "field.toml", "--dry-run")
    assert code == 0, said
    assert "one: finished, kept in" in printed
    assert "would be written to results/grid/field/two" in printed
    assert len(fitted) == begun

    code, printed, said = main("grid", "field.toml")
    assert code == 0, said
    assert (out / "one" / "leaderboard.json").read_bytes() == first
    assert len(fitted) == begun + 3  # one of the second suite's was finished
    assert "2 suites" in printed

    monkeypatch.setattr(pipeline, "run", None)  # nothing is run any more
    code, printed, said = main("grid", "field.toml", "--json")
    assert code == 0, said
    result = GridResult.model_validate_json((out / "grid.json").read_text())
    assert json.loads(printed) == json.loads((out / "grid.json").read_text())
    assert [suite.name for suite in result.suites] == ["one", "two"]
    assert result.suites[0].best_single.value is not None
    assert len(result.routers) == 4
    for router in result.routers:
        for suite, entry in router.entries.items():
            row = next(r for r in board(out, suite)["rows"] if r["router"] == router.router)
            assert entry.quality is not None
            assert entry.quality.value == row["metrics"]["accuracy"]["value"]
            assert entry.verdict == (row["verdict"] and row["verdict"]["kind"])
    knn = next(router for router in result.routers if router.router == "knn")
    assert (knn.average_rank, knn.wins) == (1.0, 2)  # planted topics, far above best single
    assert result.ranks is not None
    assert "too few suites" in result.ranks.sentence
    page = (out / "grid.html").read_text()
    assert "<script" not in page
    assert "too few suites" in page
    for router in result.routers:
        assert router.router in page


def test_a_board_made_with_other_options_is_no_board_of_the_grid(main: Main, here: Path) -> None:
    out = here / "results" / "grid" / "field"
    routers = ["knn", "best-single", "random"]
    data = f"table:{here / 'one.parquet'}"
    finish(out / "one", suite=data, router=routers, perturb=0)
    code, _, said = main("grid", "field.toml")
    assert code == 2
    assert "error: suites.one: --out results/grid/field/one: the board of another run" in said
    assert not (out / "two").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"knn"', '"knnn"', "error: suites.one: no router named 'knnn'"),
        ("table:two", "tabel:two", "error: suites.two: no suite named 'tabel'"),
        ("two.parquet", "three.parquet", "error: suites.two: three.parquet: there is no such file"),
        ("mine.py:Alpha", "mine.py:Beta", "error: suites.one: "),
        ("[suites.two]", "[suites.two]\nmargin = 'wide'", "error: suites.two: --margin"),
    ],
)
def test_what_is_unknown_is_said_before_anything_runs(
    main: Main, here: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    monkeypatch.setattr(pipeline, "run", None)
    (here / "field.toml").write_text(FILE.replace(old, new))
    code, printed, said = main("grid", "field.toml")
    assert code == 2, printed + said
    assert message in said
    assert len(said.splitlines()) <= 2
    assert not (here / "results").exists()


def test_texts_of_a_grid_are_no_markup(main: Main, here: Path) -> None:
    from routebench.report.web.grid import grid_page

    main("grid", "field.toml", "--quiet")
    place = here / "results" / "grid" / "field" / "grid.json"
    evil = place.read_text().replace('"knn"', '"<script>alert(1)</script>"')
    page = grid_page(GridResult.model_validate_json(evil))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
