"""The gate at operating points: accuracy, savings and verdicts of two runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import planted
from runs import SMALL, edit_board, edit_table, finish, price_list, put

from routebench.board.read_run import read_run
from routebench.comparison import rules
from routebench.errors import OptionError

Main = Callable[..., tuple[int, str, str]]
POINT = "savings=40%"
METRICS = f"accuracy@{POINT},savings@{POINT}"


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("gate-points")
    return finish(
        home / "run",
        suite=put(home, planted(600)),
        prices=price_list(home),
        router=("knn", "prompt-length", "best-single"),
        perturb=0,
        set=SMALL,
        folds=3,
        point=(POINT,),
    )


@pytest.fixture
def candidate(baseline: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(baseline, tmp_path / "candidate"))


def row(board: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in board["rows"] if row["router"] == name)


def gated(main: Main, old: Path, new: Path, *words: Any) -> tuple[int, dict[str, Any], str]:
    place = new / "gate.json"
    code, out, err = main("gate", old, new, "--json", place, *words)
    assert not err, err
    return code, json.loads(place.read_text()), out


def one(result: dict[str, Any], router: str, metric: str) -> dict[str, Any]:
    return next(
        each
        for each in result["comparisons"]
        if (each["router"], each["metric"]) == (router, metric)
    )


def test_the_numbers_are_those_of_the_boards(main: Main, baseline: Path, candidate: Path) -> None:
    code, result, out = gated(main, baseline, candidate, "--metric", METRICS)
    assert code == 0
    board = json.loads((baseline / "leaderboard.json").read_text())
    for name in ("knn", "prompt-length"):
        point = row(board, name)["points"][POINT]["metrics"]
        accuracy, savings = (one(result, name, f"{m}@{POINT}") for m in ("accuracy", "savings"))
        assert accuracy["new"] == pytest.approx(point["accuracy"]["value"])
        assert savings["new"] == pytest.approx(point["savings_vs_best_single"]["value"])
        assert (accuracy["margin"], savings["margin"]) == (0.01, 0.02)
    assert not any(each["router"] == "best-single" for each in result["comparisons"])
    assert result["verdicts"]["baseline"] == result["verdicts"]["candidate"]
    assert "verdicts within the margin: baseline" in out


def test_a_point_that_costs_more_loses_savings(main: Main, baseline: Path, candidate: Path) -> None:
    def dearer(board: dict[str, Any]) -> None:
        # One fixed model, the best single one, in place of every λ.
        row(board, "knn")["points"][POINT]["lambdas"] = [None] * 3

    edit_board(candidate, dearer)
    code, result, _ = gated(main, baseline, candidate, "--metric", METRICS)
    assert code == 1
    lost = one(result, "knn", f"savings@{POINT}")
    assert lost["verdict"] == "regression"
    assert lost["new"] == pytest.approx(0)
    assert lost["old"] > 0.2
    run = read_run(baseline)
    chosen = run.choices_at("knn", POINT)[0][0]
    cost = run.setup.data.outcomes.cost
    assert cost is not None
    best = [run.models.index(fold.best_single) for fold in run.board.diagnostics.folds]
    paid = cost[run.rows, chosen].mean()
    base = cost[run.rows, np.array(best)[run.folds]].mean()
    assert lost["difference"] == pytest.approx(-(1 - paid / base))
    assert lost["low"] < lost["difference"] < lost["high"] < 0
    # The whole of it is accepted, by a margin of that point alone.
    words = ("--metric", f"savings@{POINT}", "--margin", f"savings@{POINT}=0.9")
    code, result, _ = gated(main, baseline, candidate, *words)
    assert one(result, "knn", f"savings@{POINT}")["verdict"] == "pass"
    assert one(result, "knn", f"savings@{POINT}")["margin"] == 0.9
    assert code == 0


def test_worse_answers_at_a_point_are_found(main: Main, baseline: Path, candidate: Path) -> None:
    def reverse(rows: list[dict[str, Any]]) -> None:
        for cell in rows:
            if cell["router"] == "knn" and cell["part"] == "test":
                cell["quality"] = -cell["quality"]

    edit_table(candidate, "scores.parquet", reverse)
    code, result, _ = gated(main, baseline, candidate, "--metric", f"accuracy@{POINT}")
    assert code == 1
    assert one(result, "knn", f"accuracy@{POINT}")["verdict"] == "regression"
    code, result, _ = gated(main, baseline, candidate, "--metric", "accuracy")
    assert one(result, "knn", "accuracy")["verdict"] == "pass", "its own choices are the same"


def test_a_point_on_one_side_only_is_missing(main: Main, baseline: Path, candidate: Path) -> None:
    edit_board(candidate, lambda board: row(board, "knn")["points"].pop(POINT))
    code, result, _ = gated(main, baseline, candidate, "--metric", f"savings@{POINT}")
    assert code == 1
    lost = one(result, "knn", f"savings@{POINT}")
    assert lost["verdict"] == "missing"
    assert f"knn has no point {POINT}" in lost["reason"]


def test_a_verdict_that_is_proven_no_more_is_told(
    main: Main, baseline: Path, candidate: Path
) -> None:
    def prove(board: dict[str, Any]) -> None:
        row(board, "knn")["verdict"] |= {"kind": "proven", "sentence": "knn: 9% cheaper, proven"}

    def doubt(board: dict[str, Any]) -> None:
        row(board, "knn")["verdict"] |= {"kind": "not proven", "sentence": "knn: 8% cheaper"}

    old = Path(shutil.copytree(baseline, candidate.parent / "old"))
    edit_board(old, prove)
    edit_board(candidate, doubt)
    code, result, out = gated(main, old, candidate)
    assert code == 0
    (found,) = [each for each in result["findings"] if each["guard"] == "verdict"]
    assert (found["level"], found["router"]) == ("warn", "knn")
    assert "WARN verdict: knn: 9% cheaper, proven → 8% cheaper" in out
    place = candidate / "gate.toml"
    place.write_text('[guards]\nverdict = "fail"\n')
    assert gated(main, old, candidate, "--rules", place)[0] == 1
    place.write_text('[guards]\nverdict = "off"\n')
    assert not gated(main, old, candidate, "--rules", place)[1]["findings"]


def test_rules_name_metrics_at_points() -> None:
    made = rules.make(
        {
            "metrics": ["accuracy", "savings@ savings=40 %"],
            "margins": {"savings": 0.05, "accuracy@within-1pp": "auto"},
        }
    )
    assert made.metrics == ("accuracy", "savings@savings=40%")
    assert made.margins.of("savings@savings=40%") == 0.05
    assert made.margins.of("accuracy@within-1pp") == "auto"
    assert made.margins.of("accuracy@same-accuracy") == 0.01
    assert rules.parse_margins(("savings@savings=40%=.1",)) == {"savings@savings=40%": ".1"}


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("speed", "no such metric"),
        ("cost@within-1pp", "only accuracy and savings are gated at a point"),
        ("accuracy@half", "no such point"),
    ],
)
def test_what_is_no_metric_is_said(metric: str, said: str, main: Main, baseline: Path) -> None:
    with pytest.raises(OptionError, match=said):
        rules.make({"metrics": [metric]})
    code, _, err = main("gate", baseline, baseline, "--metric", metric)
    assert code == 2
    assert said in err
