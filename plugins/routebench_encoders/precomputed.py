"""Precomputed vectors, one per query id, read from a file of one of four formats."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from routebench.errors import DataError, did_you_mean
from routebench.files import file_sha256

Vectors = npt.NDArray[np.float32]

_KINDS = ".parquet, .safetensors, .npy and .pt"
_FLOATS = "save the vectors as float32"


class Precomputed:
    """Precomputed vectors by query id: Parquet, safetensors, NumPy or PyTorch.

    - `.parquet`: columns `query_id` and `embedding`, a list of numbers.
    - `.safetensors`: a matrix `embeddings`, with the ids as a JSON list in the metadata's `ids`;
      or one vector per query id.
    - `.npy`: a matrix, its ids one per line in `NAME.ids.txt` beside `NAME.npy`.
    - `.pt`: a dict of one vector per query id, or `{"ids": [...], "embeddings": matrix}`.
    """

    stateless = True
    by_id = True

    class Options(BaseModel):
        data: Path = Field(description=f"file of vectors by query id: {_KINDS}")
        dimension: int | None = Field(
            None, ge=1, description="expected width; an error where the file has another"
        )

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = "cpu"

    @property
    def dimension(self) -> int:
        return int(self._read[1].shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of the file's contents."""
        digest = hashlib.sha256(_kind(self.options.data).encode())
        for path in (self.options.data, _ids_file(self.options.data)):
            if path.is_file():
                digest.update(bytes.fromhex(file_sha256(path)))
        return digest.hexdigest()[:16]

    def lookup(self, ids: Sequence[str]) -> Vectors:
        """Return [n, dimension] the queries' vectors; raise a `DataError` where any is missing."""
        rows, vectors = self._read
        missing = [each for each in ids if each not in rows]
        if missing:
            raise DataError(
                f"{self.options.data.name}: {len(missing)} of {len(ids)} queries have no vector:"
                f" {_some(missing)}",
                f"the file's ids are {_some(list(rows))}",
            )
        return vectors[np.array([rows[each] for each in ids], dtype=np.int64)]

    def fit(self, texts: Sequence[str]) -> None:
        """Learn nothing: the vectors are fixed."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        raise DataError(
            f"{self.options.data.name}: precomputed vectors exist for the suite's queries only",
            "use an encoder that reads text, such as tfidf-svd",
        )

    def save(self, folder: Path) -> None:
        """Save nothing: the options name the file."""

    def load(self, folder: Path) -> None:
        """Load nothing: the options name the file."""

    @cached_property
    def _read(self) -> tuple[dict[str, int], Vectors]:
        found = read(self.options.data)
        width = found.vectors.shape[1]
        if self.options.dimension not in (None, width):
            raise DataError(
                f"{found.name}: the vectors are {width} wide, not {self.options.dimension}"
            )
        return {each: row for row, each in enumerate(found.ids)}, found.vectors


@dataclass
class EmbeddingFile:
    """Contents of a file. `unit` names a vector in error messages: row or tensor."""

    name: str
    unit: str
    ids: list[str]
    vectors: Any

    def place(self, i: int) -> str:
        number = f"row {i + 1}, " if self.unit == "row" else ""
        return f"{self.name}: {number}query {self.ids[i]!r}"


def read(path: Path) -> EmbeddingFile:
    """Read a file's ids and finite float32 vectors [n, width]; raise a `DataError` if it is bad."""
    readers = {
        ".parquet": _parquet,
        ".safetensors": _safetensors,
        ".npy": _npy,
        ".pt": _pt,
    }
    reader: Callable[[Path], EmbeddingFile] = readers[_kind(path)]
    found = reader(path)
    if not found.ids:
        raise DataError(f"{found.name}: there are no vectors in it")
    repeated = [each for each, count in Counter(found.ids).items() if count > 1]
    if repeated:
        raise DataError(f"{found.name}: {len(repeated)} ids occur twice: {_some(repeated)}")
    found.vectors = _float32(found)
    return found


def _float32(found: EmbeddingFile) -> Vectors:
    vectors = found.vectors
    if isinstance(vectors, list):
        for i, each in enumerate(vectors):
            if each.ndim != 1 or each.shape != vectors[0].shape:
                shapes = f"has shape {each.shape}, the first {vectors[0].shape}"
                raise DataError(f"{found.place(i)}: {shapes}", "every vector is 1-D, of one width")
            _check_type(each.dtype, found.place(i))
        vectors = np.stack(vectors)
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise DataError(f"{found.name}: has shape {vectors.shape}, not (queries, width)")
    if len(vectors) != len(found.ids):
        raise DataError(f"{found.name}: {len(vectors)} vectors for {len(found.ids)} ids")
    _check_type(vectors.dtype, found.name)
    with np.errstate(over="ignore"):
        values: Vectors = vectors.astype(np.float32)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"{found.place(int(row))}: number {column + 1} of the vector is"
            f" {vectors[row, column]}, which is no finite float32",
            "leave no NaN or infinity in the vectors",
        )
    return values


def _check_type(dtype: np.dtype[Any], place: str) -> None:
    if not np.issubdtype(dtype, np.floating):
        raise DataError(f"{place}: the vectors are {dtype}, not floating-point numbers", _FLOATS)


