"""Any outcomes file as a suite: Parquet, JSON lines or CSV, one row per answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench.longform import from_long
from routebench.records import SuiteData
from routebench_suites.tablefile import read_table


class TableSuite:
    """Outcomes that were recorded elsewhere; see `routebench.longform` for the columns."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        data: Path = Field(
            description="outcomes file: .parquet, .jsonl, .ndjson or .csv, the last three also"
            " with .gz"
        )
        small: str | None = Field(default=None, description="the weak model of a pair")
        large: str | None = Field(default=None, description="the strong model of a pair")
        source: Literal["recorded", "simulated", "live"] = Field(
            "recorded", description="where the answers come from; said wherever a number is shown"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self) -> SuiteData:
        """Read, check and align the file; one `DataError` names whatever is wrong with it."""
        path = self.options.data
        table, notes = read_table(path)
        data = from_long(
            table,
            name="table",
            source=self.options.source,
            place=path.name,
            files=(path.resolve(),),
            notes=notes,
        )
        for option in ("small", "large"):
            if model := getattr(self.options, option):
                data.pool.index(model, option)
        pool = replace(data.pool, small=self.options.small, large=self.options.large)
        return replace(data, pool=pool)
