"""Build the leaderboard's rows and diagnostics from finished jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from routebench.board.assemble import assemble_decisions, tested_rows
from routebench.board.diagnostics import diagnostics, left_out
from routebench.board.online.rows import online_stream, with_play
from routebench.board.rewarded import renamed, rewarded
from routebench.board.steps.use import step_use
from routebench.config import RunConfig
from routebench.data.splits import TEST, TRAIN, VALIDATION
from routebench.data.users import valued
from routebench.jobs.entrant import Entrant
from routebench.jobs.finished import Result
from routebench.jobs.references import references
from routebench.jobs.setup import Job, Setup
from routebench.metrics import headroom
from routebench.metrics.evaluate import Evaluation, evaluate
from routebench.metrics.points.asked import AskedPoints
from routebench.metrics.points.words import headline
from routebench.metrics.setting import Setting, scorable
from routebench.plugin.selection import COVERED
from routebench.prices.apply import PriceInfo
from routebench.records import Floats, Ints
from routebench.schema import (
    INCOMPLETE,
    Fingerprints,
    Leaderboard,
    Learning,
    Row,
    StepUse,
    SuiteInfo,
)

RESAMPLES = 10_000
ANSWERED_BY_ALL = "all rows are scored on the queries that every model answered,"
"""The beginning of the note of a run in which a router sees answers."""
COPIES = "; of equal texts one is scored: what is bought for it is known for the others"
STARTS_PROCESSES = "starts processes of its own, which are watched less closely"
USES_NETWORK = "uses the network, where answers may be found: it is watched less closely"
AUDIT_ONLY = (
    "watched by the audit hook only: the system here confines no process, and what C code does"
    " is not seen"
)
WRAPPED = "wrapped by the extension "


@dataclass(frozen=True)
class ScoredQueries:
    """The test queries of all folds, one after the other, and their evaluation."""

    rows: Ints
    """[n] row of each test query in the suite."""
    folds: Ints
    """[n] the fold it was tested in."""
    evaluation: Evaluation
    failures: dict[str, str]
    """Why, for each router that failed."""
    steps: dict[str, StepUse] = field(default_factory=dict)
    """Whom routers that see answers asked."""
    left_out: str = ""
    """Whose choices took queries from all rows, and what that does to the best single model."""


def score(
    setup: Setup,
    entrants: list[Entrant],
    results: Mapping[Job, Result],
    resamples: int = RESAMPLES,
    against: Sequence[str] = (),
    asked: AskedPoints | None = None,
    lengths: Mapping[str, Floats] | None = None,
) -> ScoredQueries:
    """Put the decisions of each router's jobs together and evaluate them."""
    asked = asked or AskedPoints()
    references = {entrant.label for entrant in entrants if entrant.reference}
    folds = range(len(setup.split.codes))
    parts = [tested_rows(setup, fold) for fold in folds]
    rows = np.concatenate(parts)
    by_router: dict[str, list[tuple[Job, Result]]] = defaultdict(list)
    for job, result in results.items():
        by_router[job.label].append((job, result))
    failures = {e.label: e.message for e in entrants if e.state == "failed"}
    setting = _setting(setup, rows)
    if setup.data.users is None:
        by_length = {name: costs[rows] for name, costs in (lengths or {}).items()}
        setting = replace(setting, lengths=by_length)
    routed = []
    for label, jobs in sorted(by_router.items()):
        failed = sorted((j.seed, j.fold, r.message) for j, r in jobs if r.state != "ok")
        if failed:
            seed, fold, message = failed[0]
            where = f"seed {seed}" + (f", fold {fold}" if len(folds) > 1 else "")
            failures[label] = f"{message} [{where}; {len(failed)} of {len(jobs)} jobs failed]"
            continue
        one = assemble_decisions(setup, label, jobs, asked.points)
        one = replace(one, reference=label in references)
        usable = setting.outcomes.ok[np.arange(len(rows)), one.choice].mean()
        if usable < COVERED:
            # All rows are scored on the same queries: this one would take the others' away.
            failures[label] = (
                f"the models it chose have a usable answer on {usable:.0%} of the test queries; "
                f"at least {COVERED:.0%} are needed"
            )
        else:
            routed.append(one)
    evaluation = evaluate(setting, routed, resamples, against=against, judged=asked.judged)
    numbers = np.concatenate([np.full(len(part), fold) for fold, part in enumerate(parts)])
    scored = scorable(setting, routed)
    steps = {
        one.name: step_use(setting.take(scored), one.take(scored))
        for one in routed
        if one.asked is not None
    }
    return ScoredQueries(rows, numbers, evaluation, failures, steps, left_out(setting, routed))


