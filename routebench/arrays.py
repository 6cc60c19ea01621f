"""Names of the arrays that records are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]
Strings = npt.NDArray[np.object_]
Rows = Ints | Mask
"""Row numbers, or a mask over the rows."""
