"""What is broken is said in plain words: none of pydantic, the system, Arrow or JSON's parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import planted
from pydantic import BaseModel, Field, ValidationError
from test_bad_input import check

from routebench.isolation import readable
from routebench.plugin.options import explain

Main = Callable[..., tuple[int, str, str]]
RAW = (
    "input should", "field required", "pydantic", "[errno", "magic bytes", "footer", "arrow",
    "recursion", "traceback", "dictionary bounds", "literal[", "constrained-", "(cpu|",
)  # fmt: skip
RUN = ("run", "--quiet", "--router", "best-single", "--suite")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder of broken files."""
    place = tmp_path / "here"
    place.mkdir()
    pyarrow.csv.write_csv(planted(20), place / "ok.csv")
    pq.write_table(planted(20), place / "ok.parquet")
    raw = (place / "ok.parquet").read_bytes()
    for name, content in {
        "cut.parquet": raw[: len(raw) // 2],
        "zeros.parquet": b"PAR1" + b"\0" * 40 + b"PAR1",
        "cut.json": b'[{"query_id": 1',
        "deep.json": b'{"a":' * 50_000,
        "prices.toml": b'[a]\ninput_usd_per_mtok = "dear"\noutput_usd_per_mtok = -1\n',
        "deep-prices.json": b'{"a":' * 50_000,
        "run.toml": b'suite = 3\nfolds = "many"\n',
        "rules.toml": b'[margins]\naccuracy = "much"\n',
    }.items():
        (place / name).write_bytes(content)
    (place / "folder.toml").mkdir()
    (place / "half").mkdir()
    (place / "half" / "leaderboard.json").write_text('{"schema_version": 2, "suite": {"name": 3}}')
    return place


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*RUN, "cut.parquet"], "cut.parquet: cannot be read: is cut short"),
        ([*RUN, "zeros.parquet"], "zeros.parquet: is damaged or cut short"),
        ([*RUN, "cut.json"], "cut.json: "),
        ([*RUN, "deep.json"], "is nested too deeply"),
        ([*RUN, "ok.csv", "--prices", "prices.toml"], "input_usd_per_mtok: must be a number"),
        ([*RUN, "ok.csv", "--prices", "deep-prices.json"], "deep-prices.json: "),
        ([*RUN, "ok.csv", "--prices", "folder.toml"], "cannot be read: Is a directory"),
        ([*RUN, "ok.csv", "--folds", "1"], "--folds: must be at least 3 (got 1)"),
        ([*RUN, "ok.csv", "--device", "gpu"], "--device: must be cpu, cuda or cuda:N"),
        ([*RUN, "ok.csv", "--max-missing", "7"], "--max-missing: must be at most 1 (got 7.0)"),
        ([*RUN, "ok.csv", "--objective", "cost=x"], "--objective.cost: must be a number"),
        (["run", "--file", "run.toml"], "--suite: must be a text (got 3)"),
        (["run", "--file", "run.toml", "--suite", "simpleqa"], "--folds: must be a whole number"),
        (["show", "half"], "not a leaderboard: suite.name: must be a text"),
        (["verify", "half"], "not a leaderboard"),
        (
            ["gate", "half", "half", "--rules", "rules.toml"],
            "rules.toml: margins.accuracy: must be 'auto' or must be a number (got 'much')",
        ),
        (["data", "info", "cut.parquet"], "cut.parquet: cannot be read: is cut short"),
    ],
)
def test_plain_words(words: list[str], message: str, here: Path, main: Main) -> None:
    said = check(*main(*words, cwd=here))
    assert message in said
    assert not [raw for raw in RAW if raw in said.casefold()]


class Options(BaseModel):
    """One option of each kind."""

    whole: int = Field(1, ge=1, lt=1_000_000)
    share: float = Field(0.5, gt=0, le=1)
    flag: bool = False
    names: list[str] = Field(["a"], min_length=1)
    pair: tuple[int, int] | None = None
    by_name: dict[str, int] = {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": 0}, "whole: must be at least 1 (got 0)"),
        ({"whole": 2_000_000}, "whole: must be below 1000000 (got 2000000)"),
        ({"whole": 1.5}, "whole: must be a whole number (got 1.5)"),
        ({"share": 0}, "share: must be above 0 (got 0)"),
        ({"flag": "often"}, "flag: must be true or false (got 'often')"),
        ({"names": []}, "names: must have at least 1 (got [])"),
        ({"names": "a"}, "names: must be a list (got 'a')"),
        ({"pair": 3}, "pair: must be a list (got 3)"),
        ({"by_name": 3}, "by_name: must hold values by name (got 3)"),
        ({"by_name": {"a": "b"}}, "by_name.a: must be a whole number (got 'b')"),
    ],
)
def test_words_of_each_kind(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(values)
    assert explain(caught.value) == message


def test_a_link_to_itself_beside_a_router(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert readable.beside(tmp_path / "mine.py") == [tmp_path / "mine.py"]
