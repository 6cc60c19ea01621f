"""The run's side of a router that steps: it keeps the answers, and notes who was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from routebench.bought import Bought
from routebench.errors import PluginError
from routebench.isolation.messages import AnswersGiven, AnswersNeeded
from routebench.jobs import arrow_io
from routebench.records import Decisions, Ints
from routebench.steps.replay import RecordedAnswers


class Purchases:
    """The answers that one process buys, in a folder that it may read and not write.

    What was asked is noted here, never taken from the process: it is billed for all that it got.
    """

    def __init__(self, recorded: Bought, models: tuple[str, ...], folder: Path) -> None:
        self._recorded = recorded
        self._source = RecordedAnswers(recorded, models)
        self._models = models
        self._files = 0
        self.folder = folder
        self.asked = np.zeros(recorded.asked.shape, dtype=np.int8)
        """[n, m] the round in which each was asked, from 1; 0 where it was not."""
        folder.mkdir()

    def __call__(self, needed: AnswersNeeded) -> AnswersGiven:
        """Write the answers to a file; the one before is deleted, its process has read it."""
        n, m = len(self.asked), len(self._models)
        cells = np.unique(np.array(needed.cells, dtype=np.int64))
        if not len(cells) or cells[0] < 0 or cells[-1] >= n * m:
            return AnswersGiven(None, "step asks for a query or model that is not there")
        ask = np.zeros((n, m), dtype=np.bool_)
        ask.reshape(-1)[cells] = True
        rows: Ints = np.flatnonzero(ask.any(axis=1))
        try:
            answers = self._source.buy(rows, ask[rows])
        except PluginError as error:
            return AnswersGiven(None, error.message, error.hint or "")
        rounds = self.asked[rows].max(axis=1, keepdims=True) + np.int8(1)
        self.asked[rows] = np.where(ask[rows], rounds, self.asked[rows])
        self._place.unlink(missing_ok=True)
        self._files += 1
        arrow_io.write_record(self._place, answers)
        return AnswersGiven(str(self._place))

    @property
    def _place(self) -> Path:
        return self.folder / f"answers-{self._files}.arrow"

    def complete(self, decisions: Decisions) -> Decisions:
        """Return the decisions with who was asked.

        Raises:
            PluginError: where a query ends with an answer that was not bought.
        """
        at = (np.arange(len(self.asked)), decisions.choice)
        if (
            len(decisions.choice) != len(self.asked)
            or not ((self.asked[at] > 0) & self._recorded.answered[at]).all()
        ):
            raise PluginError("step stops with an answer that it never bought")
        return Decisions(
            decisions.choice,
            confidence=decisions.confidence,
            reason=decisions.reason,
            asked=self.asked,
        )
