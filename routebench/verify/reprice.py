"""A finished run at other prices: the same decisions at other costs, without new calls.

Costs are made from the run's tokens, and the board by the code that made it.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from routebench import config
from routebench.board import run_folder, write_tables
from routebench.board.read_run import PRICES, Stored, read_run
from routebench.board.read_tables import read_table, text
from routebench.errors import OptionError
from routebench.files import new_folder, sha256
from routebench.prices import listed
from routebench.prices.apply import BASES, cover
from routebench.prices.lists import PriceList, as_written
from routebench.schema import Leaderboard
from routebench.verify.recompute import recompute

NOTE = "re-priced: routers decided at the earlier prices; operating points are chosen at these"
CELLS = "cells.parquet"


def reprice(run: Path, prices: str, out: Path | None) -> tuple[Leaderboard, Path]:
    """Write a copy of the run at other prices: those of a file, or `list`.

    Without `out` the new folder stands beside the run's. Returns the board and its folder.

    Raises:
        DataError: where the run is no whole one or holds no tokens, or a model has no price.
        OptionError: where the folder holds anything, or cannot be written.
    """
    old = read_run(run, check=True)
    priced = _at(old, prices)
    assert priced.prices is not None
    folder = old.folder.resolve()
    place = out or folder.with_name(f"{folder.name}-repriced-{priced.prices.fingerprint[:8]}")
    _must_be_free(place)
    content = _tables(priced)
    options = config.make(config.read(old.folder / run_folder.RUN_FILE))
    content[run_folder.RUN_FILE] = config.dump(
        options.model_copy(update={"prices": prices})
    ).encode()
    board = run_folder.with_digest(_board(old, priced, content))
    content[run_folder.BOARD] = run_folder.to_json(board).encode()
    unchanged = [name for name in old.board.files if name not in content]
    _write(place, content, [old.folder / name for name in unchanged])
    return board, place


def _at(run: Stored, prices: str) -> Stored:
    """Return the run with other costs, and a board that states their source."""
    pool = run.setup.data.pool
    found, notes = listed.load(prices, pool.models)
    found = PriceList(cover(pool, found), found.place)
    if run.tokens is not None:
        longest = listed.longest_prompts(pool.models, run.tokens[0])
        found, more = listed.with_longer_prompts(found, longest)
        notes += more
    priced = run.repriced(found)
    data = priced.setup.data
    # What was said of the earlier prices does not hold for these.
    kept = [note for note in data.notes if not note.startswith(listed.NOTED)]
    data = replace(data, notes=tuple(dict.fromkeys([*kept, *notes, NOTE])))
    board = run.board
    if board.priced != "estimated":  # without a guess among the tokens
        nothing = board.diagnostics.model_copy(update={"cost_basis": dict.fromkeys(BASES, 0)})
        board = board.model_copy(update={"priced": "prices", "diagnostics": nothing})
    return replace(priced, board=board, setup=replace(priced.setup, data=data))


def _tables(run: Stored) -> dict[str, bytes]:
    """Return the files that other prices change."""
    data, place = run.setup.data, run.folder / CELLS
    assert data.outcomes.cost is not None
    assert run.prices is not None
    cells = read_table(place)
    row = text(cells, "query", CELLS).into(data.keys, CELLS)
    model = text(cells, "model", CELLS).into(data.pool.models, CELLS)
    written = {name: as_written(entry) for name, entry in run.prices.models.items()}
    return {
        CELLS: write_tables.with_costs(cells, data.outcomes.cost[row, model]),
        PRICES: tomli_w.dumps(written).encode(),
    }


def _board(old: Stored, new: Stored, content: dict[str, bytes]) -> Leaderboard:
    made = recompute(new)
    hashes = {name: sha256(data) for name, data in content.items()}
    run_file = hashes.pop(run_folder.RUN_FILE)
    about: dict[str, Any] = {
        "from": None if old.prices is None else old.prices.fingerprint,
        "to": made.fingerprints.prices,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    return made.model_copy(
        update={
            "files": dict(sorted({**old.board.files, **hashes}.items())),
            "environment": old.board.environment | {"run_toml": run_file, "repriced": about},
        }
    )


def _must_be_free(place: Path) -> None:
    try:
        free = not place.exists() or (place.is_dir() and not any(place.iterdir()))
    except OSError as error:
        raise OptionError(f"cannot write to {place}: {error.strerror or error}") from error
    if not free:
        raise OptionError(f"{place} is there already", "name a new folder with --out DIR")


def _write(place: Path, content: dict[str, bytes], unchanged: list[Path]) -> None:
    """Write all files or none: in a folder beside the place, then renamed."""
    try:
        with new_folder(place) as made:
            for file in unchanged:
                shutil.copyfile(file, made / file.name)
            for name, data in content.items():
                (made / name).write_bytes(data)
            if place.exists():  # and empty
                place.rmdir()
    except OSError as error:
        hint = "name another with --out DIR"
        raise OptionError(f"cannot write to {place}: {error.strerror or error}", hint) from error
