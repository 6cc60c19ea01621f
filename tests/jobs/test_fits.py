"""Fits that a run makes once: what is asked, what a job gets, and what it cannot change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import planted, read_board, real, rows
from runs import put

from routebench.encode import encoders, shared
from routebench.encode.encoders import FittedOnUse
from routebench.errors import PluginError
from routebench.isolation.messages import (
    Failed,
    FitNeeded,
    FitTextsReply,
    FitTextsRequest,
    Report,
)
from routebench.jobs import worker
from routebench.jobs.fits import GivenFits, SharedFits
from routebench.routers.words import WordFit, WordWeights

TEXTS = [f"{word} number {i}" for i, word in enumerate(["red", "green", "blue", "old"] * 6)]
WORDS = {"max_features": 100, "ngrams": 2}
NEEDED = FitNeeded(shared.WORDS, WORDS)


class Run:
    """A run of which only the fits are made, each in this process."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.requests: list[FitTextsRequest] = []
        self.given: list[list[str]] = []
        self.fails = False
        setup = SimpleNamespace(
            encoder="tfidf-svd",
            encoder_options={"dimension": 4},
            encoder_libraries=(),
            encoded=None,
            timeout=None,
        )
        self.setup = setup
        self.fits = SharedFits(setup, self)  # type: ignore[arg-type]

    def run(self, request: FitTextsRequest, folder: Path, *_: Any, **__: Any) -> Report:
        self.requests.append(request)
        self.given.append(sorted(path.name for path in folder.iterdir()))
        if self.fails:
            return Report(Failed("by design"))
        reply = worker.carry_out(request, folder, lambda _: None)
        assert isinstance(reply, FitTextsReply)
        return Report(reply, warnings=["by design"])

    def job(self, name: str, texts: list[str] = TEXTS) -> GivenFits:
        return self.fits.given(texts, self.scratch / name)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_what_is_asked_twice_is_made_once(run: Run) -> None:
    for name in ("one", "two"):
        place = run.job(name)(NEEDED)
        assert place is not None
        assert Path(place).parent == run.scratch / name, "each has its own copy"
        fit = WordFit.load(Path(place))
        same = WordFit.make(TEXTS, **WORDS)
        assert fit.words.words == same.words.words
        np.testing.assert_array_equal(fit.weights.toarray(), same.weights.toarray())
        np.testing.assert_array_equal(fit.words.idf, same.words.idf)
    assert len(run.requests) == 1


def test_other_texts_or_settings_are_another_fit(run: Run) -> None:
    one, two = run.job("one"), run.job("two", TEXTS[1:])
    places = {one(NEEDED), two(NEEDED), one(replace(NEEDED, settings=WORDS | {"ngrams": 1}))}
    assert len(places) == len(run.requests) == 3


def test_whoever_makes_a_fit_has_the_texts_and_nothing_else(run: Run) -> None:
    run.job("one")(NEEDED)
    assert run.given == [["texts.json"]]


def test_the_encoder_is_the_run_s_whatever_is_asked_for(run: Run) -> None:
    asked = FitNeeded(shared.ENCODER, {"name": "./mine.py:Mine", "options": {"path": "/"}})
    found = run.job("one")(asked)
    assert found is not None
    place = Path(found)
    assert run.requests[0].settings == {"name": "tfidf-svd", "options": {"dimension": 4}}
    own = FittedOnUse("tfidf-svd", {"dimension": 4}, TEXTS)
    again = encoders.create("tfidf-svd", {"dimension": 4})
    again.load(place)
    assert again.fingerprint == own.fingerprint
    np.testing.assert_array_equal(np.load(place / "training_vectors.npy"), own.encode(TEXTS))


@pytest.mark.parametrize(
    "needed",
    [
        FitNeeded("table", {}),
        FitNeeded(shared.WORDS, {"max_features": "10"}),
        FitNeeded(shared.WORDS, {"max_features": True}),
    ],
)
def test_nothing_else_can_be_asked_for(run: Run, needed: FitNeeded) -> None:
    assert run.job("one")(needed) is None
    assert not run.requests


def test_a_fit_that_fails_is_left_to_the_job(run: Run) -> None:
    run.fails = True
    give = run.job("one")
    assert [give(NEEDED), give(NEEDED)] == [None, None]
    assert len(run.requests) == 1


