"""Recompute the board from the run folder alone, with the code that made it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from routebench import config
from routebench.board import build
from routebench.board.read_decisions import Key, by_job, named
from routebench.board.read_run import Stored
from routebench.board.read_scores import read_scores
from routebench.board.read_tables import read_table, text
from routebench.board.run_folder import RUN_FILE
from routebench.data.fingerprints import pool_fingerprint
from routebench.data.perturbations import KINDS
from routebench.data.splits import TEST, VALIDATION
from routebench.errors import DataError
from routebench.jobs.entrant import Entrant
from routebench.jobs.finished import Result
from routebench.jobs.setup import Job, Setup
from routebench.metrics.points.asked import AskedPoints
from routebench.plugin.discovery import PluginInfo
from routebench.prices.apply import PriceInfo, costs_by_length, cover
from routebench.records import Decisions, Ints, State
from routebench.schema import Fingerprints, Leaderboard, Row, is_measured

PERTURBED = "perturbed.parquet"


def recompute(run: Stored) -> Leaderboard:
    """Return the board that the run's tables and options make; what no table holds is copied."""
    board = run.board
    options = config.make(config.read(run.folder / RUN_FILE))
    has_forms = PERTURBED in board.files
    setup = replace(run.setup, perturb=options.perturb if has_forms else 0)
    entrants = [_entrant(row, run, options.inner_folds or 0) for row in board.rows]
    results = _results(run, setup, {entrant.label: entrant for entrant in entrants})
    asked = AskedPoints.of(options.point, options.margin)
    prices = _prices(run)
    scored = build.score(
        setup, entrants, results, board.resamples, options.against, asked, prices.lengths
    )
    made = build.board(
        options, setup, prices, _fingerprints(run), entrants, results, scored
    )  # fmt: skip
    return _with_copied(made, run)


def _with_copied(made: Leaderboard, run: Stored) -> Leaderboard:
    """Copy the fields that no table holds: names, versions, messages of jobs."""
    board = run.board
    old = {row.router: row for row in board.rows}
    rows = []
    for row in made.rows:
        noted = [text for text in old[row.router].warnings if not is_measured(text)]
        kept: dict[str, Any] = {"warnings": [*row.warnings, *noted], "facts": old[row.router].facts}
        if old[row.router].deterministic:
            choice = run.choices(row.router)
            kept["deterministic"] = bool((choice == choice[0]).all())
        rows.append(row.model_copy(update=kept))
    copied = {name: getattr(board, name) for name in ("encoder", "files", "environment", "timing")}
    return made.model_copy(update={"rows": rows, **copied})


def _entrant(row: Row, run: Stored, inner_folds: int = 0) -> Entrant:
    plugin = PluginInfo("router", row.plugin, "", row.distribution, row.version)
    has_decisions = any(label == row.router for label, _, _ in run.decisions)
    state = "skipped" if row.state == "skipped" else "ready" if has_decisions else "failed"
    message = row.message or "no decisions are stored"
    return Entrant(
        row.router,
        plugin,
        row.options,
        row.fingerprint or "",
        state,
        message,
        reference=row.reference,
        inner_folds=inner_folds if row.learning and row.learning.inner_folds else 0,
    )


def _results(run: Stored, setup: Setup, entrants: dict[str, Entrant]) -> dict[Job, Result]:
    quality = read_scores(run.folder, run.board, setup)
    forms = _forms(run, setup)
    results = {}
    for key, stored in sorted(run.decisions.items(), key=lambda item: item[0]):
        label, seed, fold = key
        if label not in entrants:
            raise DataError(f"decisions.parquet: {label} is no router of the board")
        entrant = entrants[label]
        job = Job(
            label,
            entrant.plugin,
            {},
            seed,
            fold,
            "",
            personal=stored.personal,
            inner_folds=entrant.inner_folds,
        )
        decisions = replace(stored.decisions, quality=quality.get((key, TEST)))
        if (play := run.played.get((label, seed))) is not None:
            decisions = replace(decisions, probability=play.probability, hindsight=play.hindsight)
            job = replace(job, updates=play.learns)
        known = quality.get((key, VALIDATION))
        nothing = np.zeros(0 if known is None else len(known), dtype=np.int64)
        results[job] = Result(
            "ok",
            decisions=decisions,
            validation=Decisions(nothing, quality=known),
            perturbed=Decisions(forms.get(key, np.zeros(0, dtype=np.int64))),
            trade_offs=run.trade_offs.get(key),
        )
    return results


