"""Read arrays and tables from a pickle without executing it, as a pickle may call anything.

Only the names by which NumPy and pandas pickle their data are known here, and they do not stand
for those libraries' functions but for small ones below that take shape, type and bytes and check
them. Every other name is refused before anything is imported; neither pandas nor the module that
a pickle names is ever needed.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from routebench import limits
from routebench.errors import DataError
from routebench.redact import one_line

_ARRAYS = "only arrays of numbers are read from a pickle; save them as .npy or .safetensors"
_FRAMES = (
    "only tables of text and numbers are read from a pickle; save others with"
    " DataFrame.to_parquet, in a place that you trust the pickle to do as it likes"
)
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")


def read_arrays(path: Path) -> Any:
    """Read a pickle of arrays, numbers, text and lists, tuples and dicts of them.

    Raises:
        DataError: for a pickle that names anything else, saying what, and for a damaged one.
    """
    return _load(path, _array_makers(_Type), "a pickle of arrays", _ARRAYS, _plain)


def read_frame(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read the columns of a pickled pandas table, each as an array of its own, without pandas.

    Cells are numbers, bools, text or None. Tables of pandas 0.25 to 2 are known, and those of
    pandas 3 whose text is kept as objects.

    Raises:
        DataError: for a pickle of anything else, saying what, and for a damaged one.
    """
    makers = _array_makers(_AnyType) | _frame_makers()
    columns: dict[str, np.ndarray[Any, Any]] = _load(
        path, makers, "a pickled table", _FRAMES, _columns
    )
    return columns


Makers = Mapping[tuple[str, str], Callable[..., Any]]


def _load(path: Path, makers: Makers, what: str, hint: str, finish: Callable[[Any], Any]) -> Any:
    try:
        with limits.within_memory(path), path.open("rb") as stream:
            return finish(_Unpickler(stream, path.name, makers, hint).load())
    except DataError:
        raise
    # Damaged pickles raise nearly anything, MemoryError and RecursionError included.
    except Exception as error:
        text = one_line(str(error), 160)
        message = f"{path.name}: is damaged, or not {what}: {text}".removesuffix(": ")
        raise DataError(message, hint) from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, name: str, makers: Makers, hint: str) -> None:
        super().__init__(stream)
        self._name, self._makers, self._hint = name, makers, hint

    def find_class(self, module: str, name: str) -> Any:
        maker = self._makers.get((module, name))
        if maker is None:
            asked = one_line(f"{module}.{name}", 200)
            raise DataError(f"{self._name}: asks for {asked}, which is refused", self._hint)
        if isinstance(maker, type) and issubclass(maker, _Made):
            # Pickle makes these by class; a class of its own keeps what it sets from the others.
            return type(maker.__name__, (maker,), {"__slots__": ()})
        return _Callable(maker)

    def persistent_load(self, pid: Any) -> Any:
        raise DataError(
            f"{self._name}: refers to objects outside of it, which is refused", self._hint
        )


