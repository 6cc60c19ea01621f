"""What no table can tell: run file, header, jobs' records, signatures, checkpoints asked again."""

from __future__ import annotations

import ast
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import noise, real
from runs import SMALL, edit_board, edit_hash, edit_table, finish, graded, price_list, put

from routebench.board import build, run_folder
from routebench.board.build import AUDIT_ONLY
from routebench.verify import recompute as recomputing
from routebench.verify import verify as verifying
from routebench.verify.stated import stated_values

Main = Callable[..., tuple[int, str, str]]
Change = Callable[[dict[str, Any]], Any]
MINE = Path(__file__).parents[1] / "policied.py"
BENCHMARK = MINE.parents[1] / "benchmarks" / "altered_boards.py"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "RESAMPLES", 100)
        defaults = (100, *(build.score.__defaults__ or ())[1:])
        patch.setattr(build.score, "__defaults__", defaults)
        return finish(
            home / "run",
            suite=put(home, graded(60)),
            judge="exact",
            prices=price_list(home),
            router=("knn", "random", f"{MINE}:Policied"),
            set=SMALL | {"knn": {"k": 3}},
            max_missing=0.3,
        )


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def differing(main: Main, folder: Path, *words: Any) -> set[str]:
    code, out, err = main("verify", folder, "--json", *words)
    assert code in (0, 1), err
    found = {one["path"] for one in json.loads(out)["differences"]}
    assert bool(found) == bool(code)
    return found


def knn(board: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in board["rows"] if row["router"] == "knn")
    return row


ALTERED: dict[str, Change] = {
    "objective": lambda b: b["objective"].update(cost=0.5),
    "encoder": lambda b: b.update(encoder="other"),
    "priced": lambda b: b.update(priced="estimated"),
    "suite.name": lambda b: b["suite"].update(name="simpleqa"),
    "suite.source": lambda b: b["suite"].update(source="live"),
    "suite.protocol": lambda b: b["suite"].update(protocol="user"),
    "suite.split": lambda b: b["suite"].update(split="given"),
    "suite.shown": lambda b: b["suite"].update(shown=["something"]),
    "suite.notes": lambda b: b["suite"]["notes"].append("all is well"),
    "fingerprints.suite": lambda b: b["fingerprints"].update(suite="0" * 16),
    "fingerprints.outcomes": lambda b: b["fingerprints"].update(outcomes="0" * 16),
    "fingerprints.judge": lambda b: b["fingerprints"].update(judge="0" * 16),
    "diagnostics.leaked": lambda b: b["diagnostics"].update(leaked=7),
    "diagnostics.removed": lambda b: b["diagnostics"].update(removed=7),
    "diagnostics.cost_basis": lambda b: b["diagnostics"]["cost_basis"].update(assumed=7),
    "environment.data": lambda b: b["environment"].update(data=["/other/file"]),
    "environment.device": lambda b: b["environment"].update(device="cuda"),
    "environment.isolation": lambda b: b["environment"].update(isolation=["landlock"]),
    "environment.python": lambda b: b["environment"].update(python="3.99"),
    "environment.cpus": lambda b: b["environment"].update(cpus=1024),
    "environment.blas": lambda b: b["environment"].update(blas=["none"]),
    "environment.packages.numpy": lambda b: b["environment"]["packages"].update(numpy="9"),
    "rows[knn].warnings, of the audit hook": lambda b: knn(b)["warnings"].append(AUDIT_ONLY),
    "environment.run_toml": lambda b: b["environment"].pop("run_toml"),
    "rows[knn].plugin": lambda b: knn(b).update(plugin="linear"),
    "rows[knn].version": lambda b: knn(b).update(version="99"),
    "rows[knn].seed-0.fold-0.distribution": lambda b: knn(b).update(distribution="numpy"),
    "rows[knn].options.k": lambda b: knn(b)["options"].update(k=4),
    "rows[knn].seed-0.fold-0.options": lambda b: knn(b)["options"].update(features="other"),
    "rows[knn].seed-0.fold-0.fingerprint": lambda b: knn(b).update(fingerprint="0" * 16),
    "rows[knn].seed-0.fold-0.deterministic": lambda b: knn(b).pop("deterministic"),
    "rows[knn].facts": lambda b: knn(b).update(facts={"trained": "for a year"}),
    "rows[knn].warnings": lambda b: knn(b)["warnings"].append("none at all"),
    "timing.routers[knn].fit_seconds": lambda b: b["timing"]["routers"]["knn"].update(
        fit_seconds=99.0
    ),
}


