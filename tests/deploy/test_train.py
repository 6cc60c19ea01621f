"""`routebench train`: a run's training, kept in a folder, with or without the test part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from runs import command, graded, price_list, put

from routebench.board.checkpoint import description
from routebench.board.trained import open_router
from routebench.plugin import checkpoint

Main = Callable[..., tuple[int, str, str]]
QUICK = ("--set", "tfidf-svd.dimension=8", "--quiet")
TEXTS = [f"{topic} number {i}" for i in range(9) for topic in ("poem verse", "river capital")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite whose rivers are in the test part only, and its run."""
    home = tmp_path_factory.mktemp("trained")
    table = planted(200, seed=3)
    river = ["river" in text for text in table["query"].to_pylist()]
    order = np.repeat(np.arange(200) % 4, 4)
    part = [
        "test" if r else ("validation" if o == 1 else "train")
        for r, o in zip(river, order, strict=True)
    ]
    table = table.append_column("split", [part])
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    put(home, table)
    price_list(home)
    command("run", *words(home), "--router", "knn,linear", "--out", home / "run", "--quiet")
    return home


def words(home: Path) -> tuple[Any, ...]:
    return ("--suite", home / "outcomes.parquet", "--prices", home / "prices-1.0.toml", *QUICK[:2])


def train(main: Main, home: Path, out: Path, *more: Any, router: str = "knn") -> Any:
    run = ("--run", out.with_name(f"{out.name}-run"))
    code, _, err = main("train", *words(home), "--router", router, "--quiet", "--out", out,
                        *run, *more)  # fmt: skip
    assert code == 0, err
    return description.read(out)


def same_state(one: Path, other: Path) -> bool:
    facts, arrays = checkpoint.load(one)
    others = checkpoint.load(other)
    return facts == others[0] and all(
        np.array_equal(array, others[1][name]) for name, array in arrays.items()
    )


@pytest.mark.parametrize("router", ["knn", "linear"])
def test_what_is_trained_is_what_a_run_trains(
    main: Main, home: Path, tmp_path: Path, router: str
) -> None:
    known = train(main, home, tmp_path / "it", "--point", "savings=40%", router=router)
    (row,) = (r for r in json.loads((home / "run" / "leaderboard.json").read_text())["rows"]
              if r["router"] == router)  # fmt: skip
    assert known.point == "savings=40%"
    assert known.results.of == "this checkpoint"
    assert known.results.metrics["accuracy"].value == row["metrics"]["accuracy"]["value"]
    then = open_router(home / "run", router).route(TEXTS)
    now = open_router(tmp_path / "it", point="most-accurate").route(TEXTS)
    assert np.array_equal(then.choice, now.choice)
    assert np.array_equal(then.quality, now.quality)
    # Unmeasured, it is the same, and at the same points.
    blind = train(main, home, tmp_path / "unmeasured", "--no-test", router=router)
    assert blind.results is None
    assert blind.point == "most-accurate"
    assert same_state(tmp_path / "it" / "state", tmp_path / "unmeasured" / "state")
    place = home / "run" / "routers" / router / "seed-0" / "fold-0" / "checkpoint"
    assert json.loads((tmp_path / "unmeasured" / "points.json").read_text()) == json.loads(
        (place / "points.json").read_text()
    )
    assert blind.facts == known.facts
    card = (tmp_path / "unmeasured" / "README.md").read_text()
    assert "It was not measured" in card
    assert "\nmetrics:" not in card


