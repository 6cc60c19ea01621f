"""The policy in question: what it would have chosen for each event of a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.records import Floats, Ints
from routebench.traffic import events
from routebench.traffic.event_log import LoggedEvents
from routebench.traffic.logs.records import records
from routebench.traffic.logs.values import text

_BATCH = 2_000


@dataclass(frozen=True)
class TargetPolicy:
    """The choices of a policy on a log."""

    label: str
    choice: Ints
    """[n] place in the log's models; −1 where nobody knows what it would have chosen."""
    unknown: int
    """Events of which that is not known."""


def constant(log: LoggedEvents, model: str) -> tuple[LoggedEvents, TargetPolicy]:
    """Return the policy that always asks one model."""
    log = with_models(log, [model])
    choice = np.full(len(log), log.models.index(model))
    return log, TargetPolicy(model, choice, 0)


def of_file(log: LoggedEvents, path: Path) -> tuple[LoggedEvents, TargetPolicy]:
    """Return the decisions of a file: `event` or `query_hash`, and `model` (or `chosen`)."""
    by: dict[str, str] = {}
    key = None
    for place, record in records(path):
        key = key or next((name for name in ("event", "query_hash") if name in record), None)
        model = text(record.get("model")) or text(record.get("chosen"))
        if key is None or model is None or text(record.get(key)) is None:
            raise DataError(f"{place}: no decision", "columns: event or query_hash, and model")
        by[str(record[key])] = model
    log = with_models(log, sorted(set(by.values())))
    column = log.event if key == "event" else log.query_hash
    places = {model: at for at, model in enumerate(log.models)}
    choice = _by_text(column, lambda names: [places.get(by.get(n, ""), -1) for n in names])
    if (choice < 0).all():
        raise DataError(f"{path.name}: no {key} in it is one of the log's")
    return log, TargetPolicy(path.name, choice, int((choice < 0).sum()))


def of_router(
    log: LoggedEvents, path: Path, router: Any, names: Mapping[str, str]
) -> tuple[LoggedEvents, TargetPolicy]:
    """Return what a trained router decides on the log's queries; `names` of the log by its own.

    Each distinct text is routed once.

    Raises:
        DataError: where the log has no texts.
        OptionError: where the log's models and the router's have no name in common.
    """
    known = {names.get(model, model) for model in router.models}
    if not known & set(log.models):
        near = did_you_mean(router.models[0], log.models)
        raise OptionError(
            f"{router.label} chooses among {', '.join(router.models)}: none is in the log",
            f"--rename ROUTERS=LOGS; {near}",
        )
    log = with_models(log, [names.get(model, model) for model in router.models])
    place = np.array([log.models.index(names.get(m, m)) for m in router.models])
    column = events.read(path, ["query"])["query"].take(pa.array(log.order)).combine_chunks()
    if column.null_count == len(column):
        raise DataError(f"{path}: no event has a text, which a router needs", "import with texts")

    def route(texts: Sequence[str]) -> list[int]:
        made: list[int] = []
        for start in range(0, len(texts), _BATCH):
            made += place[router.route(texts[start : start + _BATCH]).choice].tolist()
            router.forget_times()
        return made

    choice = _by_text(column, route)
    at = f" at {router.point}" if router.point else ""
    return log, TargetPolicy(f"{router.label}{at}", choice, int((choice < 0).sum()))


def _by_text(column: Any, decide: Callable[[Sequence[str]], list[int]]) -> Ints:
    """Return what `decide` says of each distinct text, for all rows; −1 for null."""
    encoded = pc.dictionary_encode(column)
    names = encoded.dictionary.to_pylist()
    made = np.array([*decide(names), -1] if names else [-1], np.int64)
    return np.asarray(
        made[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)]
    )


def parse_names(given: Sequence[str]) -> dict[str, str]:
    """Parse `["gpt-4o=openai/gpt-4o"]`: names of the log by those of the router."""
    names = {}
    for each in given:
        own, equals, logged = each.partition("=")
        if not equals or not own or not logged:
            raise OptionError(f"--rename {each}: expected ROUTERS=LOGS")
        names[own] = logged
    return names


def with_models(log: LoggedEvents, more: Sequence[str]) -> LoggedEvents:
    """Return the log with models besides its own, which it never chose."""
    new = [model for model in dict.fromkeys(more) if model not in log.models]
    if not new:
        return log
    never: Floats = np.zeros((len(log), len(new)))
    never[np.isnan(log.probability).any(axis=1)] = np.nan
    return replace(
        log,
        models=(*log.models, *new),
        probability=np.concatenate([log.probability, never], axis=1),
    )
