"""Vectors in cells of a CSV file, and what is wrong with one."""

from __future__ import annotations

import numpy as np
import pytest

from routebench_suites.personaroute.cells import CellError, parse_cell

# Cells

GOOD_CELLS = {
    "[[ 1.2e-02 -3e-01  4.]]": [[0.012, -0.3, 4]],
    "[[1, 2,\n  3]]   ": [[1, 2, 3]],
    "[1.5\t2.5]": [[1.5, 2.5]],
    "[[1 2]\n [3 4]]": [[1, 2], [3, 4]],
    "[[1., 2.], [3., 4.]]": [[1, 2], [3, 4]],
    str(np.random.default_rng(0).standard_normal((1, 90)).astype(np.float32)): None,
}


@pytest.mark.parametrize("text", GOOD_CELLS)
def test_cells(text: str) -> None:
    wanted = GOOD_CELLS[text]
    if wanted is None:
        wanted = np.random.default_rng(0).standard_normal((1, 90)).tolist()
    np.testing.assert_allclose(parse_cell(text), np.array(wanted), rtol=1e-5, atol=1e-6)


BAD_CELLS = {
    "[[1. 2. ... 3.]]": "cut short",
    "[[1. … 3.]]": "cut short",
    "[[1. 2.": "no printed array",
    "": "no printed array",
    "1.0 2.0": "no printed array",
    "[[1 2] 3]": "brackets do not match",
    "[[1 2] [3]]": "ragged: its rows have 1 and 2 numbers",
    "[[[1 2]]]": "brackets do not match",
    "[[]]": "empty",
    "[[1,,2]]": "a number is missing",
    "[[1 x2]]": "'x2' in the array is no number",
    "[[__import__('os').getcwd()]]": "is no number",
    "[[1 inf]]": "number 2 of the array is inf",
    "[[1e300 1]]": "number 1 of the array is 1e\\+300, which is no finite float32",
}


@pytest.mark.parametrize("text", BAD_CELLS)
def test_bad_cells(text: str) -> None:
    with pytest.raises(CellError, match=BAD_CELLS[text]):
        parse_cell(text)
