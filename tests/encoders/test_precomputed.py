from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from routebench.errors import DataError
from routebench_encoders.precomputed import Precomputed

IDS = ["q1", "007", "q3", "ß 日本"]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) / 7

Maker = Callable[[Path], Path]


def opened(path: Path, **options: Any) -> Precomputed:
    return Precomputed(Precomputed.Options(data=path, **options))


def parquet(folder: Path, ids: Any = IDS, rows: Any = None, kind: Any = None) -> Path:
    rows = VECTORS.tolist() if rows is None else rows
    table = pa.table({"query_id": ids, "embedding": pa.array(rows, kind)})
    pq.write_table(table, folder / "v.parquet", row_group_size=2)
    return folder / "v.parquet"


def matrix(folder: Path, ids: Any = IDS, array: Any = VECTORS) -> Path:
    metadata = {"ids": json.dumps(ids)} if ids is not None else None
    save_file({"embeddings": np.asarray(array)}, folder / "v.safetensors", metadata)
    return folder / "v.safetensors"


def tensors(folder: Path, **arrays: Any) -> Path:
    save_file(arrays or dict(zip(IDS, VECTORS, strict=True)), folder / "v.safetensors")
    return folder / "v.safetensors"


def npy(folder: Path, ids: Any = IDS, array: Any = VECTORS) -> Path:
    np.save(folder / "v.npy", array, allow_pickle=True)
    if ids is not None:
        (folder / "v.ids.txt").write_text("".join(f"{each}\n" for each in ids), encoding="utf-8")
    return folder / "v.npy"


def pt(folder: Path, held: Any = None, whole: bool = False) -> Path:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if held is None:
        held = {each: torch.from_numpy(row) for each, row in zip(IDS, VECTORS, strict=True)}
    if whole:
        held = {"ids": IDS, "embeddings": torch.from_numpy(VECTORS)}
    torch.save(held, folder / "v.pt")
    return folder / "v.pt"


