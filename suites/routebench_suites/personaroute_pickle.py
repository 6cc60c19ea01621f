"""Arrays out of a pickle without running it: a pickle may name any function and call it.

Only the names by which NumPy pickles its arrays are known here, and they do not stand for NumPy's
functions but for small ones below that take shape, type and bytes and check them. Every other
name is refused before anything is imported.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import DataError

_HINT = "only arrays of numbers are read from a pickle; save them as .npy or .safetensors"
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")


def read_pickle(path: Path) -> Any:
    """What a pickle holds: arrays, numbers, text and lists, tuples and dicts of them.

    Raises:
        DataError: for a pickle that names anything else, saying what, and for a damaged one.
    """
    try:
        with path.open("rb") as stream:
            return _plain(_Unpickler(stream, path.name).load())
    except DataError:
        raise
    # Damaged pickles raise nearly anything, MemoryError and RecursionError included.
    except Exception as error:
        text = " ".join(str(error).split())[:160]
        raise DataError(
            f"{path.name}: is damaged, or no pickle of arrays: {text}".removesuffix(": "), _HINT
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, name: str) -> None:
        super().__init__(stream)
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        makers: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): _never,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): _encode,
            ("__builtin__", "bytes"): _no_bytes,
        }
        for each in _ARRAY_MODULES:
            makers[each, "_reconstruct"] = _reconstruct
            makers[each, "scalar"] = _scalar
        for each in _BUFFER_MODULES:
            makers[each, "_frombuffer"] = _from_buffer
        maker = makers.get((module, name))
        if maker is None:
            raise DataError(
                f"{self._name}: asks for {module}.{name}, which is refused"[:300], _HINT
            )
        return _Callable(maker)

    def persistent_load(self, pid: Any) -> Any:
        raise DataError(f"{self._name}: refers to objects outside of it, which is refused", _HINT)


class _Callable:
    """Made anew for every name, and without a `__dict__`: a pickle can set attributes too."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)


class _Type:
    """A NumPy type in the making; only real numbers become one."""

    __slots__ = ("_kind", "_order")

    def __init__(self, kind: Any, *_: Any) -> None:
        self._kind = kind
        self._order = "="

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """The type, in the byte order that it was saved in."""
        if not isinstance(self._kind, str) or self._order not in ("<", ">", "=", "|"):
            raise ValueError("an array of an unknown type")
        found = np.dtype(self._kind)
        if found.kind not in "biuf":
            raise ValueError(f"an array of {found}, not of numbers")
        swapped = self._order not in ("|", "=", "<" if sys.byteorder == "little" else ">")
        return found.newbyteorder("S") if swapped else found


class _Array:
    """An array in the making: its shape, type and bytes come in a second step."""

    __slots__ = ("value",)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        self.value = _from_buffer(raw, kind, shape, "F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(kind: Any, raw: Any) -> Any:
    return _from_buffer(raw, kind, (), "C")[()]


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> Any:
    if not isinstance(kind, _Type):
        raise ValueError("an array of an unknown type")
    found = kind.dtype()
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError("an array that is not held as bytes")
    flat = np.frombuffer(bytes(raw), dtype=found)
    return flat.reshape(tuple(int(each) for each in shape), order="F" if order == "F" else "C")


def _no_bytes() -> bytes:
    """How they write none."""
    return b""


def _encode(text: str, encoding: str) -> bytes:
    """How old protocols write bytes."""
    if encoding != "latin1":
        raise ValueError(f"text in {encoding}")
    return text.encode("latin1")


def _never(*_: Any) -> Any:
    raise ValueError("an array that is made in an unknown way")


def _plain(value: Any) -> Any:
    """Arrays where there were arrays in the making."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
