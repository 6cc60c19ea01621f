"""The Weights & Biases tracker: a run there per RouteBench run, with the board as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from routebench import SuiteData, hookimpl

if TYPE_CHECKING:
    from wandb import Run

_CONFIGURATION = ("suite", "router", "folds", "seeds", "split", "protocol", "profile", "encoder")
_FILES = ("leaderboard.json", "run.toml")
_BOARD = ("accuracy", "total_cost_per_1k", "savings_vs_best_single", "gap_recovered")


class WandbTracker:
    """Keeps runs in Weights & Biases: configuration, metrics, the board, its curves and files.

    A run becomes a run there, with the configuration as its config and the headline in its summary.
    The summary has each router's metrics as `ROUTER/accuracy`, with `_low` and `_high` for the
    ends of intervals, and those at an operating point as `ROUTER/within-1pp/accuracy`. Tables hold
    the board and the curves over trade-offs, an artifact of type `leaderboard` the board's files.
    No query and no answer leaves the run folder.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        project: str = Field("routebench", min_length=1, description="project to add to")
        mode: Literal["online", "offline"] | None = Field(
            None, description="by default WANDB_MODE; offline: kept in a folder, for `wandb sync`"
        )
        folder: str | None = Field(None, description="where W&B keeps its files; default WANDB_DIR")

    def __init__(self, options: Options) -> None:
        self.options = options
        self._run: Run | None = None
        self._jobs = {"ok": 0, "failed": 0}

    @hookimpl
    def run_started(self, config: dict[str, Any], data: SuiteData) -> None:
        import wandb

        told = {name: config.get(name) for name in _CONFIGURATION} | {"queries": len(data)}
        self._jobs = {"ok": 0, "failed": 0}
        self._run = wandb.init(
            project=self.options.project,
            name=data.name,
            config=told,
            mode=self.options.mode,
            dir=self.options.folder,
            settings=wandb.Settings(silent=True, console="off"),
        )

    @hookimpl
    def job_finished(self, state: str) -> None:
        if self._run is not None:
            self._jobs[state] = self._jobs.get(state, 0) + 1
            self._run.log({f"jobs/{name}": n for name, n in self._jobs.items()})

    @hookimpl
    def run_finished(self, board: dict[str, Any], folder: Path) -> None:
        import wandb

        run, self._run = self._run, None
        if run is None:
            return
        summary: dict[str, Any] = {"headline": board["headline"], "valid": board["valid"]}
        for reference, metrics in board["references"].items():
            summary |= _estimates(metrics, f"{reference}/")
        rows = wandb.Table(["router", "state", "verdict", *_BOARD])
        curves = wandb.Table(["router", "step", "accuracy", "total_cost_per_1k"])
        for row in board["rows"]:
            router, verdict = row["router"], row["verdict"] or {}
            summary |= _estimates(row["metrics"], f"{router}/")
            for point, result in row["points"].items():
                summary |= _estimates(result["metrics"], f"{router}/{point}/")
            values = [row["metrics"].get(name, {}).get("value") for name in _BOARD]
            rows.add_data(router, row["state"], verdict.get("kind"), *values)
            for step, at in enumerate(row["curve"] or ()):
                curves.add_data(router, step, at["accuracy"], at["total_cost_per_1k"])
        run.log({"board": rows, "curves": curves})
        run.summary.update(summary)
        artifact = wandb.Artifact(f"leaderboard-{run.id}", type="leaderboard")
        for name in _FILES:
            if (folder / name).is_file():
                artifact.add_file(str(folder / name), name=name)
        run.log_artifact(artifact)
        run.finish()


def _estimates(metrics: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return each metric, and the ends of its interval, by name."""
    return dict(_named(metrics, prefix))


def _named(metrics: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, estimate in metrics.items():
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
            value = estimate.get(key)
            if value is not None and math.isfinite(value):
                yield f"{prefix}{name}{suffix}", value
