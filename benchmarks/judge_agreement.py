"""Compare the `exact` judge with the recorded grades of answers.

    python benchmarks/judge_agreement.py OUTCOMES

Takes a long table with `query`, `reference`, `response`, `grade` and, if it is there,
`answer_type`. Prints the confusion table, agreement and Cohen's κ by answer type, and a sample of
the disagreements of each kind.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from sklearn.metrics import cohen_kappa_score

from routebench.records import Grade
from routebench_judges.exact.judge import Exact

NAMES = [grade.name for grade in Grade if grade != Grade.NONE]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("outcomes", type=Path)
    parser.add_argument(
        "--types", default="Number,Date,Person", help="answer types that count; empty: all"
    )
    parser.add_argument("--show", type=int, default=5, help="disagreements shown of each kind")
    options = parser.parse_args()
    wanted = {name for name in options.types.split(",") if name}
    rows = [
        row
        for row in pq.read_table(options.outcomes).to_pylist()
        if row["grade"] in NAMES and row["response"] is not None
        if not wanted or row.get("answer_type") in wanted
    ]
    started = time.perf_counter()
    graded = Exact(Exact.Options()).judge(
        [row["query"] for row in rows],
        [row["reference"] for row in rows],
        [row["response"] for row in rows],
    )
    seconds = time.perf_counter() - started
    ours = [Grade(int(code)).name for code in graded.grade]
    out = Console(width=110)
    out.print(f"{len(rows):,} answers in {seconds:.2f} s: {len(rows) / seconds:,.0f} per second\n")
    out.print(confusion(rows, ours))
    out.print(by_type(rows, ours))
    disagreements(rows, ours, options.show, out)


def confusion(rows: list[dict[str, Any]], ours: list[str]) -> Table:
    """Recorded grades by row, the judge's by column."""
    table = Table("recorded \\ exact", *NAMES, title="all")
    counts = Counter(zip((row["grade"] for row in rows), ours, strict=True))
    for grade in NAMES:
        table.add_row(grade, *(f"{counts[grade, other]:,}" for other in NAMES))
    return table


def by_type(rows: list[dict[str, Any]], ours: list[str]) -> Table:
    """Agreement, κ, and how much of what is called CORRECT is so in the record."""
    table = Table("answer type", "answers", "agreement", "κ", "CORRECT upheld", "CORRECT found")
    kinds = defaultdict(list)
    for row, grade in zip(rows, ours, strict=True):
        kinds[row.get("answer_type") or "–"].append((row["grade"], grade))
    kinds["all"] = [pair for pairs in list(kinds.values()) for pair in pairs]
    for kind, pairs in kinds.items():
        recorded, mine = zip(*pairs, strict=True)
        same = sum(a == b for a, b in pairs)
        both = sum(a == b == "CORRECT" for a, b in pairs)
        table.add_row(
            kind,
            f"{len(pairs):,}",
            f"{same / len(pairs):.1%}",
            f"{cohen_kappa_score(recorded, mine):.3f}",
            f"{both / max(mine.count('CORRECT'), 1):.1%}",
            f"{both / max(recorded.count('CORRECT'), 1):.1%}",
        )
    return table


def disagreements(rows: list[dict[str, Any]], ours: list[str], each: int, out: Console) -> None:
    """A seeded sample of every kind of disagreement."""
    kinds = defaultdict(list)
    for row, grade in zip(rows, ours, strict=True):
        if row["grade"] != grade:
            kinds[row["grade"], grade].append(row)
    for (recorded, grade), found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        out.print(f"\nrecorded {recorded}, exact {grade}: {len(found):,}", style="bold")
        for row in random.Random(0).sample(found, min(each, len(found))):
            answer = " ".join(row["response"].split())
            out.print(f"  {row['reference']!r} ← {answer[:160]!r}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