def outlook(setup: Setup) -> str:
    """Describe what routing can gain on the test queries, in one line, before a router runs."""
    rows = np.concatenate([tested_rows(setup, fold) for fold in range(len(setup.split.codes))])
    setting = _setting(setup, rows)
    best = setting.outcomes.ok[np.arange(len(rows)), setting.best_single]
    if not best.any():
        return "headroom unknown: the best single model has no usable answer on the test queries"
    usable = setting.take(best)
    reached = usable.outcomes.score[np.arange(best.sum()), usable.best_single].mean()
    top = np.where(usable.outcomes.ok, usable.outcomes.score, -np.inf).max(axis=1).mean()
    differ = headroom.disagreement(usable.outcomes)
    better = headroom.routable(usable.outcomes, usable.best_single)
    return (
        f"headroom {100 * (top - reached):.1f} pp: oracle {100 * top:.1f}, best single "
        f"{100 * reached:.1f}; models disagree on {differ:.0%} of queries, "
        f"{better:.0%} can be routed better"
    )


def board(
    config: RunConfig,
    setup: Setup,
    prices: PriceInfo,
    fingerprints: Fingerprints,
    entrants: list[Entrant],
    results: Mapping[Job, Result],
    scored: ScoredQueries,
) -> Leaderboard:
    """Return the leaderboard, still without files, environment and timing."""
    evaluation = scored.evaluation
    rows = [_row(entrant, config, results, scored) for entrant in entrants]
    if config.inner_folds is not None:
        rows = [
            _with_learning(row, entrant, setup) for row, entrant in zip(rows, entrants, strict=True)
        ]
    if setup.stream is not None:
        rows = [with_play(row, setup, results) for row in rows]
    measure = setup.data.measure
    if measure == "reward":
        rows = [rewarded(row) for row in rows]
    excess = evaluation.missing > config.max_missing
    suite = suite_info(setup)
    # A board that is made again, at other prices say, brings its own note along.
    suite.notes[:] = [note for note in suite.notes if not note.startswith(INCOMPLETE)]
    if evaluation.left_out > config.max_missing * len(scored.rows):
        suite.notes.append(f"{INCOMPLETE} {scored.left_out}")
    suite.notes[:] = [note for note in suite.notes if not note.startswith(ANSWERED_BY_ALL)]
    if any(row.steps for row in rows):
        suite.notes.append(
            f"{ANSWERED_BY_ALL} {evaluation.scored:,} of {len(scored.rows):,} test queries: a"
            " router that sees answers must not choose what it is scored on"
            + (COPIES if _equal_texts(setup) else "")
        )
    reason = (
        f"{evaluation.missing:.1%} of the asked test cells are failed, ungraded or unpriced; "
        f"at most {config.max_missing:.1%} may be (--max-missing)"
    )
    return Leaderboard(
        headline=headline(rows),
        suite=suite,
        fingerprints=fingerprints,
        priced=prices.label,
        valid=not excess,
        invalid_reason=reason if excess else None,
        objective={str(name): value for name, value in config.objective.items()},
        encoder=config.encoder_label,
        resamples=RESAMPLES,
        diagnostics=diagnostics(
            setup, prices, scored.rows, evaluation, config.assume_output_tokens
        ),
        references={k: renamed(v, measure) for k, v in evaluation.references.items()},
        rows=sorted(rows, key=lambda row: _order(row, measure)),
        online=online_stream(setup),
    )


def _equal_texts(setup: Setup) -> bool:
    """Return whether some fold tests a text twice."""
    tested = (
        setup.data.text_hash[setup.rows(fold, TEST)] for fold in range(len(setup.split.codes))
    )
    return any(len(set(texts)) < len(texts) for texts in tested)


def _setting(setup: Setup, rows: Ints) -> Setting:
    data = setup.data
    queries = data.queries.take(rows)
    facets = {kind: getattr(queries, kind) for kind in ("task", "topic", "user")}
    fixed: dict[str, list[Ints]] = defaultdict(list)
    costs = []
    for fold in range(len(setup.split.codes)):
        size = len(tested_rows(setup, fold))
        for name, model in references(setup, fold).items():
            fixed[name].append(np.full(size, model))
        cost = setup.table(fold, TRAIN).outcomes.mean_cost()
        if cost is not None:
            costs.append(cost)
    _, clusters = np.unique(data.text_hash[rows].astype(str), return_inverse=True)
    setting = Setting(
        outcomes=data.outcomes.take(rows),
        pool=data.pool,
        best_single=np.concatenate(fixed.pop("best_single")),
        measure=data.measure,
        clusters=clusters,
        mean_cost=_column_means(costs) if costs else None,
        facets={kind: values for kind, values in facets.items() if values is not None},
    )
    choices: dict[str, Any] = {name: np.concatenate(parts) for name, parts in fixed.items()}
    if data.users is None:
        return replace(setting, **choices)
    return _valued(setup, setting, rows, choices)


def _column_means(costs: list[Floats]) -> Floats:
    """Return means over folds [m]; NaN for a model that no fold knows the cost of."""
    stacked = np.stack(costs)
    count = (~np.isnan(stacked)).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)


