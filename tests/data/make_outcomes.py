"""Write outcomes.csv: a small table with the shape of a real one, from a seed.

    python tests/data/make_outcomes.py

Four invented models answer 240 true, short questions. The two specialists are strong at tasks
whose wording gives them away, so that a router on text beats the best single model, and is
not perfect, as every model also errs at random. The generalist's price is 20 times the
cheapest one's (prices.toml).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

SEED = 20
PER_TASK = 40

# Chance of a right answer, by task.
STRENGTH = {
    "acme/general-large": {
        "arithmetic": 0.68, "code": 0.62, "geography": 0.68,
        "chemistry": 0.75, "literature": 0.62, "language": 0.62,
    },
    "codesmith-mid": {
        "arithmetic": 0.93, "code": 0.93, "geography": 0.30,
        "chemistry": 0.55, "literature": 0.20, "language": 0.35,
    },
    "scholar-mid": {
        "arithmetic": 0.35, "code": 0.20, "geography": 0.93,
        "chemistry": 0.60, "literature": 0.90, "language": 0.60,
    },
    "swift-small": {
        "arithmetic": 0.45, "code": 0.25, "geography": 0.50,
        "chemistry": 0.35, "literature": 0.25, "language": 0.90,
    },
}  # fmt: skip
WORDINESS = {
    "acme/general-large": 60, "codesmith-mid": 45, "scholar-mid": 40, "swift-small": 20,
}  # fmt: skip

CAPITALS = [
    "Peru",
    "Chile",
    "Kenya",
    "Norway",
    "Finland",
    "Austria",
    "Hungary",
    "Poland",
    "Portugal",
    "Greece",
    "Turkey",
    "Egypt",
    "Ghana",
    "Senegal",
    "Morocco",
    "Tunisia",
    "Mongolia",
    "Nepal",
    "Thailand",
    "Vietnam",
    "Cambodia",
    "Laos",
    "Japan",
    "Fiji",
    "Cuba",
    "Jamaica",
    "Panama",
    "Uruguay",
    "Paraguay",
    "Bolivia",
]
RIVERS = [
    "Vienna",
    "Budapest",
    "Paris",
    "London",
    "Cairo",
    "Rome",
    "Lisbon",
    "Prague",
    "Dresden",
    "Basel",
]
ELEMENTS = [
    "hydrogen",
    "helium",
    "lithium",
    "carbon",
    "nitrogen",
    "oxygen",
    "fluorine",
    "neon",
    "sodium",
    "magnesium",
    "aluminium",
    "silicon",
    "phosphorus",
    "sulfur",
    "chlorine",
    "argon",
    "potassium",
    "calcium",
    "iron",
    "copper",
]
BOOKS = [
    "Emma",
    "Persuasion",
    "Middlemarch",
    "Ulysses",
    "Dracula",
    "Frankenstein",
    "Walden",
    "Candide",
    "Faust",
    "Hamlet",
    "Macbeth",
    "Othello",
    "Don Quixote",
    "Moby Dick",
    "Jane Eyre",
    "Wuthering Heights",
    "Little Women",
    "Bleak House",
    "Hard Times",
    "War and Peace",
]
WORDS = [
    "house",
    "bread",
    "river",
    "winter",
    "garden",
    "window",
    "teacher",
    "apple",
    "mountain",
    "bridge",
    "summer",
    "mirror",
    "candle",
    "bottle",
    "forest",
    "feather",
    "island",
    "kitchen",
    "morning",
    "shadow",
]
JOBS = [
    "reverses a list",
    "counts the vowels of a string",
    "merges two sorted lists",
    "finds the median",
    "removes repeated items",
    "checks whether a word is a palindrome",
    "flattens a nested list",
    "transposes a matrix",
    "parses a date",
    "sums the digits of an integer",
    "rotates an array by one",
    "finds the longest word",
    "sorts a dictionary by value",
    "computes a factorial",
    "swaps keys and values",
    "tests whether a number is prime",
    "splits a string at commas",
    "finds common items of two sets",
    "rounds a float down",
    "converts hours to minutes",
]


def questions() -> Iterator[tuple[str, str]]:
    """(task, text) of all questions, 40 for each of six tasks."""
    for i in range(PER_TASK):
        yield "arithmetic", _sum(i)
    for job in JOBS:
        yield "code", f"Write a Python function that {job}."
        yield "code", f"Which JavaScript code {job}?"
    for country in CAPITALS:
        yield "geography", f"What is the capital city of {country}?"
    for city in RIVERS:
        yield "geography", f"Which river flows through the city of {city}?"
    for element in ELEMENTS:
        yield "chemistry", f"What is the chemical symbol of {element}?"
        yield "chemistry", f"How many protons does an atom of {element} have?"
    for book in BOOKS:
        yield "literature", f"Who wrote the book {book}?"
        yield "literature", f"In which year was {book} first published?"
    for word in WORDS:
        yield "language", f"Translate the word '{word}' into French."
        yield "language", f"How do you say '{word}' in Spanish?"


def _sum(i: int) -> str:
    a, b = 17 + 13 * i, 9 + 7 * i
    forms = (
        f"What is {a} plus {b}?",
        f"Calculate {a} minus {b}.",
        f"What is {a} times {i + 2}?",
        f"Compute the sum of {a}, {b} and {i}.",
    )
    return forms[i % len(forms)]


def rows() -> Iterator[list[object]]:
    rng = random.Random(SEED)
    for number, (task, text) in enumerate(questions()):
        prompt = 8 + len(text) // 4
        for model, strength in STRENGTH.items():
            right = int(rng.random() < strength[task])
            answer = max(1, round(rng.gauss(WORDINESS[model], WORDINESS[model] / 6)))
            yield [f"q{number:03}", text, task, model, right, prompt, answer]


def write(path: Path) -> None:
    header = ["query_id", "query", "task", "model", "score", "input_tokens", "output_tokens"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows())


if __name__ == "__main__":
    write(Path(__file__).with_name("outcomes.csv"))
