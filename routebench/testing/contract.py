"""Checks of the class itself: options, constructor, hooks."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ValidationError

from routebench.jobs.harness import Harness
from routebench.plugin.options import describe, validate
from routebench.testing.rules import Check, check, expect
from routebench.testing.subject import EVERYTHING, Subject

_PATIENCE = 1.0


@check()
def check_options(subject: Subject) -> None:
    """`Options`, where there are any, is a pydantic model in which every option has a default."""
    model: Any = getattr(subject.router_class, "Options", None)
    expect(
        isinstance(model, type) and issubclass(model, BaseModel),
        "a class Options(pydantic.BaseModel) inside the router class",
        f"Options is {model!r}",
    )
    try:
        model()
    except ValidationError as error:
        required = ", ".join(str(detail["loc"][0]) for detail in error.errors())
        expect(False, "a default for every option", f"no valid default: {required}")
    validate(subject.router_class, subject.name, subject.options)
    describe(subject.router_class)  # `routebench plugins NAME` prints this


@check(after=check_options)
def check_init_only_stores(subject: Subject) -> None:
    """`__init__(options)` stores: it changes nothing, reads nothing, learns nothing."""
    options = validate(subject.router_class, subject.name, subject.options)
    before = options.model_dump()
    seconds = min(_seconds_to_build(subject, options) for _ in range(2))
    expect(
        options.model_dump() == before,
        "the options as they were given",
        f"__init__ turned {before} into {options.model_dump()}",
        "keep derived values in attributes of the router, computed in fit",
    )
    expect(
        seconds < _PATIENCE,
        f"__init__ to take less than {_PATIENCE:g} s",
        f"{seconds:.1f} s",
        "load models and read files in fit or load: a run builds every router several times",
    )


@check(after=check_init_only_stores)
def check_hooks(subject: Subject) -> None:
    """A hook route; fit, save and load, or none of these three; no misnamed hook."""
    Harness(subject.new())


@check(after=check_hooks)
def check_needs(subject: Subject) -> None:
    """`needs(pool, shown, priced)`, where there is one, is content when nothing is lacking."""
    answer = subject.lacks(subject.tables.train, EVERYTHING)
    expect(
        answer is None,
        "needs() to return None for a run with prices, sizes and every column shown",
        repr(answer),
        "if it needs option values, give them: check_router(MyRouter, options={…})",
    )


def _seconds_to_build(subject: Subject, options: BaseModel) -> float:
    start = time.perf_counter()
    subject.router_class(options)
    return time.perf_counter() - start


CHECKS: tuple[Check, ...] = (check_options, check_init_only_stores, check_hooks, check_needs)