def _valued(setup: Setup, setting: Setting, rows: Ints, choices: dict[str, Any]) -> Setting:
    """Return the setting of a suite with users, where scores are rewards of who asks."""
    users = setup.data.users
    assert users is not None
    user = np.concatenate([setup.asks(fold).user for fold in range(len(setup.split.codes))])
    outcomes = valued(setting.outcomes, users.preference[user])
    ok = outcomes.ok
    top = np.where(ok, outcomes.score, -np.inf).max(axis=1, keepdims=True)
    # By row: one text under two tasks is two queries, which may be told apart.
    _, query = np.unique(rows, return_inverse=True)
    # The penalty outweighs any sum of rewards: no query goes to a model without an answer.
    total = np.zeros((query.max() + 1, ok.shape[1]))
    np.add.at(total, query, np.where(ok, outcomes.score, -1e9))
    beside = {
        "effect": setting.outcomes.score,
        "relative_cost": setting.outcomes.relative_cost,
        "best_llm_accuracy": (outcomes.score == top).astype(np.float64),
    }
    return replace(
        setting,
        outcomes=outcomes,
        facets=setting.facets | {"user": users.name[user]},
        beside=beside,
        blind_oracle=total.argmax(axis=1)[query],
        **choices,
    )


def _row(
    entrant: Entrant, config: RunConfig, results: Mapping[Job, Result], scored: ScoredQueries
) -> Row:
    base: dict[str, Any] = {
        "router": entrant.label,
        "plugin": entrant.plugin.name,
        "distribution": entrant.plugin.distribution,
        "version": entrant.plugin.version,
        "options": entrant.options,
        "reference": entrant.reference,
    }
    if entrant.state == "skipped":
        return Row(state="skipped", message=entrant.message, **base)
    base["fingerprint"] = entrant.fingerprint or None
    if entrant.label in scored.failures:
        return Row(state="failed", message=scored.failures[entrant.label], **base)
    scores = scored.evaluation.routers[entrant.label].as_row()
    router_results = [result for job, result in results.items() if job.label == entrant.label]
    noted = sorted({text for result in router_results for text in result.warnings})
    if entrant.starts_processes:
        noted.append(STARTS_PROCESSES)
    if entrant.needs_network:
        noted.append(USES_NETWORK)
    if any(result.isolation == "audit" for result in router_results):
        noted.append(AUDIT_ONLY)
    for name in sorted({name for job in results for name in job.extensions}):
        noted.append(f"{WRAPPED}{name}, which may change what it decides")
    scores["warnings"] = [*scores["warnings"], *noted]
    scores["steps"] = scored.steps.get(entrant.label)
    scores["facts"] = merge_facts([result.facts for result in router_results])
    base["deterministic"] = any(job.all_seeds for job in results if job.label == entrant.label)
    return Row(state="ok", seeds=list(range(config.seeds)), **base, **scores)


def _with_learning(row: Row, entrant: Entrant, setup: Setup) -> Row:
    """Return a row that ended well with how many queries it learned from and chose on."""
    if row.state != "ok":
        return row
    folds = range(len(setup.split.codes))
    deciding = np.mean([len(setup.deciding_rows(f, entrant.inner_folds)) for f in folds])
    trained = np.mean([len(setup.rows(f, TRAIN)) for f in folds])
    learning = Learning(
        inner_folds=entrant.inner_folds,
        queries=round(float(deciding if entrant.inner_folds else trained)),
        chosen_on=round(float(deciding)),
    )
    return row.model_copy(update={"learning": learning})


def merge_facts(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge the facts of a router's jobs: the common value, the mean, or all texts joined."""
    merged: dict[str, Any] = {}
    for name in sorted({name for each in facts for name in each}):
        values = [each[name] for each in facts if name in each]
        if all(value == values[0] for value in values):
            merged[name] = values[0]
        elif any(isinstance(value, str) for value in values):
            merged[name] = "; ".join(sorted({str(value) for value in values}))
        else:
            merged[name] = float(np.mean(values))
    return merged


def _order(row: Row, measure: str) -> tuple[Any, ...]:
    """Return the sort key of a row: ranked ones first and best first, then failed, skipped."""
    state = ["ok", "failed", "skipped"].index(row.state)
    value = row.metrics[measure].value if row.metrics else None
    return state, row.rank or 0, -(value or 0.0), row.router


def suite_info(setup: Setup) -> SuiteInfo:
    """Return what a board says of its suite."""
    codes, data = setup.split.codes, setup.data
    parts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    return SuiteInfo(
        name=data.name,
        source=data.source,
        measure=data.measure,
        protocol=setup.split.protocol,
        users=None if data.users is None else len(data.users),
        queries={
            name: round(int((codes == code).sum()) / len(codes)) for name, code in parts.items()
        },
        models=list(data.pool.models),
        folds=len(codes),
        split=setup.split.kind,
        shown=sorted(data.visible),
        training_only=sorted(data.training_only),
        notes=list(data.notes),
    )
