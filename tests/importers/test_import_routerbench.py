"""RouterBench: a wide table in a pickle that is read and never run."""

from __future__ import annotations

import csv
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published import Call, Name, array, brought, frame, load, pickled

from routebench.errors import DataError
from routebench.importers import unpickle
from routebench.importers.unpickle import read_frame
from routebench.records import State
from routebench_importers.routerbench import _PART

BIG, SMALL = "gpt-4-1106-preview", "mistralai/mistral-7b-chat"


def columns() -> dict[str, list[Any]]:
    return {
        "sample_id": ["mmlu.0", "mmlu.1", "mbpp.0", "mtbench.1"],
        "prompt": ["['Which one?\\nA) b']", '["It\'s \\\\q odd"]', "plain", "['first', 'second']"],
        "eval_name": ["mmlu-law", "mmlu-law", "mbpp", "mtbench"],
        BIG: [True, 1.0, False, 0.9],
        SMALL: [0.0, 0.0, np.nan, 0.25],
        f"{BIG}|model_response": ["['A']", "b", "code", "talk"],
        f"{SMALL}|model_response": ["x", "", "y", "z"],
        f"{BIG}|total_cost": [0.0125, 0.01, 0.0, 0.5],
        f"{SMALL}|total_cost": [1e-5, 0.0, 2e-5, 3e-5],
        "oracle_model_to_route_to": [BIG, BIG, "no_model_correct", BIG],
    }


@pytest.fixture
def released(tmp_path: Path) -> Path:
    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(pickled(frame(columns())))
    return path


def test_the_rows(released: Path) -> None:
    made, rows = brought("routerbench", released)
    assert (made.rows, made.queries, made.models) == (8, 4, {BIG: 4, SMALL: 4})
    assert made.states == {"ok": 6, "failed": 1, "ungraded": 1}
    cell = {(row["query_id"], row["model"]): row for row in rows}
    assert cell["mmlu.0", BIG]["query"] == "Which one?\nA) b"
    assert cell["mmlu.1", BIG]["query"] == "It's \\q odd"
    assert cell["mtbench.1", BIG]["query"] == "first\n\nsecond"
    assert cell["mbpp.0", BIG]["query"] == "plain"
    assert [cell["mmlu.0", m]["score"] for m in (BIG, SMALL)] == [1.0, 0.0]
    assert cell["mtbench.1", SMALL]["score"] == 0.25
    assert cell["mmlu.0", BIG]["cost_usd"] == 0.0125  # of the call, not per million
    assert cell["mmlu.0", BIG]["task"] == "mmlu-law"
    # No answer at no cost is a call that failed, released as a wrong one.
    assert cell["mmlu.1", SMALL]["state"] == "failed"
    assert cell["mmlu.1", SMALL]["score"] is None
    assert cell["mmlu.1", SMALL]["cost_usd"] is None
    # An answer is not free because nobody wrote down what it cost.
    assert cell["mbpp.0", BIG]["cost_usd"] is None
    assert cell["mbpp.0", SMALL]["state"] == "ungraded"
    assert "costs of 0 beside an answer, taken as not recorded: 1" in made.notes
    assert "sample" not in rows[0]


def test_it_loads_as_a_table(released: Path) -> None:
    data = load(brought("routerbench", released)[0])
    assert data.pool.models == (BIG, SMALL)
    assert (data.outcomes.state == State.FAILED).sum() == 1
    assert data.outcomes.cost is not None
    assert np.nanmax(data.outcomes.cost) == 0.5


