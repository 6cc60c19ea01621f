"""Users: known ones are routed as in the run, others by stated rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs import command, finish

from routebench import config
from routebench.board.trained import open_router
from routebench.deploy.export import export
from routebench.loading import load_data

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("users")
    return finish(home / "run", suite="personaroute", router=("user-prior", "knn"), perturb=0)


@pytest.fixture(scope="module")
def checkpoint(done: Path) -> Path:
    export(done, "user-prior", done.parent / "checkpoint")
    return done.parent / "checkpoint"


def routed(main: Main, place: Path, *words: Any) -> list[dict[str, Any]]:
    code, out, err = main("route", place, *words)
    assert code == 0, err
    return [json.loads(line)["decision"] for line in out.splitlines()]


def test_known_users_get_what_the_run_gave_them(
    main: Main, done: Path, checkpoint: Path, tmp_path: Path
) -> None:
    data = load_data(config.make({"suite": "personaroute"}))
    texts = dict(zip(data.keys, data.queries.text, strict=True))
    decided = [d for d in pq.read_table(done / "decisions.parquet").to_pylist()
               if d["router"] == "user-prior"][:500]  # fmt: skip
    place = tmp_path / "queries.jsonl"
    lines = [{"query": texts[one["query"]], "user": one["user"]} for one in decided]
    place.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = routed(main, checkpoint, "--input", place)
    assert [one["model"] for one in made] == [one["choice"] for one in decided]
    assert len({one["model"] for one in made}) > 1


def test_others_are_users_never_seen(main: Main, checkpoint: Path, tmp_path: Path) -> None:
    trained = open_router(checkpoint)
    users = trained.description.users
    assert len(users) == 9
    assert trained.personal
    known, mean = sorted(users), float(np.mean(list(users.values())))
    queries = trained.queries(
        ["q"] * 5, [known[0], known[0], "stranger", None, "stranger"], [None, 0.9, None, None, 0.2]
    )
    assert queries.preference is not None
    assert queries.preference.tolist() == [users[known[0]], 0.9, mean, mean, 0.2]
    place = tmp_path / "queries.jsonl"
    who = [known[0], "stranger", None]
    place.write_text("".join(json.dumps({"query": "q", "user": one}) + "\n" for one in who))
    first, stranger, nobody = routed(main, checkpoint, "--input", place)
    assert stranger["model"] == nobody["model"], "the best over all users"
    assert routed(main, checkpoint, "--input", place, "--user", known[0])[2] == first


def test_a_router_that_knows_no_users_ignores_them(main: Main, done: Path, tmp_path: Path) -> None:
    trained = open_router(done, "knn")
    assert not trained.personal
    assert trained.queries(["q"], ["ann"], [0.5]).user is None
    place = tmp_path / "queries.jsonl"
    place.write_text('{"query": "q", "user": "ann"}\n{"query": "q"}\n')
    code, out, _ = main("route", done, "knn", "--input", place)
    assert code == 0
    one, other = (json.loads(line)["decision"] for line in out.splitlines())
    assert one == other


def test_trained_on_all_data(tmp_path: Path) -> None:
    command(
        "train", "--suite", "personaroute", "--router", "user-prior", "--no-test", "--all-data",
        "--out", tmp_path / "all", "--quiet",
    )  # fmt: skip
    known = open_router(tmp_path / "all").description
    assert (len(known.users), known.points) == (9, ["most-accurate"])
    assert known.trained_on == ["train", "validation", "test"]
    assert known.results is None
