"""Builds the embedded SimpleQA questions from the fact tables: `python suites/build_simpleqa.py`.

Reads the tables and `templates.toml` in `routebench_suites/simpleqa_facts`, writes
`questions.csv` beside them, and exits 1 with one line per problem instead where the result
would be unusable. Every choice is a hash of the fact it concerns, so that a new row moves no
other question.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.data.duplicates import near_pairs
from routebench.data.texts import normalise

FACTS = Path(__file__).resolve().parent / "routebench_suites" / "simpleqa_facts"
TOPICS = {
    "Science and technology",
    "Politics",
    "Art",
    "Geography",
    "Sports",
    "Music",
    "TV shows",
    "History",
    "Video games",
    "Other",
}
TYPES = {"Person", "Number", "Date", "Place", "Other"}
FIELDS = (
    "query_id",
    "query",
    "reference",
    "aliases",
    "topic",
    "answer_type",
    "obscurity",
    "kind",
)
LEAST, PER_TOPIC, PER_TYPE, GEOGRAPHY = 3000, 120, 250, 0.30

_NOT_TABLES = {"aliases.csv", "questions.csv"}
_SLOT = re.compile(r"\{(\w+)(?::(nth))?\}")
_DATE = re.compile(r"([A-Z][a-z]+) (\d{1,2}), (\d{1,4})")
_PARTICLES = {"van", "von", "der", "den", "de", "da", "di", "du", "la", "le", "el", "del", "al"}
_QUESTION_KEYS = {
    "table",
    "answer",
    "topic",
    "type",
    "harder",
    "share",
    "either",
    "only",
    "surname",
    "phrasings",
}

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One line of `questions.csv`, and where it came from."""

    query: str
    reference: str
    aliases: tuple[str, ...]
    topic: str
    answer_type: str
    obscurity: int
    kind: str
    source: str

    @property
    def query_id(self) -> str:
        """Return an id made from the text, so that it never matches answers to another wording."""
        return f"fact-{_digest(self.query):016x}"


@dataclass(frozen=True, slots=True)
class FactTables:
    """The tables and how to ask about them."""

    tables: dict[str, list[Row]]
    asks: list[dict[str, Any]]
    aliases: dict[str, list[str]]
    articles: set[str]
    shared_surnames: set[str]


def main() -> int:
    """Build, check and write; return the process's exit code."""
    facts, problems = read_facts(FACTS)
    questions = build(facts, problems)
    problems += check(questions)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if problems:
        return 1
    (FACTS / "questions.csv").write_text(render(questions), encoding="utf-8", newline="")
    sys.stdout.write(f"{summary(questions)}\n")
    return 0


def read_facts(folder: Path) -> tuple[FactTables, list[str]]:
    """Read a folder's tables and templates; return them with what is wrong in their form."""
    problems: list[str] = []
    paths = sorted(path for path in folder.glob("*.csv") if path.name not in _NOT_TABLES)
    tables = {path.stem: _read_table(path, problems) for path in paths}
    templates = tomllib.loads((folder / "templates.toml").read_text(encoding="utf-8"))
    aliases = _read_table(folder / "aliases.csv", problems)
    facts = FactTables(
        tables,
        templates["question"],
        {row["reference"]: row["aliases"].split("|") for row in aliases},
        set(templates["articles"]),
        set(templates["shared_surnames"]),
    )
    problems += [problem for ask in facts.asks for problem in _wrong_with(ask, tables)]
    asked_tables = {ask["table"] for ask in facts.asks}
    problems += [f"{name}.csv: no question asks it" for name in sorted(set(tables) - asked_tables)]
    return facts, problems


def build(facts: FactTables, problems: list[str]) -> list[QuestionRow]:
    """Return all questions by id; `problems` gains those that two rows would share."""
    questions: list[QuestionRow] = []
    for number, ask in enumerate(facts.asks):
        seen: dict[tuple[str, ...], str] = {}
        for row in facts.tables.get(ask["table"], []):
            if not _fits(ask, row):
                continue
            key = next(iter(row.values()))
            slots = tuple(_first(row[slot]) for slot in _slots(ask))
            if slots in seen:
                where = f"{ask['table']}.csv, {ask['answer']}"
                problems.append(f"{where}: {seen[slots]!r} and {key!r} make one question")
            seen[slots] = key
            if _chosen(facts, number, row):
                questions.append(_question(facts, ask, row))
    return sorted(questions, key=lambda question: question.query_id)


