"""Training curves and facts on the page: drawn where routers keep them, harmless where damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import edit_board, finish, put

from routebench.board.read_run import read_run
from routebench.report.web import training
from routebench.report.web.plots import series
from routebench.report.web.training import LIMIT, POINTS, CurvePanel, Line

NASTY = "<script>alert(1)</script><b>@ink"
FACTS = {"base_model": "embedded Llama, 2 layers of 96", "parameters": 276096, "ties": 0.4}
CURVES: dict[str, Any] = {
    "pretrain": [{"epoch": i, "loss": 6 - i / 2} for i in (1, 2, 3)],
    "sft": [*({"step": i, "loss": 2 - i / 100} for i in range(8, 81, 8)),
            {"step": 40, "eval_loss": 1.5}, {"step": 80, "eval_loss": 1.4}],
    "dpo": [{"step": i, "loss": 0.7 - i / 200, "rewards/margins": i / 50,
             "rewards/accuracies": 0.8} for i in (10, 20, 30)],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("training")
    return finish(
        home / "run", suite=put(home / "data", planted(60)), router=("random", "best-single"),
        perturb=0, seeds=2,
    )  # fmt: skip


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def keep(
    run: Path, content: Any, seed: int = 0, fold: int = 0, router: str = "random", below: str = ""
) -> Path:
    """Put a router's curves where its checkpoint lies."""
    job = run / "routers" / router / f"seed-{seed}" / f"fold-{fold}"
    place = job / "checkpoint" / "state" / below / "training.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    place.write_bytes(text)
    return place


def say(run: Path, facts: dict[str, Any], router: str = "random", **changes: Any) -> None:
    def change(board: dict[str, Any]) -> None:
        row = next(row for row in board["rows"] if row["router"] == router)
        row["facts"] = facts
        row |= changes

    edit_board(run, change)


def read(run: Path) -> list[training.RouterCurves]:
    stored = read_run(run)
    return training.read(stored.folder, stored.board)


def html(run: Path) -> str:
    for module in ("jinja2", "plotly"):
        pytest.importorskip(module, reason="the report extra is not installed")
    from routebench.report.web.page import page

    return page([read_run(run)])


