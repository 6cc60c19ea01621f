"""The models of a personalised data set: descriptions, prices, embeddings."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import DataError, did_you_mean
from routebench.importers.unpickle import read_arrays
from routebench.records import Floats, Vectors

_SHAPE = 'a JSON object of model name to {"feature": text, "input_price": 0.2, ...}, or to text'
_KINDS = ".safetensors, .npy and .pkl"


@dataclass(frozen=True, slots=True)
class ModelDescriptions:
    """The m models of a data set as a file describes them, in their order."""

    description: tuple[str, ...]
    input_price: Floats | None
    """[m] USD per million tokens; None unless every model has one."""
    output_price: Floats | None
    order: tuple[str, ...]
    """All names of the file, in its order: that of the rows of an embeddings matrix."""


def find_descriptions(folder: Path, models: Sequence[str]) -> Path | None:
    """Return a folder's `LLM_Descriptions*.json` that knows all models, else the first, if any."""
    found = sorted(folder.glob("LLM_Descriptions*.json"))
    for path in found:
        if set(models) <= set(_object(path)):
            return path
    return found[0] if found else None


def read_descriptions(path: Path, models: Sequence[str]) -> ModelDescriptions:
    """Read what a file says of these models; a `DataError` where one is not in it."""
    held = _object(path)
    for model in models:
        if model not in held:
            raise DataError(
                f"{path.name}: the data's model {model!r} is not described",
                did_you_mean(model, held),
            )
    texts, prices = [], []
    for model in models:
        entry = held[model]
        fields = {"feature": entry} if isinstance(entry, str) else entry
        text = None
        if isinstance(fields, dict):
            text = fields.get("feature", fields.get("description"))
        if not isinstance(text, str):
            raise DataError(f"{path.name}: model {model!r} has no feature or description", _SHAPE)
        texts.append(text)
        prices.append(
            [_price(path, model, fields, f"{part}_price") for part in ("input", "output")]
        )
    table = np.array(prices, dtype=np.float64).reshape(-1, 2)
    return ModelDescriptions(
        tuple(texts),
        _complete(table[:, 0]),
        _complete(table[:, 1]),
        tuple(held),
    )


def _complete(prices: Floats) -> Floats | None:
    return prices.copy() if np.isfinite(prices).all() else None


def _price(path: Path, model: str, fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise DataError(f"{path.name}: model {model!r}: {name} {value!r} is no price")
    return float(value)


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", f"a descriptions file is {_SHAPE}")
    try:
        held = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: the text is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not JSON: {error}") from None
    if not isinstance(held, dict):
        raise DataError(f"{path.name}: holds no JSON object", f"a descriptions file is {_SHAPE}")
    return held


def read_embeddings(path: Path, models: Sequence[str], order: Sequence[str] | None) -> Vectors:
    """Read [m, d] one embedding per model, by name or by the order of the descriptions file.

    - `.safetensors`: a vector per model name, or one matrix, its names in the metadata's `ids`.
    - `.npy`: a matrix, its names one per line in `NAME.ids.txt` beside `NAME.npy`.
    - `.pkl`: a dict of vectors by model name, or a matrix.

    A matrix without names has the rows of the descriptions file, in its order.
    """
    readers = {".safetensors": _safetensors, ".npy": _npy, ".pkl": read_arrays}
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", f"a file of model embeddings: {_KINDS}")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path.name}: not a kind of file that can be read", f"known: {_KINDS}")
    held = reader(path)
    if not isinstance(held, dict):
        held = _named(path, _numbers(path, held, "the matrix"), order)
    vectors: list[Vectors] = []
    for model in models:
        if model not in held:
            hint = did_you_mean(model, [name for name in held if isinstance(name, str)])
            raise DataError(f"{path.name}: there is no embedding of model {model!r}", hint)
        vector = _numbers(path, held[model], f"the embedding of {model!r}")
        if vector.ndim == 2 and len(vector) == 1:
            vector = vector[0]
        if vector.ndim != 1 or not vector.size:
            raise DataError(f"{path.name}: the embedding of {model!r} has shape {vector.shape}")
        if vectors and vector.shape != vectors[0].shape:
            raise DataError(
                f"{path.name}: the embedding of {model!r} has {len(vector)} numbers, that of"
                f" {models[0]!r} {len(vectors[0])}"
            )
        vectors.append(vector)
    return np.stack(vectors)


def _named(path: Path, matrix: Vectors, order: Sequence[str] | None) -> dict[str, Any]:
    if order is None:
        raise DataError(
            f"{path.name}: nothing says which model a row of the matrix is of",
            "give the LLM_Descriptions file whose order it has, or a vector per model name",
        )
    if matrix.ndim != 2 or len(matrix) != len(order):
        raise DataError(
            f"{path.name}: has shape {matrix.shape}, not one row for each of the {len(order)}"
            " models of the descriptions file"
        )
    return dict(zip(order, matrix, strict=True))


def _numbers(path: Path, held: Any, what: str) -> Vectors:
    try:
        array: npt.NDArray[Any] = np.asarray(held)
    except (ValueError, TypeError, RecursionError):
        raise DataError(f"{path.name}: {what} is no array of numbers") from None
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path.name}: {what} is no array of numbers, but {array.dtype}")
    with np.errstate(over="ignore"):
        values: Vectors = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path.name}: {what} holds a NaN or an infinity")
    return values


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    opener: Any = safe_open
    try:
        with opener(path, framework="np") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
            held = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: NumPy has no bfloat16
        raise _damaged(path, error) from error
    if len(names) == 1 and held[names[0]].ndim == 2 and len(held[names[0]]) != 1:
        matrix = held[names[0]]
        return _with_ids(path, matrix, metadata["ids"]) if "ids" in metadata else matrix
    return held


def _with_ids(path: Path, matrix: Any, text: str) -> dict[str, Any]:
    try:
        ids = json.loads(text)
    except ValueError:
        ids = None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise DataError(f"{path.name}: the metadata's ids are no list of model names")
    return _by_id(path, matrix, ids)


def _npy(path: Path) -> Any:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise _damaged(path, error) from error
    ids_file = path.with_suffix(".ids.txt")
    if not ids_file.is_file():
        return matrix
    try:
        ids = ids_file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{ids_file.name}: the text is not UTF-8") from error
    return _by_id(path, matrix, ids)


def _by_id(path: Path, matrix: Any, ids: Sequence[str]) -> dict[str, Any]:
    if matrix.ndim != 2 or len(matrix) != len(ids) or len(set(ids)) != len(ids):
        raise DataError(f"{path.name}: has shape {matrix.shape} for {len(set(ids))} model names")
    return dict(zip(ids, matrix, strict=True))


def _damaged(path: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split())[:160]
    return DataError(
        f"{path.name}: is damaged, or no {path.suffix.lower()} file of numbers: {text}",
        "save the embeddings as float32",
    )
