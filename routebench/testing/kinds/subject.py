"""The plugin under test, and the checks that every kind but routers shares."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from routebench.plugin.options import describe, explain, validate
from routebench.testing.rules import check, expect

PATIENCE = 1.0
ODD_TEXTS = ("", "   \n\t", "?!", "東京の人口は？", "🙂", "word " * 3000, "add\x00digits")


class PluginSubject:
    """A plugin class with the options to test it with."""

    def __init__(
        self, plugin: type[Any], options: dict[str, Any] | None = None, ask: bool = False
    ) -> None:
        self.plugin = plugin
        self.options = options or {}
        self.ask = ask
        """Whether a plugin that calls a model may do so."""

    @property
    def name(self) -> str:
        return self.plugin.__name__

    def new(self) -> Any:
        """Create a fresh object."""
        return self.plugin(validate(self.plugin, self.name, self.options))

    @cached_property
    def _temporary(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="routebench-check-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def folder(self) -> Path:
        """Create an empty folder, deleted with this object, and return it."""
        return Path(tempfile.mkdtemp(dir=self._temporary))


@check()
def check_options(subject: PluginSubject) -> None:
    """`Options` is a pydantic model that takes the options given; the others have defaults."""
    model: Any = getattr(subject.plugin, "Options", None)
    expect(
        isinstance(model, type) and issubclass(model, BaseModel),
        "a class Options(pydantic.BaseModel) inside the plugin's class",
        f"Options is {model!r}",
        "class Options(BaseModel): pass, where there are none",
    )
    try:
        model.model_validate(subject.options)
    except ValidationError as error:
        expect(
            False,
            "a default for every option that is not given",
            explain(error),
            "give a default to it, or a value to the check: options={…}, --set NAME.OPTION=VALUE",
        )
    validate(subject.plugin, subject.name, subject.options)
    describe(subject.plugin)  # `routebench plugins NAME` prints this


@check(after=check_options)
def check_init_only_stores(subject: PluginSubject) -> None:
    """`__init__(options)` stores: it changes nothing, reads nothing, calls nobody."""
    options = validate(subject.plugin, subject.name, subject.options)
    before = options.model_dump()
    seconds = min(_seconds_to_build(subject.plugin, options) for _ in range(2))
    expect(
        options.model_dump() == before,
        "the options as they were given",
        f"__init__ turned {before} into {options.model_dump()}",
        "keep derived values in attributes of the object",
    )
    expect(
        seconds < PATIENCE,
        f"__init__ to take less than {PATIENCE:g} s",
        f"{seconds:.1f} s",
        "load models and read files when they are first used",
    )


def _seconds_to_build(plugin: type[Any], options: BaseModel) -> float:
    start = time.perf_counter()
    plugin(options)
    return time.perf_counter() - start


def same(left: Any, right: Any) -> bool:
    """Return whether two columns of a record hold the same values, NaN where NaN."""
    if left is None or right is None:
        return left is right
    a, b = np.asarray(left), np.asarray(right)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def is_plain(values: Any) -> bool:
    """Return whether parameters can be written as JSON."""
    import json

    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return isinstance(values, dict)


SHARED = (check_options, check_init_only_stores)
