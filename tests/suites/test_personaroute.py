"""The PersonaRoute suite: embedded or from files, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import opposites, panel, write_csv

from routebench.data.fingerprints import outcomes_fingerprint, suite_fingerprint
from routebench.data.splits import make_split
from routebench.errors import DataError, OptionError
from routebench.records import State
from routebench_suites.personaroute.suite import PersonaRoute


def suite(**options: Any) -> PersonaRoute:
    return PersonaRoute(PersonaRoute.Options(**options))


def test_the_embedded_set() -> None:
    data = suite().load()
    assert data.source == "simulated"
    assert data.users is not None
    assert (len(data.users), len(data.pool), len(data)) == (9, 10, 600)
    assert set(data.queries.task) == set(np.unique(data.queries.task.astype(str)))  # type: ignore[union-attr,arg-type]
    assert len(set(data.queries.task)) == 4  # type: ignore[arg-type]
    assert data.visible == {"task", "user", "preference"}
    assert data.outcomes.cost is None
    assert any("simulated" in note for note in data.notes)


def test_a_thousand_users_cost_no_more_than_nine() -> None:
    data = suite(data="1000").load()
    assert data.users is not None
    assert len(data.users) == 1000
    assert data.outcomes.score.shape == (240, 10)
    assert data.users.asked is None
    with pytest.raises(OptionError, match="at least two users"):
        suite(data="1").load()


def test_a_file_gives_what_was_written(tmp_path: Path) -> None:
    made = opposites(40)
    data = suite(data=str(write_csv(tmp_path / "data.csv", made))).load()
    assert data.source == "recorded"
    assert list(data.queries.text) == list(made.queries.text)
    assert data.outcomes.score == pytest.approx(made.outcomes.score)
    assert data.outcomes.relative_cost == pytest.approx(made.outcomes.relative_cost)
    assert data.users is not None
    assert data.users.preference.tolist() == [0.95, 0.05]
    # Which model is dear is said by what training calls cost, fold by fold.
    assert (data.pool.small, data.pool.large) == (None, None)
    assert data.files == ((tmp_path / "data.csv").resolve(),)


def test_rows_in_another_order_are_the_same_suite(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", opposites(40))
    head, *lines = path.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([head, *reversed(lines)]) + "\n")
    one, two = (suite(data=str(each)).load() for each in (path, other))
    assert list(one.keys) == list(two.keys)
    assert suite_fingerprint(one) == suite_fingerprint(two)
    assert outcomes_fingerprint(one) == outcomes_fingerprint(two)


def test_what_the_embedded_answers_were_made_with_is_protected() -> None:
    names = {path.name for path in suite().load().files}
    assert names == {"simulated.py", "simulated_data"}
    assert all(path.exists() for path in suite().load().files)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", opposites(20))
    with pytest.raises(OptionError, match="no file is named"):
        suite(source="recorded").load()
    with pytest.raises(OptionError, match="is a file"):
        suite(source="embedded", data=str(path)).load()
    assert suite(source="recorded", data=str(path)).load().source == "recorded"


def test_one_model_is_nothing_to_choose_from(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", opposites(20))
    lines = [
        line for line in path.read_text().splitlines() if ",b," not in line and ",c," not in line
    ]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="two models"):
        suite(data=str(path)).load()


def test_missing_models_are_absent(tmp_path: Path) -> None:
    made = opposites(30)
    path = write_csv(tmp_path / "data.csv", made)
    lines = path.read_text().splitlines()
    gone = made.queries.text[0]
    kept = [line for line in lines if not (gone in line and ",b," in line)]
    assert len(kept) == len(lines) - 2
    path.write_text("\n".join(kept) + "\n")
    data = suite(data=str(path)).load()
    assert data.outcomes.state[0].tolist() == [State.OK, State.ABSENT, State.OK]


def parts(folder: Path, new: bool) -> Path:
    """Train, val and test files; with a user in the last one whom training never saw."""
    folder.mkdir()
    made = opposites(60)
    for name, rows in (("train", range(40)), ("val", range(40, 50))):
        write_csv(folder / f"router_user_{name}_data.csv", made, rows)
    texts = list(made.queries.text)
    assert made.outcomes.relative_cost is not None
    whole = panel(made.outcomes.score, made.outcomes.relative_cost, [0.95, 0.05, 0.5], texts)
    rows = [i for i, t in enumerate(whole.queries.text) if t in texts[50:]]
    write_csv(
        folder / "router_user_test_data.csv", whole if new else made, rows if new else range(50, 60)
    )
    return folder


def test_a_split_of_its_own(tmp_path: Path) -> None:
    data = suite(data=str(parts(tmp_path / "data", new=False))).load()
    assert data.split is not None
    assert sorted(np.unique(data.split.astype(str), return_counts=True)[1]) == [10, 10, 40]
    assert make_split(data).kind == "given"


def test_a_user_of_the_test_file_alone(tmp_path: Path) -> None:
    data = suite(data=str(parts(tmp_path / "data", new=True))).load()
    with pytest.raises(DataError, match="user 'u2' is in the test part only"):
        make_split(data)
    split = make_split(data, protocol="user")
    assert split.held_out is not None
    assert split.held_out.tolist() == [[False, False, True]]


def test_raw_costs_are_scaled_by_training_alone(tmp_path: Path) -> None:
    folder = parts(tmp_path / "data", new=False)
    for path in folder.iterdir():
        head, *lines = path.read_text().splitlines()
        cells = [line.split(",") for line in lines]
        for row in cells:
            row[6] = str(10 * float(row[6]) + 5)
            row[7] = ""
        path.write_text("\n".join([head, *map(",".join, cells)]) + "\n")
    data = suite(data=str(folder)).load()
    relative = data.outcomes.relative_cost
    assert relative is not None
    assert relative.min() == 0
    assert relative.max() == 1
    alone = suite(data=str(write_csv(tmp_path / "one.csv", opposites(20)))).load()
    assert alone.outcomes.relative_cost is not None


def test_through_the_command(main: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    for words, said in (
        (["--suite", "personaroute:nobody.csv"], "nobody.csv"),
        (["--suite", "personaroute", "--shots", "3"], "--protocol user"),
        (["--suite", "personaroute", "--protocol", "planet"], "planet"),
        (["--suite", "personaroute", "--against", "knn", "--router", "linear"], "--against knn"),
    ):
        code, _, err = main("run", *words, "--out", tmp_path / "out")
        assert code == 2, err
        assert said in err
