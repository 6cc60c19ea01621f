"""Importers of other projects' public data, to outcome tables for `--suite table:FILE`.

The formats are plugins (`routebench.hookspecs.Importer`); here is what they share.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.errors import DataError, OptionError, PluginError, RoutebenchError, did_you_mean
from routebench.hookspecs import FileHead, Importer, ImportPart, Selection
from routebench.importers.files import files_in, head_of
from routebench.importers.rows import COLUMNS, complete
from routebench.plugin import discovery, options
from routebench.plugin.optional import QuestionImporter

_LOOKED = 50  # files of a folder, to find out what it is


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import."""

    path: Path
    rows: int
    queries: int
    models: dict[str, int]
    """OutcomeRows by model."""
    states: dict[str, int]
    """OutcomeRows by state; empty where there are only questions."""
    notes: tuple[str, ...]
    """Notes on the reading of the data that the user should know."""


def import_files(
    form: str,
    paths: Sequence[Path],
    out: Path,
    selection: Selection | None = None,
    options: Mapping[str, dict[str, Any]] | None = None,
) -> Imported:
    """Write the outcomes in files of a public format to one Parquet file, or questions to CSV.

    `form` is the name of an importer, or `auto`; `options` are importers' options by name. The
    file is complete or not written.

    Raises:
        DataError: naming the file, and the row or the columns, that cannot be understood.
        OptionError: for an unknown format, options of an importer that is not used, or a name of
            `out` that says another kind of file.
        PluginError: for an importer that cannot be used.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: there is no such file")
    notes: list[str] = []
    name = guess(paths, notes.append) if form == "auto" else form
    known = [info.name for info in discovery.installed("importer")]
    if name not in known:
        raise OptionError(f"{form}: not a format", did_you_mean(form, [*known, "auto"]))
    given = options or {}
    for each in given:
        if each != name:
            raise OptionError(f"--set {each}: is not used here", did_you_mean(each, [name]))
    importer = _load(discovery.find("importer", name), given.get(name, {}))
    made = _import(name, importer, paths, out, selection or Selection())
    return replace(made, notes=(*notes, *made.notes))


def guess(paths: Sequence[Path], note: Callable[[str], None] = lambda text: None) -> str:
    """Return the one format of all paths, recognised by the beginning of their files.

    In a folder, the first file that is recognised decides. `note` receives what was recognised,
    how many of the files are of it, and the importers that are broken and therefore not used.
    """
    importers = _usable(note)
    suffixes = sorted({suffix for each in importers.values() for suffix in each.suffixes})
    found: Counter[str] = Counter()
    looked = 0
    for path in paths:
        heads = [head_of(file) for file in files_in(path, *suffixes)[:_LOOKED]]
        recognised = [_recognising(importers, head, note) for head in heads]
        fitting = next(filter(None, recognised), [])
        if not fitting:
            raise DataError(
                f"{heads[0].path.name}: of no known format; {heads[0].summary()}",
                "a table of one row per answer is read as it is: --suite table:FILE, with --map"
                f" query=…,model=…,score=… for other names; formats: {', '.join(importers)}",
            )
        if len(fitting) > 1:
            raise DataError(
                f"{path}: is of several formats: {', '.join(fitting)}", "name one of them"
            )
        found[fitting[0]] += sum(fitting[0] in names for names in recognised)
        looked += len(heads)
    if len(found) > 1:
        raise DataError(
            f"the files are of different formats: {', '.join(sorted(found))}",
            "import them one by one",
        )
    ((name, count),) = found.items()
    note(
        f"recognised as {name} ({_about(importers[name])}): {count} of {looked} files looked at"
        f" begin so, and none of the {len(importers) - 1} other formats does"
    )
    return name


def _usable(note: Callable[[str], None]) -> dict[str, Importer]:
    """Return all importers that can be imported, by name."""
    usable: dict[str, Importer] = {}
    for info in discovery.installed("importer"):
        try:
            usable[info.name] = _load(info, {})
        except RoutebenchError as error:
            note(f"importer {info.name} is left out: {error}")
    return usable


def _load(info: discovery.PluginInfo, values: dict[str, Any]) -> Importer:
    plugin = discovery.load(info)
    with _breaking(info.name):
        importer = plugin(options.validate(plugin, info.name, values))
    missing = [name for name in ("suffixes", "recognises", "read") if not hasattr(importer, name)]
    if missing:
        raise PluginError(f"importer {info.name!r} has no {missing[0]}", f"from {info.target}")
    made: Importer = importer
    return made


def _recognising(
    importers: dict[str, Importer], head: FileHead, note: Callable[[str], None]
) -> list[str]:
    """Return the names of the importers whose format a file is of; a broken one is left out."""
    names = []
    for name, importer in list(importers.items()):
        try:
            if importer.recognises(head):
                names.append(name)
        except Exception as error:
            note(f"importer {name} is left out: {type(error).__name__}: {error}")
            del importers[name]
    return names


def _about(importer: Importer) -> str:
    return (type(importer).__doc__ or "").strip().partition("\n")[0].removesuffix(".")


def _import(
    name: str, importer: Importer, paths: Sequence[Path], out: Path, selection: Selection
) -> Imported:
    if isinstance(importer, QuestionImporter) and _only_questions(name, importer, paths):
        if out.suffix != ".csv":
            raise OptionError(
                f"--out {out}: these are questions without answers", "write them to a .csv"
            )
        with _breaking(name), _writing(out):
            count, notes = importer.write_questions(paths, out)
        return Imported(out, count, count, {}, {}, notes)
    if out.suffix != ".parquet":
        raise OptionError(f"--out {out}: outcomes are written as .parquet")
    with _writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=out.parent) as folder:
            parts = _gather(_read(name, importer, paths, selection), Path(folder))
            return _write(parts, out, Path(folder), name)


def _only_questions(name: str, importer: QuestionImporter, paths: Sequence[Path]) -> bool:
    with _breaking(name):
        return importer.only_questions(paths)


def _read(
    name: str, importer: Importer, paths: Sequence[Path], selection: Selection
) -> Iterator[ImportPart]:
    """Yield an importer's parts, checked and selected."""
    with _breaking(name):
        for part in importer.read(paths, selection):
            yield complete(part, name, selection)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn what the system refuses into an error that names the file."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _breaking(name: str) -> Iterator[None]:
    """Turn what an importer raises by mistake into an error that carries its name."""
    try:
        yield
    except RoutebenchError:
        raise
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"importer {name} failed: {text}") from error


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    used: frozenset[str]
    """The columns that any row has a value in."""
    notes: Counter[str]


