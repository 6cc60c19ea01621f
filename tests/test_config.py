from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from routebench import config
from routebench.errors import DataError, OptionError

FULL: dict[str, Any] = {
    "suite": "table",
    "data": "outcomes.csv",
    "add": "more.sqlite",
    "map": "query=prompt",
    "score_max": 10.0,
    "source": "recorded",
    "show": ["task", "user"],
    "task": "all",
    "prices": "prices.toml",
    "router": ["knn@five", "mine.py:Mine", "other.py:Mine@x", "all"],
    "judge": "exact",
    "answers_as": "multiple-choice",
    "device": "cuda:1",
    "seeds": 3,
    "split": "hash",
    "split_seed": 7,
    "folds": 5,
    "protocol": "user",
    "shots": 3,
    "online": [],
    "inner_folds": 4,
    "encoder": "tfidf-svd",
    "profile": "paper",
    "perturb": 20,
    "against": ["knn"],
    "point": ["savings=40%"],
    "margin": "2pp",
    "volume": "100000/day",
    "objective": {"performance": 0.5, "cost": 0.25},
    "keep_texts": True,
    "max_missing": 0.05,
    "assume_output_tokens": 99,
    "set": {"knn@five": {"k": 5, "names": ["a", "b"]}, "table": {"small": "a"}},
    "jobs": 2,
    "job_timeout": 30.0,
    "isolation": "spawn",
    "executor": "local",
    "shard": "1/3",
}


def test_every_option_survives_the_run_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(FULL) | {"out", "fresh"} == set(config.RunConfig.model_fields)
    monkeypatch.chdir(tmp_path)
    made = config.make(FULL | {"out": "there", "fresh": True})
    written = config.dump(made)
    (tmp_path / "run.toml").write_text(written)
    monkeypatch.chdir("/")
    again = config.make(config.read(tmp_path / "run.toml"))
    for name in set(FULL) - {"data", "add", "prices", "router", "online"}:
        assert getattr(again, name) == getattr(made, name), name
    # Paths are absolute, so that the file can be used anywhere; where to write is not repeated.
    assert again.data == str(tmp_path / "outcomes.csv")
    assert again.add == str(tmp_path / "more.sqlite")
    assert again.prices == str(tmp_path / "prices.toml")
    assert again.router == (
        "knn@five", f"{tmp_path}/mine.py:Mine", f"{tmp_path}/other.py:Mine@x", "all",
    )  # fmt: skip
    assert again.out is None
    assert not again.fresh
    assert config.dump(again) == written


def test_settings_of_an_online_run_survive_the_run_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"suite": "table:outcomes.csv", "protocol": "online"}
    made = config.make(values | {"online": ["start=warm", "later=second.csv"]})
    (tmp_path / "run.toml").write_text(config.dump(made))
    again = config.make(config.read(tmp_path / "run.toml"))
    assert again.online == ("start=warm", f"later={tmp_path}/second.csv")
    for wrong in ({"protocol": "query"}, {"folds": 5}, {"inner_folds": 4}):
        with pytest.raises(OptionError, match=r"online|stream"):
            config.make(values | {"online": ["batch=4"]} | wrong)


def test_the_file_of_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    colon = config.make({"suite": "table:a:b.csv"})
    assert (colon.suite_name, colon.suite_data) == ("table", "a:b.csv")
    assert tomllib.loads(config.dump(colon))["suite"] == f"table:{tmp_path}/a:b.csv"
    with pytest.raises(OptionError, match=r"--data c\.csv: the suite names a file too"):
        config.make({"suite": "table:a.csv", "data": "c.csv"})
    plain = config.make({"suite": "table", "data": "c.csv"})
    assert (plain.suite_name, plain.suite_data) == ("table", "c.csv")
    assert config.make({"suite": "simpleqa"}).suite_data is None


def test_toml_with_tables(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'suite = "table:x.csv"\nrouter = ["knn", "linear"]\nfolds = 5\n'
        '[objective]\ncost = 0.5\n[set.knn]\nk = 5\n[set."knn@b"]\nk = 7\n'
    )
    made = config.make(config.read(path))
    assert made.set == {"knn": {"k": 5}, "knn@b": {"k": 7}}
    assert made.folds == 5
    assert made.objective == {"performance": 1.0, "cost": 0.5}
    assert made.seeds == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "cuda_0"}, r"--device: must be cpu, cuda or cuda:N \(got 'cuda_0'\)"),
        ({"max_missing": 2}, r"--max-missing: must be at most 1 \(got 2\)"),
        ({"objective": {"speed": 1}}, r"--objective\.speed: .*'performance' or 'cost'"),
        ({"objective": {"cost": float("inf")}}, r"--objective\.cost: .*finite"),
        ({"split": "random"}, r"--split: .*\(got 'random'\)"),
        ({"folds": 2, "seeds": 0}, r"--seeds: .*; --folds: "),
    ],
)
def test_wrong_values_name_the_option(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        config.make({"suite": "table"} | values)


def test_unknown_option() -> None:
    with pytest.raises(OptionError, match="unknown option 'seed'") as raised:
        config.make({"suite": "table", "seed": 3})
    assert "did you mean seeds" in raised.value.hint


def test_set_must_be_tables(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for text in ("set = 5", "[set]\nknn = 5"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"mine\.toml: set = ") as raised:
            config.read(path)
        assert "[set.NAME]" in raised.value.hint


def test_an_older_name_of_a_router_is_read_as_that_of_today() -> None:
    given = {
        "suite": "simpleqa",
        "router": ["knn", "strongest@x"],
        "against": ["strongest"],
        "set": {"strongest": {"model": "a"}},
    }
    made = config.make(given)
    assert made.router == ("knn", "most-expensive@x")
    assert made.against == ("most-expensive",)
    assert made.set == {"most-expensive": {"model": "a"}}
    assert config.older_names(given) == [
        "strongest@x is called most-expensive@x now",
        "strongest is called most-expensive now",
    ]
    assert config.older_names({"suite": "simpleqa", "router": ["knn"]}) == []
