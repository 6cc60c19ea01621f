"""Tables as files, and what is read of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from routebench.records import SuiteData
from routebench_suites.table import TableSuite

ROWS: list[dict[str, Any]] = [
    {"query_id": f"q{q}", "query": f"café {q}", "model": model, "score": score, "response": "so"}
    for q in range(3)
    for model, score in (("a", 1.0), ("b", 0.25))
]


def load(path: Path, **options: Any) -> SuiteData:
    return TableSuite(TableSuite.Options(data=path, **options)).load()


def separated(rows: list[dict[str, Any]], mark: str = ",", comma: bool = False) -> str:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return text.replace(".", ",") if comma and isinstance(value, float) else text

    lines = [mark.join(rows[0]), *(mark.join(map(cell, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


def lines_of(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def score(data: SuiteData, query: str, model: str) -> float:
    at = data.ids.tolist().index(query), data.pool.models.index(model)
    return float(data.outcomes.score[at])
