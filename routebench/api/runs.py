"""Run benchmarks, read finished ones, and compare them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from routebench.api import frames, inputs
from routebench.api import routers as router_inputs
from routebench.api.frames import Frame
from routebench.board import run_folder
from routebench.board.find_runs import locate
from routebench.comparison import gate as gates
from routebench.comparison import rules as gate_rules
from routebench.comparison.compare import RunComparison
from routebench.comparison.compare import compare as compare_runs
from routebench.comparison.schema import GateResult
from routebench.config import RunConfig, make
from routebench.errors import OptionError, RoutebenchError
from routebench.pipeline import RunListener
from routebench.pipeline import run as run_pipeline
from routebench.report import notebook
from routebench.report.gate import terminal as gate_terminal
from routebench.report.terminal import comparison, console
from routebench.report.terminal import leaderboard as board_terminal
from routebench.report.terminal.progress import RunProgress
from routebench.schema import Leaderboard

_LISTS = ("against", "show")  # options that are lists, of which one text may hold several


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its board, and the tables behind it.

    Tables are pandas DataFrames where pandas is installed, else pyarrow Tables. Shares are from 0
    to 1, costs in USD, `_low` and `_high` the ends of 95% intervals.
    """

    folder: Path
    board: Leaderboard
    """Everything that the run says, as `leaderboard.json` holds it."""

    def leaderboard(self) -> Frame:
        """Return one row per router: verdict, accuracy, cost, savings and their intervals."""
        return frames.leaderboard(self.board)

    def points(self) -> Frame:
        """Return one row per router and operating point, such as `within-1pp`."""
        return frames.points(self.board)

    def decisions(self) -> Frame:
        """Return one row per router, seed and test query: the model chosen, its score and cost."""
        return frames.decisions(self.folder, self.board)

    def cells(self) -> Frame:
        """Return one row per recorded answer: its score, state, tokens and cost."""
        return frames.cells(self.folder)

    def show(self, wide: bool = False, curves: bool = False) -> None:
        """Print the leaderboard as `routebench show` does."""
        board_terminal.show(self.board, console.make(wide=wide), wide=wide, curves=curves)

    def __repr__(self) -> str:
        headline = self.board.headline or f"{len(self.board.rows)} routers"
        return f"<routebench.Run {self.folder}: {self.board.suite.name}: {headline}>"

    def _repr_html_(self) -> str:
        return notebook.board_html(self.board, self.folder)


@dataclass(frozen=True, repr=False)
class PairedRuns:
    """The paired comparison of two runs, or of two routers of one."""

    comparison: RunComparison
    """All of it: common queries, values of both sides, and changed queries."""

    def differences(self) -> Frame:
        """Return one row per router and metric: both values, and second minus first."""
        return frames.records(
            {
                "first": pair.first,
                "second": pair.second,
                "metric": metric,
                "before": pair.measured[metric][0],
                "after": pair.measured[metric][1],
                "difference": delta.value,
                "low": delta.low,
                "high": delta.high,
                "p": delta.p,
            }
            for pair in self.comparison.pairs
            for metric, delta in pair.delta.items()
        )

    def __repr__(self) -> str:
        return _printed(lambda out: comparison.show([self.comparison], out))

    def _repr_html_(self) -> str:
        return notebook.text_html(repr(self))


@dataclass(frozen=True, repr=False)
class GateDecision:
    """Whether a candidate may replace a baseline, and why."""

    result: GateResult
    """All of it, as `gate.json` holds it."""

    @property
    def verdict(self) -> Literal["pass", "regression", "invalid", "inconclusive"]:
        """Return what `routebench gate` says of the two runs."""
        return self.result.verdict

    @property
    def passed(self) -> bool:
        """Return whether no router lost more than its margin, and the data could tell."""
        return self.result.verdict == "pass"

    def comparisons(self) -> Frame:
        """Return one row per router and gated metric."""
        return frames.records(one.model_dump(mode="json") for one in self.result.comparisons)

    def __repr__(self) -> str:
        return _printed(lambda out: gate_terminal.show(self.result, out))

    def _repr_html_(self) -> str:
        return notebook.text_html(repr(self))


@contextmanager
def _hinting() -> Iterator[None]:
    """Show an error's hint below it, where it is shown as an exception."""
    try:
        yield
    except RoutebenchError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise


