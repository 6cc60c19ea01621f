"""Training curves that routers keep in `training.json` beside their checkpoints; read with care."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, FailFast, TypeAdapter, ValidationError

from routebench.board.run_folder import CHECKPOINTS
from routebench.errors import problem
from routebench.report.summary import finished
from routebench.schema import Leaderboard, Row

NAME = "training.json"
LIMIT = 4 * 2**20
"""Bytes of a file that is read at all."""
POINTS, FAINT_POINTS = 300, 60
"""Points of a curve that are drawn, and of one of another seed or fold."""
PANELS, LINES, OTHERS, FILES, NOTES = 12, 6, 11, 4, 5
"""What there is at most of one router: panels, lines in one, other jobs, files of one, notes."""
_ABSURD = 1e12
_TEXT = 60

_Point = dict[str, float | None]
_FILE = TypeAdapter(
    dict[str, Annotated[list[_Point], FailFast()]], config=ConfigDict(strict=True)
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One series of one job."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    other: bool = False
    """Of another seed or fold than the one that is shown."""


@dataclass(frozen=True)
class CurvePanel:
    """Series of one stage that share an axis, such as `loss` and `eval_loss`."""

    stage: str
    about: str
    axis: str
    """`step` or `epoch`."""
    lines: list[Line] = field(default_factory=list)

    def label(self, line: Line) -> str:
        """Return a series' name without the prefix that the panel's title has."""
        return line.name.removeprefix(f"{self.about}/")


@dataclass(frozen=True)
class RouterCurves:
    """The curves of one router."""

    router: str
    job: str
    """Whose they are: `seed 0, fold 0`."""
    panels: list[CurvePanel]
    others: int
    """Further seeds and folds that are drawn too, faintly."""
    notes: list[str]
    """What cannot be drawn, and why."""


@dataclass(frozen=True)
class _Stage:
    name: str
    axis: str
    series: Mapping[str, tuple[list[float], list[float]]]


def read(folder: Path, board: Leaderboard) -> list[RouterCurves]:
    """Read the curves of a run folder's routers, in the board's order."""
    curves = [_of_router(folder / CHECKPOINTS, row) for row in finished(board)]
    return [one for one in curves if one.panels or one.notes]


def _of_router(checkpoints: Path, row: Row) -> RouterCurves:
    jobs: list[tuple[str, list[_Stage]]] = []
    notes: list[str] = []
    for name, state in _jobs(checkpoints, row):
        stages, trouble = _read_job(state)
        notes += [f"{name}: {text}" for text in trouble]
        if any(stage.series for stage in stages):
            jobs.append((name, stages))
    job, first = jobs[0] if jobs else ("", [])
    panels, more = _panels(first)
    others = jobs[1 : 1 + OTHERS]
    for panel in panels:
        panel.lines[:0] = [line for _, stages in others for line in _faint(panel, stages)]
    if len(notes) > NOTES:
        notes = [*notes[:NOTES], f"and {len(notes) - NOTES} more files or values like these"]
    if more:
        notes.append(f"{more} more series are in {NAME}, and not drawn")
    return RouterCurves(row.router, job, panels, len(others), notes)


def _jobs(checkpoints: Path, row: Row) -> Iterator[tuple[str, Path]]:
    """Yield the checkpoints of a row's jobs. Its name is looked up, not trusted to be a path."""
    if row.router not in _listed(checkpoints):
        return
    seeds_and_folds = [
        (int(seed[5:]), int(fold[5:]))
        for seed in _listed(checkpoints / row.router)
        if re.fullmatch(r"seed-\d{1,6}", seed)
        for fold in _listed(checkpoints / row.router / seed)
        if re.fullmatch(r"fold-\d{1,6}", fold)
    ]
    for seed, fold in sorted(seeds_and_folds):
        if seed in row.seeds:  # a folder may hold more seeds from a run before
            place = checkpoints / row.router / f"seed-{seed}" / f"fold-{fold}"
            yield f"seed {seed}, fold {fold}", place / "checkpoint" / "state"


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read_job(state: Path) -> tuple[list[_Stage], list[str]]:
    places = sorted(
        Path(folder, NAME) for folder, _, names in os.walk(state) if NAME in names
    )[:FILES]  # fmt: skip
    stages: list[_Stage] = []
    trouble: list[str] = []
    for place in places:
        try:
            # With several files, stages are told apart by where theirs lies.
            prefix = f"{place.parent.relative_to(state)}/" if len(places) > 1 else ""
            lost = 0
            for name, points in _read(place).items():
                stage, gone = _stage(cut(prefix + name), points)
                stages.append(stage)
                lost += gone
            if lost:
                trouble.append(f"{lost:,} values of {NAME} left out: no step, or no finite number")
        except ValueError as error:
            trouble.append(f"{NAME} cannot be drawn: {error}")
    return stages, trouble


