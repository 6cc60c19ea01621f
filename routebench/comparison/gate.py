"""The gate: compare a candidate's stored run with a baseline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routebench.board import run_folder
from routebench.board.read_run import Stored, read_run
from routebench.comparison import comparable, guards
from routebench.comparison.family import comparisons, missing
from routebench.comparison.measures import changed_decisions, decided_alike
from routebench.comparison.paired import CommonQueries, RouterPair
from routebench.comparison.rules import AUTO, METRICS, Metric, Rules
from routebench.comparison.schema import EXIT_CODES, Comparison, Finding, GateResult, Outcome
from routebench.comparison.verdict import Verdict
from routebench.errors import DataError, OptionError, did_you_mean
from routebench.schema import Leaderboard


def gate(baseline: Path, candidate: Path, rules: Rules | None = None) -> GateResult:
    """Decide whether the candidate may replace the baseline, each a run folder or its board.

    Raises:
        DataError: where one of them cannot be read.
        OptionError: for a router that neither of them has.
    """
    rules = Rules() if rules is None else rules
    boards = run_folder.read(baseline), run_folder.read(candidate)
    about: dict[str, Any] = {
        "baseline": str(baseline),
        "candidate": str(candidate),
        "suite": boards[1].suite.name,
        "source": boards[1].suite.source,
        "rules": rules,
    }
    if wrong := comparable.mismatches(*boards):
        return _invalid(about, mismatches=wrong)
    if reason := comparable.invalid(*boards):
        return _invalid(about, reason=reason)
    routers = _routers(*boards, rules)
    about["changes"] = comparable.changes(*boards, routers)
    queries = _same_queries(read_run(baseline, check=True), read_run(candidate, check=True))
    absent = {name: reason for name in routers if (reason := _absent(*boards, name))}
    pairs = [
        RouterPair.of(queries.side(name, 0), queries.side(name, 1))
        for name in routers
        if name not in absent
    ]
    metrics = _metrics(*boards, rules)
    compared = comparisons(queries, pairs, metrics, rules)
    lacking = [missing(name, metric, why) for name, why in absent.items() for metric in metrics]
    order = {name: i for i, name in enumerate(routers)}
    every = sorted([*compared, *lacking], key=lambda one: order[one.router])
    findings = guards.findings(queries, pairs, rules)
    outcome = _outcome(every, findings)
    return GateResult(
        verdict=outcome,
        exit_code=_exit_code(outcome, rules),
        family=sum(one.verdict is not Verdict.MISSING for one in every),
        comparisons=every,
        findings=findings,
        flips=[
            changed_decisions(pair)
            for pair in pairs
            if not decided_alike(pair) and pair.scored.any()
        ],
        notes=_notes(*boards, rules),
        verdicts=_verdicts(*boards),
        **about,
    )


def _invalid(about: dict[str, Any], **why: Any) -> GateResult:
    return GateResult(verdict="invalid", exit_code=EXIT_CODES["invalid"], **about, **why)


def _routers(old: Leaderboard, new: Leaderboard, rules: Rules) -> list[str]:
    """Return the gated routers: all rows of either side, except those that both skipped."""
    state = [{row.router: row.state for row in board.rows} for board in (new, old)]
    known = list(dict.fromkeys([*state[0], *state[1]]))
    for name in rules.routers:
        if name not in known:
            raise OptionError(f"router {name!r} is on neither board", did_you_mean(name, known))
    skipped = [name for name in known if {s.get(name) for s in state} == {"skipped"}]
    return list(rules.routers) or [name for name in known if name not in skipped]


def _absent(old: Leaderboard, new: Leaderboard, router: str) -> str | None:
    """Return why a router cannot be compared; None where it can."""
    for side, board in (("candidate", new), ("baseline", old)):
        rows = [row for row in board.rows if row.router == router]
        if not rows:
            return f"missing from the {side}"
        if rows[0].state != "ok":
            return f"{rows[0].state} in the {side}: {rows[0].message or 'no reason given'}"
    return None


def _same_queries(old: Stored, new: Stored) -> CommonQueries:
    """Match the test queries of two runs, which must be the same; the candidate's prices hold."""
    queries = CommonQueries.of(old, new)
    if not len(queries.rows[0]) == len(old.keys) == len(new.keys):
        raise DataError(
            f"{old.folder} and {new.folder}: not the same test queries, although the "
            f"fingerprints say so",
            "routebench verify finds out which of the two was changed",
        )
    return queries


def _metrics(old: Leaderboard, new: Leaderboard, rules: Rules) -> list[Metric]:
    """Return the named ones, or the suite's measure and, where prices are known, the cost."""
    if rules.metrics:
        return list(dict.fromkeys(rules.metrics))
    priced = any(board.priced != "unpriced" for board in (old, new))
    return [new.suite.measure, *(["cost"] if priced else [])]


def _outcome(compared: Sequence[Comparison], findings: Sequence[Finding]) -> Outcome:
    seen = {one.verdict for one in compared}
    if {Verdict.REGRESSION, Verdict.MISSING} & seen or any(one.level == "fail" for one in findings):
        return "regression"
    return "inconclusive" if Verdict.INCONCLUSIVE in seen else "pass"


def _exit_code(outcome: Outcome, rules: Rules) -> int:
    if outcome == "inconclusive" and rules.inconclusive != "report":
        return 0 if rules.inconclusive == "pass" else 1
    return EXIT_CODES[outcome]


def _verdicts(old: Leaderboard, new: Leaderboard) -> dict[str, dict[str, int]]:
    """Return how many routers have each verdict, where either board has any."""
    counts = {
        side: Counter(row.verdict.kind for row in board.rows if row.verdict is not None)
        for side, board in (("baseline", old), ("candidate", new))
    }
    return {
        side: dict(sorted(count.items())) for side, count in counts.items() if any(counts.values())
    }


def _notes(old: Leaderboard, new: Leaderboard, rules: Rules) -> list[str]:
    notes = []
    if new.suite.source == "simulated":
        notes.append("the answers are simulated")
    if new.priced == "unpriced" and old.priced == "unpriced":
        notes.append("unpriced: cost is not gated")
    elif old.fingerprints.prices != new.fingerprints.prices or old.priced != new.priced:
        notes.append("prices differ: both sides are priced as the candidate")
    named = (*METRICS, *[name for name in rules.metrics if name not in METRICS])
    auto = [name for name in named if rules.margins.of(name) == AUTO]
    if auto:
        notes.append(
            f"margin auto ({', '.join(auto)}): each margin is what that comparison can detect"
        )
    skipped = [row.router for row in new.rows if row.state == "skipped"]
    if skipped and not rules.routers:
        notes.append(f"skipped: {', '.join(skipped)}")
    return notes