def test_all_data(main: Main, home: Path, tmp_path: Path) -> None:
    known = train(main, home, tmp_path / "all", "--all-data", "--license", "mit")
    before = open_router(home / "run", "knn").route(TEXTS)
    after = open_router(tmp_path / "all").route(TEXTS)
    rivers = np.array(["river" in text for text in TEXTS])
    assert not (before.choice[rivers] == 3).all(), "nothing was learned of rivers"
    assert (after.choice[rivers] == 3).all()
    assert known.trained_on == ["train", "validation", "test"]
    assert known.results.of == "a router trained without the test part"
    assert known.license == "mit"
    assert set(known.points) == {"most-accurate", "same-accuracy", "within-1pp"}
    card = (tmp_path / "all" / "README.md").read_text()
    assert "These are **not** results of this checkpoint" in card
    front = card.split("---\n")[1]
    assert "metrics:" not in front
    assert 'license: "mit"' in front
    board = json.loads((tmp_path / "all-run" / "leaderboard.json").read_text())
    (row,) = board["rows"]
    accuracy = row["metrics"]["accuracy"]["value"]
    assert f"| accuracy, % | {100 * accuracy:.1f} [" in card
    # What it costs to ask a model is known from the test part too.
    assert known.facts.mean_cost != board["diagnostics"]["folds"][0]["mean_cost"] or (
        known.facts.mean_score != board["diagnostics"]["folds"][0]["mean_score"]
    )


def test_inner_folds_are_on_the_card(main: Main, home: Path, tmp_path: Path) -> None:
    known = train(main, home, tmp_path / "it", "--inner-folds", "3")
    assert known.inner_folds == 3
    assert "- Inner folds: 3; as many fits" in (tmp_path / "it" / "README.md").read_text()
    given = (*words(home), "--router", "knn", "--inner-folds", 3, "--out", tmp_path / "other")
    code, _, err = main("train", *given, "--all-data")
    assert (code, "--inner-folds: points are chosen so with a test part" in err) == (2, True)


def test_a_place_that_cannot_be_written_is_told_before_training(
    main: Main, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "new"
    code, _, err = main("train", *words(home), "--router", "knn", "--quiet", "--out", place,
                        "--run", tmp_path / "run")  # fmt: skip
    assert code == 2
    assert f"--out {place}: cannot be written" in " ".join(err.split())
    assert not (tmp_path / "run").exists()


def test_a_router_that_sees_answers(main: Main, tmp_path: Path) -> None:
    suite = put(tmp_path, graded(160))
    given = ("--suite", suite, "--prices", price_list(tmp_path), "--judge", "exact")
    run = ("--router", "agreement", "--quiet", "--answers-as", "exact")
    folders = {}
    for name, more in {"it": (), "unmeasured": ("--no-test",), "all": ("--all-data",)}.items():
        folders[name] = tmp_path / name
        code, _, err = main("train", *given, *run, *more, "--out", folders[name],
                            "--run", tmp_path / "run")  # fmt: skip
        assert code == 0, err
    points = {n: json.loads((f / "points.json").read_text()) for n, f in folders.items()}
    assert points["it"] == points["unmeasured"]
    assert len(points["it"]["points"]) == 3
    assert points["all"]["points"].keys() == points["it"]["points"].keys()
    known = description.read(folders["unmeasured"])
    assert (known.steps, known.answers_as) == (True, "exact")
    assert description.read(folders["it"]).answers_as == "exact"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--router", "knn,linear"), "--router knn,linear: one router is trained"),
        (("--router", "all"), "--router all: one router is trained"),
        ((), "no router given"),
        (("--router", "knn", "--point", "cheap"), "--point 'cheap': no such point"),
        (("--router", "knn", "--file", "folds.toml"), "folds 5: a checkpoint is trained once"),
        (("--router", "knn", "--file", "seeds.toml"), "seeds 3: a checkpoint is trained once"),
        (("--router", "best-single", "--no-test", "--point", "within-1pp"),
         "--point within-1pp: the router has most-accurate"),
    ],
)  # fmt: skip
def test_bad_input(main: Main, home: Path, tmp_path: Path, more: Any, said: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "folds.toml").write_text("folds = 5\n")
    (here / "seeds.toml").write_text("seeds = 3\n")
    code, out, err = main("train", *words(home), "--quiet", "--out", "new", *more)
    assert (code, out) == (2, "")
    assert said in err
    assert not (here / "new").exists()
    (here / "new").mkdir()
    code, _, err = main("train", *words(home), "--quiet", "--out", "new", "--router", "knn")
    assert (code, "--out new: is there already" in err) == (2, True)
