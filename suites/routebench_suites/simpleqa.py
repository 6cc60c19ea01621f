"""SimpleQA: short factual questions with one right answer, graded in three states.

Without any file it asks this project's own questions, in SimpleQA's topics and answer types, of
a simulated pool, whose answers the `exact` judge grades like anybody's. SimpleQA itself
(https://arxiv.org/abs/2411.04368) is `data`: its published CSV has questions only, and the
simulated pool answers them too; an outcomes table, or a store that `routebench collect` has filled,
has the answers of real models. Where there is a store at the usual place, it is taken unasked.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from routebench import hookspecs
from routebench.data.checks import check_answers
from routebench.data.files import read_file
from routebench.data.long_table import from_long
from routebench.errors import DataError, OptionError
from routebench.files import default_store
from routebench.plugin import discovery
from routebench.records import Answers, Pool, Request, SuiteData
from routebench_suites.questions import EMBEDDED, Question, is_questions, read_questions
from routebench_suites.storefile import has_answers, is_store, read_store

SHARES = (0.5, 0.1, 0.4)  # a large test part: it decides which differences can be seen
_UNASKED = "--source embedded takes the simulated pool instead of what was collected"


class SimpleQA:
    """Factual questions: embedded ones, SimpleQA's own, or recorded answers to either."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        data: Path | None = Field(
            default=None,
            description="SimpleQA's CSV of questions, or an outcomes file or a store of answers to"
            " them",
        )
        source: Literal["embedded", "recorded"] | None = Field(
            default=None,
            description="embedded: the simulated pool answers; recorded: answers from the outcomes"
            " file, or the collected ones; by default, what there is",
        )
        graded_by: str | None = Field(
            default=None,
            description="of a store: the judge whose grades count; by default the first that could"
            " grade any",
        )
        world: int = Field(
            default=0, ge=0, description="another number: simulated models that know other things"
        )
        small: str | None = Field(default=None, description="the weak model of a pair")
        large: str | None = Field(default=None, description="the strong model of a pair")

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self) -> SuiteData:
        """Load the questions with their answers, ungraded where they were recorded so."""
        unasked = self.options.data is None and self.options.source is None
        try:
            path = self._collected() if self.options.data is None else self.options.data
            data = self._of(path)
            data = replace(data, pool=self._pair(data.pool), shares=SHARES)
        except DataError as error:
            if unasked:  # nobody has named that store
                error.hint = "; ".join(filter(None, (error.hint, _UNASKED)))
            raise
        if unasked and path is not None:
            data = replace(data, notes=(*data.notes, f"taken because it is there; {_UNASKED}"))
        return data

    def questions(self) -> list[hookspecs.StoredQuestion] | None:
        """Return the questions for `routebench collect`; None for a file with answers."""
        path = self.options.data or EMBEDDED
        if not is_questions(path):
            return None
        return [
            hookspecs.StoredQuestion(q.query_id, q.query, q.query, _right(q), topic=q.topic)
            for q in read_questions(path)
        ]

    def _collected(self) -> Path | None:
        """Return the store at the usual place, where one is asked for, or nothing else is and it
        has
        answers."""
        source, place = self.options.source, default_store("simpleqa")
        if source == "recorded":
            if not place.is_file():
                raise OptionError(
                    f"--source recorded: no outcomes are named, and there is no {place}",
                    "--data outcomes.parquet; or collect them: routebench collect --suite simpleqa"
                    " --models gemini:gemini-2.5-flash (pip install 'routebench[gemini]')",
                )
            return place
        asked = source == "embedded" or "world" in self.options.model_fields_set
        return place if not asked and has_answers(place) else None

    def _of(self, path: Path | None) -> SuiteData:
        source = self.options.source
        if path is None or is_questions(path):
            if source == "recorded":
                raise OptionError(
                    f"--source recorded: {path} holds questions without answers",
                    "name a table of answers with --data, or leave out --source",
                )
            return self._simulated(EMBEDDED if path is None else path)
        if source == "embedded":
            raise OptionError(
                f"--source embedded: {path} holds recorded answers",
                "leave out --data for the embedded questions, or --source",
            )
        return self._stored(path) if is_store(path) else self._recorded(path)

    def _stored(self, path: Path) -> SuiteData:
        stored = read_store(path, "simpleqa", self.options.graded_by)
        data = from_long(
            stored.table,
            name="simpleqa",
            source=stored.source,
            place=path.name,
            files=stored.files,
            notes=stored.notes,
        )
        # What one judge could not grade is not for another one to grade unasked.
        return data if stored.graded else replace(data, judge="exact")

    def _recorded(self, path: Path) -> SuiteData:
        if self.options.graded_by is not None:
            raise OptionError(f"graded_by: {path.name} is no store", "name a .sqlite file")
        read = read_file(path)
        table, notes = check_answers(read.table, path.name, read.lines)
        data = from_long(
            table,
            name="simpleqa",
            source="recorded",
            place=path.name,
            files=(path.resolve(),),
            notes=read.notes + notes,
            lines=read.lines,
        )
        return replace(data, judge="exact")

    def _simulated(self, path: Path) -> SuiteData:
        questions = read_questions(path)
        simulated = discovery.load(discovery.find("provider", "simulated"))
        provider = simulated(simulated.Options(facts=path, world=self.options.world))
        pool = provider.pool()
        requests = [Request(m, q.query) for q in questions for m in pool.models]
        data = from_long(
            _long(questions, requests, provider.answer(requests)),
            name="simpleqa",
            source="simulated",
            place=path.name,
            pool=pool,
            # The tables that the questions were made from hold the answers too, and who knows what
            # stands in the provider's own.
            files=(path.resolve(), EMBEDDED.parent, Path(inspect.getfile(simulated)).parent),
            notes=(
                f"the answers are those of a simulated pool of {len(pool)} models: no real"
                " model was asked",
            ),
        )
        return replace(data, judge="exact")

    def _pair(self, pool: Pool) -> Pool:
        """Return the pool with the pair that the options name; its own where they name none."""
        small, large = self.options.small, self.options.large
        for option, model in (("small", small), ("large", large)):
            if model:
                pool.index(model, option)
        return replace(pool, small=small or pool.small, large=large or pool.large)


def _long(questions: Sequence[Question], requests: Sequence[Request], answers: Answers) -> pa.Table:
    """Return one row per answer; a reference is the JSON list of all that is right."""
    each = len(requests) // len(questions)
    right = [_right(question) for question in questions]

    def per_question(values: Sequence[str | None]) -> list[str | None]:
        return [value for value in values for _ in range(each)]

    columns = {
        "query_id": per_question([q.query_id for q in questions]),
        "query": per_question([q.query for q in questions]),
        "topic": per_question([q.topic for q in questions]),
        "reference": per_question(right),
        "model": [request.model for request in requests],
        "response": list(answers.text),
    }
    numbers = {"input_tokens": answers.input_tokens, "output_tokens": answers.output_tokens}
    if answers.latency is not None:
        numbers["latency"] = answers.latency
    return pa.table(
        {name: pa.array(values, pa.large_string()) for name, values in columns.items()}
        | {name: pa.array(values) for name, values in numbers.items()}
    )


def _right(question: Question) -> str:
    """Return all right answers, as a JSON list."""
    return json.dumps([question.reference, *question.aliases], ensure_ascii=False)
