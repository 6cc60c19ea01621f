"""Checks of encoders: one finite vector per text, by itself, the same after save and load."""

from __future__ import annotations

import shutil
import unittest
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from routebench.plugin.optional import is_by_id, is_stateless
from routebench.records import Vectors
from routebench.testing.checkpoints import pickles
from routebench.testing.kinds.subject import (
    ODD_TEXTS,
    SHARED,
    PluginSubject,
    check_init_only_stores,
)
from routebench.testing.rules import Check, check, expect
from routebench.testing.tables import synthetic_tables

_MEMBERS = ("fit", "encode", "save", "load")
_CLOSE = 1e-4


class EncoderSubject(PluginSubject):
    """An encoder class, and one of its objects fitted on training texts."""

    @cached_property
    def texts(self) -> list[str]:
        return list(synthetic_tables(80, 4, 4).train.queries.text)

    def fit(self, texts: list[str]) -> Any:
        """Return a new encoder as a job has it: fitted, or with its device where stateless."""
        encoder = self.new()
        if is_by_id(self.plugin):
            raise unittest.SkipTest("it knows vectors by query id only")
        if is_stateless(self.plugin):
            encoder.device = "cpu"
        else:
            encoder.fit(texts)
        return encoder

    @cached_property
    def fitted(self) -> Any:
        # First once with little: only libraries that are loaded can be kept to one thread.
        self.fit(self.texts[:20])
        with threadpool_limits(1):
            return self.fit(self.texts)


def encode(encoder: Any, texts: list[str]) -> Vectors:
    """Return the vectors of some texts, checked."""
    made = np.asarray(encoder.encode(texts))
    shape = (len(texts), int(encoder.dimension))
    expect(
        made.shape == shape,
        f"vectors of shape {shape}: a row per text, as long as `dimension` says",
        f"{made.shape}",
    )
    expect(made.dtype.kind == "f", "floating-point numbers", f"{made.dtype}", "np.float32")
    expect(bool(np.isfinite(made).all()), "finite numbers", "NaN or infinity")
    return made


@check(after=check_init_only_stores)
def check_members(subject: EncoderSubject) -> None:
    """It has fit, encode, save, load, dimension and fingerprint; `lookup` where it is by_id."""
    by_id = is_by_id(subject.plugin)
    methods = [name for name in _MEMBERS if not callable(getattr(subject.plugin, name, None))]
    expect(by_id or not methods, f"methods {', '.join(_MEMBERS)}", f"no {', '.join(methods)}")


@check(after=check_members)
def check_encode(subject: EncoderSubject) -> None:
    """`encode(texts)` returns finite vectors [texts, dimension]."""
    encode(subject.fitted, subject.texts)


@check(after=check_encode)
def check_each_by_itself(subject: EncoderSubject) -> None:
    """A text gets the same vector alone and among others."""
    some = subject.texts[:6]
    together = encode(subject.fitted, some)
    alone = np.concatenate([encode(subject.fitted, [text]) for text in some])
    distance = float(np.abs(together - alone).max())
    expect(
        distance <= _CLOSE,
        "the same vector alone and in a batch",
        f"they differ by up to {distance:.2g}",
        "normalise a vector by itself, and by nothing of the batch",
    )


@check(after=check_encode)
def check_tells_texts_apart(subject: EncoderSubject) -> None:
    """Different texts get different vectors."""
    made = encode(subject.fitted, subject.texts)
    expect(len(np.unique(made, axis=0)) > 1, "different vectors", "one vector for all texts")


@check(after=check_encode)
def check_odd_texts(subject: EncoderSubject) -> None:
    """Empty, very long and foreign texts get finite vectors."""
    encode(subject.fitted, list(ODD_TEXTS))


@check(after=check_encode)
def check_few_texts(subject: EncoderSubject) -> None:
    """Three training texts are enough."""
    few = subject.texts[:3]
    encode(subject.fit(few), few)


@check(after=check_encode)
def check_repeatable(subject: EncoderSubject) -> None:
    """A new encoder on the same texts gives the same vectors, whatever the global seed."""
    first = encode(subject.fitted, subject.texts)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    try:
        second = encode(subject.fit(subject.texts), subject.texts)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    distance = float(np.abs(first - second).max()) if first.shape == second.shape else np.inf
    expect(
        distance <= _CLOSE,
        "the same vectors again",
        f"they differ by up to {distance:.2g}",
        "give every generator a fixed seed",
    )


@check(after=check_encode)
def check_fingerprint(subject: EncoderSubject) -> None:
    """`fingerprint` is a text: one and the same for equal fits, another for other texts."""
    own: Any = subject.fitted.fingerprint
    expect(isinstance(own, str) and bool(own), "a text", f"{own!r}")
    again = subject.fit(subject.texts).fingerprint
    expect(own == again, "the same fingerprint for the same fit", f"{own} and {again}")
    if is_stateless(subject.plugin):
        return
    probe = subject.texts[:5]
    other = subject.fit(subject.texts[::2])
    known, unlike = encode(subject.fitted, probe), encode(other, probe)
    if known.shape == unlike.shape and np.allclose(known, unlike):
        return  # it learns nothing from them
    expect(
        own != other.fingerprint,
        "another fingerprint where vectors are others",
        f"{own} for both",
        "hash what was learned",
    )


@check(after=check_encode)
def check_save_and_load(subject: EncoderSubject) -> None:
    """A new encoder that loads the saved one gives its vectors, dimension and fingerprint."""
    if is_stateless(subject.plugin):
        return  # neither is called
    first, folder = subject.folder() / "written", subject.folder() / "moved"
    first.mkdir()
    subject.fitted.save(first)
    shutil.move(first, folder)
    loaded = subject.new()
    loaded.load(folder)
    for name in ("dimension", "fingerprint"):
        before, after = getattr(subject.fitted, name), getattr(loaded, name)
        expect(before == after, f"{name} {before} after load", f"{after}")
    distance = float(
        np.abs(encode(subject.fitted, subject.texts) - encode(loaded, subject.texts)).max()
    )
    expect(
        distance <= _CLOSE,
        "the same vectors after save and load",
        f"they differ by up to {distance:.2g}",
        "save everything that fit sets and encode reads",
    )


@check(after=check_save_and_load)
def check_no_pickle(subject: EncoderSubject) -> None:
    """What is saved holds nothing that runs code when it is read."""
    if is_stateless(subject.plugin):
        return
    folder = subject.folder()
    subject.fitted.save(folder)
    found = pickles(folder)
    expect(
        not found,
        "no pickle",
        f"pickled: {', '.join(found)}",
        "routebench.plugin.checkpoint.save(folder, meta, arrays) writes safetensors and JSON",
    )


CHECKS: tuple[Check, ...] = (
    *SHARED,
    check_members,
    check_encode,
    check_each_by_itself,
    check_tells_texts_apart,
    check_odd_texts,
    check_few_texts,
    check_repeatable,
    check_fingerprint,
    check_save_and_load,
    check_no_pickle,
)