def test_warnings_reach_every_job_that_is_given_the_fit(run: Run) -> None:
    for name in ("one", "two"):
        give = run.job(name)
        give(NEEDED)
        assert give.warnings == ["by design"]
    assert run.job("three").warnings == []


def test_a_fit_does_not_wait_for_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that asks for the run's encoder, which is what it is being fitted to be."""
    asked = []
    made = run.run

    def fit(request: FitTextsRequest, folder: Path, *words: Any, **named: Any) -> Report:
        if request.kind == shared.WORDS:
            return made(request, folder, *words, **named)
        answer = named["answer"]
        asked.append([answer(FitNeeded(shared.ENCODER, {})), answer(NEEDED) is not None])
        return Report(Failed("by design"))

    monkeypatch.setattr(run, "run", fit)
    assert run.job("one")(FitNeeded(shared.ENCODER, {})) is None
    assert asked == [[None, True]]


def test_a_vectors_file_needs_no_fit(run: Run) -> None:
    run.setup.encoded = "served"
    assert run.job("one")(FitNeeded(shared.ENCODER, {})) is None


def test_only_the_training_texts_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_training", None)
    assert shared.find(shared.WORDS, WORDS, TEXTS) is None, "outside a job"
    give = run.job("one")

    def ask(kind: str, settings: dict[str, Any]) -> Path | None:
        place = give(FitNeeded(kind, settings))
        return None if place is None else Path(place)

    shared.provide(TEXTS, ask)
    words, weights = WordWeights.learn(TEXTS, **WORDS)
    assert len(run.requests) == 1
    others, _ = WordWeights.learn(TEXTS[:9], **WORDS)
    assert len(run.requests) == 1, "no texts but its own"
    assert set(others.words) < set(words.words)
    np.testing.assert_array_equal(weights.toarray(), words.transform(TEXTS).toarray())


def test_a_job_gets_a_limited_number_of_fits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LIMIT", 2)
    monkeypatch.setattr(shared, "_training", None)
    give = run.job("one")
    each = [replace(NEEDED, settings=WORDS | {"max_features": n}) for n in (10, 11, 10, 12)]
    made = [give(needed) for needed in each]
    assert made[0] == made[2] is not None
    assert made[1] is not None
    assert made[3] is None
    assert len(run.requests) == 2
    shared.provide(TEXTS, lambda kind, settings: tmp_path)
    for needed in each[:3]:
        assert shared.find(needed.kind, needed.settings, TEXTS) == tmp_path
    with pytest.raises(PluginError, match="more than 2 fits of the training texts"):
        shared.find(each[3].kind, each[3].settings, TEXTS)


SPOILER = """
import numpy as np
from routebench import Decisions, hookimpl
from routebench.plugin import checkpoint

class Spoils:
    effort = 1e9  # it comes first, and is alone

    def __init__(self, options):
        pass

    @hookimpl
    def fit(self, train, context):
        context.encoder.encode(list(train.queries.text))
        place = context.encoder._shared
        assert len(list(place.iterdir())) == 3
        try:
            (place / "training_vectors.npy").write_bytes(b"spoiled")
        except BaseException:
            pass

    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))

    def save(self, folder):
        checkpoint.save(folder, {})

    def load(self, folder):
        checkpoint.load(folder)
"""


def test_no_job_changes_what_it_is_given(tmp_path: Path) -> None:
    """One tries to, and fails; the others decide as they do without it."""
    suite = put(tmp_path, planted(240))
    (tmp_path / "mine.py").write_text(SPOILER)
    tables = []
    for code, routers in enumerate(("knn,linear", f"{tmp_path}/mine.py:Spoils,knn,linear")):
        out = tmp_path / f"run-{code}"
        done = real(
            "run", "--quiet", "--suite", suite, "--router", routers,
            "--perturb", 8, "--jobs", 1, "--out", out, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        tables.append(pq.read_table(out / "decisions.parquet"))
    row = rows(read_board(out))["Spoils"]
    assert row["state"] == "failed"
    assert "tried to write outside its work folder" in row["message"]
    for router in ("knn", "linear"):
        mine, other = (
            [row for row in table.to_pylist() if row["router"] == router] for table in tables
        )
        assert len(mine) > 20
        assert json.dumps(mine) == json.dumps(other)
