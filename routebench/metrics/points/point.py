"""The names of operating points, and what each asks of a trade-off.

`most-accurate` is the router's own choice. `same-accuracy`, `within-1pp` and `drop=0.5pp` ask
for the least cost at an accuracy, `savings=40%` and `cost=0.2` for the best accuracy at a cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from routebench.errors import OptionError

Kind = Literal["most-accurate", "same-accuracy", "within", "drop", "savings", "cost"]
FORMS = "most-accurate, same-accuracy, within-1pp, savings=40%, drop=0.5pp or cost=0.2"
_NUMBER = r"(\d+\.?\d*|\.\d+)"
_ASKED: tuple[tuple[Kind, str, float, float], ...] = (
    ("within", rf"within-{_NUMBER}\s*pp", 0.01, 100),
    ("drop", rf"drop={_NUMBER}\s*pp", 0.01, 100),
    ("savings", rf"savings={_NUMBER}\s*%", 0.01, 100),
    ("cost", rf"cost=\$?{_NUMBER}", 1, float("inf")),
)
"""Kind, pattern, the factor from the written number to `value`, and the largest number."""


@dataclass(frozen=True)
class Point:
    """One operating point by what it asks for."""

    kind: Kind
    value: float = 0.0
    """A difference in score (within, drop), a share of cost (savings), USD per 1,000 queries."""

    @property
    def name(self) -> str:
        """Return the name on boards and the command line, which `parse` reads back."""
        if self.kind in ("within", "drop"):
            number = f"{100 * self.value:.10g}pp"
            return f"within-{number}" if self.kind == "within" else f"drop={number}"
        if self.kind == "savings":
            return f"savings={100 * self.value:.10g}%"
        return f"cost={self.value:.10g}" if self.kind == "cost" else self.kind

    @classmethod
    def parse(cls, text: str, option: str = "--point") -> Point:
        """Return the point of a name; an `OptionError` says which forms there are.

        >>> Point.parse("savings=40%")
        Point(kind='savings', value=0.4)
        """
        written = text.strip().lower()
        if written == "most-accurate":
            return MOST_ACCURATE
        if written == "same-accuracy":
            return SAME_ACCURACY
        for kind, pattern, factor, largest in _ASKED:
            if match := re.fullmatch(pattern, written):
                number = float(match[1])
                if not 0 < number <= largest:
                    raise OptionError(
                        f"{option} {text!r}: {match[1]} is not above 0"
                        + (f" and at most {largest:g}" if largest < float("inf") else ""),
                        f"one of {FORMS}",
                    )
                return cls(kind, round(number * factor, 12))
        raise OptionError(f"{option} {text!r}: no such point", f"one of {FORMS}")

    @classmethod
    def within(cls, margin: str, option: str = "--margin") -> Point:
        """Return the point whose verdict a run is after, from a margin such as `1pp` or `.5pp`."""
        try:
            return cls.parse(f"within-{margin.strip()}", option)
        except OptionError as error:
            raise OptionError(
                f"{option} {margin!r}: expected points of accuracy", "for example 1pp or 0.5pp"
            ) from error


MOST_ACCURATE = Point("most-accurate")
SAME_ACCURACY = Point("same-accuracy")
WITHIN_1PP = Point("within", 0.01)
DEFAULT = (SAME_ACCURACY, WITHIN_1PP)
"""Those that every run chooses on validation."""
