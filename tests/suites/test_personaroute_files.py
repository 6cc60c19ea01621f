"""PersonaRoute-Bench's files: what is read out of them, and what is refused."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from personaroute_files import QUERIES, USERS, Row, cell, rows, same, write

from routebench.errors import DataError
from routebench_suites.personaroute import blocks
from routebench_suites.personaroute.files import read_panel


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
