"""Configuration files of other systems, read by `run --file` and `train --file`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from routebench.board.checkpoint import description
from routebench.errors import DataError, OptionError, RoutebenchError
from routebench.importers.run_files import read

pytest.importorskip("yaml")
Main = Callable[..., tuple[int, str, str]]
TOPICS = ("poem verse", "river capital")

MF = """\
# as LLMRouter's mfrouter.yaml is built
data_path:
  query_data_train: 'data/query_train.jsonl'
  query_embedding_data: 'data/embeddings.pt'
  routing_data_train: 'data/routing_train_data.jsonl'
  routing_data_test: 'data/routing_test_data.jsonl'
  llm_data: 'data/llm.json'
model_path:
  ini_model_path: ''
  save_model_path: 'saved_models/mfrouter/mfrouter.pkl'
metric:
  weights:
    performance: 1
    cost: 0.25
    llm_judge: 0
hparam:
  latent_dim: 16
  text_dim: 768
  lr: 2e-3
  epochs: 3
  noise_alpha: 0.0
api_key: sk-planted
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with routing data and configurations, as such a project has them."""
    project = tmp_path / "project"
    (project / "configs" / "train").mkdir(parents=True)
    (project / "data").mkdir()
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "own data"))
    for part, n in (("train", 60), ("test", 30)):
        rows = [
            {
                "task_name": "trivia",
                "query": f"{TOPICS[i % 2]} number {i} of {part}",
                "ground_truth": "x",
                "model_name": model,
                "response": "x",
                "input_tokens": 10,
                "output_tokens": 100,
                "performance": float((i % 2 == at) or i % 7 == at),
            }
            for i in range(n)
            for at, model in enumerate(("small-7b", "large-70b"))
        ]
        place = project / "data" / f"routing_{part}_data.jsonl"
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    models = {
        name: {"size": size, "input_price": price, "output_price": price}
        for name, size, price in (("small-7b", "7B", 0.2), ("large-70b", "70B", 0.9))
    }
    (project / "data" / "llm.json").write_text(json.dumps(models))
    return project


def put(project: Path, name: str, text: str) -> Path:
    place = project / "configs" / "train" / name
    place.write_text(text)
    return place


def test_what_is_taken_and_what_is_not(project: Path) -> None:
    found = read(put(project, "mfrouter.yaml", MF))
    assert found.values["router"] == ["mf"]
    assert found.values["set"] == {
        "mf": {"latent_dim": 16, "lr": 0.002, "epochs": 3, "noise_alpha": 0.0}
    }
    assert found.values["objective"] == {"performance": 1, "cost": 0.25}
    assert found.values["prices"] == str(project / "data" / "llm.json")
    suite, _, table = found.values["suite"].partition(":")
    assert suite == "table"
    assert Path(table).is_file()
    (unused,) = [note for note in found.notes if "not used" in note]
    assert unused == (
        "mfrouter.yaml: not used: data_path.query_data_train, data_path.query_embedding_data, "
        "model_path.save_model_path, hparam.text_dim, api_key"
    )
    assert any("--profile paper" in note for note in found.notes)
    assert "sk-planted" not in str(found)
    before = Path(table).stat().st_mtime_ns
    assert read(project / "configs" / "train" / "mfrouter.yaml").values == found.values
    assert Path(table).stat().st_mtime_ns == before, "imported once"


def test_a_run_and_a_training(main: Main, project: Path, tmp_path: Path) -> None:
    place = put(project, "knnrouter.yaml", MF.replace("latent_dim: 16", "n_neighbors: 5"))
    out = tmp_path / "out"
    words = ("--file", place, "--set", "tfidf-svd.dimension=4")
    code, _, err = main("run", *words, "--perturb", 0, "--out", out)
    assert code == 0, err
    said = " ".join(err.split())
    assert "note: knnrouter.yaml: the router is knn" in said
    assert "not used: data_path.query_data_train" in said
    assert "hparam.epochs" in said
    board = json.loads((out / "leaderboard.json").read_text())
    (row,) = board["rows"]
    assert (row["router"], row["options"]["k"]) == ("knn", 5)
    assert board["suite"]["models"] == ["large-70b", "small-7b"]
    assert (board["suite"]["split"], board["suite"]["queries"]["test"]) == ("given", 30)
    assert board["objective"] == {"performance": 1.0, "cost": 0.25}
    assert board["priced"] == "prices"
    code, _, err = main("train", *words, "--out", tmp_path / "it", "--quiet", "--no-test")
    assert (code, err) == (0, "")
    assert description.read(tmp_path / "it").options["k"] == 5
    # Another router may be named: the file's hyperparameters are then looked at as its own.
    code, _, err = main("run", *words, "--router", "best-single", "--out", tmp_path / "other")
    assert code == 0, err
    assert "the router is" not in err


def test_the_hybrids_mode(project: Path) -> None:
    text = (
        'router_mode: "probabilistic"\nrouter_tau: 0.1\nrouter_threshold: 0.5\n'
        "hparam:\n  hidden_layer_sizes: [128, 64]\n  activation: relu\n  max_iter: 300\n"
    )
    found = read(put(project, "hybrid_llm.yaml", text))
    assert found.values == {
        "router": ["hybrid-probabilistic"],
        "set": {
            "hybrid-probabilistic": {
                "hidden_layer_sizes": [128, 64],
                "activation": "relu",
                "max_iter": 300,
                "tau": 0.1,
                "threshold": 0.5,
            }
        },
    }
    assert "hybrid_llm.yaml: no routing data: --suite says on what it is run" in found.notes
    with pytest.raises(DataError, match="router_mode is 'quantum'"):
        read(put(project, "hybrid_llm.yaml", text.replace("probabilistic", "quantum")))


def test_every_hyperparameter_that_is_named_is_an_option() -> None:
    from routebench.importers import run_files
    from routebench.plugin import discovery

    for label, about in run_files._names().items():
        if label == "modes":
            continue
        info = discovery.find("router", label)
        if not info.ready:
            continue
        known = set(discovery.load(info).Options.model_fields)
        assert {*about["options"], *about.get("renamed", {}).values()} <= known, label


def test_users_of_a_csv(project: Path) -> None:
    names = {part: f"data/router_user_{part}_data.csv" for part in ("train", "val", "test")}
    for name in names.values():
        (project / name).write_text("user_id,query\n")
    text = "data_path:\n" + "".join(f"  routing_data_{p}: {n}\n" for p, n in names.items())
    text += "hparam:\n  embedding_dim: 64\n  llm_family: []\n  split_ratio: [0.6, 0.2, 0.2]\n"
    found = read(put(project, "personalizedrouter.yaml", text))
    assert found.values["suite"] == f"personaroute:{project / 'data'}"
    assert found.values["set"] == {"personalized": {"embedding_dim": 64}}
    assert found.notes[-1] == "personalizedrouter.yaml: not used: hparam.split_ratio"


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("svmrouter.yaml", MF, OptionError, "no router of ours is called svmrouter"),
        ("mfrouter.yaml", "- a", DataError, "is list, no mapping"),
        ("mfrouter.yaml", "suite: x", DataError, "has none of data_path"),
        ("mfrouter.yaml", "data_path: [1]", DataError, "data_path is no mapping"),
        ("mfrouter.yaml", "metric: {weights: 3}", DataError, "weights is no mapping"),
        ("mfrouter.yaml", "a: [", DataError, "not YAML"),
        ("mfrouter.yaml", "a: !!python/object/apply:os.system [ls]", DataError, "not YAML"),
        ("mfrouter.yaml", "[" * 600, DataError, "not YAML"),
        ("mfrouter.yaml", MF.replace("llm.json", "no.json"), DataError, "no.json is not there"),
        ("mfrouter.yaml", "data_path: {routing_data_train: 3}", DataError, "3, no path"),
    ],
)
def test_bad_input(
    project: Path, name: str, text: str, error: type[RoutebenchError], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(put(project, name, text))


def test_a_file_that_is_not_there(main: Main) -> None:
    code, _, err = main("run", "--file", "no.yaml")
    assert (code, err) == (2, "error: --file no.yaml: No such file or directory\n")
