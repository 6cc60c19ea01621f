"""From outcomes and a log to bought answers, and to a router that has learned from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routebench.board.checkpoint import description
from routebench.collect.planned_cells import read_plan
from routebench.collect.planning import questions
from routebench.store.store import AnswerStore
from routebench.traffic.logs.importing import import_logs

Main = Callable[..., tuple[int, str, str]]
POOL = ("--models", "simulated:sim-flash,simulated:sim-pro", "--judge", "exact", "--quiet")


def log_of(folder: Path, texts: list[str]) -> Path:
    records = [{"event": f"e{i}", "query": text, "chosen": "sim-pro"} for i, text in
               enumerate(texts)]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    out = folder / "events.parquet"
    import_logs([folder / "log.jsonl"], out, mapping={n: n for n in records[0]})
    return out


def test_picked_bought_and_learned_from(main: Main, tmp_path: Path) -> None:
    first, bought, plan = (tmp_path / n for n in ("first.sqlite", "more.sqlite", "picks.parquet"))
    code, _, err = main("collect", "--suite", "simpleqa", *POOL, "--store", first, "--limit", 120)
    assert code == 0, err
    with AnswerStore(first, write=False) as store:
        known = set(store.table()["query"].to_pylist())
    texts = [question.query for question in questions("simpleqa", {})]
    fresh = [text for text in texts if text not in known][:150]
    log = log_of(tmp_path, [*fresh, fresh[0], *list(known)[:20]])
    words: tuple[Any, ...] = ("ope", log, "--plan", plan, "--for", "training", "--outcomes", first)
    code, out, err = main(*words, "--budget", 0.01)
    assert code == 0, err
    assert "queries picked, beside 120 with known outcomes" in out
    cells = read_plan(plan, "training")
    assert cells.models == ("sim-flash", "sim-pro")
    picked = set(cells.table["query"].to_pylist())
    assert picked < set(fresh)
    assert 0.009 < sum(cells.table["usd"].to_pylist()) <= 0.01
    words = ("collect", "--suite", "simpleqa", *POOL, "--plan", plan, "--store", bought)
    assert main(*words)[0] == 0
    checkpoint = tmp_path / "checkpoint"
    words = ("train", "--suite", "simpleqa", "--data", first, "--router", "knn", "--no-test")
    code, _, err = main(*words, "--set", "tfidf-svd.dimension=8", "--add", bought,
                        "--out", checkpoint, "--quiet")  # fmt: skip
    assert code == 0, err
    notes = description.read(checkpoint).notes
    assert any(f"trained on {len(picked)} queries more ({2 * len(picked)} answers" in note
               for note in notes)  # fmt: skip


def test_what_cannot_be_picked_is_one_line(main: Main, tmp_path: Path) -> None:
    log = log_of(tmp_path, ["one", "two"])
    table = tmp_path / "outcomes.csv"
    table.write_text("query_id,query,model,score\n" + "".join(
        f"q{i},text {i},{model},1\n" for i in range(5) for model in "ab"))  # fmt: skip
    words = ("ope", log, "--plan", tmp_path / "plan.parquet", "--for", "training")
    code, _, err = main(*words, "--budget", 1)
    assert (code, err.splitlines()[0]) == (
        2, "error: --for training: takes no policy and no waves, but what is known, and a budget",
    )  # fmt: skip
    code, _, err = main(*words, "--budget", 1, "--outcomes", table)
    assert code == 2
    assert "5 queries have an outcome of every model; at least 20 are needed" in err
