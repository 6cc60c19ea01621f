"""Small files in the forms that other projects publish, written here; and what becomes of them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from routebench.importers import Imported, Selection, import_files
from routebench.records import SuiteData
from routebench_suites.table import TableSuite


def brought(form: str, *paths: Path, **wish: Any) -> tuple[Imported, list[dict[str, Any]]]:
    """Import files beside the first one: what is said of it, and its rows."""
    out = paths[0].parent / "made" / "outcomes.parquet"
    made = import_files(form, paths, out, Selection(**wish))
    assert [p.name for p in out.parent.iterdir()] == ["outcomes.parquet"]  # nothing half-written
    return made, pq.read_table(out).to_pylist()


def load(made: Imported) -> SuiteData:
    """The outcomes as `--suite table:FILE` reads them."""
    return TableSuite(TableSuite.Options(data=made.path)).load()


@dataclass(frozen=True)
class Name:
    """A name that a pickle asks for."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """What a pickle calls, and the state that it then gives it."""

    function: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    new: bool = False
    """By class, as `cls.__new__(cls)`."""


class _Writer(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes names and calls without there being anything of that name."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Name):
            super().save(obj.module)
            super().save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def pickled(value: Any, protocol: int = 4) -> bytes:
    """A pickle of names, calls and plain values."""
    stream = io.BytesIO()
    _Writer(stream, protocol).dump(value)
    return stream.getvalue()


def array(values: Sequence[Any], shape: tuple[int, ...]) -> Call:
    """An array of objects as NumPy 1 wrote it."""
    order = (3, "|", None, None, None, -1, -1, 63)
    kind = Call(Name("numpy", "dtype"), ("O8", False, True), order)
    empty = (Name("numpy", "ndarray"), (0,), b"b")
    state = (1, shape, kind, False, list(values))
    return Call(Name("numpy.core.multiarray", "_reconstruct"), empty, state)


def frame(columns: dict[str, list[Any]]) -> Call:
    """A table as pandas 2 wrote it: a block of objects, and one of its own for each of floats."""
    rows = len(next(iter(columns.values())))
    objects = [n for n, v in columns.items() if not all(isinstance(x, float) for x in v)]
    names = [*objects, *(n for n in columns if n not in objects)]
    cells = [cell for name in objects for cell in columns[name]]
    blocks = [_block(array(cells, (len(objects), rows)), 0, len(objects))]
    for at in range(len(objects), len(names)):
        values = np.array([columns[names[at]]], dtype=float)
        raw = (values.tobytes(), Call(Name("numpy", "dtype"), ("f8", False, True)), (1, rows), "C")
        blocks.append(_block(Call(Name("numpy.core.numeric", "_frombuffer"), raw), at, at + 1))
    index = Name("pandas.core.indexes.base", "_new_Index")
    label = Name("pandas.core.indexes.base", "Index")
    held = {"data": array(names, (len(names),)), "name": None}
    span = {"name": None, "start": 0, "stop": rows, "step": 1}
    numbers = Name("pandas.core.indexes.range", "RangeIndex")
    axes = [Call(index, (label, held)), Call(index, (numbers, span))]
    manager = Name("pandas.core.internals.managers", "BlockManager")
    state = {"_mgr": Call(manager, (tuple(blocks), axes)), "_typ": "dataframe", "attrs": {}}
    return Call(Name("pandas.core.frame", "DataFrame"), (), state, new=True)


def _block(values: Call, start: int, stop: int) -> Call:
    where = Call(Name("builtins", "slice"), (start, stop, 1))
    return Call(Name("pandas._libs.internals", "_unpickle_block"), (values, where, 2))
