"""Public data of other projects, as outcome tables that `--suite table:FILE` reads.

One module per format, each with `looks(head)`, whether a file is of it, and `read(paths, wish)`,
the rows of files, part by part.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.importers.files import files_in, head_of
from routebench.importers.rows import COLUMNS, OutcomeRows, Wish

FORMATS = {
    "routerbench": "RouterBench's pickled table, or the same as .parquet or .csv",
    "llmrouterbench": "LLMRouterBench's result files: a folder, .json, or the released .tar.gz",
    "llmrouter": "LLMRouter's routing data (.jsonl), or its {question, scores} lists (.json)",
    "routellm": "RouteLLM's response tables: mmlu_*.csv, gsm8k_responses.csv, or their folder",
    "simpleqa": "SimpleQA's questions (.csv), or graded answers to them (.csv, _allresults.json)",
}
_SUFFIXES = (".csv", ".csv.gz", ".json", ".jsonl", ".pkl", ".parquet", ".tar.gz")
_LOOKED = 50  # files of a folder, to find out what it is


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote."""

    path: Path
    rows: int
    queries: int
    models: dict[str, int]
    """Rows by model."""
    states: dict[str, int]
    """Rows by state; empty where there are only questions."""
    notes: tuple[str, ...]
    """What was understood in a way that the user should know of."""


def import_files(form: str, paths: Sequence[Path], out: Path, wish: Wish | None = None) -> Imported:
    """Write the outcomes in files of a public format to one Parquet file, or questions to CSV.

    `form` is one of `FORMATS`, or `auto`. The file is complete or not written.

    Raises:
        DataError: naming the file, and the row or the columns, that cannot be understood.
        OptionError: for an unknown format, or a name of `out` that says another kind of file.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: there is no such file")
    name = guess(paths) if form == "auto" else form
    if name not in FORMATS:
        raise OptionError(f"{form}: not a format", did_you_mean(form, [*FORMATS, "auto"]))
    module = _module(name)
    if name == "simpleqa" and module.only_questions(paths):
        return _questions(module, paths, out)
    if out.suffix != ".parquet":
        raise OptionError(f"--out {out}: outcomes are written as .parquet")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=out.parent) as folder:
            parts = _gather(module.read(paths, wish or Wish()), Path(folder))
            return _write(parts, out, Path(folder), name)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error


def guess(paths: Sequence[Path]) -> str:
    """The one format that every path is of, by what stands at the beginning of the files."""
    found: set[str] = set()
    for path in paths:
        heads = [head_of(file) for file in files_in(path, *_SUFFIXES)[:_LOOKED]]
        fitting = [name for head in heads for name in FORMATS if _module(name).looks(head)]
        if not fitting:
            raise DataError(
                f"{heads[0].path.name}: of no known format; {heads[0].summary()}",
                "known: " + "; ".join(f"{name}: {about}" for name, about in FORMATS.items()),
            )
        found.add(fitting[0])
    if len(found) > 1:
        raise DataError(
            f"the files are of different formats: {', '.join(sorted(found))}",
            "import them one by one",
        )
    return found.pop()


def _module(name: str) -> Any:
    return importlib.import_module(f"routebench.importers.{name}")


def _questions(module: Any, paths: Sequence[Path], out: Path) -> Imported:
    if out.suffix != ".csv":
        raise OptionError(
            f"--out {out}: these are questions without answers", "write them to a .csv"
        )
    count, notes = module.write_questions(paths, out)
    return Imported(out, count, count, {}, {}, notes)


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    used: frozenset[str]
    """The columns that any row has a value in."""
    notes: Counter[str]


def _gather(rows: Iterator[tuple[str, OutcomeRows]], folder: Path) -> list[_Part]:
    """Every part in a file of its own; one that comes again replaces the one before."""
    import pyarrow.parquet as pq

    parts: dict[str, _Part] = {}
    for key, part in rows:
        path = parts[key].path if key in parts else folder / f"{len(parts)}.parquet"
        table = part.table()
        used = {name for name in COLUMNS if table[name].null_count < len(table)}
        if not any(label != "0" for label in table["sample"].unique().to_pylist()):
            used.discard("sample")  # no answer is repeated
        pq.write_table(table, path, compression="zstd")
        parts[key] = _Part(path, frozenset(used), part.notes)
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
    os.replace(folder / "out.parquet", out)
    said = [f"{text}: {n}" for text, n in sorted(notes.items())]
    if len(models) < 2:
        said.append("there is one model only: a run needs two")
    ordered = dict(sorted(models.items()))
    return Imported(out, models.total(), len(queries), ordered, dict(states), tuple(said))


__all__ = ["FORMATS", "Imported", "Wish", "guess", "import_files"]
