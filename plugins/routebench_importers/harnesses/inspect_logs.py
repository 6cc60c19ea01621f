"""inspect_ai's logs, .eval and .json, through inspect_ai itself.

Read by `inspect_ai.log.read_eval_log` (EvalLog and EvalSample in inspect_ai/log/_log.py, 0.3): the
task, the model, and of each sample input, choices, target, output, model_usage, scores and error.
Epochs are repeated answers. C, I, P and N are 1, 0, .5 and 0, as in inspect_ai's value_to_float.
Its input_tokens leave out cached ones, which are added here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from routebench.errors import DataError, PluginError
from routebench.hookspecs import FileHead, ImportPart, Selection
from routebench.importers.files import files_in, head_of
from routebench.importers.rows import OutcomeRows, Shared

NEEDED = ("version", "status", "eval", "eval_id", "task", "model")
_VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}


class InspectLogs:
    """inspect_ai's logs (.eval, .json), or their folder; needs inspect_ai."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

        scorer: str | None = Field(
            default=None, description="scorer whose scores are read; a log's first by default"
        )

    suffixes = (".eval", ".json")

    def __init__(self, options: Options) -> None:
        self.options = options

    def recognises(self, head: FileHead) -> bool:
        """Return whether a file is a log."""
        if head.path.suffix == ".eval":
            return True
        return head.kind == "json" and set(head.names) >= set(NEEDED)

    def read(self, paths: Sequence[Path], selection: Selection) -> Iterator[ImportPart]:
        """Yield the rows of every log; a query is known by its task and sample's id."""
        read = _reader()
        shared = Shared(selection)
        for path in (file for given in paths for file in self._files(given)):
            try:
                log = read(str(path))
            except Exception as error:  # inspect_ai raises what zip, JSON and pydantic raise
                why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                raise DataError(f"{path.name}: inspect_ai cannot read it: {why}") from error
            rows = OutcomeRows(shared)
            if log.status != "success":
                rows.notes[f"logs that ended with status {log.status}"] += 1
            for at, sample in enumerate(log.samples or [], 1):
                place = f"{path.name}: sample {at}"
                with rows.row(place):
                    self._add(rows, place, log, sample)
            yield rows.part(str(path))

    def _files(self, path: Path) -> list[Path]:
        files = files_in(path, *self.suffixes)
        return [file for file in files if self.recognises(head_of(file))] or files

    def _add(self, rows: OutcomeRows, place: str, log: Any, sample: Any) -> None:
        task, model = log.eval.task, log.eval.model
        usage = (sample.model_usage or {}).get(model) or getattr(sample.output, "usage", None)
        target = sample.target
        score = self._score(place, sample)
        rows.add(
            place,
            query_id=f"{task}/{sample.id}",
            query=_text(sample),
            reference=target if isinstance(target, str) else json.dumps(list(target)),
            task=task,
            model=model,
            score=score,
            failed=sample.error is not None and score is None,
            response=sample.output.completion if sample.output.choices else None,
            cost=getattr(usage, "total_cost", None),
            input_tokens=_input_tokens(usage),
            output_tokens=getattr(usage, "output_tokens", None),
            latency=getattr(sample.output, "time", None),
        )

    def _score(self, place: str, sample: Any) -> float | None:
        scores, name = sample.scores or {}, self.options.scorer
        if not scores:
            return None
        if name is None:
            name = next(iter(scores))
        if name not in scores:
            raise DataError(
                f"{place} has no scorer {name}", f"--set inspect-ai.scorer: {', '.join(scores)}"
            )
        value = scores[name].value
        if isinstance(value, str):
            value = _VALUES.get(value.strip().upper(), value)
        if isinstance(value, dict | list):
            raise DataError(
                f"{place}: the score of {name} is of several values", "another inspect-ai.scorer"
            )
        return None if isinstance(value, float) and math.isnan(value) else value


def _reader() -> Any:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise PluginError(
            "inspect-ai: needs the package inspect-ai", "pip install 'routebench[inspect]'"
        ) from error
    return read_eval_log


def _text(sample: Any) -> str:
    """Return what was asked: the turns, and the choices of a question below them."""
    asked = sample.input
    text = asked if isinstance(asked, str) else "\n\n".join(turn.text for turn in asked)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lines = [f"{mark}) {each}" for mark, each in zip(letters, sample.choices or [], strict=False)]
    return "\n".join([text, *lines])


def _input_tokens(usage: Any) -> int | None:
    if usage is None:
        return None
    cached = usage.input_tokens_cache_read or 0, usage.input_tokens_cache_write or 0
    return int(usage.input_tokens + sum(cached))