def test_the_same_as_parquet_and_csv(tmp_path: Path, released: Path) -> None:
    _, expected = brought("routerbench", released)
    table = {k: [None if v != v else v for v in vs] for k, vs in columns().items()}
    table[BIG] = [float(v) for v in table[BIG]]
    wide = tmp_path / "wide.parquet"
    pq.write_table(pa.table(table), wide)
    assert brought("auto", wide)[1] == expected
    with (tmp_path / "wide.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    assert brought("auto", tmp_path / "wide.csv")[1] == expected


def test_only_some(released: Path) -> None:
    made, _ = brought("routerbench", released, tasks=("mmlu*",), answers=False)
    assert made.queries == 2
    made, rows = brought("auto", released, models=("mistralai/*",))
    assert list(made.models) == [SMALL]
    assert "there is one model only: a run needs two" in made.notes
    assert rows[0]["response"] == "x"


def test_many_rows_come_in_parts(tmp_path: Path) -> None:
    n = _PART // 2 + 10
    table = {
        "sample_id": [f"q{i}" for i in range(n)],
        "prompt": [f"p{i}" for i in range(n)],
        "eval_name": ["t"] * n,
    }
    for model in "ab":
        table |= {model: [1.0] * n, f"{model}|total_cost": [0.1] * n}  # type: ignore[dict-item]
    pq.write_table(pa.table(table), tmp_path / "wide.parquet")
    made, _ = brought("routerbench", tmp_path / "wide.parquet")
    assert (made.rows, made.queries) == (2 * n, n)


def test_two_files_that_name_different_prompts_alike(tmp_path: Path, released: Path) -> None:
    other = tmp_path / "routerbench_5shot.pkl"
    changed = columns()
    changed["prompt"][0] = "['With examples: which one?']"
    other.write_bytes(pickled(frame(changed)))
    with pytest.raises(DataError, match=r"5shot.*query 'mmlu\.0' stands with another text"):
        brought("routerbench", released, other)


@pytest.mark.parametrize("gone", ["prompt", "eval_name"])
def test_another_layout(gone: str, tmp_path: Path) -> None:
    table = columns()
    del table[gone]
    path = tmp_path / "x.pkl"
    path.write_bytes(pickled(frame(table)))
    with pytest.raises(DataError) as caught:
        brought("routerbench", path)
    assert caught.value.message.startswith(f"x.pkl: there is no column {gone}; found columns:")
    assert caught.value.hint.startswith("expected: sample_id, prompt, eval_name")


def test_percentages_and_sums(tmp_path: Path) -> None:
    table = columns()
    table[SMALL] = [0, 85, 40, 100]
    table[BIG] = ["90%", True, "100%", "12.5%"]
    path = tmp_path / "x.pkl"
    path.write_bytes(pickled(frame(table)))
    with pytest.raises(DataError, match=r"row 3.*score 40 is not in \[0, 1\]") as caught:
        brought("routerbench", path)
    assert "--score-max 100" in caught.value.hint
    _, rows = brought("routerbench", path, score_max=100.0)
    cell = {(row["query_id"], row["model"]): row["score"] for row in rows}
    assert [cell[q, SMALL] for q in ("mmlu.0", "mbpp.0", "mtbench.1")] == [0.0, 0.4, 1.0]
    assert [cell[q, BIG] for q in table["sample_id"]] == [0.9, 1.0, 1.0, 0.125]

    table = columns()
    table[f"{BIG}|total_cost"] = [30.0] * 4
    path.write_bytes(pickled(frame(table)))
    with pytest.raises(DataError, match="a call that costs 30 USD"):
        brought("routerbench", path)


# The pickle


class Touch:
    """Makes a folder when it is loaded by a pickle that runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_calls_code_is_refused(protocol: int, tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(pickle.dumps({"frame": Touch(trap)}, protocol))
    with pytest.raises(DataError, match=r"asks for \w+\.mkdir, which is refused"):
        brought("routerbench", path)
    assert not trap.exists()
    assert not list(tmp_path.glob("made/*"))
    pickle.loads(path.read_bytes())
    assert trap.exists()  # it would have done it


def test_a_call_hidden_in_a_cell_is_refused(tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "x.pkl"
    table = columns()
    table["prompt"][2] = Call(Name("os", "mkdir"), (str(trap),))
    path.write_bytes(pickled(frame(table)))
    with pytest.raises(DataError, match=r"asks for os\.mkdir, which is refused"):
        brought("routerbench", path)
    assert not trap.exists()


FRAME = Name("pandas.core.frame", "DataFrame")
ODD = {
    "eval": Call(Name("pandas.core.computation.eval", "eval"), ("1",)),
    "read": Call(Name("pandas", "read_pickle"), ("x",)),
    "frame called": Call(FRAME, ({"a": [1]},)),
    "attribute": Call(Name("pandas.core.frame", "DataFrame.eval"), ("1",)),
    "class filled": Call(Name("builtins", "slice"), (1,), {"__reduce__": 1}),
    "empty": Call(FRAME, (), {}, new=True),
    "no manager": Call(FRAME, (), {"_mgr": 3}, new=True),
    "objects as bytes": Call(
        Name("numpy.core.numeric", "_frombuffer"),
        (b"\0" * 64, Call(Name("numpy", "dtype"), ("O8",)), (8,), "C"),
    ),
    "length": array(["a", "b"], (3,)),
    "buffer": Call(Name("builtins", "bytearray"), (10**12,)),
    "list": ["no", "table"],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pickles(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickled(ODD[name]))
    with pytest.raises(DataError, match=r"^x\.pkl: "):
        read_frame(path)


def test_what_a_pickle_sets_stays_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    hook = Name("pandas.core.internals.managers", "BlockManager")
    path.write_bytes(pickled([Call(hook, ()), Call(FRAME, (), {"x": 1}, new=True)]))
    with pytest.raises(DataError):
        read_frame(path)
    assert not hasattr(unpickle._Frame, "x")
    assert unpickle._Manager().blocks == ()


@pytest.mark.parametrize("cut", [1, 30, 200, 600])
def test_a_pickle_that_is_cut_short(cut: int, released: Path) -> None:
    released.write_bytes(released.read_bytes()[:-cut])
    with pytest.raises(DataError, match="is damaged, or not a pickled table"):
        brought("routerbench", released)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_table_that_pandas_writes(protocol: int, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({k: pandas.Series(v, dtype=object) for k, v in columns().items()})
    for name in (f"{BIG}|total_cost", f"{SMALL}|total_cost", SMALL):
        table[name] = table[name].astype(float)
    table.columns = pandas.Index(list(table.columns), dtype=object)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(table, protocol))
    found = read_frame(path)
    assert list(found) == list(columns())
    for name, values in columns().items():
        assert str(found[name].tolist()) == str(values)


def test_text_that_pandas_3_keeps_elsewhere(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", minversion="3")
    path = tmp_path / "x.pkl"
    pandas.DataFrame(columns()).to_pickle(path)
    with pytest.raises(DataError) as caught:
        read_frame(path)
    assert "to_parquet" in caught.value.hint
