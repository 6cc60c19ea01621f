"""Progress of a run on a terminal: the jobs that run now, and the time that is left."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from routebench.jobs.finished import Result
from routebench.jobs.setup import Job
from routebench.report.terminal import console
from routebench.report.terminal.progress import RunProgress


def job(label: str, effort: float | None, fold: int = 0) -> Job:
    plugin: Any = None
    return Job(label, plugin, {}, 0, fold, "", effort=effort)


def test_jobs_in_progress_and_time_left() -> None:
    stream = io.StringIO()
    config: Any = type("Config", (), {"folds": 3})
    mf, knn = job("mf", 600.0), job("knn", 60.0, 2)
    with RunProgress(console.page(stream), config) as progress:
        assert (progress.in_progress(), progress.time_left()) == ("", "")
        progress.jobs(3, 1, Path("results/x"))
        progress.planned([mf, knn], 1)
        assert progress.time_left() == "about 11 min left"
        progress.began(mf)
        progress.began(knn)
        progress.progress(mf, 0.25, "epoch 2")
        assert progress.in_progress() == "mf seed 0 fold 0 25% epoch 2 · knn seed 0 fold 2"
        progress.ended(mf, Result("ok", note="kept"))
        assert progress.in_progress() == "knn seed 0 fold 2"
        progress.ended(knn, Result("failed", "no luck"))
        assert (progress.in_progress(), progress.time_left()) == ("", "")
    said = stream.getvalue()
    assert "2/3 mf seed 0 fold 0: kept" in said
    assert "knn seed 0 fold 2 failed: no luck" in said


def test_an_interrupted_run_says_how_it_goes_on() -> None:
    stream = io.StringIO()
    config: Any = type("Config", (), {"folds": None})
    try:
        with RunProgress(console.page(stream), config) as progress:
            progress.jobs(3, 1, Path("results/my run"))
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    said = " ".join(stream.getvalue().split())
    assert "routebench run --file 'results/my run/unfinished.toml' --out 'results/my run'" in said
