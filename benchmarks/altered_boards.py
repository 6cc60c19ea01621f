"""How many values of a board can be changed without `routebench verify` noticing.

Every leaf of a small run's leaderboard.json is changed, one at a time: numbers a little, texts by
a letter, truths to their contrary. Noticed is what verify reports or refuses to read.

    python benchmarks/altered_boards.py [FOLDER]
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from routebench.board import build
from routebench.errors import RoutebenchError
from routebench.verify.verify import verify

Path_ = tuple[str | int, ...]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else small_run(Path(scratch))
        copied = Path(shutil.copytree(folder, Path(scratch) / "altered"))
        start = time.perf_counter()
        total, unnoticed = 0, []
        for path, noticed in altered(copied):
            total += 1
            if not noticed:
                unnoticed.append(path)
        for path in unnoticed:
            print("unnoticed", ".".join(map(str, path)))
        seconds = time.perf_counter() - start
        print(f"{len(unnoticed)} of {total} altered values went unnoticed ({seconds:.0f} s)")


def small_run(home: Path) -> Path:
    """Make a run with prices, two baselines, a failed call or two, and three routers."""
    from runs import SMALL, finish, graded, price_list, put

    build.score.__defaults__ = (200, ())
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


def altered(folder: Path) -> Iterator[tuple[Path_, bool]]:
    """Yield the path of every leaf, and whether changing it was noticed."""
    place = folder / "leaderboard.json"
    original = place.read_text()
    for path, value in leaves(json.loads(original)):
        board = json.loads(original)
        inner = board
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = other(value)
        place.write_text(json.dumps(board, indent=2, sort_keys=True) + "\n")
        yield path, is_noticed(folder)
    place.write_text(original)


def is_noticed(folder: Path) -> bool:
    """Return whether verify reports a difference or an error."""
    try:
        return bool(verify(folder).mismatches)
    except (RoutebenchError, ValueError, KeyError, IndexError, TypeError):
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
