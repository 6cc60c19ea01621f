"""Ask the checkpoints of a run again, and compare their decisions with the stored ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from routebench import config
from routebench.board.provenance import split_file
from routebench.board.read_run import Stored
from routebench.board.run_folder import RUN_FILE
from routebench.board.trained import TrainedRouter
from routebench.data.splits import TEST, make_split
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.jobs.setup import Job, Setup
from routebench.plugin.discovery import PluginInfo
from routebench.plugin.extensions import Extensions
from routebench.records import Ints
from routebench.schema import Row

Compared = tuple[str, str, str]
"""A decision, as it is stored and as it is made again."""


def reroute(run: Stored, files: Iterable[str] = ()) -> Iterator[Compared | str]:
    """Yield every decision on a test query, or why a router cannot be asked.

    The suite is loaded as the run file says. Routers run in this process, unconfined: installed
    ones, and of files those that `files` names, `path.py:Class`.

    Raises:
        DataError: the suite is not what the run had, or a checkpoint is not whole.
    """
    named = dict(map(split_file, files))
    labels = [row.router for row in run.board.rows]
    if unknown := [label for label in named if label not in labels]:
        raise OptionError(f"no router {unknown[0]} in this run", did_you_mean(unknown[0], labels))
    setup = _setup(run)
    for row in run.board.rows:
        if row.state == "ok":
            yield from _router(run, setup, row, named.get(row.router))


def _setup(run: Stored) -> Setup:
    """Return the run's queries and split, loaded anew, with their texts."""
    from routebench.pipeline import load_data

    options = config.make(config.read(run.folder / RUN_FILE))
    data = load_data(options, Extensions(options.set))
    split = make_split(
        data, options.split, options.folds, options.split_seed, data.shares, options.protocol
    )
    stored = run.setup
    if not np.array_equal(data.keys, stored.data.keys) or data.pool.models != run.models:
        raise DataError(f"{run.folder}: the suite has other queries or models now")
    for fold in range(len(stored.split.codes)):
        ours, theirs = stored.rows(fold, TEST), np.flatnonzero(split.codes[fold] == TEST)
        if not np.array_equal(ours, theirs):
            raise DataError(f"{run.folder}: fold {fold} of the suite tests other queries now")
    return Setup(data, split, run.board.encoder, {}, perturb=options.perturb, shots=options.shots)


def _router(run: Stored, setup: Setup, row: Row, file: str | None) -> Iterator[Compared | str]:
    if row.distribution is None and file is None:
        yield f"decisions of {row.router}: code of a file, run where --router names the file"
        return
    models = np.array(run.models, dtype=object)
    for seed in [0] if row.deterministic else row.seeds:
        for fold in range(len(setup.split.codes)):
            trained = TrainedRouter.load(run.folder, row.router, seed, fold, None, file)
            if trained.models != run.models:
                raise DataError(f"{row.router}, seed {seed}, fold {fold}: knows another pool")
            stored = run.decisions[row.router, seed, fold]
            plugin = PluginInfo("router", row.plugin, "", None, None)
            job = Job(row.router, plugin, {}, seed, fold, "", personal=stored.personal)
            batch = setup.query_batch(job)
            again: Ints = batch.parts(trained.decide(batch.queries)).test.choice
            personal = stored.personal
            rows = setup.asks(fold).row if personal else setup.rows(fold, TEST)
            before = models[stored.decisions.choice].tolist()
            for at, old, new in zip(rows, before, models[again].tolist(), strict=True):
                path = f"decisions[{row.router}, seed {seed}, fold {fold}, {setup.data.ids[at]}]"
                yield path, old, new
