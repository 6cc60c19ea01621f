"""Columns of what models state of their answers: confidence, and why an answer ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import noise
from runs import put

from routebench.data.fingerprints import outcomes_fingerprint
from routebench.errors import DataError, OptionError
from routebench.steps.recorded import recorded_answers
from routebench_suites.table import TableSuite


def load(folder: Path, table: pa.Table, **options: Any) -> Any:
    path = put(folder, table).removeprefix("table:")
    return TableSuite(TableSuite.Options(data=Path(path), **options)).load()


@pytest.fixture
def table() -> pa.Table:
    made = noise(40, 3)
    n = len(made)
    stated = np.random.default_rng(1).random(n) - 1
    return (
        made.append_column("response", pa.array([f"answer {i}" for i in range(n)]))
        .append_column("finish_reason", pa.array(["stop", "length", None] * (n // 3)))
        .append_column("logprob", pa.array(stated))
    )


def test_a_confidence_counts_only_where_it_is_named(tmp_path: Path, table: pa.Table) -> None:
    plain, named = load(tmp_path, table), load(tmp_path, table, confidence="logprob")
    assert plain.outcomes.confidence is None
    assert "columns not used: logprob" in plain.notes
    assert sorted(named.outcomes.confidence.ravel()) == sorted(table["logprob"].to_pylist())
    assert "each model's confidence is column logprob, as recorded, of 120 answers" in named.notes
    assert not any(note.startswith("warning") for note in named.notes)


def test_a_column_called_confidence_is_not_taken_by_itself(tmp_path: Path, table: pa.Table) -> None:
    renamed = table.rename_columns({"logprob": "confidence"})
    data = load(tmp_path, renamed)
    assert data.outcomes.confidence is None
    assert any("--set table.confidence=confidence" in note for note in data.notes)
    assert load(tmp_path, renamed, confidence="confidence").outcomes.confidence is not None


def test_one_that_knows_the_grade_is_warned_of(tmp_path: Path, table: pa.Table) -> None:
    score = np.array(table["score"].to_pylist())
    at = table.column_names.index("logprob")
    for sign in (1, -1):
        derived = table.set_column(at, "logprob", pa.array(sign * score))
        data = load(tmp_path, derived, confidence="logprob")
        assert any(note.startswith("warning: column logprob tells right") for note in data.notes)


def test_a_column_that_is_not_there_is_an_error(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(DataError, match="logprobs"):
        load(tmp_path, table, confidence="logprobs")


def test_a_grade_is_no_confidence(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(OptionError, match="confidence: score is the column of the score"):
        load(tmp_path, table, confidence="score")
    renamed = table.rename_columns({"score": "rating"})
    with pytest.raises(OptionError, match="confidence: rating is the column of the score"):
        load(tmp_path, renamed, confidence="rating", map="score=rating")


def test_a_verification_is_read_as_a_confidence_is(tmp_path: Path, table: pa.Table) -> None:
    at = table.column_names.index("logprob")
    shares = np.tile([0.0, 0.25, 1.0], 40)
    checked = table.set_column(at, "passed", pa.array(shares))
    plain, named = load(tmp_path, checked), load(tmp_path, checked, verification="passed")
    assert plain.outcomes.verification is None
    assert sorted(named.outcomes.verification.ravel()) == sorted(shares)
    assert (
        "how far each answer passed when it was checked is column passed, as recorded, of 120"
        " answers; what checking cost is billed where cost_usd holds it" in named.notes
    )
    own = checked.rename_columns({"passed": "verification"})
    assert any("--set table.verification=verification" in n for n in load(tmp_path, own).notes)
    assert outcomes_fingerprint(plain) != outcomes_fingerprint(named)
    bought = recorded_answers(named, np.arange(len(named)))
    assert np.array_equal(bought.verification, named.outcomes.verification)
    known = checked.set_column(at, "passed", pa.array(table["score"].to_pylist()))
    notes = load(tmp_path, known, verification="passed").notes
    assert any(note.startswith("warning: column passed tells right") for note in notes)


def test_a_verification_that_cannot_be_one(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(DataError, match=r"verification.*-\S+ is not in \[0, 1\]"):
        load(tmp_path, table, verification="logprob")
    with pytest.raises(OptionError, match="verification: score is the column of the score"):
        load(tmp_path, table, verification="score")
    with pytest.raises(OptionError, match="both are column logprob"):
        load(tmp_path, table, verification="logprob", confidence="logprob")


def test_both_are_part_of_the_fingerprint_and_of_what_is_bought(
    tmp_path: Path, table: pa.Table
) -> None:
    data = load(tmp_path, table, confidence="logprob")
    without = replace(data, outcomes=replace(data.outcomes, confidence=None))
    prints = {outcomes_fingerprint(one) for one in (data, without)}
    prints.add(outcomes_fingerprint(replace(data, finish_reasons=None)))
    assert len(prints) == 3
    bought = recorded_answers(data, np.arange(len(data)))
    assert np.array_equal(bought.confidence, data.outcomes.confidence)
    assert bought.finish_reason is not None
    assert {"stop", "length", None} == set(bought.finish_reason.ravel())
