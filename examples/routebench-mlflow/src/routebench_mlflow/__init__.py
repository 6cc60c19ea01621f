"""The MLflow tracker: a run of MLflow per RouteBench run, with a child run per router."""

from __future__ import annotations

import atexit
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from routebench import SuiteData, hookimpl

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_CONFIGURATION = ("suite", "router", "folds", "seeds", "split", "protocol", "profile", "encoder")
_FILES = ("leaderboard.json", "run.toml")
_NAME = re.compile(r"[^\w\-. /:]")  # what MLflow allows in no name of a metric
_LONGEST = 500  # characters of a parameter


class MLflowTracker:
    """Keeps runs in MLflow: parameters, every metric with its interval, curves, the board.

    A run becomes an MLflow run, with the configuration as parameters, its headline as a tag, and
    the files of the board as artifacts. Each router is a child run of it: its options are
    parameters, its state and verdict tags, its metrics metrics, with `_low` and `_high` for the
    ends of intervals, those at an operating point as `within-1pp/accuracy`, the share of queries
    that a model gets as `usage/MODEL`, and its curve over trade-offs steps of `curve/accuracy`.
    No query and no answer leaves the run folder.
    """

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        uri: str | None = Field(
            None, description="where runs are kept; by default MLFLOW_TRACKING_URI, as MLflow does"
        )
        experiment: str = Field("routebench", min_length=1, description="experiment to add to")

    def __init__(self, options: Options) -> None:
        self.options = options
        self._client: MlflowClient | None = None
        self._experiment = self._run = ""
        self._jobs = {"ok": 0, "failed": 0}

    @hookimpl
    def run_started(self, config: dict[str, Any], data: SuiteData) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=self.options.uri)
        known = client.get_experiment_by_name(self.options.experiment)
        self._experiment = (
            known.experiment_id if known else client.create_experiment(self.options.experiment)
        )
        self._client, self._jobs = client, {"ok": 0, "failed": 0}
        self._run = client.create_run(self._experiment, run_name=data.name).info.run_id
        atexit.register(self._interrupted)
        for name in _CONFIGURATION:
            if (value := config.get(name)) not in (None, "", [], ()):
                self._parameter(self._run, name, value)
        self._parameter(self._run, "queries", len(data))

    @hookimpl
    def job_finished(self, state: str) -> None:
        if self._client is not None:
            self._jobs[state] = self._jobs.get(state, 0) + 1
            self._client.log_metric(self._run, f"jobs/{state}", self._jobs[state])

    @hookimpl
    def run_finished(self, board: dict[str, Any], folder: Path) -> None:
        client = self._client
        if client is None:
            return
        client.set_tag(self._run, "routebench.headline", board["headline"] or "")
        client.set_tag(self._run, "routebench.valid", str(board["valid"]).lower())
        for name, digest in board["fingerprints"].items():
            client.set_tag(self._run, f"routebench.fingerprint.{name}", str(digest))
        for reference, metrics in board["references"].items():
            self._metrics(self._run, _estimates(metrics, f"{reference}/"))
        for name in _FILES:
            if (folder / name).is_file():
                client.log_artifact(self._run, str(folder / name))
        for row in board["rows"]:
            self._router(row)
        client.set_terminated(self._run, "FINISHED")
        self._client = None

    def _router(self, row: dict[str, Any]) -> None:
        assert self._client is not None
        tags = {"mlflow.parentRunId": self._run, "routebench.state": row["state"]}
        if row["verdict"]:
            tags |= {f"routebench.{name}": row["verdict"][name] for name in ("point", "kind")}
        made = self._client.create_run(self._experiment, tags=tags, run_name=row["router"])
        run = made.info.run_id
        for name, value in row["options"].items():
            self._parameter(run, name, value)
        self._metrics(run, _estimates(row["metrics"]))
        self._metrics(run, ((f"usage/{model}", share) for model, share in row["usage"].items()))
        for point, result in row["points"].items():
            self._metrics(run, _estimates(result["metrics"], f"{point}/"))
        for step, at in enumerate(row["curve"] or ()):
            self._metrics(run, ((f"curve/{name}", value) for name, value in at.items()), step)
        self._client.set_terminated(run, "FINISHED" if row["state"] == "ok" else "FAILED")

    def _parameter(self, run: str, name: str, value: Any) -> None:
        assert self._client is not None
        self._client.log_param(run, _NAME.sub("-", name), str(value)[:_LONGEST])

    def _metrics(self, run: str, metrics: Iterator[tuple[str, Any]], step: int = 0) -> None:
        assert self._client is not None
        for name, value in metrics:
            if isinstance(value, int | float) and math.isfinite(value):
                self._client.log_metric(run, _NAME.sub("-", name), float(value), step=step)

    def _interrupted(self) -> None:
        """End a run whose board was never written."""
        if self._client is not None:
            self._client.set_terminated(self._run, "KILLED")


def _estimates(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of each metric, and of the ends of its interval."""
    for name, estimate in metrics.items():
        for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
            if (value := estimate.get(key)) is not None:
                yield f"{prefix}{name}{suffix}", value
