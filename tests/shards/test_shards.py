"""Shards of a run and their merge: the board of the whole, and errors that name the shard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import SMALL, in_process, put

from routebench import config, pipeline
from routebench.board import run_folder
from routebench.errors import DataError, OptionError, RoutebenchError
from routebench.isolation.subprocesses import Workers
from routebench.shard import Shard
from routebench.shards.merge import merge
from routebench.shards.run import WrittenShard, run_shard

TROUBLE = Path(__file__).parents[1] / "troublemakers.py"
N = 3

Main = Callable[..., tuple[int, str, str]]


def options(here: Path, **more: Any) -> dict[str, Any]:
    routers = ["knn", "random", "best-single", f"{TROUBLE}:Raises"]
    suite = f"table:{here / 'data' / 'outcomes.parquet'}"
    given = {"suite": suite, "router": routers, "folds": 3, "seeds": 2, "perturb": 4, "set": SMALL}
    return given | more


def shard(here: Path, index: int, **more: Any) -> WrittenShard:
    return run_shard(
        config.make(options(here, out=str(here / "whole"), shard=f"{index}/{N}", **more)),
        pipeline.RunListener(),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run in one piece, `one`, and the shards of the same, `whole.shards`.

    One of its routers fails.
    """
    here = tmp_path_factory.mktemp("sharded")
    put(here / "data", planted(120))
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        pipeline.run(config.make(options(here, out=str(here / "one"))), pipeline.RunListener())
        for index in range(N):
            shard(here, index)
    return here


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the shards to be spoilt."""
    in_process(monkeypatch)
    return Path(shutil.copytree(made / "whole.shards", tmp_path / "whole.shards"))


def folders(place: Path) -> list[Path]:
    return sorted(place.iterdir())


def change(folder: Path, **values: Any) -> None:
    record = json.loads((folder / "shard.json").read_text())
    (folder / "shard.json").write_text(json.dumps(record | values))


def timeless(folder: Path) -> str:
    board = json.loads((folder / run_folder.BOARD).read_text())
    for name in ("environment", "timing"):
        del board[name]
    return json.dumps(board)


def test_merged_shards_are_the_run_in_one_piece(made: Path, main: Main, tmp_path: Path) -> None:
    code, printed, said = main(
        "merge", *reversed(folders(made / "whole.shards")), "--out", tmp_path / "whole"
    )
    assert code == 1, printed + said  # a router failed, as in one piece
    one, whole = made / "one", tmp_path / "whole"
    assert timeless(one) == timeless(whole)
    files = {str(p.relative_to(one)) for p in one.rglob("*") if p.is_file()}
    assert files == {str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file()}
    changing = ("leaderboard.json", "job.json", "error.txt")
    same = [name for name in files if not name.endswith(changing)]
    assert any(name.startswith("routers/knn/") for name in same)
    for name in same:
        assert (one / name).read_bytes() == (whole / name).read_bytes(), name


def test_no_job_runs_in_a_merge(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stages = Workers.run, []

    def watched(workers: Workers, request: Any, *words: Any, **named: Any) -> Any:
        stages.append(request.stage)
        return run(workers, request, *words, **named)

    monkeypatch.setattr(Workers, "run", watched)
    merge(folders(copy), str(copy.parent / "whole"), pipeline.RunListener())
    assert set(stages) == {"describe"}


def error(place: list[Path]) -> RoutebenchError:
    with pytest.raises(DataError) as raised:
        merge(place, str(place[0].parents[1] / "whole"), pipeline.RunListener())
    assert raised.value.exit_code == 2
    assert not (place[0].parents[1] / "whole").exists()
    return raised.value


def test_a_missing_shard_is_named(copy: Path) -> None:
    raised = error([folders(copy)[0], folders(copy)[2]])
    assert raised.message == "shard 1/3 is missing"
    assert "--shard 1/3" in raised.hint


def test_a_doubled_shard_is_named(copy: Path) -> None:
    other = shutil.copytree(copy / "0-of-3", copy / "again")
    assert error(folders(copy)).message == (
        f"shard 0/3 is there twice: {copy / '0-of-3'} and {other}"
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"shard": "2/4"}, "it is one of 4 parts"),
        ({"versions": {"Python": "2.7"}}, "it has Python 2.7"),
        ({"run": "0123456789ab"}, "other routers, options or seeds"),
        ({"jobs": ["0123456789abcdef"]}, "the code or the extras of a router differ"),
    ],
)
def test_a_foreign_shard_is_named(copy: Path, values: dict[str, Any], why: str) -> None:
    change(copy / "2-of-3", **values)
    message = error(folders(copy)).message
    assert message.startswith(f"{copy / '2-of-3'}: the shards are of different runs: ")
    assert why in message


def test_a_shard_of_other_data_is_named(copy: Path) -> None:
    prints = json.loads((copy / "1-of-3" / "shard.json").read_text())["fingerprints"]
    change(copy / "1-of-3", fingerprints=prints | {"outcomes": "0" * 16})
    assert "other outcomes, unlike in" in error(folders(copy)).message


def test_other_data_where_shards_are_merged_is_an_error(copy: Path) -> None:
    place = copy / "0-of-3" / "run.toml"
    put(copy.parent / "data", planted(121))
    text = place.read_text().splitlines()
    suite = f'suite = "table:{copy.parent / "data" / "outcomes.parquet"}"'
    place.write_text("\n".join(suite if s.startswith("suite = ") else s for s in text))
    raised = error(folders(copy))
    assert "made elsewhere from something else than is here: other suite" in raised.message


def test_a_damaged_result_is_named(copy: Path) -> None:
    (copy / "1-of-3" / "routers" / "random" / "seed-0" / "fold-1" / "decisions.arrow").write_bytes(
        b"no decisions"
    )
    with pytest.raises(DataError, match="1-of-3: random, seed 0, fold 1: the result is missing"):
        merge(folders(copy), str(copy.parent / "whole"), pipeline.RunListener())


def test_an_interrupted_shard_is_not_merged_and_goes_on(made: Path, copy: Path) -> None:
    """What was finished is not run again; the shards make the same whole."""
    here = copy.parent
    shutil.copytree(made / "data", here / "data")
    for path in (copy / "1-of-3").rglob("fold-*"):
        if "random" in str(path):
            shutil.rmtree(path)

    class Killed(pipeline.RunListener):
        def began(self, job: Any) -> None:
            raise KeyboardInterrupt

    values = options(here, out=str(here / "whole"), shard="1/3")
    with pytest.raises(KeyboardInterrupt):
        run_shard(config.make(values), Killed())
    with pytest.raises(DataError, match="the run is not finished: 2 of 6 jobs are done") as raised:
        merge(folders(copy), str(here / "whole"), pipeline.RunListener())
    words = raised.value.hint.split()
    assert words[-1] == str(here / "whole")
    again = config.make(config.read(Path(words[words.index("--file") + 1])) | {"out": words[-1]})
    assert again.shard == "1/3"

    class Watched(pipeline.RunListener):
        kept = 0

        def jobs(self, total: int, done: int, folder: Path) -> None:
            Watched.kept = done

    run_shard(again, Watched())
    assert Watched.kept == 2
    merge(folders(copy), str(here / "whole"), pipeline.RunListener())
    assert timeless(made / "one") == timeless(here / "whole")


def test_shards_share_the_jobs_out() -> None:
    parts = [Shard(index, 3).take(range(8)) for index in range(3)]
    assert parts == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_shard_is_that_of_the_slurm_task() -> None:
    array = {f"SLURM_ARRAY_TASK_{k}": v for k, v in (("ID", "5"), ("COUNT", "3"), ("MIN", "1"))}
    assert Shard.parse("auto", array | {"SLURM_ARRAY_TASK_STEP": "2"}) == Shard(2, 3)
    with pytest.raises(OptionError, match="task 5 of an array of 3 that starts at 1"):
        Shard.parse("auto", array)
    with pytest.raises(OptionError, match="SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT are not"):
        Shard.parse("auto", {})


@pytest.mark.parametrize("text", ["3/3", "1", "-1/3", "0/0", "a/b"])
def test_what_is_no_shard_is_refused(main: Main, text: str) -> None:
    code, _, said = main("run", "--suite", "simpleqa", "--shard", text)
    assert code == 2
    assert f"--shard {text}: expected i/n" in said
