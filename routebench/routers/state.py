"""Saved state that a router declares as annotated attributes of its class."""

from __future__ import annotations

import types
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from routebench.encode import encoders
from routebench.errors import DataError, PluginError
from routebench.hookspecs import FittedEncoder
from routebench.plugin import checkpoint
from routebench.plugin.defaults import Defaults
from routebench.plugin.options import explain

_KINDS = "arrays of numbers, plain values, dataclasses of these, and the encoder can be saved"
_TRAIN_AGAIN = "another version of the router has saved it: train it again"


class DeclaredState(Defaults):
    """A router whose annotated class attributes are its state: saved and loaded for it.

    ```python
    weights: np.ndarray          # arrays of numbers, or a dict of them by name: safetensors
    names: dict[str, int]        # plain values, and what pydantic makes of them: JSON
    words: WordWeights           # a dataclass, arrays in it or not
    encoder: FittedEncoder       # context.encoder
    limit: float | None = None   # with a value in the class, it need not be set
    ```

    `options` and `ClassVar` are no state. Values that follow from the state are
    `functools.cached_property`; other attributes have names that start with an underscore, and
    are not saved. Nothing is pickled. A `fit` of the router's own calls `forget` first, a `refit`
    `forget_derived`.
    """

    def save(self, folder: Path) -> None:
        """Write the declared state; a `PluginError` for what is not set or cannot be saved."""
        files = _Files(folder, {}, {})
        state = declared(type(self))
        for name, hint in state.items():
            place = f"{type(self).__name__}.{name}"
            if not hasattr(self, name):
                raise PluginError(
                    f"{place} is declared, but not set",
                    "set it when the router learns, or give it a value in the class",
                )
            _write(hint, place, _key(name), getattr(self, name), files.meta, files)
        for name in sorted(vars(self).keys() - state.keys() - {"options"}):
            if not name.startswith("_") and not _is_derived(self, name):
                raise PluginError(
                    f"{type(self).__name__}.{name} is set, but not declared: it would not be saved",
                    f"declare it in the class as `{name}: …`, or call it _{name}",
                )
        checkpoint.save(folder, files.meta, files.arrays)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; a `DataError` where something is missing or does not fit."""
        self.forget()
        files = _Files(folder, *checkpoint.load(folder))
        for name, hint in declared(type(self)).items():
            key = _key(name)
            if not _is_saved(key, files):
                if hasattr(self, name):
                    continue
                raise DataError(f"{folder}: the checkpoint has no {key}", _TRAIN_AGAIN)
            place = f"{folder / checkpoint.META if key in files.meta else folder}: {key}"
            try:
                setattr(self, name, _read(hint, key, files.meta, files))
            except ValidationError as error:
                raise DataError(_said(error, place), _TRAIN_AGAIN) from error
            except KeyError as error:
                raise DataError(f"{place} is incomplete: no {error}", _TRAIN_AGAIN) from error
            except (TypeError, ValueError) as error:
                text = shorten(f"{place} cannot be read: {error}", 300)
                raise DataError(text, _TRAIN_AGAIN) from error

    def forget(self) -> None:
        """Reset all state to the class's values, and delete what follows from it."""
        self.forget_derived()
        state = declared(type(self))
        for name in list(vars(self)):
            if name in state:
                delattr(self, name)
        for name in state:
            if hasattr(type(self), name):  # a copy: one that is changed in place stays the object's
                setattr(self, name, deepcopy(getattr(type(self), name)))

    def forget_derived(self) -> None:
        """Delete what follows from the state, which is about to change."""
        for name in list(vars(self)):
            if _is_derived(self, name):
                delattr(self, name)


def declared(router: type[Any]) -> Mapping[str, Any]:
    """Return the types of a class's state by name; a `PluginError` for one that cannot be saved."""
    try:
        hints = get_type_hints(router)
    except NameError as error:
        raise PluginError(
            f"{router.__name__}: a type of its state is unknown: {error}",
            "import it at the top of the file, outside of `if TYPE_CHECKING`",
        ) from error
    found = {
        name: hint
        for name, hint in hints.items()
        if name != "options" and ClassVar not in (hint, get_origin(hint))
    }
    for name, hint in found.items():
        _check(hint, f"{router.__name__}.{name}")
    if len({_key(name) for name in found}) < len(found):
        raise PluginError(f"{router.__name__}: two names of its state differ in underscores only")
    return found


@dataclass(frozen=True)
class _Files:
    """A checkpoint's folder and what its files hold."""

    folder: Path
    meta: dict[str, Any]
    arrays: dict[str, Any]


def _is_derived(router: Any, name: str) -> bool:
    return isinstance(getattr(type(router), name, None), cached_property)


def _key(name: str) -> str:
    return name.lstrip("_")


