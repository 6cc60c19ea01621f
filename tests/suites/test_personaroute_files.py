"""PersonaRoute-Bench's files: what is read out of them, and what is refused."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import itertools
import json
import os
import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from routebench.errors import DataError
from routebench.importers.unpickle import read_arrays as read_pickle
from routebench_suites.personaroute import blocks
from routebench_suites.personaroute.cells import CellError, parse_cell
from routebench_suites.personaroute.files import UserPanel, read_panel

Row = dict[str, Any]
USERS = {"10": 1.0, "9": 0.25, "u2": 0.5}
MODELS = ("org/b", "a", "c (7b)")
QUERIES = (("sums", "What is 1 + 1?"), ("sums", 'Say "x",\nthen y'), ("facts", "Who?"))


@functools.cache
def cell(*vector: float) -> str:
    return str(np.array([vector])) + "  "


def rows(
    users: dict[str, float] = USERS,
    queries: tuple[tuple[str, str], ...] = QUERIES,
    models: tuple[str, ...] = MODELS,
) -> list[Row]:
    """Every user asks every query of every model."""
    made = []
    for (user, weight), (q, (task, text)), (m, model) in itertools.product(
        users.items(), enumerate(queries), enumerate(models)
    ):
        effect, cost = (q + m) % 3 / 2, m / (len(models) - 1)
        made.append(
            {
                "user_id": user,
                "performance_preference": weight,
                "task_id": task,
                "query": text,
                "query_embedding": cell(q, 0.5, -1e-3),
                "effect": effect,
                "cost": cost,
                "ground_truth": f"answer {q}",
                "metric": "f1",
                "llm": model,
                "task_description": f"about {task}",
                "task_description_embedding": cell(len(task), 2.0),
                "response": "",
                "reward": weight * effect - (1 - weight) * cost,
                "best_llm": 0,
            }
        )
    return made


def write(path: Path, held: list[Row], without: tuple[str, ...] = ()) -> Path:
    columns = [column for column in held[0] if column not in without]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(held)
    raw = text.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def same(left: UserPanel, right: UserPanel) -> None:
    for name in left.__dataclass_fields__:
        np.testing.assert_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_what_is_read(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path / "d.csv", rows()))
    assert panel.models == ("a", "c (7b)", "org/b")
    assert panel.users.tolist() == ["9", "10", "u2"]
    assert panel.preference.tolist() == [0.25, 1.0, 0.5]
    assert list(zip(panel.task, panel.text, strict=True)) == list(QUERIES)
    assert panel.effect.tolist() == [[0.5, 1, 0], [1, 0, 0.5], [0, 0.5, 1]]
    assert panel.cost.tolist() == [[0.5, 1, 0]] * 3
    assert panel.cost_normalised
    assert panel.task_description == {"facts": "about facts", "sums": "about sums"}
    assert panel.reference is not None
    assert panel.reference.tolist() == ["answer 0", "answer 1", "answer 2"]
    assert panel.embedding is not None
    assert panel.embedding.dtype == np.float32
    assert panel.embedding[:, 0].tolist() == [0, 1, 2]
    assert panel.task_embedding is not None
    assert panel.task_embedding.tolist() == [[5, 2], [4, 2]]
    assert (panel.asked, panel.split, panel.user_split, panel.model_embedding) == (None,) * 4
    assert panel.notes == ("the file's reward is w·effect − (1 − w)·cost throughout",)


def test_formats_and_row_orders_agree(tmp_path: Path) -> None:
    held = rows()
    plain = read_panel(write(tmp_path / "d.csv", held))
    same(plain, read_panel(write(tmp_path / "d.csv.gz", held)))
    first, *others = held  # the first query stays the first, and so on
    random.Random(0).shuffle(others)
    shuffled = read_panel(write(tmp_path / "s.csv", [first, *others]))
    order = [shuffled.text.tolist().index(text) for text in plain.text]
    np.testing.assert_array_equal(shuffled.effect[order], plain.effect)
    assert shuffled.embedding is not None
    np.testing.assert_array_equal(shuffled.embedding[order], plain.embedding)
    assert shuffled.users.tolist() == plain.users.tolist()


def test_required_columns_suffice(tmp_path: Path) -> None:
    optional = (
        "query_embedding", "ground_truth", "metric", "task_description", "response", "reward",
        "task_description_embedding", "best_llm",
    )  # fmt: skip
    panel = read_panel(write(tmp_path / "d.csv", rows(), without=optional))
    assert (panel.embedding, panel.task_embedding, panel.reference) == (None,) * 3
    assert panel.task_description == {}
    assert panel.notes == ()


def test_small_blocks_and_long_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = rows()
    path = write(tmp_path / "d.csv", held)
    whole = read_panel(path)
    monkeypatch.setattr("routebench_suites.personaroute.rows.BLOCK", 700)
    same(whole, read_panel(path))
    for row in held:
        row["response"] = "x" * 5_000
    same(whole, read_panel(write(tmp_path / "long.csv", held)))
    monkeypatch.setattr(blocks, "LONG_BLOCK", 900)
    monkeypatch.setattr("routebench_suites.personaroute.rows.LONG_BLOCK", 900)
    with pytest.raises(DataError, match="cannot be read"):
        read_panel(tmp_path / "long.csv")


def test_one_text_in_two_tasks_is_two_queries(tmp_path: Path) -> None:
    queries = (("a", "Same?"), ("b", "Same?"))
    panel = read_panel(write(tmp_path / "d.csv", rows(queries=queries)))
    assert panel.text.tolist() == ["Same?", "Same?"]
    assert panel.task.tolist() == ["a", "b"]
    assert panel.effect[0].tolist() != panel.effect[1].tolist()


def test_missing_rows_are_masked(tmp_path: Path) -> None:
    held = [row for row in rows() if (row["llm"], row["query"]) != ("a", "Who?")]
    held = [row for row in held if (row["user_id"], row["task_id"]) != ("9", "facts")]
    panel = read_panel(write(tmp_path / "d.csv", held))
    assert np.argwhere(np.isnan(panel.effect)).tolist() == [[2, 0]]
    assert np.argwhere(np.isnan(panel.cost)).tolist() == [[2, 0]]
    assert panel.asked is not None
    assert panel.asked.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert "1 of 3 queries lack rows of some models" in panel.notes


def changed(number: int, **values: Any) -> Callable[[list[Row]], None]:
    def change(held: list[Row]) -> None:
        held[number].update(values)

    return change


def doubled(held: list[Row]) -> None:
    held.append(dict(held[4]))


def rewards_of_other_costs(held: list[Row]) -> None:
    for row in held:
        row["cost"] *= 0.01


BAD: dict[str, tuple[Callable[[list[Row]], None], str]] = {
    "preference": (changed(4, performance_preference=1.5), "row 5, column performance_pref.* 1.5"),
    "preferences": (changed(4, performance_preference=0.3), "row 5, .*: is 0.3 for user '10'.* 1 "),
    "effect": (changed(7, effect=-0.5), r"row 8, column effect: -0.5 is not in \[0, 1\]"),
    "effect NaN": (changed(7, effect="nan"), "row 8, column effect: 'nan' is no finite number"),
    "effect text": (changed(7, effect="high"), "row 8, column effect: 'high' is no finite number"),
    "effect empty": (changed(7, effect=""), "row 8, column effect: is empty"),
    "cost": (changed(3, cost=-1), "row 4, column cost: -1 is not 0 or more"),
    "user": (changed(3, user_id=""), "row 4, column user_id: is empty"),
    "effects": (changed(13, effect=0.25), "row 14, column effect: is 0.25, but d.csv: row 5 has 1"),
    "costs": (changed(13, cost=0.25), "row 14, column cost: is 0.25, but d.csv: row 5 has 0.5 f"),
    "reward": (changed(2, reward=0.125), "row 3, column reward: is 0.125, but w·effect.* is 1$"),
    "reward text": (changed(2, reward="-"), "row 3, column reward: '-' is no finite number"),
    "rewards": (rewards_of_other_costs, "row 11, column reward: is -0.25, but .* is 0.12125$"),
    "doubled": (doubled, "row 28: user '10' has model 'a' for this query already in d.csv: row 5$"),
    "shortened": (changed(3, query_embedding="[[0.1 ... 0.2]]"), "row 4, column query_emb.*cut sh"),
    "NaN": (changed(3, query_embedding="[[0.1 nan 0.2]]"), "row 4, column query_emb.*: number 2 "),
    "width": (changed(3, query_embedding="[[1.0 2.0]]"), "row 4, .* 2 numbers, d.csv: row 1 3$"),
    "rows": (changed(3, query_embedding="[[1 2 3][4 5 6]]"), "row 4, .*: holds 2 vectors, not one"),
    "embeddings": (changed(12, query_embedding="[[9 9 9]]"), "row 13, .*: differs from that of a"),
    "no cell": (changed(3, query_embedding=""), "row 4, column query_embedding: is empty, though"),
    "task cell": (changed(0, task_description_embedding="[1"), "row 1, column task_description_e"),
    "reference": (changed(9, ground_truth="other"), "row 10, column ground_truth: differs from"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_rows(name: str, tmp_path: Path) -> None:
    change, message = BAD[name]
    held = rows()
    change(held)
    path = write(tmp_path / "d.csv", held)
    with pytest.raises(DataError, match=message) as caught:
        read_panel(path)
    assert str(caught.value).startswith("d.csv: row ")


def test_equal_embeddings_may_be_printed_differently(tmp_path: Path) -> None:
    held = rows()
    held[12]["query_embedding"] = "[1.0, 0.5000, -0.001]"
    panel = read_panel(write(tmp_path / "d.csv", held))
    assert panel.embedding is not None
    assert panel.embedding[1].tolist() == pytest.approx([1, 0.5, -1e-3])


def test_costs_in_dollars(tmp_path: Path) -> None:
    held = rows()
    for row in held:
        row["cost"] *= 12
    panel = read_panel(write(tmp_path / "d.csv", held))
    assert not panel.cost_normalised
    assert panel.cost.max() == 12
    assert panel.notes == ("the file's reward was not checked: its costs are not normalised",)
    for row in held:
        row["cost"] /= 24
    panel = read_panel(write(tmp_path / "d.csv", held, without=("reward",)))
    assert panel.cost_normalised
    assert "in no task they reach from 0 to 1" in panel.notes[0]


BROKEN = {
    b"": "without even a header",
    b"user_id,query\n1,x\n": "there is no column performance_preference",
    b"user_id,performance_preference,task_id,query,llm,effect,cost\n": "there are no rows",
    b"user_id,performance_preference,task_id,query,llm,effect,cost\n1,1,t,q,m,1,0\n1,1,t\n": (
        "row 2 has 3 fields, not the header's 7"
    ),
    b"user_id,performance_preference,task_id,query,llm,effect,cost\n1,1,t,\xff,m,1,0\n": "UTF-?8",
    b"user_id,performance_preference,task_id,query,llm,effect,cost,llm\n1,1,t,q,m,1,0,m\n": "twice",
    b"PAR1\xff\xfe": "is no CSV file",
}


@pytest.mark.parametrize("raw", BROKEN)
def test_broken_files(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"^d.csv: .*{BROKEN[raw]}"):
        read_panel(path)


def test_broken_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv.gz", rows())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"d\.csv\.gz: is damaged or cut short"):
        read_panel(path)
    path.write_bytes(b"user_id\n")
    with pytest.raises(DataError, match=r"d\.csv\.gz: is damaged or cut short"):
        read_panel(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_panel(tmp_path / "none.csv")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match=r"x\.json: not a kind of file"):
        read_panel(tmp_path / "x.json")
    with pytest.raises(DataError, match="no train and test files are here"):
        read_panel(tmp_path)


def part(folder: Path, name: str, users: dict[str, float], texts: str) -> None:
    queries = tuple(("t", text) for text in texts)
    effects = dict(zip("abcdefg", itertools.cycle((0.0, 1.0, 0.5)), strict=False))
    held = rows(users, queries)
    for row in held:
        row["effect"] = effects[row["query"]]
        row["query_embedding"] = cell(ord(row["query"]), 1.0)
        row["ground_truth"] = row["query"]
    write(folder / f"router_user_{name}_data.csv", held, without=("reward",))


def test_split_by_query(tmp_path: Path) -> None:
    for name, texts in (("test", "f"), ("train", "abc"), ("val", "de")):
        part(tmp_path, name, USERS, texts)
    panel = read_panel(tmp_path)
    assert panel.split is not None
    assert panel.split.tolist() == ["train"] * 3 + ["validation"] * 2 + ["test"]
    assert (panel.user_split, panel.asked, panel.notes) == (None, None, ())


def test_a_user_of_the_test_file_only(tmp_path: Path) -> None:
    part(tmp_path, "train", {"1": 0.5, "2": 0.7}, "abc")
    part(tmp_path, "test", {"1": 0.5, "2": 0.7, "03": 1.0}, "de")
    panel = read_panel(tmp_path)
    assert panel.users.tolist() == ["1", "2", "03"]
    assert panel.user_split is not None
    assert panel.user_split.tolist() == ["train", "train", "test"]
    assert panel.split is not None
    assert panel.asked is not None
    assert panel.asked[2].tolist() == [False] * 3 + [True] * 2
    assert panel.notes == ("1 of 3 users are not in the training file",)


def test_split_by_user(tmp_path: Path) -> None:
    part(tmp_path, "train", {"1": 0.5, "2": 0.7}, "abc")
    part(tmp_path, "valid", {"4": 0.1}, "abc")
    part(tmp_path, "test", {"3": 1.0}, "abcd")
    panel = read_panel(tmp_path)
    assert panel.split is None
    assert panel.user_split is not None
    assert panel.user_split.tolist() == ["train", "train", "test", "validation"]
    assert panel.notes[0].startswith("3 of 4 queries are in more than one file")


def test_errors_between_files_name_both(tmp_path: Path) -> None:
    part(tmp_path, "train", {"1": 0.5}, "abc")
    part(tmp_path, "test", {"1": 0.5}, "ca")
    with pytest.raises(DataError) as caught:
        read_panel(tmp_path)
    assert "router_user_test_data.csv: row 1" in str(caught.value)
    assert "already in router_user_train_data.csv: row 7" in str(caught.value)


def test_parts_by_name(tmp_path: Path) -> None:
    part(tmp_path, "all", USERS, "ab")
    assert read_panel(tmp_path).split is None  # the only CSV of a folder needs no part
    part(tmp_path, "train", USERS, "ab")
    with pytest.raises(DataError, match="no train and test files"):
        read_panel(tmp_path)
    part(tmp_path, "test", USERS, "c")
    part(tmp_path, "training", USERS, "ab")
    with pytest.raises(DataError, match="two files are the train part"):
        read_panel(tmp_path)
    (tmp_path / "router_user_training_data.csv").rename(tmp_path / "training_test.csv")
    with pytest.raises(DataError, match="the name says test and train"):
        read_panel(tmp_path)


def test_users_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routebench_suites.personaroute.rows.BLOCK", 1 << 16)
    queries = tuple(("t", f"query {q} {'about something ' * 20}") for q in range(20))
    users = {str(u): u / 400 for u in range(400)}
    path = write(tmp_path / "d.csv.gz", rows(users, queries))
    read_panel(write(tmp_path / "warm.csv", rows()))
    tracemalloc.start()
    panel = read_panel(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert panel.users.tolist() == [str(u) for u in range(400)]
    assert panel.effect.shape == (20, 3)
    # 24,000 rows of 300 characters: more than 7 MB were they kept.
    assert peak < 4e6


# Cells

GOOD_CELLS = {
    "[[ 1.2e-02 -3e-01  4.]]": [[0.012, -0.3, 4]],
    "[[1, 2,\n  3]]   ": [[1, 2, 3]],
    "[1.5\t2.5]": [[1.5, 2.5]],
    "[[1 2]\n [3 4]]": [[1, 2], [3, 4]],
    "[[1., 2.], [3., 4.]]": [[1, 2], [3, 4]],
    str(np.random.default_rng(0).standard_normal((1, 90)).astype(np.float32)): None,
}


@pytest.mark.parametrize("text", GOOD_CELLS)
def test_cells(text: str) -> None:
    wanted = GOOD_CELLS[text]
    if wanted is None:
        wanted = np.random.default_rng(0).standard_normal((1, 90)).tolist()
    np.testing.assert_allclose(parse_cell(text), np.array(wanted), rtol=1e-5, atol=1e-6)


BAD_CELLS = {
    "[[1. 2. ... 3.]]": "cut short",
    "[[1. … 3.]]": "cut short",
    "[[1. 2.": "no printed array",
    "": "no printed array",
    "1.0 2.0": "no printed array",
    "[[1 2] 3]": "brackets do not match",
    "[[1 2] [3]]": "ragged: its rows have 1 and 2 numbers",
    "[[[1 2]]]": "brackets do not match",
    "[[]]": "empty",
    "[[1,,2]]": "a number is missing",
    "[[1 x2]]": "'x2' in the array is no number",
    "[[__import__('os').getcwd()]]": "is no number",
    "[[1 inf]]": "number 2 of the array is inf",
    "[[1e300 1]]": "number 1 of the array is 1e\\+300, which is no finite float32",
}


@pytest.mark.parametrize("text", BAD_CELLS)
def test_bad_cells(text: str) -> None:
    with pytest.raises(CellError, match=BAD_CELLS[text]):
        parse_cell(text)


# Models

MATRIX = np.arange(8, dtype=np.float64).reshape(4, 2)
NAMES = ["c (7b)", "org/b", "unused", "a"]
DESCRIBED = {
    "c (7b)": {"feature": "a small one", "input_price": 0.2, "output_price": 0.4, "model": "x/c"},
    "org/b": {"description": "a big one", "input_price": 2, "output_price": 4},
    "unused": "not in the data",
    "a": {"feature": "the first", "input_price": 0.1, "output_price": 0},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "d.csv", rows())


def describe(folder: Path, held: Any, name: str = "LLM_Descriptions_v1.json") -> Path:
    path = folder / name
    path.write_text(held if isinstance(held, str) else json.dumps(held))
    return path


def test_descriptions(data: Path, tmp_path: Path) -> None:
    path = describe(tmp_path, DESCRIBED)
    panel = read_panel(data)
    assert panel.model_description == ("the first", "a small one", "a big one")
    assert panel.input_price is not None
    assert panel.input_price.tolist() == [0.1, 0.2, 2]
    assert panel.output_price is not None
    assert panel.output_price.tolist() == [0, 0.4, 4]
    same(panel, read_panel(data, path))
    same(panel, read_panel(tmp_path))
    given = describe(tmp_path, dict.fromkeys(NAMES, "text"), "other.json")
    panel = read_panel(data, given)
    assert (panel.model_description, panel.input_price) == (("text",) * 3, None)


def test_the_descriptions_that_fit_are_found(data: Path, tmp_path: Path) -> None:
    describe(tmp_path, {"another": "text"}, "LLM_Descriptions_a.json")
    with pytest.raises(DataError, match=r"_a\.json: the data's model 'a' is not described"):
        read_panel(data)
    describe(tmp_path, DESCRIBED, "LLM_Descriptions_b.json")
    assert read_panel(data).model_description is not None


BAD_DESCRIPTIONS: list[tuple[Any, str, str]] = [
    ("{", "not JSON", ""),
    ("[]", "holds no JSON object", ""),
    (
        {name.replace("(7b)", "7b"): "x" for name in NAMES},
        "'c \\(7b\\)' is not desc",
        "did you mean c 7b",
    ),
    (DESCRIBED | {"a": {"size": 3}}, "model 'a' has no feature or description", ""),
    (DESCRIBED | {"a": {"feature": "", "input_price": -1}}, "input_price -1 is no price", ""),
]


@pytest.mark.parametrize(("held", "message", "hint"), BAD_DESCRIPTIONS)
def test_bad_descriptions(held: Any, message: str, hint: str, data: Path, tmp_path: Path) -> None:
    describe(tmp_path, held)
    with pytest.raises(DataError, match=message) as caught:
        read_panel(data)
    assert hint in caught.value.hint


def test_embeddings_files_agree(data: Path, tmp_path: Path) -> None:
    describe(tmp_path, DESCRIBED)
    wanted = MATRIX[[3, 0, 1]]
    np.save(tmp_path / "e.npy", MATRIX)
    save_file({"embeddings": MATRIX}, tmp_path / "matrix.safetensors")
    save_file({"e": MATRIX[:3]}, tmp_path / "ids.safetensors", {"ids": json.dumps(NAMES[:3])})
    save_file(dict(zip(NAMES, MATRIX, strict=True)), tmp_path / "named.safetensors")
    (tmp_path / "dict.pkl").write_bytes(pickle.dumps(dict(zip(NAMES, MATRIX, strict=True))))
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([list(map(float, row)) for row in MATRIX]))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / f"{protocol}.pkl").write_bytes(pickle.dumps(MATRIX, protocol))
    for path in tmp_path.iterdir():
        if path.suffix in (".npy", ".safetensors", ".pkl") and path.name != "ids.safetensors":
            panel = read_panel(data, embeddings=path)
            assert panel.model_embedding is not None
            assert panel.model_embedding.dtype == np.float32
            np.testing.assert_array_equal(panel.model_embedding, wanted)
    with pytest.raises(DataError, match=r"ids\.safetensors: there is no embedding of model 'a'"):
        read_panel(data, embeddings=tmp_path / "ids.safetensors")


def test_rows_without_names(data: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", MATRIX)
    with pytest.raises(DataError, match="nothing says which model a row of the matrix is of"):
        read_panel(data, embeddings=tmp_path / "e.npy")
    (tmp_path / "e.ids.txt").write_text("\n".join(NAMES) + "\n")
    panel = read_panel(data, embeddings=tmp_path / "e.npy")
    assert panel.model_embedding is not None
    np.testing.assert_array_equal(panel.model_embedding, MATRIX[[3, 0, 1]])
    describe(tmp_path, dict.fromkeys(MODELS, "text"))
    (tmp_path / "e.ids.txt").unlink()
    with pytest.raises(DataError, match=r"has shape \(4, 2\), not one row for each of the 3"):
        read_panel(data, embeddings=tmp_path / "e.npy")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (dict.fromkeys(NAMES, "text"), "is no array of numbers"),
        ({"a": [1.0], "c (7b)": [1.0, 2.0], "org/b": [1.0]}, "has 2 numbers, that of 'a' 1"),
        (dict.fromkeys(NAMES, (1.0, float("nan"))), "holds a NaN or an infinity"),
        (dict.fromkeys(NAMES, ((1.0,), (2.0,))), r"has shape \(2, 1\)"),
        ({"b": [1.0]}, "there is no embedding of model 'a'"),
        (np.array([[1, "x"]], dtype=object), "an array of object, not of numbers"),
    ],
)
def test_bad_embeddings(held: Any, message: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.pkl"
    path.write_bytes(pickle.dumps(held))
    with pytest.raises(DataError, match=message):
        read_panel(data, embeddings=path)


@pytest.mark.parametrize("name", ["e.npy", "e.safetensors", "e.pkl"])
def test_damaged_embeddings(name: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match="there is no such file"):
        read_panel(data, embeddings=path)
    path.write_bytes(b"\x93NUMPY and then nothing")
    with pytest.raises(DataError, match=f"{name}: is damaged"):
        read_panel(data, embeddings=path)
    with pytest.raises(DataError, match="not a kind of file"):
        read_panel(data, embeddings=data)


# Pickles


class Touch:
    """A pickle of this creates a file when it is read by `pickle.load`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_code_is_refused(protocol: int, data: Path, tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "e.pkl"
    raw = pickle.dumps({"a": MATRIX, "b": Touch(trap)}, protocol)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"e\.pkl: asks for \w+\.mkdir, which is refused"):
        read_panel(data, embeddings=path)
    assert not trap.exists()
    pickle.loads(raw)
    assert trap.exists()  # it would have done it