MAKERS: dict[str, Maker] = {
    "parquet": parquet,
    "parquet, fixed width": lambda f: parquet(f, kind=pa.list_(pa.float32(), 3)),
    "parquet, large lists": lambda f: parquet(f, kind=pa.large_list(pa.float64())),
    "safetensors, matrix": matrix,
    "safetensors, by id": tensors,
    "npy": npy,
    "npy, column-major": lambda f: npy(f, array=np.asfortranarray(VECTORS.astype(np.float64))),
    "pt, by id": pt,
    "pt, matrix": lambda f: pt(f, whole=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_of_file_is_looked_up_by_id(tmp_path: Path, name: str) -> None:
    encoder = opened(MAKERS[name](tmp_path), dimension=3)
    assert encoder.dimension == 3
    assert encoder.by_id
    assert encoder.stateless
    assert len(encoder.fingerprint) == 16
    found = encoder.lookup([IDS[3], IDS[0], IDS[0], IDS[1]])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, VECTORS[[3, 0, 0, 1]], rtol=1e-6)
    assert encoder.lookup([]).shape == (0, 3)
    with pytest.raises(DataError, match="are 3 wide, not 4"):
        opened(encoder.options.data, dimension=4).lookup(IDS)


def test_half_precision_is_read(tmp_path: Path) -> None:
    half = VECTORS.astype(np.float16)
    for made in (
        matrix(tmp_path, array=half),
        npy(tmp_path, array=half),
        parquet(tmp_path, rows=half.astype(float).tolist(), kind=pa.list_(pa.float32())),
    ):
        np.testing.assert_allclose(opened(made).lookup(IDS), VECTORS, atol=1e-3)


def test_bfloat16_is_read_from_pt(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    held = {7: torch.ones(2, dtype=torch.bfloat16), 8: torch.zeros(2, requires_grad=True)}
    assert opened(pt(tmp_path, held)).lookup(["7", "8"]).tolist() == [[1, 1], [0, 0]]


def test_the_fingerprint_follows_the_contents(tmp_path: Path) -> None:
    first = opened(npy(tmp_path)).fingerprint
    assert opened(npy(tmp_path), dimension=3).fingerprint == first
    prints = {
        first,
        opened(npy(tmp_path, array=VECTORS + 1)).fingerprint,
        opened(npy(tmp_path, ids=IDS[::-1])).fingerprint,
        opened(matrix(tmp_path)).fingerprint,
    }
    assert len(prints) == 4
    (tmp_path / "other").mkdir()
    assert opened(npy(tmp_path / "other")).fingerprint == first


def test_text_is_not_encoded(tmp_path: Path) -> None:
    encoder = opened(npy(tmp_path))
    encoder.fit(["a"])
    with pytest.raises(DataError, match="for the suite's queries only"):
        encoder.encode(["a text"])


def test_missing_ids_are_counted_and_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        opened(npy(tmp_path)).lookup(["q1", "a", "b", "c", "d"])
    assert error.value.message == "v.npy: 4 of 5 queries have no vector: a, b, c, …"
    assert error.value.hint == "the file's ids are q1, 007, q3, …"


NAN = VECTORS.copy()
NAN[2, 1] = np.nan
HUGE = VECTORS.astype(np.float64)
HUGE[0, 0] = 1e300

BAD: dict[str, tuple[Maker, str]] = {
    "repeated": (lambda f: parquet(f, ids=["a", "b", "a", "b"]), "2 ids occur twice: a, b"),
    "repeated in metadata": (lambda f: matrix(f, ids=["a", "b", "c", "a"]), "1 ids occur twice: a"),
    "repeated lines": (lambda f: npy(f, ids=["a", "b", "c", "a"]), "1 ids occur twice: a"),
    "nan": (lambda f: parquet(f, rows=NAN.tolist()), "row 3, query 'q3': number 2 .* is nan"),
    "nan in npy": (lambda f: npy(f, array=NAN), "row 3, query 'q3': number 2 .* is nan"),
    "nan by id": (lambda f: tensors(f, a=VECTORS[0], b=NAN[2]), "query 'b': number 2 .* is nan"),
    "too large": (lambda f: npy(f, array=HUGE), "row 1, .* is 1e.300, which is no finite float32"),
    "ragged": (
        lambda f: parquet(f, rows=[[1.0], [2.0], [3.0, 4.0], [5.0]]),
        r"row 3, query 'q3': has shape \(2,\), the first \(1,\)",
    ),
    "ragged by id": (
        lambda f: tensors(f, a=np.ones(2), b=np.ones(3)),
        r"query 'b': has shape \(3,\), the first \(2,\)",
    ),
    "a matrix by id": (lambda f: tensors(f, a=np.ones((2, 2))), r"has shape \(2, 2\)"),
    "null element": (
        lambda f: parquet(f, rows=[[1.0, 2.0], [1.0, None], [1.0, 2.0], [1.0, 2.0]]),
        "row 2, query '007': number 2 .* is nan",
    ),
    "null row": (
        lambda f: parquet(f, rows=[[1.0], [2.0], [3.0], None]),
        "row 4, column embedding: is empty",
    ),
    "null row of fixed width": (
        lambda f: parquet(f, rows=[[1.0], None, [3.0], None], kind=pa.list_(pa.float32(), 1)),
        "row 2, column embedding: is empty",
    ),
    "null id": (lambda f: parquet(f, ids=["a", None, "b", "c"]), "row 2, column query_id"),
    "no columns": (
        lambda f: pq.write_table(pa.table({"id": ["a"]}), f / "v.parquet") or f / "v.parquet",
        "there is no column query_id",
    ),
    "no lists": (lambda f: parquet(f, rows=[1.0, 2.0, 3.0, 4.0]), "column embedding: double is no"),
    "whole numbers in lists": (lambda f: parquet(f, rows=[[1]] * 4), "holds int64"),
    "whole numbers": (lambda f: npy(f, array=np.ones((4, 2), dtype=int)), "are int64, not float"),
    "whole tensors": (lambda f: matrix(f, array=np.ones((4, 2), dtype=int)), "is I64"),
    "one dimension": (lambda f: npy(f, array=np.ones(4)), r"has shape \(4,\)"),
    "no width": (lambda f: npy(f, array=np.ones((4, 0))), r"has shape \(4, 0\)"),
    "objects": (lambda f: npy(f, array=np.array([{}] * 4)), "Python objects, which are never"),
    "fewer ids": (lambda f: npy(f, ids=IDS[:3]), "4 vectors for 3 ids"),
    "fewer ids in metadata": (lambda f: matrix(f, ids=IDS[:3]), "4 vectors for 3 ids"),
    "no ids": (lambda f: npy(f, ids=None), r"the file v\.ids\.txt is missing"),
    "an empty line": (lambda f: npy(f, ids=["a", "", "b", "c"]), r"v\.ids\.txt: line 2 is empty"),
    "no metadata": (lambda f: matrix(f, ids=None), "the metadata has no ids"),
    "ids that are none": (lambda f: matrix(f, ids={"a": 1}), "are no list of query ids"),
    "nothing": (lambda f: npy(f, ids=[], array=np.ones((0, 2))), "there are no vectors"),
    "a list": (lambda f: pt(f, held=[1, 2]), "holds a list, not a dict"),
    "no tensor": (lambda f: pt(f, held={"a": "b"}), "'a' is no dense tensor"),
    "code": (lambda f: pt(f, held={"a": Path("b")}), "more than tensors, which is never loaded"),
    "no embeddings": (lambda f: pt(f, held={"ids": IDS}), "'embeddings' is no dense tensor"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_with_the_place(tmp_path: Path, name: str) -> None:
    make, expected = BAD[name]
    path = make(tmp_path)
    with pytest.raises(DataError, match=expected) as error:
        opened(path).lookup(IDS)
    assert error.value.message.startswith("v.")
    assert "\n" not in error.value.message


@pytest.mark.parametrize("kind", [".parquet", ".safetensors", ".npy", ".pt"])
@pytest.mark.parametrize("content", ["nothing", "text", "cut", "another"])
def test_damaged_files_are_named(tmp_path: Path, kind: str, content: str) -> None:
    if kind == ".pt":
        pytest.importorskip("torch", reason="torch is not installed")
    whole = {".parquet": parquet, ".safetensors": tensors, ".npy": npy}.get(kind, pt)(tmp_path)
    raw = whole.read_bytes()
    other = (npy if kind != ".npy" else parquet)(tmp_path).read_bytes()
    texts = {"nothing": b"", "text": b"hello\n" * 99, "cut": raw[:-9], "another": other}
    whole.write_bytes(texts[content])
    with pytest.raises(DataError, match=rf"^v\{kind}: is (damaged|not a)") as error:
        opened(whole).lookup(IDS)
    assert "\n" not in error.value.message


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    for path, expected in (
        (tmp_path / "v.npy", "v.npy: there is no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "v.csv", "not a kind of file"),
    ):
        if path.suffix == ".csv":
            path.write_text("a,b\n")
        encoder = opened(path)
        for use in (lambda e: e.lookup(["a"]), lambda e: e.fingerprint, lambda e: e.dimension):
            with pytest.raises(DataError, match=expected):
                use(encoder)