def check(questions: list[QuestionRow]) -> list[str]:
    """Return one line for everything that makes the questions unusable."""
    problems = [line for question in questions for line in _wrong_question(question)]
    problems += _duplicates(questions)
    ids = Counter(question.query_id for question in questions)
    problems += [f"{name}: the id of {count} questions" for name, count in ids.items() if count > 1]
    topics = Counter(question.topic for question in questions)
    types = Counter(question.answer_type for question in questions)
    for what, counts, names, least in (
        ("topic", topics, TOPICS, PER_TOPIC),
        ("answer type", types, TYPES, PER_TYPE),
    ):
        rare = [name for name in sorted(names) if counts[name] < least]
        problems += [f"{what} {name}: {counts[name]} questions of {least}" for name in rare]
    if len(questions) < LEAST:
        problems.append(f"{len(questions)} questions of {LEAST}")
    if topics["Geography"] > GEOGRAPHY * len(questions):
        problems.append(f"Geography: {topics['Geography']} of {len(questions)} are too many")
    return problems


def render(questions: list[QuestionRow]) -> str:
    """Return the questions as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for question in questions:
        aliases = json.dumps(question.aliases, ensure_ascii=False)
        start = (question.query_id, question.query, question.reference, aliases)
        facets = (question.topic, question.answer_type, question.obscurity, question.kind)
        writer.writerow((*start, *facets))
    return text.getvalue()


def summary(questions: list[QuestionRow]) -> str:
    """Return the number of questions of each kind."""
    lines = [f"{len(questions)} questions"]
    for field in ("topic", "answer_type", "obscurity"):
        counts = Counter(getattr(question, field) for question in questions)
        lines.append(", ".join(f"{name} {counts[name]}" for name in sorted(counts)))
    return "\n".join(lines)


def _read_table(path: Path, problems: list[str]) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = list(csv.reader(file))
    rows = []
    for number, cells in enumerate(lines, start=2):
        place = f"{path.name}:{number}"
        if len(cells) != len(head):
            problems.append(f"{place}: {len(cells)} cells, the head has {len(head)}")
            continue
        parts = [part for cell in cells for part in cell.split("|")]
        if any(part != " ".join(part.split()) for part in parts):
            problems.append(f"{place}: a cell begins or ends with a space, or has two in a row")
        if any("|" in cell and not all(cell.split("|")) for cell in cells):
            problems.append(f"{place}: an empty alias")
        rows.append(dict(zip(head, cells, strict=True)))
    keys = Counter(row[head[0]] for row in rows)
    problems += [f"{path.name}: {key!r} has {n} rows" for key, n in keys.items() if n > 1]
    if "obscurity" in head:
        odd = [row for row in rows if row["obscurity"] not in {"1", "2", "3", "4", "5"}]
        problems += [f"{path.name}: {row[head[0]]!r} has no obscurity of 1 to 5" for row in odd]
    return rows


def _wrong_with(ask: dict[str, Any], tables: dict[str, list[Row]]) -> Iterator[str]:
    name = f"templates.toml: {ask['table']}, {ask['answer']}"
    if ask["topic"] not in TOPICS:
        yield f"{name}: unknown topic {ask['topic']!r}"
    if ask["type"] not in TYPES:
        yield f"{name}: unknown answer type {ask['type']!r}"
    if not 3 <= len(ask["phrasings"]) <= 6:
        yield f"{name}: {len(ask['phrasings'])} phrasings, not 3 to 6"
    if unknown := sorted(set(ask) - _QUESTION_KEYS):
        yield f"{name}: unknown keys {unknown}"
    if len({frozenset(_SLOT.findall(text)) for text in ask["phrasings"]}) > 2:
        yield f"{name}: phrasings that tell different things"
    if not tables.get(ask["table"]):
        yield f"{name}: no such table"
        return
    needed = {ask["answer"], *_slots(ask), *ask.get("only", {})}
    if missing := sorted(needed - set(tables[ask["table"]][0])):
        yield f"{name}: the table has no column {', '.join(missing)}"


def _slots(ask: dict[str, Any]) -> list[str]:
    return sorted({name for text in ask["phrasings"] for name, _ in _SLOT.findall(text)})


def _fits(ask: dict[str, Any], row: Row) -> bool:
    """Return whether the row has all that the question needs."""
    needed = (ask["answer"], *_slots(ask))
    only = ask.get("only", {})
    return all(row.get(name) for name in needed) and all(row[k] == v for k, v in only.items())


def _chosen(facts: FactTables, number: int, row: Row) -> bool:
    """Return whether this question is asked of this row, given its share and its alternatives."""
    ask, key = facts.asks[number], next(iter(row.values()))
    if "either" in ask:
        rivals = [
            index
            for index, other in enumerate(facts.asks)
            if (other["table"], other.get("either")) == (ask["table"], ask["either"])
            and _fits(other, row)
        ]
        if rivals[_digest(f"either:{ask['table']}:{ask['either']}:{key}") % len(rivals)] != number:
            return False
    place = _digest(f"share:{ask['table']}:{ask['answer']}:{key}") / 2**64
    return bool(place < ask.get("share", 1.0))


def _question(facts: FactTables, ask: dict[str, Any], row: Row) -> QuestionRow:
    source = f"{ask['table']}.csv, {ask['answer']}, {next(iter(row.values()))!r}"
    phrasings: list[str] = ask["phrasings"]
    text = phrasings[_digest(f"phrasing:{source}") % len(phrasings)]
    text = _SLOT.sub(lambda slot: _filled(facts, row, slot), text)
    text = text[0].upper() + text[1:]
    reference, *given = row[ask["answer"]].split("|")
    aliases = [*given, *facts.aliases.get(reference, []), *_dates(reference)]
    if ask.get("surname"):
        aliases += _surname(reference, facts.shared_surnames)
    known = dict.fromkeys(alias for alias in aliases if alias != reference)
    kept = tuple(alias for alias in known if not _gives_away(alias, text))
    obscurity = int(row.get("obscurity") or 3) + int(ask.get("harder", 0))
    obscurity = min(max(obscurity, 1), 5)
    kind = f"{ask['table']}.{ask['answer']}"
    return QuestionRow(text, reference, kept, ask["topic"], ask["type"], obscurity, kind, source)


def _filled(facts: FactTables, row: Row, slot: re.Match[str]) -> str:
    value = _first(row[slot[1]])
    if slot[2]:
        return _ordinal(int(value))
    return f"the {value}" if value in facts.articles else value


def _ordinal(number: int) -> str:
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _first(cell: str) -> str:
    return cell.split("|")[0]


def _dates(reference: str) -> list[str]:
    """Return the day-first form of a date, as most of the world writes it."""
    date = _DATE.fullmatch(reference)
    return [f"{date[2]} {date[1]} {date[3]}"] if date else []


def _surname(name: str, shared: set[str]) -> list[str]:
    words = name.split()
    at = len(words) - 1
    while at > 1 and words[at - 1].lower() in _PARTICLES:
        at -= 1
    last = " ".join(words[at:])
    odd = at < 1 or last in shared or last.endswith(".") or last in {"II", "III", "IV"}
    return [] if odd else [last]


def _gives_away(answer: str, text: str) -> bool:
    """Return whether the question gives this answer away."""
    if len(answer) <= 2:  # chemical symbols and codes: "In" is not said by "in"
        return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None
    words, sentence = normalise(answer), normalise(text)
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", sentence) is not None


def _wrong_question(question: QuestionRow) -> Iterator[str]:
    if not question.reference.strip():
        yield f"{question.source}: no reference"
    elif _gives_away(question.reference, question.query):
        yield f"{question.source}: the question says {question.reference!r}"
    if "{" in question.query or not question.query.endswith("?"):
        yield f"{question.source}: not a question: {question.query!r}"
    if question.query != " ".join(question.query.split()):
        yield f"{question.source}: spaces in {question.query!r}"


def _duplicates(questions: list[QuestionRow]) -> Iterator[str]:
    pairs = near_pairs([question.query for question in questions])
    seen: dict[int, QuestionRow] = {}
    for question, unit in zip(questions, pairs.exact.tolist(), strict=True):
        if unit in seen:
            yield f"{question.source}: the same question as {seen[unit].source}"
        seen.setdefault(unit, question)
    first: dict[int, QuestionRow] = {}
    for question, unit in zip(questions, pairs.unit.tolist(), strict=True):
        first.setdefault(unit, question)
    for left, right in pairs.pairs.tolist():
        yield f"{first[left].source}: nearly the question of {first[right].source}"


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


if __name__ == "__main__":
    raise SystemExit(main())