@pytest.mark.parametrize(
    "raw",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n.__globals__\n",
        b"c__main__\nx\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
        b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.",
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"P1\n.",
        b"((((((",
        b"",
    ],
)
def test_odd_pickles(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "e.pkl"
    path.write_bytes(raw)
    try:
        held = read_pickle(path)
    except DataError as error:
        assert error.message.startswith("e.pkl: ")  # noqa: PT017
    else:  # a name alone does nothing, and is no array
        assert type(held).__module__ == "routebench.importers.unpickle"


def test_what_stands_in_many_places_is_read_once(tmp_path: Path) -> None:
    """A file of some hundred bytes that would fill any memory otherwise."""
    held: list[Any] = []
    for _ in range(60):
        held = [held, held, held]
    path = tmp_path / "e.pkl"
    path.write_bytes(pickle.dumps(held))
    assert len(read_pickle(path)) == 3


def test_arrays_out_of_pickles(tmp_path: Path) -> None:
    path = tmp_path / "e.pkl"
    held = {
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "half": [np.float16(1.5), (1, "x", None)],
        "bool": np.array([True]),
        "none": np.zeros((0, 4), dtype=np.float32),
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(held, protocol))
        found = read_pickle(path)
        np.testing.assert_array_equal(found["f"], held["f"])
        assert found["big"].tolist() == [0, 1, 2]
        assert found["half"] == [1.5, [1, "x", None]]
        assert found["bool"].tolist() == [True]
        assert found["none"].shape == (0, 4)


# As large as the real files


def test_derived_file(shared: Path) -> None:
    panel = read_panel(shared / "personaroute" / "router_user_data_derived.csv.gz")
    assert panel.effect.shape == (1500, 9)
    assert panel.preference.tolist() == pytest.approx(np.arange(2, 11) / 10)
    assert panel.embedding is not None
    assert panel.embedding.shape == (1500, 64)
    assert panel.task_embedding is not None
    assert panel.task_embedding.shape == (10, 64)
    assert panel.cost_normalised
    assert panel.asked is None
    assert any("reward" in note for note in panel.notes)
    weight = panel.preference[:, None, None]
    reward = weight * panel.effect - (1 - weight) * panel.cost
    assert reward.max(axis=2).mean() == pytest.approx(0.48, abs=0.01)
    assert reward.mean(axis=1).max(axis=1).mean() == pytest.approx(0.34, abs=0.015)