def _parquet(path: Path) -> EmbeddingFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _damage(path, pa.ArrowException, OSError), pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        for column in ("query_id", "embedding"):
            if column not in present:
                hint = did_you_mean(column, present)
                raise DataError(f"{path.name}: there is no column {column}", hint)
        table = file.read(columns=["query_id", "embedding"])
    kind = table.schema.field("embedding").type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or _is_fixed(kind)):
        raise DataError(f"{path.name}: column embedding: {kind} is no list of numbers", _FLOATS)
    if not pa.types.is_floating(kind.value_type):
        raise DataError(f"{path.name}: column embedding: holds {kind.value_type}", _FLOATS)
    for column in table.column_names:
        if table[column].null_count:
            row = table[column].is_null().index(True).as_py() + 1
            raise DataError(f"{path.name}: row {row}, column {column}: is empty")
    try:
        ids = table["query_id"].cast(pa.large_string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: column query_id: is not text") from error
    lists = (each for chunk in table["embedding"].chunks for each in _arrays(chunk))
    return EmbeddingFile(path.name, "row", ids, list(lists))


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind))


def _arrays(chunk: Any) -> list[npt.NDArray[Any]]:
    """Return the lists of a chunk that has no null lists; a null inside a list becomes NaN."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(chunk).to_numpy(zero_copy_only=False)
    flat = chunk.flatten().to_numpy(zero_copy_only=False)
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _safetensors(path: Path) -> EmbeddingFile:
    from safetensors import SafetensorError, safe_open

    opener: Any = safe_open
    with _damage(path, SafetensorError, OSError), opener(path, framework="np") as file:
        metadata, names = file.metadata() or {}, list(file.keys())
        for name in names:
            kind = file.get_slice(name).get_dtype()
            if kind not in ("F16", "F32", "F64"):  # NumPy has no bfloat16
                raise DataError(f"{path.name}: tensor {name!r} is {kind}", _FLOATS)
        if "ids" in metadata and names == ["embeddings"]:
            ids = _json_ids(metadata["ids"], path.name)
            return EmbeddingFile(path.name, "row", ids, file.get_tensor("embeddings"))
        if names == ["embeddings"] and len(file.get_slice("embeddings").get_shape()) == 2:
            hint = "add metadata: ids, a JSON list of the query ids"
            raise DataError(f"{path.name}: the metadata has no ids for the matrix", hint)
        return EmbeddingFile(path.name, "tensor", names, [file.get_tensor(name) for name in names])


def _json_ids(text: str, name: str) -> list[str]:
    try:
        ids = json.loads(text)
    except ValueError:
        ids = None
    return _checked_ids(ids, f"{name}: the metadata's ids")


def _checked_ids(ids: Any, what: str) -> list[str]:
    """Return the ids as text; they may be text or whole numbers, else a `DataError` is raised."""
    if not isinstance(ids, list) or not all(type(each) in (str, int) for each in ids):
        raise DataError(f"{what}: are no list of query ids")
    return [str(each) for each in ids]


def _npy(path: Path) -> EmbeddingFile:
    with path.open("rb") as stream:
        if stream.read(6) != b"\x93NUMPY":
            raise DataError(f"{path.name}: is not a .npy file, whatever its name says")
    ids_file = _ids_file(path)
    if not ids_file.is_file():
        hint = "write the query ids there, one per line, in the order of the rows"
        raise DataError(f"{path.name}: the file {ids_file.name} is missing beside it", hint)
    try:
        vectors = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "Object arrays" in str(error):
            message = f"{path.name}: holds Python objects, which are never loaded"
            raise DataError(message, _FLOATS) from error
        raise _damaged(path) from error
    except (OSError, EOFError, SyntaxError) as error:
        raise _damaged(path) from error
    try:
        lines = ids_file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{ids_file.name}: the text is not UTF-8") from error
    if not lines[-1].strip():
        lines.pop()
    ids = [line.removesuffix("\r") for line in lines]
    if "" in ids:
        raise DataError(f"{ids_file.name}: line {ids.index('') + 1} is empty")
    return EmbeddingFile(path.name, "row", ids, vectors)


def _ids_file(path: Path) -> Path:
    return path.with_suffix(".ids.txt")


def _pt(path: Path) -> EmbeddingFile:
    try:
        import torch
    except ImportError as error:
        hint = "pip install torch, or save the vectors as .safetensors"
        raise DataError(f"{path.name}: needs torch to be read", hint) from error
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{path.name}: is damaged, or holds more than tensors, which is never loaded"
        raise DataError(message, "save a dict of query id to tensor") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise _damaged(path) from error
    if not isinstance(held, dict):
        hint = "save a dict of query id to tensor"
        raise DataError(f"{path.name}: holds a {type(held).__name__}, not a dict", hint)
    if isinstance(held.get("ids"), list):
        ids = _checked_ids(held["ids"], f"{path.name}: ids")
        return EmbeddingFile(
            path.name, "row", ids, _numpy(held.get("embeddings"), path, "embeddings")
        )
    ids = _checked_ids(list(held), f"{path.name}: the dict's keys")
    return EmbeddingFile(path.name, "tensor", ids, [_numpy(held[key], path, key) for key in held])


def _numpy(tensor: Any, path: Path, key: object) -> npt.NDArray[Any]:
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
        raise DataError(f"{path.name}: {key!r} is no dense tensor", _FLOATS)
    if tensor.dtype is torch.bfloat16:  # exact in float32; NumPy has no such type
        tensor = tensor.float()
    array: npt.NDArray[Any] = tensor.detach().numpy()
    return array


def _kind(path: Path) -> str:
    """Return the file's lower-case suffix; raise a `DataError` for no file or an unknown kind."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise DataError(f"{path}: {what}", f"give a file of vectors: {_KINDS}")
    kind = path.suffix.lower()
    if kind not in (".parquet", ".safetensors", ".npy", ".pt"):
        raise DataError(f"{path.name}: not a kind of file that can be read", f"known: {_KINDS}")
    return kind


@contextmanager
def _damage(path: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DataError:
    kind = path.suffix.lower()
    return DataError(f"{path.name}: is damaged, or no {kind} file")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