def _read(place: Path) -> dict[str, list[_Point]]:
    """Read the file's stages; raise `ValueError` that says in a few words what is wrong with it."""
    try:
        if place.is_symlink() or not place.is_file():
            raise ValueError("it is not a plain file")
        with place.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    if len(content) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT // 2**20} MiB")
    try:
        return _FILE.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " › ".join(cut(str(part)) for part in first["loc"] if part != "[key]")
        why = problem(first)
        raise ValueError(f"{where}: {why}" if where else why) from error


def _stage(name: str, points: Sequence[_Point]) -> tuple[_Stage, int]:
    """Return a stage's series by step, or else by epoch, and the number of unusable values."""
    axis = "step" if any("step" in point for point in points) else "epoch"
    series: dict[str, list[tuple[float, float]]] = {}
    lost = 0
    for point in points:
        x = point.get(axis)
        for key, y in point.items():
            if key in ("step", "epoch") or y is None:
                continue
            if x is None or not (_sane(x) and _sane(y)):
                lost += 1
                continue
            series.setdefault(key, []).append((x, y))
    ordered = {key: sorted(values, key=lambda at: at[0]) for key, values in series.items()}
    columns = {
        key: ([x for x, _ in values], [y for _, y in values]) for key, values in ordered.items()
    }
    return _Stage(name, axis, columns), lost


def _sane(value: float) -> bool:
    return abs(value) < _ABSURD  # which NaN is not either


def _panels(stages: Sequence[_Stage]) -> tuple[list[CurvePanel], int]:
    """Return series by stage and kind, and the number that were left out."""
    panels: dict[tuple[str, str], CurvePanel] = {}
    more = 0
    for stage in stages:
        for name, (x, y) in stage.series.items():
            about = cut(_kind(name))
            key = (stage.name, about)
            if key not in panels and len(panels) < PANELS:
                panels[key] = CurvePanel(stage.name, about, stage.axis)
            if key not in panels or len(panels[key].lines) == LINES:
                more += 1
                continue
            panels[key].lines.append(Line(name, *thinned(x, y, POINTS)))
    return list(panels.values()), more


def _kind(series: str) -> str:
    """Return the axis group of a series: losses, or one prefix such as `rewards/margins`."""
    name = series.removeprefix("eval_")
    return "loss" if name.endswith("loss") else name.partition("/")[0]


def _faint(panel: CurvePanel, stages: Sequence[_Stage]) -> list[Line]:
    names = [line.name for line in panel.lines if not line.other]
    return [
        Line(name, *thinned(*stage.series[name], FAINT_POINTS), other=True)
        for stage in stages
        if (stage.name, stage.axis) == (panel.stage, panel.axis)
        for name in names
        if name in stage.series
    ]


def thinned(
    x: Sequence[float], y: Sequence[float], most: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Return at most so many points: lowest and highest of every stretch, so no spike is lost."""
    if len(x) > most:
        values = np.asarray(y)
        places = {0, len(x) - 1}
        for part in np.array_split(np.arange(len(x)), most // 2 - 1):
            places |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
        x, y = [x[i] for i in sorted(places)], [y[i] for i in sorted(places)]
    return x, [float(f"{value:.6g}") for value in y]


def cut(text: str) -> str:
    """Return a text short enough for a heading."""
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
