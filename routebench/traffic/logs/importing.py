"""Import logs: read by the reader that knows their form, written batch by batch as events."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import DataError, OptionError, RoutebenchError, did_you_mean
from routebench.hookspecs import FileHead, LogReader
from routebench.importers.files import files_in, head_of
from routebench.importers.rows import hash_text
from routebench.plugin import discovery, options
from routebench.traffic import events
from routebench.traffic.logs.mapped import MappedLog
from routebench.traffic.logs.rewards import Rewards, read_rewards

Placed = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ImportedLog:
    """The result of an import."""

    path: Path
    reader: str
    events: int
    models: Mapping[str, int]
    """Events by the model that was chosen."""
    rewards: tuple[int, int]
    """Rewards that were given in files of their own, and how many found their event."""


def import_logs(
    paths: Sequence[Path],
    out: Path,
    form: str = "auto",
    mapping: Mapping[str, str] | None = None,
    rewards: Sequence[Path] = (),
    texts: bool = True,
    reward_max: float = 1.0,
) -> ImportedLog:
    """Write the requests in log files as one table of events, in bounded memory.

    `form` is a reader's name or `auto`; with a `mapping`, fields by column, no reader is asked.
    Without `texts` the hash of a query stands alone. `rewards` are files of event, reward, and
    optionally source and time, for logs whose rewards came later; they go before the log's own.

    Raises:
        DataError: naming file and row that cannot be understood.
        OptionError: for an unknown reader.
    """
    for path in (*paths, *rewards):
        if not path.exists():
            raise DataError(f"{path}: there is no such file")
    if out in paths:
        raise OptionError(f"--out {out}: is one of the logs", "name another file")
    reader: LogReader
    if mapping:
        name, reader = "map", MappedLog(mapping)
    else:
        name = guess(paths) if form == "auto" else form
        reader = load(name)
    known, models, total = read_rewards(rewards), Counter[str](), 0
    source = _finished(reader.read(paths), known, texts, reward_max, models)
    with events.writer(out) as write:
        for batch in batches(source, events.BATCH):
            write(batch)
            total += len(batch)
        if not total:
            raise DataError(f"{paths[0]}: there is no request in it")
    return ImportedLog(out, name, total, dict(models.most_common()), (len(known), known.found))


def _finished(
    source: Iterator[Placed], rewards: Rewards, texts: bool, top: float, models: Counter[str]
) -> Iterator[Placed]:
    for place, given in source:
        event = dict(given)
        models[event.get("chosen") or "unknown"] += 1
        if (query := event.get("query")) is not None and not event.get("query_hash"):
            event["query_hash"] = hash_text(query)
        if not texts:
            event["query"] = None
        if (reward := event.get("reward")) is not None:
            event["reward"] = reward / top
        if len(rewards):
            event |= rewards.of(event.get("event"), top)
        yield place, event


def batches(source: Iterator[Placed], size: int) -> Iterator[list[Placed]]:
    """Yield the events in lists of so many."""
    while batch := list(itertools.islice(source, size)):
        yield batch


def load(name: str) -> LogReader:
    """Return the log reader of that name; an `OptionError` where there is none."""
    known = [info.name for info in discovery.installed("reader")]
    if name not in known:
        raise OptionError(f"--format {name}: no log reader", did_you_mean(name, [*known, "auto"]))
    info = discovery.find("reader", name)
    cls = discovery.load(info)
    made: LogReader = cls(options.validate(cls, name, {}))
    return made


def guess(paths: Sequence[Path]) -> str:
    """Return the name of the one reader that recognises the first of the files it can."""
    readers = {}
    for info in discovery.installed("reader"):
        try:
            readers[info.name] = load(info.name)
        except RoutebenchError:
            continue  # a reader that is broken breaks itself only
    endings = sorted({ending for reader in readers.values() for ending in reader.suffixes})
    found: set[str] = set()
    for path in paths:
        heads = [head_of(file) for file in files_in(path, *endings)[:50]]
        fitting = next(filter(None, (_fitting(readers, head) for head in heads)), [])
        if not fitting:
            raise DataError(
                f"{heads[0].path.name}: a log of no known form; {heads[0].summary()}",
                "--map COLUMN=FIELD says which field is what; readers: " + ", ".join(readers),
            )
        if len(fitting) > 1:
            raise DataError(f"{path}: may be of {' or '.join(fitting)}", "--format NAME")
        found.update(fitting)
    if len(found) > 1:
        raise DataError(
            f"the files are of different forms: {', '.join(sorted(found))}", "import each alone"
        )
    return found.pop()


def _fitting(readers: Mapping[str, LogReader], head: FileHead) -> list[str]:
    return [name for name, reader in readers.items() if reader.recognises(head)]
