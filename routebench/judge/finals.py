"""Read the final answers in a suite's texts, by the judge that grades such texts."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.data.fingerprints import outcomes_fingerprint, suite_fingerprint
from routebench.encode import vectors
from routebench.errors import OptionError, PluginError
from routebench.files import replace_file
from routebench.judge.suite import load_judge
from routebench.plugin import discovery
from routebench.plugin.optional import ReadsFinals
from routebench.records import SuiteData

_WORTH_KEEPING = 20_000
"""Answers from which on their finals are kept on disk: reading as many takes some three seconds."""

_READ = "final answers are read by the judge"


def reader_of(notes: Sequence[str]) -> str | None:
    """Return the judge that read a run's final answers, by the run's notes; None where none did."""
    own = [note.removeprefix(_READ).strip() for note in notes if note.startswith(_READ)]
    return own[0].partition(":")[0] if own else None


def read_finals(data: SuiteData, values: dict[str, Any], named: bool) -> SuiteData:
    """Return the suite with the final answer of every text, as `data.answers_as` reads it.

    No reference and no model name comes with a text. `values` are the judge's options; `named`
    says that the user asked for it. Without a judge that reads finals there are none, and a note.

    Raises:
        OptionError: where a judge that the user names does not read final answers.
    """
    name = data.answers_as
    if data.answers is None:
        return data
    judge = None if name is None else load_judge(name, values).plugin
    if not isinstance(judge, ReadsFinals):
        if named:
            raise _no_reader(name or "")
        note = "no judge reads the final answers in the texts (--answers-as JUDGE names one)"
        return replace(data, notes=(*data.notes, note))
    assert name is not None, "a judge that was loaded has a name"
    kept = _place(data, name, values) if len(data.answers) >= _WORTH_KEEPING else None
    finals = _kept(kept, len(data.answers))
    if finals is None:
        finals = _read(data, name, judge)
        if kept is not None:
            _keep(kept, finals)
    read, texts = len(finals) - finals.null_count, len(data.answers) - data.answers.null_count
    note = f"{_READ} {name}: {read:,} of {texts:,} texts have one"
    return replace(data, finals=finals, notes=(*data.notes, note))


class FinalsReader:
    """Reads final answers in texts as they come, by a judge and its options.

    Raises:
        OptionError: for a judge that does not read final answers.
    """

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        judge = load_judge(name, values).plugin
        if not isinstance(judge, ReadsFinals):
            raise _no_reader(name)
        self.name = name
        self._judge: ReadsFinals = judge

    def __call__(self, questions: Sequence[str], texts: Sequence[str]) -> list[str | None]:
        return _finals(self.name, self._judge, questions, texts)


def _no_reader(name: str) -> OptionError:
    return OptionError(
        f"--answers-as {name}: this judge does not say what an answer's final answer is",
        "a judge that does: " + ", ".join(_readers()),
    )


def _finals(
    name: str, judge: ReadsFinals, questions: Sequence[str], texts: Sequence[str]
) -> list[str | None]:
    finals = list(judge.finals(questions, texts))
    if len(finals) != len(texts) or not all(f is None or isinstance(f, str) for f in finals):
        raise PluginError(f"judge {name!r} did not return {len(texts)} final answers")
    return finals


def _read(data: SuiteData, name: str, judge: ReadsFinals) -> pa.Array:
    answered = np.flatnonzero(data.answers.is_valid().to_numpy(zero_copy_only=False))
    texts = data.answers.take(answered).to_pylist()
    questions = data.queries.text[answered // len(data.pool)].tolist()
    finals = _finals(name, judge, questions, texts)
    cells = np.full(len(data.answers), None, dtype=object)
    cells[answered] = finals
    return pa.array(cells, pa.large_string())


def _place(data: SuiteData, name: str, values: dict[str, Any]) -> Path:
    """Return where the finals of these very texts are kept, by this judge's code and options."""
    info = discovery.find("judge", name)
    digest = hashlib.sha256(repr([name, sorted(values.items())]).encode())
    digest.update(discovery.code_hash(info).encode())
    digest.update((suite_fingerprint(data) + outcomes_fingerprint(data)).encode())
    return vectors.cache_root().with_name("finals") / f"{digest.hexdigest()[:32]}.arrow"


def _kept(place: Path | None, n: int) -> pa.Array | None:
    """Return kept finals; None where there are none, or they are damaged."""
    if place is None or not place.is_file():
        return None
    try:
        with pa.OSFile(str(place)) as source, pa.ipc.open_file(source) as reader:
            column = reader.read_all()["final"].combine_chunks()
    except (OSError, KeyError, pa.ArrowException):
        return None
    fits = pa.types.is_large_string(column.type) and len(column) == n
    return column if fits else None


def _keep(place: Path, finals: pa.Array) -> None:
    table = pa.table({"final": finals})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with contextlib.suppress(OSError):  # without a cache they are read again
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, sink.getvalue().to_pybytes())


def _readers() -> list[str]:
    """Return the names of installed judges that read final answers."""
    ready = (info for info in discovery.installed("judge") if info.ready)
    return [info.name for info in ready if hasattr(discovery.load(info), "finals")]
