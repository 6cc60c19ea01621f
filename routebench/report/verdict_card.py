"""What a run comes to, for whoever reads nothing else: the same facts on the page and as a PNG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from routebench import config
from routebench.board.run_folder import RUN_FILE
from routebench.errors import RoutebenchError
from routebench.metrics.points.words import best_verdict, bound, cheaper, margin_words, signed
from routebench.report import lengths
from routebench.report.format import SOURCES, in_order
from routebench.report.summary import finished, title
from routebench.report.volume import Volume
from routebench.schema import INCOMPLETE, Leaderboard, RouterVerdict

DEFAULT_VOLUME = "10000/day"
"""What dollars are counted for where nobody says how many queries there are."""
Kind = Literal["proven", "not proven", "nothing saved", "no verdict", "invalid"]

KINDS: tuple[Kind, ...] = ("proven", "not proven", "nothing saved", "no verdict", "invalid")
"""From the best to read to the worst."""


@dataclass(frozen=True)
class VerdictCard:
    """The verdict of a run in a title and a line, with the costs that dollars are made of."""

    kind: Kind
    title: str
    words: str
    """What is saved and lost, or why there is no verdict."""
    suite: str
    about: str
    """Of what: source, test queries, models."""
    cautions: tuple[str, ...]
    """What must be read with the verdict."""
    router: str | None = None
    """Whom to deploy, at `point`; None where nobody is."""
    point: str | None = None
    usd_per_1k: float | None = None
    best_single_usd_per_1k: float | None = None
    sees_answers: bool = False
    """Whether the router asks models before it decides, so that a provider is needed."""

    @property
    def command(self) -> str | None:
        """Return the command that routes a query by the router at the point; None without one."""
        if self.router is None:
            return None
        asks = " --answer --provider NAME" if self.sees_answers else ""
        return f'routebench route RUN {self.router} --point {self.point}{asks} "a query"'

    def dollars(self, volume: Volume) -> str | None:
        """Return dollars a month at a number of queries; None where costs are not known."""
        if self.usd_per_1k is None or self.best_single_usd_per_1k is None:
            return None
        base = volume.month(self.best_single_usd_per_1k)
        paid = usd(volume.month(self.usd_per_1k), base)
        return f"{paid} a month in place of {usd(base, base)}, at {volume.written}"


def volume_of(folder: Path) -> Volume:
    """Return the number of queries that a run was made with, else `DEFAULT_VOLUME`."""
    try:
        given = config.read(folder / RUN_FILE).get("volume")
        return Volume.parse(given if isinstance(given, str) else DEFAULT_VOLUME)
    except RoutebenchError:  # no run file beside the board, or one that was written by hand
        return Volume.parse(DEFAULT_VOLUME)


def usd(value: float, largest: float) -> str:
    """Return dollars, with cents where the largest of those beside it is small."""
    text = f"${abs(value):,.{0 if largest >= 1000 else 2}f}"
    return f"−{text}" if value < 0 else text


def verdict_card(board: Leaderboard) -> VerdictCard:
    """Return the card of a board."""
    kind, heading, words = _verdict(board)
    best = best_verdict(board.rows) if kind in ("proven", "not proven") else None
    card = VerdictCard(kind, heading, words, title(board), _about(board), tuple(_cautions(board)))
    if best is None:
        return card
    router, verdict = best
    row = next(row for row in board.rows if row.router == router)
    paid = row.points[verdict.point].metrics.get("total_cost_per_1k")
    cost, saved = None if paid is None else paid.value, verdict.savings.value
    # Of the queries that count at the point, as the savings are.
    base = None if cost is None or saved is None or saved >= 1 else cost / (1 - saved)
    return replace(
        card,
        router=router,
        point=verdict.point,
        usd_per_1k=cost,
        best_single_usd_per_1k=base,
        sees_answers=row.steps is not None,
    )


def _verdict(board: Leaderboard) -> tuple[Kind, str, str]:
    if not board.valid:
        return "invalid", "This run is invalid", board.invalid_reason or "no reason is stated"
    judged, _ = in_order(board)
    if not judged:
        return "no verdict", "No verdict", _why_none(board)
    best = best_verdict(board.rows)
    if best is None:
        return "nothing saved", "Nothing is saved at equal accuracy here", _kinds(board)
    router, verdict = best
    saved = cheaper(verdict.savings.value)
    lost = f"{signed(verdict.difference)} pp (at worst {bound(verdict.low, verdict.margin)})"
    if verdict.kind == "proven":
        return "proven", f"Deploy {router} at {verdict.point}", f"{saved}, {lost}, proven"
    return "not proven", f"Not proven: {router} at {verdict.point}", (
        f"{saved}, {lost}: {_undecided(verdict)}"
    )  # fmt: skip


def _undecided(verdict: RouterVerdict) -> str:
    text = f"a loss of {margin_words(verdict.margin)} is not ruled out"
    if verdict.queries_needed is None:
        return text
    return f"{text}; {verdict.queries_needed:,} test queries would decide"


def _kinds(board: Leaderboard) -> str:
    """Return how many routers have which verdict, where none of them saves anything."""
    kinds: list[str] = [row.verdict.kind for row in board.rows if row.verdict is not None]
    margin = next(row.verdict.margin for row in board.rows if row.verdict is not None)
    within = margin_words(margin)
    words = {
        "same": "the best single model itself at the setting fixed before the test",
        "proven": f"proven to lose less than {within}, and not sure to be cheaper",
        "not proven": "not proven, and not sure to be cheaper",
        "worse": f"sure to lose more than {within}",
    }
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    if len(counts) == 1:
        every = (
            f"All {len(kinds)} learned routers are" if len(kinds) > 1 else "The learned router is"
        )
        return f"{every} {words[kinds[0]]}."
    told = [
        f"{counts[kind]} {'is' if counts[kind] == 1 else 'are'} {text}"
        for kind, text in words.items()
        if kind in counts
    ]
    return f"Of {len(kinds)} learned routers, {'; '.join(told)}."


def _why_none(board: Leaderboard) -> str:
    if board.suite.users:
        return "Routers of this suite serve users and are ranked by reward; see the leaderboard."
    if board.priced == "unpriced":
        return "Costs are not known in this run: give --prices, and it says what is saved."
    if not any(not row.reference for row in finished(board)):
        return "No learned router has ended well in this run."
    if board.headline is None and any(row.curve for row in board.rows):
        return "The board was written by a version that made no verdicts: run it again."
    return "No learned router took part that could save anything."


def _about(board: Leaderboard) -> str:
    suite = board.suite
    split = f"{suite.folds} folds" if suite.folds > 1 else f"{suite.split} split"
    users = f" by {suite.users:,} users" if suite.users else ""
    parts = (
        SOURCES[suite.source],
        f"{board.diagnostics.scored:,} test queries{users}, {split}",
        f"{len(suite.models)} models",
    )
    return " · ".join(parts)


def _cautions(board: Leaderboard) -> list[str]:
    texts = []
    if board.suite.source == "simulated":
        texts.append("simulated pool: no real model answered")
    texts += [note for note in board.suite.notes if note.startswith(INCOMPLETE)]
    if board.priced == "estimated":
        guess = lengths.assumed(board) or "lengths taken from the texts"
        texts.append(f"costs are estimated: {guess}")
    return texts