class _Callable:
    """A callable made anew for every name, without the `__dict__` that a pickle could change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)


# Arrays


class _Type:
    """A NumPy type under construction; only types of real numbers are accepted."""

    __slots__ = ("_kind", "_order")
    KINDS = "biuf"

    def __init__(self, kind: Any, *_: Any) -> None:
        self._kind = kind
        self._order = "="

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """Return the type, in the byte order that it was saved in."""
        if not isinstance(self._kind, str) or self._order not in ("<", ">", "=", "|"):
            raise ValueError("an array of an unknown type")
        found = np.dtype(self._kind)
        if found.kind not in self.KINDS:
            raise ValueError(f"an array of {found}, not of numbers")
        swapped = self._order not in ("|", "=", "<" if sys.byteorder == "little" else ">")
        return found.newbyteorder("S") if swapped else found


class _AnyType(_Type):
    """A type that may also be of objects, which come as a list."""

    __slots__ = ()
    KINDS = "biufO"


class _Array:
    """An array under construction: its shape, type and bytes come in a second step."""

    __slots__ = ("value",)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        self.value = _from_buffer(raw, kind, shape, "F" if fortran else "C")


def _array_makers(kind: type[_Type]) -> dict[tuple[str, str], Callable[..., Any]]:
    makers: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _never,
        ("numpy", "dtype"): kind,
        ("_codecs", "encode"): _encode,
        ("__builtin__", "bytes"): _no_bytes,
    }
    for each in _ARRAY_MODULES:
        makers[each, "_reconstruct"] = _reconstruct
        makers[each, "scalar"] = _scalar
    for each in _BUFFER_MODULES:
        makers[each, "_frombuffer"] = _from_buffer
    return makers


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(kind: Any, raw: Any) -> Any:
    return _from_buffer(raw, kind, (), "C")[()]


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> Any:
    if not isinstance(kind, _Type):
        raise ValueError("an array of an unknown type")
    found = kind.dtype()
    sizes = tuple(int(each) for each in shape)
    if found.kind == "O":
        if not isinstance(raw, list):
            raise ValueError("an array of objects that is not held as a list")
        # Written one by one in C order, whatever the array's own.
        return np.fromiter(raw, dtype=object, count=len(raw)).reshape(sizes)
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError("an array that is not held as bytes")
    flat = np.frombuffer(bytes(raw), dtype=found)
    return flat.reshape(sizes, order="F" if order == "F" else "C")


def _no_bytes() -> bytes:
    """Return empty bytes, as old protocols write them."""
    return b""


def _encode(text: str, encoding: str) -> bytes:
    """Return bytes, as old protocols write them."""
    if encoding != "latin1":
        raise ValueError(f"text in {encoding}")
    return text.encode("latin1")


def _never(*_: Any) -> Any:
    raise ValueError("an array that is made in an unknown way")


def _plain(value: Any) -> Any:
    """Replace arrays under construction by arrays; a shared object is converted once."""
    made: dict[int, Any] = {}

    def plain(each: Any) -> Any:
        if isinstance(each, _Array):
            return each.value
        if not isinstance(each, (dict, list, tuple)):
            return each
        if id(each) not in made:
            if isinstance(each, dict):
                made[id(each)] = {key: plain(inner) for key, inner in each.items()}
            else:
                made[id(each)] = [plain(inner) for inner in each]
        return made[id(each)]

    return plain(value)


# Tables


class _Made:
    """An object that a pickle creates by class and then fills."""

    __slots__ = ()


class _Frame(_Made):
    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Manager(_Made):
    """A table's blocks of columns of one type, and its two axes: columns and rows."""

    __slots__ = ("axes", "blocks")

    def __init__(self, blocks: Any = (), axes: Any = (), *_: Any) -> None:
        self.blocks, self.axes = blocks, axes

    def __setstate__(self, state: Any) -> None:
        held = state[-1]["0.14.1"]  # how pandas before 1.3 names the form that it writes
        self.axes = held["axes"]
        self.blocks = [(each["values"], each["mgr_locs"]) for each in held["blocks"]]


class _Label(_Made):
    """A class of pandas that a pickle only names."""

    __slots__ = ()


def _frame_makers() -> dict[tuple[str, str], Callable[..., Any]]:
    block = (
        ("_unpickle_block", "pandas._libs.internals"),
        ("new_block", "pandas.core.internals.blocks"),
    )
    managers = ("pandas.core.internals.managers", "pandas.core.internals")
    makers: dict[tuple[str, str], Callable[..., Any]] = {
        ("pandas.core.frame", "DataFrame"): _Frame,
        ("pandas", "DataFrame"): _Frame,
        ("pandas.core.indexes.base", "_new_Index"): _index,
        ("pandas._libs.internals", "BlockPlacement"): _same,
        ("builtins", "slice"): slice,
        ("__builtin__", "slice"): slice,
        ("builtins", "bytearray"): _bytearray,
        ("__builtin__", "bytearray"): _bytearray,
    }
    makers |= {(module, name): _block for name, module in block}
    makers |= {(module, "BlockManager"): _Manager for module in managers}
    for name, module in (("Index", "base"), ("RangeIndex", "range"), ("Int64Index", "numeric")):
        makers["pandas", name] = makers[f"pandas.core.indexes.{module}", name] = _Label
    return makers


def _block(values: Any, placement: Any, *_: Any) -> tuple[Any, Any]:
    return values, placement


def _index(_: Any, held: Any) -> Any:
    return held.get("data")


def _same(value: Any) -> Any:
    return value


def _bytearray(raw: Any = b"", *_: Any) -> bytearray:
    if not isinstance(raw, bytes):
        raise ValueError("bytes that are made in an unknown way")
    return bytearray(raw)


def _columns(frame: Any) -> dict[str, np.ndarray[Any, Any]]:
    if not isinstance(frame, _Frame):
        raise ValueError(f"it holds {type(frame).__name__.strip('_').lower()}")
    manager = frame.state.get("_mgr", frame.state.get("_data"))
    names = _plain(manager.axes[0]).tolist()
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("its columns are not each named by a text of its own")
    found: dict[str, np.ndarray[Any, Any]] = {}
    for values, placement in manager.blocks:
        rows, where = _plain(values), _plain(placement)
        at = range(len(names))[where] if isinstance(where, slice) else where.tolist()
        for position, row in zip(at, rows, strict=True):
            found[names[position]] = row
    columns = {name: found[name] for name in names}
    if len({column.shape for column in columns.values()}) > 1:
        raise ValueError("its columns are not of one length")
    return columns