def test_an_untouched_run_passes(main: Main, folder: Path) -> None:
    assert differing(main, folder) == set()


@pytest.mark.parametrize("path", ALTERED)
def test_one_altered_value(path: str, main: Main, folder: Path) -> None:
    edit_board(folder, ALTERED[path])  # its digest is stated anew
    assert path in differing(main, folder)


UNCHECKED = {"environment.finished", "timing.seconds"}
"""When the board was written, and how long that took: nothing else in the folder says it."""
ELSEWHERE = {"schema_version", "resamples", "environment.run_toml"}
"""What the board cannot be read, made again or matched with its files without."""
OF_ROWS = {
    *("plugin", "distribution", "version", "options", "fingerprint", "facts", "router"),
    *("reference",),
}
"""Held against the jobs' records, the run file and what tests are made between rows."""


def test_all_that_no_table_can_tell_is_held_against_something(folder: Path) -> None:
    """A field that is new on the board, and is let off, is checked or is named here."""
    run = verifying.read_run(folder)
    stated = {path.replace("[", ".").replace("]", "") for path, *_ in stated_values(run)} - {"rows"}
    unchecked = set()
    for path in recomputing.leaves(run.board):
        if not verifying.NOT_STORED.fullmatch(path):
            continue
        plain = path.replace("[", ".").replace("]", "")
        row, _, field = plain.partition(".")[2].partition(".") if plain[:4] == "rows" else ("",) * 3
        known = any(f"{plain}.".startswith(f"{one}.") for one in stated)
        if not known and not (row and field.partition(".")[0] in OF_ROWS):
            unchecked.add(path)
    assert unchecked == UNCHECKED | ELSEWHERE


@pytest.mark.parametrize("module", ["independent", "sheet"])
def test_what_computes_a_second_time_shares_no_code_with_what_computed_first(module: str) -> None:
    source = Path(verifying.__file__).with_name(f"{module}.py").read_text()
    names = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name and name.startswith("routebench")
    }
    reading = {"routebench.board.read_tables", "routebench.errors", "routebench.records"}
    assert names <= reading | {"routebench.schema", "routebench.verify.sheet"}


def test_whatever_is_changed_by_hand(main: Main, folder: Path) -> None:
    place = folder / "leaderboard.json"
    board = json.loads(place.read_text())
    board["environment"]["finished"] = board["environment"]["finished"].replace("20", "19", 1)
    place.write_text(json.dumps(board))
    assert differing(main, folder) == {"environment.board_sha256"}
    del board["environment"][run_folder.DIGEST]
    place.write_text(json.dumps(board))
    assert "environment.board_sha256" in differing(main, folder)


def test_deletions(main: Main, folder: Path) -> None:
    edit_board(folder, lambda board: board["files"].pop("scores.parquet"))
    assert "files[scores.parquet]" in differing(main, folder)
    shutil.rmtree(folder / "routers" / "random")
    assert "rows[random].seed-0.fold-0" in differing(main, folder)
    edit_board(folder, lambda board: board["rows"].remove(knn(board)))
    code, _, err = main("verify", folder)
    assert code in (1, 2), err