def visible(text: str) -> str:
    """The page without its scripts and its style."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)


def test_stages_in_order_and_what_shares_an_axis(run: Path) -> None:
    keep(run, CURVES, below="language")
    (own,) = read(run)
    assert (own.router, own.job, own.others, own.notes) == ("random", "seed 0, fold 0", 0, [])
    assert [(p.stage, p.about, p.axis) for p in own.panels] == [
        ("pretrain", "loss", "epoch"), ("sft", "loss", "step"), ("dpo", "loss", "step"),
        ("dpo", "rewards", "step"),
    ]  # fmt: skip
    loss, checked = own.panels[1].lines
    assert (loss.name, loss.x[0], loss.y[0], len(loss.x)) == ("loss", 8, 1.92, 10)
    assert (checked.name, checked.x, checked.y) == ("eval_loss", [40, 80], [1.5, 1.4])
    assert [line.name for line in own.panels[3].lines] == ["rewards/margins", "rewards/accuracies"]


def test_other_seeds_are_faint_and_those_of_an_earlier_run_left_out(run: Path) -> None:
    keep(run, CURVES, seed=1)
    keep(run, {"sft": [{"step": 1, "loss": 9.0}]}, seed=0)
    keep(run, CURVES, seed=7)
    (own,) = read(run)
    assert (own.job, own.others) == ("seed 0, fold 0", 1)
    (panel,) = own.panels
    assert [(line.name, line.other, line.y[0]) for line in panel.lines] == [
        ("loss", True, 1.92), ("loss", False, 9.0),
    ]  # fmt: skip
    faint, clear = series.training(panel)["data"]
    assert (faint["opacity"], faint["showlegend"]) == (0.4, False)
    assert faint["line"]["color"] == clear["line"]["color"]
    assert "opacity" not in clear


def test_long_curves_are_thinned_and_spikes_kept(run: Path) -> None:
    points = [{"step": i, "loss": 1.0} for i in range(20_000)]
    points[12_345]["loss"] = 99.0
    keep(run, {"sft": points})
    line = read(run)[0].panels[0].lines[0]
    assert len(line.x) <= POINTS
    assert (line.x[0], line.x[-1]) == (0, 19_999)
    assert line.y[list(line.x).index(12_345)] == 99.0
    assert list(line.x) == sorted(line.x)


def test_several_files_of_one_router(run: Path) -> None:
    for part in ("a", "b"):
        keep(run, {"fit": [{"epoch": 1, "loss": 1.0}]}, below=part)
    assert [panel.stage for panel in read(run)[0].panels] == ["a/fit", "b/fit"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not json", "cannot be drawn: invalid JSON"),
        (b"", "invalid JSON"),
        (b"\xff\xfe", "cannot be drawn"),
        (b'{"a\\ud800": []}', "cannot be drawn"),
        (b"[" * 100_000, "cannot be drawn"),
        (b"[1, 2]", "must hold values by name"),
        (b'{"sft": {"loss": 1}}', "sft: "),
        (b'{"sft": [{"step": "8", "loss": 1}]}', "sft › 0 › step: "),
        (b'{"sft": [{"step": 8, "loss": true}]}', "sft › 0 › loss: "),
        (b'{"sft": [{"step": 8, "loss": [1]}]}', "sft › 0 › loss: "),
        (b'{"x": "' + b"y" * 10_000_000 + b'"}', "larger than 4 MiB"),
        (b'{"' + b"k" * 5_000 + b'": 1}', "kkk…: "),
    ],
)
def test_a_damaged_file_is_a_note(run: Path, content: bytes, words: str) -> None:
    keep(run, content)
    (own,) = read(run)
    assert own.panels == []
    (note,) = own.notes
    assert note.startswith("seed 0, fold 0: training.json")
    assert words in note
    assert len(note) < 300


def test_of_many_wrong_values_the_first_is_named(run: Path) -> None:
    point = '{"step":"1","loss":"1"}'
    text = f'{{"sft": [{",".join([point] * (LIMIT // (len(point) + 2)))}]}}'
    keep(run, text.encode())
    assert "sft › 0 › step" in read(run)[0].notes[0]


def test_what_no_plot_could_show_is_left_out_and_counted(run: Path) -> None:
    text = b'{"sft": [{"step": 1, "loss": NaN}, {"step": 2, "loss": 1e300}, {"loss": 3.0}, \
        {"step": Infinity, "loss": 1}, {"step": 5, "loss": 0.5, "eval_loss": null}]}'
    keep(run, text)
    (own,) = read(run)
    ((line,),) = (panel.lines for panel in own.panels)
    assert (line.x, line.y) == ([5], [0.5])
    (note,) = own.notes
    assert "4 values" in note
    assert "<h2>Training</h2>" in html(run)


def test_no_end_of_series_and_of_notes(run: Path) -> None:
    keep(run, {f"s{i}": [{"step": 1, f"x{i}": 1.0}] for i in range(40)})
    (own,) = read(run)
    assert len(own.panels) == training.PANELS
    assert f"{40 - training.PANELS} more series" in own.notes[-1]
    for fold in range(20):
        keep(run, b"?", fold=fold)
    (own,) = read(run)
    assert len(own.notes) == training.NOTES + 1
    assert own.notes[-1].startswith("and 15 more")


def test_only_plain_files_of_the_boards_routers_are_read(run: Path, tmp_path: Path) -> None:
    keep(run, CURVES, router="a-stranger")
    place = keep(run, CURVES)
    other = place.replace(tmp_path / "elsewhere.json")
    place.symlink_to(other)
    assert "not a plain file" in read(run)[0].notes[0]
    place.unlink()
    os.mkfifo(place)  # reading it would wait for ever
    assert "not a plain file" in read(run)[0].notes[0]
    stored = read_run(run)
    for name in ("../a-stranger", "a/b", "nul\0", "x" * 5000, ""):
        rows = [stored.board.rows[0].model_copy(update={"router": name})]
        assert training.read(run, stored.board.model_copy(update={"rows": rows})) == []


@pytest.mark.parametrize("content", [None, {}, {"sft": []}, {"sft": [{"step": 1}]}])
def test_without_curves_the_page_says_nothing_of_them(run: Path, content: Any) -> None:
    if content is not None:
        keep(run, content)
    text = visible(html(run)).lower()
    assert "<h2>training" not in text
    assert "curves" not in text
    assert "loss" not in text
    assert "tokens/s" not in text


def test_the_page_draws_them_beside_the_facts(run: Path) -> None:
    keep(run, CURVES)
    keep(run, CURVES, seed=1)
    say(run, FACTS)
    say(run, {"note": "keeps no curves"}, router="best-single")
    text = html(run)
    start, end = text.index("<h2>Training</h2>"), text.index("<h2>Time and options</h2>")
    part = text[start:end]
    for words in (
        "<h3>random</h3>", "<dt>parameters</dt><dd>276,096</dd>", "<dt>base model</dt>",
        "<dd>0.4</dd>", "dpo: rewards", "seed 0, fold 0", "1 other seed or fold",
    ):  # fmt: skip
        assert words in part
    for i in range(4):
        assert f'id="run0-training-{i}"' in part
    assert "keeps no curves" not in part
    assert "<dd>keeps no curves</dd>" in text[end:]
    block = text[text.index('id="run0-plots">') + len('id="run0-plots">') :]
    drawn = json.loads(block[: block.index("</script>")])
    assert [trace["name"] for trace in drawn["run0-training-1"]["data"]] == [
        "loss", "eval_loss", "loss", "eval_loss",
    ]  # fmt: skip
    assert {trace["name"] for trace in drawn["run0-training-3"]["data"]} == {
        "margins", "accuracies",
    }  # fmt: skip


def test_names_made_of_markup_show_as_text(run: Path) -> None:
    keep(run, {NASTY: [{"step": 1, NASTY: 1.0, "loss": 2.0}]})
    keep(run, {NASTY: [{"step": NASTY}]}, seed=1)
    say(run, {NASTY: NASTY, "long": "x" * 100_000})
    text = html(run)
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert visible(text).count("&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;@ink") >= 4
    assert "x" * 400 not in visible(text)


def test_speed_stands_with_the_facts_and_in_the_table(run: Path) -> None:
    def timed(board: dict[str, Any]) -> None:
        told = board["timing"].setdefault("routers", {}).setdefault("random", {})
        told["router_tokens_per_second"] = 12345.6

    edit_board(run, timed)
    say(run, FACTS)
    text = html(run)
    assert "<dt>tokens per second</dt><dd>12,346</dd>" in text
    assert "tokens/s" in text


def test_figures_for_papers(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    from routebench.report.web.figures import draw

    keep(run, CURVES)
    keep(run, {"_$\\frac{<x>$": [{"step": 1, "_loss": 1.0}]}, seed=1)
    keep(run, b"?", router="best-single")
    twice = [draw([read_run(run)], tmp_path / name) for name in ("one", "two")]
    names = [path.name for path in twice[0] if path.name.startswith("training")]
    assert names == ["training-random.png", "training-random.svg"]
    for name in names:
        assert len({(tmp_path / place / name).read_bytes() for place in ("one", "two")}) == 1


def test_one_series_needs_no_legend() -> None:
    one = CurvePanel("sft", "loss", "step", [Line("loss", [1, 2], [2.0, 1.0])])
    assert series.training(one)["layout"]["showlegend"] is False
    two = CurvePanel("sft", "loss", "step", [*one.lines, Line("eval_loss", [2], [1.5])])
    assert series.training(two)["layout"]["showlegend"] is True
