"""What a grid file may say, and the one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from routebench.errors import DataError
from routebench.grid import file as grid_file


def read(tmp_path: Path, text: str) -> grid_file.Grid:
    place = tmp_path / "field.toml"
    place.write_text(text)
    return grid_file.read(place, tmp_path / "out", jobs=2)


def test_suites_share_options_and_have_their_own(tmp_path: Path) -> None:
    grid = read(
        tmp_path,
        """
router = ["knn", "mine.py:Mine"]
folds = 3
[set.knn]
k = 5
[suites.simpleqa]
[suites.told]
suite = "table:outcomes.csv"
folds = 5
[suites.told.set.knn]
k = 7
[suites.told.set.table]
small = "a"
""",
    )
    assert (grid.name, [run.name for run in grid.runs]) == ("field", ["simpleqa", "told"])
    first, second = (run.config for run in grid.runs)
    assert (first.suite, first.folds, first.set) == ("simpleqa", 3, {"knn": {"k": 5}})
    assert (second.suite, second.folds) == ("table:outcomes.csv", 5)
    assert second.set == {"knn": {"k": 7}, "table": {"small": "a"}}
    assert first.router == second.router == ("knn", "mine.py:Mine")
    assert (first.jobs, second.out) == (2, str(tmp_path / "out" / "told"))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("router = [", "field.toml: not TOML: ", ""),
        ("router = ['knn']", "field.toml: no suite is named", "write [suites.simpleqa]"),
        ("perturp = 3\n[suites.a]", "field.toml: unknown key 'perturp'", "did you mean perturb"),
        ("suite = 'a'\n[suites.a]", "unknown key 'suite'", "write it under [suites.NAME]"),
        ("[suites.a]\nseedz = 3", "suites.a: unknown key 'seedz'", "did you mean seeds"),
        ("[suites.a]\nout = 'b'", "suites.a: out is not for the file", "give --out to the"),
        ("[suites.a]\nfolds = 2", "suites.a: folds: must be at least 3 (got 2)", ""),
        ("[suites]\na = 3", "suites.a = 3", "write [suites.a], then OPTION = VALUE"),
        ("[suites.'../up']", "suites.'../up' cannot name a folder", "allowed are letters"),
        ("set = 3\n[suites.a]", "suites.a: set = 3", "write [set.NAME]"),
        ("router = []\n[suites.a]", "suites.a: router: no router named", "all, or names"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert "field.toml" in caught.value.message
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        grid_file.read(tmp_path / "none.toml")
