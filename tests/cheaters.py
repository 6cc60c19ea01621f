"""Routers that try to get at the answers. None may gain by it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from routebench import hookimpl
from routebench.plugin import checkpoint
from routebench.records import Decisions, Outcomes, Queries, SuiteData, Table


class Options(BaseModel):
    path: str = ""
    """The outcomes file, as a router would know it whose author has it at hand."""
    stash: str = ""


class Cheater:
    """Answers from `self.known`, text → best model; guesses where it knows nothing."""

    Options = Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.known: dict[str, int] = {}

    @hookimpl
    def fit(self, train: Table) -> None:
        self.look(train)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        self.look(None)
        return Decisions(np.array([self.known.get(text, 0) for text in queries.text]))

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {"known": self.known})

    def load(self, folder: Path) -> None:
        self.known = checkpoint.load(folder)[0]["known"]

    def look(self, train: Table | None) -> None:
        raise NotImplementedError

    def learn(self, texts: Any, scores: Any) -> None:
        best = np.nan_to_num(np.asarray(scores), nan=-1.0).argmax(axis=1)
        self.known |= dict(zip(texts, best.tolist(), strict=True))

    def read_parquet(self, path: str) -> None:
        """Through Arrow's C++ readers, which no audit hook sees."""
        import pyarrow.parquet as pq

        rows: dict[str, dict[str, float]] = {}
        for row in pq.read_table(path).to_pylist():
            rows.setdefault(row["query"], {})[row["model"]] = row["score"]
        self.known |= {
            text: int(np.argmax([scores[model] for model in sorted(scores)]))
            for text, scores in rows.items()
        }


def everything() -> list[object]:
    """All that the garbage collector knows, but for what warns when it is looked at."""
    return [
        thing for thing in gc.get_objects() if not str(type(thing).__module__).startswith("torch")
    ]


class SearchesMemory(Cheater):
    """Whatever the garbage collector knows of that looks like queries with outcomes."""

    def look(self, train: Table | None) -> None:
        for thing in everything():
            if isinstance(thing, SuiteData | Table):
                self.learn(thing.queries.text, thing.outcomes.score)


class FollowsBuffers(Cheater):
    """From the arrays it was given to whatever larger ones they are views of."""

    def look(self, train: Table | None) -> None:
        for thing in everything() if train is None else [train.queries, train.outcomes]:
            if isinstance(thing, Queries | Outcomes):
                for name in ("text", "score"):
                    array = getattr(thing, name, None)
                    while array is not None and getattr(array, "base", None) is not None:
                        array = array.base
                        if hasattr(array, "shape") and len(array) > len(getattr(thing, name)):
                            raise AssertionError("found a larger array behind mine")
        import pyarrow as pa

        for thing in everything():
            if isinstance(thing, pa.Table | pa.RecordBatch) and "score" in thing.column_names:
                self.learn(thing["text"].to_pylist(), thing["score"].to_pylist())


class ReadsParent(Cheater):
    """The outcomes file by its name on the command line of the process above."""

    def look(self, train: Table | None) -> None:
        with contextlib.suppress(Exception):
            line = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode()
            (path,) = [part for part in line.split("\0") if part.startswith("table:")]
            self.read_parquet(path.removeprefix("table:"))


class ReadsParentQuietly(Cheater):
    """The same through Arrow's files, unseen by any audit hook."""

    def look(self, train: Table | None) -> None:
        import pyarrow as pa

        with contextlib.suppress(Exception):
            line = pa.OSFile(f"/proc/{os.getppid()}/cmdline").read().decode()
            (path,) = [part for part in line.split("\0") if part.startswith("table:")]
            self.read_parquet(path.removeprefix("table:"))


class KnowsPath(Cheater):
    """The outcomes file by a path written into its options."""

    def look(self, train: Table | None) -> None:
        with contextlib.suppress(Exception):
            self.read_parquet(self.options.path)


class ImportsSuite(Cheater):
    """The suite's own loader."""

    def look(self, train: Table | None) -> None:
        with contextlib.suppress(Exception):
            from routebench_suites.table import TableSuite

            data = TableSuite(TableSuite.Options(data=Path(self.options.path))).load()
            self.learn(data.queries.text, data.outcomes.score)


class KeepsTexts(Cheater):
    """Leaves what one fold may see for the folds in which it is the test."""

    def places(self) -> list[Path]:
        return [Path(p) for p in (self.options.stash, "/tmp", "/dev/shm") if Path(p).is_dir()]

    def look(self, train: Table | None) -> None:
        for place in self.places():
            with contextlib.suppress(Exception):
                for path in place.glob("routebench-stash-*.parquet"):
                    self.read_parquet(str(path))
            if train is not None:
                with contextlib.suppress(Exception):
                    self.write(place / f"routebench-stash-{os.getpid()}.parquet", train)

    def write(self, path: Path, train: Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        n, m = train.outcomes.score.shape
        columns = {
            "query": np.repeat(train.queries.text, m),
            "model": np.tile(train.pool.models, n),
            "score": train.outcomes.score.reshape(-1),
        }
        pq.write_table(pa.table(columns), path)


class KeepsTextsPlainly(KeepsTexts):
    """The same through Python's own files."""

    def write(self, path: Path, train: Table) -> None:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            super().write(Path(stream.name), train)


class StashesInAttributes(KeepsTexts):
    """What one fold saw, as an extended attribute of this very file."""

    def look(self, train: Table | None) -> None:
        with contextlib.suppress(Exception):
            self.known |= json.loads(os.getxattr(__file__, "user.routebench"))
        if train is not None:
            self.learn(train.queries.text, train.outcomes.score)
            with contextlib.suppress(Exception):
                os.setxattr(__file__, "user.routebench", json.dumps(self.known).encode())


class ReadsEarlierRuns(Cheater):
    """Cells of other runs on the same data, wherever they may have been left."""

    def look(self, train: Table | None) -> None:
        import pyarrow.parquet as pq

        found = 0
        for place in Path(self.options.stash).rglob("cells.parquet"):
            with contextlib.suppress(OSError):
                found += pq.read_table(place).num_rows
        if found:
            raise AssertionError(f"read {found} cells of other runs")


class LooksAtImport(Cheater):
    """Asked for its options, it searches the process that asks."""

    def needs(self, pool: object, shown: object, priced: bool) -> str | None:
        held = [thing for thing in everything() if isinstance(thing, SuiteData | Outcomes)]
        return f"{len(held)} objects with outcomes are in reach" if held else None

    def look(self, train: Table | None) -> None:
        """Nothing more to do."""
