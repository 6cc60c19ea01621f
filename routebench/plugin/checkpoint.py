"""Checkpoints: arrays as safetensors, the rest as JSON. Nothing in them is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import DataError

META = "state.json"
_ARRAYS = "arrays.safetensors"


def save(
    folder: Path, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None
) -> None:
    """Write JSON-able `meta` and numeric arrays into `folder`, making it if need be."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if arrays:
        tensors = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        save_file(tensors, folder / _ARRAYS)
    (folder / META).write_text(json.dumps(meta, indent=2, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `save` wrote; a `DataError` where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if not isinstance(meta, dict):
            raise DataError(f"{folder / META}: not a JSON object, the checkpoint is damaged")
        path = folder / _ARRAYS
        return meta, load_file(path) if path.exists() else {}
    except FileNotFoundError as error:
        raise DataError(f"no checkpoint in {folder}: {META} is missing") from error
    except (ValueError, SafetensorError) as error:
        raise DataError(f"the checkpoint in {folder} is damaged: {error}") from error