def forge(folder: Path) -> None:
    """Send every query of knn to its best model, and make a board that follows from that."""
    held = pq.read_table(folder / "cells.parquet").to_pylist()
    cells = {cell["query"]: cell["model"] for cell in held if cell["score"] == 1}

    def best(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["router"] == "knn":
                row["choice"] = cells.get(row["query"], row["choice"])

    edit_table(folder, "decisions.parquet", best, rehash=False)
    edit_hash(folder, "decisions.parquet")
    run = verifying.read_run(folder)
    again = verifying.recompute(run).model_copy(update={"resamples": run.board.resamples})
    place = folder / "leaderboard.json"
    place.write_text(run_folder.to_json(run_folder.with_digest(again)))


def test_forged_decisions_are_found_by_asking_again(main: Main, folder: Path) -> None:
    named = ("--reroute", "--router", f"{MINE}:Policied")
    assert differing(main, folder, *named) == set()
    forge(folder)
    assert differing(main, folder) == set(), "the board follows from what was forged"
    assert differing(main, folder, "--regrade") == set()
    found = differing(main, folder, *named)
    assert found
    assert all(path.startswith("decisions[knn, seed 0, fold 0, q") for path in found)


def test_what_is_not_asked_again_is_said(main: Main, folder: Path, tmp_path: Path) -> None:
    code, out, _ = main("verify", folder, "--reroute")
    assert code == 0
    assert "not made again: decisions of Policied: code of a file" in out
    assert "decisions, asked again" in out
    _, out, _ = main("verify", folder)
    assert "the checkpoints were not asked again (--reroute)" in out
    code, _, err = main("verify", folder, "--reroute", "--router", f"{MINE}:Nobody")
    assert (code, "no router Nobody in this run" in err) == (2, True)
    shutil.rmtree(folder / "routers")
    _, out, _ = main("verify", folder)
    assert "there are no checkpoints here" in " ".join(out.split())


LEAVES = """
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from routebench import Decisions, hookimpl

class Leaves:
    class Options(BaseModel):
        place: str
    def __init__(self, options):
        self.options = options
    @hookimpl
    def route(self, queries):
        Path(self.options.place).write_text("was here")
        return Decisions(np.zeros(len(queries), dtype=int))
"""


def test_routers_that_are_asked_again_are_confined(tmp_path: Path) -> None:
    (file := tmp_path / "leaves.py").write_text(LEAVES)
    mark = tmp_path / "mark"
    folder = finish(
        tmp_path / "run",
        suite=put(tmp_path, noise(60)),
        router=[f"{file}:Leaves"],
        set={"Leaves": {"place": str(mark)}},
    )
    mark.unlink()  # its jobs ran in this process
    done = real("verify", folder, "--reroute", "--router", f"{file}:Leaves", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "tried to write outside its work folder" in done.stderr
    assert not mark.exists()


def test_signatures(main: Main, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    key, other = tmp_path / "mine.key", tmp_path / "other.key"
    for each in (key, other):
        assert main("sign", "--new-key", each)[0] == 0
    assert key.stat().st_mode & 0o077 == 0
    public = tmp_path / "mine.key.pub"
    assert differing(main, folder, "--key", public) == {"signature.json"}
    assert main("sign", folder, "--key", key)[0] == 0
    assert differing(main, folder, "--key", public) == set()
    assert differing(main, folder, "--key", tmp_path / "other.key.pub") == {"signature.json"}
    forge(folder)
    assert differing(main, folder, "--key", public) == {
        "signed[decisions.parquet]",
        "signed[leaderboard.json]",
    }
    place = folder / "signature.json"
    held = json.loads(place.read_text())
    held["files"] = {"leaderboard.json": "0"}
    place.write_text(json.dumps(held))
    assert differing(main, folder, "--key", public) == {"signature.json"}
    for damaged in ("", "[", '{"files": 3}', '{"files": {}, "signature": "§"}', "[" * 100_000):
        place.write_text(damaged)
        assert differing(main, folder, "--key", public) == {"signature.json"}


def test_keys_that_are_none(main: Main, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    key = tmp_path / "mine.key"
    assert main("sign", "--new-key", key)[0] == 0
    before = key.read_bytes()
    assert main("sign", "--new-key", key)[0] == 2
    assert key.read_bytes() == before
    text = tmp_path / "text"
    text.write_text("no key")
    for words in (
        ("sign", folder, "--key", text),
        ("sign", folder, "--key", tmp_path / "mine.key.pub"),
        ("sign", folder, "--key", tmp_path / "nothing"),
        ("sign", folder),
        ("sign", tmp_path / "nothing", "--key", key),
        ("verify", folder, "--key", key),
        ("verify", folder, "--key", tmp_path / "nothing"),
    ):
        code, _, err = main(*words)
        assert code == 2, words
        assert len(err.splitlines()) <= 2
    assert not (folder / "signature.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("restated", [False, True])
def test_one_value_of_each_kind(restated: bool, folder: Path) -> None:
    """What only the board's own digest holds is what a machine was, and when a run ended."""
    spec = importlib.util.spec_from_file_location("altered_boards", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = list(benchmark.altered(folder, restated, sample=True))
    assert len(found) > 150
    unnoticed = {".".join(map(str, path)) for path, noticed in found if not noticed}
    machine = ("blas.0", "cpus", "finished", "machine", "packages.numpy", "platform", "python")
    allowed = {f"environment.{name}" for name in machine} | {"timing.seconds"}
    assert unnoticed <= (allowed if restated else set())
