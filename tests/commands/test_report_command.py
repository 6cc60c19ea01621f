"""`routebench report`: what it writes, and what it says where it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import SMALL, edit_board, edit_table, finish, graded, price_list, put

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("report")
    return finish(
        home / "run", suite=put(home / "data", graded(80)), judge="exact",
        prices=price_list(home), router=("knn", "random"), perturb=0, set=SMALL,
    )  # fmt: skip


@pytest.fixture
def extra() -> None:
    for module in ("jinja2", "plotly"):
        pytest.importorskip(module, reason="the report extra is not installed")


@pytest.mark.usefixtures("extra")
def test_the_page_lies_in_the_run_folder(main: Main, folder: Path) -> None:
    code, out, err = main("report", folder)
    assert (code, out) == (0, "")
    assert "report.html" in err
    text = (folder / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert len(text) < 7e6
    assert main("verify", folder)[0] == 0, "the page does not disturb the run"


@pytest.mark.usefixtures("extra")
def test_several_runs_and_a_place(main: Main, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "new" / "both.html"
    assert main("report", folder, folder / "leaderboard.json", "--out", place)[0] == 0
    assert 'role="tab"' in place.read_text()
    assert main("report", folder, folder)[0] == 0
    assert (tmp_path / "here" / "report.html").exists()


@pytest.mark.usefixtures("extra")
def test_open(main: Main, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []
    monkeypatch.setattr("click.launch", launched.append)
    assert main("report", folder, "--open")[0] == 0
    assert launched == [str((folder / "report.html").resolve())]


def test_markdown_alone(main: Main, folder: Path, tmp_path: Path) -> None:
    (folder / "report.html").unlink(missing_ok=True)
    assert main("report", folder, "--markdown", tmp_path / "a.md")[0] == 0
    lines = (tmp_path / "a.md").read_text().splitlines()
    assert lines[0] == "## table outcomes.parquet"
    assert "source: recorded answers" in lines[2]
    table = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert any("| knn |" in line for line in table)
    assert not (folder / "report.html").exists()


def test_markdown_takes_no_name_for_markup(main: Main, folder: Path, tmp_path: Path) -> None:
    from routebench.report.markdown import escape

    assert escape("<b>|a_b*\n`c`") == "&lt;b&gt;\\|a\\_b\\* \\`c\\`"


def test_figures(main: Main, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        assert main("report", folder, "--figures", place)[0] == 0
    names = {path.name for path in places[0].iterdir()}
    assert names == {"cost-quality.png", "cost-quality.svg", "usage.png", "usage.svg"}
    for name in names:
        made = [(place / name).read_bytes() for place in places]
        assert made[0] == made[1]
        assert made[0].startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


def test_figures_of_names_like_mathematics_and_no_prices(main: Main, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    run = finish(tmp_path / "run", suite=put(tmp_path, planted(60)), router=("random",), perturb=0)
    label = "_$\\frac{<script>$"

    def renamed(board: dict[str, Any]) -> None:
        board["rows"][0]["router"] = label

    edit_board(run, renamed)
    edit_table(run, "decisions.parquet", lambda rows: [r.update(router=label) for r in rows])
    assert main("report", run, "--figures", tmp_path / "out")[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"usage.png", "usage.svg"}
    assert "<script>" not in (tmp_path / "out" / "usage.svg").read_text()


@pytest.mark.parametrize(
    ("module", "words"), [("jinja2", ()), ("plotly", ()), ("matplotlib", ("--figures", "f"))]
)
def test_a_missing_extra_is_one_line(
    main: Main, folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, words: tuple[str, ...]
) -> None:
    if module == "plotly":
        pytest.importorskip("jinja2", reason="the report extra is not installed")
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = main("report", folder, *words)
    assert code == 2
    assert f"needs {module}, which is not installed" in err
    assert "pip install 'routebench[report]'" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("extra")
def test_what_is_no_run_and_what_was_tampered_with(
    main: Main, folder: Path, tmp_path: Path
) -> None:
    code, _, err = main("report", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere" in err
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (changed / path.name).write_bytes(path.read_bytes())
    edit_table(changed, "decisions.parquet", lambda rows: rows[0].update(policy="x"), rehash=False)
    code, _, err = main("report", changed)
    assert code == 2
    assert "decisions.parquet" in err
    code, _, err = main("report", folder, "--out", folder / "run.toml" / "x.html")
    assert code == 2
    assert "cannot write" in err
