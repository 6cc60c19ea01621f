"""Embeddings that a CSV cell holds as the printed text of a NumPy array."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

_ROW = re.compile(r"\[([^\[\]]*)\]")
_GAP = re.compile(r",\s*,|^\s*,")


class CellError(ValueError):
    """An invalid cell, and what to do about it; the caller adds its place."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def parse_cell(text: str) -> Vector:
    """Parse [k, d] finite numbers out of a printed 1-D or 2-D array.

    Numbers stand apart by blanks, commas or line breaks, as `str(array)`, `repr(list)` and
    `numpy.array2string` write them. Nothing is evaluated.

    >>> parse_cell("[[ 1.5e-01 -2.0e+00]] ").tolist()
    [[0.15000000596046448, -2.0]]

    Raises:
        CellError: for anything else, a shortened array (`...`) above all.
    """
    body = text.strip()
    if "..." in body or "…" in body:
        raise CellError(
            "the array is cut short by `...`: its numbers are not in the file",
            "write it again after numpy.set_printoptions(threshold=sys.maxsize)",
        )
    if len(body) < 2 or body[0] != "[" or body[-1] != "]":
        raise CellError(f"{_shown(body)} is no printed array", "such as [[ 1.2e-02 -3.0e-01]]")
    inner = body[1:-1]
    rows = _ROW.findall(inner) if "[" in inner else [inner]
    if "[" in inner and _ROW.sub("", inner).strip(" \t\r\n,"):
        raise CellError(f"{_shown(body)} is no 1-D or 2-D array: its brackets do not match")
    values = [_numbers(row) for row in rows]
    widths = {len(row) for row in values}
    if len(widths) > 1:
        raise CellError(f"the array is ragged: its rows have {_list(widths)} numbers")
    if widths == {0} or not widths:
        raise CellError("the array is empty")
    with np.errstate(over="ignore"):
        vectors: Vector = np.array(values, dtype=np.float64).astype(np.float32)
    if not np.isfinite(vectors).all():
        row, column = np.argwhere(~np.isfinite(vectors))[0]
        raise CellError(
            f"number {column + 1} of the array is {values[row][column]}, which is no finite"
            " float32",
            "leave no NaN or infinity in the embeddings",
        )
    return vectors


def _numbers(row: str) -> list[float]:
    if _GAP.search(row):
        raise CellError(f"{_shown(row.strip())}: a number is missing between commas")
    try:
        return [float(token) for token in row.replace(",", " ").split()]
    except ValueError:
        bad = next(token for token in row.replace(",", " ").split() if not _is_number(token))
        raise CellError(f"{_shown(bad)} in the array is no number") from None


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _list(widths: set[int]) -> str:
    return " and ".join(str(width) for width in sorted(widths)[:4])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
