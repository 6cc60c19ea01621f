"""Count the values of a board that can be changed without `routebench verify` noticing.

Every leaf of a small run's leaderboard.json is changed, one at a time: numbers a little, texts by
a letter, truths to their contrary. Noticed is what verify reports or refuses to read. Whoever
changes a value may also state the board's own digest anew: by default that is done here too.

    python benchmarks/altered_boards.py [--plain] [--sample]

With --sample one value of each kind of path is changed, whichever the router, model or metric.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from routebench.board import build, run_folder
from routebench.schema import Leaderboard
from routebench.verify.verify import verify

Path_ = tuple[str | int, ...]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = small_run(Path(scratch))
        copied = Path(shutil.copytree(folder, Path(scratch) / "altered"))
        start = time.perf_counter()
        total, unnoticed = 0, []
        words = sys.argv[1:]
        for path, noticed in altered(copied, "--plain" not in words, "--sample" in words):
            total += 1
            if not noticed:
                print("unnoticed", ".".join(map(str, path)), flush=True)
                unnoticed.append(path)
        seconds = time.perf_counter() - start
        print(f"{len(unnoticed)} of {total} altered values went unnoticed ({seconds:.0f} s)")


def small_run(home: Path) -> Path:
    """Make a run with prices, two baselines, a failed call or two, and three routers."""
    from runs import SMALL, finish, graded, price_list, put

    build.RESAMPLES = 100  # which the board states, and verify makes again
    build.score.__defaults__ = (100, *(build.score.__defaults__ or ())[1:])
    return finish(
        home / "run",
        suite=put(home, graded(60)),
        judge="exact",
        prices=price_list(home),
        router=("knn", "random", "cheapest"),
        against=("knn",),
        max_missing=0.3,
        set=SMALL,
    )


def altered(
    folder: Path, restated: bool = True, sample: bool = False
) -> Iterator[tuple[Path_, bool]]:
    """Yield the path of every leaf, or of one of each kind, and whether a change was noticed."""
    place = folder / "leaderboard.json"
    original = place.read_text()
    seen = set[Path_]()
    for path, value in leaves(json.loads(original)):
        if sample and kind(path) in seen:
            continue
        seen.add(kind(path))
        board = json.loads(original)
        inner = board
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = other(value)
        place.write_text(_text(board, restated and path[-1] != run_folder.DIGEST))
        yield path, is_noticed(folder)
    place.write_text(original)


def kind(path: Path_) -> Path_:
    """Return a path without numbers, and names of models and metrics."""
    names = {"metrics", "against", "references", "operating_points", "points", "by_task", "pool"}
    names |= {"usage", "usage_interval", "mean_cost", "mean_score", "packages", "routers"}
    steps = [step for step in path if not isinstance(step, int)]
    return tuple(
        "*" if before in names else step for before, step in zip(["", *steps], steps, strict=False)
    )


def _text(board: dict[str, Any], restated: bool) -> str:
    with contextlib.suppress(ValueError):
        if restated:
            return run_folder.to_json(run_folder.with_digest(Leaderboard.model_validate(board)))
    return json.dumps(board, indent=2, sort_keys=True) + "\n"


def is_noticed(folder: Path) -> bool:
    """Return whether verify reports a difference or an error."""
    try:
        return bool(verify(folder).mismatches)
    except Exception:  # a traceback is no pass either
        return True


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every value that holds no others, with its path; an empty list is one."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from leaves(inner, (*path, i))
    else:
        yield path, value


def other(value: Any) -> Any:
    """Return a value of the same kind that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.01 + 0.001
    if isinstance(value, str):
        return f"{value[:-1]}{'0' if value[-1:] != '0' else '1'}"
    if isinstance(value, list):
        return ["something"]
    return {"something": 1} if isinstance(value, dict) else "something"


if __name__ == "__main__":
    main()
