"""Tables, prices and routers that are given as objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import planted
from pydantic import BaseModel

from routebench import hookimpl
from routebench.api import inputs, routers
from routebench.errors import DataError, OptionError
from routebench.plugin import discovery


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is written in a folder of its own."""
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_a_table_is_written_once(data: Path) -> None:
    table = planted(5)
    suite = inputs.suite(table)
    assert suite == inputs.suite(table)
    name, _, file = suite.partition(":")
    assert name == "table"
    assert pq.read_table(file).equals(table)
    assert len(list((data / "tables").iterdir())) == 1
    assert inputs.suite(table.slice(1)) != suite


class Stream:
    """A table of another library, as far as Arrow sees it."""

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return planted(5).__arrow_c_stream__(schema)


def test_a_table_of_another_library() -> None:
    read = pq.read_table(inputs.suite(Stream()).partition(":")[2])
    assert read.equals(planted(5))


def test_names_stay_as_they_are() -> None:
    assert inputs.suite("simpleqa") == "simpleqa"
    assert inputs.suite(Path("a/b.csv")) == "table:a/b.csv"
    with pytest.raises(OptionError, match="cannot run on a int"):
        inputs.suite(7)


def test_data_frames() -> None:
    pd = pytest.importorskip("pandas")
    table = planted(5)
    frame = table.to_pandas()
    frame.index = frame.index + 7  # no column
    read = pq.read_table(inputs.suite(frame).partition(":")[2])
    assert read.to_pylist() == table.to_pylist()
    frame["note"] = pd.Series(["a", 1, 2.0, {}] * 5, index=frame.index, dtype=object)
    with pytest.raises(DataError, match="column 'note': its values are of several types") as caught:
        inputs.suite(frame)
    assert "df['note'] = df['note'].astype(str)" in caught.value.hint
    frame.columns = [*frame.columns[:-1], 3]
    with pytest.raises(DataError, match="name 3 is of type int"):
        inputs.suite(frame)
    twice = pd.concat([table.to_pandas(), table.to_pandas()], axis=1)
    with pytest.raises(DataError, match="name 'query_id' is twice"):
        inputs.suite(twice)


def test_prices_by_model() -> None:
    given = {"a": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}}
    place = inputs.prices(given)
    assert place is not None
    assert json.loads(Path(place).read_text()) == given
    assert inputs.prices("list") == "list"
    assert inputs.prices(None) is None
    with pytest.raises(OptionError, match="prices: expected numbers by model"):
        inputs.prices({"a": object()})


class Fixed:
    """Sends every query to one model."""

    class Options(BaseModel):
        model: int = 0

    def __init__(self, options: Any) -> None:
        self.options = options

    @hookimpl
    def route(self, queries: Any) -> Any: ...


class Holding:
    """A router that holds what no option says."""

    def __init__(self) -> None:
        self.table = [1]

    @hookimpl
    def route(self, queries: Any) -> Any: ...


def test_routers_are_named() -> None:
    assert routers.named("knn, linear") == (["knn", "linear"], {})
    knn = discovery.load(discovery.find("router", "knn"))
    assert routers.named([knn(knn.Options(k=3)), knn, knn(knn.Options())]) == (
        ["knn", "knn@2", "knn@3"],
        {"knn": {"k": 3}},
    )
    one, other = Fixed(Fixed.Options(model=1)), Fixed(Fixed.Options(model=2))
    place = f"{__file__}:Fixed"
    assert routers.named([one, other]) == (
        [place, f"{place}@2"],
        {"Fixed": {"model": 1}, "Fixed@2": {"model": 2}},
    )
    assert discovery.find("router", place).name == "Fixed"


def test_what_is_no_router() -> None:
    class Inner(Fixed):
        pass

    for given, message in (
        (dict, "dict is no router: it has no method `route`"),
        (Inner, "made inside a function"),
        (Holding(), "Holding: an instance is made again in a process of its own"),
    ):
        with pytest.raises(OptionError, match=message):
            routers.named([given])


def test_options_of_one_plugin_are_not_those_of_another() -> None:
    knn = discovery.load(discovery.find("router", "knn"))
    _, options = routers.named([knn, knn(knn.Options(k=9))])
    assert options == {"knn@2": {"k": 9}}
