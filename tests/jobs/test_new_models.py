"""New models under `--protocol llm --shots K`: what of them reaches a router, and what it does."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import long_table, planted
from libraries import installed
from runs import finish, price_list, put

from routebench.board.read_run import read_run
from routebench.config import make
from routebench.data.long_table import from_long
from routebench.data.splits import TRAIN, VALIDATION, inner_parts, make_split
from routebench.errors import OptionError
from routebench.jobs.cross_fit import inner_tables, refitted_tables
from routebench.jobs.setup import Job, Setup
from routebench.plugin.discovery import find
from routebench.records import Mask, Outcomes, State, SuiteData

SHOTS = 7
COUNTS = """
import json
import numpy as np
from pathlib import Path
from routebench import Decisions, hookimpl

class Counts:
    def __init__(self, options):
        pass
    @hookimpl
    def fit(self, train, validation):
        known = [np.isfinite(table.outcomes.score).sum(axis=0) for table in (train, validation)]
        states = [(table.outcomes.state >= 0).sum() for table in (train, validation)]
        self.seen = {f"{part} {model}": int(n)
                     for part, counts in zip(("train", "validation"), known)
                     for model, n in zip(train.pool.models, counts)}
    def facts(self):
        return self.seen
    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))
    def save(self, folder):
        folder.mkdir(exist_ok=True)
        (folder / "seen.json").write_text(json.dumps(self.seen))
    def load(self, folder):
        self.seen = json.loads((folder / "seen.json").read_text())
"""


def loaded(table: pa.Table) -> SuiteData:
    return from_long(table, name="told", source="recorded", place="here")


def told(outcomes: Outcomes) -> Mask:
    """Return [n, m] the cells of which anything at all is told."""
    found: Mask = outcomes.state != State.ABSENT
    for each in fields(outcomes):
        value = getattr(outcomes, each.name)
        if value is None or each.name == "state":
            continue
        known = ~np.isnan(value) if value.dtype.kind == "f" else value != -1
        found |= known.any(axis=-1) if known.ndim == 3 else known
    return found


@pytest.fixture(scope="module")
def answered() -> pa.Table:
    table = planted(120)
    words = pa.array([f"answer {i}" for i in range(len(table))])
    return table.append_column("response", words).append_column(
        "cost", pa.array(np.arange(len(table)) + 1.0)
    )


@pytest.mark.parametrize("folds", [None, 4])
def test_a_router_sees_k_training_cells_of_a_new_model_and_no_other(
    answered: pa.Table, folds: int | None
) -> None:
    data = loaded(answered)
    split = make_split(data, folds=folds, protocol="llm", shots=SHOTS)
    inner = inner_parts(data, split, 3, 0)
    given = Setup(data, split, "tfidf-svd", {}, shots=SHOTS, inner=inner)
    for fold in range(len(split.codes)):
        away = given.held_out(fold)
        assert away.sum() == 1
        train, validation = given.tables(fold, steps=True)
        assert told(train.outcomes)[:, away].sum() == SHOTS
        assert not told(validation.outcomes)[:, away].any()
        assert told(train.outcomes)[:, ~away].all()
        for table, least in ((train, SHOTS), (validation, 0)):
            assert table.answers is not None
            assert table.answers.asked[:, away].sum() == least
            texts = table.answers.response[:, away]
            assert sum(text is not None for text in texts.ravel()) == least
        # Refits and inner fits learn from the same few cells, whatever parts they have.
        refitted = refitted_tables(given, fold).both
        assert refitted is not None
        assert told(refitted.outcomes)[:, away].sum() == SHOTS
        job = Job("knn", find("router", "knn"), {}, 0, fold, "x", inner_folds=3)
        for part in range(3):
            tables = inner_tables(given, job, part)
            assert tables.both is not None
            cells = [told(t.outcomes)[:, away].sum() for t in (tables.train, tables.validation)]
            assert sum(cells) == told(tables.both.outcomes)[:, away].sum() <= SHOTS


def test_what_reaches_the_job_of_a_run_is_what_its_folder_says(
    tmp_path: Path, answered: pa.Table
) -> None:
    (tmp_path / "mine.py").write_text(COUNTS)
    options = {
        "suite": put(tmp_path, answered),
        "prices": price_list(tmp_path),
        "router": [f"{tmp_path / 'mine.py'}:Counts", "best-single"],
        "protocol": "llm",
    }
    run = read_run(finish(tmp_path / "out", shots=SHOTS, **options))
    split = run.setup.split
    assert split.few_shot is not None
    assert split.held_out is not None
    assert split.few_shot.sum() == SHOTS
    new = run.models[int(np.flatnonzero(split.held_out[0])[0])]
    seen = next(row for row in run.board.rows if row.router == "Counts").facts
    size = {part: int((split.codes == code).sum())
            for part, code in (("train", TRAIN), ("validation", VALIDATION))}  # fmt: skip
    for model in run.models:
        few = {"train": SHOTS, "validation": 0} if model == new else size
        assert {part: seen[f"{part} {model}"] for part in size} == few
    # Means over a handful of queries name no best single model.
    assert run.board.diagnostics.folds[0].best_single != new
    assert (run.folder / "run.toml").read_text().count(f"shots = {SHOTS}") == 1
    without = read_run(finish(tmp_path / "without", **options))
    assert without.setup.split.few_shot is None
    assert json.dumps(without.board.fingerprints.model_dump()) == json.dumps(
        run.board.fingerprints.model_dump()
    )


def test_shots_that_cannot_be(answered: pa.Table) -> None:
    with pytest.raises(OptionError, match="--shots 1000: there are"):
        make_split(loaded(answered), protocol="llm", shots=1000)
    with pytest.raises(OptionError, match="users or models unseen"):
        make({"suite": "simpleqa", "shots": 3})


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
def test_uniroute_sends_queries_to_a_new_model_that_is_best_on_some(tmp_path: Path) -> None:
    # The new model is right on one topic, on which all others fail.
    rng = np.random.default_rng(0)
    topics = ["algebra equation", "poem verse", "python function", "river capital"]
    kind = rng.integers(4, size=400)
    texts = [f"{topics[k]} number {rng.integers(10**9)}" for k in kind]
    new = _held_out(long_table(np.zeros((400, 5)), texts))
    right = np.zeros((400, 5))
    others = [m for m in range(5) if m != new]
    right[:, others[0]] = kind != 0
    right[:, others[1]] = kind == 1
    right[:, new] = kind == 0
    suite = put(tmp_path, long_table(right, texts))
    options = {"suite": suite, "router": ["uniroute"], "protocol": "llm", "perturb": 0,
               "set": {"uniroute": {"shrinkage": 1.0}}}  # fmt: skip
    accuracy = {}
    for shots in (0, 60):
        board = read_run(finish(tmp_path / str(shots), shots=shots, **options)).board
        accuracy[shots] = board.rows[0].metrics["accuracy"].value
    best = board.references["best_single"]["accuracy"].value
    assert accuracy[0] == best
    assert accuracy[60] is not None
    assert best is not None
    assert accuracy[60] > best + 0.9 * (1 - best)


def _held_out(table: pa.Table) -> int:
    split = make_split(loaded(table), protocol="llm")
    assert split.held_out is not None
    return int(np.flatnonzero(split.held_out[0])[0])
