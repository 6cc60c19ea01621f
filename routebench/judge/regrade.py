"""Grade the answers of a table; grades that cost something are kept in a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from routebench.errors import DataError
from routebench.files import data_folder, sha256
from routebench.judge.store import Counts, Judge, Mark, Watch
from routebench.names import below
from routebench.records import Grade

_MOST = 1 << 30  # bytes of kept grades that are read


class GradeFile:
    """Grades of one judge that cost something, by what it saw: lines of JSON, one per grade.

    A line is with the system when `add` returns, so that a killed process loses none; one that
    was cut short is passed over.
    """

    def __init__(self, judge: str, folder: Path | None = None) -> None:
        self.path = below(folder or data_folder() / "grades", f"{judge}.jsonl", "judge")
        self.marks: dict[str, Mark] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            self._read()
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be written: {error.strerror or error}",
                "ROUTEBENCH_DATA names another folder",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, key: str, mark: Mark) -> None:
        """Write a grade; several processes may add to one file."""
        self.marks[key] = mark
        grade = None if mark.grade is None else mark.grade.name
        line = json.dumps({"texts": key, "score": mark.score, "grade": grade, "note": mark.note})
        try:
            self._file.write(f"{line}\n".encode())
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror or error}") from error

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read(_MOST)
        for line in content.splitlines():
            try:
                entry = json.loads(line)
                grade = None if entry["grade"] is None else Grade[entry["grade"]]
                self.marks[entry["texts"]] = Mark(float(entry["score"]), grade, entry["note"])
            except (ValueError, KeyError, TypeError):
                continue
        if content and not content.endswith(b"\n"):
            self._file.write(b"\n")
        self._file.seek(0, os.SEEK_END)


def grade_texts(
    judge: Judge,
    texts: Sequence[Sequence[Any]],
    watch: Watch | None = None,
    *,
    seed: int = 0,
    folder: Path | None = None,
    regrade: bool = False,
) -> tuple[list[Mark], Counts]:
    """Grade answers that are in no store; `texts` are questions, references and answers.

    What a judge that asks a model has graded before is not asked again, unless `regrade`; its
    grades are kept in `folder`, by default that of the user's data.
    """
    counts, began = Counts(judge.id, usage=judge.usage, texts=judge.texts), time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(texts[0])).tolist()
    size = judge.at_once
    with GradeFile(judge.id, folder) if judge.streams else nullcontext() as file:
        grading = _Grading(judge, texts, counts, file, watch, regrade)
        for number, start in enumerate(range(0, len(order), size)):
            grading.batch(order[start : start + size], seed + number)
    counts.seconds = time.perf_counter() - began
    return grading.marks, counts


class _Grading:
    def __init__(
        self,
        judge: Judge,
        texts: Sequence[Sequence[Any]],
        counts: Counts,
        file: GradeFile | None,
        watch: Watch | None,
        regrade: bool,
    ) -> None:
        self.judge, self.texts, self.counts = judge, texts, counts
        self.file, self.watch, self.regrade = file, watch, regrade
        self.marks = [Mark(None, None, "not graded")] * len(texts[0])

    def batch(self, places: list[int], seed: int) -> None:
        """Grade the answers at these places."""
        keys = {at: text_key(*(column[at] for column in self.texts)) for at in places}
        known = {} if self.file is None or self.regrade else self.file.marks
        new = [at for at in places if keys[at] not in known]
        for at in places:
            if keys[at] in known:
                self._settle(at, known[keys[at]])

        def on_mark(at: int, mark: Mark) -> None:
            if self.file and mark.score is not None:
                self.file.add(keys[new[at]], mark)
            self._settle(new[at], mark)

        if new:
            self.judge.mark([[column[at] for at in new] for column in self.texts], on_mark, seed)

    def _settle(self, at: int, mark: Mark) -> None:
        self.marks[at] = mark
        self.counts.add(mark)
        if self.watch:
            self.watch(self.counts.graded + self.counts.ungraded)


def text_key(question: str, reference: str | None, answer: str) -> str:
    """Return a digest of what a judge sees, as 32 hex digits."""
    text = json.dumps([question, reference, answer])
    return sha256(text.encode())[:32]
