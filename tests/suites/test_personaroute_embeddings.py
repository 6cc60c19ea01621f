"""Descriptions of models and their embeddings: formats, names, damaged files, pickles."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from personaroute_files import MODELS, rows, same, write
from safetensors.numpy import save_file

from routebench.errors import DataError
from routebench.importers.unpickle import read_arrays as read_pickle
from routebench_suites.personaroute.files import read_panel

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
