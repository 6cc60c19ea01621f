"""Dates and small numbers as people write them."""

from __future__ import annotations

import re

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
_MONTH = "(" + "|".join(MONTHS) + ")"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_MONTH_FIRST = re.compile(rf"{_MONTH} {_DAY}(?:,? (\d{{4}}))?")
_DAY_FIRST = re.compile(rf"{_DAY}(?: of)? {_MONTH}(?:,? (\d{{4}}))?")
_NO_DAY = re.compile(rf"{_MONTH},? (\d{{4}})")


def split_date(text: str) -> tuple[int | None, int, int | None] | None:
    """Return day, month and year of a date with a month; None for any other text."""
    text = text.strip().removesuffix(".")
    if match := _MONTH_FIRST.fullmatch(text):
        name, day, year = match.groups()
    elif match := _DAY_FIRST.fullmatch(text):
        day, name, year = match.groups()
    elif match := _NO_DAY.fullmatch(text):
        (name, year), day = match.groups(), None
    else:
        return None
    month = MONTHS.index(name) + 1
    return (int(day) if day else None, month, int(year) if year else None)


def date_forms(day: int | None, month: int, year: int | None) -> list[str]:
    """Return the ways to write one date, the commonest first."""
    name = MONTHS[month - 1]
    if day is None:
        return [name] if year is None else [f"{name} {year}", f"{name}, {year}"]
    tail, tail_after = (f", {year}", f" {year}") if year else ("", "")
    forms = [
        f"{name} {day}{tail}",
        f"{day} {name}{tail_after}",
        f"{name} {ordinal(day)}{tail}",
        f"the {ordinal(day)} of {name}{tail}",
        f"{name[:3]} {day}{tail}",
    ]
    return [*forms, f"{year}-{month:02}-{day:02}"] if year else forms


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `4th` …"""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
