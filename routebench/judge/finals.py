"""Read the final answers in a suite's texts, by the judge that grades such texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from routebench.errors import OptionError, PluginError
from routebench.judge.suite import load_judge
from routebench.plugin import discovery
from routebench.plugin.optional import ReadsFinals
from routebench.records import SuiteData


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
            raise OptionError(
                f"--answers-as {name}: this judge does not say what an answer's final answer is",
                "a judge that does: " + ", ".join(_readers()),
            )
        note = "no judge reads the final answers in the texts (--answers-as JUDGE names one)"
        return replace(data, notes=(*data.notes, note))
    answered = np.flatnonzero(data.answers.is_valid().to_numpy(zero_copy_only=False))
    texts = data.answers.take(answered).to_pylist()
    questions = data.queries.text[answered // len(data.pool)].tolist()
    finals = list(judge.finals(questions, texts))
    if len(finals) != len(texts) or not all(f is None or isinstance(f, str) for f in finals):
        raise PluginError(f"judge {name!r} did not return {len(texts)} final answers")
    cells = np.full(len(data.answers), None, dtype=object)
    cells[answered] = finals
    read = sum(final is not None for final in finals)
    note = f"final answers are read by the judge {name}: {read:,} of {len(texts):,} texts have one"
    made = pa.array(cells, pa.large_string())
    return replace(data, finals=made, notes=(*data.notes, note))


def _readers() -> list[str]:
    """Return the names of installed judges that read final answers."""
    ready = (info for info in discovery.installed("judge") if info.ready)
    return [info.name for info in ready if hasattr(discovery.load(info), "finals")]
