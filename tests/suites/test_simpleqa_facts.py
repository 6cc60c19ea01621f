"""The embedded SimpleQA questions: rebuilt, counted, and some facts checked by hand."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from routebench.data.duplicates import near_pairs

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "suites" / "routebench_suites" / "simpleqa_facts"


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    name = "build_simpleqa"
    spec = importlib.util.spec_from_file_location(name, ROOT / "suites" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (FACTS / "questions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_committed_questions_are_a_fresh_build(builder: ModuleType) -> None:
    facts, problems = builder.read_facts(FACTS)
    questions = builder.build(facts, problems)
    problems += builder.check(questions)
    assert problems == []
    committed = (FACTS / "questions.csv").read_bytes()
    assert builder.render(questions).encode() == committed


def test_enough_of_every_topic_and_type(rows: list[dict[str, str]]) -> None:
    topics = Counter(row["topic"] for row in rows)
    types = Counter(row["answer_type"] for row in rows)
    assert len(rows) >= 3000
    assert len(topics) == 10
    assert min(topics.values()) >= 120
    assert topics["Geography"] <= 0.3 * len(rows)
    assert set(types) == {"Person", "Number", "Date", "Place", "Other"}
    assert min(types.values()) >= 250


def test_ids_are_unique_and_every_cell_is_filled(rows: list[dict[str, str]]) -> None:
    assert len({row["query_id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["obscurity"] in set("12345")
        assert row["query"].endswith("?")
        assert row["reference"]
        aliases = json.loads(row["aliases"])
        assert len(set(aliases)) == len(aliases)
        assert row["reference"] not in aliases


def test_kinds_are_tables_and_columns(rows: list[dict[str, str]]) -> None:
    for kind in {row["kind"] for row in rows}:
        table, column = kind.split(".")
        with (FACTS / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            assert column in next(csv.reader(file))


def test_no_two_questions_are_near_duplicates(rows: list[dict[str, str]]) -> None:
    found = near_pairs([row["query"] for row in rows])
    assert len(found.pairs) == 0
    assert len(set(found.unit.tolist())) == len(rows)


def cell(table: str, key: str, column: str) -> str:
    """The first form of a cell, the row named by its first column."""
    with (FACTS / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if next(iter(row.values())).split("|")[0] == key:
                return row[column].split("|")[0]
    raise KeyError(key)


@pytest.mark.parametrize(
    ("table", "key", "column", "value"),
    [
        ("countries", "Australia", "capital", "Canberra"),
        ("countries", "Kazakhstan", "capital", "Astana"),
        ("countries", "Ghana", "independence", "1957"),
        ("us_states", "Hawaii", "admitted", "1959"),
        ("us_states", "Delaware", "order", "1"),
        ("regions", "Quebec", "capital", "Quebec City"),
        ("summits", "K2", "ascent", "1954"),
        ("waters", "Volga", "mouth", "Caspian Sea"),
        ("elements", "72", "element", "hafnium"),
        ("elements", "74", "symbol", "W"),
        ("moons", "Titan", "discoverer", "Christiaan Huygens"),
        ("missions", "Apollo 8", "commander", "Frank Borman"),
        ("ports", "SSH", "port", "22"),
        ("http_codes", "I'm a teapot", "code", "418"),
        ("nobel_science", "Dorothy Hodgkin", "year", "1964"),
        ("nobel_literature", "1968", "person", "Yasunari Kawabata"),
        ("nobel_peace", "1952", "person", "Albert Schweitzer"),
        ("us_presidents", "Chester A. Arthur", "number", "21"),
        ("amendments", "19", "year", "1920"),
        ("olympics", "1952 Summer Olympics", "city", "Helsinki"),
        ("olympics", "1994 Winter Olympics", "city", "Lillehammer"),
        ("world_cups", "1986", "winner", "Argentina"),
        ("super_bowls", "III", "winner", "New York Jets"),
        ("formula_one", "1976", "champion", "James Hunt"),
        ("paintings", "The Night Watch", "artist", "Rembrandt"),
        ("novels", "Dune", "year", "1965"),
        ("films", "Parasite", "director", "Bong Joon-ho"),
        ("albums", "OK Computer", "year", "1997"),
        ("operas", "Aida", "premiere_city", "Cairo"),
        ("eurovision", "1974", "country", "Sweden"),
        ("tv_shows", "The Wire", "creator", "David Simon"),
        ("battles", "Battle of Hastings", "year", "1066"),
        ("events", "the Peace of Westphalia", "year", "1648"),
        ("video_games", "Half-Life", "developer", "Valve"),
        ("pokemon", "25", "name", "Pikachu"),
        ("anniversaries", "40", "material", "ruby"),
    ],
)
def test_facts_known_by_hand(table: str, key: str, column: str, value: str) -> None:
    assert cell(table, key, column) == value


def test_a_malformed_table_is_reported(builder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "seas.csv").write_text(
        "sea,colour,obscurity\nBlack Sea,black,1\nRed Sea,,1\nWhite Sea ,pale,1\nYellow Sea,1\n",
        encoding="utf-8",
    )
    (tmp_path / "aliases.csv").write_text("reference,aliases\n", encoding="utf-8")
    (tmp_path / "templates.toml").write_text(
        'articles = []\nshared_surnames = []\n[[question]]\ntable = "seas"\nanswer = "colour"\n'
        'topic = "Sea"\ntype = "Other"\n'
        'phrasings = ["Colour of the {sea}?", "{sea}: hue?", "Which hue has the {sea}?"]\n',
        encoding="utf-8",
    )
    facts, problems = builder.read_facts(tmp_path)
    problems += builder.check(builder.build(facts, problems))
    text = "\n".join(problems)
    assert "seas.csv:5: 2 cells, the head has 3" in text
    assert "seas.csv:4: a cell begins or ends with a space" in text
    assert "unknown topic 'Sea'" in text
    assert "'Black Sea': the question says 'black'" in text
