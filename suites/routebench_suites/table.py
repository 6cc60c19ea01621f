"""Any outcomes file as a suite: Parquet, JSON lines or CSV, one row per answer; or a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.data.checks import DEAREST, check_answers
from routebench.data.files import Read, read_file
from routebench.data.long_table import from_long
from routebench.data.reading import mapping
from routebench.data.scores import stated_notes
from routebench.errors import OptionError
from routebench.records import STATED, SuiteData
from routebench_suites.storefile import is_store, read_store


class TableSuite:
    """Outcomes that were recorded elsewhere; see `routebench.data.long_table` for the columns."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        data: Path = Field(
            description="outcomes file: .parquet, .csv, .tsv, .jsonl, .ndjson or .json, all but the"
            " first also with .gz; or a store of collected answers, .sqlite"
        )
        map: str = Field(
            default="",
            description="columns that are called otherwise there: query=prompt,score=rating; of"
            " JSON also dotted paths, response=choices.0.message.content",
        )
        score_max: float = Field(
            default=1.0, gt=0, allow_inf_nan=False, description="what the scores go up to"
        )
        confidence: str | None = Field(
            default=None,
            description="column with each model's own confidence in its answer, such as the mean"
            " log-probability; for routers that see answers",
        )
        verification: str | None = Field(
            default=None,
            description="column with the share of checks, in [0, 1], by which a model passed the"
            " answer; for routers that see answers",
        )
        models: tuple[str, ...] = Field(
            default=(), description="of a table with one row per query: the columns of scores"
        )
        max_cost: float = Field(
            default=DEAREST,
            gt=0,
            description="USD of one call; more is taken for a sum or a price per million tokens",
        )
        small: str | None = Field(default=None, description="the weak model of a pair")
        large: str | None = Field(default=None, description="the strong model of a pair")
        source: Literal["recorded", "simulated", "live"] | None = Field(
            default=None,
            description="where the answers come from; said wherever a number is shown; by default"
            " recorded, and of a store what it says",
        )
        graded_by: str | None = Field(
            default=None,
            description="of a store: the judge whose grades count; by default the first that could"
            " grade any",
        )
        of: str | None = Field(
            default=None,
            description="of a store: the suite whose questions count; by default all of them",
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self) -> SuiteData:
        """Read, check and align the file; one `DataError` names whatever is wrong with it."""
        data = self._stored() if is_store(self.options.data) else self._file()
        for option in ("small", "large"):
            if model := getattr(self.options, option):
                data.pool.index(model, option)
        pool = replace(data.pool, small=self.options.small, large=self.options.large)
        return replace(data, pool=pool)

    def _file(self) -> SuiteData:
        path = self.options.data
        for option in ("graded_by", "of"):
            if getattr(self.options, option) is not None:
                raise OptionError(f"{option}: {path.name} is no store", "name a .sqlite file")
        own = self.options
        named = {name: column for name in STATED if (column := getattr(own, name)) is not None}
        renamed = mapping.parse(own.map)
        for stated, column in named.items():
            for name in ("score", "grade"):
                if column == renamed.get(name, name):
                    raise OptionError(
                        f"{stated}: {column} is the column of the {name}",
                        f"routers that see answers see their {stated}, and never a grade",
                    )
        if len(set(named.values())) < len(named):
            raise OptionError(
                f"{' and '.join(named)}: both are column {own.confidence}", "each has its own"
            )
        how = Read(renamed | named, own.models, own.score_max)
        read = read_file(path, how)
        for name in STATED:
            if name not in named and name in read.table.column_names:
                note = f"columns not used: {name} (--set table.{name}={name} uses it)"
                kept = read.table.drop_columns([name])
                read = replace(read, table=kept, notes=(*read.notes, note))
        table, noted = check_answers(read.table, path.name, read.lines, own.max_cost)
        data = from_long(
            table,
            name="table",
            source=own.source or "recorded",
            place=path.name,
            files=(path.resolve(),),
            notes=read.notes + noted,
            score_max=own.score_max,
            lines=read.lines,
        )
        notes = [
            note
            for name, column in named.items()
            for note in stated_notes(name, column, data.outcomes)
        ]
        return replace(data, notes=(*data.notes, *notes))

    def _stored(self) -> SuiteData:
        path = self.options.data
        own = self.options
        for option in ("map", "models", "score_max"):
            if option in own.model_fields_set:
                raise OptionError(f"{option}: {path.name} is a store", "a store has its columns")
        stored = read_store(path, own.of, own.graded_by, only=own.of is not None)
        return from_long(
            stored.table,
            name="table",
            source=self.options.source or stored.source,
            place=path.name,
            files=stored.files,
            notes=stored.notes,
        )
