"""Compare bought answers, and make the step that stops with one."""

from __future__ import annotations

import numpy as np

from routebench.bought import Bought, Steps
from routebench.hookspecs import FittedEncoder
from routebench.records import Floats, Ints, Mask, Strings


def codes(final: Strings) -> Ints:
    """Return a number for each final answer [n, m], equal where they are; −1 for none."""
    known: dict[str, int] = {}
    numbers = [-1 if one is None else known.setdefault(str(one), len(known)) for one in final.flat]
    return np.array(numbers, dtype=np.int64).reshape(final.shape)


def agreements(
    bought: Bought,
    models: Ints,
    similarity: float | None = None,
    encoder: FittedEncoder | None = None,
) -> Mask:
    """Return [n, k, k] which of the given models' bought answers agree; none with itself.

    Final answers agree where they are equal. With `similarity` it is the texts that agree, where
    the cosine of their vectors is at least that: for long answers.
    """
    if similarity is None or encoder is None:
        number = codes(bought.final[:, models])
        equal: Mask = (number[:, :, None] == number[:, None, :]) & (number >= 0)[:, :, None]
    else:
        equal = _similar(bought, models, encoder) >= similarity
    equal[:, np.arange(len(models)), np.arange(len(models))] = False
    return equal


def _similar(bought: Bought, models: Ints, encoder: FittedEncoder) -> Floats:
    """Return [n, k, k] the cosine of answers' vectors; −1 where one of them did not come."""
    came = bought.answered[:, models]
    vectors = np.zeros((*came.shape, encoder.dimension))
    texts = [text or "" for text in bought.response[:, models][came]]
    if texts:
        vectors[came] = encoder.encode(texts)
    cosine = np.einsum("nid,njd->nij", vectors, vectors)
    return np.where(came[:, :, None] & came[:, None, :], cosine, -1.0)


def said(bought: Bought, models: Ints) -> Mask:
    """Return [n, k] which of the given models' answers came and have a final answer."""
    final = bought.final[:, models]
    some: Mask = np.array([one is not None for one in final.flat], dtype=np.bool_)
    return some.reshape(final.shape) & bought.answered[:, models]


def to_steps(
    ask: Mask,
    answer: Ints,
    bought: Bought,
    order: Ints,
    confidence: Floats | None = None,
    reason: Strings | None = None,
) -> Steps:
    """Return the steps: ask, or stop with `answer` where that is not −1.

    Where the answer to stop with did not come, the first of `order` that did is given; where none
    came, the next of `order` is asked.
    """
    ask, answer = ask.copy(), answer.copy()
    lost = np.flatnonzero((answer >= 0) & ~bought.answered[np.arange(len(answer)), answer])
    came = bought.answered[np.ix_(lost, order)]
    answer[lost] = np.where(came.any(axis=1), order[came.argmax(axis=1)], -1)
    none = lost[answer[lost] < 0]
    ask[none, order[(~bought.asked[np.ix_(none, order)]).argmax(axis=1)]] = True
    return Steps(ask, answer, confidence, reason)
