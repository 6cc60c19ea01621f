"""Checks of suites: aligned and valid matrices, the same at every load, fit for a run."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

from routebench.data.splits import make_split
from routebench.errors import RoutebenchError
from routebench.hookspecs import StoredQuestion
from routebench.plugin import discovery
from routebench.plugin.optional import ListsQuestions
from routebench.records import HIDEABLE, SuiteData
from routebench.testing.kinds.subject import SHARED, PluginSubject, check_init_only_stores, same
from routebench.testing.rules import Check, check, expect

_SOURCES = ("recorded", "simulated", "live")
_FROM_LONG = "routebench.data.long_table.from_long makes valid data of a long table"


class SuiteSubject(PluginSubject):
    """A suite class, and what it loads."""

    @cached_property
    def data(self) -> SuiteData:
        """Return what a new suite loads; for all checks the same."""
        loaded: SuiteData = self.new().load()
        return loaded


@check(after=check_init_only_stores)
def check_load(subject: SuiteSubject) -> None:
    """`load()` returns SuiteData with queries, two models or more, a name and its source."""
    data: Any = subject.data
    expect(isinstance(data, SuiteData), "SuiteData", type(data).__name__, _FROM_LONG)
    expect(len(data) > 0, "queries", "none")
    expect(len(data.pool) > 1, "two models or more to choose from", f"{len(data.pool)}")
    expect(
        data.source in _SOURCES,
        f"source {', '.join(_SOURCES)}: shown wherever a number is shown",
        f"{data.source!r}",
    )


@check(after=check_load)
def check_shapes(subject: SuiteSubject) -> None:
    """All columns have a row per query, and all outcomes a column per model."""
    data = subject.data
    n, m = len(data), len(data.pool)
    wrong = [
        f"{name} {np.shape(value)}"
        for name, value in [
            *((name, getattr(data, name)) for name in ("ids", "keys", "text_hash", "split")),
            *((f.name, getattr(data.queries, f.name)) for f in fields(data.queries)),
            ("references", data.references),
        ]
        if value is not None and len(value) != n
    ]
    wrong += [
        f"outcomes.{f.name} {np.shape(value)}"
        for f in fields(data.outcomes)
        if (value := getattr(data.outcomes, f.name)) is not None and np.shape(value)[:2] != (n, m)
    ]
    if data.answers is not None and len(data.answers) != n * m:
        wrong.append(f"answers ({len(data.answers)},)")
    expect(not wrong, f"{n} queries, {m} models", "; ".join(wrong), _FROM_LONG)


@check(after=check_shapes)
def check_ids(subject: SuiteSubject) -> None:
    """Query ids and keys are unique, keys 16 hex digits, rows in the order of their text hash."""
    data = subject.data
    for name in ("ids", "keys"):
        values = [str(each) for each in getattr(data, name)]
        repeated, times = Counter(values).most_common(1)[0]
        expect(times == 1, f"unique {name}", f"{repeated!r} is there {times} times")
    odd = [key for key in map(str, data.keys) if not re.fullmatch(r"[0-9a-f]{16}", key)]
    expect(not odd, "keys of 16 hex digits", repr(odd[:1]), _FROM_LONG)
    hashes = [str(each) for each in data.text_hash]
    expect(
        hashes == sorted(hashes),
        "rows sorted by text_hash: the order of a file changes no result",
        "they are not",
        _FROM_LONG,
    )


@check(after=check_shapes)
def check_models(subject: SuiteSubject) -> None:
    """Models are in name order, each once."""
    models = subject.data.pool.models
    expect(list(models) == sorted(set(models)), "models in name order, each once", f"{models}")


@check(after=check_shapes)
def check_scores(subject: SuiteSubject) -> None:
    """Scores are in [0, 1] where the state is OK and NaN elsewhere; costs are 0 or more."""
    outcomes = subject.data.outcomes
    scored, others = outcomes.score[outcomes.ok], outcomes.score[~outcomes.ok]
    outside = scored[~((scored >= 0) & (scored <= 1))]
    expect(
        not len(outside),
        "scores in [0, 1] wherever the state is OK",
        f"{outside[0] if len(outside) else ''}",
        "divide by the scale's maximum; a cell without a score is ABSENT, FAILED or UNGRADED",
    )
    expect(bool(np.isnan(others).all()), "NaN wherever the state is not OK", "a number")
    for name in ("cost", "input_tokens", "output_tokens", "latency"):
        values = getattr(outcomes, name)
        negative = values is not None and bool((values < 0).any())
        expect(not negative, f"{name} of 0 or more", "a negative one")


@check(after=check_shapes)
def check_gradable(subject: SuiteSubject) -> None:
    """There are scores, or answers and the name of an installed judge."""
    data = subject.data
    if data.outcomes.ok.any():
        return
    expect(
        data.answers is not None and data.judge is not None,
        "scores, or answers with a judge",
        f"no score, {'no answers' if data.answers is None else 'answers and no judge'}",
        "replace(data, judge='exact') names one",
    )
    known = [info.name for info in discovery.installed("judge")]
    expect(data.judge in known, "an installed judge", f"{data.judge!r}; known: {', '.join(known)}")


@check(after=check_shapes)
def check_visible(subject: SuiteSubject) -> None:
    """Columns that routers may see are there, and none of those that tell the answer."""
    data = subject.data
    shown = data.visible | data.training_only
    odd = sorted(shown - set(HIDEABLE))
    expect(not odd, f"visible columns out of {', '.join(HIDEABLE)}", ", ".join(odd))
    if data.users is not None:
        shown = shown - {"user", "preference"}  # they are those of data.users
    gone = [name for name in sorted(shown) if getattr(data.queries, name) is None]
    expect(not gone, "visible columns that there are", f"no column {', '.join(gone)}")


@check(after=check_scores)
def check_split(subject: SuiteSubject) -> None:
    """It can be split into train, validation and test, by its own column or by hash."""
    try:
        make_split(subject.data, shares=subject.data.shares)
    except RoutebenchError as error:
        expect(False, "three parts with queries in each", error.message, error.hint)


@check(after=check_shapes)
def check_repeatable(subject: SuiteSubject) -> None:
    """Loading again gives the same data."""
    first, second = subject.data, subject.new().load()
    differing = [
        name
        for part in ("queries", "outcomes")
        for f in fields(getattr(first, part))
        if not same(getattr(getattr(first, part), f.name), getattr(getattr(second, part), f.name))
        for name in [f"{part}.{f.name}"]
    ]
    differing += [
        n for n in ("ids", "references") if not same(getattr(first, n), getattr(second, n))
    ]
    expect(
        not differing,
        "the same data at every load",
        f"other values in {', '.join(differing)}",
        "draw with a seeded generator; a run that is resumed loads the suite again",
    )


@check(after=check_load)
def check_files(subject: SuiteSubject) -> None:
    """`files`, which jobs are kept away from, are files that there are."""
    gone = [str(path) for path in subject.data.files if not path.exists()]
    expect(not gone, "files that there are", f"no {', '.join(gone)}")


@check(after=check_init_only_stores)
def check_questions(subject: SuiteSubject) -> None:
    """`questions()`, where there is one, gives each query with an id of its own and a prompt."""
    suite = subject.new()
    listed = suite.questions() if isinstance(suite, ListsQuestions) else None
    if listed is None:
        return
    questions = list(listed)
    valid = all(isinstance(each, StoredQuestion) for each in questions)
    expect(valid, "routebench.hookspecs.StoredQuestion", f"{questions[:1]!r}")
    ids = {each.query_id for each in questions}
    expect(len(ids) == len(questions), "unique ids", f"{len(ids)} of {len(questions)} questions")
    blank = [each.query_id for each in questions if not each.prompt.strip()]
    expect(not blank, "a prompt for every question", f"none for {blank[:1]}")


CHECKS: tuple[Check, ...] = (
    *SHARED,
    check_load,
    check_shapes,
    check_ids,
    check_models,
    check_scores,
    check_gradable,
    check_visible,
    check_split,
    check_repeatable,
    check_files,
    check_questions,
)
