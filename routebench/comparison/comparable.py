"""Comparability of two boards, and the differences between their runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from routebench.comparison.schema import Change
from routebench.schema import Leaderboard, Row

HARD = ("suite", "split", "outcomes", "judge", "pool")


def mismatches(old: Leaderboard, new: Leaderboard) -> list[Change]:
    """Return the hard fingerprints that differ; none: the two may be compared."""
    differing = []
    for name in HARD:
        digests = [getattr(board.fingerprints, name) for board in (old, new)]
        if digests[0] != digests[1]:
            texts = [
                f"{board.suite.name} {digest}" if name == "suite" else digest
                for board, digest in zip((old, new), digests, strict=True)
            ]
            differing.append(Change(what=name, old=texts[0], new=texts[1]))
    return differing


def invalid(old: Leaderboard, new: Leaderboard) -> str | None:
    """Return why one of the two is no valid run by itself."""
    for side, board in (("baseline", old), ("candidate", new)):
        if not board.valid:
            return f"the {side} is not a valid run: {board.invalid_reason or 'no reason given'}"
    return None


def changes(old: Leaderboard, new: Leaderboard, routers: list[str]) -> list[Change]:
    """List options, versions, device and seeds that differ, for the reader to judge."""
    return [
        Change(what=what, old=_text(before), new=_text(after))
        for what, before, after in _facts(old, new, routers)
        if before != after
    ]


def _facts(
    old: Leaderboard, new: Leaderboard, routers: list[str]
) -> Iterator[tuple[str, Any, Any]]:
    for name in ("prices",):
        yield name, getattr(old.fingerprints, name), getattr(new.fingerprints, name)
    for name in ("priced", "encoder", "objective"):
        yield name, getattr(old, name), getattr(new, name)
    yield "shown to routers", old.suite.shown, new.suite.shown
    yield "shown in training", old.suite.training_only, new.suite.training_only
    for name in ("device", "machine", "platform", "python"):
        yield name, old.environment.get(name), new.environment.get(name)
    yield from _each("", _packages(old), _packages(new))
    wrappers = _wrappers(old), _wrappers(new)
    yield from _each("extension ", *wrappers)
    before, after = ({row.router: row for row in board.rows} for board in (old, new))
    for router in routers:
        if router in before and router in after:
            yield from _router(router, before[router], after[router], wrappers[0] == wrappers[1])


def _router(name: str, old: Row, new: Row, wrapped_alike: bool) -> Iterator[tuple[str, Any, Any]]:
    for what in ("plugin", "distribution", "version", "seeds"):
        yield f"{name}: {what}", getattr(old, what), getattr(new, what)
    yield from _each(f"{name}: ", old.options, new.options)
    if old.options == new.options and old.version == new.version and wrapped_alike:
        # The fingerprint covers options, extensions and code: here it is the code that changed.
        yield f"{name}: code", old.fingerprint, new.fingerprint


def _each(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted({*old, *new}):
        yield prefix + name, old.get(name), new.get(name)


def _wrappers(board: Leaderboard) -> dict[str, Any]:
    """Return version and options of the extensions that wrap a hook, as text by name."""
    return {
        name: f"{one['distribution']} {one['version']} {json.dumps(one['options'], sort_keys=True)}"
        for name, one in board.environment.get("extensions", {}).items()
        if one["wraps"]
    }


def _packages(board: Leaderboard) -> dict[str, Any]:
    return dict(board.environment.get("packages", {}))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