def _is_saved(key: str, files: _Files) -> bool:
    return key in files.meta or key in files.arrays or (files.folder / key).is_dir()


def _check(hint: Any, place: str) -> None:
    hint = _without_none(hint)
    if _is_array(hint) or _is_arrays(hint) or hint is FittedEncoder or hasattr(hint, "from_json"):
        return
    if _is_record(hint):
        for name, inner in _fields(hint).items():
            _check(inner, f"{place}.{name}")
        return
    try:
        _adapter(hint)
    except PydanticUserError as error:
        shown = getattr(hint, "__name__", hint)
        raise PluginError(f"{place}: a {shown} cannot be saved", _KINDS) from error


def _write(
    hint: Any, place: str, key: str, value: Any, meta: dict[str, Any], files: _Files
) -> None:
    """Put a value into the part of the JSON that is its own, the arrays, or the folder."""
    plain, name = _without_none(hint), key.rpartition(".")[2]
    if value is None and plain is not hint:
        meta[name] = None
    elif _is_array(plain):
        known = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        files.arrays[key] = _expect(known, place, "array of numbers", value)
    elif _is_arrays(plain):
        meta[name] = sorted(_expect(isinstance(value, dict), place, "dict", value))
        for inner, part in value.items():
            _write(np.ndarray, f"{place}[{inner!r}]", f"{key}.{inner}", part, meta, files)
    elif plain is FittedEncoder:
        _expect(hasattr(value, "save"), place, "encoder", value).save(files.folder / key)
    elif hasattr(plain, "from_json"):
        meta[name] = value.to_json()
    elif _is_record(plain):
        _expect(isinstance(value, plain), place, plain.__name__, value)
        meta[name] = {}
        for inner, kind in _fields(plain).items():
            part = getattr(value, inner)
            _write(kind, f"{place}.{inner}", f"{key}.{inner}", part, meta[name], files)
    else:
        meta[name] = _plain(hint, place, value)


def _expect(fits: bool, place: str, kind: str, value: Any) -> Any:
    if fits:
        return value
    found = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise PluginError(f"{place} is not as declared: {found} instead of {kind}")


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:
        return TypeAdapter(hint)  # a model or dataclass has settings of its own


def _plain(hint: Any, place: str, value: Any) -> Any:
    adapter = _adapter(hint)
    try:
        adapter.validate_python(value, strict=True)
        return adapter.dump_python(value, mode="json")
    except ValidationError as error:
        raise PluginError(_said(error, place)) from error
    except PydanticSerializationError as error:
        raise PluginError(f"{place}: a {type(value).__name__} cannot be saved", _KINDS) from error


def _read(hint: Any, key: str, meta: dict[str, Any], files: _Files) -> Any:
    """Return a value from where `_write` has put it; a `KeyError` where a part is missing."""
    plain, name = _without_none(hint), key.rpartition(".")[2]
    if plain is not hint and name in meta and meta[name] is None:
        return None
    if _is_array(plain):
        # Older checkpoints have the arrays of a dataclass under the fields' names alone,
        return files.arrays[key if key in files.arrays else name]
    if _is_arrays(plain):
        return {inner: files.arrays[f"{key}.{inner}"] for inner in meta[name]}
    if plain is FittedEncoder:
        return encoders.load(files.folder / key)
    value = meta[name]
    if hasattr(plain, "from_json"):
        return plain.from_json(value)
    if not _is_record(plain):
        return _adapter(hint).validate_python(value)
    hints = _fields(plain)
    if not isinstance(value, dict):  # and its only plain field, where it has one, as it is.
        value = dict.fromkeys(hints, value)
    return plain(**{inner: _read(hints[inner], f"{key}.{inner}", value, files) for inner in hints})


def _said(error: ValidationError, place: str) -> str:
    return shorten(explain(error, f"{place}."), 300)


def _without_none(hint: Any) -> Any:
    """Return X for `X | None`; anything else as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        others = [each for each in get_args(hint) if each is not types.NoneType]
        if len(others) == 1:
            return others[0]
    return hint


def _fields(record: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields by name."""
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record) if field.init}


def _is_array(hint: Any) -> bool:
    return np.ndarray in (hint, get_origin(hint))


def _is_arrays(hint: Any) -> bool:
    return get_origin(hint) is dict and get_args(hint)[0] is str and _is_array(get_args(hint)[1])


def _is_record(hint: Any) -> bool:
    """Return whether the type is a dataclass that has arrays; pydantic takes all others."""
    if not (isinstance(hint, type) and is_dataclass(hint)):
        return False
    inner = [_without_none(each) for each in _fields(hint).values()]
    return any(
        _is_array(each) or _is_arrays(each) or each is FittedEncoder or _is_record(each)
        for each in inner
    )
