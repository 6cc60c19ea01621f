"""`routebench route`: queries through checkpoints of a finished run."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import planted
from runs import SMALL, finish, price_list, put

Main = Callable[..., tuple[int, str, str]]
ROUTER = f"{Path(__file__).parents[1] / 'policied.py'}:Policied"
TEXT = "river capital number 17"


def finished(home: Path, **options: Any) -> Path:
    """Make a run with its checkpoints."""
    return finish(home / "run", perturb=0, **{"set": SMALL} | options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("route")
    table = planted(160)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    return finished(
        home,
        suite=put(home, table),
        prices=price_list(home),
        show=("task",),
        router=("knn", "task-prior", "best-single", ROUTER, f"{ROUTER}@two"),
    )


def routed(main: Main, *words: Any) -> list[dict[str, Any]]:
    code, out, err = main("route", *words, "--json")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("router", ["knn", "best-single", "Policied"])
def test_it_decides_as_the_run_did(main: Main, done: Path, router: str, tmp_path: Path) -> None:
    long = pq.read_table(done.parent / "outcomes.parquet").to_pylist()
    texts = {row["query_id"]: row["query"] for row in long}
    cells = pq.read_table(done / "cells.parquet").to_pylist()
    by_key = {cell["query"]: texts[cell["query_id"]] for cell in cells}
    decided = [d for d in pq.read_table(done / "decisions.parquet").to_pylist()
               if d["router"] == router][:12]  # fmt: skip
    named = ROUTER if router == "Policied" else router
    found = routed(main, done, named, *(by_key[d["query"]] for d in decided))
    assert [one["model"] for one in found] == [d["choice"] for d in decided]
    assert [one.get("policy") for one in found] == [d["policy"] for d in decided]
    if router == "knn":
        assert [one["confidence"] for one in found] == [d["confidence"] for d in decided]
        assert set(found[0]["quality"]) == set("abcd")
    if router == "Policied":
        assert set(found[0]["quality"]) == {"a", "d"}
        assert found[0]["reason"].startswith("it has ")


def test_lines_of_standard_input(main: Main, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TEXT}\n\n  poem verse number 3 \n"))
    found = routed(main, done / "leaderboard.json", "knn")
    assert [one["query"] for one in found] == [TEXT, "poem verse number 3"]
    assert found == routed(main, done, "knn", TEXT, "poem verse number 3")


def test_what_a_person_reads(main: Main, done: Path) -> None:
    code, out, _ = main("route", done, ROUTER, TEXT)
    model, policy = (routed(main, done, ROUTER, TEXT)[0][x] for x in ("model", "policy"))
    assert code == 0
    assert out.splitlines() == [
        f"{model}  {TEXT}",
        f"  quality 0.600 · policy {policy}",
        f"  it has {len(TEXT)} letters",
    ]


def complex_text(main: Main, done: Path) -> str:
    texts = [f"algebra equation number {i}" for i in range(9)]
    return next(o["query"] for o in routed(main, done, ROUTER, *texts) if o["model"] == "d")


def test_a_budget_is_charged_query_by_query(main: Main, done: Path) -> None:
    text = complex_text(main, done)
    board = json.loads((done / "leaderboard.json").read_text())
    cost = board["diagnostics"]["folds"][0]["mean_cost"]
    assert cost["d"] > cost["a"] > 0
    # After three answers of the dear model nine tenths are gone; then the cheap one answers.
    limit = 3 * cost["d"] / 0.9
    found = routed(main, done, ROUTER, *[text] * 5, "--budget", limit)
    assert [one["model"] for one in found] == ["d", "d", "d", "a", "a"]
    spent = [one["budget"]["spent"] for one in found]
    dear = 3 * cost["d"]
    assert spent[:3] == pytest.approx([cost["d"], 2 * cost["d"], dear])
    assert spent[3:] == pytest.approx([dear + cost["a"], dear + 2 * cost["a"]])
    found = routed(main, done, ROUTER, text, "--budget", 1, "--spent", 0.9)
    assert found[0]["model"] == "a"
    code, out, _ = main("route", done, ROUTER, text, "--budget", 1, "--spent", 0.5)
    assert code == 0
    assert "of $1 spent" in out


def test_options_that_count_in_routing(main: Main, done: Path) -> None:
    text = complex_text(main, done)
    for label in ("Policied", "Policied@two"):
        named = ROUTER + label.removeprefix("Policied")
        changed = routed(main, done, named, text, "--set", f"{label}.complex_is=medium")
        assert changed[0]["model"] == "a"
        assert routed(main, done, named, text)[0]["model"] == "d"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["knnn"], "no router 'knnn' ended well"),
        (["knn", "--seed", "2"], "no checkpoint of knn, seed 2, fold 0"),
        (["knn", "--fold", "1"], "no checkpoint of knn, seed 0, fold 1"),
        (["knn", "--budget", "1"], "--budget: knn keeps to no budget"),
        ([ROUTER, "--spent", "1"], "--spent is a part of a budget"),
        ([ROUTER, "--budget", "0"], "budget: 0.0 USD is no limit"),
        ([ROUTER, "--budget", "1", "--spent", "-1"], "spent: -1.0 USD"),
        (["knn", "--set", "knn.k=3"], "knn.k is fixed by training"),
        (["knn", "--set", "knn.kk=3"], "knn has no option 'kk'"),
        (["knn", "--set", "linear.x=3"], "--set linear: this is about knn"),
        ([ROUTER, "--set", "Policied.trained=3"], "Policied.trained is fixed by training"),
        (["task-prior"], "task-prior cannot route texts alone: AssertionError"),
    ],
)
def test_bad_input(main: Main, done: Path, words: list[str], message: str) -> None:
    code, out, err = main("route", done, words[0], TEXT, *words[1:])
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) <= 2


def test_damage_is_told(main: Main, done: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "copy"))
    place = folder / "routers" / "knn" / "seed-0" / "fold-0"
    (place / "checkpoint" / "state" / "state.json").write_text("{")
    code, _, err = main("route", folder, "knn", TEXT)
    assert code == 2
    assert "is damaged" in err
    shutil.rmtree(folder / "routers")
    code, _, err = main("route", folder, "knn", TEXT)
    assert code == 2
    assert "run it again" in err
    assert main("route", tmp_path / "nothing", "knn", TEXT)[0] == 2


def test_an_unpriced_run_has_no_costs_to_charge(main: Main, tmp_path: Path) -> None:
    folder = finished(tmp_path, suite=put(tmp_path, planted(60)), router=(ROUTER,))
    code, _, err = main("route", folder, ROUTER, TEXT, "--budget", 1)
    assert code == 2
    assert "--budget: the run does not know what a costs" in err
    assert routed(main, folder, ROUTER, TEXT)[0]["model"] in "abcd"


def test_code_that_a_run_folder_names_is_not_run(main: Main, done: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "copy"))
    planted_code = folder / "policied.py"
    planted_code.write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nclass Policied: pass\n")
    config = folder / "run.toml"
    config.write_text(config.read_text().replace(ROUTER.rpartition(":")[0], str(planted_code)))
    code, out, err = main("route", folder, "Policied", TEXT)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: Policied is a file's router, whose code is run only where you name the file",
        "hint: name Policied as path/to/policied.py:Policied, if you trust it",
    ]
    assert routed(main, folder, ROUTER, TEXT)[0]["model"] in "abcd"
    assert not (tmp_path / "owned").exists()
    code, _, err = main("route", folder, ROUTER.replace(":Policied", ":Other"), TEXT)
    assert (code, "no router 'Other' ended well" in err) == (2, True)
    code, _, err = main("route", folder, f"{planted_code}:knn", TEXT)
    assert (code, "knn is no router of a file" in err) == (2, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plugin": {"name": "linear"}}, "plugin is 'linear', not 'knn'"),
        ({"plugin": {"distribution": "evil"}}, "distribution is 'evil', not 'routebench'"),
        ({"plugin": {"version": "9"}}, "version is '9'"),
        ({"options": {"k": 99}}, "options is"),
        ({"fingerprint": "0" * 16}, "fingerprint is '0000000000000000'"),
    ],
)
def test_a_checkpoint_that_is_not_the_boards(
    change: dict[str, Any], said: str, main: Main, done: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "copy"))
    place = folder / "routers" / "knn" / "seed-0" / "fold-0" / "job.json"
    header = json.loads(place.read_text())
    for name, value in change.items():
        header[name] = header[name] | value if isinstance(value, dict) else value
    place.write_text(json.dumps(header))
    code, _, err = main("route", folder, "knn", TEXT)
    assert code == 2
    assert "job.json: is not of this board" in err
    assert said in err


def test_code_that_has_changed_is_told(main: Main, done: Path, tmp_path: Path) -> None:
    mine = tmp_path / "policied.py"
    mine.write_text(Path(ROUTER.rpartition(":")[0]).read_text() + "\n# changed\n")
    code, out, err = main("route", done, f"{mine}:Policied", TEXT)
    assert (code, bool(out)) == (0, True)
    assert err == (
        "warning: Policied: the source of Policied is not what it was when it was trained\n"
    )
    assert main("route", done, "knn", TEXT)[2] == ""
