"""Final answers of a suite: read once, kept for the same texts, and by a judge that reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from conftest import noise
from runs import put

from routebench.errors import OptionError
from routebench.judge import finals
from routebench.records import SuiteData
from routebench_judges.multiple_choice.judge import MultipleChoice
from routebench_suites.table import TableSuite


@pytest.fixture
def data(tmp_path: Path) -> SuiteData:
    table = noise(30, 3)
    texts = [f"The answer is ({'ABC'[i % 3]})." if i % 5 else None for i in range(len(table))]
    path = put(tmp_path, table.append_column("response", pa.array(texts, pa.string())))
    suite = TableSuite(TableSuite.Options(data=Path(path.removeprefix("table:"))))
    return replace(suite.load(), answers_as="multiple-choice")


def test_they_stand_beside_their_texts(data: SuiteData) -> None:
    made = finals.read_finals(data, {}, named=True)
    pairs = zip(data.answers.to_pylist(), made.finals.to_pylist(), strict=True)
    assert all(final == (text and text[-3]) for text, final in pairs)
    assert "final answers are read by the judge multiple-choice: 72 of 72 texts" in made.notes[-1]


def test_large_ones_are_read_once(
    data: SuiteData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(finals, "_WORTH_KEEPING", 50)
    first = finals.read_finals(data, {}, named=True)

    def never(*words: Any) -> list[str]:
        raise AssertionError("read again")

    monkeypatch.setattr(MultipleChoice, "finals", never)
    assert finals.read_finals(data, {}, named=True).finals.equals(first.finals)
    with pytest.raises(AssertionError, match="read again"):  # other options, other finals
        finals.read_finals(data, {"index_from": 1}, named=True)


def test_a_judge_that_reads_none(data: SuiteData, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = SimpleNamespace(plugin=object())
    monkeypatch.setattr(finals, "load_judge", lambda name, values: blind)
    with pytest.raises(OptionError, match="does not say what an answer's final answer is"):
        finals.read_finals(data, {}, named=True)
    made = finals.read_finals(data, {}, named=False)
    assert made.finals is None
    assert "no judge reads the final answers" in made.notes[-1]
