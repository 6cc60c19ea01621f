"""The description of a trained router: what it is, what it learned from, what is known of models.

It is made from a run folder, or read from `checkpoint.json` of a folder that stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from routebench.board.checkpoint.files import check_content, check_name
from routebench.errors import DataError
from routebench.files import file_sha256, replace_file
from routebench.redact import one_line
from routebench.schema import Estimate, Fingerprints, FoldFacts, RouterVerdict, StrictModel

FILE = "checkpoint.json"
CARD = "README.md"
STATE = "state"
HEADER = "router.json"
"""Of the state: the models that it knows."""
OTHER = "get the whole folder anew, or make it again with routebench export"


class CheckpointFile(StrictModel):
    """A file of a checkpoint, besides its description and its card."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class CheckpointResults(StrictModel):
    """Results on the test part of the run that trained this checkpoint, or one before it."""

    of: Literal["this checkpoint", "a router trained without the test part"]
    run: str = Field(description="name of the run folder")
    n: int = Field(description="test queries; means over folds")
    seeds: int = Field(1, description="more than one: metrics are means over their checkpoints")
    folds: int = 1
    metrics: dict[str, Estimate] = Field(description="of the router's own choice")
    point_metrics: dict[str, dict[str, Estimate]] = Field({}, description="by operating point")
    best_single: dict[str, Estimate] = Field({}, description="of the best single model")
    verdict: RouterVerdict | None = None


class CheckpointDescription(StrictModel):
    """All that is known of a trained router besides its state."""

    format: Literal["routebench-checkpoint"] = "routebench-checkpoint"
    format_version: Literal[1] = 1
    routebench: str = Field(description="version that wrote it")
    created: str
    router: str = Field(description="label on the board")
    plugin: dict[str, Any] = Field(description="name, distribution, version, and target")
    code: str | None = Field(None, description="hash of the plugin's source")
    options: dict[str, Any]
    extensions: dict[str, dict[str, Any]] = Field({})
    fingerprint: str | None = Field(None, description="of the job that trained it")
    seed: int
    fold: int
    steps: bool = Field(False, description="sees answers before it decides")
    models: list[str]
    suite: str
    source: Literal["simulated", "recorded", "live"]
    measure: Literal["accuracy", "reward"]
    queries: dict[str, int] = Field(description="by part: train, validation, test")
    trained_on: list[Literal["train", "validation", "test"]] = Field(
        ["train", "validation"], description="parts; points and tuning on validation alone"
    )
    inner_folds: int = Field(
        0, description="fits on parts of train and validation that chose its points; 0: none"
    )
    split: str
    shown: list[str] = Field([], description="query columns that it sees besides the text")
    training_only: list[str] = Field([])
    fingerprints: Fingerprints
    encoder: str
    priced: Literal["recorded", "prices", "estimated", "unpriced"]
    facts: FoldFacts | None = Field(None, description="of models, on the training queries")
    prices: dict[str, dict[str, Any]] = Field(
        {}, description="USD per million tokens by model, where a price list was used"
    )
    users: dict[str, float] = Field({}, description="weight on quality of the training's users")
    tasks: list[str] = Field([])
    answers_as: str | None = Field(None, description="judge that reads final answers")
    answers_options: dict[str, Any] = Field({}, description="its options")
    point: str = Field("most-accurate", description="operating point, unless another is named")
    points: list[str] = Field(["most-accurate"])
    license: str | None = None
    results: CheckpointResults | None = None
    notes: list[str] = Field([])
    files: dict[str, CheckpointFile] = Field({}, description="by path in the folder")

    @property
    def cost(self) -> dict[str, float | None]:
        """Return USD per call by model, mean over training queries; empty in an unpriced run."""
        return (self.facts and self.facts.mean_cost) or {}


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder is a checkpoint that stands alone."""
    return (folder / FILE).is_file()


def write(folder: Path, description: CheckpointDescription) -> None:
    """Write the description into a checkpoint's folder."""
    text = description.model_dump_json(indent=2) + "\n"
    replace_file(folder / FILE, text.encode())


def read(folder: Path) -> CheckpointDescription:
    """Read the description of a checkpoint; a `DataError` where there is none or it is damaged."""
    place = folder / FILE
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{place}: {getattr(error, 'strerror', None) or 'it is no text'}",
            "name a checkpoint folder, as routebench train and routebench export write them",
        ) from error
    try:
        return CheckpointDescription.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            one_line(f"{place}: not a checkpoint of this version: {at}: {first['msg']}", 300), OTHER
        ) from error


def check_files(folder: Path, files: Mapping[str, CheckpointFile], whole: bool = True) -> None:
    """Raise a `DataError` for a file that is not there, not as stated, or no data.

    With `whole` no other files may be in the folder's state.
    """
    for name, stated in files.items():
        check_name(str(folder), name)
        place = folder / name
        if not place.is_file() or place.is_symlink():
            raise DataError(f"{place}: is missing: the checkpoint is not whole", OTHER)
        if place.stat().st_size != stated.bytes or file_sha256(place) != stated.sha256:
            raise DataError(f"{place}: is not the file that {FILE} states", OTHER)
        check_content(place)
    for place in (folder / STATE).rglob("*") if whole else ():
        if not place.is_dir() and place.relative_to(folder).as_posix() not in files:
            raise DataError(f"{place}: is no file that {FILE} states", OTHER)