def _gather(parts_read: Iterator[ImportPart], folder: Path) -> list[_Part]:
    """Write every part to a file of its own; a part that comes again replaces the earlier one."""
    import pyarrow.parquet as pq

    parts: dict[str, _Part] = {}
    for part in parts_read:
        key, table = part.key, part.rows
        path = parts[key].path if key in parts else folder / f"{len(parts)}.parquet"
        used = {name for name in COLUMNS if table[name].null_count < len(table)}
        if not any(label != "0" for label in table["sample"].unique().to_pylist()):
            used.discard("sample")  # no answer is repeated
        pq.write_table(table, path, compression="zstd")
        parts[key] = _Part(path, frozenset(used), Counter(part.notes))
    return list(parts.values())


def _write(parts: list[_Part], out: Path, folder: Path, form: str) -> Imported:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = [name for name in COLUMNS if any(name in part.used for part in parts)]
    if not columns:
        raise DataError(f"{form}: there are no rows to import", "are --task and --model right?")
    notes, models, states = Counter[str](), Counter[str](), Counter[str]()
    queries = set[str]()
    schema = pq.read_schema(parts[0].path)
    kept = pa.schema([schema.field(name) for name in columns])
    with pq.ParquetWriter(folder / "out.parquet", kept, compression="zstd") as writer:
        for part in parts:
            table = pq.read_table(part.path, columns=columns)
            writer.write_table(table)
            notes += part.notes
            queries.update(pc.unique(table["query_id"]).to_pylist())
            for name, counts in (("model", models), ("state", states)):
                for found in table[name].value_counts().to_pylist():
                    counts[found["values"]] += found["counts"]
    said = [f"{text}: {n}" for text, n in sorted(notes.items())]
    if len(models) < 2:
        said.append("there is one model only: a run needs two")
    ordered = dict(sorted(models.items()))
    made = Imported(out, models.total(), len(queries), ordered, dict(states), tuple(said))
    os.replace(folder / "out.parquet", out)  # last, so that an error leaves what was there
    return made


__all__ = ["Imported", "Selection", "guess", "import_files"]