def _forms(run: Stored, setup: Setup) -> dict[Key, Ints]:
    """Return choices for the perturbed forms of test queries: by kind, then query."""
    if not setup.perturb:
        return {}
    table = read_table(run.folder / PERTURBED, ("router", "query", "kind", "choice"))
    data = setup.data
    row = text(table, "query", PERTURBED).into(data.keys, PERTURBED)
    kind = text(table, "kind", PERTURBED).into(KINDS, PERTURBED)
    choice = text(table, "choice", PERTURBED).into(data.pool.models, PERTURBED)
    choices = {}
    for key, at in by_job(table, PERTURBED):
        rows = setup.perturbed(key[2])
        if key in run.decisions and run.decisions[key].personal:
            asks = setup.asks(key[2])
            rows = asks.row[asks.one_each(rows)]
        order = at[np.lexsort((row[at], kind[at]))]
        expected = np.tile(rows, len(KINDS)), np.repeat(np.arange(len(KINDS)), len(rows))
        if not all(map(np.array_equal, (row[order], kind[order]), expected)):
            raise DataError(f"{PERTURBED}: {named(key)} was asked other forms than were to be")
        choices[key] = choice[order]
    return choices


def _prices(run: Stored) -> PriceInfo:
    """Return the source of the costs; the number of assumed ones is copied from the board."""
    basis, outcomes = dict(run.board.diagnostics.cost_basis), run.setup.data.outcomes
    answered = ~np.isin(outcomes.state, (State.FAILED, State.ABSENT))
    known = np.zeros_like(answered)
    if outcomes.input_tokens is not None and outcomes.output_tokens is not None:
        known = ~np.isnan(outcomes.input_tokens + outcomes.output_tokens)
    if run.board.priced == "recorded" and outcomes.cost is not None:
        basis["recorded"] = int((~np.isnan(outcomes.cost)).sum())
    elif run.prices is not None:
        basis["tokens"] = int((answered & known).sum())
        basis["estimated"] = int(answered.sum()) - basis["tokens"] - basis.get("assumed", 0)
    fingerprint = None if run.prices is None else run.prices.fingerprint
    lengths = {}
    if run.assumed is not None and run.prices is not None and run.tokens is not None:
        listed = cover(run.setup.data.pool, run.prices)
        lengths = costs_by_length(listed, run.tokens, outcomes, run.assumed)
    return PriceInfo(run.board.priced, basis, fingerprint, {}, lengths=lengths)


def _fingerprints(run: Stored) -> Fingerprints:
    """Return pool, split and prices anew; the others need texts, references and answers."""
    split, data = run.setup.split, run.setup.data
    digest = hashlib.sha256("".join(data.keys).encode())
    digest.update(split.codes.tobytes())
    if split.held_out is not None:
        digest.update(split.held_out.tobytes())
    made: dict[str, Any] = {"pool": pool_fingerprint(data), "split": digest.hexdigest()[:16]}
    made["prices"] = None if run.prices is None else run.prices.fingerprint
    return run.board.fingerprints.model_copy(update=made)


def leaves(board: Leaderboard) -> dict[str, Any]:
    """Return every value of a board by its path, rows by their router."""
    values = board.model_dump(mode="json")
    order = [row["router"] for row in values["rows"]]
    values["rows"] = {row["router"]: row for row in values["rows"]}
    values_by_path: dict[str, Any] = {"rows": order}
    _walk(values_by_path, "", values)
    return values_by_path


def _walk(values: dict[str, Any], path: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            step = _step(name) if path != "rows" else f"[{name}]"
            _walk(values, path + step if path else step.removeprefix("."), inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _walk(values, f"{path}[{i}]", inner)
    else:
        values[path] = value


@lru_cache(maxsize=1 << 12)
def _step(name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    return f".{name}" if plain else f"[{name}]"
