"""The check of a router that needs whole processes: it takes part in a run, confined as there."""

from __future__ import annotations

import csv
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.config import RunConfig
from routebench.pipeline import RunListener, run
from routebench.plugin.optional import unmet_needs
from routebench.plugin.options import validate
from routebench.testing.answers import training_answers
from routebench.testing.rules import Check, check, expect
from routebench.testing.tables import Tables, joined, synthetic_tables

_FINALS = "multiple-choice"  # the answers of the table are letters


@dataclass(frozen=True)
class RunSubject:
    """A router as `--router` names it, with its options."""

    router: str
    label: str
    plugin: type[Any]
    options: dict[str, Any]

    @property
    def name(self) -> str:
        return self.label

    @property
    def steps(self) -> bool:
        return callable(getattr(self.plugin, "step", None))

    def lacks(self, tables: Tables) -> str | None:
        """Return the router's stated needs that the run does not meet, None without any."""
        router = self.plugin(validate(self.plugin, self.label, self.options))
        shown = {"task", "answers"} if self.steps else {"task"}
        return unmet_needs(router, tables.train.pool, frozenset(shown), True)


@check()
def check_run(subject: RunSubject) -> None:
    """In a run of its own on 300 queries it trains and routes in confined processes."""
    tables = synthetic_tables()
    if reason := subject.lacks(tables):
        raise unittest.SkipTest(f"the router says: {reason}")
    with tempfile.TemporaryDirectory(prefix="routebench-check-") as place:
        path = Path(place) / "outcomes.csv"
        _write(path, tables)
        config = RunConfig(
            suite=f"table:{path}",
            router=(subject.router,),
            task="all",
            answers_as=_FINALS if subject.steps else None,
            set={subject.label: subject.options} if subject.options else {},
            perturb=20,
            out=str(Path(place) / "run"),
        )
        row = run(config, RunListener()).board.rows[0]
    expect(
        row.state == "ok",
        "a row on the board",
        f"the row failed: {' '.join(str(row.message).split())}",
        "what a router's processes may do: docs/write-a-router.md, What a job may do",
    )


def _write(path: Path, tables: Tables) -> None:
    """Write the synthetic table with answers as a CSV file, a row per query and model."""
    table = joined(joined(tables.train, tables.validation), tables.test)
    answers, outcomes = training_answers(table), table.outcomes
    assert outcomes.cost is not None
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        names = ["query_id", "query", "task", "model", "score", "cost_usd", "response", "latency"]
        rows.writerow(names)
        assert table.queries.task is not None
        for row, (text, task) in enumerate(
            zip(table.queries.text, table.queries.task, strict=True)
        ):
            for column, model in enumerate(table.pool.models):
                score, cost = outcomes.score[row, column], outcomes.cost[row, column]
                said = answers.response[row, column], answers.latency[row, column]
                rows.writerow([row, text, task, model, score, cost, *said])


CHECKS: tuple[Check, ...] = (check_run,)