@_hinting()
def run(
    table: Any,
    routers: Any = "all",
    *,
    prices: str | Path | Mapping[str, Any] | None = None,
    folds: int | None = None,
    seeds: int | None = None,
    judge: str | None = None,
    encoder: str | None = None,
    task: Literal["hidden", "train", "all"] | None = None,
    margin: str | None = None,
    point: str | Sequence[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    jobs: int | None = None,
    progress: bool = True,
    **more: Any,
) -> Run:
    """Train routers on recorded answers, route the test queries, and score what they chose.

    Args:
        table: a file (`"outcomes.csv"`), a suite's name (`"simpleqa"`), a pandas DataFrame or a
            pyarrow Table with columns `query_id`, `query`, `model` and `score`.
        routers: names (`"knn"`), classes or instances, one or a list; `"all"` installed ones.
        prices: a price list's file, `"list"` for vendors' dated prices, or prices by model:
            `{"model-a": {"input_usd_per_mtok": 0.15, "output_usd_per_mtok": 0.6}}`.
        folds: cross-fit with so many folds: every query is tested once.
        seeds: train every router with so many seeds.
        judge: the judge that grades answers without a score.
        encoder: the text encoder, such as `"hf:sentence-transformers/all-MiniLM-L6-v2"`.
        task: who sees a query's task: `"hidden"`, `"train"` or `"all"`.
        margin: the accuracy that may be lost, such as `"1pp"`: each router's verdict is on it.
        point: more operating points, such as `["savings=40%"]`.
        options: options by router, suite, judge or encoder: `{"knn": {"k": 50}}`.
        out: the run folder; `results/SUITE/HASH` by default.
        fresh: start over, also where another finished run stands, in place of resuming.
        jobs: jobs at a time; by default one per core.
        progress: show progress, in a terminal or a notebook.
        **more: whatever else `routebench run --help` lists, such as `perturb=0` or `split="hash"`.

    A router that fails has its own row, of state `failed`, and ends nothing else. Classes of a
    notebook or script are written to a file, with what they use, and run in processes of their
    own that see no test outcome.

    Raises:
        RoutebenchError: something that was given cannot be used; it names the place, and its
            `hint` says what to do. Options are named as on the command line: `--folds`.
    """
    if sys.argv[:1] == ["routebench-job"]:
        raise OptionError(
            "routebench.run was called while a job imported the file of its router",
            'put the call below `if __name__ == "__main__":`',
        )
    names, own = router_inputs.named(routers)
    values: dict[str, Any] = {
        "suite": inputs.suite(table),
        "router": names,
        "prices": inputs.prices(prices),
        "folds": folds,
        "seeds": seeds,
        "judge": judge,
        "encoder": encoder,
        "task": task,
        "margin": margin,
        "point": _listed(point),
        "set": _merged(own, options or {}),
        "out": None if out is None else str(out),
        "fresh": fresh,
        "jobs": jobs,
        **{name: _listed(value) if name in _LISTS else value for name, value in more.items()},
    }
    config = make({name: value for name, value in values.items() if value is not None})
    with _listener(config, progress) as listener:
        written = run_pipeline(config, listener)
    return Run(written.folder, written.board)


@_hinting()
def load(folder: str | Path) -> Run:
    """Read a finished run: its folder or `leaderboard.json`, `"latest"`, or a folder with one run.

    Raises:
        RoutebenchError: there is none, or it was interrupted: the hint says how it goes on.
    """
    place = locate(Path(folder))
    board = run_folder.read(place)
    return Run(place if place.is_dir() else place.parent, board)


@_hinting()
def compare(
    first: Run | str | Path,
    second: Run | str | Path | None = None,
    *,
    routers: str | Sequence[str] = (),
    flips: int = 5,
    by: Literal["score", "cost"] = "score",
) -> PairedRuns:
    """Compare two runs query by query, or two `routers` of one run: differences are later − first.

    Raises:
        RoutebenchError: the runs are on other data, or one cannot be read.
    """
    paths = [_place(first), *([] if second is None else [_place(second)])]
    (found,) = compare_runs(paths, _listed(routers), flips, by)
    return PairedRuns(found)


@_hinting()
def gate(
    baseline: Run | str | Path,
    candidate: Run | str | Path,
    *,
    rules: str | Path | None = None,
    routers: str | Sequence[str] = (),
    metrics: str | Sequence[str] = (),
    margins: Mapping[str, float | str] | None = None,
) -> GateDecision:
    """Decide whether the candidate may replace the baseline, as `routebench gate` does.

    Args:
        baseline: a run, its folder, or `"latest"`.
        candidate: the same of the run that is to replace it.
        rules: a TOML file of margins and guards; what follows wins over it.
        routers: gate these only.
        metrics: gate these only, such as `["accuracy", "savings@within-1pp"]`.
        margins: the accepted loss by metric, such as `{"accuracy": 0.02}`.

    Raises:
        RoutebenchError: a run cannot be read, or a rule is wrong.
    """
    values = gate_rules.read(Path(rules)) if rules is not None else {}
    for name, given in (("routers", routers), ("metrics", metrics)):
        if given:
            values[name] = _listed(given)
    if margins:
        values["margins"] = values.get("margins", {}) | dict(margins)
    made = gate_rules.make(values, "gate" if rules is None else str(rules))
    return GateDecision(gates.gate(_place(baseline), _place(candidate), made))


def _listed(names: str | Sequence[str]) -> list[str]:
    """Return names as a list; one text may hold several, as on the command line."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return list(names)


def _place(run: Run | str | Path) -> Path:
    return run.folder if isinstance(run, Run) else locate(Path(run))


def _merged(
    own: router_inputs.Options, given: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the options of instances with those given by name, which win."""
    merged = {name: dict(values) for name, values in own.items()}
    for name, values in given.items():
        merged[name] = merged.get(name, {}) | dict(values)
    return merged


def _listener(config: RunConfig, progress: bool) -> RunListener:
    if not progress:
        return RunListener()
    if notebook.in_notebook():
        return notebook.NotebookProgress(config)
    return RunProgress(console.make(error=True), config)


def _printed(show: Callable[[Any], None]) -> str:
    """Return what is shown on a terminal, as text without colours."""
    stream = io.StringIO()
    show(console.page(stream))
    return stream.getvalue()
