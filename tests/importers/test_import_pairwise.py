"""Pairwise judgments: a cell is the share of a query's comparisons that a model won."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published import brought, load
from runs import finish

from routebench.errors import DataError
from routebench.importers import import_files


def battle(query: str, first: str, second: str, winner: Any) -> dict[str, Any]:
    return {"query": query, "model_a": first, "model_b": second, "winner": winner}


def put(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def shares(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["query"], row["model"]), []).append(row["score"])
    return found


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = put(
        tmp_path / "battles.jsonl",
        battle("why?", "x", "y", "model_a"),
        battle("why?", "y", "z", "z"),
        battle("why?", "x", "y", "tie"),
        battle("how?", "x", "z", "both_bad"),
        battle("how?", "x", "y", None),
    )
    made, rows = brought("auto", path)
    assert shares(rows) == {
        ("why?", "x"): [1.0, 0.5],
        ("why?", "y"): [0.0, 0.0, 0.5],
        ("why?", "z"): [1.0],
        ("how?", "x"): [0.5, None],
        ("how?", "z"): [0.5],
        ("how?", "y"): [None],
    }
    assert made.states == {"ok": 8, "ungraded": 2}
    data = load(made)  # the win rate of a model on a query is the mean over its comparisons
    score = dict(
        zip(
            data.pool.models,
            data.outcomes.score[list(data.queries.text).index("why?")],
            strict=True,
        )
    )
    assert score == pytest.approx({"x": 0.75, "y": 1 / 6, "z": 1.0})
    pair, rows = brought("pairwise", path, models=("x", "y"))
    assert set(shares(rows)) == {("why?", "x"), ("why?", "y"), ("how?", "x"), ("how?", "y")}
    assert "comparisons with a model that is not asked for: 2" in pair.notes
    options = {"pairwise": {"both_bad": "loss", "opponent": "z"}}
    made = import_files("pairwise", [path], tmp_path / "z.parquet", options=options)
    assert shares(pq.read_table(made.path).to_pylist()) == {
        ("why?", "y"): [0.0],
        ("why?", "z"): [1.0],
        ("how?", "x"): [0.0],
        ("how?", "z"): [0.0],
    }


def test_tiers_stand_for_models(tmp_path: Path) -> None:
    path = put(
        tmp_path / "battles.jsonl",
        battle("why?", "gpt-4", "mix", "model_a"),
        battle("how?", "mix", "claude-2", "model_a"),
        battle("how?", "gpt-4", "claude-2", "model_a"),
        battle("who?", "gpt-4", "llama", "model_a"),
    )
    sparse = brought("auto", path)[0].notes
    assert any("only some of the 4 models were compared" in n and n.endswith(": 3") for n in sparse)
    tiers = {"strong": ["gpt-4*", "claude*"], "weak": ["mix*"]}
    made = import_files("pairwise", [path], tmp_path / "t.parquet", options={"pairwise": tiers})
    assert shares(pq.read_table(made.path).to_pylist()) == {
        ("why?", "strong"): [1.0],
        ("why?", "weak"): [0.0],
        ("how?", "weak"): [1.0],
        ("how?", "strong"): [0.0],
    }
    within = "comparisons within a tier, or with a model of none (pairwise.strong, .weak): 2"
    assert made.notes == (within,)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (battle("q", "x", "y", "nobody"), "row 2: the winner is 'nobody'"),
        (battle("q", "x", "x", "tie"), "row 2 compares 'x' with itself"),
        (battle("q", "x", None, "tie"), "row 2: a model is null or empty"),  # type: ignore[arg-type]
        ({"model_a": "x", "model_b": "y", "winner": "tie"}, "row 2 has no query of text"),
    ],
)
def test_a_broken_one(record: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = put(tmp_path / "b.jsonl", battle("q", "x", "y", "tie"), record)
    with pytest.raises(DataError, match=said):
        brought("auto", path)
    assert brought("auto", path, skip_bad=True)[0].rows == 2


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(texts)]


def test_arena_and_mt_bench(tmp_path: Path) -> None:
    one, other = talk("Hi", "Hello", "And?", "So."), talk("Hi", "Hey", "And?", "No.")
    record = {
        "question_id": 81,
        "judge": "author_0",
        "conversation_a": one,
        "conversation_b": other,
    }
    humans = [
        record | {"model_a": "x", "model_b": "y", "winner": "model_b", "turn": turn}
        for turn in (1, 2)
    ]
    pq.write_table(pa.Table.from_pylist(humans), tmp_path / "human.parquet")
    rows = brought("auto", tmp_path / "human.parquet")[1]
    assert [(r["query"], r["model"], r["score"], r["response"]) for r in rows] == [
        ("Hi", "x", 0.0, "Hello"),
        ("Hi", "y", 1.0, "Hey"),
        ("Hi\n\nAnd?", "x", 0.0, "So."),
        ("Hi\n\nAnd?", "y", 1.0, "No."),
    ]
    columns = (
        "id,model_a,model_b,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie"
    )
    kaggle = tmp_path / "train.csv"
    kaggle.write_text(
        f'{columns}\n1,x,y,"[""Hi"",""And?""]","[""Hello"",""So.""]","[null]",0,0,1\n'
    )
    rows = brought("auto", kaggle)[1]
    assert [(r["query"], r["score"], r["response"]) for r in rows] == [
        ("Hi\n\nAnd?", 0.5, "So."),
        ("Hi\n\nAnd?", 0.5, None),
    ]
    judged = {"question_id": 81, "model_1": "x", "model_2": "y", "turn": 1, "judge": ["g", "pair"]}
    orders = (("model_1", "model_1"), ("model_1", "model_2"), ("error", "tie"))
    pairs = put(
        tmp_path / "judge_pair.jsonl",
        *(judged | {"g1_winner": g1, "g2_winner": g2} for g1, g2 in orders),
    )
    asked = put(
        tmp_path / "question.jsonl", {"question_id": 81, "category": "w", "turns": ["Hi", "And?"]}
    )
    assert shares(brought("auto", pairs, asked)[1]) == {
        ("Hi", "x"): [1.0, 0.5, None],
        ("Hi", "y"): [0.0, 0.5, None],
    }
    with pytest.raises(DataError, match=r"row 1: there is no question '81'"):
        brought("auto", pairs)


def test_alpaca_eval(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    pair = {
        "instruction": "Hi",
        "generator_1": "base",
        "generator_2": "new",
        "output_1": "a",
        "output_2": "b",
    }
    path.write_text(json.dumps([pair | {"preference": p} for p in (1, 2.0, 1.25, 0, None)]))
    assert shares(brought("auto", path)[1]) == {
        ("Hi", "base"): [1.0, 0.0, 0.75, 0.5, None],
        ("Hi", "new"): [0.0, 1.0, 0.25, 0.5, None],
    }
    path.write_text(json.dumps([pair | {"preference": 3}]))
    with pytest.raises(DataError, match=r"row 1: the preference is '3', not in \[1, 2\]"):
        brought("auto", path)


@pytest.mark.slow
def test_routers_learn_from_judgments(tmp_path: Path) -> None:
    """Of two kinds of queries each has its winner: texts tell which, one rating for all cannot."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    models = ("poet", "solver", "weak")
    strengths = {"verse": (2.0, 0.0, -2.0), "algebra": (0.0, 1.5, -2.0)}
    battles = []
    for n in range(320):
        kind = "verse" if n % 5 < 3 else "algebra"
        for one, other in ((0, 1), (0, 2), (1, 2)):
            gap = strengths[kind][one] - strengths[kind][other]
            won = rng.random() < 1 / (1 + np.exp(-gap))
            winner = "model_a" if won else "model_b"
            battles.append(battle(f"{kind} task {n}", models[one], models[other], winner))
    made = import_files("auto", [put(tmp_path / "b.jsonl", *battles)], tmp_path / "o.parquet")
    names = ["best-single", "elo", "similarity-weighted", "mf", "p2l"]
    few = {"p2l": {"lr": 0.03}}  # of few queries its usual steps are too small
    run = finish(tmp_path / "run", suite=f"table:{made.path}", router=names, set=few)
    rows = {r["router"]: r for r in json.loads((run / "leaderboard.json").read_text())["rows"]}
    assert {r["state"] for r in rows.values()} == {"ok"}
    rate = {name: row["metrics"]["accuracy"]["value"] for name, row in rows.items()}
    assert rate["elo"] == rate["best-single"]
    assert all(rate[name] > rate["elo"] + 0.02 for name in ("similarity-weighted", "mf", "p2l")), (
        rate
    )
