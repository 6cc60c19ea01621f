"""A language model that names the model to ask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from libraries import needed
from small_models import (
    KEYS,
    NAMES,
    SMALL,
    TINY,
    ask,
    coins,
    fit,
    kinds,
    mixed,
    some,
    stored,
    table,
    texts,
    tiny_causal_lm,
    told_by_word,
)

from routebench.records import Decisions, Table
from routebench_routers.causal_lm import CausalLM, named
from routebench_routers.language import bases, prepare

needed("torch", "transformers", "trl", "peft")

Write = Callable[[pa.Table], Path]


def router(**options: Any) -> CausalLM:
    return CausalLM(CausalLM.Options(**options))


def examples(checkpoint: Path) -> list[dict[str, str]]:
    lines = (checkpoint / "language/training/sft.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def right(decisions: Decisions, test: Table) -> Any:
    return decisions.choice == test.outcomes.score.argmax(axis=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("causal")


@pytest.fixture(scope="module")
def scored(home: Path) -> CausalLM:
    """A router that has found the planted rule, as its checkpoint has it."""
    made = fit(router(**SMALL), told_by_word(500, 1), told_by_word(120, 2), home / "scored")
    again: CausalLM = stored(made, home / "scored" / "checkpoint")
    return again


def based(home: Path, folder: Path) -> None:
    """Give a fit in `folder` the base that `scored` has made of the same queries."""
    made, kept = home / "scored" / "kept", folder / "kept"
    # What the labels' rows are is learned after that.
    shutil.copytree(made / "base", kept / "base", ignore=shutil.ignore_patterns(bases.LABELS))
    shutil.copyfile(made / "base.json", kept / "base.json")


@pytest.fixture(scope="module")
def writing(home: Path, scored: CausalLM) -> Path:
    """The checkpoint of one that writes names."""
    options = SMALL | {"decode": "generate", "num_epochs": 6, "max_new_tokens": 12}
    based(home, home / "writing")
    made = fit(router(**options), told_by_word(500, 1), told_by_word(120, 2), home / "writing")
    made.save(home / "writing" / "checkpoint")
    return home / "writing" / "checkpoint"


@pytest.mark.slow
def test_the_planted_rule_is_found(scored: CausalLM) -> None:
    test = told_by_word(300, 3)
    decisions = scored.route(test.queries)
    assert right(decisions, test).mean() >= 0.9
    assert decisions.quality is not None
    assert decisions.confidence is not None
    np.testing.assert_array_equal(decisions.quality.argmax(axis=1), decisions.choice)
    assert ((decisions.confidence >= 0) & (decisions.confidence <= 1)).all()
    assert decisions.usage is not None
    assert (decisions.usage.input_tokens > 20).all()
    facts = scored.facts()
    assert facts["base_model"] == "embedded Llama, 2 layers of 64"
    assert facts["pretrained"] == "on the 500 training queries, 39 epochs"
    assert facts["ties"] == pytest.approx(1 / 3)


@pytest.mark.slow
@pytest.mark.parametrize("constrained", [True, False])
def test_names_are_written(writing: Path, constrained: bool) -> None:
    again = router(**SMALL, decode="generate", constrained=constrained, max_new_tokens=12)
    again.load(writing)
    test = told_by_word(200, 3)
    decisions = again.route(test.queries)
    assert set(decisions.choice.tolist()) <= {0, 1, 2}
    failures = again.facts()["parse_failures"]
    assert failures == 0 if constrained else 0 <= failures <= 1


@pytest.mark.slow
def test_what_is_no_name_is_counted(writing: Path) -> None:
    again = router(**SMALL, decode="generate", constrained=False, max_new_tokens=1)
    again.load(writing)
    decisions = ask(again, *texts(kinds(20, 9)))
    # One token is the start of every name, and none.
    assert again.facts()["parse_failures"] == 1.0
    assert len(set(decisions.choice.tolist())) == 1, "the best single model"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gpt-4", 0),
        (" gpt-4o\n", 1),
        ("GPT-4o-mini.", 2),
        ("'gpt-4'", 0),
        ("gpt-4o-min", None),
        ("gpt-4 mini", None),
        ("I would take gpt-4", None),
        ("gpt-4, gpt-4o", None),
        ("gpt", None),
        ("", None),
    ],
)
def test_only_a_whole_name_is_one(text: str, place: int | None) -> None:
    assert named(text, NAMES) == place
    assert named(text, NAMES[::-1]) == (None if place is None else 2 - place)


@pytest.mark.slow
def test_batches_decide_as_single_queries(scored: CausalLM) -> None:
    queries = [*texts(kinds(12, 7)), "", "poem " * 600, "🙂 poem", "Best LLM: <llm:gpt-4o-mini>"]
    together = ask(scored, *queries)
    singles = [ask(scored, query) for query in queries]
    assert together.choice.tolist() == [int(one.choice[0]) for one in singles]
    assert together.quality is not None
    for row, one in enumerate(singles):
        assert one.quality is not None
        np.testing.assert_allclose(one.quality[0], together.quality[row], atol=1e-5)
    assert scored.facts()["trimmed_prompts"] == 1
    assert together.usage is not None
    assert together.usage.input_tokens.max() <= 512 - 8


@pytest.mark.slow
def test_a_checkpoint_holds_numbers_and_text_alone(scored: CausalLM, home: Path) -> None:
    files = [path for path in (home / "scored" / "checkpoint").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".safetensors"}
    for path in files:
        if path.suffix == ".json":
            assert str(home) not in path.read_text(), path
    shown = told_by_word(500, 1).queries.text
    rows = examples(home / "scored" / "checkpoint")
    assert len(rows) == 3 * 500
    for row in rows:
        assert row["query"] in shown
        assert row["prompt"] == (
            "Name the LLM that answers the query best.\n"
            f"Available LLMs: gpt-4, gpt-4o, gpt-4o-mini\nQuery: {row['query']}\nBest LLM:"
        )
        kind = next(place for place, word in enumerate(KEYS) if word in row["query"])
        assert row["completion"] == f"<llm:{NAMES[kind]}>"


@pytest.mark.slow
def test_notes_are_short_and_clean(scored: CausalLM, home: Path) -> None:
    notes = (home / "scored" / "notes").read_text().splitlines()
    assert sum("loss" in note for note in notes) > 10
    assert all(len(note) < 60 for note in notes)
    assert notes[-1] == "1,500 examples, 33% of model pairs tie"


@pytest.mark.slow
def test_noise_is_not_beaten(tmp_path: Path) -> None:
    from scipy.stats import binomtest

    made = fit(router(**SMALL), coins(300, 1), coins(100, 2), tmp_path)
    test = coins(800, 3)
    score = test.outcomes.score
    choice = made.route(test.queries).choice
    known = np.concatenate([coins(300, 1).outcomes.score, coins(100, 2).outcomes.score])
    single = score[:, known.mean(axis=0).argmax()]
    own = score[np.arange(len(score)), choice]
    wins, losses = int((own > single).sum()), int((own < single).sum())
    assert wins + losses == 0 or binomtest(wins, wins + losses).pvalue > 0.01


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    made = router(**TINY)
    made.load(tiny_causal_lm(tmp_path_factory))
    return made


def test_order_of_rows_and_models_changes_nothing(plain: CausalLM, tmp_path: Path) -> None:
    def moved(given: Table) -> Table:
        rows = np.random.default_rng(0).permutation(len(given))
        given = some(given, rows)
        outcomes = given.outcomes
        columns = [2, 0, 1]
        score, state = (
            np.ascontiguousarray(x[:, columns]) for x in (outcomes.score, outcomes.state)
        )
        pool = replace(given.pool, models=tuple(NAMES[one] for one in columns))
        return Table(given.queries, replace(outcomes, score=score, state=state), pool)

    other = fit(router(**TINY), moved(mixed()), moved(mixed(30, 5)), tmp_path)
    queries = texts(kinds(40, 6), 6)
    one, two = ask(plain, *queries), ask(other, *queries)
    assert [NAMES[c] for c in one.choice] == [(NAMES[2], NAMES[0], NAMES[1])[c] for c in two.choice]
    assert one.quality is not None
    assert two.quality is not None
    np.testing.assert_allclose(one.quality[:, [2, 0, 1]], two.quality, atol=1e-9)


def test_ties_teach_no_order_and_failures_nothing(tmp_path: Path) -> None:
    score = np.tile([0.0, 1.0, 1.0], (80, 1))
    score[:20] = 0.0
    score[20:23] = [1.0, 0.0, 0.0]
    queries = [f"{text} {row}" for row, text in enumerate(texts(kinds(80)))]
    given = table(score, queries, NAMES)
    fit(router(**TINY | {"num_epochs": 4}), given, given, tmp_path).save(tmp_path / "c")
    rows = examples(tmp_path / "c")
    assert len(rows) == 4 * 60
    assert not {row["query"] for row in rows} & set(queries[:20])
    told = [row["completion"] for row in rows if row["query"] in queries[23:]]
    share = told.count("<llm:gpt-4o>") / len(told)
    assert 0.35 < share < 0.65
    assert told.count("<llm:gpt-4o-mini>") == len(told) - told.count("<llm:gpt-4o>")
    both = [{r["completion"] for r in rows if r["query"] == query} for query in queries[23:]]
    assert sum(len(own) == 2 for own in both) > 30, "drawn anew in each pass"


@pytest.mark.parametrize(
    ("score", "choice"),
    [
        ([[1, 1, 1]], 0),
        ([[0, 0, 0]], 0),
        ([[0, 0, 1]], 2),
        ([[0, 1, 0], [0, 0, 0]], 1),
    ],
)
def test_nothing_to_learn_is_the_best_single_model(
    tmp_path: Path, score: list[list[float]], choice: int
) -> None:
    given = table(score * 30, texts(kinds(30 * len(score))), NAMES)
    # Ties of all are drawn among all: what is then learned is of no consequence.
    made = stored(fit(router(**TINY), given, given, tmp_path), tmp_path / "c")
    found = ask(made, "a poem", "anything").choice.tolist()
    if max(score[0]) and min(score[0]):
        assert len(found) == 2
    else:
        assert found == [choice, choice]


def test_without_validation(tmp_path: Path) -> None:
    empty = some(mixed(), np.zeros(0, dtype=np.int64))
    made = stored(fit(router(**TINY), mixed(), empty, tmp_path), tmp_path / "c")
    decisions = ask(made, *texts(kinds(8)))
    assert decisions.quality is not None
    assert np.isfinite(decisions.quality).all()


def test_a_model_hardly_known_is_not_chosen(tmp_path: Path) -> None:
    given = told_by_word(120, 1)
    score = given.outcomes.score.copy()
    score[5:, 1] = np.nan
    given = table(score, [str(text) for text in given.queries.text], NAMES)
    made = stored(fit(router(**TINY), given, given, tmp_path), tmp_path / "c")
    decisions = ask(made, *texts(kinds(20, 5)))
    assert 1 not in decisions.choice
    assert decisions.quality is not None
    assert np.isnan(decisions.quality).tolist() == [[False, True, False]] * 20


@pytest.mark.slow
def test_same_seed_same_router_other_seed_another(plain: CausalLM, tmp_path: Path) -> None:
    queries = texts(kinds(30, 8), 8)
    found = [ask(plain, *queries).quality]
    for seed in (0, 1):
        made = fit(router(**TINY), mixed(), mixed(30, 5), tmp_path / str(seed), seed)
        found.append(ask(stored(made, tmp_path / str(seed) / "c"), *queries).quality)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


class Killed(BaseException):
    """What no router catches."""


@pytest.mark.slow
def test_a_killed_fit_goes_on_and_ends_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_STEPS", 6)
    options = TINY | {"pretrain_epochs": 1, "num_epochs": 3, "batch_size": 8, "save_steps": 2}
    train, validation = told_by_word(96, 1), told_by_word(30, 2)
    whole = fit(router(**options), train, validation, tmp_path / "whole")
    place = tmp_path / "killed"
    before: list[str] = []

    def kill(done: float, note: str = "") -> None:
        before.append(note)
        if (place / "kept/sft/steps/checkpoint-16").exists():
            raise Killed

    with pytest.raises(Killed):
        fit(router(**options), train, validation, place, progress=kill)
    again = fit(router(**options), train, validation, place)
    notes = (place / "notes").read_text().splitlines()
    assert any("pretraining" in note for note in before)
    # It saves every second step and at the ends of passes of 12 steps.
    assert any(note in ("going on from step 16", "going on from step 18") for note in notes)
    assert not any("pretraining" in note for note in notes)
    queries = texts(kinds(30, 8), 8)
    np.testing.assert_array_equal(ask(again, *queries).quality, ask(whole, *queries).quality)


def command(path: Path, out: Path) -> list[str]:
    values = TINY | {"num_epochs": 8, "batch_size": 4, "save_steps": 5}
    sets = [word for key, v in values.items() for word in ("--set", f"causal-lm.{key}={v}")]
    words = ["run", "--suite", f"table:{path}", "--router", "causal-lm", "--out", str(out), *sets]
    return [sys.executable, "-m", "routebench", *words]


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, write: Write) -> None:
    given = told_by_word(150, 1)
    cells = [
        {"query_id": f"q{i}", "query": text, "model": model, "score": float(score[j])}
        for i, (text, score) in enumerate(
            zip(given.queries.text, given.outcomes.score, strict=True)
        )
        for j, model in enumerate(NAMES)
    ]
    path = write(pa.Table.from_pylist(cells))
    out = tmp_path / "killed"
    with subprocess.Popen(command(path, out), start_new_session=True) as running:
        until = time.monotonic() + 250
        steps: list[Path] = []
        while not steps and time.monotonic() < until and running.poll() is None:
            time.sleep(0.05)
            steps = list(
                out.glob("routers/causal-lm/seed-0/.fold-0-begun-*/kept/sft/steps/check*/t*")
            )
        os.killpg(running.pid, signal.SIGKILL)
    assert steps, "no checkpoint"
    made = [p.stat().st_mtime_ns for p in out.rglob(".fold-0-begun-*/kept/base/model.safetensors")]
    assert len(made) == 1
    found = []
    for place in (out, tmp_path / "whole"):
        done = subprocess.run(command(path, place), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (file,) = place.rglob("fold-0/decisions.arrow")
        found.append(file.read_bytes())
        assert not list(place.rglob(".fold-0-begun-*"))
        (row,) = (
            row
            for row in json.loads((place / "leaderboard.json").read_text())["rows"]
            if row["router"] == "causal-lm"
        )
        assert "Warning" not in json.dumps(row)
    assert found[0] == found[1]


@pytest.mark.slow
def test_two_processes(tmp_path: Path, home: Path, scored: CausalLM) -> None:
    based(home, tmp_path)
    made = router(**SMALL, processes=2)
    assert made.starts_processes
    made = fit(made, told_by_word(500, 1), told_by_word(100, 2), tmp_path)
    test = told_by_word(200, 3)
    assert right(made.route(test.queries), test).mean() > 0.8
    curve = json.loads((tmp_path / "kept/sft/out/curve.json").read_text())
    # Half of the steps that one process takes: 1,500 examples in batches of 32.
    assert max(point["step"] for point in curve) == 24
